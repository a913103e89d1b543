"""A clip's answer: nearest tracks scored anew by what is heard in them, under filters, page by page, and kept clips."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

from retrieval.catalog import clips
from retrieval.catalog.clips import keep_clip, kept_clip
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import SpaceEmbedding, TagScores, TrackAccents, TrackAnalysis, TrackRhythm
from retrieval.errors import IndexMismatchError, QueryError, UnknownClipError
from retrieval.filters.language import parse_filter
from retrieval.search.engine import Search
from retrieval.search.query import Diversity, Query, Seed
from retrieval.search.video.answering import VideoAnswer, answer_clip
from retrieval.search.video.clip import RATE, Clip
from retrieval.search.video.fitting import said_of

DIM = 4
TRACK_S, CLIP_S = 60.0, 15.0
ANY = Query((Seed("clip"),), limit=10)


def along(cosine: float) -> NDArray[np.float32]:
    """A unit vector that lies so near to the clip's."""
    vector = np.zeros(DIM, np.float32)
    vector[:2] = cosine, np.sqrt(1 - cosine**2)
    return vector


def played(
    key: str, cosine: float, onsets: NDArray[np.float32], tags: Mapping[str, float], year: int = 2000
) -> TrackAnalysis:
    starts_s = np.arange(0, TRACK_S, 10.0)
    vectors = np.tile(along(cosine), (len(starts_s), 1))
    embedding = SpaceEmbedding("video", "v-1", along(cosine), vectors, starts_s, starts_s + 10)
    beats_s = np.arange(0.5, TRACK_S - 0.5, 0.5)
    rhythm = TrackRhythm(120.0, 4, 0.9, beats_s, np.arange(len(beats_s)) % 4 + 1, None, None, 0.0)
    rows = [embedding, TagScores(tags), TrackAccents(RATE, onsets, np.full_like(onsets, 0.5)), rhythm]
    return TrackAnalysis(
        key, f"/music/{key}", key, 10, 20, TRACK_S, year=year, rows=rows, stages={"embedding/video": "v"}
    )


def knocks(rng: np.random.Generator) -> NDArray[np.float32]:
    onsets = np.zeros(round(TRACK_S * RATE), np.float32)
    onsets[rng.choice(len(onsets), 130, replace=False)] = 1
    return onsets


@pytest.fixture
def heard(rng: np.random.Generator) -> dict[str, NDArray[np.float32]]:
    return {f"t{number}": knocks(rng) for number in range(6)}


@pytest.fixture
def search(engine: Engine, tmp_path: Path, heard: dict[str, NDArray[np.float32]]) -> Search:
    catalog = Catalog(engine)
    for number, (key, onsets) in enumerate(heard.items()):
        tags = {"sad": 0.8, "rock": 0.1} if number == 4 else {"rock": 0.6 + number / 100}
        catalog.store(played(key, 0.5 - number / 100, onsets, tags, 1990 + number))
    return Search(catalog, tmp_path, default_space="video")


def clip_of(events: NDArray[np.float32], tags: Mapping[str, float] | None = None) -> Clip:
    still = np.zeros_like(events)
    return Clip(along(1.0), "v-1", len(events) / RATE, events, still, still, still, np.empty(0), tags or {})


def keys(found: VideoAnswer) -> list[str]:
    return [result.track.key for result in found.answer.results]


def test_near_tracks_come_in_the_order_of_their_cosines_where_nothing_else_speaks(search: Search) -> None:
    found = answer_clip(search, clip_of(np.zeros(375, np.float32)), "video", ANY)
    assert keys(found) == ["t0", "t1", "t2", "t3", "t4", "t5"]
    assert found.fits[2].parts.learned == pytest.approx(0.48, abs=0.001)  # stored in half precision
    assert [fit.parts.sync for fit in found.fits] != []
    scores = [result.score for result in found.answer.results]
    assert all(0 < score < 1 for score in scores)
    assert scores == sorted(scores, reverse=True)


