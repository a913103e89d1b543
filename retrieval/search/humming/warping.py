"""How well a hum fits a stretch of a melody that is played a little faster here and slower there.

Subsequence dynamic time warping (Müller, "Fundamentals of Music Processing", chapter 7) with steps (1, 1), (1, 2) and
(2, 1): a tempo is at most halved or doubled. From a whole tone on a difference counts no more: a wrong note is a
wrong note. Where an octave lies between both, a little counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST = 2.0
"""Semitones from which on a difference is as bad as any."""
_OCTAVE = 0.5
_PASSES = 3


@dataclass(frozen=True)
class Fit:
    """A hum laid upon a melody.

    Attributes
    ----------
    cost : 0 … 1, mean difference
    start, end : steps of the melody, the end not within
    transposition : semitones that the melody is higher than the hum
    """

    cost: float
    start: int
    end: int
    transposition: float


def fitted(
    hum: NDArray[np.float32], weights: NDArray[np.float32], melody: NDArray[np.float32], transposition: float
) -> Fit:
    """Lay a hum upon the part of a melody that it fits best, beginning with a transposition that is about right.

    Parameters
    ----------
    hum, melody : float32 [n], [m], MIDI numbers without rests
    weights : float32 [n], how much each step of the hum counts
    """
    best = Fit(1.0, 0, 0, transposition)
    for _ in range(_PASSES):
        path = np.full(len(hum), -1, np.int64)
        cost = float(_warp(hum + np.float32(transposition), weights, melody, path)) / MOST
        on = path >= 0
        if not np.isfinite(cost) or not on.any():
            return best
        if cost < best.cost:
            first, last = path[on][0], path[on][-1]
            best = Fit(cost, int(first), int(last) + 1, transposition)
        away = melody[path[on]] - hum[on] - transposition
        away -= 12 * np.rint(away / 12) * (np.abs(away) > 6)
        moved = transposition + float(np.median(away))
        if abs(moved - transposition) < 0.05:
            return best
        transposition = moved
    return best


@njit(cache=True, nogil=True, error_model="numpy")
def _warp(hum, weights, melody, path):  # type: ignore[no-untyped-def]
    """The mean weighted difference along the best way, and of each step of the hum, that of the melody into `path`."""
    n, m = len(hum), len(melody)
    total = np.full((n, m), np.inf, np.float32)
    steps = np.zeros((n, m), np.int8)
    cost = np.empty((n, m), np.float32)
    for i in range(n):
        for j in range(m):
            away = abs(hum[i] - melody[j])
            octave = abs(away - 12) + _OCTAVE
            cost[i, j] = weights[i] * min(away, octave, MOST)
    for j in range(m):
        total[0, j] = cost[0, j]
    for i in range(1, n):
        for j in range(1, m):
            best, step = total[i - 1, j - 1], 1
            if j > 1 and total[i - 1, j - 2] < best:
                best, step = total[i - 1, j - 2], 2
            if i > 1 and total[i - 2, j - 1] + cost[i - 1, j] < best:
                best, step = total[i - 2, j - 1] + cost[i - 1, j], 3
            total[i, j] = best + cost[i, j]
            steps[i, j] = step
    end = 0
    for j in range(m):
        if total[n - 1, j] < total[n - 1, end]:
            end = j
    if not np.isfinite(total[n - 1, end]):
        return np.float32(np.inf)
    i, j = n - 1, end
    while True:
        path[i] = j
        if i == 0:
            break
        if steps[i, j] == 1:
            i, j = i - 1, j - 1
        elif steps[i, j] == 2:
            i, j = i - 1, j - 2
        else:
            path[i - 1] = j
            i, j = i - 2, j - 1
    return total[n - 1, end] / weights.sum()
