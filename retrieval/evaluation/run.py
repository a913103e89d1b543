"""One evaluation: judge → rank → look up → metrics → beyond accuracy → report."""

from __future__ import annotations

import gc
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np

from retrieval.counting import counted
from retrieval.evaluation.inputs.judgments import Judgments, Unknown, judged, known_ids
from retrieval.evaluation.inputs.queries import EvaluationQuery, Where
from retrieval.evaluation.listwise import LIST_LENGTH, labels_of, listwise
from retrieval.evaluation.measures import metrics
from retrieval.evaluation.measures.significance import bootstrap
from retrieval.evaluation.ranking import Ranking, rank
from retrieval.evaluation.results.files import EvaluatedRun
from retrieval.evaluation.results.runs import Evaluation, StepTimer, Subject
from retrieval.evaluation.worst import metric_of_worst, worst_queries, worst_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from retrieval.evaluation.inputs.pairs import Pairs
    from retrieval.evaluation.measures.metrics import Metric
    from retrieval.index.protocol import IndexView
    from retrieval.search.engine import Search


@dataclass(frozen=True)
class Options:
    """How to evaluate.

    Attributes
    ----------
    metrics : by ir_measures' names
    popularity : plays by key, for the tail; without, how often a track is judged relevant
    seed : of the bootstrap
    """

    where: Where = field(default_factory=Where)
    metrics: Sequence[str] = metrics.DEFAULT
    unknown: Unknown = "exclude"
    popularity: Mapping[str, int] | None = None
    warnings: Sequence[str] = ()
    seed: int = 0


@contextmanager
def _uncollected() -> Iterator[None]:
    """Keep the collector of cycles from going through millions of names again and again: a quarter of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


@_uncollected()
def evaluate(
    search: Search,
    qrels: Pairs,
    queries: Sequence[EvaluationQuery],
    options: Options,
    *,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> EvaluatedRun:
    """Evaluate the live index.

    Parameters
    ----------
    queries : by the ids that the judgments use; those that nobody judged are not asked
    on_done : called with how many queries are answered, of how many

    Raises
    ------
    EvaluationError
        For judgments that cannot be used, unknown metrics, and queries that cannot be answered.
    IndexMissingError, IndexMismatchError, FilterError
    """
    timer = StepTimer()
    where = options.where
    requested = metrics.parsed(options.metrics, where.depth)
    index = search.space(where.space, where.granularity)
    view = index.view()
    named = chain.from_iterable((*one.examples, *one.query.exclude) for one in queries)
    keys = list(dict.fromkeys(chain(qrels.document_ids, named)))
    known = known_ids(search.catalog, keys, view.all_track_ids())
    examples = {one.id: ids for one in queries if (ids := _examples(one, known)) is not None}
    judgments = judged(qrels, known, examples, unknown=options.unknown)
    timer.lap("judge")
    ranking = _ranked(search, view, queries, judgments, known, where, on_done)
    timer.lap("search")
    examples_by_query = [examples.get(query, ()) for query in judgments.query_ids]
    with ThreadPoolExecutor(1) as beside:
        labels = beside.submit(labels_of, search.catalog, ranking.track_ids, examples_by_query)
        looked_up = metrics.ranked(ranking.track_ids, judgments.query_no, judgments.track_ids, judgments.relevance)
        per_query = metrics.evaluate(looked_up, requested)
    timer.lap("metrics")
    popularity = _popularity(judgments, known, options.popularity)
    beyond, by_list = listwise(
        view, ranking.track_ids, examples_by_query, popularity, labels.result(), seed=options.seed
    )
    timer.lap("beyond_accuracy")
    intervals = bootstrap(np.stack(list(per_query.values()), axis=1), seed=options.seed)
    timer.lap("bootstrap")
    lower = [metric.name for metric in requested if metric.lower_is_better]
    by = metric_of_worst(list(per_query))
    rows = worst_rows(per_query[by], lower_is_better=by in lower)
    first = looked_up.relevance[:, :LIST_LENGTH][ranking.track_ids[:, :LIST_LENGTH] >= 0]
    deepest = int((ranking.track_ids >= 0).sum(axis=1).max(initial=0))
    evaluation = Evaluation(
        Subject(index.space, where.granularity, view.encoder_version, view.version, view.count, deepest, where.exact),
        qrels.source,
        len(judgments.query_ids),
        len(judgments.relevance),
        int((judgments.relevance > 0).sum()),
        int((ranking.track_ids >= 0).sum()),
        float((first == metrics.UNJUDGED).mean()) if len(first) else float("nan"),
        dict(zip(per_query, intervals, strict=True)),
        beyond,
        judgments.left_out,
        lower,
        worst_queries(search.catalog, judgments.query_ids, rows, ranking.track_ids, looked_up.relevance),
        [*options.warnings, *_warnings(judgments, requested)],
        timer.seconds,
    )
    return EvaluatedRun(evaluation, judgments.query_ids, per_query | by_list, looked_up.relevant, ranking)


def _examples(query: EvaluationQuery, known: Mapping[str, int]) -> list[int] | None:
    """Tracks that a query names; none when the space does not hold all of them."""
    ids = [known.get(key, -1) for key in query.examples]
    return None if -1 in ids else ids


def _ranked(
    search: Search,
    view: IndexView,
    queries: Sequence[EvaluationQuery],
    judgments: Judgments,
    known: Mapping[str, int],
    where: Where,
    on_done: Callable[[int, int], None],
) -> Ranking:
    """Answers in the order of the judgments' queries; an unknown query, counted as a miss, has none."""
    by_id = {one.id: one for one in queries if _examples(one, known) is not None}
    answered = [number for number, query in enumerate(judgments.query_ids) if query in by_id]
    answers = rank(
        search, view, [by_id[judgments.query_ids[number]] for number in answered], known, where, on_done=on_done
    )
    if len(answered) == len(judgments.query_ids):
        return answers
    track_ids = np.full((len(judgments.query_ids), where.depth), -1, np.int64)
    scores = np.zeros(track_ids.shape, np.float32)
    track_ids[answered], scores[answered] = answers.track_ids, answers.scores
    return Ranking(track_ids, scores, answers.one_by_one, answers.search_s)


