"""Rankings by the index's exact search, which the measures' own are held against."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from retrieval.index.delta import Delta
from retrieval.index.view import LocalView


def ranking(queries: NDArray[np.float32], catalogue: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rows of the catalogue [n, dim], best first, for every query [n_queries, dim]: int64 [n_queries, n]."""
    n, dim = catalogue.shape
    ids = np.arange(n, dtype=np.int64)
    delta = Delta.empty(dim).written(ids[:0], ids, catalogue, np.zeros((n, 2), np.float32))
    view = LocalView("exact", dim, revision=0, delta=delta)
    rows: NDArray[np.int64] = view.search(queries, n, exact=True).track_ids
    return rows


def ranking_of_others(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rank, for every track [n, dim], the other tracks: int64 [n, n - 1]."""
    everything = ranking(vectors, vectors)
    other = everything != np.arange(len(vectors))[:, np.newaxis]
    others: NDArray[np.int64] = everything[other].reshape(len(vectors), max(len(vectors) - 1, 0))
    return others


def relevance(
    others: NDArray[np.int64], labels: Sequence[int], *, apart: Sequence[int] | None = None
) -> list[NDArray[np.bool_]]:
    """Whether the ranked tracks bear the query's label, best first, for every query that has such a track.

    Tracks that share what is `apart` with the query are taken out of its ranking.
    """
    label = np.array(labels)
    rows = list(label[others] == label[:, np.newaxis])
    if apart is not None:
        group = np.array(apart)
        rows = [row[kept] for row, kept in zip(rows, group[others] != group[:, np.newaxis], strict=True)]
    return [row for row in rows if row.any()]
