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

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


RECALL_TARGET = 0.99
"""Recall@10 that an index is tuned to unless another is asked for."""


@dataclass(frozen=True)
class Screen:
    """How centroids are compared first.

    Attributes
    ----------
    axes : along how many principal axes; 0 for all dimensions at once
    slack : how much further behind the nearest a list may seem than it is
    """

    axes: int = 0
    slack: float = 0.0


NO_SCREEN = Screen()


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
    def bounds(self) -> NDArray[np.float32]:
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
