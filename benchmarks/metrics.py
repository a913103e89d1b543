"""What a space is worth, from its vectors and the labels of its tracks alone.

Every ranking comes from the search that serves queries, on its exact path: equal cosines rank in the order of tracks.

- Recall@k of half-track retrieval: the share of second halves that find their own first half among the first k.
- Average precision: mean over a query's relevant tracks of the precision at their ranks (Manning et al., Introduction
  to Information Retrieval, 2008, section 8.4). A query without relevant tracks does not count.
- Hubness: skewness of how often tracks occur among the k nearest of the others (Radovanović et al., JMLR 11, 2010).

A level "by chance" is what a random ranking of the same tracks gives, in closed form.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.delta import whole_tracks
from retrieval.vector_index import IndexView

RESAMPLES = 2_000

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


def skewness(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Third standardised moment of [..., n] over its last axis; 0 where all values are equal."""
    centred = values - values.mean(axis=-1, keepdims=True)
    spread = np.sqrt((centred**2).mean(axis=-1))
    skew: NDArray[np.float64] = (centred**3).mean(axis=-1) / np.where(spread > 0, spread, np.inf) ** 3
    return skew


def estimate(values: NDArray[np.float64], *, chance: float, statistic: Statistic = mean) -> Estimate:
    """Bootstrap a statistic over queries; the resamples of equally many values are the same in every call.

    Parameters
    ----------
    values : float64 [n], one a query; without any, the estimate is NaN
    """
    if not len(values):
        return Estimate(np.nan, np.nan, np.nan, np.nan, 0)
    drawn = np.random.default_rng(0).integers(len(values), size=(RESAMPLES, len(values)))
    low, high = np.quantile(statistic(values[drawn]), [0.025, 0.975])
    return Estimate(float(statistic(values)), float(low), float(high), chance, len(values))


def ranking(queries: NDArray[np.float32], catalogue: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rows of the catalogue [n, dim], best first, for every query [n_queries, dim]: int64 [n_queries, n]."""
    ids = np.arange(len(catalogue), dtype=np.int64)
    view = IndexView("benchmark", catalogue.shape[1], revision=0, delta=whole_tracks(ids, catalogue))
    rows: NDArray[np.int64] = view.search(queries, len(catalogue), exact=True).track_ids
    return rows


def ranking_of_others(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rank, for every track [n, dim], the other tracks: int64 [n, n - 1]."""
    everything = ranking(vectors, vectors)
    other = everything != np.arange(len(vectors))[:, np.newaxis]
    others: NDArray[np.int64] = everything[other].reshape(len(vectors), max(len(vectors) - 1, 0))
    return others


def ranks_of_own_half(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.int64]:
    """Rank, from 1, of every track's own first half [n, dim] for its second half [n, dim]: int64 [n]."""
    own = ranking(second, first) == np.arange(len(first))[:, np.newaxis]
    ranks: NDArray[np.int64] = np.argmax(own, axis=1) + 1
    return ranks


def recall_at(k: int, ranks: NDArray[np.int64]) -> Estimate:
    """Recall@k from the rank, int64 [n], of the one relevant track among n."""
    return estimate((ranks <= k).astype(np.float64), chance=min(k / max(len(ranks), 1), 1.0))


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
    ranks = np.flatnonzero(relevant) + 1
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def average_precision_by_chance(relevant: int, ranked: int) -> float:
    """Expected average precision when `relevant` of `ranked` tracks lie at random.

    A relevant track at rank r (any rank is as likely) has on average (r - 1) (relevant - 1) / (ranked - 1) relevant
    tracks before it; the mean of (1 + that) / r over all r.
    """
    harmonic = float(np.sum(1 / np.arange(1, ranked + 1)))
    return (harmonic + (ranked - harmonic) * (relevant - 1) / max(ranked - 1, 1)) / ranked


def mean_average_precision(rows: Sequence[NDArray[np.bool_]]) -> Estimate:
    """Mean average precision over queries, each the relevance of its ranking."""
    values = np.array([average_precision(row) for row in rows])
    by_chance = [average_precision_by_chance(int(row.sum()), len(row)) for row in rows]
    return estimate(values, chance=float(np.mean(by_chance)) if by_chance else np.nan)


def hubness(others: NDArray[np.int64], k: int = 10) -> Estimate:
    """Skewness of the k-occurrence of n tracks, bootstrapped over tracks.

    By chance, a track is among the k nearest of each of the n - 1 others with probability p = k / (n - 1): a binomial
    distribution, with skewness (1 - 2p) / sqrt((n - 1) p (1 - p)).

    Parameters
    ----------
    others : int64 [n, n - 1], the ranking of the other tracks
    """
    trials = others.shape[1]
    occurrences = np.bincount(others[:, :k].ravel(), minlength=len(others)).astype(np.float64)
    p = min(k / max(trials, 1), 1.0)
    deviation = np.sqrt(trials * p * (1 - p))
    chance = float((1 - 2 * p) / deviation) if deviation > 0 else 0.0
    return estimate(occurrences, chance=chance, statistic=skewness)
