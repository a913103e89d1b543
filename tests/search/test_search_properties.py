"""Any filter over any catalogue: search equals brute force, equal filters answer equally, and pages add up."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

import retrieval.index.snapshots
from retrieval.catalog.reading import Catalog
from retrieval.filters.language import parse_filter
from retrieval.index.merging import rebuild
from retrieval.search.engine import Search
from retrieval.search.query import Diversity, Query, Seed
from tests.catalog.test_catalog import DIM
from tests.catalog.test_filters import FILTERS, Known, holds, record, store, values_of
from tests.conftest import new_database

N_TRACKS = 70
RELAXED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module")
def known() -> dict[str, Known]:
    rng = np.random.default_rng(11)
    return {f"t{number}": record(number, rng) for number in range(N_TRACKS)}


@pytest.fixture(scope="module", params=["flat", "ivf"])
def search(
    request: pytest.FixtureRequest,
    server: Engine,
    known: dict[str, Known],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Search]:
    """A catalogue whose last tracks came after its snapshot, and of which one was written over and one deleted."""
    source = new_database(server, "soundalike_template")
    engine = create_engine(make_url(next(source)))
    catalog = Catalog(engine)
    rng = np.random.default_rng(12)
    patch = pytest.MonkeyPatch()
    if request.param == "ivf":
        patch.setattr(retrieval.index.snapshots, "FLAT_LIMIT", 0)
    first, last = list(known.values())[:-15], list(known.values())[-15:]
    other = replace(last[0], analysis=record(len(first), rng, content="other").analysis)
    store(catalog, *first, record(500, rng), other)
    built = Search(catalog, tmp_path_factory.mktemp("index"), default_space="e", tags=lambda: ["nobody has"])
    for granularity in ("track", "segment"):
        rebuild(built.space(None, granularity))  # type: ignore[arg-type]
    store(catalog, *last)
    catalog.delete("t500")
    yield built
    patch.undo()
    engine.dispose()
    next(source, None)


def vector_of(track: Known) -> np.ndarray:
    return track.analysis.rows[0].track_vector.astype(np.float16).astype(np.float64)


def brute_force(raw: dict[str, Any], query: np.ndarray, known: dict[str, Known]) -> list[str]:
    matching = [key for key, track in known.items() if holds(raw, values_of(track))]
    return sorted(matching, key=lambda key: -float(vector_of(known[key]) @ query))


vectors = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed).standard_normal(DIM).astype(np.float32))


@RELAXED
@given(raw=FILTERS, query=vectors, limit=st.integers(1, N_TRACKS + 5))
def test_any_filtered_search_equals_brute_force(
    raw: dict[str, Any], query: np.ndarray, limit: int, search: Search, known: dict[str, Known]
) -> None:
    expected = brute_force(raw, query, known)
    cosines = [float(vector_of(known[key]) @ query) for key in expected]
    assume(all(before - after > 1e-5 for before, after in pairwise(cosines)))  # float32 may swap nearer ones
    condition = parse_filter(raw)
    answer = search.answer(Query((Seed(vector=query),), filter=condition, limit=limit))
    found = [result.track.key for result in answer.results]
    assert answer.stats.matching == len(expected)
    assert len(found) == min(limit, len(expected))
    assert found == expected[: len(found)]
    again = search.answer(Query((Seed(vector=query),), filter=parse_filter({"must": [raw]}), limit=limit))
    assert [(result.track.key, result.score) for result in again.results] == [
        (result.track.key, result.score) for result in answer.results
    ]


@RELAXED
@given(raw=FILTERS, query=vectors, limit=st.integers(1, 30), picked=st.booleans())
def test_pages_hold_every_match_once(
    raw: dict[str, Any], query: np.ndarray, limit: int, picked: bool, search: Search, known: dict[str, Known]
) -> None:
    diversity = Diversity(mmr=0.3, candidates=N_TRACKS) if picked else None
    page = Query((Seed(vector=query),), filter=parse_filter(raw), limit=limit, diversity=diversity)
    found: list[str] = []
    for _ in range(N_TRACKS + 1):
        answer = search.answer(page)
        assert [result.rank for result in answer.results] == list(
            range(len(found) + 1, len(found) + 1 + len(answer.results))
        )
        found += [result.track.key for result in answer.results]
        if answer.next_cursor is None:
            break
        page = replace(page, cursor=answer.next_cursor)
    assert len(found) == len(set(found))
    assert set(found) == set(brute_force(raw, query, known))


@RELAXED
@given(query=vectors, limit=st.integers(1, 40))
def test_segments_answer_for_their_tracks(
    query: np.ndarray, limit: int, search: Search, known: dict[str, Known]
) -> None:
    answer = search.answer(Query((Seed(vector=query),), granularity="segment", limit=limit, exact=True))

    def best(track: Known) -> float:
        segments = track.analysis.rows[0].segment_vectors.astype(np.float16).astype(np.float64)
        return float((segments @ query / np.linalg.norm(segments, axis=1)).max())

    expected = sorted((best(track) for track in known.values()), reverse=True)[:limit]
    norm = float(np.linalg.norm(query))
    np.testing.assert_allclose(
        [2 * result.score - 1 for result in answer.results], np.array(expected) / norm, atol=2e-3
    )
    assert len({result.track.key for result in answer.results}) == len(answer.results)
    for result in answer.results:  # segments last a second each, and begin at 0
        segments = known[result.track.key].analysis.rows[0].segment_vectors.astype(np.float16).astype(np.float64)
        cosine = segments @ query / np.linalg.norm(segments, axis=1) / np.linalg.norm(query)
        assert result.span_s is not None
        assert result.span_s[1] == result.span_s[0] + 1
        assert cosine[int(result.span_s[0])] == pytest.approx(2 * result.score - 1, abs=2e-3)
