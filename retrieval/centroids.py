"""Which inverted lists lie near a query: the centroids, compared along few axes first.

Vectors of music vary along few directions (principal components: Jolliffe, 2002, ch. 2), so the first of these tell
near centroids from far ones at a fraction of the cost. Only those that seem near enough, give or take a slack that is
measured when the index is built, are compared in all dimensions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.faiss_threads import faiss

if TYPE_CHECKING:
    from numpy.typing import NDArray

_VALUES_AT_ONCE = 1 << 16


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
    greatest : float32 [n_queries], the greatest of these
    nearest : float32 [n_queries], the true cosine of the centroid that seems nearest
    exact : bool [n_queries], whether `cosines` are the true ones
    """

    cosines: NDArray[np.float32]
    greatest: NDArray[np.float32]
    nearest: NDArray[np.float32]
    exact: NDArray[np.bool_]


@dataclass(frozen=True)
class Lists:
    """Lists of queries: pairs, in the order of the queries.

    Attributes
    ----------
    query, number : int64 [pairs], which query and which list
    cosine : float32 [pairs], of the list's centroid
    """

    query: NDArray[np.int64]
    number: NDArray[np.int64]
    cosine: NDArray[np.float32]

    @classmethod
    def marked(cls, lists: NDArray[np.bool_], cosines: NDArray[np.float32]) -> Lists:
        """Those of a mask over cosines [n_queries, nlist]."""
        at = lists.ravel().nonzero()[0]
        query, number = np.divmod(at, lists.shape[1])
        return cls(query, number, cosines.ravel()[at])

    def where(self, pairs: NDArray[np.bool_]) -> Lists:
        """Some of the pairs."""
        return Lists(self.query[pairs], self.number[pairs], self.cosine[pairs])

    def of(self, queries: NDArray[np.int64], n_queries: int) -> Lists:
        """Those of some of the queries, which are numbered anew."""
        if len(queries) == n_queries:
            return self
        place = np.full(n_queries, -1)
        place[queries] = np.arange(len(queries))
        query = place[self.query]
        pairs = query >= 0
        return Lists(query[pairs], self.number[pairs], self.cosine[pairs])

    def mask(self, shape: tuple[int, ...]) -> NDArray[np.bool_]:
        """True at the pairs, bool [n_queries, nlist]."""
        mask = np.zeros(shape, bool)
        mask[self.query, self.number] = True
        return mask

    def padded(self, n_queries: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """The numbers [n_queries, most], padded with −1, and their cosines."""
        if n_queries == 1:
            return self.number[np.newaxis], self.cosine[np.newaxis]
        counts = np.bincount(self.query, minlength=n_queries)
        place = np.arange(counts.max()) < counts[:, None]
        numbers, cosines = np.full(place.shape, -1, np.int64), np.zeros(place.shape, np.float32)
        numbers[place], cosines[place] = self.number, self.cosine
        return numbers, cosines


class Centroids:
    """Centroids float32 [nlist, dim] of unit vectors."""

    def __init__(self, vectors: NDArray[np.float32], screen: Screen) -> None:
        self._vectors, self._screen = vectors, screen
        if screen.axes:
            _, directions = np.linalg.eigh(vectors.T @ vectors)
            self._axes = np.ascontiguousarray(directions[:, : -screen.axes - 1 : -1].T)
            self._along = _products(vectors, self._axes)

    def screened(self, screen: Screen) -> Centroids:
        """The same centroids, compared in another way."""
        return self if screen == self._screen else Centroids(self._vectors, screen)

    def cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner products of queries [n, dim] with all centroids, float32 [n, nlist]."""
        return _products(queries, self._vectors)

    def seen(self, queries: NDArray[np.float32], usual: float) -> Seen:
        """All centroids along the axes; as they are where even the nearest is further than usual."""
        if not self._screen.axes:
            cosines = self.cosines(queries)
            nearest = cosines.max(axis=1)
            return Seen(cosines, nearest, nearest, np.ones(len(queries), bool))
        cosines = _products(_products(queries, self._axes), self._along)
        place = np.arange(len(queries)), cosines.argmax(axis=1)
        greatest, nearest = cosines[place], self._cosines_of(queries, *place)
        exact = nearest < usual
        if exact.any():
            cosines[exact] = self.cosines(queries[exact])
            greatest[exact] = nearest[exact] = cosines[exact].max(axis=1)
        return Seen(cosines, greatest, nearest, exact)

    def within(self, queries: NDArray[np.float32], seen: Seen, reaches: NDArray[np.float32]) -> Lists:
        """The lists whose centroid is further from a query than the nearest by no more than its reach [n]."""
        about = seen.cosines >= (seen.greatest - reaches - self._screen.slack * ~seen.exact)[:, None]
        lists = Lists.marked(about, seen.cosines)
        if seen.exact.all():
            return lists
        inexact = np.flatnonzero(~seen.exact[lists.query]) if seen.exact.any() else slice(None)
        lists.cosine[inexact] = self._cosines_of(queries, lists.query[inexact], lists.number[inexact])
        starts = np.searchsorted(lists.query, np.arange(len(queries)))
        nearest = np.maximum.reduceat(lists.cosine, starts)  # every query has the one that seemed nearest
        return lists.where(lists.cosine >= (nearest - reaches)[lists.query])

    def _cosines_of(
        self, queries: NDArray[np.float32], query: NDArray[np.int64], number: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        """Cosines of pairs of a query and a list."""
        if len(queries) == 1:
            return np.asarray(self._vectors[number] @ queries[0], np.float32)
        cosines = np.empty(len(query), np.float32)
        step = max(1, _VALUES_AT_ONCE // queries.shape[1])
        for start in range(0, len(query), step):
            some = slice(start, start + step)
            np.einsum("nd,nd->n", queries[query[some]], self._vectors[number[some]], out=cosines[some])
        return cosines


def _products(some: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    # Not numpy's product: its threads spin as FAISS's do, and there is no calling them off.
    products: NDArray[np.float32] = faiss.pairwise_distances(some, others, metric=faiss.METRIC_INNER_PRODUCT)
    return products
