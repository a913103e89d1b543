"""Which inverted lists lie near a query: the centroids, compared along few axes first.

Vectors of music vary along few directions (principal components: Jolliffe, 2002, ch. 2), so the first of these tell
near centroids from far ones at a fraction of the cost. Only those that seem near enough, give or take a slack that is
measured when the index is built, are compared in all dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.index.ann import kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray


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
class Seen:
    """How far the centroids of all lists seem from queries.

    Attributes
    ----------
    cosines : float32 [n_queries, nlist]
    first : int64 [n_queries], which centroid seems nearest
    nearest : float32 [n_queries], its true cosine
    exact : bool [n_queries], whether `cosines` are the true ones
    """

    cosines: NDArray[np.float32]
    first: NDArray[np.int64]
    nearest: NDArray[np.float32]
    exact: NDArray[np.bool_]


@dataclass(frozen=True)
class Lists:
    """Lists of queries, those of one query after those of the other.

    Attributes
    ----------
    starts : int64 [n_queries + 1], where those of each query begin
    numbers : int64 [m], which lists
    cosines : float32 [m], of their centroids
    """

    starts: NDArray[np.int64]
    numbers: NDArray[np.int64]
    cosines: NDArray[np.float32]

    @property
    def n_queries(self) -> int:
        """How many queries they are of."""
        return len(self.starts) - 1

    def padded(self, some: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The numbers [len(some), most] of some of the queries, padded with −1, and their cosines."""
        numbers: NDArray[np.int64]
        cosines: NDArray[np.float32]
        numbers, cosines = kernels.padded(self.starts, self.numbers, self.cosines, some)
        return numbers, cosines


class Centroids:
    """Centroids float32 [nlist, dim] of unit vectors."""

    def __init__(self, vectors: NDArray[np.float32], screen: Screen) -> None:
        self.vectors, self._screen = vectors, screen
        if screen.axes:
            _, directions = np.linalg.eigh(vectors.T @ vectors)
            self._axes = np.ascontiguousarray(directions[:, : -screen.axes - 1 : -1].T)
            self._along = _products(vectors, self._axes)

    def screened(self, screen: Screen) -> Centroids:
        """The same centroids, compared in another way."""
        return self if screen == self._screen else Centroids(self.vectors, screen)

    def cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner products of queries [n, dim] with all centroids, float32 [n, nlist]."""
        return _products(queries, self.vectors)

    def seen(self, queries: NDArray[np.float32], usual: float) -> Seen:
        """All centroids along the axes; as they are where even the nearest is further than usual."""
        if not self._screen.axes:
            cosines = self.cosines(queries)
            return Seen(cosines, cosines.argmax(axis=1), cosines.max(axis=1), np.ones(len(queries), bool))
        if len(queries) == 1:  # of a single query each call counts
            return Seen(*kernels.seen_along(queries, self._axes, self._along, self.vectors, usual))
        cosines = (queries @ self._axes.T) @ self._along.T
        first = cosines.argmax(axis=1)
        nearest = kernels.cosines_with(queries, self.vectors, first)
        exact = nearest < usual
        if exact.any():
            cosines[exact] = self.cosines(queries[exact])
            first[exact], nearest[exact] = cosines[exact].argmax(axis=1), cosines[exact].max(axis=1)
        return Seen(cosines, first, nearest, exact)

    def within(
        self, queries: NDArray[np.float32], seen: Seen, reaches: NDArray[np.float32], some: NDArray[np.int64]
    ) -> Lists:
        """Of some queries, the lists whose centroid is further than the nearest by no more than their reach [n]."""
        shown = seen.cosines, seen.first, seen.exact
        return Lists(*kernels.lists_within(queries, self.vectors, *shown, reaches, self._screen.slack, some))


def _products(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    products: NDArray[np.float32] = kernels.products(some, others) if len(some) == 1 else some @ others.T
    return products
