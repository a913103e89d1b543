"""Loops: stretches of whole bars whose end goes on seamlessly into their start.

The bars before and after the end are compared with those before and after the start; where they are alike, the end is
moved until the waveforms around both are, to the part of a sample. Which bars and how is after PyMusicLooper
(github.com/arkrow/PyMusicLooper), the correlation of waveforms is ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from encoders.analysis.findings import Loop
from encoders.analysis.form.alignment import aligned
from encoders.analysis.form.features import SAMPLE_RATE, grid_of, steps_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from encoders.analysis.findings import Rhythm
    from encoders.analysis.form.features import Grid, Sound

MOST_LOOPS = 5

_BEFORE, _AFTER = 4, 8
"""Beats around the start and the end that are compared."""
_AROUND = 1 / (1 + np.array([-1 - n if n < 0 else n for n in range(-_BEFORE, _AFTER)]) / 4)
_WITHIN_BAR = 0.85
"""What the likeness of a beat within a bar counts: where it is the same sound, the bars were wrong."""
_SHORTEST_S, _LONGEST_S = 4.0, 130.0
_MOST_BARS = 64
_MOST_STARTS = 2_000
_REFINED = 12
_REACH_S, _REACH_WITHOUT_BEATS_S = 0.1, 0.3
_HALF_LENGTH_S = 0.5
_SEAM_S, _SEAM_LENGTH = 0.01, 33
"""How far a loop may be moved as a whole, and over how many samples its ends are compared then."""
_UNLIKE = 1.0
"""Squared distance of bars at which their likeness has sunk to 1/e."""
_LEAST_SIMILARITY, _LEAST_WITHIN_BAR = 0.5, 0.93
_SAME, _EXACT = 0.02, 0.0005
"""Similarities that are no further apart are taken for equal: the shorter loop is the better then. What repeats exactly
may hold parts that nearly do: what falls short of 1 by more than twice as much as the best, and more than a waveform
that was stored does, is not its equal."""


@dataclass(frozen=True)
class _Candidate:
    start: int
    end: int
    whole_bars: bool
    likeness: float


def loops(waveform: NDArray[np.float32], sound: Sound, rhythm: Rhythm) -> tuple[Loop, ...]:
    """Find loops, the best first; none in silence, nor in what is too short to repeat.

    The length of a loop is exact where it repeats exactly: ``round((end_s - start_s) · rate)`` samples at the rate of
    the file, from any sample near its start.

    Parameters
    ----------
    waveform : float32 [samples] at 22,050 Hz
    sound : of this waveform
    """
    if sound.is_silent:
        return ()
    grid = grid_of(rhythm, sound.duration_s)
    found = [_refined(waveform, grid, candidate) for candidate in _distinct(_candidates(sound, grid))]
    good = [loop for loop in found if loop is not None]
    best = max((loop.similarity for loop in good), default=0.0)
    least = max(best - _SAME, best - (1 - best) - _EXACT)

    def rank(loop: Loop) -> tuple[bool, float]:
        near = loop.similarity >= least
        return not near, loop.end_s - loop.start_s if near else -loop.similarity

    return tuple(sorted(good, key=rank)[:MOST_LOOPS])


def _candidates(sound: Sound, grid: Grid) -> list[_Candidate]:
    """Pairs of a downbeat and a later beat that are alike, the most alike first."""
    vectors = steps_of(sound, grid).vectors
    squares = np.einsum("ij,ij->i", vectors, vectors)
    is_bar = grid.positions == 1
    bars, downbeats = np.cumsum(is_bar), np.flatnonzero(is_bar)
    lags = range(1, _longest_lag(grid))
    found: list[_Candidate] = []
    for lag in lags:
        starts = downbeats[downbeats + lag < len(vectors)]
        lengths_s = grid.times_s[starts + lag] - grid.times_s[starts]
        counts = bars[starts + lag] - bars[starts]
        usable = (lengths_s >= _SHORTEST_S) & (lengths_s <= _LONGEST_S)
        usable &= (counts <= _MOST_BARS) | (not grid.has_beats)
        starts, counts = starts[usable], counts[usable]
        every = max(1, -(-len(starts) // _MOST_STARTS))
        starts, counts = starts[::every], counts[::every]
        if not len(starts):
            continue
        whole = is_bar[starts + lag]
        likeness = _likeness(vectors, squares, lag)[starts]
        if grid.has_beats:
            likeness *= np.select([~whole, counts % 4 == 0, counts % 2 == 0], [_WITHIN_BAR, 1.0, 0.95], 0.9)
        best = np.argsort(-likeness, kind="stable")[:_REFINED]
        found += [_Candidate(int(starts[n]), int(starts[n]) + lag, bool(whole[n]), float(likeness[n])) for n in best]
    return sorted(found, key=lambda candidate: -candidate.likeness)


def _longest_lag(grid: Grid) -> int:
    """One more than the most steps that may be as long as the longest loop."""
    behind = np.searchsorted(grid.times_s, grid.times_s + _LONGEST_S, "right")
    return int((behind - np.arange(len(behind))).max())


def _likeness(vectors: NDArray[np.float32], squares: NDArray[np.float32], lag: int) -> NDArray[np.float64]:
    """How like the beats around each one are to those around the one so many later, 0 … 1, float64 [n - lag]."""
    products = np.einsum("ij,ij->i", vectors[:-lag], vectors[lag:])
    apart = np.maximum(squares[:-lag] + squares[lag:] - 2 * products, 0).astype(np.float64)
    around = (_BEFORE, _AFTER - 1)
    total = np.correlate(np.pad(apart, around), _AROUND, "valid")
    weights = np.correlate(np.pad(np.ones(len(apart)), around), _AROUND, "valid")
    return np.asarray(np.exp(-total / weights / _UNLIKE))


def _distinct(candidates: list[_Candidate]) -> Iterator[_Candidate]:
    """The first candidates, without those that are another's loop begun elsewhere."""
    taken: list[_Candidate] = []
    for candidate in candidates:
        length = candidate.end - candidate.start
        if all(one.end - one.start != length or abs(candidate.start - one.start) >= length for one in taken):
            taken.append(candidate)
            yield candidate
        if len(taken) == _REFINED:
            return


