"""The most likely beats and bars under what a network heard: a hidden semi-Markov model of bars.

Krebs, Böck & Widmer, "An efficient state-space model for joint tempo and meter tracking", ISMIR 2015: a state is a
place in a beat of a bar, at a tempo, and tempo changes only between beats, the more the rarer. As nothing is decided
within a beat, whole beats are the steps here: one that ends now began as many frames ago as it is long. Metre may
change from bar to bar, at a price. Nothing assumes one tempo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from encoders.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

METERS = (4, 3, 5, 7)
"""Beats of a bar; two bars of three are as good as one of six."""
_LOG_METERS = np.log([0.62, 0.25, 0.08, 0.05])
"""How common they are, counted anew in every bar: a rare one must be heard all along."""
_NEW_METER = -12.0
"""Log-probability of another metre in the next bar."""
_SLOWEST_BPM, _FASTEST_BPM = 42.0, 225.0
_STIFFNESS = 60.0
"""How much rarer greater changes of tempo are: of a beat longer by a tenth, the log-probability is a tenth of this."""
_STEP = -0.5
"""Log-probability of a beat that is one frame longer or shorter: so looks any tempo between two numbers of frames."""
_WIDEST = 12
"""Frames that a beat may differ from the one before."""
_HEARD = 2
"""Frames in which a beat is heard, whatever its length: more of them for a slower one would make it likelier."""
_ODDS = 3.5
"""How much more often a frame is none of these: what is heard less than 1 in so many and one is no beat."""
_FLOOR = 1e-4
_LONGEST, _OVERLAP = 16_384, 2_048
"""Frames that are searched together, and of those what the next search begins with again: hours need no more memory."""


@dataclass(frozen=True, eq=False)
class Bars:
    """Beats: int64 [n] frames, positions in the bar, from 1, and how many beats their bars have."""

    frames: NDArray[np.int64]
    positions: NDArray[np.int64]
    meters: NDArray[np.int64]


class _Model(NamedTuple):
    """What the search takes.

    Attributes
    ----------
    summed : float64 [2, frames + 1], sums of how much likelier each frame is a beat, or (second) a downbeat, than none
    lengths : int64 [lengths], of beats, in frames
    log_changes : float32 [25, lengths], of a beat so many frames longer or shorter than one of each length
    log_bars : float32 [metres, metres], of a bar of the second after one of the first
    begins, ends : int64 [metres], of the chains of places in a bar, the first and the last of each metre
    """

    summed: NDArray[np.float64]
    lengths: NDArray[np.int64]
    log_changes: NDArray[np.float32]
    log_bars: NDArray[np.float32]
    begins: NDArray[np.int64]
    ends: NDArray[np.int64]


def most_likely_bars(beats: NDArray[np.float64], downbeats: NDArray[np.float64], frame_rate: float) -> Bars:
    """Find beats and bars.

    Parameters
    ----------
    beats, downbeats : float64 [frames], probabilities that a frame is a beat at all, and that it begins a bar
    frame_rate : frames a second
    """
    found = np.zeros((3, 0), np.int64)
    for start in range(0, max(1, len(beats) - _OVERLAP), _LONGEST - _OVERLAP):
        piece = slice(start, start + _LONGEST)
        more = _searched(beats[piece], downbeats[piece], frame_rate)
        more[0] += start
        # In the middle of what both have heard, one follows the other.
        seam = start + _OVERLAP // 2 if start else 0
        before, after = found[:, found[0] < seam], more[:, more[0] >= seam]
        if before.size and after.size and after[0, 0] - before[0, -1] < 60 * frame_rate / _FASTEST_BPM:
            after = after[:, 1:]
        found = np.concatenate([before, after], axis=1)
    return Bars(*found)


def _searched(beats: NDArray[np.float64], downbeats: NDArray[np.float64], frame_rate: float) -> NDArray[np.int64]:
    """Frames, positions and metres, int64 [3, n]."""
    lengths = np.arange(round(60 * frame_rate / _FASTEST_BPM), round(60 * frame_rate / _SLOWEST_BPM) + 1)
    if len(beats) <= lengths[0]:
        return np.zeros((3, 0), np.int64)
    downbeats = np.minimum(downbeats, beats)
    # All likelihoods are relative to that of no beat.
    silent = np.log(np.maximum((1 - beats) / _ODDS, _FLOOR))
    first = np.log(np.maximum(downbeats, _FLOOR)) - silent
    others = np.log(np.maximum(beats - downbeats, _FLOOR)) - silent
    summed = np.array([np.concatenate([[0.0], np.cumsum(row)]) for row in (others, first)])
    steps = np.abs(np.arange(-_WIDEST, _WIDEST + 1))[:, None]
    log_changes = _STEP * (steps > 0) - _STIFFNESS * np.maximum(0, steps - 1) / lengths
    begins = np.cumsum([0, *METERS[:-1]])
    ends = begins + np.array(METERS) - 1
    log_bars = (_LOG_METERS + _NEW_METER * (1 - np.eye(len(METERS)))).astype(np.float32)
    scores = np.full((len(beats), ends[-1] + 1, len(lengths)), -np.inf, np.float32)
    model = _Model(summed, lengths, log_changes.astype(np.float32), log_bars, begins, ends)
    chain, length, at = _search(*model, _HEARD, scores)  # type: ignore[no-untyped-call]
    found = []
    while chain >= 0:
        number = int(np.searchsorted(ends, chain))
        found.append((at, chain - begins[number] + 1, METERS[number]))
        chain, length, at = _before(model, scores, (chain, length, at))
    return np.array(found[::-1], np.int64).T


def _before(model: _Model, scores: NDArray[np.float32], beat: tuple[int, int, int]) -> tuple[int, int, int]:
    """The beat before one; each is (chain, number of its length, first frame), of chain -1 before the first."""
    chain, length, at = beat
    number = int(np.searchsorted(model.ends, chain))
    candidates = (
        [(chain - 1, 0.0)]
        if chain != model.begins[number]
        else list(zip(model.ends.tolist(), model.log_bars[:, number].tolist(), strict=True))
    )
    best, before = -np.inf, (-1, 0, 0)
    for other in range(max(0, length - _WIDEST), min(len(model.lengths), length + _WIDEST + 1)):
        start = at - int(model.lengths[other])
        if start < 0:
            continue
        for previous, price in candidates:
            of = model.summed[int(previous in model.begins)]
            heard = start + _HEARD
            score = scores[start, previous, other] + of[heard] - of[start] + price
            score += model.log_changes[length - other + _WIDEST, other]
            if score > best:
                best, before = score, (previous, other, start)
    # What scores no better than as the first beat of all was that.
    return before if best >= scores[at, chain, length] - 1e-2 else (-1, 0, 0)


@compiled
def _search(summed, lengths, log_changes, log_bars, begins, ends, heard_frames, scores):  # type: ignore[no-untyped-def]
    """Viterbi over beats: in `scores`, the best of beginning at a frame, by chain (metre and place in it) and length.

    Returns
    -------
    The last beat: its chain, the number of its length, the frame at which it begins.
    """
    n_frames, n_chains, n_lengths = scores.shape
    widest = (len(log_changes) - 1) // 2
    ended = np.full((n_chains, n_lengths), -np.inf, np.float32)
    into = np.full(n_lengths + 2 * widest, -np.inf, np.float32)
    meters, downbeats = np.zeros(n_chains, np.int64), np.zeros(n_chains, np.int64)
    for meter in range(len(ends)):
        meters[begins[meter] : ends[meter] + 1] = meter
        downbeats[begins[meter]] = 1
    # The change to each length from others, so that the inner loop runs over what lies side by side.
    moved = np.full((2 * widest + 1, n_lengths), -np.inf, np.float32)
    for change in range(2 * widest + 1):
        for number in range(n_lengths):
            other = number + widest - change
            if 0 <= other < n_lengths:
                moved[change, number] = log_changes[change, other]
    best, last = np.float32(-np.inf), (0, 0, 0)
    for t in range(n_frames):
        for chain in range(n_chains):
            of = summed[downbeats[chain]]
            for number in range(n_lengths):
                start = t - lengths[number]
                if start >= 0:
                    heard = start + heard_frames
                    ended[chain, number] = scores[start, chain, number] + np.float32(of[heard] - of[start])
        for chain in range(n_chains):
            before, price = chain - 1, np.float32(0.0)
            if downbeats[chain]:
                top = np.float32(-np.inf)
                for meter in range(len(ends)):
                    reached = ended[ends[meter]].max() + log_bars[meter, meters[chain]]
                    if reached > top:
                        top, before, price = reached, ends[meter], log_bars[meter, meters[chain]]
                if before < 0:
                    before = ends[meters[chain]]
            for number in range(n_lengths):
                into[widest + number] = ended[before, number] + price
            row = scores[t, chain]
            if t <= lengths[-1]:  # the first beat of all
                row[:] = log_bars[meters[chain], meters[chain]]
            for change in range(2 * widest + 1):
                shifted = into[2 * widest - change : 2 * widest - change + n_lengths]
                for number in range(n_lengths):
                    row[number] = max(row[number], shifted[number] + moved[change, number])
            if t >= n_frames - lengths[-1]:
                of = summed[downbeats[chain]]
                for number in range(n_lengths):
                    if t + lengths[number] >= n_frames:
                        heard = min(n_frames, t + heard_frames)
                        reached = row[number] + np.float32(of[heard] - of[t])
                        if reached > best:
                            best, last = reached, (chain, number, t)
    return last
