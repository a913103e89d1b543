"""The live index against its exact twin: what approximation loses. It says nothing of recommendations.

For a query with true k nearest distances d_1 ≤ … ≤ d_k, found by scoring every matching vector:

- ``id_overlap``: share of the true k that were found by id. Equal distances make it too low.
- ``tie_safe``: share of k results at a distance of at most d_k, but for rounding: any of equal tracks is right.
- ``epsilon``: the same with (1 + ε) d_k (both: Aumüller, Bernhardsson & Faithfull, ANN-Benchmarks, Information Systems
  87, 2020, section 2.1).

k is min(k, matching). Distances are Euclidean between unit vectors, √(2 − 2 cos). Queries are vectors of tracks, drawn
at random, and their own track is no result of either side. Latencies are those of one query at a time in one thread
that asks.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.measures.beyond_accuracy import share_of
from retrieval.evaluation.measures.significance import Interval, bootstrap
from retrieval.evaluation.ranking import nearest_others, track_vectors
from retrieval.evaluation.results.runs import AnnEvaluation, AnnRecall, Latency, Subject

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.records import Granularity
    from retrieval.filters.language import Filter
    from retrieval.index.protocol import IndexView, Selection
    from retrieval.search.engine import Search

SHARES = (0.001, 0.01, 0.1, 0.5)
EPSILON = 0.01
ROUNDING = 1e-5
"""Of a cosine: float32 sums in another order differ by less."""


def evaluate_ann(
    search: Search,
    *,
    k: int = 10,
    queries: int = 1_000,
    timed: int = 300,
    shares: Sequence[float] = SHARES,
    filters: Mapping[str, Filter] | None = None,
    epsilon: float = EPSILON,
    space: str | None = None,
    granularity: Granularity = "track",
    seed: int = 0,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> AnnEvaluation:
    """Measure recall and latency: unfiltered, among random shares of the tracks, and among those that filters leave.

    Parameters
    ----------
    queries, timed : how many tracks ask; how many of them are asked one at a time for the latencies
    shares : above 0, below 1
    filters : by the name that the report gives them
    on_done : called with how many rows of the report are done, of how many

    Raises
    ------
    EvaluationError
        If the space holds fewer than two tracks, or a share is out of range.
    IndexMissingError, IndexMismatchError, FilterError
    """
    index = search.space(space, granularity)
    view = index.view()
    ids, rng = view.all_track_ids(), np.random.default_rng(seed)
    if len(ids) < 2:
        raise EvaluationError(f"space {index.space!r} holds {len(ids)} tracks: nothing has a neighbour", "at least 2")
    for share in shares:
        if not 0 < share < 1:
            raise EvaluationError(f"share {share} is out of range", "above 0, below 1")
    query_ids = np.sort(rng.choice(ids, size=min(queries, len(ids)), replace=False))
    vectors = track_vectors(view, query_ids)
    cases: list[tuple[str, Selection | None]] = [("all", None)]
    for size in dict.fromkeys(
        max(1, round(share * len(ids))) for share in shares
    ):  # of few tracks they may be the same
        cases.append(("random", view.select(np.sort(rng.choice(ids, size=size, replace=False)))))
    for name, condition in (filters or {}).items():
        cases.append((name, view.select(search.selections.matching(condition))))
    rows = []
    for number, (name, among) in enumerate(cases, start=1):
        rows.append(_measured(view, name, among, query_ids, vectors, k, epsilon, timed))
        on_done(number, len(cases))
    subject = Subject(index.space, granularity, view.encoder_version, view.version, view.count, k, exact=False)
    empty = [f"{row.among}: no track matches" for row in rows if not row.matching]
    return AnnEvaluation(subject, k, epsilon, len(query_ids), min(timed, len(query_ids)), rows, empty)


def id_overlap(answer: NDArray[np.int64], true: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the true neighbours that were found.

    Parameters
    ----------
    answer, true : int64 [n, k], −1 behind the last

    Returns
    -------
    float64 [n]; NaN for a query without any true neighbour
    """
    stride = int(max(answer.max(initial=0), true.max(initial=0))) + 1
    rows = np.arange(len(true))[:, np.newaxis] * stride
    hits = np.isin(rows + true, (rows + answer)[answer >= 0]) & (true >= 0)
    return share_of(hits, true >= 0)


def near_enough(answer: NDArray[np.float64], true: NDArray[np.float64], *, epsilon: float = 0.0) -> NDArray[np.float64]:
    """Share of the results that lie within (1 + ε) of the distance of the last true neighbour.

    Parameters
    ----------
    answer, true : cosines float64 [n, k], −inf behind the last

    Returns
    -------
    float64 [n]; NaN for a query without any true neighbour
    """
    present = np.isfinite(true)
    last = np.where(present, true, np.inf).min(axis=1, initial=np.inf)
    furthest = np.sqrt(np.maximum(2 - 2 * last, 0))
    least = 1 - ((1 + epsilon) * furthest) ** 2 / 2
    hits = np.isfinite(answer) & (answer >= least[:, np.newaxis] - ROUNDING)
    return np.minimum(share_of(hits, present), 1.0)


def _measured(
    view: IndexView,
    name: str,
    among: Selection | None,
    query_ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    k: int,
    epsilon: float,
    timed: int,
) -> AnnRecall:
    matching = view.count if among is None else among.matching
    if not matching:
        nan = float("nan")
        nothing, never = Interval(nan, nan, nan, 0), Latency(nan, nan, nan)
        return AnnRecall(name, 0, 0.0, "exact", nothing, nothing, nothing, nan, never, never)
    path = view.search(vectors[:1], k + 1, selection=among).path
    answer, true = (nearest_others(view, query_ids, vectors, k, among=among, exact=exact) for exact in (False, True))
    tie_safe = near_enough(answer[1], true[1])
    values = (id_overlap(answer[0], true[0]), tie_safe, near_enough(answer[1], true[1], epsilon=epsilon))
    overlap, within_ties, within_epsilon = bootstrap(np.stack(values, axis=1))
    return AnnRecall(
        name,
        matching,
        matching / view.count,
        path,
        overlap,
        within_ties,
        within_epsilon,
        float(np.nanmin(tie_safe)) if np.isfinite(tie_safe).any() else float("nan"),
        _latency(view, vectors[:timed], k, among, exact=False),
        _latency(view, vectors[:timed], k, among, exact=True),
    )


def _latency(view: IndexView, vectors: NDArray[np.float32], k: int, among: Selection | None, *, exact: bool) -> Latency:
    view.search(vectors[:1], k, selection=among, exact=exact)  # what a selection makes once is not a query's time
    times_ms = []
    for number in range(len(vectors)):
        start = time.perf_counter()
        view.search(vectors[number : number + 1], k, selection=among, exact=exact)
        times_ms.append(1000 * (time.perf_counter() - start))
    return Latency(*(round(float(np.percentile(times_ms, level)), 4) for level in (50, 95, 99)))
