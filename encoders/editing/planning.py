"""Which parts of a track follow each other so that it becomes as long as was asked.

The track begins with its beginning and ends with its end. What is reached by jumping from beat to beat differs from
what was asked by up to a bar or so; the rest is left out at the end, or silence put behind it, which costs something as
well. Where the rules leave no way (a handful of beats, a few seconds), they are relaxed, one after the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from encoders.analysis.form.features import HOP_S, Grid, grid_of
from encoders.editing.costs import LEAST_JUMP, JumpCosts, jump_costs
from encoders.editing.plan import Cut
from encoders.editing.programme import Leg, bins_of, leg, usable_jumps
from encoders.errors import RetargetError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from encoders.analysis.findings import Highlight, Rhythm, Section
    from encoders.analysis.form.features import Sound

SHORTEST_S, LONGEST_S = 1.0, 3600.0
"""Lengths that can be asked for."""

_MOST_POINTS = 2_000
_RULES = ((8, 4.0), (4, 4.0), (2, 4.0), (1, 8.0))
"""Points that follow each other after a jump, and seconds that may be left out at the end: the first rules that leave a
way are taken."""
_SHORT_S = 60.0  # below, half as many points in a row are enough
_TRIM, _PAD, _CUT = 0.3, 0.5, 0.2
"""What a second costs that is left out or added at the end where it is loud, and what it costs to cut there at all."""
_LEAST_USUAL_STAY = 4
_LOST_S, _LOST = 0.06, 1 / 3
"""What each round of a repeated track may lose to the fade into the next, in seconds and of its length."""
_SPARE_S = 40.0  # beyond the highlight, to say how long a track with it is at least
USUAL = 75.0
"""Percentile of a track's own changes of sound from which on a jump is rough."""
_ROUGH, _ROUNDS = 1.0, 5
"""What a jump costs that was heard to be rough, and how often another way is looked for."""


@dataclass(frozen=True, eq=False)
class _Asked:
    """The track, how long it is to be, and the points that all of it is to be kept between."""

    sound: Sound
    grid: Grid
    duration_s: float
    kept: tuple[int, int] | None


@dataclass(frozen=True)
class _Way:
    """Jumps from point to point, in order, and what the end costs."""

    jumps: list[tuple[int, int]]
    end_cost: float


@dataclass(frozen=True, eq=False)
class Draft:
    """Parts of the source in the order of the output, and the cost of each jump between two of them."""

    cuts: tuple[Cut, ...]
    jump_costs: tuple[tuple[float, dict[str, float]], ...]
    grid: Grid

    @property
    def duration_s(self) -> float:
        """How long they are together."""
        return sum(cut.end_s - cut.start_s for cut in self.cuts)


def draft(
    sound: Sound,
    rhythm: Rhythm,
    sections: Sequence[Section],
    duration_s: float,
    keep: Highlight | None = None,
    *,
    heard: Callable[[Draft], Sequence[float]],
) -> Draft:
    """Plan a track of a length: the cheapest way whose end is near it.

    Parameters
    ----------
    heard : says of each jump of a draft how great a change of sound it is once it is cut, as a percentile of the
        track's own; a draft may end before its last jumps

    Raises
    ------
    RetargetError
        If the length is none of :data:`SHORTEST_S` to :data:`LONGEST_S`, or too short for what is to be kept.
    """
    if not SHORTEST_S <= duration_s <= LONGEST_S:
        accepted = f"{SHORTEST_S:g} to {LONGEST_S:g} seconds"
        raise RetargetError("duration_s", f"{duration_s:g} seconds cannot be made", accepted)
    if abs(duration_s - sound.duration_s) < 1e-3:
        return Draft((Cut(0.0, sound.duration_s),), (), grid_of(rhythm, sound.duration_s))
    grid, per_point = _thinned(grid_of(rhythm, sound.duration_s))
    asked = _Asked(sound, grid, duration_s, None if keep is None else _points_around(grid, keep))
    shortest_s: float | None = None
    for stay, most_trimmed_s in _RULES[duration_s < _SHORT_S :]:
        least_jump = LEAST_JUMP // per_point if stay >= _LEAST_USUAL_STAY else stay
        costs = jump_costs(sound, grid, sections, least_jump=max(1, least_jump))
        way, shortest_s = _cheapest(asked, costs.total, stay, most_trimmed_s)
        if way is not None:
            return _smoothest(asked, costs, way, (stay, most_trimmed_s), heard)
    if keep is not None:
        accepted = f"at least {np.ceil(shortest_s or keep.end_s - keep.start_s):g} seconds, or no highlight to keep"
        raise RetargetError("duration_s", f"{duration_s:g} seconds are too short for the highlight", accepted)
    return _repeated(grid, duration_s)


