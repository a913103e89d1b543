"""Filters equal brute force over plain dictionaries, whatever the filter; unknown keys are refused with the nearest."""

import json
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, Table, create_engine, delete, insert
from sqlalchemy.engine import make_url

from retrieval.catalog import tables as models
from retrieval.catalog.corrections import FIELDS
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import LanguageRatios, TagScores, TrackAnalysis, VocalActivity
from retrieval.filters.attributes import Attributes
from retrieval.filters.compiled import bitmap_of
from retrieval.filters.language import condition_of, parse_filter
from tests.catalog.test_catalog import analysis
from tests.conftest import new_database

ARTISTS = ["A", "B; A", "Ç"]
TAGS = ["rock", "female vocalists"]
CHORDS = ["C:maj", "F#:min/b3", "N"]
SECTIONS = ["verse", "chorus"]
MOODS = ["calm", "3", 3, 7.5, True, None]
SPELLINGS = {"C": "C", "B#": "C", "F#": "F#", "Gb": "F#", "g♭": "F#", "G": "G"}
DURATION_S = 4.0  # four spans of a second: every share is a quarter, exactly


@dataclass(frozen=True)
class Known:
    """All that is known of one track: its analysis, what else was heard in it, by table, and what a curator said."""

    analysis: TrackAnalysis
    chords: list[str]  # one a second
    sections: list[str]  # one a second
    rhythm: dict[str, Any] | None
    said: dict[str, Any]


def record(number: int, rng: np.random.Generator, *, content: str = "a") -> Known:
    own: dict[str, Any] = {"year": int(rng.integers(1990, 1995)), "artist": ARTISTS[rng.integers(3)]}
    kept = {name: value for name, value in own.items() if rng.random() < 0.8}
    meta = {
        "plays": int(rng.integers(5)),
        "shop": {"live": bool(rng.integers(2))},
        "note": ["x", 3][rng.integers(2)],
        "moods": [MOODS[n] for n in rng.integers(len(MOODS), size=rng.integers(4))],
    }
    tags = {tag: float(rng.integers(1, 5)) / 4 for tag in TAGS if rng.random() < 0.7}
    own_analysis = replace(
        analysis(f"t{number}", rng, n_segments=1, content=content, tags=tags),
        duration_s=DURATION_S,
        metadata=meta,
        **{"artist": None, **kept},
    )
    heard = {
        "tempo": [45.0, 90.0, 120.5, 241.0, None][rng.integers(5)],
        "meter": [3, 4, None][rng.integers(3)],
        "key": ["C", "F#", None][rng.integers(3)],
        "mode": ["major", "minor"][rng.integers(2)],
    }
    voice = VocalActivity(float(rng.integers(1, 5)) / 4, 0.25, 1.0)
    ratios = [{"ja": 0.25, "en": 0.75}, {"ja": 0.5, "unknown": 0.5}, {"en": 1.0}, {}][rng.integers(4)]
    # What was heard of the same audio would stay where this is none.
    heard_voice = [voice, LanguageRatios(ratios, 1.0)] if content == "a" or rng.random() < 0.6 else []
    may_be_said = {
        "vocal_ratio": [0.0, 0.5][rng.integers(2)],
        "languages": [{"ja": 1.0}, {"en": 0.25, "unknown": 0.75}, {}][rng.integers(3)],
        "artist": ARTISTS[rng.integers(3)],
        "year": 1996,
    }
    return Known(
        replace(own_analysis, rows=[*own_analysis.rows, *heard_voice]),
        [CHORDS[n] for n in rng.integers(3, size=rng.integers(5))],
        [SECTIONS[n] for n in rng.integers(2, size=rng.integers(5))],
        heard if rng.random() < 0.8 else None,
        {field: value for field, value in may_be_said.items() if rng.random() < 0.3},
    )


