"""The leading melody of a track: what a network hears of every frame, put together over time.

The melody is the most likely path through all bins and silence (Viterbi), in which a step costs the more the further it
goes, up to a leap, which costs the same wherever it goes; so does to begin and to end. What lies between two bins is
told by how likely both are. How pitches are followed so is from Mauch & Dixon, "pYIN: a fundamental frequency estimator
using probabilistic threshold distributions", ICASSP 2014.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numba import njit

from encoders.acceleration import fold_batch_norms, half_precision, keep_freed_memory, one_core_each
from encoders.analysis.findings import Melody
from encoders.analysis.waveforms import check_waveform
from encoders.models.music.melody import LOWEST_MELODY, N_BINS
from encoders.models.music.spectra import BINS_A_SEMITONE, PITCH_RATE, SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from encoders.models.music.melody import MelodyNet
    from encoders.models.music.spectra import Listener, Spectra

STEP_S = 1 / PITCH_RATE
_BLOCK, _CONTEXT = 250, 25
"""Frames that pass the network together, and how many around them it sees: 10 s, a second."""
_A_BIN, _A_LEAP, _TURN, _FURTHEST = 0.4, 3.5, 1.5, 9
"""What a step of one bin costs, a leap, and a change between melody and silence, in log-probability; a step goes no
further than this many bins, which is as dear as a leap."""
_SILENCE_BIAS = -1.1
"""Added to the log-probability of silence: chosen on songs 651 to 700, for a fifth of false alarms at most."""
_NEAR = 2
"""Bins around the path's that tell where between them the pitch is."""


class MelodyTracker:
    """A :class:`~encoders.models.music.melody.MelodyNet` at work; safe to share between threads."""

    sample_rate = SAMPLE_RATE

    def __init__(self, network: MelodyNet, listener: Listener, *, version: str, device: torch.device) -> None:
        self.version = f"{version}-1"  # how a melody is told is part of it
        self._network = network.eval().to(device)
        fold_batch_norms(self._network)
        self._listener = listener
        self._device = device
        if device.type == "cpu":
            keep_freed_memory()

    def track(self, waveform: NDArray[np.float32]) -> Melody:
        """Find the melody of a track, float32 [samples] at 22,050 Hz, 25 steps a second.

        Raises
        ------
        ShapeError
            If it is not mono, or empty.
        NonFiniteError
            If it holds NaN or infinity.
        """
        check_waveform(waveform)
        return one_core_each().submit(self._track, waveform).result()

    def _track(self, waveform: NDArray[np.float32]) -> Melody:
        return melody_of(self.log_probabilities(self._listener(waveform)))

    def log_probabilities(self, spectra: Spectra) -> NDArray[np.float32]:
        """What is heard, float32 [frames at 25 Hz, 199]: log-probabilities of every bin, and of silence."""
        parts, frames = [], spectra.pitch.shape[1]
        with torch.inference_mode(), half_precision(self._device):
            for start in range(0, frames, _BLOCK):
                first = max(0, start - _CONTEXT)
                seen = spectra.pitch[None, :, first : start + _BLOCK + _CONTEXT].to(self._device)
                parts.append(self._network(seen)[0, start - first : start - first + _BLOCK].float().cpu())
        return torch.cat(parts).numpy()


def melody_of(log_probabilities: NDArray[np.float32]) -> Melody:
    """The most likely melody of what was heard, float32 [frames at 25 Hz, 199]."""
    heard = log_probabilities.copy()
    heard[:, N_BINS] += _SILENCE_BIAS
    path = np.empty(len(heard), np.int64)
    _search(heard, _A_BIN, _A_LEAP, _TURN, _FURTHEST, path)
    voiced = path < N_BINS
    if not voiced.any():
        return Melody(STEP_S, np.full(len(path), np.nan, np.float32), 0.0)
    frames = np.flatnonzero(voiced)
    around = path[voiced][:, None] + np.arange(-_NEAR, _NEAR + 1)
    inside = (around >= 0) & (around < N_BINS)
    likely = np.exp(heard[frames[:, None], np.clip(around, 0, N_BINS - 1)]) * inside
    bins = (likely * around).sum(axis=1) / (likely.sum(axis=1) + 1e-12)
    pitches = np.full(len(path), np.nan, np.float32)
    pitches[voiced] = LOWEST_MELODY + (bins - 1) / BINS_A_SEMITONE
    return Melody(STEP_S, pitches, float(np.clip(likely.sum(axis=1).mean(), 0, 1)))


@njit(cache=True, nogil=True, error_model="numpy")
def _search(heard, a_bin, a_leap, turn, furthest, path):  # type: ignore[no-untyped-def]
    """Viterbi over bins, and silence as the last: the most likely path through `heard` into `path`."""
    n_frames, n_bins = heard.shape[0], heard.shape[1] - 1
    came_from = np.empty((n_frames, n_bins + 1), np.int16)
    score = heard[0].astype(np.float64)
    before = np.empty_like(score)
    for frame in range(1, n_frames):
        before[:] = score
        best = 0
        for place in range(1, n_bins):
            if before[place] > before[best]:
                best = place
        silence = before[n_bins] - turn
        for place in range(n_bins):
            source, most = best, before[best] - a_leap
            if silence > most:
                source, most = n_bins, silence
            for other in range(max(0, place - furthest), min(n_bins, place + furthest + 1)):
                value = before[other] - a_bin * abs(place - other)
                if value > most:
                    source, most = other, value
            score[place] = most + heard[frame, place]
            came_from[frame, place] = source
        if before[best] - turn > before[n_bins]:
            score[n_bins], came_from[frame, n_bins] = before[best] - turn + heard[frame, n_bins], best
        else:
            score[n_bins], came_from[frame, n_bins] = before[n_bins] + heard[frame, n_bins], n_bins
    place = score.argmax()
    for frame in range(n_frames - 1, -1, -1):
        path[frame] = place
        if frame:
            place = came_from[frame, place]
