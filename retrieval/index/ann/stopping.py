"""When a search of inverted lists has looked at enough: rules in cosines, measured on the index when it is built.

All cosines are between a query and something: the centroid of a list, or a row. A list is given by its centroid.

- *Reach*, before anything is found: lists whose centroid is further from the query than the nearest centroid by no more
  than a reach hold the k nearest rows. A query amid one cluster has one such list, one between many clusters has many.
- *Gap*, once k rows are found: no list is needed whose centroid is further away than the k-th of them by more than a
  gap. It holds wherever the rows lie that may be found; a reach holds only where they lie as all rows do.
- *Misses*: codes are coarse, so of the rows in the lists some were left out that belong to the best. How many, the
  candidates' own errors tell.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.index.ann.centroids import NO_SCREEN, Screen
from retrieval.index.ann.kernels import effort_for
from retrieval.index.jit import FLOAT, FLOATS, FLOATS_2D, INTS, compiled

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float32]

TUNING_KS = (10, 100, 1_000)
_LOG_KS = tuple(math.log(k) for k in TUNING_KS)
_STEPS = 16


@dataclass(frozen=True)
class Effort:
    """What the first look of a search takes.

    Attributes
    ----------
    nearest : for queries whose nearest centroid has this cosine or more, and no effort above
    reaches : the reach for each of `TUNING_KS`
    gaps : likewise, how much further than the k-th best row so far a centroid may be, the nearest lists coming first
    candidates : rows to rank by their stored vectors, for each result
    usual : cosine of the tenth best row that nearly every such query reaches
    direct_rows : rows of a query's lists up to which they are compared by their vectors at once, without the codes
    """

    nearest: float
    reaches: tuple[float, ...]
    candidates: int
    usual: float = -1.0
    gaps: tuple[float, ...] = (2.0, 2.0, 2.0)
    direct_rows: int = 0


@dataclass(frozen=True)
class Tuning:
    """What a search needs to reach the recall that was asked for at build time; measured on the index itself.

    Attributes
    ----------
    efforts : the nearer the nearest centroid is to a query, the less there is to look at; the last is for any query
    gaps : (cosine, gap), cosines ascending: the median cosine of a k-th best row, and the gap for nearly all of the
        rows that belong to the best k; for each of `TUNING_KS`, and for the best rows of a query's far half
    scan_rows : matching rows up to which all of them are scored, because that is faster
    target : recall@10 that was asked for
    recall : recall@10 reached on held-out rows
    screen : how centroids are compared
    """

    efforts: tuple[Effort, ...]
    gaps: tuple[tuple[float, float], ...] = ((0.0, 1.0), (1.0, 0.0))
    scan_rows: int = 0
    target: float = 0.0
    recall: float = 0.0
    screen: Screen = NO_SCREEN

    @cached_property
    def usual_nearest(self) -> float:
        """The cosine of the nearest centroid that queries have unless they take the last effort."""
        return min((effort.nearest for effort in self.efforts[:-1]), default=-1.0)

    @cached_property
    def nearest(self) -> NDArray[np.float32]:
        """`Effort.nearest` of all but the last effort."""
        return np.array([effort.nearest for effort in self.efforts[:-1]], np.float32)

    @cached_property
    def reaches(self) -> NDArray[np.float32]:
        """`Effort.reaches` [n_efforts, len(TUNING_KS)]."""
        return np.array([effort.reaches for effort in self.efforts], np.float32)

    def least_needed(self, kth: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cosine of a centroid whose list may hold better rows than the k-th best [n_queries]; −inf for −inf."""
        cosines, gaps = self._gaps
        return np.asarray(kth - np.interp(kth, cosines, gaps), np.float32)

    @cached_property
    def _gaps(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        cosines, gaps = zip(*self.gaps, strict=True)
        return np.array(cosines), np.array(gaps)


@compiled(FLOAT, FLOATS)
def for_k(k: float, measured: Floats) -> Any:
    """What was measured for `TUNING_KS`, for another k: a line in log k between (and beyond) them."""
    log_k, part = math.log(k), 1
    if log_k <= _LOG_KS[0]:
        return measured[0]
    while part + 1 < len(measured) and log_k > _LOG_KS[part]:
        part += 1
    slope = (measured[part] - measured[part - 1]) / (_LOG_KS[part] - _LOG_KS[part - 1])
    return measured[part] + slope * (log_k - _LOG_KS[part])


@compiled(FLOAT, FLOATS)
def reach_for(k: float, reaches: Floats) -> Any:
    """The same of a reach: the nearest list is always within it."""
    return max(for_k(k, reaches), 0.0)


@compiled(FLOATS_2D, INTS, FLOATS)
def unsure(cosines: Floats, efforts: Any, usual: Floats) -> Any:
    """The queries that found fewer than k rows, or whose tenth is further than usual for the effort that they need.

    Parameters
    ----------
    cosines : float32 [n, k], best first
    efforts : int64 [n]
    usual : float32 [n_efforts]
    """
    found, n, k = np.empty(len(cosines), np.int64), 0, cosines.shape[1]
    for query in range(len(cosines)):
        if cosines[query, min(k, TUNING_KS[0]) - 1] < usual[efforts[query]] or cosines[query, k - 1] == -np.inf:
            found[n] = query
            n += 1
    return found[:n]


@compiled(FLOATS_2D, FLOATS, FLOATS, FLOAT, FLOATS, FLOATS_2D)
def reach_of_matching(
    cosines: Floats, matching: Floats, sizes: Floats, k: Any, nearest: Floats, reaches: Floats
) -> tuple[Floats, Any]:
    """Down to which cosine those lists go that hold the k nearest of the matching rows.

    Where a third of the rows match, the k-th best match is about the 3k-th best row.

    Parameters
    ----------
    cosines : float32 [n_queries, nlist], of the centroids
    matching, sizes : float32 [nlist], rows of each list that match, and all
    nearest, reaches : of `Tuning`

    Returns
    -------
    floors : float32 [n_queries]
    efforts : int64 [n_queries], which each query needs
    """
    floors, efforts = np.empty(len(cosines), np.float32), np.empty(len(cosines), np.int64)
    for query in range(len(cosines)):
        best = np.float32(-np.inf)
        for number in range(len(matching)):
            best = max(best, cosines[query, number] if matching[number] > 0 else np.float32(-np.inf))
        efforts[query] = effort_for(best, nearest)
        its_reaches = reaches[efforts[query]]
        floor, rows, matches = best - reach_for(k, its_reaches), np.float32(0), np.float32(0)
        for number in range(len(matching)):
            inside = cosines[query, number] >= floor and matching[number] > 0
            rows += sizes[number] if inside else np.float32(0)
            matches += matching[number] if inside else np.float32(0)
        floors[query] = best - reach_for(k * rows / matches, its_reaches)
    return floors, efforts


@compiled(FLOATS_2D, FLOATS_2D, FLOATS, FLOAT)
def candidates_needed(approximate: Floats, cosines: Floats, kth: Floats, misses: float) -> Any:
    """How many candidates there must be for no more misses to be expected, by what those that there are show.

    A miss is a row of the same lists that is better than the k-th best known, and no candidate. Further down, rows
    become more numerous as they do among the candidates, by a factor of e for every `scale` that the codes' cosine
    falls; and each may be nearer than its code says, with the mean and the deviation that the candidates' errors have.

    Parameters
    ----------
    approximate : float32 [n_queries, n], cosines of the candidates by the codes, best first
    cosines : float32 [n_queries, n], by the stored vectors; −inf where there is no candidate, and so no miss
    kth : float32 [n_queries]
    misses : what may be missed, in rows a query

    Returns
    -------
    float64 [n_queries], n where those that there are will do
    """
    n = approximate.shape[1]
    needed = np.full(len(cosines), float(n))
    for query in range(len(cosines)):
        if cosines[query, n - 1] == -np.inf:
            continue
        total = squares = np.float32(0)
        for i in range(n):
            error = cosines[query, i] - approximate[query, i]
            total += error
            squares += error * error
        mean = total / n
        deviation = math.sqrt(max(squares / n - mean * mean, 0.0)) + 1e-6
        last = approximate[query, n - 1]
        scale = (approximate[query, n // 2] - last) / math.log(n / (n // 2 + 1)) + 1e-9
        missed, step = 0.0, 0.5 * deviation
        for steps in range(_STEPS, 0, -1):  # from below, for what is missed further down is missed as well
            z = max(kth[query] - last - mean + steps * step, 0.0) / deviation
            # The normal distribution's upper tail, by an upper bound that is exact at 0 (Abramowitz & Stegun, 7.1.13).
            tail = math.sqrt(2 / math.pi) * math.exp(-z * z / 2) / (z + math.sqrt(z * z + 8 / math.pi))
            growth = math.exp(min(steps * step / scale, 50.0))
            missed += n / scale * growth * step * tail
            if missed > misses:
                needed[query] = n * growth
                break
    return needed
