"""What the live index answers to every query, over all its tracks: no candidates are sampled.

Queries by whole tracks, one or several, without a filter, go to the index in large blocks: that is the same search as
that of `Search.answer`, and the same order. All others are answered one by one by `Search.answer` itself.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from retrieval.errors import MissingEmbeddingError, RetrievalError
from retrieval.evaluation.errors import EvaluationError
from retrieval.index.ascending import contained, distinct
from retrieval.search import recommend
from retrieval.search.recommend import score_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from numpy.typing import NDArray

    from retrieval.evaluation.inputs.queries import EvaluationQuery, Where
    from retrieval.index.protocol import IndexView, Selection
    from retrieval.search.engine import Search
    from retrieval.search.query import Query

BLOCK_QUERIES = 4_096
BLOCK_TRACKS = 256


@dataclass(frozen=True, eq=False)
class Ranking:
    """Answers to n queries.

    Attributes
    ----------
    track_ids : int64 [n, depth], best first, −1 behind the last
    scores : float32 [n, depth], in [0, 1]; 0 behind the last
    one_by_one : how many were answered by `Search.answer`
    search_s : seconds
    """

    track_ids: NDArray[np.int64]
    scores: NDArray[np.float32]
    one_by_one: int
    search_s: float


def rank(
    search: Search,
    view: IndexView,
    queries: Sequence[EvaluationQuery],
    known: Mapping[str, int],
    where: Where,
    *,
    on_done: Callable[[int, int], None] = lambda done, total: None,
) -> Ranking:
    """Answer every query.

    Parameters
    ----------
    view : of the space and granularity of `where`
    known : track ids by key, of all examples and excluded tracks that there are
    on_done : called with how many queries are answered, of how many

    Raises
    ------
    EvaluationError
        For a query that cannot be answered, with its id and place.
    """
    start = time.perf_counter()
    track_ids = np.full((len(queries), where.depth), -1, np.int64)
    scores = np.zeros((len(queries), where.depth), np.float32)
    together = [number for number, one in enumerate(queries) if _is_plain(one.query)]
    alone = sorted(set(range(len(queries))) - set(together))
    for first in range(0, len(together), BLOCK_QUERIES):
        block = together[first : first + BLOCK_QUERIES]
        track_ids[block], scores[block] = _block(view, [queries[number].query for number in block], known, where)
        on_done(first + len(block), len(queries))
    for done, number in enumerate(alone, start=1):
        results = _answered(search, queries[number], where)
        track_ids[number, : len(results)] = [track_id for track_id, _ in results]
        scores[number, : len(results)] = [score for _, score in results]
        on_done(len(together) + done, len(queries))
    return Ranking(track_ids, scores, len(alone), time.perf_counter() - start)


def nearest_others(
    view: IndexView,
    query_ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    k: int,
    *,
    among: Selection | None = None,
    exact: bool = False,
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """What tracks find besides themselves.

    Parameters
    ----------
    query_ids : int64 [n], tracks
    vectors : float32 [n, dim], theirs
    among : rows that may be found; by default all

    Returns
    -------
    Tracks int64 [n, k], best first, −1 behind the last, and their cosines float64 [n, k], −inf behind the last.
    """
    parts = [(np.empty((0, k), np.int64), np.empty((0, k)))]
    for start in range(0, len(query_ids), BLOCK_TRACKS):
        block = slice(start, start + BLOCK_TRACKS)
        answer = view.search(vectors[block], k + 1, selection=among, exact=exact)
        parts.append(_others(answer.track_ids, answer.cosines, query_ids[block]))
    ids, cosines = zip(*parts, strict=True)
    return np.concatenate(ids), np.concatenate(cosines)


def track_vectors(view: IndexView, track_ids: NDArray[np.int64]) -> NDArray[np.float32]:
    """One unit vector a track, float32 [n, dim]: its own, or the direction of the mean of its segments.

    Parameters
    ----------
    track_ids : int64 [n] ascending, distinct

    Raises
    ------
    MissingEmbeddingError
        If the view does not hold one of them.
    """
    rows = view.vector_ids(track_ids)
    owners = view.track_ids(rows)
    order = np.argsort(owners, kind="stable")
    vectors, owners = view.vectors(rows[order]), owners[order]
    found, first, count = np.unique(owners, return_index=True, return_counts=True)
    if len(found) < len(track_ids):
        missing = int(np.setdiff1d(track_ids, found)[0])
        raise MissingEmbeddingError(f"the index does not hold track number {missing}")
    if (count == 1).all():
        return vectors
    mean = np.add.reduceat(vectors, first, axis=0) / count[:, np.newaxis]
    mean = np.where(count[:, np.newaxis] == 1, vectors[first], mean)
    norms = np.linalg.norm(mean.astype(np.float64), axis=1, keepdims=True)
    unit: NDArray[np.float32] = np.where(count[:, np.newaxis] == 1, mean, mean / norms).astype(np.float32)
    return unit


def _others(
    track_ids: NDArray[np.int64], cosines: NDArray[np.float32], query_ids: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """All [n, k + 1] but the track that asks, or but the last one: [n, k]."""
    itself = track_ids == query_ids[:, np.newaxis]
    itself[~itself.any(axis=1), -1] = True
    shape = len(query_ids), track_ids.shape[1] - 1
    return track_ids[~itself].reshape(shape), cosines[~itself].reshape(shape).astype(np.float64)


def _is_plain(query: Query) -> bool:
    seeds = (*query.positive, *query.negative)
    whole = all(seed.track is not None and seed.start_s is None for seed in seeds)
    narrowed = query.filter is not None or query.picks or query.score_threshold is not None
    return whole and not narrowed and query.strategy == "average_vector"


def _block(
    view: IndexView, queries: Sequence[Query], known: Mapping[str, int], where: Where
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    seeds = [[known[seed.track or ""] for seed in (*query.positive, *query.negative)] for query in queries]
    ids = distinct(np.fromiter((one for examples in seeds for one in examples), np.int64))
    vectors = track_vectors(view, ids)
    of = dict(zip(ids.tolist(), vectors, strict=True))

    directions = np.empty((len(queries), view.dim), np.float32)
    for number, query in enumerate(queries):
        if len(query.positive) == 1 and not query.negative:
            directions[number] = of[seeds[number][0]]
        else:
            directions[number] = _direction(query, of, known)
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)  # float16 left them off 1
    left_out = [
        {*([] if query.include_seed else examples), *(known[key] for key in query.exclude if key in known)}
        for query, examples in zip(queries, seeds, strict=True)
    ]
    n = where.depth + max(map(len, left_out))
    found = view.search(directions, n, exact=where.exact)
    return _without(found.track_ids, found.cosines, left_out, where.depth)


def _direction(
    query: Query, vectors: Mapping[int, NDArray[np.float32]], known: Mapping[str, int]
) -> NDArray[np.float32]:
    """What `Search.answer` searches with, for examples that are whole tracks."""
    query.check()
    positive, negative = (
        [recommend.Example(vectors[known[seed.track or ""]], seed.weight) for seed in side]
        for side in (query.positive, query.negative)
    )
    if query.half_life is not None:
        ages = recommend.recency_weights(len(positive), query.half_life)
        positive = [replace(one, weight=one.weight * age) for one, age in zip(positive, ages, strict=True)]
    direction: NDArray[np.float32] = recommend.queries(positive, negative)[0]
    return direction


def _without(
    track_ids: NDArray[np.int64], cosines: NDArray[np.float32], left_out: Sequence[set[int]], depth: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The first `depth` of each row that must not be left out."""
    numbers = np.repeat(np.arange(len(left_out)), [len(ids) for ids in left_out])
    excluded = np.fromiter((one for ids in left_out for one in ids), np.int64)
    stride = int(max(track_ids.max(initial=0), excluded.max(initial=0))) + 1
    rows = np.arange(len(track_ids))[:, np.newaxis]
    dropped = contained(rows * stride + track_ids, np.sort(numbers * stride + excluded)) | (track_ids < 0)
    order = np.argsort(dropped, axis=1, kind="stable")[:, :depth]
    kept = ~np.take_along_axis(dropped, order, 1)
    scores = score_of(np.take_along_axis(cosines, order, 1))
    ids = np.where(kept, np.take_along_axis(track_ids, order, 1), -1)
    padding = ((0, 0), (0, depth - ids.shape[1]))
    return np.pad(ids, padding, constant_values=-1), np.pad(np.where(kept, scores, 0), padding).astype(np.float32)


def _answered(search: Search, named: EvaluationQuery, where: Where) -> list[tuple[int, float]]:
    query = replace(
        named.query,
        space=where.space,
        granularity=where.granularity,
        limit=where.depth,
        exact=where.exact,
        explain=False,
        cursor=None,
    )
    try:
        answer = search.answer(query)
    except RetrievalError as error:
        at = f" ({named.place})" if named.place else ""
        raise EvaluationError(f"query {named.id!r}{at}: {error}") from error
    return [(result.track.id, result.score) for result in answer.results]
