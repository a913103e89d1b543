"""Same-artist and same-album retrieval: a label that many catalogues have anyway stands in for judgments.

A query is a track; ranked by cosine, equal ones in the order of tracks, are all other tracks that bear a label, and
relevant are those that bear the query's. A query to which none is relevant does not count. With R relevant tracks at
ranks r_1 < … < r_R (Manning et al., Introduction to Information Retrieval, 2008, section 8.4):

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
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

K = 10


class Placed(NamedTuple):
    """Where the relevant tracks of one query are: ranks from 1, int64 ascending, among `ranked` tracks."""

    ranks: NDArray[np.int64]
    ranked: int


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
                places[number] = Placed(_ranks(row, relevant), len(rows) - int(left_out.sum()))
    return places


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


MEASURES: Mapping[str, Callable[[NDArray[np.int64]], float]] = {
    "mAP": average_precision,
    "R-precision": r_precision,
    f"recall@{K}": partial(recall_at, K),
}


def values(places: list[Placed]) -> dict[str, NDArray[np.float64]]:
    """Every measure of every query, float64 [m] by name; NaN for a query without a relevant track."""
    return {
        name: np.array([measure(one.ranks) if len(one.ranks) else np.nan for one in places], np.float64)
        for name, measure in MEASURES.items()
    }


def by_chance(places: list[Placed]) -> dict[str, float]:
    """The level of every measure by chance, its mean over the queries; NaN without any."""
    counted = [one for one in places if len(one.ranks)]
    if not counted:
        return dict.fromkeys(MEASURES, float("nan"))
    return {
        "mAP": float(np.mean([average_precision_by_chance(len(one.ranks), one.ranked) for one in counted])),
        "R-precision": float(np.mean([len(one.ranks) / one.ranked for one in counted])),
        f"recall@{K}": float(np.mean([min(K / one.ranked, 1.0) for one in counted])),
    }


def _ranks(cosines: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Ranks, from 1, of these rows among all, ascending; equal cosines rank in the order of rows."""
    ascending = np.sort(cosines)
    above = len(cosines) - np.searchsorted(ascending, cosines[rows], side="right")
    below = np.searchsorted(ascending, cosines[rows], side="left")
    if (above + below + 1 == len(cosines)).all():
        return np.sort(above) + 1
    order = np.argsort(-cosines, kind="stable")
    return np.flatnonzero(np.isin(order, rows)) + 1
