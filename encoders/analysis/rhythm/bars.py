"""The most likely beats and bars under what a network heard: a hidden semi-Markov model of bars.

Krebs, Böck & Widmer, "An efficient state-space model for joint tempo and meter tracking", ISMIR 2015: a state is a
place in a beat of a bar, at a tempo, and tempo changes only between beats, the more the rarer. As nothing is decided
within a beat, whole beats are the steps here: one that ends now began as many frames ago as it is long. Metre may
change from bar to bar, at a price. Nothing assumes one tempo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

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
"""How much rarer greater changes of tempo are: this times the logarithm of the change is that of its probability."""
_STEP = -0.5
"""Log-probability of a beat that is one frame longer or shorter: so looks any tempo between two numbers of frames."""
_HEARD = 2
"""Frames in which a beat is heard, whatever its length: more of them for a slower one would make it likelier."""
_ODDS = 3.5
"""How much more often a frame is none of these: what is heard less than 1 in so many and one is no beat."""
_FLOOR = 1e-4
_NEAR = 1.25
"""How much longer or shorter than about so long a beat may be."""
_CHAINS = 24
"""Places in bars, one beside the other; those above the sum of all metres are empty, and fill the vectors of a core."""
_LONGEST, _OVERLAP = 16_384, 2_048
"""Frames that are searched together, and of those what the next search begins with again: hours need no more memory."""


@dataclass(frozen=True, eq=False)
class Bars:
    """Beats: int64 [n] frames, positions in the bar, from 1, and how many beats their bars have."""

    frames: NDArray[np.int64]
    positions: NDArray[np.int64]
    meters: NDArray[np.int64]


def most_likely_bars(
    beats: NDArray[np.float64],
    downbeats: NDArray[np.float64],
    frame_rate: float,
    near: NDArray[np.float64] | None = None,
) -> Bars:
    """Find beats and bars.

    Parameters
    ----------
    beats, downbeats : float64 [frames], probabilities that a frame is a beat at all, and that it begins a bar
    frame_rate : frames a second
    near : float64 [frames], how long a beat that begins there is about, in frames; else all lengths are tried
    """
    found = np.zeros((3, 0), np.int64)
    for start in range(0, max(1, len(beats) - _OVERLAP), _LONGEST - _OVERLAP):
        piece = slice(start, start + _LONGEST)
        more = _searched(beats[piece], downbeats[piece], frame_rate, None if near is None else near[piece])
        more[0] += start
        # In the middle of what both have heard, one follows the other.
        seam = start + _OVERLAP // 2 if start else 0
        before, after = found[:, found[0] < seam], more[:, more[0] >= seam]
        if before.size and after.size and after[0, 0] - before[0, -1] < 60 * frame_rate / _FASTEST_BPM:
            after = after[:, 1:]
        found = np.concatenate([before, after], axis=1)
    return Bars(*found)


def _searched(
    beats: NDArray[np.float64], downbeats: NDArray[np.float64], frame_rate: float, near: NDArray[np.float64] | None
) -> NDArray[np.int64]:
    """Frames, positions and metres, int64 [3, n]."""
    lengths = np.arange(round(60 * frame_rate / _FASTEST_BPM), round(60 * frame_rate / _SLOWEST_BPM) + 1)
    if len(beats) <= lengths[0]:
        return np.zeros((3, 0), np.int64)
    downbeats = np.minimum(downbeats, beats)
    # All likelihoods are relative to that of no beat.
    silent = np.log(np.maximum((1 - beats) / _ODDS, _FLOOR))
    first = np.log(np.maximum(downbeats, _FLOOR)) - silent
    others = np.log(np.maximum(beats - downbeats, _FLOOR)) - silent
    heard = np.stack([_summed(others), _summed(first)])
    # Of beats longer by one frame each; that of all between two is the change between those.
    slower = (_STIFFNESS * np.diff(np.log(lengths), prepend=np.log(lengths[0]))).astype(np.float32)
    begins = np.cumsum([0, *METERS[:-1]])
    log_bars = (_LOG_METERS + _NEW_METER * (1 - np.eye(len(METERS)))).astype(np.float32)
    tried = np.tile([[0], [len(lengths)]], len(beats))
    if near is not None:
        slowest = np.clip(near, lengths[0], lengths[-1])
        tried = np.searchsorted(lengths, [np.floor(slowest / _NEAR), np.ceil(slowest * _NEAR) + 1])
    scores = np.empty((len(beats), len(lengths), _CHAINS), np.float32)
    last = _search(heard, lengths, slower, log_bars, begins, np.array(METERS), tried, scores)  # type: ignore[no-untyped-call]
    found: NDArray[np.int64] = _traced(last, heard, lengths, slower, log_bars, begins, np.array(METERS), scores)  # type: ignore[no-untyped-call]
    return found


def _summed(likelier: NDArray[np.float64]) -> NDArray[np.float32]:
    """Of a beat that begins at each frame: over the frames in which it is heard, as far as there are any."""
    return np.convolve(likelier, np.ones(_HEARD))[_HEARD - 1 :].astype(np.float32)


@compiled
def _search(heard, lengths, slower, log_bars, begins, meters, tried, scores):  # type: ignore[no-untyped-def]
    """Viterbi over beats: in `scores`, the best of beginning at a frame, by length and chain (metre and place in it).

    Parameters
    ----------
    heard : float32 [2, frames], how much likelier a beat, or (second) a downbeat, that begins there is than none
    lengths : int64 [lengths], of beats, in frames
    slower : float32 [lengths], how much rarer than no change is one to each length from the next shorter one
    log_bars : float32 [metres, metres], of a bar of the second after one of the first
    begins, meters : int64 [metres], the chain of each one's first place, and how many it has
    tried : int64 [2, frames], the numbers of lengths of beats that may begin there: the first, and one past the last
    scores : float32 [frames, lengths, chains], filled

    Returns
    -------
    The last beat: its frame, the number of its length, its chain.
    """
    n_frames, n_lengths, _ = scores.shape
    none = np.float32(-np.inf)
    # Each made for itself: of what is cut from one array the compiler does not know that it lies side by side.
    ended = np.full((n_lengths, _CHAINS), none, np.float32)
    into, moved = np.full_like(ended, none), np.full_like(ended, none)
    top, start, nowhere = ended[0].copy(), ended[0].copy(), ended[0].copy()
    is_first = np.zeros(_CHAINS, np.float32)
    for meter in range(len(meters)):
        start[begins[meter] : begins[meter] + meters[meter]] = log_bars[meter, meter]
        is_first[begins[meter]] = 1
    step = np.float32(_STEP)
    best, last = none, (0, 0, 0)
    for t in range(n_frames):
        top[:] = none
        for number in range(n_lengths):
            began = t - lengths[number]
            if began < 0:
                break
            other, more = heard[0, began], heard[1, began] - heard[0, began]
            for chain in range(_CHAINS):
                reached = scores[began, number, chain] + (other + more * is_first[chain])
                ended[number, chain] = reached
                top[chain] = reached if reached > top[chain] else top[chain]
            for chain in range(1, begins[-1] + meters[-1]):  # none leads into those that only fill the row
                into[number, chain] = ended[number, chain - 1]
        for meter in range(len(meters)):
            before, price, most = 0, none, none
            for other_meter in range(len(meters)):
                end = begins[other_meter] + meters[other_meter] - 1
                if top[end] + log_bars[other_meter, meter] > most:
                    before, price, most = end, log_bars[other_meter, meter], top[end] + log_bars[other_meter, meter]
            for number in range(n_lengths):
                into[number, begins[meter]] = ended[number, before] + price
        row = scores[t]
        floor = start if t <= lengths[-1] else nowhere  # the first beat of all
        for number in range(n_lengths):
            below, above = max(0, number - 1), min(n_lengths - 1, number + 1)
            for chain in range(_CHAINS):
                a, b = into[below, chain], into[above, chain]
                moved[number, chain] = (a if a > b else b) + step
        for number in range(1, n_lengths):
            for chain in range(_CHAINS):
                a, b = moved[number, chain], moved[number - 1, chain] - slower[number]
                moved[number, chain] = a if a > b else b
        for number in range(n_lengths - 2, -1, -1):
            for chain in range(_CHAINS):
                a, b = moved[number, chain], moved[number + 1, chain] - slower[number + 1]
                moved[number, chain] = a if a > b else b
        for number in range(n_lengths):
            for chain in range(_CHAINS):
                a, b = into[number, chain], moved[number, chain]
                a = a if a > b else b
                row[number, chain] = a if a > floor[chain] else floor[chain]
        row[: tried[0, t]] = none
        row[tried[1, t] :] = none
        if t >= n_frames - lengths[-1]:
            for number in range(n_lengths):
                if t + lengths[number] >= n_frames:
                    for chain in range(_CHAINS):
                        reached = row[number, chain] + heard[int(is_first[chain]), t]
                        if reached > best:
                            best, last = reached, (t, number, chain)
    return last


@compiled
def _traced(last, heard, lengths, slower, log_bars, begins, meters, scores):  # type: ignore[no-untyped-def]
    """All beats up to the last, by what `_search` left in `scores`: frames, positions, metres, int64 [3, n]."""
    t, number, chain = last
    found = np.empty((3, len(scores) // lengths[0] + 2), np.int64)
    up_to = np.cumsum(slower)
    count = 0
    while True:
        meter = len(meters) - 1
        while begins[meter] > chain:
            meter -= 1
        found[0, count], found[1, count], found[2, count] = t, chain - begins[meter] + 1, meters[meter]
        count += 1
        best, before = np.float32(-np.inf), (0, 0, 0)
        for other in range(len(lengths)):
            began = t - lengths[other]
            if began < 0:
                break
            change = np.float32(0.0)
            if other != number:
                beside = other + 1 if number > other else other - 1
                change = np.float32(_STEP - abs(up_to[number] - up_to[beside]))
            if chain != begins[meter]:
                reached = scores[began, other, chain - 1] + heard[int(chain - 1 == begins[meter]), began] + change
                if reached > best:
                    best, before = reached, (began, other, chain - 1)
            else:
                for other_meter in range(len(meters)):
                    end = begins[other_meter] + meters[other_meter] - 1
                    reached = scores[began, other, end] + heard[0, began] + change + log_bars[other_meter, meter]
                    if reached > best:
                        best, before = reached, (began, other, end)
        # What scores no better than as the first beat of all was that.
        if best < scores[t, number, chain] - 1e-2:
            break
        t, number, chain = before
    return found[:, :count][:, ::-1].copy()
