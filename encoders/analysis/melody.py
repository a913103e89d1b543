"""The leading melody of a track: what a network hears of every frame, put together over time.

The pitch is the most likely path through all bins (Viterbi), in which a step costs the more the further it goes, up to
a leap, which costs the same wherever it goes. Whether it is a melody is a path of its own, through yes and no. What
lies between two bins is told by how likely both are. How pitches are followed so is from Mauch & Dixon, "pYIN: a
fundamental frequency estimator using probabilistic threshold distributions", ICASSP 2014, where both are one path.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from encoders.acceleration import fold_batch_norms, half_precision, keep_freed_memory, one_core_each
from encoders.analysis.findings import Melody
from encoders.analysis.waveforms import check_waveform
from encoders.compiling import compiled
from encoders.models.music.melody import LOWEST_MELODY, N_BINS
from encoders.models.music.spectra import BINS_A_SEMITONE, PITCH_RATE, SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from torch import Tensor

    from encoders.models.music.melody import MelodyNet
    from encoders.models.music.spectra import Listener

STEP_S = 1 / PITCH_RATE
_BLOCK, _CONTEXT = 500, 26
"""Frames that pass the network together, and how many around them it sees: 20 s, a second."""
_PIECE, _LAP = 15_000, 250
"""Frames that are searched together, and of those how many at either end another knows better: 10 min, 10 s."""
_A_BIN, _A_LEAP, _FURTHEST = 0.25, 6.0, 9
"""What a step of one bin costs, and a leap, in log-probability; no step is further than so many bins."""
_TURN = 0.4
"""What it costs to begin or to end, in log-odds."""
_SILENCE_BIAS = 0.35
"""Added to the log-odds of silence: all of these chosen on songs 651 to 700, for less than a fifth of false alarms."""
_NEAR = 2
"""Bins around the path's that tell where between them the pitch is."""


class MelodyTracker:
    """A :class:`~encoders.models.music.melody.MelodyNet` at work; safe to share between threads."""

    sample_rate = SAMPLE_RATE

    def __init__(self, network: MelodyNet, listener: Listener, *, version: str, device: torch.device) -> None:
        self.version = f"{version}-2"  # how a melody is told is part of it
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
        spectrogram, lines = self._listener(waveform).pitch, []
        for start in range(0, spectrogram.shape[1], _PIECE):
            first = max(0, start - _LAP)
            line = line_of(self.log_probabilities(spectrogram[:, first : start + _PIECE + _LAP]))
            lines.append([column[start - first : start - first + _PIECE] for column in line])
        pitches, voiced, certainty = (np.concatenate(column) for column in zip(*lines, strict=True))
        confidence = float(certainty[voiced].mean()) if voiced.any() else 0.0
        nothing = np.float32(np.nan)
        return Melody(STEP_S, np.where(voiced, pitches, nothing), np.where(voiced, nothing, pitches), confidence)

    def log_probabilities(self, spectrogram: Tensor) -> NDArray[np.float32]:
        """What is heard in pitches [252, frames at 25 Hz]: log-probabilities [frames, 199], silence last."""
        parts, frames = [], spectrogram.shape[1]
        with torch.inference_mode(), half_precision(self._device):
            for start in range(0, frames, _BLOCK):
                first = max(0, start - _CONTEXT)
                seen = spectrogram[None, :, first : start + _BLOCK + _CONTEXT].to(self._device)
                parts.append(self._network(seen)[0, start - first : start - first + _BLOCK].float().cpu())
        return torch.cat(parts).numpy()


class Line(NamedTuple):
    """A pitch at every step, whether or not there is a melody.

    Attributes
    ----------
    pitches : float32 [steps], MIDI numbers
    voiced : bool [steps], where they lead
    certainty : float32 [steps], how sure the pitch is, were there a melody
    """

    pitches: NDArray[np.float32]
    voiced: NDArray[np.bool_]
    certainty: NDArray[np.float32]


def line_of(log_probabilities: NDArray[np.float32]) -> Line:
    """The likeliest line through what was heard, float32 [frames, 199], and where it is a melody."""
    silence = np.minimum(log_probabilities[:, N_BINS].astype(np.float64), -1e-6)
    any_pitch = np.log(-np.expm1(silence))
    voiced = _turns(any_pitch - silence - _SILENCE_BIAS, _TURN)  # type: ignore[no-untyped-call]
    among = log_probabilities[:, :N_BINS] - any_pitch[:, None].astype(np.float32)
    # Where there is hardly a pitch, what is heard says little about it.
    path = np.empty(len(among), np.int64)
    heard = among * np.exp(any_pitch)[:, None].astype(np.float32)
    _search(heard, _A_BIN, _A_LEAP, _FURTHEST, path)  # type: ignore[no-untyped-call]
    around = path[:, None] + np.arange(-_NEAR, _NEAR + 1)
    inside = (around >= 0) & (around < N_BINS)
    likely = np.exp(np.take_along_axis(among, np.clip(around, 0, N_BINS - 1), axis=1)) * inside
    certainty = likely.sum(axis=1)
    bins = (likely * around).sum(axis=1) / np.maximum(certainty, 1e-12)
    bins = np.where(certainty > 1e-9, bins, path)
    pitches = (LOWEST_MELODY + (bins - 1) / BINS_A_SEMITONE).astype(np.float32)
    return Line(pitches, voiced, np.clip(certainty, 0, 1).astype(np.float32))


@compiled
def _turns(odds, turn):  # type: ignore[no-untyped-def]
    """Where it is likelier than not, given log-odds [frames], when every change costs `turn`."""
    n_frames = len(odds)
    stayed = np.ones((n_frames, 2), np.bool_)
    no, yes = 0.0, odds[0]
    for frame in range(1, n_frames):
        stayed[frame, 0], stayed[frame, 1] = no >= yes - turn, yes >= no - turn
        no, yes = max(no, yes - turn), max(yes, no - turn) + odds[frame]
    states = np.empty(n_frames, np.bool_)
    state = yes > no
    for frame in range(n_frames - 1, -1, -1):
        states[frame] = state
        if not stayed[frame, int(state)]:
            state = not state
    return states


@compiled
def _search(heard, a_bin, a_leap, furthest, path):  # type: ignore[no-untyped-def]
    """Viterbi over bins: the most likely path through `heard` [frames, bins] into `path`."""
    n_frames, n_bins = heard.shape
    came_from = np.empty((n_frames, n_bins), np.uint8)
    score = heard[0].astype(np.float64)
    before = np.empty_like(score)
    for frame in range(1, n_frames):
        before[:] = score
        best = before.argmax()
        for place in range(n_bins):
            source, most = best, before[best] - a_leap
            for other in range(max(0, place - furthest), min(n_bins, place + furthest + 1)):
                value = before[other] - a_bin * abs(place - other)
                if value > most:
                    source, most = other, value
            score[place] = most + heard[frame, place]
            came_from[frame, place] = source
    place = score.argmax()
    for frame in range(n_frames - 1, -1, -1):
        path[frame] = place
        if frame:
            place = int(came_from[frame, place])