def _refined(waveform: NDArray[np.float32], grid: Grid, candidate: _Candidate) -> Loop | None:
    """The loop with its end moved to where the waveform is most like that at its start; none where that is nowhere."""
    start, end = np.round(grid.times_s[[candidate.start, candidate.end]] * SAMPLE_RATE).astype(int).tolist()
    reach = round((_REACH_S if grid.has_beats else _REACH_WITHOUT_BEATS_S) * SAMPLE_RATE)
    half_length = round(_HALF_LENGTH_S * SAMPLE_RATE)
    found = aligned((waveform, start), (waveform, end), reach=reach, half_length=half_length)
    length = end + found.shift - start
    moved = start + _seam(waveform, start, round(length))
    if moved + length > len(waveform):
        return None
    similarity = min(1.0, (candidate.likeness + 2 * max(0.0, found.correlation)) / 3)
    if similarity < (_LEAST_SIMILARITY if candidate.whole_bars else _LEAST_WITHIN_BAR):
        return None
    return Loop(moved / SAMPLE_RATE, (moved + length) / SAMPLE_RATE, similarity)


def _seam(waveform: NDArray[np.float32], start: int, length: int) -> int:
    """By how many samples a loop is to be moved as a whole, so that its end meets its start as smoothly as it can."""
    reach, half = round(_SEAM_S * SAMPLE_RATE), _SEAM_LENGTH // 2
    first, last = max(0, start - reach - half), min(len(waveform) - length, start + reach + half + 1)
    if last - first < _SEAM_LENGTH:
        return 0
    apart = np.square(waveform[first:last] - waveform[first + length : last + length])
    roughness = np.convolve(apart, np.ones(_SEAM_LENGTH), "valid")
    return int(roughness.argmin()) + half + first - start