def _thinned(grid: Grid) -> tuple[Grid, int]:
    """A grid of at most so many points: of long tracks the bars, or every so many; and how many points became one."""
    times_s, positions, per_point = grid.times_s, grid.positions, 1
    if len(times_s) > _MOST_POINTS and grid.has_beats:
        bars = np.flatnonzero(positions == 1)
        per_point = max(1, round(len(times_s) / max(1, len(bars))))
        chosen = np.unique(np.concatenate([[0], bars, [len(times_s) - 1]]))
        times_s, positions = times_s[chosen], positions[chosen]
    every = -(-len(times_s) // _MOST_POINTS)
    if every > 1:
        chosen = np.unique(np.concatenate([np.arange(0, len(times_s), every), [len(times_s) - 1]]))
        times_s, positions, per_point = times_s[chosen], positions[chosen], per_point * every
    return Grid(times_s, positions, grid.has_beats), per_point


def _points_around(grid: Grid, keep: Highlight) -> tuple[int, int]:
    """The points between which a highlight lies."""
    start = int(np.searchsorted(grid.times_s, keep.start_s + 0.05, "right")) - 1
    end = int(np.searchsorted(grid.times_s, keep.end_s - 0.05))
    return max(0, start), min(end, len(grid.times_s) - 1)


def _cheapest(
    asked: _Asked, costs: NDArray[np.float32], stay: int, most_trimmed_s: float
) -> tuple[_Way | None, float | None]:
    """The cheapest way to the end, if there is one; and how long the shortest way is, if that is known."""
    grid, kept = asked.grid, asked.kept
    last = len(grid.times_s) - 1
    kept_s = grid.times_s[kept[1]] - grid.times_s[kept[0]] + _SPARE_S if kept else 0.0
    bin_s, bins = bins_of(last + 1, max(asked.duration_s + most_trimmed_s, kept_s))
    jumps = usable_jumps(costs, stay=stay, bins=bins)
    begun = np.full(bins, np.inf, np.float32), np.zeros(bins)
    begun[0][0] = 0.0
    legs = [leg(grid.times_s, jumps, 0, begun, bin_s)]
    if kept is not None:
        behind = _behind(legs[0].arrivals(kept[0]), grid.times_s[kept[1]] - grid.times_s[kept[0]], bin_s)
        legs.append(leg(grid.times_s, jumps, kept[1], behind, bin_s))
    end_costs, end_s = legs[-1].arrivals(last)
    tails = _tail_costs(asked.sound, end_s - asked.duration_s, most_trimmed_s)
    total = end_costs + tails
    reached = np.isfinite(end_costs)
    shortest_s = float(end_s[reached].min()) if reached.any() else None
    best = int(total.argmin())
    return (_Way(_way(legs, asked, best), float(tails[best])) if np.isfinite(total[best]) else None), shortest_s


def _smoothest(
    asked: _Asked,
    costs: JumpCosts,
    first: _Way,
    rule: tuple[int, float],
    heard: Callable[[Draft], Sequence[float]],
) -> Draft:
    """A way's draft, or that of a dearer one, where jumps of the former are rough once they are cut.

    What beats sound like says little of the hundredths of a second around a jump: each way is cut and heard, what is
    rough in it gets dearer, until the cheapest way is known to be smooth, or has been found before.
    """
    way: _Way | None = first
    dearer = costs.total.copy()
    known: set[tuple[int, int]] = set()
    tried: list[tuple[_Way, Draft]] = []
    while way is not None and len(tried) < _ROUNDS:
        drafted = _drafted(asked.grid, costs, way.jumps)
        rough = {jump for jump, share in zip(way.jumps, heard(drafted), strict=False) if share >= USUAL}
        tried.append((way, drafted))
        if rough <= known:
            break
        for jump in rough - known:
            dearer[jump] += _ROUGH
        known |= rough
        way, _ = _cheapest(asked, dearer, *rule)
    totals = [one.end_cost + sum(float(dearer[jump]) for jump in one.jumps) for one, _ in tried]
    return tried[int(np.argmin(totals))][1]


def _behind(
    arrivals: tuple[NDArray[np.float32], NDArray[np.float64]], length_s: float, bin_s: float
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Costs and times behind a stretch that is played as a whole, from those before it, by bin."""
    costs, times_s = arrivals
    behind, behind_s = np.full_like(costs, np.inf), np.zeros_like(times_s)
    for number in np.flatnonzero(np.isfinite(costs)):
        then_s = times_s[number] + length_s
        then = int(then_s / bin_s)
        if then < len(costs) and costs[number] < behind[then]:
            behind[then], behind_s[then] = costs[number], then_s
    return behind, behind_s


def _way(legs: list[Leg], asked: _Asked, time_bin: int) -> list[tuple[int, int]]:
    """All jumps on the way to the end."""
    times_s = asked.grid.times_s
    jumps, begun = legs[-1].way_to(len(times_s) - 1, time_bin)
    if asked.kept is None:
        return jumps
    start, end = asked.kept
    costs, reached_s = legs[0].arrivals(start)
    before_s = legs[1].times_s[begun, end] - (times_s[end] - times_s[start])
    there = np.flatnonzero(np.isfinite(costs) & (np.abs(reached_s - before_s) < 1e-6))
    return legs[0].way_to(start, int(there[costs[there].argmin()]))[0] + jumps


def _tail_costs(sound: Sound, too_long_s: NDArray[np.float64], most_s: float) -> NDArray[np.float64]:
    """What it costs to leave out so many seconds at the end, or to put silence there where they are negative."""
    amplitude = 10 ** (sound.loudness_db / 20)
    loud = amplitude / max(float(np.percentile(amplitude, 90)), 1e-9)
    behind = np.concatenate([[0.0], np.cumsum(loud[::-1])]) * HOP_S  # loudness of the last n frames
    frames = np.round(np.maximum(too_long_s, 0) / HOP_S).astype(int).clip(0, len(loud) - 1)
    trimmed = _TRIM * behind[frames] + _CUT * loud[::-1][frames] * np.minimum(frames, 1) + 0.02 * too_long_s
    padded = -_PAD * too_long_s + _CUT * loud[-3:].mean()
    costs = np.where(too_long_s >= 0, trimmed, padded)
    return np.where((too_long_s > most_s) | (too_long_s < -most_s / 2), np.inf, costs)


def _drafted(grid: Grid, costs: JumpCosts, way: list[tuple[int, int]]) -> Draft:
    times_s = grid.times_s
    points = [0, *(point for jump in way for point in jump), len(times_s) - 1]
    cuts = tuple(Cut(float(times_s[a]), float(times_s[b])) for a, b in zip(points[::2], points[1::2], strict=True))
    return Draft(cuts, tuple((float(costs.total[jump]), costs.parts_of(*jump)) for jump in way), grid)


def _repeated(grid: Grid, duration_s: float) -> Draft:
    """The whole track over and over, as often as is enough with every splice in it: what has no place to jump to."""
    length_s = float(grid.times_s[-1])
    rounds = int(np.ceil(duration_s / (length_s - min(_LOST_S, length_s * _LOST))))
    return Draft((Cut(0.0, length_s),) * rounds, ((0.0, {}),) * (rounds - 1), grid)
