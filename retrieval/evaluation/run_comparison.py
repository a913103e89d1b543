"""Two runs on the same judgments: which one is better, and whether that is chance.

A run is ordered as trec_eval orders it: by score, as float32, and equal scores by document id, descending. A query that
a run does not answer scores 0 (trec_eval -c); one that nobody judged does not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.measures import metrics
from retrieval.evaluation.measures.significance import compare
from retrieval.evaluation.results.files import ComparedRuns
from retrieval.evaluation.results.runs import RunComparison

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from retrieval.evaluation.inputs.pairs import Pairs


def compare_runs(
    first: Pairs, second: Pairs, qrels: Pairs, *, names: Sequence[str] = metrics.DEFAULT, seed: int = 0
) -> ComparedRuns:
    """Compare two runs by metrics, with the second's gain over the first.

    Raises
    ------
    EvaluationError
        For unknown metrics, a run that answers no judged query, and fewer than two queries.
    """
    query_ids, without = judged_queries(qrels)
    answered, rankings, extra = list[int](), list[metrics.Ranked](), list[int]()
    for run in (first, second):
        shared = set(run.query_ids) & set(query_ids)
        if not shared:
            reason = f"{run.source} answers none of the {len(query_ids)} judged queries of {qrels.source}"
            example = f"ids such as {query_ids[0]!r}; the run's are such as {run.query_ids[0]!r}"
            raise EvaluationError(reason, example)
        answered.append(len(shared))
        extra.append(len(set(run.query_ids) - set(qrels.query_ids)))
        rankings.append(ranked_run(run, qrels, query_ids))
    depth = max(ranking.relevance.shape[1] for ranking in rankings)
    requested = metrics.parsed(names, max(depth, metrics.CLICKS_DEPTH, *map(_cutoff, names)))
    values = [metrics.evaluate(ranking, requested) for ranking in rankings]
    tables = (np.stack(list(one.values()), axis=1) for one in values)
    differences = compare(*tables, seed=seed)
    missing = tuple(len(query_ids) - count for count in answered)
    comparison = RunComparison(
        first.source,
        second.source,
        qrels.source,
        len(query_ids),
        (missing[0], missing[1]),
        (extra[0], extra[1]),
        without,
        dict(zip(values[0], differences, strict=True)),
        [metric.name for metric in requested if metric.lower_is_better],
        [
            f"{run.source} does not answer {count} of {len(query_ids)} queries: they score 0"
            for run, count in zip((first, second), missing, strict=True)
            if count
        ],
    )
    return ComparedRuns(comparison, query_ids, values[0], values[1])


def judged_queries(qrels: Pairs) -> tuple[list[str], list[str]]:
    """Queries with a relevant document, and those without."""
    relevant = np.bincount(qrels.query_no[qrels.values > 0], minlength=len(qrels.query_ids)) > 0
    sides = ([qrels.query_ids[number] for number in np.flatnonzero(side).tolist()] for side in (relevant, ~relevant))
    return next(sides), next(sides)


def ranked_run(run: Pairs, qrels: Pairs, query_ids: Sequence[str]) -> metrics.Ranked:
    """Look judgments up along a run's rankings, for these queries in this order."""
    numbers = {document: number for number, document in enumerate(run.document_ids)}
    rows = {query: row for row, query in enumerate(query_ids)}
    run_row = np.array([rows.get(query, -1) for query in run.query_ids], np.int64)[run.query_no]
    qrels_row = np.array([rows.get(query, -1) for query in qrels.query_ids], np.int64)[qrels.query_no]
    kept = qrels_row >= 0
    judged = np.array([numbers.get(document, -1) for document in qrels.document_ids], np.int64)[qrels.document_no]
    return metrics.ranked(
        _ordered(run, run_row, len(query_ids)), qrels_row[kept], judged[kept], qrels.values[kept].astype(np.int64)
    )


def _ordered(run: Pairs, rows: NDArray[np.int64], n_queries: int) -> NDArray[np.int64]:
    """Documents of every row, best first, int64 [n_queries, longest], −1 behind the last."""
    # UTF-8 and Python order text alike: by code point.
    by_name = np.empty(len(run.document_ids), np.int64)
    by_name[sorted(range(len(run.document_ids)), key=run.document_ids.__getitem__)] = np.arange(len(by_name))
    order = np.lexsort((-by_name[run.document_no], -run.values.astype(np.float32), rows))
    order = order[rows[order] >= 0]
    counts = np.bincount(rows[order], minlength=n_queries)
    documents = np.full((n_queries, int(counts.max(initial=0))), -1, np.int64)
    rank = np.arange(len(order)) - np.repeat(np.cumsum(counts) - counts, counts)
    documents[rows[order], rank] = run.document_no[order]
    return documents


def _cutoff(name: str) -> int:
    _, _, cutoff = name.partition("@")
    return int(cutoff) if cutoff.isdecimal() else 0
