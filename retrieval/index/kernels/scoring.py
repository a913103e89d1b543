"""Inner products of queries with vectors, and stored vectors as floats.

Stored vectors are halves, given by their bits as uint16 [count, dim]. They lie where they were added, those of a list
far apart, so each is fetched from memory some turns before it is read, which makes ranking them several times as fast.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.index.kernels.compiling import (
    FLOATS_2D,
    FLOATS_2D_TO_WRITE,
    HALVES,
    INTS,
    INTS_2D,
    compiled,
    fetch,
    widened,
)

if TYPE_CHECKING:
    from retrieval.index.kernels.compiling import Floats, Halves, Ints, ShortInts

_HALVES_A_LINE = 32  # of the processor's cache
_LINES_AHEAD = 96


@compiled()
def dot(query: Floats, vectors: Floats, row: int) -> Any:
    """Inner product with a row of floats."""
    total = np.float32(0)  # a row taken out of its array would be counted as one that refers to it
    for axis in range(len(query)):
        total += query[axis] * vectors[row, axis]
    return total


@compiled()
def dot_with_halves(query: Floats, vectors: Halves, row: int) -> Any:
    """Inner product with a row of halves."""
    total = np.float32(0)
    for axis in range(len(query)):
        total += query[axis] * widened(vectors[row, axis])
    return total


@compiled()
def rows_ahead(vectors: Halves) -> Any:
    """How many rows before its turn one is fetched."""
    return max(_LINES_AHEAD * _HALVES_A_LINE // vectors.shape[1], 1)


@compiled()
def fetch_row(vectors: Halves, row: int) -> None:
    """Ask memory for a row, to read it soon."""
    for column in range(0, vectors.shape[1], _HALVES_A_LINE):
        fetch(vectors, row, column)
    fetch(vectors, row, vectors.shape[1] - 1)  # a row seldom begins where a line does


@compiled()
def fetch_rows(vectors: Halves, rows: Ints | ShortInts) -> None:
    """Ask memory for rows, to read them soon."""
    for row in rows:
        fetch_row(vectors, row)


@compiled()
def products(queries: Floats, vectors: Floats) -> Floats:
    """Inner products [n, m] of a few queries [n, dim] with vectors [m, dim]; for many queries there is BLAS."""
    cosines = np.empty((len(queries), len(vectors)), np.float32)
    for query in range(len(queries)):
        for row in range(len(vectors)):
            cosines[query, row] = dot(queries[query], vectors, row)
    return cosines


@compiled(FLOATS_2D, HALVES, INTS_2D)
def candidate_cosines(queries: Floats, vectors: Halves, candidates: Ints) -> Floats:
    """Cosines [n, m] of the candidates of queries, rows of the stored vectors; −inf for −1, which is none."""
    cosines = np.empty(candidates.shape, np.float32)
    ahead = rows_ahead(vectors)
    for query in range(len(queries)):
        fetch_rows(vectors, candidates[query, :ahead])  # to fetch what is no row does no harm
        for i in range(candidates.shape[1]):
            if i + ahead < candidates.shape[1]:
                fetch_row(vectors, candidates[query, i + ahead])
            row = candidates[query, i]
            cosines[query, i] = dot_with_halves(queries[query], vectors, row) if row >= 0 else -np.inf
    return cosines


@compiled(HALVES, INTS, FLOATS_2D_TO_WRITE)
def decode(vectors: Halves, rows: Ints, into: Floats) -> None:
    """Write these rows as floats [len(rows), dim]."""
    ahead = rows_ahead(vectors)
    fetch_rows(vectors, rows[:ahead])
    for i in range(len(rows)):
        if i + ahead < len(rows):
            fetch_row(vectors, rows[i + ahead])
        row = rows[i]
        for axis in range(vectors.shape[1]):
            into[i, axis] = widened(vectors[row, axis])
