"""Facets count what a look at every matching track counts, also after changes, deletions and corrections."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import LanguageRatios, Track, TrackRhythm, VocalActivity
from retrieval.errors import FilterError
from retrieval.filters.compiled import Selections
from retrieval.filters.facets import TEMPO_EDGES, Facets, LanguageCount, MusicCounts, TempoCount, VoiceCounts, facets
from retrieval.filters.language import parse_filter
from tests.catalog.test_catalog import analysis

N_TRACKS = 80
TAGS = ("rock", "jazz", "soul")
CODES = ("ja", "en", "unknown")


@pytest.fixture
def catalog(engine: Engine) -> Catalog:
    return Catalog(engine)


def fill(catalog: Catalog, rng: np.random.Generator, content: str) -> None:
    batch = []
    for number in range(N_TRACKS):
        tags = {tag: float(rng.integers(11)) / 10 for tag in TAGS if rng.random() < 0.8}
        one = analysis(f"t{number}", rng, content=content, n_segments=1, tags=tags)
        shares = rng.multinomial(10, [0.5, 0.3, 0.2]) / 10
        voice = VocalActivity(float(rng.integers(11)) / 10, 0.0, 1.0)
        ratios = LanguageRatios({code: float(share) for code, share in zip(CODES, shares, strict=True) if share}, 1.0)
        heard = [voice, ratios] if rng.random() < 0.8 else []
        heard += [rhythm(rng)] if rng.random() < 0.8 else []
        batch.append(replace(one, rows=[*one.rows, *heard], year=int(rng.integers(1990, 1995))))
    catalog.store_many(batch)


def rhythm(rng: np.random.Generator) -> TrackRhythm:
    tempo = [None, 59.9, 60.0, 119.9, 120.0, 250.0][rng.integers(6)]
    key, mode = ["C", "F#", "Bb", None][rng.integers(4)], ["major", "minor"][rng.integers(2)]
    meter = None if tempo is None else int(rng.integers(3, 6))
    nothing = np.empty(0), np.empty(0, np.int64)
    return TrackRhythm(tempo, meter, 0.5, *nothing, key, None if key is None else mode, 0.5)


def music_one_by_one(live: list[Track]) -> MusicCounts:
    tempi = [track.tempo for track in live if track.tempo is not None]
    bands = [TempoCount(low, high, sum(low <= tempo < high for tempo in tempi)) for low, high in pairwise(TEMPO_EDGES)]
    return MusicCounts(
        [band for band in bands if band.tracks],
        len(live) - len(tempi),
        Counter(track.meter for track in live if track.meter is not None),
        sum(track.meter is None for track in live),
        Counter(f"{track.tonic} {track.mode}" for track in live if track.tonic),
        sum(track.tonic is None for track in live),
        Counter(track.mode for track in live if track.mode),
        sum(track.mode is None for track in live),
    )


def counted_one_by_one(catalog: Catalog, years: range) -> Facets:
    live = [track for track in catalog.list_tracks(after_id=0, limit=N_TRACKS) if track.year in years]
    tags = catalog.tags_of([track.id for track in live])
    of_tag = Counter(tag for scores in tags.values() for tag, score in scores.items() if score >= 0.5)
    some = Counter(code for track in live for code, ratio in track.languages.items() if ratio >= 0.1)
    mostly = Counter(code for track in live for code, ratio in track.languages.items() if ratio >= 0.5)
    ratios = [track.vocal_ratio for track in live]
    known = [ratio for ratio in ratios if ratio is not None]
    below, half = sum(ratio < 0.1 for ratio in known), sum(ratio >= 0.5 for ratio in known)
    voice = VoiceCounts(below, len(known) - below - half, half, len(ratios) - len(known))
    languages = {code: LanguageCount(some[code], mostly[code]) for code in some}
    return Facets(len(live), of_tag, languages, voice, music_one_by_one(live))


def between(first: int, last: int) -> Any:
    return parse_filter({"must": [{"key": "year", "range": {"gte": first, "lte": last}}]})


def test_facets_equal_a_count_of_every_track(catalog: Catalog, rng: np.random.Generator) -> None:
    selections = Selections(catalog)
    assert facets(selections) == Facets(0, {}, {}, VoiceCounts(0, 0, 0, 0), MusicCounts([], 0, {}, 0, {}, 0, {}, 0))
    for content in "ab":
        fill(catalog, rng, content)
        catalog.correct("t3", {"languages": {"la": 1}, "vocal_ratio": 0.05})
        catalog.delete("t7")
        for first, last in ((1990, 1994), (1991, 1992), (2000, 2000)):
            expected = counted_one_by_one(catalog, range(first, last + 1))
            assert facets(selections, between(first, last)) == expected
        assert facets(selections) == counted_one_by_one(catalog, range(1990, 1995))
    assert facets(selections).languages["la"] == LanguageCount(1, 1)


def test_the_most_frequent_come_first(catalog: Catalog, rng: np.random.Generator) -> None:
    fill(catalog, rng, "a")
    counted = facets(Selections(catalog))
    assert list(counted.music.keys.values()) == sorted(counted.music.keys.values(), reverse=True)
    assert list(counted.tags.values()) == sorted(counted.tags.values(), reverse=True)
    mostly = [count.mostly for count in counted.languages.values()]
    assert mostly == sorted(mostly, reverse=True)


def test_an_unknown_key_is_refused(catalog: Catalog) -> None:
    with pytest.raises(FilterError, match="unknown key 'nosuch'"):
        facets(Selections(catalog), parse_filter({"must": [{"key": "nosuch", "is_empty": True}]}))
