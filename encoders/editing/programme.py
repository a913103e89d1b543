"""The cheapest way through a track that takes as long as was asked: a dynamic programme over (point, output time).

At each point of the grid one either goes on or jumps, and a jump is followed by some points in a row, so that no two
follow each other at once. Output time is put into bins: of the ways that come to a point within one bin, the cheapest
is kept, with the time at which it does so to the full, so that errors do not add up. After Wenner et al., "Scalable
music: automatic music retargeting and synthesis" (Computer Graphics Forum, 2013), where the states are beats of the
output rather than its time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from encoders.compiling import compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_STATES = 4_000_000
_MOST_STEPS = 60_000_000
"""Jumps that are tried from all states together: beyond, each point has only its cheapest ones."""
_SHORTEST_BIN_S = 0.1


@dataclass(frozen=True, eq=False)
class Jumps:
    """Jumps by where they start: those of point p are ``first[p]`` to ``first[p + 1]`` of the other arrays.

    Attributes
    ----------
    landings : int32, where the jump leads to
    targets : int32, up to where one then goes on without another jump
    costs : float32
    """

    first: NDArray[np.int64]
    landings: NDArray[np.int32]
    targets: NDArray[np.int32]
    costs: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Leg:
    """All ways from one point on, by time; state [bin, point]."""

    bin_s: float
    costs: NDArray[np.float32]
    times_s: NDArray[np.float64]
    came_from: NDArray[np.int64]
    landed_at: NDArray[np.int32]

    def arrivals(self, point: int) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Cost and time of the cheapest way to a point by bin; an infinite cost where there is none."""
        return self.costs[:, point], self.times_s[:, point]

    def way_to(self, point: int, time_bin: int) -> tuple[list[tuple[int, int]], int]:
        """The jumps on the way to a point, in order, and the bin in which the way began."""
        jumps: list[tuple[int, int]] = []
        points = self.costs.shape[1]
        state = time_bin * points + point
        while (before := int(self.came_from.flat[state])) >= 0:
            landing = int(self.landed_at.flat[state])
            if landing >= 0:
                jumps.append((before % points, landing))
            state = before
        return jumps[::-1], state // points


def bins_of(points: int, longest_s: float) -> tuple[float, int]:
    """Length of a bin in seconds, and how many there are up to a time."""
    bin_s = max(_SHORTEST_BIN_S, longest_s * points / MOST_STATES)
    return bin_s, int(longest_s / bin_s) + 1


def usable_jumps(total: NDArray[np.float32], *, stay: int, bins: int) -> Jumps:
    """The cheapest jumps from each point, as many as time allows for.

    Parameters
    ----------
    total : float32 [points, points], from row to column; infinite where there is no jump
    stay : points that follow each other after a jump
    """
    points = len(total)
    each = max(4, int(_MOST_STEPS / (points * bins)))
    landings: list[NDArray[np.int64]] = []
    for row in total:
        possible = np.flatnonzero(np.isfinite(row[: max(0, points - stay)]))
        if len(possible) > each:
            possible = possible[np.argpartition(row[possible], each)[:each]]
        landings.append(np.sort(possible))
    first = np.concatenate([[0], np.cumsum([len(some) for some in landings])]).astype(np.int64)
    joined = np.concatenate(landings)
    starts = np.repeat(np.arange(points), np.diff(first))
    return Jumps(first, joined.astype(np.int32), (joined + stay).astype(np.int32), total[starts, joined])


def leg(
    times_s: NDArray[np.float64],
    jumps: Jumps,
    start: int,
    begun: tuple[NDArray[np.float32], NDArray[np.float64]],
    bin_s: float,
) -> Leg:
    """Find all ways from a point on.

    Parameters
    ----------
    times_s : float64 [points], of the source
    start : the point
    begun : cost and time, by bin, with which one may be there
    """
    bins, points = len(begun[0]), len(times_s)
    costs = np.full((bins, points), np.inf, np.float32)
    times = np.zeros((bins, points))
    came_from, landed_at = np.full((bins, points), -1, np.int64), np.full((bins, points), -1, np.int32)
    costs[:, start], times[:, start] = begun
    _relax(times_s, jumps.first, jumps.landings, jumps.targets, jumps.costs, bin_s, costs, times, came_from, landed_at)
    return Leg(bin_s, costs, times, came_from, landed_at)


@compiled
def _relax(
    times_s: NDArray[np.float64],
    first: NDArray[np.int64],
    landings: NDArray[np.int32],
    targets: NDArray[np.int32],
    jump_costs: NDArray[np.float32],
    bin_s: float,
    costs: NDArray[np.float32],
    times: NDArray[np.float64],
    came_from: NDArray[np.int64],
    landed_at: NDArray[np.int32],
) -> None:  # pragma: no cover - compiled
    bins, points = costs.shape
    for time_bin in range(bins):
        for point in range(points):
            cost = costs[time_bin, point]
            if cost == np.inf:
                continue
            time_s = times[time_bin, point]
            state = time_bin * points + point
            if point + 1 < points:
                then_s = time_s + times_s[point + 1] - times_s[point]
                then = int(then_s / bin_s)
                if then < bins and cost < costs[then, point + 1]:
                    costs[then, point + 1] = cost
                    times[then, point + 1] = then_s
                    came_from[then, point + 1] = state
                    landed_at[then, point + 1] = -1
            for number in range(first[point], first[point + 1]):
                landing, target = landings[number], targets[number]
                then_s = time_s + times_s[target] - times_s[landing]
                then = int(then_s / bin_s)
                if then >= bins or then <= time_bin:
                    continue
                total = cost + jump_costs[number]
                if total < costs[then, target]:
                    costs[then, target] = total
                    times[then, target] = then_s
                    came_from[then, target] = state
                    landed_at[then, target] = landing