def store(catalog: Catalog, *tracks: Known) -> None:
    """Store analyses, and beside them what no analysis writes yet; say what was said, and nothing else."""
    catalog.store_many([one.analysis for one in tracks])
    for one in tracks:
        catalog.correct(one.analysis.key, dict.fromkeys(FIELDS) | one.said)
    ids = catalog.ids_by_key([one.analysis.key for one in tracks])
    rows: dict[Table, list[dict[str, Any]]] = {models.chords: [], models.sections: [], models.rhythm: []}
    for one in tracks:
        of_track = {"track_id": ids[one.analysis.key]}
        for n, label in enumerate(one.chords):
            rows[models.chords].append(of_track | {"chord_no": n, "start_s": n, "end_s": n + 1, "label": label})
        for n, section in enumerate(one.sections):
            span = of_track | {"section_no": n, "start_s": n, "end_s": n + 1}
            for level, label in ((1, section), (2, SECTIONS[n % 2])):  # phrases add nothing to a share
                of_level = {"level": level, "label": label, "section_group": "A", "confidence": 1}
                rows[models.sections].append(span | of_level)
        if one.rhythm is not None:
            rows[models.rhythm].append(of_track | one.rhythm)
    with catalog.engine.begin() as connection:
        for table, of_table in rows.items():
            connection.execute(delete(table).where(table.c.track_id.in_(ids.values())))
            if of_table:
                connection.execute(insert(table), of_table)


def values_of(known: Known) -> dict[str, list[Any]]:
    track, said, artist = known.analysis, known.said, known.said.get("artist", known.analysis.artist)
    voice = next(iter(track.of(VocalActivity)), None)
    vocal_ratio = said.get("vocal_ratio", voice and voice.vocal_ratio)
    languages = next((row.ratios for row in track.of(LanguageRatios) if said.get("vocal_ratio") != 0), {})
    one_each = {
        "track": track.key,
        "year": said.get("year", track.year),
        "vocal_ratio": vocal_ratio,
        "speech_ratio": voice and min(voice.speech_ratio, vocal_ratio),
        "meta.plays": track.metadata["plays"],
        "meta.shop.live": str(track.metadata["shop"]["live"]).lower(),
        "meta.note": track.metadata["note"],
        **(known.rhythm or {}),
        **{f"tags.{tag}": score for tag, score in track.of(TagScores)[0].scores.items()},
        **{f"language.{language}": ratio for language, ratio in said.get("languages", languages).items()},
        **{f"chords.{label}": known.chords.count(label) / DURATION_S for label in known.chords},
        **{f"sections.{label}": known.sections.count(label) / DURATION_S for label in known.sections},
    }
    moods = [str(mood).lower() if isinstance(mood, bool) else mood for mood in track.metadata["moods"]]
    artists = [] if artist is None else [artist, *artist.split("; ")]
    several = {key: [value] for key, value in one_each.items()} | {"meta.moods": moods, "artist": artists}
    return {key: given for key, values in several.items() if (given := [one for one in values if one is not None])}


def holds(clause: dict[str, Any], values: dict[str, list[Any]]) -> bool:
    """What a filter means, said plainly."""
    if "key" not in clause:
        should = [holds(one, values) for one in clause.get("should", [])]
        return (
            all(holds(one, values) for one in clause.get("must", []))
            and not any(holds(one, values) for one in clause.get("must_not", []))
            and (not should or sum(should) >= (clause.get("min_should") or 1))
        )
    given = values.get(clause["key"], [])
    if "is_empty" in clause:
        return (not given) == clause["is_empty"]
    if clause["key"] == "key":
        wanted = clause["match"].get("any", [clause["match"].get("value")])
        return any(is_in(name, values) for name in wanted)
    times = (1, 2, 0.5) if clause.get("octaves") else (1,)
    return any(meets(clause, value if factor == 1 else factor * value) for value in given for factor in times)


