"""The k best rows of queries: heaps of rows and cosines, whose worst comes first, and the loops that fill them.

Of equal cosines the lower row is the better. Where a heap holds fewer than k rows, the row is −1 and its cosine −inf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.index.kernels.compiling import (
    FLOATS_2D,
    FLOATS_2D_TO_WRITE,
    HALVES,
    INT,
    INTS,
    INTS_2D,
    INTS_2D_TO_WRITE,
    compiled,
)
from retrieval.index.kernels.scoring import dot, dot_with_halves, fetch_row, fetch_rows, rows_ahead

if TYPE_CHECKING:
    from typing import Any

    from retrieval.index.kernels.compiling import Floats, Halves, Ints, ShortInts

_AT_ONCE = 64


@compiled()
def any_from(floor: float, values: Floats) -> Any:
    """Whether any value is as high as the floor."""
    count = np.int32(0)  # one comparison for many values, as no way out of the loop allows
    for value in values:
        count += np.int32(value >= floor)
    return count > 0


@compiled()
def _is_better(cosine: float, row: int, other_cosine: float, other_row: int) -> bool:
    return cosine > other_cosine or (cosine == other_cosine and row < other_row)


@compiled()
def _put(rows: Ints, cosines: Floats, size: int, row: int, cosine: float) -> None:
    """Put a row in the place of the worst of the first ones of a heap."""
    place, child = 0, 1
    while child < size:
        if child + 1 < size and _is_better(cosines[child], rows[child], cosines[child + 1], rows[child + 1]):
            child += 1
        if _is_better(cosines[child], rows[child], cosine, row):
            break
        rows[place], cosines[place] = rows[child], cosines[child]
        place, child = child, 2 * child + 1
    rows[place], cosines[place] = row, cosine


@compiled()
def _offer(rows: Ints, cosines: Floats, row: int, cosine: float) -> None:
    """Put a row into a heap if it belongs there."""
    if _is_better(cosine, row, cosines[0], rows[0]):
        _put(rows, cosines, len(rows), row, cosine)


@compiled()
def empty_heaps(n: int, k: int) -> tuple[Ints, Floats]:
    """Rows and cosines [n, k]."""
    return np.full((n, k), -1, np.int64), np.full((n, k), -np.inf, np.float32)


@compiled()
def offer_stored(
    query: Floats, vectors: Halves, candidates: Ints | ShortInts, first: int, last: int, rows: Ints, cosines: Floats
) -> None:
    """Offer a heap the candidates from first to last, by their stored vectors."""
    ahead = rows_ahead(vectors)
    fetch_rows(vectors, candidates[first : min(first + ahead, last)])
    for i in range(first, last):
        # Written out wherever it is needed: as a function of its own it makes ranking take up to twice as long.
        if i + ahead < len(candidates):
            fetch_row(vectors, candidates[i + ahead])
        _offer(rows, cosines, candidates[i], dot_with_halves(query, vectors, candidates[i]))


@compiled()
def sort_heap(rows: Ints, cosines: Floats) -> None:
    """Best first."""
    for size in range(len(rows) - 1, 0, -1):  # the worst of those left goes to their end
        row, cosine = rows[size], cosines[size]
        rows[size], cosines[size] = rows[0], cosines[0]
        _put(rows, cosines, size, row, cosine)


@compiled(INTS_2D, FLOATS_2D, INT)
def best(rows: Ints, cosines: Floats, k: int) -> tuple[Ints, Floats]:
    """The k best of rows [n_queries, n], of which −1 is none, by their cosines; best first."""
    best_rows, best_cosines = empty_heaps(len(rows), k)
    for query in range(len(rows)):
        for i in range(rows.shape[1]):
            if rows[query, i] >= 0:
                _offer(best_rows[query], best_cosines[query], rows[query, i], cosines[query, i])
        sort_heap(best_rows[query], best_cosines[query])
    return best_rows, best_cosines


@compiled(FLOATS_2D, INTS, INTS_2D_TO_WRITE, FLOATS_2D_TO_WRITE)
def offer(cosines: Floats, rows: Ints, best_rows: Ints, best_cosines: Floats) -> None:
    """Put rows into the heaps of queries that they belong into, which `best` sorts in the end.

    Parameters
    ----------
    cosines : [n_queries, m], of each query with each row
    rows : [m], −1 leaves one out
    best_rows, best_cosines : [n_queries, k], −1 and −inf at first
    """
    for query in range(len(cosines)):
        for first in range(0, len(rows), _AT_ONCE):
            last = min(first + _AT_ONCE, len(rows))
            if any_from(best_cosines[query, 0], cosines[query, first:last]):
                for i in range(first, last):
                    if rows[i] >= 0:
                        _offer(best_rows[query], best_cosines[query], rows[i], cosines[query, i])


@compiled(FLOATS_2D, FLOATS_2D, INTS, INT)
def best_of_floats(queries: Floats, vectors: Floats, rows: Ints, k: int) -> tuple[Ints, Floats]:
    """The k best of vectors [m, dim] for a few queries, by the rows that they are [m], of which −1 leaves one out."""
    best_rows, best_cosines = empty_heaps(len(queries), k)
    for query in range(len(queries)):
        for i in range(len(rows)):
            if rows[i] >= 0:
                _offer(best_rows[query], best_cosines[query], rows[i], dot(queries[query], vectors, i))
        sort_heap(best_rows[query], best_cosines[query])
    return best_rows, best_cosines


@compiled(FLOATS_2D, HALVES, INTS, INT)
def best_of_halves(queries: Floats, vectors: Halves, rows: Ints, k: int) -> tuple[Ints, Floats]:
    """The k best of some rows [m] of the stored vectors for a few queries."""
    best_rows, best_cosines = empty_heaps(len(queries), k)
    for query in range(len(queries)):
        offer_stored(queries[query], vectors, rows, 0, len(rows), best_rows[query], best_cosines[query])
        sort_heap(best_rows[query], best_cosines[query])
    return best_rows, best_cosines
