"""What a space is worth, from its vectors and the labels of its tracks alone, as Markdown tables print it.

Measures, their levels by chance and their sources: `retrieval.evaluation.measures.half_tracks`, `same_label` and
`hubs`, as `soundalike evaluate catalogue` has them. Every ranking comes from the search that serves queries, on its
exact path: equal cosines rank in the order of tracks.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation.measures import half_tracks, hubs, same_label
from retrieval.evaluation.measures.beyond_accuracy import skewnesses as skewness
from retrieval.evaluation.measures.half_tracks import ranks_of_own_half
from retrieval.evaluation.measures.same_label import average_precision_by_chance
from retrieval.evaluation.measures.significance import bounds
from retrieval.index.delta import whole_tracks
from retrieval.index.view import LocalView

__all__ = [
    "Estimate",
    "average_precision",
    "average_precision_by_chance",
    "estimate",
    "hubness",
    "mean_average_precision",
    "ranking",
    "ranking_of_others",
    "ranks_of_own_half",
    "recall_at",
    "relevance",
    "skewness",
]

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True)
class Estimate:
    """A statistic of `count` values, its 95 % bootstrap interval, and its level by chance."""

    value: float
    low: float
    high: float
    chance: float
    count: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]" if self.count else "–"


def mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Average [..., n] over its last axis."""
    average: NDArray[np.float64] = values.mean(axis=-1)
    return average


def estimate(values: NDArray[np.float64], *, chance: float, statistic: Statistic = mean) -> Estimate:
    """Bootstrap a statistic over queries; the resamples of equally many values are the same in every call.

    Parameters
    ----------
    values : float64 [n], one a query; without any, the estimate is NaN
    """
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan, np.nan, 0)
    low, high = bounds(lambda rows: statistic(values[rows]), len(values))
    return Estimate(float(statistic(values)), low, high, chance, len(values))


def ranking(queries: NDArray[np.float32], catalogue: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rows of the catalogue [n, dim], best first, for every query [n_queries, dim]: int64 [n_queries, n]."""
    ids = np.arange(len(catalogue), dtype=np.int64)
    view = LocalView("benchmark", catalogue.shape[1], revision=0, delta=whole_tracks(ids, catalogue))
    rows: NDArray[np.int64] = view.search(queries, len(catalogue), exact=True).track_ids
    return rows


def ranking_of_others(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rank, for every track [n, dim], the other tracks: int64 [n, n - 1]."""
    everything = ranking(vectors, vectors)
    other = everything != np.arange(len(vectors))[:, np.newaxis]
    others: NDArray[np.int64] = everything[other].reshape(len(vectors), max(len(vectors) - 1, 0))
    return others


def recall_at(k: int, ranks: NDArray[np.int64]) -> Estimate:
    """Recall@k from the rank, int64 [n], of the one relevant track among n."""
    return estimate((ranks <= k).astype(np.float64), chance=half_tracks.recall_by_chance(k, len(ranks)))


def relevance(
    others: NDArray[np.int64], labels: Sequence[str], *, apart: Sequence[str] | None = None
) -> list[NDArray[np.bool_]]:
    """Whether the ranked tracks bear the query's label, for every query that has such a track.

    Parameters
    ----------
    others : int64 [n, n - 1], the ranking of the other tracks
    labels : of n tracks
    apart : of n tracks; tracks that share this with the query are taken out of its ranking

    Returns
    -------
    bool [n_ranked] for each query, best first, at least one true.
    """
    label = np.array(labels)
    rows = list(label[others] == label[:, np.newaxis])
    if apart is not None:
        group = np.array(apart)
        rows = [row[kept] for row, kept in zip(rows, group[others] != group[:, np.newaxis], strict=True)]
    return [row for row in rows if row.any()]


def average_precision(relevant: NDArray[np.bool_]) -> float:
    """Average precision of one ranking, bool [n_ranked], best first, at least one true."""
    return same_label.average_precision(np.flatnonzero(relevant) + 1)


def mean_average_precision(rows: Sequence[NDArray[np.bool_]]) -> Estimate:
    """Mean average precision over queries, each the relevance of its ranking."""
    values = np.array([average_precision(row) for row in rows])
    by_chance = [average_precision_by_chance(int(row.sum()), len(row)) for row in rows]
    return estimate(values, chance=float(np.mean(by_chance)) if by_chance else np.nan)


def hubness(others: NDArray[np.int64], k: int = 10) -> Estimate:
    """Skewness of the k-occurrence of n tracks, bootstrapped over tracks.

    Parameters
    ----------
    others : int64 [n, n - 1], the ranking of the other tracks
    """
    occurrences = np.bincount(others[:, :k].ravel(), minlength=len(others)).astype(np.float64)
    chance, _ = hubs.by_chance(len(others), len(others), k)
    return estimate(occurrences, chance=chance, statistic=skewness)
