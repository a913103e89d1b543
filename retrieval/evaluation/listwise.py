"""Beyond accuracy, of the first results of every query: reads what `beyond_accuracy` needs, and sums up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.ascending import contained, distinct
from retrieval.evaluation import beyond_accuracy
from retrieval.evaluation.ranking import track_vectors
from retrieval.evaluation.report import BeyondAccuracy
from retrieval.evaluation.significance import bootstrap
from retrieval.evaluation.tracks import named_album, named_artist

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from retrieval.catalog import Catalog
    from retrieval.records import Labels
    from retrieval.vector_index import IndexView

LIST_LENGTH = 10
_BLOCK = 1_024


def labels_of(catalog: Catalog, rankings: NDArray[np.int64], examples: Sequence[Sequence[int]]) -> dict[int, Labels]:
    """Labels of the first results int64 [n, depth] and of what the queries name, by track."""
    shown = rankings[:, :LIST_LENGTH]
    named = np.fromiter((one for own in examples for one in own), np.int64)
    return catalog.labels(distinct(np.concatenate([shown[shown >= 0], named])))


def listwise(
    view: IndexView,
    rankings: NDArray[np.int64],
    examples: Sequence[Sequence[int]],
    popularity: tuple[NDArray[np.int64], NDArray[np.float64]],
    labels: Mapping[int, Labels],
    *,
    seed: int = 0,
) -> tuple[BeyondAccuracy, dict[str, NDArray[np.float64]]]:
    """What is beyond accuracy, over all lists, and of every list: float64 [n] by name, NaN where nothing is known.

    Parameters
    ----------
    rankings : int64 [n, depth], tracks, −1 behind the last
    examples : tracks that each query names
    popularity : tracks int64, and how often each was played, or judged relevant
    labels : what `labels_of` reads
    """
    lists = rankings[:, :LIST_LENGTH]
    every_id = view.all_track_ids()
    shown = distinct(lists[lists >= 0])
    shown = shown[contained(shown, every_id)]
    head = beyond_accuracy.short_head(*popularity)
    by_list = {
        "tail_share": beyond_accuracy.tail_share(lists, head) if len(head) else np.full(len(lists), np.nan),
        "diversity": _diversity(view, lists, shown),
        "same_artist": _same_label(lists, examples, labels, named_artist),
        "same_album": _same_label(lists, examples, labels, named_album),
    }
    counts = beyond_accuracy.occurrences(lists, every_id)
    intervals = bootstrap(np.stack(list(by_list.values()), axis=1), seed=seed)
    report = BeyondAccuracy(
        lists.shape[1],
        beyond_accuracy.coverage(counts),
        beyond_accuracy.gini(counts),
        beyond_accuracy.entropy(counts),
        beyond_accuracy.skewness(counts),
        **dict(zip(by_list, intervals, strict=True)),
        lorenz=beyond_accuracy.lorenz(counts).round(6).tolist(),
    )
    return report, by_list


def _diversity(view: IndexView, lists: NDArray[np.int64], shown: NDArray[np.int64]) -> NDArray[np.float64]:
    there = contained(lists, shown)
    if not len(shown):
        return np.full(len(lists), np.nan)
    vectors = track_vectors(view, shown)
    unlike = np.empty(len(lists))
    for start in range(0, len(lists), _BLOCK):
        rows = slice(start, start + _BLOCK)
        place = np.minimum(np.searchsorted(shown, lists[rows]), len(shown) - 1)
        unlike[rows] = beyond_accuracy.diversity(vectors[place], there[rows])
    return unlike


def _same_label(
    lists: NDArray[np.int64],
    examples: Sequence[Sequence[int]],
    labels: Mapping[int, Labels],
    named: Callable[[Labels], str],
) -> NDArray[np.float64]:
    ids = np.array(sorted(labels), np.int64)
    names = [named(labels[track_id]) for track_id in ids.tolist()]
    numbers = {label: number for number, label in enumerate(dict.fromkeys(names))} | {"": -1}
    of = np.array([numbers[label] for label in names] + [-1], np.int64)  # the last: of no track

    def looked_up(track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        place = np.minimum(np.searchsorted(ids, track_ids), max(len(ids) - 1, 0))
        found: NDArray[np.int64] = of[np.where(ids[place] == track_ids, place, -1)] if len(ids) else track_ids * 0 - 1
        return found

    query_no = np.repeat(np.arange(len(examples)), [len(own) for own in examples])
    asked = np.fromiter((one for own in examples for one in own), np.int64)
    return beyond_accuracy.same_label_rate(looked_up(lists), query_no, looked_up(asked))