def is_in(name: str, values: dict[str, list[Any]]) -> bool:
    """Whether music is in a key of this name."""
    tonic, _, mode = name.partition(" ")
    return SPELLINGS[tonic] in values.get("key", []) and (not mode or mode in values["mode"])


def meets(clause: dict[str, Any], value: Any) -> bool:
    if "match" in clause:
        wanted = clause["match"].get("any", [clause["match"].get("value")])
        wanted = [str(one).lower() if isinstance(one, bool) else one for one in wanted]
        if (not clause["match"].get("exact") and clause["key"] != "track") or clause["key"] == "mode":
            wanted, value = [plain(one) for one in wanted], plain(value)
        return any(isinstance(one, str) == isinstance(value, str) and one == value for one in wanted)
    if isinstance(value, str):
        return False
    bounds = clause["range"]
    return (
        value > bounds.get("gt", -np.inf)
        and value >= bounds.get("gte", -np.inf)
        and value < bounds.get("lt", np.inf)
        and value <= bounds.get("lte", np.inf)
    )


def plain(value: Any) -> Any:
    """A text without case and cedillas: these catalogues hold no other accents."""
    return unicodedata.normalize("NFC", value).lower().replace("ç", "c") if isinstance(value, str) else value


def number_condition(
    key: str, numbers: st.SearchStrategy[float], **more: st.SearchStrategy[Any]
) -> st.SearchStrategy[dict[str, Any]]:
    low = st.one_of(st.just({}), st.builds(lambda k, v: {k: v}, st.sampled_from(["gt", "gte"]), numbers))
    high = st.builds(lambda k, v: {k: v}, st.sampled_from(["lt", "lte"]), numbers)
    return st.builds(
        lambda a, b, also: {"key": key, "range": in_order(a, b), **also}, low, high, st.fixed_dictionaries(more)
    )


def in_order(low: dict[str, float], high: dict[str, float]) -> dict[str, float]:
    """Both bounds of a range, or the higher alone where nothing lies between: that is refused."""
    ((least, most),) = zip(low.values(), high.values(), strict=False) if low else [(-np.inf, np.inf)]
    is_closed = {*low, *high} == {"gte", "lte"}
    return low | high if least < most or (least == most and is_closed) else high


