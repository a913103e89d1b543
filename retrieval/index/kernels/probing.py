"""Which inverted lists a query probes, by the cosines of their centroids."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.index.kernels.compiling import FLAGS, FLOAT, FLOATS, FLOATS_2D, INTS, compiled, struct
from retrieval.index.kernels.ranking import any_from
from retrieval.index.kernels.scoring import dot, products

if TYPE_CHECKING:
    from retrieval.index.kernels.compiling import Flags, Floats, Ints

_AT_ONCE = 64


CoarseCosines = tuple["Floats", "Ints", "Floats", "Flags", "Floats", float]
"""Cosines of queries with the centroids of all lists, as a few axes show them:

cosines, float32 [n_queries, nlist]; the list that seems nearest, int64 [n_queries]; its cosine in all dimensions,
float32 [n_queries]; whether the cosines are those in all dimensions, bool [n_queries]; the centroids, float32 [nlist,
dim]; and the slack, how much further behind the nearest a list may seem than it is.
"""
Probes = tuple["Ints", "Ints", "Floats"]
"""Lists that queries probe, those of one query after those of the other:

where those of each query begin, int64 [n_queries + 1]; the lists, int64 [m]; cosines of their centroids, float32 [m].
"""
COARSE_COSINES = struct(FLOATS_2D, INTS, FLOATS, FLAGS, FLOATS_2D, FLOAT)
PROBES = struct(INTS, INTS, FLOATS)


@compiled()
def lists_from(floor: float, cosines: Floats, query: int, lists: Ints) -> int:
    """Write the lists of this cosine or more; returns how many."""
    count = 0
    for first in range(0, cosines.shape[1], _AT_ONCE):
        last = min(first + _AT_ONCE, cosines.shape[1])
        if any_from(floor, cosines[query, first:last]):
            for number in range(first, last):
                if cosines[query, number] >= floor:
                    lists[count] = number
                    count += 1
    return count


@compiled()
def lists_within(queries: Floats, query: int, coarse: CoarseCosines, reach: float, lists: Ints, cosines: Floats) -> int:
    """Write the lists within a reach of the nearest, and their cosines in all dimensions; returns how many.

    Those that seem so, give or take the slack, are compared in all dimensions.
    """
    seen, seems_nearest, _, is_exact, centroids, slack = coarse
    exact = is_exact[query]
    floor = seen[query, seems_nearest[query]] - reach - (np.float32(0) if exact else slack)
    count, kept, nearest = lists_from(floor, seen, query, lists), 0, np.float32(-np.inf)
    for i in range(count):
        cosines[i] = seen[query, lists[i]] if exact else dot(queries[query], centroids, lists[i])
        nearest = max(nearest, cosines[i])
    for i in range(count):
        if cosines[i] >= nearest - reach:
            lists[kept], cosines[kept] = lists[i], cosines[i]
            kept += 1
    return kept


@compiled()
def _place_of_largest(values: Floats) -> int:
    greatest = np.float32(-np.inf)
    for value in values:
        greatest = max(greatest, value)
    place = 0
    while values[place] != greatest:
        place += 1
    return place


@compiled(FLOATS_2D, FLOATS_2D, FLOATS_2D, FLOATS_2D, FLOAT)
def coarse_cosines(
    queries: Floats, axes: Floats, along: Floats, centroids: Floats, usual: float
) -> tuple[Floats, Ints, Floats, Flags]:
    """`CoarseCosines`, without the rest, of a few queries: along the axes, or in all dimensions where all are far.

    Parameters
    ----------
    axes : float32 [n_axes, dim]
    along : float32 [nlist, n_axes], the centroids along them
    usual : cosine of the nearest centroid below which a query is compared in all dimensions
    """
    cosines = products(products(queries, axes), along)
    n, nlist = cosines.shape
    nearest, nearest_cosines, exact = np.empty(n, np.int64), np.empty(n, np.float32), np.zeros(n, np.bool_)
    for query in range(n):
        nearest[query] = _place_of_largest(cosines[query])
        nearest_cosines[query] = dot(queries[query], centroids, nearest[query])
        if nearest_cosines[query] < usual:
            for number in range(nlist):
                cosines[query, number] = dot(queries[query], centroids, number)
            nearest[query], exact[query] = _place_of_largest(cosines[query]), True
            nearest_cosines[query] = cosines[query, nearest[query]]
    return cosines, nearest, nearest_cosines, exact


@compiled(FLOATS_2D, COARSE_COSINES, FLOATS, INTS)
def probes_within(queries: Floats, coarse: CoarseCosines, reaches: Floats, selected: Ints) -> Probes:
    """The lists of the selected queries that are no further behind the nearest than a reach [n_queries]."""
    n, nlist = len(selected), coarse[0].shape[1]
    # Room for all lists: what is never written is never given memory.
    starts, lists, cosines = np.zeros(n + 1, np.int64), np.empty(n * nlist, np.int64), np.empty(n * nlist, np.float32)
    for i in range(n):
        start, query = starts[i], selected[i]
        starts[i + 1] = start + lists_within(queries, query, coarse, reaches[query], lists[start:], cosines[start:])
    return starts, lists[: starts[n]], cosines[: starts[n]]


@compiled(FLOATS_2D, FLOATS, FLOATS, FLOATS, INTS)
def probes_between(
    cosines: Floats, matching: Floats, least: Floats, below: Floats, selected: Ints
) -> tuple[Ints, Probes]:
    """Lists that hold what matches and whose centroid has at least one cosine [n_queries], and less than another.

    Parameters
    ----------
    cosines : float32 [n_queries, nlist]
    matching : float32 [nlist], rows of each list that match; empty where all do
    selected : int64 [n], the queries whose lists are requested

    Returns
    -------
    int64 [m], those of the queries that have such lists; and `Probes` of these
    """
    n, nlist = len(selected), cosines.shape[1]
    probing, starts = np.empty(n, np.int64), np.zeros(n + 1, np.int64)
    lists, its_cosines = np.empty(n * nlist, np.int64), np.empty(n * nlist, np.float32)
    n_probing = end = 0
    for query in selected:
        first = end
        for number in lists[end : end + lists_from(least[query], cosines, query, lists[end:])]:
            if cosines[query, number] < below[query] and (len(matching) == 0 or matching[number] > 0):
                lists[end], its_cosines[end] = number, cosines[query, number]
                end += 1
        if end > first:
            probing[n_probing], starts[n_probing + 1] = query, end
            n_probing += 1
    return probing[:n_probing], (starts[: n_probing + 1], lists[:end], its_cosines[:end])


@compiled(PROBES, INTS)
def padded(probes: Probes, selected: Ints) -> tuple[Ints, Floats]:
    """The lists of selected queries and their cosines [len(selected), most]; where there are fewer, −1 and 0."""
    (starts, lists, cosines), most = probes, 0
    for query in selected:
        most = max(most, starts[query + 1] - starts[query])
    its_lists, its_cosines = np.full((len(selected), most), -1, np.int64), np.zeros((len(selected), most), np.float32)
    for i in range(len(selected)):
        start, end = starts[selected[i]], starts[selected[i] + 1]
        its_lists[i, : end - start], its_cosines[i, : end - start] = lists[start:end], cosines[start:end]
    return its_lists, its_cosines
