"""A view without rows, of primary keys, which evaluates filters by itself, answers as the local one does."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

from retrieval.catalog.conditions import All, AtLeast, Between, Condition, Not, OneOf
from retrieval.catalog.reading import Catalog
from retrieval.filters.language import parse_filter
from retrieval.index.protocol import IndexView, Matching, Neighbors, Selection
from retrieval.search.engine import Search
from retrieval.search.query import Answer, Diversity, Query, QueueContext, Seed, continued, similar
from tests.catalog.test_filters import Known, record, store, values_of

N_TRACKS = 150
LIVE = parse_filter({"must": [{"key": "meta.shop.live", "match": {"value": True}}]})
SOME = parse_filter(
    {
        "must": [{"key": "year", "range": {"gte": 1991}}],
        "should": [{"key": "artist", "match": {"any": ["A", "B"]}}, {"key": "tags.rock", "range": {"gt": 0.5}}],
        "must_not": [{"key": "tempo", "is_empty": True}],
    }
)


def meets(condition: Condition, values: dict[str, list[Any]]) -> bool:
    match condition:
        case All(parts):
            return all(meets(part, values) for part in parts)
        case AtLeast(count, parts):
            return sum(meets(part, values) for part in parts) >= count
        case Not(part):
            return not meets(part, values)
        case OneOf(key, asked):
            return bool(set(values.get(key, ())) & set(asked))
        case Between(key, low, high, low_open, high_open):
            numbers = [value for value in values.get(key, ()) if not isinstance(value, str)]
            return any(
                (low < value if low_open else low <= value) and (value < high if high_open else value <= high)
                for value in numbers
            )
        case _:
            return condition.key in values


@dataclass(frozen=True)
class Chosen:
    ids: frozenset[int]

    @property
    def matching(self) -> int:
        return len(self.ids)

    def count_of(self, track_ids: NDArray[np.int64]) -> int:
        return len(self.ids & set(track_ids.tolist()))


class OtherEngine:
    """A table of vectors by primary key, each with its track and span, and every track's attributes."""

    def __init__(self, like: IndexView, values: dict[int, dict[str, list[Any]]]) -> None:
        self.version, self.encoder_version, self.dim = like.version, like.encoder_version, like.dim
        names = like.vector_ids(like.all_track_ids())
        keys = np.random.default_rng(0).choice(2**62, len(names), replace=False)
        found = zip(like.track_ids(names).tolist(), like.vectors(names), like.spans_s(names), strict=True)
        self.table = dict(zip(keys.tolist(), found, strict=True))
        self.values = values
        self.count = len(set(like.track_ids(names).tolist()))

    def all_track_ids(self) -> NDArray[np.int64]:
        return np.array(sorted({track_id for track_id, _, _ in self.table.values()}), np.int64)

    def vector_ids(self, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        asked = set(track_ids.tolist())
        return np.array([key for key, (track_id, _, _) in self.table.items() if track_id in asked], np.int64)

    def vectors(self, vector_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.array([self.table[key][1] for key in vector_ids.tolist()], np.float32).reshape(-1, self.dim)

    def track_ids(self, vector_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        of = [-1 if key == -1 else self.table[key][0] for key in vector_ids.ravel().tolist()]
        return np.array(of, np.int64).reshape(vector_ids.shape)

    def spans_s(self, vector_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        return np.array([self.table[key][2] for key in vector_ids.tolist()], np.float32).reshape(-1, 2)

    def select(
        self, tracks: Matching | NDArray[np.int64] | None = None, *, without: NDArray[np.int64] | None = None
    ) -> Chosen:
        every = set(self.all_track_ids().tolist())
        if isinstance(tracks, Matching):  # by its own attributes: it never asks for ids
            every = {one for one in every if meets(tracks.condition, self.values[one])}
        elif tracks is not None:
            every &= set(tracks.tolist())
        return Chosen(frozenset(every - set(() if without is None else without.tolist())))

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        selection: Selection | None = None,
        exact: bool = False,
        enough: Callable[[Neighbors], bool] | None = None,
    ) -> Neighbors:
        assert isinstance(selection, Chosen | None)
        ids = set(self.all_track_ids().tolist()) if selection is None else selection.ids
        names = np.array([key for key, (track_id, _, _) in self.table.items() if track_id in ids], np.int64)
        cosines = queries @ self.vectors(names).T
        while True:
            shape = len(queries), k
            tracks, best, scores = np.full(shape, -1), np.full(shape, -1), np.full(shape, -np.inf, np.float32)
            for row, ours in enumerate(cosines):
                order = np.lexsort((self.track_ids(names), -ours))
                _, first = np.unique(self.track_ids(names)[order], return_index=True)
                order = order[np.sort(first)][:k]
                tracks[row, : len(order)], best[row, : len(order)] = self.track_ids(names)[order], names[order]
                scores[row, : len(order)] = ours[order]
            neighbors = Neighbors(tracks, best, scores, len(ids), len(names), "exact")
            if enough is None or enough(neighbors) or neighbors.is_everything:
                return neighbors
            k *= 2


@pytest.fixture
def known() -> dict[str, Known]:
    rng = np.random.default_rng(11)
    return {f"t{number}": record(number, rng) for number in range(N_TRACKS)}


@pytest.fixture
def search(engine: Engine, tmp_path: Path, known: dict[str, Known]) -> Search:
    catalog = Catalog(engine)
    store(catalog, *known.values())
    return Search(catalog, tmp_path, default_space="e")


@pytest.mark.parametrize("granularity", ["track", "segment"])
def test_another_engine_answers_as_the_local_view_does(
    granularity: str, search: Search, known: dict[str, Known], monkeypatch: pytest.MonkeyPatch
) -> None:
    most = [f"t{number}" for number in range(110)]
    several = [Seed("t3"), Seed("t4", weight=0.5)]
    queries = [
        similar("t7"),
        similar("t7", filter=SOME, explain=True),
        similar("t120", filter=SOME, exclude=["t1", "t2"], include_seed=True),
        similar("t120", exclude=most, limit=100),
        similar("t120", exclude=most, filter=LIVE, limit=100),
        Query(several, [Seed("t9")], strategy="best_score", limit=140),
        Query(several, [Seed("t9")], strategy="sum_scores", filter=LIVE),
        similar("t7", diversity=Diversity(mmr=0.5, candidates=20, max_per={"artist": 2}, csls=True), limit=5),
        similar("t7", diversity=Diversity(fold_duplicates=True, candidates=7, max_per={"artist": 9}), limit=40),
        continued(["t1", "t2"], context=QueueContext(artist_gap=1), filter=LIVE),
    ]
    index = search.space(None, granularity)  # type: ignore[arg-type]
    local = index.view()
    ids = search.catalog.ids_by_key(list(known))
    remote: IndexView = OtherEngine(local, {ids[key]: values_of(track) for key, track in known.items()})
    for query in queries:
        query = replace(query, granularity=granularity)
        expected = pages(search, query)
        with monkeypatch.context() as patch:
            patch.setattr(index, "view", lambda: remote)
            patch.setattr(search.selections, "_kept", {})
            answered = pages(search, query)
        search.selections._kept.clear()
        assert [shown(answer) for answer in answered] == [shown(answer) for answer in expected], query


def pages(search: Search, query: Query) -> list[Answer]:
    answers = [search.answer(query)]
    while answers[-1].next_cursor is not None and len(answers) < 4:
        answers.append(search.answer(replace(query, cursor=answers[-1].next_cursor)))
    return answers


def shown(answer: Answer) -> Any:
    results = [
        (result.track.key, pytest.approx(result.score, abs=1e-6), result.span_s, result.explain)
        for result in answer.results
    ]
    return results, answer.stats, answer.next_cursor is None
