"""The queries that a run answers worst, and what they found: a figure says how bad it is, these say what is bad.

Worst is by the first nDCG among the metrics, or by the first of them; equal ones stand in the order of the queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.evaluation.results.runs import FoundTrack, WorstQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog

WORST = 20
FOUND = 3


def metric_of_worst(metrics: Sequence[str]) -> str:
    """The metric, of at least one, that says which queries are the worst."""
    return next((metric for metric in metrics if metric.startswith("nDCG")), metrics[0])


def worst_rows(values: NDArray[np.float64], *, lower_is_better: bool) -> list[int]:
    """Rows of the worst queries, the worst first.

    Parameters
    ----------
    values : float64 [n], of one metric
    """
    rows: list[int] = np.argsort(-values if lower_is_better else values, kind="stable")[:WORST].tolist()
    return rows


def worst_queries(
    catalog: Catalog,
    query_ids: Sequence[str],
    rows: Sequence[int],
    track_ids: NDArray[np.int64],
    relevance: NDArray[np.int64],
) -> list[WorstQuery]:
    """What these queries found first; a track deleted since is left out.

    Parameters
    ----------
    query_ids : of n queries
    rows : of those wanted
    track_ids, relevance : int64 [n, depth], best first, −1 behind the last
    """
    first = track_ids[list(rows), :FOUND]
    tracks = catalog.tracks_by_id(np.unique(first[first >= 0]).tolist())
    worst = []
    for row, found in zip(rows, first.tolist(), strict=True):
        there = [(tracks[one], bool(relevance[row, rank] > 0)) for rank, one in enumerate(found) if one in tracks]
        shown = [FoundTrack(track.key, track.artist, track.title, relevant) for track, relevant in there]
        worst.append(WorstQuery(query_ids[row], shown))
    return worst