def match_condition(key: str, values: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    one = st.builds(lambda value: {"value": value}, st.sampled_from(values))
    several = st.builds(lambda v: {"any": v}, st.lists(st.sampled_from(values), min_size=1, max_size=3))
    how = st.sampled_from([{}, {"exact": True}])
    return st.builds(lambda match, exact: {"key": key, "match": match | exact}, one | several, how)


QUARTERS = st.sampled_from([0.25, 0.5, 0.75, 1.0])
CONDITIONS = st.one_of(
    number_condition("year", st.integers(1989, 1996)),
    number_condition("tags.rock", QUARTERS),
    number_condition("tags.female vocalists", QUARTERS),
    number_condition("meta.plays", st.integers(-1, 5)),
    number_condition("tempo", st.sampled_from([45, 90, 100, 120.5]), octaves=st.booleans()),
    st.builds(lambda c: c | {"octaves": True}, match_condition("tempo", [90, 120.5, 60.25])),
    match_condition("meter", [3, 4, 4.5]),
    number_condition("language.ja", QUARTERS),
    number_condition("language.unknown", QUARTERS),
    number_condition("vocal_ratio", QUARTERS),
    number_condition("speech_ratio", QUARTERS),
    number_condition("chords.C:maj", QUARTERS),
    number_condition("sections.chorus", QUARTERS),
    number_condition("meta.moods", st.sampled_from([3, 5, 7.5])),
    match_condition("track", ["t1", "T1", "t2", "t59", "t60", "nobody"]),
    match_condition("artist", [*ARTISTS, "B", "b", "a", "b; a", "c", "ç", "C\u0327", "nobody"]),
    match_condition("key", [f"{tonic}{mode}" for tonic in SPELLINGS for mode in ("", " major", " minor")]),
    match_condition("mode", ["major", "Minor"]),
    match_condition("language.en", [0.25, 1]),
    match_condition("meta.moods", ["calm", "Calm", "3", 3, 7.5, True, False]),
    match_condition("year", [1990, 1991, 1994]),
    match_condition("meta.shop.live", [True, False]),
    match_condition("meta.note", ["x", "X", 3, "3"]),
    match_condition("meta.nobody.has", ["x", 3, True]),
    number_condition("tags.nobody has", QUARTERS),
    number_condition("meta.note", st.integers(1, 5)),
    number_condition("chords.G:sus4(b7)/5", QUARTERS),
    match_condition("title", ["x", ""]),
    st.builds(
        lambda key, empty: {"key": key, "is_empty": empty},
        st.sampled_from(
            [
                *("artist", "year", "tempo", "meter", "key", "sections.chorus"),
                *(
                    "sections.outro",
                    "tags.rock",
                    "chords.N",
                    "language.ja",
                    "speech_ratio",
                    "language.xh",
                    "meta.moods",
                ),
            ]
        ),
        st.booleans(),
    ),
)


def filters_of(clauses: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(clauses, max_size=3)

    def built(must: list[Any], should: list[Any], must_not: list[Any], least: int) -> dict[str, Any]:
        bound = {"min_should": min(least, len(should))} if should and least else {}
        return {"must": must, "should": should, "must_not": must_not, **bound}

    return st.builds(built, some, some, some, st.integers(0, 3))


FILTERS = filters_of(st.recursive(CONDITIONS, filters_of, max_leaves=6))


@pytest.fixture(scope="module")
def tracks() -> dict[str, Known]:
    rng = np.random.default_rng(5)
    return {f"t{number}": record(number, rng, content="ab"[number % 2]) for number in range(60)}


@pytest.fixture(scope="module")
def attributes(server: Engine, tracks: dict[str, Known]) -> Iterator[Attributes]:
    """One catalogue for all examples; all of it was written over and some of it deleted since the first refresh."""
    source = new_database(server, "soundalike_template")
    engine = create_engine(make_url(next(source)))
    catalog = Catalog(engine)
    rng = np.random.default_rng(6)
    store(catalog, *(record(number, rng) for number in range(61)))
    followed = Attributes(catalog, lambda: [*TAGS, "nobody has"])
    followed.refresh()
    # Folded before the changes, so that they have entries to take the place of.
    known_keys = followed.keys()
    for key in known_keys:
        bitmap_of(condition_of(parse_filter({"must": [{"key": key, "is_empty": False}]}), followed), followed)
    store(catalog, *tracks.values())
    catalog.delete("t60")
    followed.refresh()
    yield followed
    engine.dispose()
    next(source, None)


def matching_keys(raw: dict[str, Any], attributes: Attributes) -> set[str]:
    """By the columns in memory, and the same by SQL."""
    condition = condition_of(parse_filter(raw), attributes)
    ids = set(bitmap_of(condition, attributes))
    keys = attributes._catalog.tracks_by_id(list(ids))
    assert len(keys) == len(ids)
    listed = attributes._catalog.list_tracks(after_id=0, limit=100, condition=condition)
    assert {track.id for track in listed} == ids
    return {track.key for track in keys.values()}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(raw=FILTERS)
def test_any_filter_equals_brute_force(raw: dict[str, Any], attributes: Attributes, tracks: dict[str, Known]) -> None:
    expected = {key for key, track in tracks.items() if holds(raw, values_of(track))}
    assert matching_keys(raw, attributes) == expected
    assert matching_keys(json.loads(json.dumps({"must": [raw]})), attributes) == expected


def test_an_empty_filter_matches_everything(attributes: Attributes, tracks: dict[str, Known]) -> None:
    assert matching_keys({}, attributes) == set(tracks)