def _popularity(
    judgments: Judgments, known: Mapping[str, int], plays: Mapping[str, int] | None
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    if plays is None:
        ids, counts = np.unique(
            judgments.track_ids[(judgments.relevance > 0) & (judgments.track_ids >= 0)], return_counts=True
        )
        return ids, counts.astype(np.float64)
    played = [(known[key], count) for key, count in plays.items() if key in known]
    return np.array([one for one, _ in played], np.int64), np.array([count for _, count in played], np.float64)


def _warnings(judgments: Judgments, requested: Sequence[Metric]) -> list[str]:
    left_out, said = judgments.left_out, list[str]()
    became = {"exclude": "left out", "miss": "counted as misses", "fail": ""}[left_out.unknown]
    for ids, one, several in (
        (
            left_out.unknown_queries,
            "query is unknown to the space and was",
            "queries are unknown to the space and were",
        ),
        (
            left_out.unknown_documents,
            "document is unknown to the space and was",
            "documents are unknown to the space and were",
        ),
    ):
        if ids:
            some = ", ".join(map(repr, ids[:3])) + (", …" if len(ids) > 3 else "")
            said.append(f"{counted(len(ids), one, several)} {became}: {some}")
    if left_out.without_relevant:
        lacking = "query has no relevant track and does", "queries have no relevant track and do"
        said.append(f"{counted(len(left_out.without_relevant), *lacking)} not count")
    if left_out.own:
        own = "judgment is of a query's own examples and does", "judgments are of a query's own examples and do"
        said.append(f"{counted(left_out.own, *own)} not count")
    if left_out.not_asked:
        silent = "query has no judgment and was", "queries have no judgment and were"
        said.append(f"{counted(len(left_out.not_asked), *silent)} not asked")
    deep = [metric.name for metric in requested if not metric.needs_depth]
    if deep:
        said.append(f"{', '.join(deep)}: over the results that were asked for, not over the whole catalogue")
    return said
