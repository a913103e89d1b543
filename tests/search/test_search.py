"""Queries: the seed stays out, filters fill, errors name the field, and every answer accounts for itself."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

from retrieval.catalog.reading import Catalog
from retrieval.errors import IndexMismatchError, IndexMissingError, MissingEmbeddingError, QueryError, UnknownTrackError
from retrieval.filters.language import parse_filter
from retrieval.search.engine import Search
from retrieval.search.query import Query, Seed, similar
from tests.catalog.test_catalog import DIM, analysis

N_TRACKS = 40


@pytest.fixture
def search(engine: Engine, tmp_path: Path, rng: np.random.Generator) -> Search:
    catalog = Catalog(engine)
    tags = [{"rock": number / N_TRACKS, "pop": 0.05, "jazz": 0.5} for number in range(N_TRACKS)]
    catalog.store_many([replace(analysis(f"t{n}", rng, tags=own), year=1980 + n) for n, own in enumerate(tags)])
    return Search(catalog, tmp_path, default_space="e")


def keys(search: Search, query: Query) -> list[str]:
    return [result.track.key for result in search.answer(query).results]


def test_a_track_is_its_own_nearest_neighbor_when_asked_for(search: Search) -> None:
    answer = search.answer(similar("t7", include_seed=True, limit=N_TRACKS))
    assert answer.results[0].track.key == "t7"
    assert answer.results[0].score == pytest.approx(1.0, abs=1e-3)
    assert answer.stats.matching == answer.stats.returned == N_TRACKS
    scores = [result.score for result in answer.results]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_the_seed_stays_out(search: Search) -> None:
    answer = search.answer(similar("t7", limit=N_TRACKS))
    assert "t7" not in [result.track.key for result in answer.results]
    assert answer.stats.matching == answer.stats.returned == N_TRACKS - 1
    assert answer.stats.reason == f"only {N_TRACKS - 1} tracks beside the example can be found in this space"
    here = search.answer(similar("t7", limit=N_TRACKS + 1, include_seed=True))
    assert here.stats.reason == f"only {N_TRACKS} tracks can be found in this space"
    both = Query([Seed("t7"), Seed("t8")], limit=N_TRACKS, exclude=["t9", "t8"])
    told = f"only {N_TRACKS - 3} tracks beside the 2 examples can be found in this space"
    assert search.answer(both).stats.reason == told


def test_a_filter_that_the_example_meets_is_told_beside_it(search: Search) -> None:
    for years, told in (
        ({"gte": 2017}, "only 2 tracks beside the example match the filter"),
        ({"gte": 2019}, "no track beside the example matches the filter"),
        ({"gte": 2018, "lt": 2019}, "only 1 track matches the filter"),
    ):
        recent = parse_filter({"must": [{"key": "year", "range": years}]})
        assert search.answer(similar("t39", filter=recent)).stats.reason == told


def test_a_vector_equals_its_track(search: Search) -> None:
    vector = search.catalog.track_vector(search.catalog.track("t7").id, "e")
    assert keys(search, Query([Seed(vector=3 * vector)], exclude=["t7"])) == keys(search, similar("t7"))


@pytest.mark.parametrize("limit", [1, 5, 40])
def test_a_filter_fills_or_explains(search: Search, limit: int) -> None:
    recent = parse_filter({"must": [{"key": "year", "range": {"gte": 2005}}]})
    answer = search.answer(similar("t39", filter=recent, limit=limit, exclude=["t38"]))
    expected = [key for key in keys(search, similar("t39", limit=N_TRACKS)) if int(key[1:]) >= 25 and key != "t38"]
    assert [result.track.key for result in answer.results] == expected[:limit]
    assert answer.stats.matching == len(expected) + 1 == 14
    assert answer.stats.dropped == {"exclude": 1}
    assert answer.stats.remaining == max(13 - limit, 0)
    assert (answer.stats.reason is None) == (limit <= 13)


@pytest.mark.parametrize("n_excluded", [5, 130])
def test_only_what_would_have_come_counts_as_excluded(
    search: Search, rng: np.random.Generator, n_excluded: int
) -> None:
    """Up to a hundred tracks are left out of what was found, more of what is searched: nobody shall see which."""
    search.catalog.store_many([replace(analysis(f"u{n}", rng), year=1900 + n % 3) for n in range(n_excluded)])
    search.catalog.store(replace(analysis("elsewhere", rng), year=2010, rows=()))
    excluded = [f"u{n}" for n in range(n_excluded)] + ["t36", "t37", "nowhere", "elsewhere"]
    recent = parse_filter({"must": [{"key": "year", "range": {"gte": 2005}}]})
    answer = search.answer(similar("t39", filter=recent, exclude=excluded, limit=N_TRACKS))
    assert (answer.stats.matching, answer.stats.dropped) == (14, {"exclude": 2})
    answer = search.answer(similar("t39", filter=recent, exclude=["t39", *excluded], include_seed=True, limit=N_TRACKS))
    assert (answer.stats.matching, answer.stats.dropped) == (15, {"exclude": 3})
    everything = search.answer(similar("t39", exclude=excluded, limit=N_TRACKS))
    assert (everything.stats.matching, everything.stats.dropped) == (39 + n_excluded, {"exclude": n_excluded + 2})


def test_a_filter_that_matches_nothing_says_so(search: Search) -> None:
    none = parse_filter({"must": [{"key": "year", "match": {"value": 1800}}]})
    answer = search.answer(similar("t1", filter=none))
    assert (answer.results, answer.stats.matching) == ([], 0)
    assert answer.stats.reason == "no track matches the filter"


def test_a_filter_by_what_no_track_has_says_which_key_that_is(search: Search) -> None:
    wanted = [{"key": "meta.mood", "match": {"value": "calm"}}, {"key": "tags.rock", "range": {"gte": 0}}]
    answer = search.answer(similar("t1", filter=parse_filter({"must": wanted})))
    assert answer.stats.reason == "no track matches the filter; no track has a value of meta.mood"
    search.catalog.store(replace(analysis("sad", np.random.default_rng(3)), metadata={"mood": "calm"}))
    answer = search.answer(similar("t1", filter=parse_filter({"should": wanted[:1]})))
    assert ([result.track.key for result in answer.results], answer.stats.reason) == (
        ["sad"],
        "only 1 track matches the filter",
    )


def test_a_threshold_drops_and_says_so(search: Search) -> None:
    answer = search.answer(similar("t1", score_threshold=0.6, limit=N_TRACKS))
    assert all(result.score >= 0.6 for result in answer.results)
    assert answer.stats.dropped == {"score_threshold": N_TRACKS - 1 - len(answer.results)}
    assert "see dropped" in str(answer.stats.reason)


def test_all_below_a_threshold_is_dropped_however_few_were_asked_for(search: Search) -> None:
    """What was said of 98 tracks before: matching 98, returned 0, dropped 10."""
    stats = search.answer(similar("t1", score_threshold=0.9999, limit=10)).stats
    assert (stats.matching, stats.returned, stats.remaining) == (N_TRACKS - 1, 0, 0)
    assert stats.dropped == {"score_threshold": N_TRACKS - 1}


def test_shared_tags_explain(search: Search) -> None:
    result = search.answer(similar("t39", limit=1, explain=True, exclude=["t0", "t1", "t2", "t3", "t4"])).results[0]
    assert result.explain is not None
    expected = ["rock", "jazz"] if int(result.track.key[1:]) / N_TRACKS > 0.5 else ["jazz", "rock"]
    assert result.explain.shared_tags == expected


def test_a_deleted_track_is_gone_at_once(search: Search) -> None:
    nearest = keys(search, similar("t1", limit=1))[0]
    search.catalog.delete(nearest)
    answer = search.answer(similar("t1", limit=N_TRACKS))
    assert nearest not in [result.track.key for result in answer.results]
    assert answer.stats.matching == N_TRACKS - 2


@pytest.mark.parametrize(
    ("query", "error", "message"),
    [
        (
            Query([]),
            QueryError,
            "positive: is empty; accepted: 1 to 100 examples",
        ),
        (Query([Seed()]), QueryError, r"positive\[0\]: needs exactly one example; accepted: track, vector"),
        (Query([Seed("t1", vector=np.ones(DIM, np.float32))]), QueryError, "exactly one example"),
        (
            Query([Seed(vector=np.ones(3, np.float32))]),
            QueryError,
            rf"positive\[0\].vector: has 3 values; accepted: {DIM} finite",
        ),
        (Query([Seed(vector=np.full(DIM, np.nan, np.float32))]), QueryError, r"positive\[0\].vector: has norm nan"),
        (Query([Seed(vector=np.zeros(DIM, np.float32))]), QueryError, "not all zero"),
        (similar("t1", limit=0), QueryError, "limit: is 0; accepted: 1 to 1000"),
        (similar("t99"), UnknownTrackError, "^no track with key 't99'; nearest keys: t"),
        (similar("t1", space="f"), IndexMissingError, "space 'f' holds no track; spaces that do: e"),
        (
            Query([Seed(vector=np.ones(DIM, np.float32), encoder_version="e-2")]),
            IndexMismatchError,
            "by e-2.*holds e-1",
        ),
    ],
)
def test_bad_queries_are_named(search: Search, query: Query, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        search.answer(query)


def test_an_unknown_track_is_told_by_its_example(search: Search) -> None:
    with pytest.raises(UnknownTrackError) as raised:
        search.answer(Query([Seed("t1")], [Seed("t2"), Seed("t99")]))
    assert (raised.value.key, raised.value.example) == ("t99", ("negative", 1))


def test_a_track_without_an_embedding_is_named(search: Search, rng: np.random.Generator) -> None:
    search.catalog.store(replace(analysis("bare", rng), rows=()))
    with pytest.raises(MissingEmbeddingError, match="'bare'"):
        search.answer(similar("bare"))
