"""Tempo, beats, bars and key of a track."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.ndimage import uniform_filter1d

from encoders.acceleration import keep_freed_memory, one_core_each
from encoders.analysis.findings import MODES, TONICS, Key, Rhythm
from encoders.analysis.rhythm.bars import most_likely_bars
from encoders.analysis.rhythm.octaves import evened
from encoders.analysis.rhythm.tempo import meter_of, tempo_of
from encoders.models.music.key import averaged
from encoders.models.music.rhythm import FRAME_RATE
from encoders.models.music.spectra import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from encoders.models.music.key import KeyNet
    from encoders.models.music.rhythm import RhythmNet
    from encoders.models.music.spectra import Listener, Spectra

_BLOCK, _CONTEXT = 12_000, 2_500
"""Frames of onsets that pass the network together, and how many around them it sees: a few minutes, nearly a minute."""
_FEWEST = 8
_NEAR = 2
"""Frames around a beat in which the network may have heard it."""
_NO_BEATS, _NO_BEATS_HERE, _PHRASE = 0.36, 0.15, 8
"""Beats that were heard less than this on average are none: of all of a track, or of this many around one."""
_NO_SLOW_BEATS, _SLOW_BPM = 0.45, 52.0
"""The same of beats that are slower than this: the slowest fit best where nothing is heard, as in applause,
where claps by chance reach 0.44."""
_NO_KEY = 0.25


class RhythmTracker:
    """A :class:`~encoders.models.music.rhythm.RhythmNet` and a :class:`~encoders.models.music.key.KeyNet` at work.

    Safe to share between threads.
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self, rhythm: RhythmNet, key: KeyNet, listener: Listener, *, version: str, device: torch.device
    ) -> None:
        self.version = f"{version}-5"  # how beats are told is part of it
        self._rhythm, self._key = rhythm.eval().to(device), key.eval().to(device)
        self._listener = listener
        self._device = device
        if device.type == "cpu":
            keep_freed_memory()

    def track(self, waveform: NDArray[np.float32]) -> tuple[Rhythm, Key | None]:
        """Find beats and key of a track, float32 [samples] at 22,050 Hz; no key where nothing says that it has one."""
        return one_core_each().submit(self._track, waveform).result()

    def _track(self, waveform: NDArray[np.float32]) -> tuple[Rhythm, Key | None]:
        spectra = self._listener(waveform)
        with torch.inference_mode():
            activations = beat_activations(self._rhythm, spectra, self._device)
            return rhythm_of(activations), self._key_of(spectra)

    def _key_of(self, spectra: Spectra) -> Key | None:
        logits = self._key(averaged(spectra.pitch)[None].to(self._device))[0]
        probabilities = logits.softmax(dim=0)
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        if confidence < _NO_KEY or float(spectra.pitch.max()) <= -1:
            return None
        return Key(TONICS[best % len(TONICS)], MODES[best // len(TONICS)], confidence)


def beat_activations(network: RhythmNet, spectra: Spectra, device: torch.device) -> NDArray[np.float64]:
    """Probabilities float64 [2, frames at 50 Hz] that a frame is a beat, and that it begins a bar."""
    onset, pitch = spectra.onset, spectra.pitch
    parts = []
    with torch.inference_mode():
        for start in range(0, onset.shape[1], _BLOCK):
            first, end = max(0, start - _CONTEXT), start + _BLOCK + _CONTEXT
            end -= max(0, end - onset.shape[1])
            logits = network(
                onset[None, :, first:end].to(device), pitch[None, :, first // 2 : (end + 1) // 2].to(device)
            )
            parts.append(logits[0, :, start - first : start - first + _BLOCK].sigmoid().cpu())
    return torch.cat(parts, dim=1).double().numpy()


def rhythm_of(activations: NDArray[np.float64]) -> Rhythm:
    """Beats and bars of what the network heard, float64 [2, frames at 50 Hz]: beats, downbeats."""
    beats, downbeats = activations
    bars = most_likely_bars(beats, downbeats, FRAME_RATE)
    near = evened(bars, beats, downbeats, FRAME_RATE)
    if near is not None:
        bars = most_likely_bars(beats, downbeats, FRAME_RATE, near)
    padded = np.pad(beats, _NEAR)
    heard = np.lib.stride_tricks.sliding_window_view(padded, 2 * _NEAR + 1).max(axis=1)[bars.frames]
    confidence = float(heard.mean()) if len(heard) else 0.0
    around = uniform_filter1d(heard, _PHRASE, mode="nearest") if len(heard) else heard
    kept = around >= _NO_BEATS_HERE
    if confidence < _NO_BEATS or kept.sum() < _FEWEST:
        return _no_beats(confidence)
    beats_s = _times_s(beats, bars.frames[kept])
    tempo = tempo_of(beats_s)
    if tempo is not None and tempo < _SLOW_BPM and confidence < _NO_SLOW_BEATS:
        return _no_beats(confidence)
    return Rhythm(tempo, beats_s, bars.positions[kept], meter_of(bars.meters[kept]), confidence)


def _no_beats(confidence: float) -> Rhythm:
    return Rhythm(None, np.empty(0), np.empty(0, np.int64), None, confidence)


def _times_s(beats: NDArray[np.float64], frames: NDArray[np.int64]) -> NDArray[np.float64]:
    """Between frames: where the middle of what was heard about a beat is."""
    padded = np.pad(beats, 1)
    around = np.stack([padded[frames + offset] for offset in (0, 1, 2)])
    times_s: NDArray[np.float64] = (frames + (around[2] - around[0]) / (around.sum(axis=0) + 1e-9)) / FRAME_RATE
    return np.maximum(times_s, 0.0)
