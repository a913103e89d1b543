"""The inner loops of a search of inverted lists.

Stored vectors are halves, given by their bits as uint16 [count, dim]. They lie where they were added, those of a list
far apart, so each is fetched from memory some turns before it is read, which makes ranking them twice as fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.compiled import (
    BYTES,
    FLAGS,
    FLOAT,
    FLOATS,
    FLOATS_2D,
    HALVES,
    INT,
    INTS,
    INTS_2D,
    SHORT_INTS,
    compiled,
    fetch,
    widened,
)

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray

    Bits = NDArray[np.uint8]
    Flags = NDArray[np.bool_]
    Floats = NDArray[np.float32]
    Halves = NDArray[np.uint16]
    Ints = NDArray[np.int64]
    ShortInts = NDArray[np.int32]

_AHEAD = 16
_HALVES_A_LINE = 32  # of the processor's cache
_AT_ONCE = 64
_NO_ROW = np.iinfo(np.int64).max  # worse than any


@compiled()
def _dot(query: Floats, vectors: Floats, row: int) -> Any:
    total = np.float32(0)  # a row taken out of its array would be counted as one that refers to it
    for axis in range(len(query)):
        total += query[axis] * vectors[row, axis]
    return total


@compiled()
def _dot_with_halves(query: Floats, vectors: Halves, row: int) -> Any:
    total = np.float32(0)
    for axis in range(len(query)):
        total += query[axis] * widened(vectors[row, axis])
    return total


@compiled()
def _any_from(floor: float, values: Floats) -> Any:
    count = np.int32(0)  # one comparison for many values, as no way out of the loop allows
    for value in values:
        count += np.int32(value >= floor)
    return count > 0


@compiled()
def _append(candidates: ShortInts, size: int, rows: ShortInts, bits: Bits) -> int:
    """Those rows that may be found behind the candidates there are, as far as there is room; returns how many then."""
    if len(bits) == 0:
        if size + len(rows) <= len(candidates):
            candidates[size : size + len(rows)] = rows
        return size + len(rows)
    for row in rows:
        if (bits[row >> 3] >> (row & 7)) & 1:
            if size < len(candidates):
                candidates[size] = row
            size += 1
    return size


@compiled()
def _is_better(cosine: float, row: int, other_cosine: float, other_row: int) -> bool:
    return cosine > other_cosine or (cosine == other_cosine and row < other_row)


@compiled()
def _begin(rows: Ints, cosines: Floats) -> None:
    """An empty heap, whose worst comes first."""
    rows[:] = _NO_ROW
    cosines[:] = -np.inf


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
def _rank(
    query: Floats, vectors: Halves, candidates: Ints | ShortInts, first: int, last: int, rows: Ints, cosines: Floats
) -> None:
    """Put those of the candidates from first to last into a heap that belong there."""
    for i in range(first, last):
        if i + _AHEAD < len(candidates):
            for column in range(0, len(query), _HALVES_A_LINE):
                fetch(vectors, candidates[i + _AHEAD], column)
        row, cosine = candidates[i], _dot_with_halves(query, vectors, candidates[i])
        if _is_better(cosine, row, cosines[0], rows[0]):
            _put(rows, cosines, len(rows), row, cosine)


@compiled()
def _finish(rows: Ints, cosines: Floats) -> None:
    """Sort a heap, best first; −1 where there is no row."""
    for size in range(len(rows) - 1, 0, -1):  # the worst of those left goes to their end
        row, cosine = rows[size], cosines[size]
        rows[size], cosines[size] = rows[0], cosines[0]
        _put(rows, cosines, size, row, cosine)
    for place in range(len(rows)):
        if rows[place] == _NO_ROW:
            rows[place] = -1


@compiled(FLOATS_2D, FLOATS_2D)
def products(some: Floats, others: Floats) -> Floats:
    """Inner products [n, m] of a few vectors [n, dim] with many [m, dim]; for many with many there is BLAS."""
    found = np.empty((len(some), len(others)), np.float32)
    for i in range(len(some)):
        for j in range(len(others)):
            found[i, j] = _dot(some[i], others, j)
    return found


@compiled(FLOATS_2D, FLOATS_2D, FLOATS_2D, FLOATS)
def nearest_cosines(queries: Floats, centroids: Floats, seen: Floats, greatest: Floats) -> Floats:
    """The true cosine [n] of the centroid that is seen as the nearest [n, nlist], at the greatest cosine [n]."""
    cosines = np.empty(len(queries), np.float32)
    for query in range(len(queries)):
        number = 0
        while not _any_from(greatest[query], seen[query, number : number + _AT_ONCE]):
            number += _AT_ONCE
        while seen[query, number] < greatest[query]:
            number += 1
        cosines[query] = _dot(queries[query], centroids, number)
    return cosines


@compiled(FLOATS_2D, FLOATS_2D, FLOATS_2D, FLOATS, FLAGS, FLOATS, FLOAT)
def lists_within(
    queries: Floats, centroids: Floats, seen: Floats, greatest: Floats, exact: Flags, reaches: Floats, slack: float
) -> tuple[Ints, Ints, Floats]:
    """Lists no further than a reach [n] behind the nearest; those that seem so, give or take the slack, are compared.

    Returns
    -------
    starts : int64 [n + 1], where in what follows the lists of each query begin
    numbers : int64 [m]
    cosines : float32 [m], of their centroids
    """
    n, nlist = seen.shape
    # Room for all lists: what is never written is never given memory.
    starts, numbers, cosines = np.zeros(n + 1, np.int64), np.empty(n * nlist, np.int64), np.empty(n * nlist, np.float32)
    end = 0
    for query in range(n):
        start, floor = end, greatest[query] - reaches[query] - (np.float32(0) if exact[query] else slack)
        for first in range(0, nlist, _AT_ONCE):
            last = min(first + _AT_ONCE, nlist)
            if not _any_from(floor, seen[query, first:last]):
                continue
            for number in range(first, last):
                if seen[query, number] >= floor:
                    numbers[end] = number
                    cosines[end] = seen[query, number] if exact[query] else _dot(queries[query], centroids, number)
                    end += 1
        if not exact[query]:
            nearest = cosines[start]
            for i in range(start, end):
                nearest = max(nearest, cosines[i])
            kept = start
            for i in range(start, end):
                if cosines[i] >= nearest - reaches[query]:
                    numbers[kept], cosines[kept] = numbers[i], cosines[i]
                    kept += 1
            end = kept
        starts[query + 1] = end
    return starts, numbers[:end], cosines[:end]


@compiled(FLOATS_2D, HALVES, INTS_2D)
def cosines_of(queries: Floats, vectors: Halves, candidates: Ints) -> Floats:
    """Cosines [n, m] of the candidates of queries; −inf where there is none."""
    cosines = np.empty(candidates.shape, np.float32)
    for query in range(len(queries)):
        for i in range(candidates.shape[1]):
            row = candidates[query, i]
            cosines[query, i] = _dot_with_halves(queries[query], vectors, row) if row >= 0 else -np.inf
    return cosines


@compiled(FLOATS_2D, HALVES, INTS_2D, INT)
def best_of(queries: Floats, vectors: Halves, candidates: Ints, k: int) -> tuple[Ints, Floats]:
    """The best k of the candidates [n, m] of queries, of which −1 is none; rows and cosines [n, k]."""
    rows, cosines = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    known = np.empty(candidates.shape[1], np.int64)
    for query in range(len(queries)):
        n = 0
        for row in candidates[query]:
            if row >= 0:
                known[n] = row
                n += 1
        _begin(rows[query], cosines[query])
        _rank(queries[query], vectors, known[:n], 0, n, rows[query], cosines[query])
        _finish(rows[query], cosines[query])
    return rows, cosines


@compiled(FLOATS_2D, HALVES, INTS, SHORT_INTS, INTS, INTS, FLOATS, BYTES, FLOATS, INT, INT)
def best_of_lists(
    queries: Floats,
    vectors: Halves,
    list_starts: Ints,
    members: ShortInts,
    starts: Ints,
    numbers: Ints,
    centroid_cosines: Floats,
    bits: Bits,
    gaps: Floats,
    k: int,
    at_most: int,
) -> tuple[Ints, Floats, Ints]:
    """The best k rows of the lists of queries, of which the nearest is looked at first.

    Parameters
    ----------
    list_starts, members : int32 [count], the rows of one list after the other; and where each begins
    starts, numbers : the lists of one query after the other; and where each begins
    centroid_cosines : of these lists
    bits : one a row, for those that may be found; empty where all may
    gaps : [n], how much further than the k-th best row so far a centroid may be, and its list be looked at
    at_most : rows that may be found in the lists of a query, or it is left

    Returns
    -------
    rows, cosines : [n, k], −1 and −inf where there are fewer; of queries that are left, anything
    left : int64 [m], which queries
    """
    n = len(starts) - 1
    rows, cosines = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    left, n_left = np.empty(n, np.int64), 0
    candidates, ends = np.empty(at_most, np.int32), np.empty(len(list_starts), np.int64)
    for query in range(n):
        its_cosines = centroid_cosines[starts[query] : starts[query + 1]]
        its_numbers = numbers[starts[query] : starts[query + 1]]
        order = np.argsort(-its_cosines)
        size = 0
        for i in range(len(order)):
            its_members = members[list_starts[its_numbers[order[i]]] : list_starts[its_numbers[order[i]] + 1]]
            size = _append(candidates, size, its_members, bits)
            if size > at_most:
                break
            ends[i] = size
        if size > at_most:
            left[n_left] = query
            n_left += 1
            continue
        _begin(rows[query], cosines[query])
        done = 0
        for i in range(len(order)):
            if its_cosines[order[i]] < cosines[query, 0] - gaps[query]:
                break
            _rank(queries[query], vectors, candidates[:size], done, ends[i], rows[query], cosines[query])
            done = ends[i]
        _finish(rows[query], cosines[query])
    return rows, cosines, left[:n_left]
