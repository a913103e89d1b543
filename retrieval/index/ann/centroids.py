"""Which inverted lists lie near a query: the centroids, compared along few axes first.

Vectors of music vary along few directions (principal components: Jolliffe, 2002, ch. 2), so the first of these tell
near centroids from far ones at a fraction of the cost. Only those that seem near enough, give or take a slack that is
measured when the index is built, are compared in all dimensions.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.index import kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrieval.index.ann.stopping import Screen


class Centroids:
    """Centroids float32 [nlist, dim] of unit vectors."""

    def __init__(self, vectors: NDArray[np.float32], screen: Screen) -> None:
        self.vectors, self._screen = vectors, screen
        if screen.axes:
            _, directions = np.linalg.eigh(vectors.T @ vectors)
            self._axes = np.ascontiguousarray(directions[:, : -screen.axes - 1 : -1].T)
            self._along = vectors @ self._axes.T

    def screened(self, screen: Screen) -> Centroids:
        """The same centroids, compared in another way."""
        return self if screen == self._screen else Centroids(self.vectors, screen)

    def cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner products of queries [n, dim] with all centroids, float32 [n, nlist]."""
        cosines: NDArray[np.float32] = queries @ self.vectors.T
        return cosines

    def coarse(self, queries: NDArray[np.float32], usual: float) -> kernels.CoarseCosines:
        """The cosines of all centroids along the axes; in all dimensions where even the nearest is below `usual`."""
        if not self._screen.axes:
            cosines = self.cosines(queries)
            compared = cosines, cosines.argmax(axis=1), cosines.max(axis=1), np.ones(len(queries), bool)
        elif len(queries) == 1:  # of a single query each call counts
            compared = kernels.coarse_cosines(queries, self._axes, self._along, self.vectors, usual)
        else:
            cosines = (queries @ self._axes.T) @ self._along.T
            nearest = cosines.argmax(axis=1)
            nearest_cosines = np.einsum("qd,qd->q", queries, self.vectors[nearest])
            exact = nearest_cosines < usual
            if exact.any():
                cosines[exact] = self.cosines(queries[exact])
                nearest[exact], nearest_cosines[exact] = cosines[exact].argmax(axis=1), cosines[exact].max(axis=1)
            compared = cosines, nearest, nearest_cosines, exact
        return *compared, self.vectors, self._screen.slack
