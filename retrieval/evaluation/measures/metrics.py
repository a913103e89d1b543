"""Metrics of rankings against judgments: validate → metric → evaluate.

Computed by trec_eval itself, through pytrec_eval (Van Gysel & de Rijke, Pytrec_eval, SIGIR 2018), by the names of
ir_measures: R@k, P@k, nDCG@k (gain is the relevance, discount log2(rank + 1): Järvelin & Kekäläinen, TOIS 20, 2002),
AP, RR, Success@k and Rprec. Beside them:

- ``clicks``: recommended songs clicks, floor((rank of the first relevant track − 1) / 10), and 51 where none is among
  the first 500 (Chen et al., RecSys Challenge 2018, section 4). Lower is better.

Conventions. No name matters to a metric, only ranks: trec_eval is given ranks as names, and for each query the order
that was answered, so that equal scores are no question. A relevance of 1 and more is relevant, 0 is judged and not,
below 0 is not judged. A query without any relevant document has no value and must be left out before; one without an
answer scores 0 everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING

import ir_measures
import numpy as np
import pytrec_eval

from retrieval.evaluation.errors import EvaluationError, MetricError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

UNJUDGED = -1
CLICKS = "clicks"
CLICKS_DEPTH = 500
SONGS_A_CLICK = 10
NO_CLICK = 51
DEFAULT = ("nDCG@10", "nDCG@100", "R@10", "R@100", "P@10", "Success@1", "Success@10", "RR", "AP", "Rprec")


TREC_NAMES = {
    "P": ("", "P"),
    "R": ("", "recall"),
    "Success": ("", "success"),
    "nDCG": ("ndcg", "ndcg_cut"),
    "AP": ("map", "map_cut"),
    "RR": ("recip_rank", ""),
    "Rprec": ("Rprec", ""),
}
"""What trec_eval calls ir_measures' metrics, without a cutoff and with one; empty where there is no such."""


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes
    ----------
    name : by ir_measures, or `CLICKS`
    trec_name : by trec_eval, as it is asked for; empty for `CLICKS`
    level : least relevance that is relevant
    needs_depth : its cutoff, or 0
    """

    name: str
    trec_name: str
    level: int
    needs_depth: int

    @property
    def lower_is_better(self) -> bool:
        """Whether less is more."""
        return self.name == CLICKS


@dataclass(frozen=True, eq=False)
class Ranked:
    """What judges said along the rankings of n queries.

    Attributes
    ----------
    relevance : int64 [n, depth], best first; `UNJUDGED` where nobody said, and behind the end of a ranking
    returned : int64 [n], how many documents each ranking holds
    missed_query, missed_relevance : int64 [n_missed], of the judged documents that no ranking holds
    """

    relevance: NDArray[np.int64]
    returned: NDArray[np.int64]
    missed_query: NDArray[np.int64]
    missed_relevance: NDArray[np.int64]

    @property
    def relevant(self) -> NDArray[np.int64]:
        """How many documents are relevant to each query, found or not: int64 [n]."""
        missed = np.bincount(self.missed_query[self.missed_relevance > 0], minlength=len(self.returned))
        total: NDArray[np.int64] = (self.relevance > 0).sum(axis=1) + missed
        return total


def parsed(names: Sequence[str], depth: int) -> list[Metric]:
    """Metrics by ir_measures' names, or ``clicks``.

    Raises
    ------
    MetricError
        For a name that trec_eval does not know, one that stands twice, and a cutoff beyond the depth of the rankings.
    """
    metrics = [_metric(name) for name in names]
    for number, metric in enumerate(metrics):
        if metric.name in [other.name for other in metrics[:number]]:
            raise MetricError(f"metric {metric.name} stands twice")
        if metric.needs_depth > depth:
            reason = f"metric {metric.name} needs {metric.needs_depth} results a query, not {depth}"
            raise MetricError(reason, f"a depth of {metric.needs_depth} or more")
    return metrics


def ranked(
    documents: NDArray[np.int64],
    query_no: NDArray[np.int64],
    judged: NDArray[np.int64],
    relevance: NDArray[np.int64],
) -> Ranked:
    """Look judgments up along rankings.

    Parameters
    ----------
    documents : int64 [n, depth], best first, −1 behind the end of a ranking
    query_no, judged, relevance : int64 [n_judgments], row of `documents`, document (below 0 for one that cannot be
        found) and relevance; each pair once
    """
    stride = int(max(documents.max(initial=0), judged.max(initial=0))) + 1
    given = relevance >= 0
    query_no, judged, relevance = query_no[given], judged[given], relevance[given]
    order = np.lexsort((judged, query_no))
    query_no, judged, relevance = query_no[order], judged[order], relevance[order]
    # A document that cannot be found has a code of its own kind: it must equal none of another query.
    codes = np.where(judged >= 0, query_no * stride + judged, -1)
    findable = np.flatnonzero(judged >= 0)
    along = np.full(documents.shape, UNJUDGED, np.int64)
    in_ranking = np.zeros(len(judged), bool)
    if len(findable):
        codes_along = np.arange(len(documents))[:, np.newaxis] * stride + documents
        place = np.minimum(np.searchsorted(codes[findable], codes_along), len(findable) - 1)
        hit = (codes[findable][place] == codes_along) & (documents >= 0)
        along[hit] = relevance[findable[place[hit]]]
        in_ranking[findable[place[hit]]] = True
    return Ranked(along, (documents >= 0).sum(axis=1), query_no[~in_ranking], relevance[~in_ranking])


def evaluate(rankings: Ranked, metrics: Sequence[Metric]) -> dict[str, NDArray[np.float64]]:
    """Every metric of every query: float64 [n] by the metric's name.

    Raises
    ------
    EvaluationError
        If a query has no relevant document: it has no value.
    """
    if (rankings.relevant == 0).any():
        number = int(np.argmax(rankings.relevant == 0))
        raise EvaluationError(f"query number {number + 1} has no relevant document, so no metric has a value for it")
    values = {metric.name: np.zeros(len(rankings.returned)) for metric in metrics}
    if len(rankings.returned):
        run, qrels = _run(rankings), _qrels(rankings)
        for level in {metric.level for metric in metrics if metric.trec_name}:
            names = {metric.trec_name: metric.name for metric in metrics if metric.level == level and metric.trec_name}
            results = pytrec_eval.RelevanceEvaluator(qrels, set(names), relevance_level=level).evaluate(run)
            for trec_name, name in names.items():
                result = trec_name.replace(".", "_")
                values[name][:] = [results[str(number)][result] for number in range(len(rankings.returned))]
    if CLICKS in values:
        values[CLICKS] = clicks(rankings.relevance)
    return values


def clicks(relevance: NDArray[np.int64]) -> NDArray[np.float64]:
    """How often a listener refreshes ten songs until one is relevant: float64 [n], 0 to 50, or 51 for never.

    Parameters
    ----------
    relevance : int64 [n, depth], best first
    """
    hits = relevance[:, :CLICKS_DEPTH] > 0
    return np.where(hits.any(axis=1), hits.argmax(axis=1) // SONGS_A_CLICK, NO_CLICK).astype(np.float64)


def _metric(name: str) -> Metric:
    if name == CLICKS:
        return Metric(CLICKS, "", 1, CLICKS_DEPTH)
    accepted = f"{', '.join(DEFAULT)}, {CLICKS}, with any cutoff"
    try:
        measure = ir_measures.parse_measure(name)
    except (NameError, ValueError, TypeError, KeyError, SyntaxError) as error:
        raise MetricError(f"metric {name!r} is not known", accepted) from error
    whole, cut = TREC_NAMES.get(measure.NAME or "", ("", ""))
    params = dict(measure.params)
    cutoff, level = params.pop("cutoff", None), params.pop("rel", 1)
    trec_name = whole if cutoff is None else f"{cut}.{cutoff}" if cut and cutoff >= 1 else ""
    if not trec_name or params or level < 1:
        raise MetricError(f"{name} is not computed", accepted)
    return Metric(str(measure), trec_name, level, cutoff or 0)


def _qrels(rankings: Ranked) -> dict[str, dict[str, int]]:
    qrels: dict[str, dict[str, int]] = {str(number): {} for number in range(len(rankings.returned))}
    rows, ranks = np.nonzero(rankings.relevance != UNJUDGED)
    given = rankings.relevance[rows, ranks]
    for row, rank, relevance in zip(rows.tolist(), ranks.tolist(), given.tolist(), strict=True):
        qrels[str(row)][str(rank)] = relevance
    missed = zip(rankings.missed_query.tolist(), rankings.missed_relevance.tolist(), strict=True)
    for number, (row, relevance) in enumerate(missed):
        qrels[str(row)][f"missed {number}"] = relevance
    return qrels


def _run(rankings: Ranked) -> dict[str, dict[str, float]]:
    depth = rankings.relevance.shape[1]
    # Whole numbers, for trec_eval keeps scores as float32. One dict serves every query that was answered in full.
    full = {str(rank): float(depth - rank) for rank in range(depth)}
    return {
        str(number): full if count == depth else dict(islice(full.items(), count))
        for number, count in enumerate(rankings.returned.tolist())
    }
