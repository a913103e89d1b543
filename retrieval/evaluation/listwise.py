"""Beyond accuracy, of the first results of every query: reads what `beyond_accuracy` needs, and sums up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.evaluation.measures import beyond_accuracy
from retrieval.evaluation.measures.labels import named_album, named_artist, numbered
from retrieval.evaluation.measures.significance import bootstrap
from retrieval.evaluation.ranking import track_vectors
from retrieval.evaluation.results.runs import BeyondAccuracy
from retrieval.index.ascending import contained, distinct

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import Labels
    from retrieval.index.protocol import IndexView

LIST_LENGTH = 10
_BLOCK = 1_024


def labels_of(catalog: Catalog, rankings: NDArray[np.int64], examples: Sequence[Sequence[int]]) -> dict[int, Labels]:
    """Labels of the first results int64 [n, depth] and of what the queries name, by track."""
    shown = rankings[:, :LIST_LENGTH]
    named = np.fromiter((one for named in examples for one in named), np.int64)
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
    head = beyond_accuracy.short_head(*popularity)
    by_list = {
        "tail_share": beyond_accuracy.tail_share(lists, head) if len(head) else np.full(len(lists), np.nan),
        "diversity": _diversity(view, lists, contained(lists, every_id)),
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


def _diversity(view: IndexView, lists: NDArray[np.int64], there: NDArray[np.bool_]) -> NDArray[np.float64]:
    unlike = np.empty(len(lists))
    for start in range(0, len(lists), _BLOCK):
        rows = slice(start, start + _BLOCK)
        shown = distinct(lists[rows][there[rows]])
        vectors = np.concatenate([track_vectors(view, shown), np.zeros((1, view.dim), np.float32)])  # none is the last
        unlike[rows] = beyond_accuracy.diversity(vectors[np.searchsorted(shown, lists[rows])], there[rows])
    return unlike


def _same_label(
    lists: NDArray[np.int64],
    examples: Sequence[Sequence[int]],
    labels: Mapping[int, Labels],
    named: Callable[[Labels], str],
) -> NDArray[np.float64]:
    ids = np.fromiter(labels, np.int64, len(labels))
    order = np.argsort(ids)
    ids, of = ids[order], np.append(numbered(labels.values(), named)[order], -1)  # the last: of no track

    def looked_up(track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.asarray(of[np.where(contained(track_ids, ids), np.searchsorted(ids, track_ids), -1)], np.int64)

    query_no = np.repeat(np.arange(len(examples)), [len(named) for named in examples])
    examples_named = np.fromiter((one for named in examples for one in named), np.int64)
    return beyond_accuracy.same_label_rate(looked_up(lists), query_no, looked_up(examples_named))
