"""The k best rows of the inverted lists that queries probe, by the stored vectors, without the codes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.index.kernels.compiling import (
    BYTES,
    FLOATS,
    FLOATS_2D,
    HALVES,
    INT,
    INTS,
    SHORT_INTS,
    compiled,
    struct,
)
from retrieval.index.kernels.probing import COARSE_COSINES, PROBES, lists_within
from retrieval.index.kernels.ranking import empty_heaps, offer_stored, sort_heap
from retrieval.index.kernels.stopping import effort_for

if TYPE_CHECKING:
    from retrieval.index.kernels.compiling import Bits, Floats, Halves, Ints, ShortInts
    from retrieval.index.kernels.probing import CoarseCosines, Probes


StoredLists = tuple["Halves", "Ints", "ShortInts"]
"""Inverted lists and the vectors of all rows:

the bits of these as halves, uint16 [count, dim]; where each list begins, int64 [nlist + 1]; and the rows of one list
after the other, int32 [count].
"""
Limits = tuple["Floats", "Floats", "Floats", "Floats", "Ints"]
"""How far queries of each effort go for k rows:

bounds, float32 [n_efforts − 1], see `effort_for`; and [n_efforts] each: reaches, how much further than the nearest
centroid that of a list may be; gaps, how much further than the k-th best row so far a centroid may be, and its list be
probed; the usual cosine of a tenth best row, below which a query is not like others; and direct rows, int64, those of a
query's lists up to which they are compared without the codes.
"""
_STORED_LISTS = struct(HALVES, INTS, SHORT_INTS)
_LIMITS = struct(FLOATS, FLOATS, FLOATS, FLOATS, INTS)


@compiled()
def _append(candidates: ShortInts, size: int, rows: ShortInts, bits: Bits) -> int:
    """Add the selected rows to the candidates there are, as far as there is room; returns how many there are then."""
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


@compiled(FLOATS_2D, _STORED_LISTS, COARSE_COSINES, _LIMITS, BYTES, INT)
def search_within(
    queries: Floats, stored: StoredLists, coarse: CoarseCosines, limits: Limits, bits: Bits, k: int
) -> tuple[Ints, Floats, Ints, Ints]:
    """The k best rows of the lists within the reach of queries, and of the list that seems nearest.

    That one is probed first, and what it holds tells which others may hold better.

    Parameters
    ----------
    bits : one a row, for the selected ones; empty where all are

    Returns
    -------
    rows, cosines : [n, k], −1 and −inf where there are fewer
    efforts : int64 [n], which each query needs
    remaining : int64 [m], the queries whose lists hold too many rows; theirs are to be found in another way
    """
    vectors, list_starts, members = stored
    bounds, reaches, gaps, _, direct_rows = limits
    cosines_seen, nearest, nearest_cosines = coarse[:3]
    n, nlist = cosines_seen.shape
    rows, cosines = empty_heaps(n, k)
    efforts, remaining, n_remaining = np.empty(n, np.int64), np.empty(n, np.int64), 0
    candidates, ends = np.empty(direct_rows.max(), np.int32), np.empty(nlist, np.int64)
    lists, list_cosines = np.empty(nlist, np.int64), np.empty(nlist, np.float32)
    for query in range(n):
        efforts[query] = effort = effort_for(nearest_cosines[query], bounds)
        gap, most = gaps[effort], direct_rows[effort]
        start, end = list_starts[nearest[query]], list_starts[nearest[query] + 1]
        size = ranked = _append(candidates, 0, members[start:end], bits)
        if size <= most:
            offer_stored(queries[query], vectors, candidates[:size], 0, size, rows[query], cosines[query])
            reach = min(reaches[effort], nearest_cosines[query] - cosines[query, 0] + gap)
            n_lists = lists_within(queries, query, coarse, reach, lists, list_cosines)
            order = np.argsort(-list_cosines[:n_lists])
            for i in range(n_lists):
                number = lists[order[i]]
                if number != nearest[query]:
                    size = _append(candidates, size, members[list_starts[number] : list_starts[number + 1]], bits)
                    if size > most:
                        break
                ends[i] = size
        if size > most:
            remaining[n_remaining] = query
            n_remaining += 1
            continue
        for i in range(n_lists):
            if list_cosines[order[i]] < cosines[query, 0] - gap:
                break
            offer_stored(queries[query], vectors, candidates[:size], ranked, ends[i], rows[query], cosines[query])
            ranked = max(ranked, ends[i])
        sort_heap(rows[query], cosines[query])
    return rows, cosines, efforts, remaining[:n_remaining]


@compiled(FLOATS_2D, _STORED_LISTS, PROBES, INTS, BYTES, INT)
def search_probes(
    queries: Floats, stored: StoredLists, probes: Probes, at_most: Ints, bits: Bits, k: int
) -> tuple[Ints, Floats, Ints]:
    """The k best rows of the lists that queries probe.

    Parameters
    ----------
    at_most : int64 [n], rows that a query's lists may hold, or it remains
    bits : see `search_within`

    Returns
    -------
    rows, cosines, remaining : likewise
    """
    vectors, list_starts, members = stored
    probe_starts, lists, _ = probes
    rows, cosines = empty_heaps(len(queries), k)
    remaining, n_remaining = np.empty(len(queries), np.int64), 0
    candidates = np.empty(at_most.max(), np.int32)
    for query in range(len(queries)):
        size = 0
        for number in lists[probe_starts[query] : probe_starts[query + 1]]:
            size = _append(candidates, size, members[list_starts[number] : list_starts[number + 1]], bits)
            if size > at_most[query]:
                break
        if size > at_most[query]:
            remaining[n_remaining] = query
            n_remaining += 1
        else:
            offer_stored(queries[query], vectors, candidates[:size], 0, size, rows[query], cosines[query])
            sort_heap(rows[query], cosines[query])
    return rows, cosines, remaining[:n_remaining]
