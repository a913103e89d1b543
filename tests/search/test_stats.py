"""What became of every track that matches: the numbers of an answer add up, whatever is asked."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

import retrieval.index.snapshots
import retrieval.search.picking
from retrieval.catalog.reading import Catalog
from retrieval.filters.language import parse_filter
from retrieval.index.merging import rebuild
from retrieval.search.engine import Search
from retrieval.search.query import Diversity, Query, QueueContext, Seed, Stats
from tests.catalog.test_catalog import analysis
from tests.catalog.test_filters import FILTERS, holds, record, store, values_of
from tests.conftest import new_database

N_TRACKS = 60
KEYS = [f"t{number}" for number in range(N_TRACKS)]
KNOWN = {key: record(number, np.random.default_rng(number)) for number, key in enumerate(KEYS)}


@pytest.fixture(scope="module", params=["flat", "ivf"])
def search(
    request: pytest.FixtureRequest, server: Engine, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Search]:
    source = new_database(server, "soundalike_template")
    engine = create_engine(make_url(next(source)))
    catalog = Catalog(engine)
    with pytest.MonkeyPatch.context() as patch:
        if request.param == "ivf":
            patch.setattr(retrieval.index.snapshots, "FLAT_LIMIT", 0)
        store(catalog, *KNOWN.values())
        built = Search(catalog, tmp_path_factory.mktemp("index"), default_space="e", tags=lambda: ["nobody has"])
        for granularity in ("track", "segment"):
            rebuild(built.space(None, granularity))  # type: ignore[arg-type]
        yield built
    engine.dispose()
    next(source, None)


class ByNumber:
    """Scores each of so many candidates anew: by its number, whatever it sounds like."""

    def __init__(self, candidates: int) -> None:
        self.candidates = candidates

    def scores(self, track_ids: NDArray[np.int64], cosines: NDArray[np.float32]) -> NDArray[np.float32]:
        return (track_ids % 7 / 7).astype(np.float32)


weights = st.sampled_from([0.5, 1.0, 3.0])
liked, disliked = (st.builds(Seed, st.sampled_from(keys), weight=weights) for keys in (KEYS[:40], KEYS[40:]))
diversities = st.builds(
    Diversity,
    st.sampled_from([0.0, 0.4, 1.0]),
    st.integers(1, 70),
    st.dictionaries(st.sampled_from(["artist", "album"]), st.integers(1, 3)),
    st.booleans(),
    st.booleans(),
)
contexts = st.builds(QueueContext, st.lists(st.sampled_from([*KEYS, "nowhere"]), max_size=4), st.integers(0, 3))
queries: st.SearchStrategy[Query] = st.builds(
    Query,
    st.lists(liked, min_size=1, max_size=3),
    st.lists(disliked, max_size=2),
    st.sampled_from(["average_vector", "best_score", "sum_scores"]),
    st.sampled_from([None, None, 2.0]),
    granularity=st.sampled_from(["track", "segment"]),
    exclude=st.lists(st.sampled_from([*KEYS, "nowhere"]), max_size=8) | st.just(KEYS[:-5] + ["x"] * 60),
    include_seed=st.booleans(),
    context=st.none() | contexts,
    diversity=st.none() | diversities,
    rescoring=st.none() | st.builds(ByNumber, st.integers(1, 70)),
    score_threshold=st.sampled_from([None, 0.0, 0.4, 0.5, 0.6, 0.9, 1.0]),
    limit=st.integers(1, 70),
    exact=st.booleans(),
)
MAY_DROP = {
    "exclude": lambda query: query.exclude,
    "score_threshold": lambda query: query.score_threshold,
    "duplicate": lambda query: query.diversity and query.diversity.fold_duplicates,
    "max_per.artist": lambda query: query.diversity and "artist" in query.diversity.max_per,
    "max_per.album": lambda query: query.diversity and "album" in query.diversity.max_per,
    "previous": lambda query: query.context,
    "artist_gap": lambda query: query.context and query.context.artist_gap,
    "album_gap": lambda query: query.context and query.context.album_gap,
}


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(query=queries, raw=st.none() | FILTERS)
def test_what_matches_is_returned_dropped_or_not_asked_for_yet(
    query: Query, raw: dict[str, Any] | None, search: Search
) -> None:
    query = replace(query, filter=None if raw is None else parse_filter(raw))
    examples = set() if query.include_seed else {seed.track for seed in (*query.positive, *query.negative)}
    matching = {key for key, track in KNOWN.items() if raw is None or holds(raw, values_of(track))} - examples
    seen: list[str] = []
    for _ in range(N_TRACKS + 2):
        answer = search.answer(query)
        stats = answer.stats
        assert stats.matching == len(matching)
        assert_adds_up(stats)
        assert (stats.earlier, stats.returned) == (len(seen), len(answer.results))
        assert stats.dropped.get("exclude", 0) == len(matching & set(query.exclude))
        assert all(MAY_DROP[name](query) and count > 0 for name, count in stats.dropped.items())
        assert (stats.reason is None) == (stats.returned == query.limit)
        assert (answer.next_cursor is None) == (stats.remaining == 0)
        seen += [result.track.key for result in answer.results]
        if answer.next_cursor is None:
            break
        query = replace(query, cursor=answer.next_cursor)
    assert stats.remaining == 0
    assert len(seen) == len(set(seen))
    assert set(seen) <= matching - set(query.exclude)


def test_a_page_that_looks_no_further_says_how_many_it_left(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval.search.picking, "MAX_CANDIDATES", 8)
    rules = Diversity(candidates=4, max_per={"artist": 1})
    stats = search.answer(Query([Seed("t1")], diversity=rules, limit=8)).stats
    assert_adds_up(stats)
    assert stats.returned < 8
    assert stats.remaining > 0
    assert "of 59 that match" in str(stats.reason)


def test_a_track_that_goes_meanwhile_is_counted(
    engine: Engine, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = Catalog(engine)
    for key in KEYS[:12]:
        catalog.store(analysis(key, rng))
    search = Search(catalog, tmp_path, default_space="e")
    nearest = search.answer(Query([Seed("t1")], limit=1)).results[0].track
    known = search.tracks.tracks
    monkeypatch.setattr(
        search.tracks, "tracks", lambda ids: {one: track for one, track in known(ids).items() if one != nearest.id}
    )
    for diversity in (None, Diversity(candidates=5)):
        stats = search.answer(Query([Seed("t1")], limit=4, diversity=diversity)).stats
        assert stats.dropped == {"deleted_meanwhile": 1}
        assert_adds_up(stats)


def assert_adds_up(stats: Stats) -> None:
    assert stats.matching == stats.earlier + stats.returned + sum(stats.dropped.values()) + stats.remaining
    assert min(stats.earlier, stats.returned, stats.remaining, *stats.dropped.values(), 0) == 0
