"""Exact search: every vector is scored, a block of them at a time by BLAS, and the best are kept by compiled loops.

Little is done by numpy as long as the loops are not loaded: see :mod:`retrieval.index.loading`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.index import loading
from retrieval.index.faiss_threads import RankedRows, in_blocks, scratch

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

ROWS_AT_ONCE = 1 << 10  # of which the processor's cache holds vectors and cosines
QUERIES_AT_ONCE = 128
FEW_QUERIES = 4  # BLAS is made for more


def scan(
    queries: NDArray[np.float32], vectors: NDArray[np.float32], k: int, numbers: NDArray[np.int64] | None = None
) -> RankedRows:
    """The nearest of these vectors, on all cores.

    Parameters
    ----------
    queries : float32 [n_queries, dim]
    vectors : float32 [n, dim]
    numbers : int64 [n], what each vector is called, −1 leaves it out; by default its place

    Returns
    -------
    numbers and cosines [n_queries, min(k, n)], best first; of equal ones the lower number
    """
    n, k = len(vectors), min(k, len(vectors))
    if not k:
        return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
    queries, vectors = (np.ascontiguousarray(array, np.float32) for array in (queries, vectors))
    numbers = np.arange(n) if numbers is None else numbers
    if not loading.are_worth_it(len(queries) * vectors.size):
        return _best_by_numpy(queries @ vectors.T, numbers, k)
    from retrieval.index import kernels

    parts = [slice(start, start + ROWS_AT_ONCE) for start in range(0, n, ROWS_AT_ONCE)]

    def search(block: NDArray[np.float32]) -> RankedRows:
        if len(block) <= FEW_QUERIES:
            return kernels.best_of_floats(block, vectors, numbers, k)
        return best_of_parts(block, ((numbers[part], vectors[part]) for part in parts), k)

    return in_blocks(search, queries, at_most=QUERIES_AT_ONCE)


def best_of_parts(
    queries: NDArray[np.float32], parts: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]], k: int
) -> RankedRows:
    """The nearest of vectors that come in parts, with their numbers, see `scan`; in the calling thread."""
    from retrieval.index import kernels

    best, cosines = np.full((len(queries), k), -1), np.full((len(queries), k), -np.inf, np.float32)
    for numbers, vectors in parts:
        products = scratch("products", (len(queries), len(vectors)), np.float32)
        kernels.offer(np.matmul(queries, vectors.T, out=products), numbers, best, cosines)
    return kernels.best(best, cosines, k)


def _best_by_numpy(cosines: NDArray[np.float32], numbers: NDArray[np.int64], k: int) -> RankedRows:
    """The k best of cosines [n_queries, n], by the numbers [n] of which −1 leaves one out; as the loops rank them."""
    cosines = np.where(numbers >= 0, cosines, -np.inf)
    order = np.lexsort((np.broadcast_to(numbers, cosines.shape), -cosines))[:, :k]
    ranked = np.take_along_axis(cosines, order, axis=1)
    return np.where(ranked > -np.inf, numbers[order], -1), ranked