def test_what_moves_with_a_track_finds_it_and_where(search: Search, heard: dict[str, NDArray[np.float32]]) -> None:
    found = answer_clip(search, clip_of(heard["t3"][20 * 25 : 35 * 25]), "video", ANY)
    assert keys(found)[0] == "t3"
    assert found.fits[0].parts.sync > max(fit.parts.sync for fit in found.fits[1:]) + 2
    placement = found.fits[0].placement
    assert placement is not None
    assert placement.start_s == pytest.approx(20, abs=0.1)


def test_what_is_seen_finds_tracks_whose_tags_go_with_it(search: Search) -> None:
    found = answer_clip(search, clip_of(np.zeros(375, np.float32), {"sad": 1.0, "rock": -0.2}), "video", ANY)
    assert keys(found)[0] == "t4"
    assert found.fits[0].parts.words > 0.5
    assert found.fits[0].tags == {"sad": 0.8, "rock": 0.1}


def test_filters_pages_and_thresholds_are_those_of_any_search(
    search: Search, heard: dict[str, NDArray[np.float32]]
) -> None:
    clip = clip_of(heard["t3"][20 * 25 : 35 * 25])
    recent = replace(ANY, filter=parse_filter({"must": [{"key": "year", "range": {"gte": 1992}}]}))
    assert set(keys(answer_clip(search, clip, "video", recent))) == {"t2", "t3", "t4", "t5"}
    every = keys(answer_clip(search, clip, "video", ANY))
    first = answer_clip(search, clip, "video", replace(ANY, limit=2))
    second = answer_clip(search, clip, "video", replace(ANY, limit=4, cursor=first.answer.next_cursor))
    assert keys(first) + keys(second) == every
    assert second.answer.next_cursor is None
    assert "t3" not in keys(answer_clip(search, clip, "video", replace(ANY, exclude=["t3"])))
    best = first.answer.results[0].score
    assert keys(answer_clip(search, clip, "video", replace(ANY, score_threshold=best - 1e-6))) == ["t3"]
    mixed = replace(ANY, diversity=Diversity(mmr=0.3))
    assert keys(answer_clip(search, clip, "video", mixed))[0] == "t3"
    other = replace(ANY, limit=2, score_threshold=0.1, cursor=first.answer.next_cursor)
    with pytest.raises(QueryError, match="another query"):
        answer_clip(search, clip, "video", other)


def test_a_clip_of_other_weights_is_refused(search: Search) -> None:
    with pytest.raises(IndexMismatchError, match="v-2"):
        answer_clip(search, replace(clip_of(np.zeros(375, np.float32)), encoder_version="v-2"), "video", ANY)


def test_tags_go_with_what_is_suggested_by_how_they_differ() -> None:
    tags = {1: {"sad": 0.9, "rock": 0.1}, 2: {"sad": 0.1, "rock": 0.9}, 3: {"sad": 0.1, "rock": 0.8}, 4: {}}
    said = said_of({"sad": 1.0, "rock": -1.0}, tags)
    assert said[1] > 0.9
    assert said[2] < said[3] < 0
    assert 4 not in said
    assert said_of({"sad": 0.0}, tags) == {}
    assert said_of({"sad": 1.0}, {1: {"sad": 0.3}, 2: {"sad": 0.3}}) == {1: 0.0, 2: 0.0}


def test_clips_are_kept_until_others_take_their_place(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clips, "MOST", 2)
    for name in ("a", "b", "a", "c"):
        keep_clip(engine, name, "seen-1", name.encode())
    assert kept_clip(engine, "a", "seen-1") == b"a"
    assert kept_clip(engine, "c", "seen-1") == b"c"
    with pytest.raises(UnknownClipError, match="send it again"):
        kept_clip(engine, "b", "seen-1")
    with pytest.raises(UnknownClipError):
        kept_clip(engine, "a", "seen-2")
