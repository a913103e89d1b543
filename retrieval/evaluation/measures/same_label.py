"""Same-artist and same-album retrieval, and that of labels of the user's own: they stand in for judgments.

A query is a track; ranked by cosine, equal ones in the order of tracks, are all other tracks that bear a label, and
relevant are those that bear the query's. A query to which none is relevant does not count. With R relevant tracks at
ranks r_1 < … < r_R (Manning et al., Introduction to Information Retrieval, 2008, section 8.4):

- precision@k: share of the first k places that hold a relevant track, as trec_eval counts: with R < k, R / k at most;
  precision@1 asks whether the nearest neighbour bears the label
- average precision: mean of i / r_i; its mean over queries is mAP
- R-precision: share of the first R tracks that are relevant
- recall@k: share of the relevant tracks that are among the first k

An album shares more than its artist does: the sound of a studio, of a year. So same-artist retrieval is also measured
without the tracks of the query's album, among those that name both.

A level by chance is that of a random ranking of the same tracks, in closed form.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from retrieval.evaluation.measures.half_tracks import blocks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

K = 10


class Placed(NamedTuple):
    """Where the relevant tracks of one query are: ranks from 1, int64 ascending, among `ranked` tracks.

    `nearest` is the row of the track at rank 1; −1 where it is not known, or no track is relevant.
    """

    ranks: NDArray[np.int64]
    ranked: int
    nearest: int = -1


def placed(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    queries: NDArray[np.int64],
    *,
    apart: NDArray[np.int64] | None = None,
) -> list[Placed]:
    """Rank the tracks of every query's label.

    Parameters
    ----------
    vectors : float32 [n, dim], L2 norm 1
    labels : int64 [n], −1 for none
    queries : int64 [m], rows of the tracks that are queries
    apart : int64 [n], −1 for none: tracks that share this with the query are not ranked, nor are those without

    Returns
    -------
    One for each of the m queries; without ranks where no track is relevant.
    """
    labelled = labels >= 0 if apart is None else (labels >= 0) & (apart >= 0)
    rows = np.flatnonzero(labelled)
    candidates, candidate_labels = vectors[rows], labels[rows]
    groups = np.arange(len(rows)) if apart is None else apart[rows]  # each its own group: only itself is left out
    place = np.full(len(labels), -1)
    place[rows] = np.arange(len(rows))
    counts = np.bincount(candidate_labels, minlength=1)
    nothing = Placed(np.empty(0, np.int64), 0)
    places = [nothing] * len(queries)
    answerable = np.array(
        [number for number, row in enumerate(queries) if labelled[row] and counts[labels[row]] > 1], np.int64
    )
    for block in blocks(len(answerable), len(rows)):
        positions = place[queries[answerable[block]]]
        cosines = candidates[positions] @ candidates.T
        for number, query, row in zip(answerable[block].tolist(), positions.tolist(), cosines, strict=True):
            left_out = groups == groups[query]
            relevant = np.flatnonzero((candidate_labels == candidate_labels[query]) & ~left_out)
            if len(relevant):
                row[left_out] = -np.inf
                ranks, ranked = _ranks(row, relevant), len(rows) - int(left_out.sum())
                places[number] = Placed(ranks, ranked, int(rows[row.argmax()]))
    return places


def precision_at(k: int, ranks: NDArray[np.int64]) -> float:
    """Share of the first k places that hold a relevant track, at these ranks, from 1, int64 [≥ 1]."""
    return float((ranks <= k).sum()) / k


def average_precision(ranks: NDArray[np.int64]) -> float:
    """Average precision of relevant tracks at these ranks, from 1, int64 [≥ 1] ascending."""
    return float(np.mean(np.arange(1, len(ranks) + 1) / ranks))


def r_precision(ranks: NDArray[np.int64]) -> float:
    """Share of the first R tracks that are relevant, with R relevant ones at these ranks, from 1, int64 [≥ 1]."""
    return float((ranks <= len(ranks)).mean())


def recall_at(k: int, ranks: NDArray[np.int64]) -> float:
    """Share of the relevant tracks, at these ranks, from 1, int64 [≥ 1], that are among the first k."""
    return float((ranks <= k).mean())


def average_precision_by_chance(relevant: int, ranked: int) -> float:
    """Expected average precision when `relevant` of `ranked` tracks lie at random.

    A relevant track at rank r (any rank is as likely) has on average (r - 1) (relevant - 1) / (ranked - 1) relevant
    tracks before it; the mean of (1 + that) / r over all r.
    """
    harmonic = float(np.sum(1 / np.arange(1, ranked + 1)))
    return (harmonic + (ranked - harmonic) * (relevant - 1) / max(ranked - 1, 1)) / ranked


class Measure(NamedTuple):
    """A measure of the ranks of the relevant tracks, int64 [≥ 1], and its level by chance, of how many of how many."""

    of: Callable[[NDArray[np.int64]], float]
    by_chance: Callable[[int, int], float]


MEASURES: Mapping[str, Measure] = {
    "precision@1": Measure(partial(precision_at, 1), lambda relevant, ranked: relevant / ranked),
    f"precision@{K}": Measure(
        partial(precision_at, K), lambda relevant, ranked: min(K, ranked) / K * relevant / ranked
    ),
    "mAP": Measure(average_precision, average_precision_by_chance),
    "R-precision": Measure(r_precision, lambda relevant, ranked: relevant / ranked),
    f"recall@{K}": Measure(partial(recall_at, K), lambda relevant, ranked: min(K / ranked, 1.0)),
}
OF_ARTISTS = ("precision@1", "mAP", "R-precision", f"recall@{K}")
"""Artists and albums have few tracks, so that ten places are more than they fill."""
OF_FOLDERS = ("precision@1", f"precision@{K}", "mAP")
"""Genres and moods have many tracks, so that ten places hold few of them."""


def values(places: Sequence[Placed], measures: Iterable[str] = tuple(MEASURES)) -> dict[str, NDArray[np.float64]]:
    """Measures of every query, float64 [m] by name; NaN for a query without a relevant track."""
    return {
        name: np.array([MEASURES[name].of(one.ranks) if len(one.ranks) else np.nan for one in places], np.float64)
        for name in measures
    }


def by_chance(places: Sequence[Placed], measures: Iterable[str] = tuple(MEASURES)) -> dict[str, float]:
    """The level of measures by chance, its mean over the queries; NaN without any."""
    counted = [(len(one.ranks), one.ranked) for one in places if len(one.ranks)]
    if not counted:
        return dict.fromkeys(measures, float("nan"))
    return {name: float(np.mean([MEASURES[name].by_chance(*sizes) for sizes in counted])) for name in measures}


def _ranks(cosines: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ranks, from 1, of these rows among all, ascending; equal cosines rank in the order of rows."""
    ascending = np.sort(cosines)
    above = len(cosines) - np.searchsorted(ascending, cosines[rows], side="right")
    below = np.searchsorted(ascending, cosines[rows], side="left")
    if (above + below + 1 == len(cosines)).all():
        return np.sort(above) + 1
    order = np.argsort(-cosines, kind="stable")
    return np.flatnonzero(np.isin(order, rows)) + 1
