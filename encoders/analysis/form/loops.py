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
_LEAST_SIMILARITY = 0.5
_SAME = 0.02
"""Similarities that are no further apart are taken for equal: the shorter loop is the better then."""


@dataclass(frozen=True)
class _Candidate:
    start: int
    end: int
    bars: int
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
    good = [loop for loop in found if loop is not None and loop.similarity >= _LEAST_SIMILARITY]
    best = max((loop.similarity for loop in good), default=0.0)

    def rank(loop: Loop) -> tuple[bool, float]:
        near = loop.similarity >= best - _SAME
        return not near, loop.end_s - loop.start_s if near else -loop.similarity

    return tuple(sorted(good, key=rank)[:MOST_LOOPS])


def _candidates(sound: Sound, grid: Grid) -> list[_Candidate]:
    """Pairs of downbeats that are alike, the most alike first."""
    vectors = steps_of(sound, grid).vectors
    bars = np.flatnonzero(grid.positions == 1)
    found: list[_Candidate] = []
    for count in range(1, min(_MOST_BARS if grid.has_beats else round(_LONGEST_S / 0.5), len(bars) - 1) + 1):
        starts, ends = bars[:-count], bars[count:]
        lengths_s = grid.times_s[ends] - grid.times_s[starts]
        usable = (lengths_s >= _SHORTEST_S) & (lengths_s <= _LONGEST_S) & (ends < len(vectors))
        starts, ends = starts[usable], ends[usable]
        if not len(starts):
            continue
        every = -(-len(starts) // _MOST_STARTS)
        starts, ends = starts[::every], ends[::every]
        likeness = _likeness(vectors, starts, ends)
        if grid.has_beats:
            likeness = likeness * (1.0 if count % 4 == 0 else 0.95 if count % 2 == 0 else 0.9)
        best = np.argsort(-likeness, kind="stable")[:_REFINED]
        found += [_Candidate(int(starts[n]), int(ends[n]), count, float(likeness[n])) for n in best]
    return sorted(found, key=lambda candidate: -candidate.likeness)


def _likeness(vectors: NDArray[np.float32], starts: NDArray[np.int64], ends: NDArray[np.int64]) -> NDArray[np.float64]:
    """How like the beats around each start are to those around its end, 0 … 1, float64 [pairs]."""
    total, weights = np.zeros(len(starts)), np.zeros(len(starts))
    for offset in range(-_BEFORE, _AFTER):
        weight = 1 / (1 + (offset if offset >= 0 else -1 - offset) / 4)
        there = (starts + offset >= 0) & (ends + offset < len(vectors))
        apart = vectors[(starts + offset)[there]] - vectors[(ends + offset)[there]]
        total[there] += weight * np.einsum("ij,ij->i", apart, apart)
        weights[there] += weight
    return np.asarray(np.exp(-total / weights / _UNLIKE))


def _distinct(candidates: list[_Candidate]) -> Iterator[_Candidate]:
    """The first candidates, without those that are another's loop begun elsewhere."""
    taken: list[_Candidate] = []
    for candidate in candidates:
        length = candidate.end - candidate.start
        if all(candidate.bars != one.bars or abs(candidate.start - one.start) >= length for one in taken):
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
    similarity = (candidate.likeness + 2 * max(0.0, found.correlation)) / 3
    return Loop(moved / SAMPLE_RATE, (moved + length) / SAMPLE_RATE, min(1.0, similarity))


def _seam(waveform: NDArray[np.float32], start: int, length: int) -> int:
    """By how many samples a loop is to be moved as a whole, so that its end meets its start as smoothly as it can."""
    reach, half = round(_SEAM_S * SAMPLE_RATE), _SEAM_LENGTH // 2
    first, last = max(0, start - reach - half), min(len(waveform) - length, start + reach + half + 1)
    if last - first < _SEAM_LENGTH:
        return 0
    apart = np.square(waveform[first:last] - waveform[first + length : last + length])
    roughness = np.convolve(apart, np.ones(_SEAM_LENGTH), "valid")
    return int(roughness.argmin()) + half + first - start
