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
from typing import TYPE_CHECKING

import numpy as np

from retrieval.centroids import NO_SCREEN, Screen

if TYPE_CHECKING:
    from numpy.typing import NDArray

TUNING_KS = (10, 100, 1_000)
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

    def effort_of(self, nearest: NDArray[np.float32]) -> NDArray[np.int64]:
        """Which effort queries need, by the cosine of their nearest centroid [n_queries]."""
        return np.asarray((nearest[:, None] < self._nearest).sum(axis=1), np.int64)

    @cached_property
    def _nearest(self) -> NDArray[np.float32]:
        return np.array([effort.nearest for effort in self.efforts[:-1]], np.float32)


def for_k(k: NDArray[np.float64], measured: tuple[float, ...]) -> NDArray[np.float32]:
    """What was measured for `TUNING_KS`, for other k: a line in log k between (and beyond) them."""
    log_k, log_measured = np.log(k), np.log(TUNING_KS)
    slope = (measured[-1] - measured[-2]) / (log_measured[-1] - log_measured[-2])
    beyond = np.maximum(log_k - log_measured[-1], 0) * slope
    return np.asarray(np.interp(log_k, log_measured, measured) + beyond, np.float32)


def gap(kth: NDArray[np.float32], tuning: Tuning) -> NDArray[np.float32]:
    """How much further from a query than its k-th best row a centroid may be, and its list hold a better one."""
    cosines, gaps = zip(*tuning.gaps, strict=True)
    return np.asarray(np.interp(kth, cosines, gaps), np.float32)


def candidates_needed(
    approximate: NDArray[np.float32], cosines: NDArray[np.float32], kth: NDArray[np.float32], misses: float
) -> NDArray[np.float64]:
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
    every = np.isfinite(cosines[:, -1])
    if not every.all():
        approximate, cosines = (np.where(every[:, None], values, 0) for values in (approximate, cosines))
    error = cosines - approximate
    mean = error.sum(axis=1) / n
    deviation = np.sqrt(np.maximum((error * error).sum(axis=1) / n - mean * mean, 0)) + 1e-6
    last = approximate[:, -1]
    scale = (approximate[:, n // 2] - last) / math.log(n / (n // 2 + 1)) + 1e-9
    step = 0.5 * deviation[:, None]
    below = np.arange(1, _STEPS + 1) * step
    z = np.maximum((kth - last - mean)[:, None] + below, 0) / deviation[:, None]
    # The normal distribution's upper tail, by an upper bound that is exact at 0 (Abramowitz & Stegun, 7.1.13).
    tail = np.sqrt(2 / np.pi) * np.exp(-z * z / 2) / (z + np.sqrt(z * z + 8 / np.pi))
    growth = np.exp(np.minimum(below / scale[:, None], 50))
    missed = n / scale[:, None] * growth * step * tail
    missed_from = np.cumsum(missed[:, ::-1], axis=1)[:, ::-1]
    steps = (missed_from > misses).sum(axis=1)
    needed = n * np.where(steps, np.take_along_axis(growth, np.maximum(steps - 1, 0)[:, None], 1)[:, 0], 1.0)
    return np.asarray(np.where(every, needed, n), np.float64)
