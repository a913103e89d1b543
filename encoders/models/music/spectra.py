"""The two spectrograms that all networks of this room hear: a quick one for onsets, a fine one for pitches.

Both are in decibels of a track that was brought to one loudness, clipped below, and scaled to about -1 … 1. Filters are
triangles of equal musical width over the STFT, as in Böck & Schedl, "Enhanced beat tracking with context-aware neural
networks", DAFx 2011; onsets are heard 50 times a second, pitches in thirds of a semitone 25 times.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING
from weakref import ref

import numpy as np
import torch
from torch import Tensor, nn

from encoders.frontend import LogFrequency
from encoders.media.loudness import gain_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE = 22_050
ONSET_RATE, PITCH_RATE = 50, 25
"""Frames a second; two of onsets for one of pitches, the first of both about sample 0."""
N_ONSET = 84
"""Bands of onsets: ten an octave from 30 Hz."""
BINS_A_SEMITONE, N_SEMITONES, LOWEST_PITCH = 3, 84, 24
"""Bins of pitches: three a semitone, the middle one in tune, from C1 (MIDI 24) seven octaves up."""
N_PITCH = BINS_A_SEMITONE * N_SEMITONES
_LONGEST_S = 60.0
_FLOOR_DB, _MIDDLE_DB, _HALF_RANGE_DB = -40.0, 0.0, 40.0
_KEPT = 8


@dataclass(frozen=True, eq=False)
class Spectra:
    """What a track sounds like.

    Attributes
    ----------
    onset : float32 [84, frames at 50 Hz]
    pitch : float32 [252, frames at 25 Hz]
    """

    onset: Tensor
    pitch: Tensor


class MusicSpectra(nn.Module):
    """Waveform → both spectrograms. Nothing in it is learnt, so its weights are no part of any state."""

    def __init__(self) -> None:
        super().__init__()
        self.onset = LogFrequency(
            sample_rate=SAMPLE_RATE, n_fft=1024, hop_length=441, fmin_hz=30.0, n_bins=N_ONSET, bins_per_octave=10
        )
        per_octave = 12 * BINS_A_SEMITONE
        lowest_hz = 440 * 2 ** ((LOWEST_PITCH - 69) / 12 - 1 / per_octave)
        self.pitch = LogFrequency(
            sample_rate=SAMPLE_RATE,
            n_fft=4096,
            hop_length=882,
            fmin_hz=lowest_hz,
            n_bins=N_PITCH,
            bins_per_octave=per_octave,
        )

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Hear waveforms.

        Waveforms float32 [B, samples] at 22,050 Hz → onsets [B, 84, 1 + samples // 441] and pitches [B, 252, 1 +
        samples // 882].
        """
        return _scaled(self.onset(waveform)), _scaled(self.pitch(waveform))


def _scaled(decibels: Tensor) -> Tensor:
    return (decibels.clamp(min=_FLOOR_DB) - _MIDDLE_DB) / _HALF_RANGE_DB


class Listener:
    """Spectra of whole tracks; those of the last few are kept, for the next network that asks. Safe to share."""

    def __init__(self) -> None:
        self._spectra = MusicSpectra().eval()
        self._kept: OrderedDict[int, tuple[ref[NDArray[np.float32]], Spectra]] = OrderedDict()
        self._lock = Lock()

    def __call__(self, waveform: NDArray[np.float32]) -> Spectra:
        """Spectra of a track, float32 [samples] at 22,050 Hz, at whatever loudness."""
        with self._lock:
            of, spectra = self._kept.get(id(waveform), (None, None))
        if of is not None and of() is waveform and spectra is not None:
            return spectra
        spectra = self._heard(waveform)
        with self._lock:
            self._kept[id(waveform)] = ref(waveform), spectra
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
        return spectra

    def _heard(self, waveform: NDArray[np.float32]) -> Spectra:
        """Piece by piece, so that hours need no more memory at once than a minute, and a minute stays in the caches."""
        sound = torch.from_numpy(np.ascontiguousarray(waveform)) * float(gain_of(waveform, SAMPLE_RATE))
        length, hop, around = round(_LONGEST_S * SAMPLE_RATE), 882, 4 * 882
        onsets, pitches = [], []
        padded = nn.functional.pad(sound, (around, around))
        with torch.inference_mode():
            for start in range(0, len(sound) + 1, length):
                piece = padded[start : start + length + 2 * around]
                if len(piece) <= 2 * around:
                    piece = nn.functional.pad(piece, (0, 2 * around + 1 - len(piece)))
                onset, pitch = self._spectra(piece[None])
                frames = min(length, len(sound) - start) // hop + (start + length > len(sound))
                onsets.append(onset[0, :, 2 * around // hop : 2 * (around // hop + frames)])
                pitches.append(pitch[0, :, around // hop : around // hop + frames])
        return Spectra(torch.cat(onsets, dim=1), torch.cat(pitches, dim=1))
