"""The inner loops of a search.

Stored vectors are halves, given by their bits as uint16 [count, dim]. They lie where they were added, those of a list
far apart, so each is fetched from memory some turns before it is read, which makes ranking them several times as fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.index.jit import (
    BYTES,
    FLAGS,
    FLOAT,
    FLOATS,
    FLOATS_2D,
    FLOATS_2D_TO_WRITE,
    HALVES,
    INT,
    INTS,
    INTS_2D,
    INTS_2D_TO_WRITE,
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

_HALVES_A_LINE = 32  # of the processor's cache
_LINES_AHEAD = 96
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
def _rows_ahead(vectors: Halves) -> Any:
    return max(_LINES_AHEAD * _HALVES_A_LINE // vectors.shape[1], 1)


@compiled()
def _fetch_row(vectors: Halves, row: int) -> None:
    for column in range(0, vectors.shape[1], _HALVES_A_LINE):
        fetch(vectors, row, column)
    fetch(vectors, row, vectors.shape[1] - 1)  # a row seldom begins where a line does


@compiled()
def _fetch_rows(vectors: Halves, rows: Ints | ShortInts) -> None:
    for row in rows:
        _fetch_row(vectors, row)


@compiled()
def _any_from(floor: float, values: Floats) -> Any:
    count = np.int32(0)  # one comparison for many values, as no way out of the loop allows
    for value in values:
        count += np.int32(value >= floor)
    return count > 0


@compiled()
def _lists_from(floor: float, seen: Floats, query: int, numbers: Ints) -> int:
    """Write the lists that are seen at this cosine or more; returns how many."""
    found = 0
    for first in range(0, seen.shape[1], _AT_ONCE):
        last = min(first + _AT_ONCE, seen.shape[1])
        if _any_from(floor, seen[query, first:last]):
            for number in range(first, last):
                if seen[query, number] >= floor:
                    numbers[found] = number
                    found += 1
    return found


@compiled()
def _compare(
    queries: Floats, query: int, centroids: Floats, seen: Floats, exact: bool, numbers: Ints, cosines: Floats
) -> Any:
    """Write the true cosines of these lists; returns the greatest."""
    nearest = np.float32(-np.inf)
    for i in range(len(numbers)):
        cosines[i] = seen[query, numbers[i]] if exact else _dot(queries[query], centroids, numbers[i])
        nearest = max(nearest, cosines[i])
    return nearest


@compiled()
def _keep_from(floor: float, numbers: Ints, cosines: Floats) -> int:
    """Move the lists that have this cosine or more to the front; returns how many."""
    kept = 0
    for i in range(len(numbers)):
        if cosines[i] >= floor:
            numbers[kept], cosines[kept] = numbers[i], cosines[i]
            kept += 1
    return kept


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
def _offer(rows: Ints, cosines: Floats, row: int, cosine: float) -> None:
    """Put a row into a heap if it belongs there."""
    if _is_better(cosine, row, cosines[0], rows[0]):
        _put(rows, cosines, len(rows), row, cosine)


@compiled()
def _rank(
    query: Floats, vectors: Halves, candidates: Ints | ShortInts, first: int, last: int, rows: Ints, cosines: Floats
) -> None:
    """Put those of the candidates from first to last into a heap that belong there."""
    ahead = _rows_ahead(vectors)
    _fetch_rows(vectors, candidates[first : min(first + ahead, last)])
    for i in range(first, last):
        # Written out wherever it is needed: as a function of its own it makes ranking take up to twice as long.
        if i + ahead < len(candidates):
            _fetch_row(vectors, candidates[i + ahead])
        _offer(rows, cosines, candidates[i], _dot_with_halves(query, vectors, candidates[i]))


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


@compiled()
def _rank_all(query: Floats, vectors: Halves, candidates: Ints | ShortInts, rows: Ints, cosines: Floats) -> None:
    """Write the best of the candidates, best first."""
    _begin(rows, cosines)
    _rank(query, vectors, candidates, 0, len(candidates), rows, cosines)
    _finish(rows, cosines)


@compiled(FLOATS_2D, FLOATS_2D)
def products(some: Floats, others: Floats) -> Floats:
    """Inner products [n, m] of a few vectors [n, dim] with many [m, dim]; for many with many there is BLAS."""
    found = np.empty((len(some), len(others)), np.float32)
    for i in range(len(some)):
        for j in range(len(others)):
            found[i, j] = _dot(some[i], others, j)
    return found


@compiled(FLOATS_2D, FLOATS_2D, INTS)
def cosines_with(queries: Floats, others: Floats, numbers: Ints) -> Floats:
    """Cosine of each query [n] with its one of the others."""
    cosines = np.empty(len(queries), np.float32)
    for query in range(len(queries)):
        cosines[query] = _dot(queries[query], others, numbers[query])
    return cosines


@compiled()
def effort_for(cosine: Any, bounds: Floats) -> int:
    """Which effort a query needs whose nearest centroid has this cosine: the first with such a bound, or the last."""
    number = 0
    while number < len(bounds) and cosine < bounds[number]:
        number += 1
    return number


@compiled()
def _largest(values: Floats) -> int:
    greatest = np.float32(-np.inf)
    for value in values:
        greatest = max(greatest, value)
    place = 0
    while values[place] != greatest:
        place += 1
    return place


@compiled(FLOATS_2D, FLOATS_2D, FLOATS_2D, FLOATS_2D, FLOAT)
def seen_along(
    queries: Floats, axes: Floats, along: Floats, centroids: Floats, usual: float
) -> tuple[Floats, Ints, Floats, Flags]:
    """What `Seen` holds of a few queries: cosines with centroids along the axes, or as they are if all are far."""
    cosines = products(products(queries, axes), along)
    n, nlist = cosines.shape
    first, nearest, exact = np.empty(n, np.int64), np.empty(n, np.float32), np.zeros(n, np.bool_)
    for query in range(n):
        first[query] = _largest(cosines[query])
        nearest[query] = _dot(queries[query], centroids, first[query])
        if nearest[query] < usual:
            for number in range(nlist):
                cosines[query, number] = _dot(queries[query], centroids, number)
            first[query], exact[query] = _largest(cosines[query]), True
            nearest[query] = cosines[query, first[query]]
    return cosines, first, nearest, exact


@compiled(FLOATS_2D, FLOATS_2D, FLOATS_2D, INTS, FLAGS, FLOATS, FLOAT, INTS)
def lists_within(
    queries: Floats,
    centroids: Floats,
    seen: Floats,
    first: Ints,
    exact: Flags,
    reaches: Floats,
    slack: float,
    some: Ints,
) -> tuple[Ints, Ints, Floats]:
    """Lists no further than a reach [n] behind the nearest; those that seem so, give or take the slack, are compared.

    Parameters
    ----------
    seen : cosines [n, nlist] as they seem; of queries that are `exact` [n], as they are
    first : [n], which list seems nearest
    some : the queries whose lists are wanted

    Returns
    -------
    starts : int64 [len(some) + 1], where in what follows the lists of each of these begin
    numbers : int64 [m]
    cosines : float32 [m], of their centroids
    """
    n, nlist = len(some), seen.shape[1]
    # Room for all lists: what is never written is never given memory.
    starts, numbers, cosines = np.zeros(n + 1, np.int64), np.empty(n * nlist, np.int64), np.empty(n * nlist, np.float32)
    for i in range(n):
        query, start = some[i], starts[i]
        floor = seen[query, first[query]] - reaches[query] - (np.float32(0) if exact[query] else slack)
        end = start + _lists_from(floor, seen, query, numbers[start:])
        found = numbers[start:end], cosines[start:end]
        nearest = _compare(queries, query, centroids, seen, exact[query], *found)
        starts[i + 1] = start + _keep_from(nearest - reaches[query], *found)
    end = starts[n]
    return starts, numbers[:end], cosines[:end]


@compiled(FLOATS_2D, FLOATS, FLOATS, FLOATS, INTS)
def lists_between(
    cosines: Floats, matching: Floats, least: Floats, below: Floats, some: Ints
) -> tuple[Ints, Ints, Ints, Floats]:
    """Lists that hold what matches and whose centroid has at least one cosine [n_queries], and less than another.

    Parameters
    ----------
    cosines : float32 [n_queries, nlist]
    matching : float32 [nlist], rows of each list that match; empty where all do
    some : int64 [n], the queries whose lists are wanted

    Returns
    -------
    found : int64 [m], those of the queries that have such lists
    starts, numbers, cosines : see `lists_within`, of these
    """
    n, nlist = len(some), cosines.shape[1]
    found, starts = np.empty(n, np.int64), np.zeros(n + 1, np.int64)
    numbers, its_cosines = np.empty(n * nlist, np.int64), np.empty(n * nlist, np.float32)
    n_found = end = 0
    for query in some:
        first = end
        for number in numbers[end : end + _lists_from(least[query], cosines, query, numbers[end:])]:
            if cosines[query, number] < below[query] and (len(matching) == 0 or matching[number] > 0):
                numbers[end], its_cosines[end] = number, cosines[query, number]
                end += 1
        if end > first:
            found[n_found], starts[n_found + 1] = query, end
            n_found += 1
    return found[:n_found], starts[: n_found + 1], numbers[:end], its_cosines[:end]


@compiled(INTS, INTS, FLOATS, INTS)
def padded(starts: Ints, numbers: Ints, cosines: Floats, some: Ints) -> tuple[Ints, Floats]:
    """The lists of some queries and their cosines [len(some), most], each behind the other; behind them −1, and 0."""
    most = 0
    for query in some:
        most = max(most, starts[query + 1] - starts[query])
    its_numbers, its_cosines = np.full((len(some), most), -1, np.int64), np.zeros((len(some), most), np.float32)
    for i in range(len(some)):
        start, end = starts[some[i]], starts[some[i] + 1]
        its_numbers[i, : end - start], its_cosines[i, : end - start] = numbers[start:end], cosines[start:end]
    return its_numbers, its_cosines


@compiled(INT, INT)
def heaps(n: int, k: int) -> tuple[Ints, Floats]:
    """Rows and cosines [n, k] to `offer` others to; to `finish` in the end."""
    rows, cosines = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    for query in range(n):
        _begin(rows[query], cosines[query])
    return rows, cosines


@compiled(FLOATS_2D, FLOATS_2D, INTS, INT)
def best_of_floats(queries: Floats, vectors: Floats, numbers: Ints, k: int) -> tuple[Ints, Floats]:
    """The best k of vectors [m, dim] for a few queries, by their numbers [m], of which −1 leaves one out."""
    rows, cosines = heaps(len(queries), k)
    for query in range(len(queries)):
        for i in range(len(numbers)):
            if numbers[i] >= 0:
                _offer(rows[query], cosines[query], numbers[i], _dot(queries[query], vectors, i))
        _finish(rows[query], cosines[query])
    return rows, cosines


@compiled(FLOATS_2D, INTS, INTS_2D_TO_WRITE, FLOATS_2D_TO_WRITE)
def offer(cosines: Floats, numbers: Ints, best_rows: Ints, best_cosines: Floats) -> None:
    """Put rows into the heaps of queries that they belong into.

    Parameters
    ----------
    cosines : [n, m], of each query with each row
    numbers : [m], of these rows; −1 leaves one out
    """
    for query in range(len(cosines)):
        for first in range(0, len(numbers), _AT_ONCE):
            last = min(first + _AT_ONCE, len(numbers))
            if _any_from(best_cosines[query, 0], cosines[query, first:last]):
                for i in range(first, last):
                    if numbers[i] >= 0:
                        _offer(best_rows[query], best_cosines[query], numbers[i], cosines[query, i])


@compiled(INTS_2D_TO_WRITE, FLOATS_2D_TO_WRITE)
def finish(rows: Ints, cosines: Floats) -> None:
    """Sort heaps, best first; −1 and −inf where there are fewer."""
    for query in range(len(rows)):
        _finish(rows[query], cosines[query])


@compiled(INTS_2D, FLOATS_2D, INT)
def best(rows: Ints, cosines: Floats, k: int) -> tuple[Ints, Floats]:
    """The k best of rows [n_queries, n] and their cosines, best first; −1 and −inf where there are fewer."""
    best_rows, best_cosines = heaps(len(rows), k)
    for query in range(len(rows)):
        for i in range(rows.shape[1]):
            if rows[query, i] >= 0:
                _offer(best_rows[query], best_cosines[query], rows[query, i], cosines[query, i])
        _finish(best_rows[query], best_cosines[query])
    return best_rows, best_cosines


@compiled(HALVES, INTS, FLOATS_2D_TO_WRITE)
def write_vectors(vectors: Halves, rows: Ints, into: Floats) -> None:
    """Write these rows as floats [len(rows), dim]."""
    ahead = _rows_ahead(vectors)
    _fetch_rows(vectors, rows[:ahead])
    for i in range(len(rows)):
        if i + ahead < len(rows):
            _fetch_row(vectors, rows[i + ahead])
        row = rows[i]
        for axis in range(vectors.shape[1]):
            into[i, axis] = widened(vectors[row, axis])


@compiled(FLOATS_2D, HALVES, INTS_2D)
def cosines_of(queries: Floats, vectors: Halves, candidates: Ints) -> Floats:
    """Cosines [n, m] of the candidates of queries; −inf where there is none."""
    cosines = np.empty(candidates.shape, np.float32)
    ahead = _rows_ahead(vectors)
    for query in range(len(queries)):
        _fetch_rows(vectors, candidates[query, :ahead])  # to fetch what is no row does no harm
        for i in range(candidates.shape[1]):
            if i + ahead < candidates.shape[1]:
                _fetch_row(vectors, candidates[query, i + ahead])
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
        _rank_all(queries[query], vectors, known[:n], rows[query], cosines[query])
    return rows, cosines


@compiled(FLOATS_2D, HALVES, INTS, INT)
def best_of_same(queries: Floats, vectors: Halves, candidates: Ints, k: int) -> tuple[Ints, Floats]:
    """The best k of candidates [m] that all queries have in common; rows and cosines [n, k]."""
    rows, cosines = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
    for query in range(len(queries)):
        _rank_all(queries[query], vectors, candidates, rows[query], cosines[query])
    return rows, cosines


@compiled(
    FLOATS_2D,
    HALVES,
    INTS,
    SHORT_INTS,
    FLOATS_2D,
    FLOATS_2D,
    INTS,
    FLOATS,
    FLAGS,
    FLOATS,
    FLOATS,
    FLOATS,
    INTS,
    FLOAT,
    BYTES,
    INT,
)
def best_within(
    queries: Floats,
    vectors: Halves,
    list_starts: Ints,
    members: ShortInts,
    centroids: Floats,
    seen: Floats,
    first: Ints,
    nearest: Floats,
    exact: Flags,
    bounds: Floats,
    reaches: Floats,
    gaps: Floats,
    at_most: Ints,
    slack: float,
    bits: Bits,
    k: int,
) -> tuple[Ints, Floats, Ints, Ints]:
    """The best k rows of the lists within a reach of the nearest, and of the one that seems so.

    That one is looked at first, and what it holds tells which others may hold better.

    Parameters
    ----------
    list_starts, members : where each list begins; and int32 [count], the rows of one list after the other
    seen, first, exact, slack : see `lists_within`
    nearest : [n], cosine of the list that seems nearest
    bounds, reaches, gaps, at_most : of every effort, see `effort_for` for the bounds
    gaps : how much further than the k-th best row so far a centroid may be, and its list be looked at
    at_most : rows that may be found in the lists of a query, or it is left
    bits : one a row, for those that may be found; empty where all may

    Returns
    -------
    rows, cosines : [n, k], −1 and −inf where there are fewer; of queries that are left, anything
    efforts : int64 [n], which each query needs
    left : int64 [m], which queries
    """
    n, nlist = seen.shape
    rows, cosines = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    efforts, left, n_left = np.empty(n, np.int64), np.empty(n, np.int64), 0
    candidates, ends = np.empty(at_most.max(), np.int32), np.empty(nlist, np.int64)
    every_number, every_cosine = np.empty(nlist, np.int64), np.empty(nlist, np.float32)
    for query in range(n):
        efforts[query] = effort = effort_for(nearest[query], bounds)
        reach, gap, most = reaches[effort], gaps[effort], at_most[effort]
        start, end = list_starts[first[query]], list_starts[first[query] + 1]
        size = done = _append(candidates, 0, members[start:end], bits)
        if size <= most:
            _begin(rows[query], cosines[query])
            _rank(queries[query], vectors, candidates[:size], 0, size, rows[query], cosines[query])
            reach = min(reach, nearest[query] - cosines[query, 0] + gap)
            floor = seen[query, first[query]] - reach - (np.float32(0) if exact[query] else slack)
            found = _lists_from(floor, seen, query, every_number)
            numbers, its_cosines = every_number[:found], every_cosine[:found]
            floor = _compare(queries, query, centroids, seen, exact[query], numbers, its_cosines) - reach
            found = _keep_from(floor, numbers, its_cosines)
            order = np.argsort(-its_cosines[:found])
            for i in range(found):
                number = numbers[order[i]]
                if number != first[query]:
                    size = _append(candidates, size, members[list_starts[number] : list_starts[number + 1]], bits)
                    if size > most:
                        break
                ends[i] = size
        if size > most:
            left[n_left] = query
            n_left += 1
            continue
        for i in range(found):
            if its_cosines[order[i]] < cosines[query, 0] - gap:
                break
            _rank(queries[query], vectors, candidates[:size], done, ends[i], rows[query], cosines[query])
            done = max(done, ends[i])
        _finish(rows[query], cosines[query])
    return rows, cosines, efforts, left[:n_left]


@compiled(FLOATS_2D, HALVES, INTS, SHORT_INTS, INTS, INTS, BYTES, INT, INTS)
def best_of_lists(
    queries: Floats,
    vectors: Halves,
    list_starts: Ints,
    members: ShortInts,
    starts: Ints,
    numbers: Ints,
    bits: Bits,
    k: int,
    at_most: Ints,
) -> tuple[Ints, Floats, Ints]:
    """The best k rows of these lists: the `numbers` of one query after the other, and where each begins.

    Parameters
    ----------
    list_starts, members, bits, at_most : see `best_within`

    Returns
    -------
    rows, cosines, left : likewise
    """
    n = len(starts) - 1
    rows, cosines = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    left, n_left = np.empty(n, np.int64), 0
    candidates = np.empty(at_most.max(), np.int32)
    for query in range(n):
        size = 0
        for number in numbers[starts[query] : starts[query + 1]]:
            size = _append(candidates, size, members[list_starts[number] : list_starts[number + 1]], bits)
            if size > at_most[query]:
                break
        if size > at_most[query]:
            left[n_left] = query
            n_left += 1
        else:
            _rank_all(queries[query], vectors, candidates[:size], rows[query], cosines[query])
    return rows, cosines, left[:n_left]
