"""What of a track drives pictures: its beats, how loud and bright it is from frame to frame, and its mood.

Mood has two axes (Russell 1980, "A circumplex model of affect"): arousal, here of onset rate, tempo and spectral
brightness, and valence, here of mode, tempo and spectral brightness. Both are rough, as the taste of an editor is. How
loud a recording was made says nothing: tracks are brought to one loudness first, as encoders hear them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from encoders.analysis.music import rhythm_and_key
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.media.loudness import normalised

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from encoders.analysis.findings import Key, Rhythm
    from encoders.analysis.music import TracksRhythm

FRAME_RATE = 25
"""Values of a curve in a second, and frames of a video."""
SOUND_RATE = 44_100
SHORTEST_S = 12.0
_LIMITS = MediaLimits(min_duration_s=SHORTEST_S, max_duration_s=1200.0)
_WINDOW = 1024
_PER_FRAME = 2  # spectra for a frame of video
_QUIET_DB, _LOUD_DB = -50.0, -8.0
_LOW_HZ, _HIGH_HZ = 120.0, 1500.0
_STRONG = 0.35
_APART_S = 0.15
_MANY_ONSETS = 4.0  # strong ones in a second
_FIRM = 0.6  # rise of an onset that is strong in most music: what is softer everywhere has none
_SECOND_OF_SILENCE_DB = -55.0


@dataclass(frozen=True, eq=False)
class Heard:
    """A track as an editor hears it; curves have :data:`FRAME_RATE` values a second.

    Attributes
    ----------
    sound : float32 [samples], mono at :data:`SOUND_RATE`
    rhythm, key : as the tracker told them
    loudness : float32 [n], 0 … 1, even in decibels
    onsets : float32 [n], 0 … 1: onset strength
    brightness : float32 [n], 0 … 1: where the spectrum has its middle, even in octaves
    strong_s : float64 [k], times of strong onsets
    """

    sound: NDArray[np.float32]
    rhythm: Rhythm
    key: Key | None
    loudness: NDArray[np.float32]
    onsets: NDArray[np.float32]
    brightness: NDArray[np.float32]
    strong_s: NDArray[np.float64]

    @property
    def duration_s(self) -> float:
        """Of the sound."""
        return len(self.sound) / SOUND_RATE

    def is_silent(self, start_s: float, end_s: float) -> bool:
        """Whether a second or more of a stretch is silent."""
        sound = self.sound[round(start_s * SOUND_RATE) : round(end_s * SOUND_RATE)]
        seconds = sound[: len(sound) // SOUND_RATE * SOUND_RATE].reshape(-1, SOUND_RATE)
        power = np.mean(seconds**2, axis=1)
        return bool(len(power) == 0 or power.min() < 10 ** (_SECOND_OF_SILENCE_DB / 10))


@dataclass(frozen=True)
class Mood:
    """Of a stretch of music, each 0 … 1: calm to stirring, dark to glad, dull to bright in sound."""

    arousal: float
    valence: float
    brightness: float


def listen(path: Path, tracker: TracksRhythm) -> Heard:
    """Hear a track once for all the clips that are made to it.

    Raises
    ------
    MediaError
        If it cannot be decoded, is silent, shorter than 12 s or longer than 20 minutes.
    """
    rate = tracker.sample_rate
    waveforms = decode(path, sample_rates=(SOUND_RATE, rate), limits=_LIMITS).waveforms
    rhythm, key = rhythm_and_key(tracker, waveforms[rate])
    return heard(waveforms[SOUND_RATE], waveforms[rate], rate, (rhythm, key))


def heard(
    sound: NDArray[np.float32], waveform: NDArray[np.float32], rate: int, told: tuple[Rhythm, Key | None]
) -> Heard:
    """Curves of a track whose rhythm and key are known; `waveform` is the same sound at `rate`, a multiple of 50 Hz."""
    hop = rate // (FRAME_RATE * _PER_FRAME)
    padded = np.pad(normalised(waveform, rate), _WINDOW // 2)
    cells = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::hop]
    cells = cells[: len(cells) // _PER_FRAME * _PER_FRAME]
    window = np.hanning(_WINDOW).astype(np.float32)
    power = np.concatenate([np.abs(fft.rfft(part * window, axis=1)) ** 2 for part in np.array_split(cells, 16)])
    onsets = _onset_strength(power, rate)
    peaks, _ = find_peaks(onsets, height=_STRONG, distance=max(1, round(_APART_S * FRAME_RATE * _PER_FRAME)))
    loudness_db = 10 * np.log10(gaussian_filter1d(power.sum(1).astype(np.float64), 4) / _WINDOW**2 + 1e-12)
    hertz = fft.rfftfreq(_WINDOW, 1 / rate)[1:]
    middle = (power[:, 1:] @ np.log2(hertz)) / (power[:, 1:].sum(1) + 1e-9)
    octaves = np.log2([_LOW_HZ, _HIGH_HZ])
    return Heard(
        sound=sound,
        rhythm=told[0],
        key=told[1],
        loudness=_even((loudness_db - _QUIET_DB) / (_LOUD_DB - _QUIET_DB)),
        onsets=np.maximum(onsets[::_PER_FRAME], onsets[1::_PER_FRAME]).astype(np.float32),
        brightness=_even(gaussian_filter1d((middle - octaves[0]) / (octaves[1] - octaves[0]), 12)),
        strong_s=peaks / (FRAME_RATE * _PER_FRAME),
    )


def mood(heard_track: Heard, start_s: float, end_s: float) -> Mood:
    """Mood of a stretch."""
    stretch = slice(int(start_s * FRAME_RATE), max(int(start_s * FRAME_RATE) + 1, int(end_s * FRAME_RATE)))
    bright = float(heard_track.brightness[stretch].mean())
    strong = (heard_track.strong_s >= start_s) & (heard_track.strong_s < end_s)
    onset_rate = min(1.0, float(strong.sum()) / (end_s - start_s) / _MANY_ONSETS)
    tempo = heard_track.rhythm.tempo_bpm
    pace = 0.35 if tempo is None else float(np.clip((tempo - 60) / 110, 0, 1))
    key = heard_track.key
    major = 0.5 if key is None else 0.5 + (0.5 if key.mode == "major" else -0.5) * min(1.0, key.confidence)
    return Mood(
        arousal=_stretched(0.4 * onset_rate + 0.2 * pace + 0.4 * bright),
        valence=_stretched(0.25 * major + 0.25 * pace + 0.5 * bright),
        brightness=bright,
    )


def _stretched(feeling: float) -> float:
    """A weighted mean over all of 0 … 1: of nine tracks in ten it lies between 0.17 and 0.63."""
    return float(np.clip((feeling - 0.17) / 0.46, 0, 1))


def _onset_strength(power: NDArray[np.float32], rate: int) -> NDArray[np.float64]:
    """Rise of the logarithm of bands a third of an octave wide, 0 … 1; at 1 is the strongest hundredth of a track."""
    edges = np.unique(np.geomspace(60, rate / 2, 26) * _WINDOW / rate).astype(int)
    bands = np.log1p(1000 * np.add.reduceat(power, np.unique(edges), axis=1) / _WINDOW)
    flux = np.maximum(0, np.diff(bands, axis=0, prepend=bands[:1])).mean(1).astype(np.float64)
    rise = np.maximum(0, flux - gaussian_filter1d(flux, 25))
    return np.asarray(np.clip(rise / max(float(np.percentile(rise, 99)), _FIRM), 0, 1), np.float64)


def _even(values: NDArray[np.float64]) -> NDArray[np.float32]:
    """Of two spectra for a frame the mean, within 0 … 1."""
    return np.clip((values[::_PER_FRAME] + values[1::_PER_FRAME]) / 2, 0, 1).astype(np.float32)
