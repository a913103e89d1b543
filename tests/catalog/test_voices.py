"""What is heard of a voice is stored and replaced; what a curator says stands above it until it is taken back."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, select, text
from sqlalchemy.exc import IntegrityError

from retrieval.catalog.corrections import FIELDS, checked, corrections_of
from retrieval.catalog.heard.voices import heard_voice
from retrieval.catalog.languages import LANGUAGES, is_language, language_name, nearest_languages
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import (
    HeardVoice,
    LanguageRatios,
    LanguageSpan,
    StageRows,
    TrackAnalysis,
    VocalActivity,
    VocalSpan,
)
from retrieval.catalog.tables import heard_languages, heard_vocals, language_spans, languages, tracks, vocal_spans
from retrieval.errors import CorrectionError, UnknownTrackError
from tests.catalog.test_catalog import analysis, rows

VOCALS = VocalActivity(0.6, 0.1, 0.9, (VocalSpan(0, 1.5, "singing", 0.95), VocalSpan(2, 2.25, "speech", 0.7)))
SUNG = LanguageRatios(
    {"ja": 0.7, "en": 0.1, "unknown": 0.2},
    0.8,
    (LanguageSpan(0, 1, "ja", 0.9), LanguageSpan(1, 1.5, "unknown", 0.4)),
    {"audio": {"ja": 0.6, "en": 0.4}, "text": {"ja": 1.0}},
)
VERSIONS = {"vocals": "v-1", "language": "l-1"}


@pytest.fixture
def catalog(engine: Engine) -> Catalog:
    return Catalog(engine)


def sung(
    key: str,
    rng: np.random.Generator,
    heard: Sequence[StageRows] = (VOCALS, SUNG),
    versions: Mapping[str, str] = VERSIONS,
    **fields: Any,
) -> TrackAnalysis:
    base = analysis(key, rng, content=fields.pop("content", "a"))
    return replace(base, rows=[*base.rows, *heard], stages=versions, **fields)


def voice(catalog: Catalog, key: str) -> tuple[float | None, float | None, Mapping[str, float]]:
    track = catalog.track(key)
    with catalog.engine.connect() as connection:
        stored = select(languages.c.language, languages.c.ratio).where(languages.c.track_id == track.id)
        assert {row.language: row.ratio for row in connection.execute(stored)} == track.languages
    return track.vocal_ratio, track.speech_ratio, track.languages


def said_of(catalog: Catalog, key: str) -> dict[str, tuple[Any, Any]]:
    said = corrections_of(catalog.engine, catalog.track(key).id)
    return {field: (one.value, one.instead_of) for field, one in said.items()}


def test_what_was_heard_comes_back(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store_many(
        [sung("a", rng), analysis("b", rng), sung("c", rng, [VocalActivity(0, 0, 1)], {"vocals": "v-1"})]
    )
    ids = {key: catalog.track(key).id for key in "abc"}
    assert heard_voice(catalog.engine, ids["a"]) == HeardVoice(VOCALS, SUNG, VERSIONS)
    assert heard_voice(catalog.engine, ids["b"]) == HeardVoice(None, None, {})
    assert heard_voice(catalog.engine, ids["c"]) == HeardVoice(VocalActivity(0, 0, 1), None, {"vocals": "v-1"})
    assert voice(catalog, "a") == (0.6, 0.1, SUNG.ratios)
    assert voice(catalog, "b") == (None, None, {})
    assert voice(catalog, "c") == (0, 0, {})


def test_a_stage_that_runs_again_replaces_its_own(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(sung("a", rng))
    catalog.store(sung("other", rng))
    later = VocalActivity(0.5, 0.5, 1.0, (VocalSpan(1, 2, "speech", 1.0),))
    catalog.store(sung("a", rng, [later], {"vocals": "v-2"}))
    heard = heard_voice(catalog.engine, catalog.track("a").id)
    assert heard == HeardVoice(later, SUNG, VERSIONS | {"vocals": "v-2"})
    nothing = LanguageRatios({}, 0.5)
    catalog.store(sung("a", rng, [nothing], {"language": "l-2"}))
    assert heard_voice(catalog.engine, catalog.track("a").id).languages == nothing
    assert voice(catalog, "a") == (0.5, 0.5, {})
    assert heard_voice(catalog.engine, catalog.track("other").id) == HeardVoice(VOCALS, SUNG, VERSIONS)


@pytest.mark.parametrize("change", ["content", "deletion"])
def test_changed_audio_and_deletion_forget_what_was_heard(
    catalog: Catalog, rng: np.random.Generator, change: str
) -> None:
    catalog.store(sung("a", rng))
    catalog.store(analysis("a", rng))
    assert voice(catalog, "a") == (0.6, 0.1, SUNG.ratios)
    if change == "deletion":
        catalog.delete("a")
    else:
        catalog.store(analysis("a", rng, content="b"))
    tables = (heard_vocals, vocal_spans, heard_languages, language_spans, languages)
    assert [rows(catalog, table) for table in tables] == [0] * 5
    catalog.store(analysis("a", rng, content="b"))
    assert voice(catalog, "a") == (None, None, {})


@pytest.mark.parametrize(
    "heard", [VocalActivity(1.5, 0, 1), VocalActivity(0.5, 0, float("nan")), LanguageRatios({"ja": 1}, -1)]
)
def test_what_no_stage_can_hear_is_refused(catalog: Catalog, rng: np.random.Generator, heard: StageRows) -> None:
    with pytest.raises(IntegrityError):
        catalog.store(sung("a", rng, [heard]))
    assert rows(catalog, tracks) == 0


def test_what_a_curator_says_stands_through_everything_but_deletion(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(sung("a", rng, title="Read", year=1990))
    revision = catalog.revision()
    assert catalog.correct("a", {"languages": {"es": 1}, "vocal_ratio": 0.05, "title": "Said"}) == revision + 1
    assert catalog.written == catalog.revision() == revision + 1

    def check(heard_ratio: float | None, ratios: Mapping[str, float] | None, title: str | None) -> None:
        speech = None if heard_ratio is None else 0.05
        assert voice(catalog, "a") == (0.05, speech, {"es": 1.0})
        assert (catalog.track("a").title, catalog.track("a").year) == ("Said", 1990)
        expected = {"languages": ({"es": 1.0}, ratios), "vocal_ratio": (0.05, heard_ratio), "title": ("Said", title)}
        assert said_of(catalog, "a") == expected

    check(0.6, SUNG.ratios, "Read")
    louder = VocalActivity(0.9, 0.2, 1.0)
    catalog.store(sung("a", rng, [louder, SUNG], title="Read again", year=1990))
    check(0.9, SUNG.ratios, "Read again")
    catalog.store(replace(analysis("a", rng, content="b"), year=1990))
    check(None, None, None)
    catalog.store(sung("a", rng, content="c", title="Of c", year=1990))
    check(0.6, SUNG.ratios, "Of c")
    catalog.correct("a", {"languages": None, "title": None})
    assert voice(catalog, "a") == (0.05, 0.05, SUNG.ratios)
    assert catalog.track("a").title == "Of c"
    catalog.correct("a", {"vocal_ratio": None, "title": None})
    assert voice(catalog, "a") == (0.6, 0.1, SUNG.ratios)
    assert said_of(catalog, "a") == {}
    catalog.correct("a", {"languages": {"es": 1}, "title": "Said"})
    catalog.delete("a")
    catalog.store(sung("a", rng, title="Anew"))
    assert (voice(catalog, "a"), catalog.track("a").title) == ((0.6, 0.1, SUNG.ratios), "Anew")


def test_every_field_is_corrected_and_taken_back(catalog: Catalog, rng: np.random.Generator) -> None:
    read = {"title": "t", "artist": None, "album": "é", "genre": None, "year": 1990, "metadata": {"plays": 1, "x": {}}}
    catalog.store_many([sung("a", rng, **read), sung("b", rng, **read)])
    untouched = catalog.track("b")
    said = {"artist": '"', "album": "", "genre": "null", "year": 0, "metadata": {"é": [1, None]}, "title": "1990"}
    said["album"] = "x"
    catalog.correct("a", said)
    catalog.correct("a", {"title": "second"})
    said["title"] = "second"
    assert {field: getattr(catalog.track("a"), field) for field in said} == said
    assert said_of(catalog, "a") == {field: (said[field], read[field]) for field in said}
    catalog.correct("a", dict.fromkeys(FIELDS))
    assert {field: getattr(catalog.track("a"), field) for field in read} == read
    assert catalog.track("b") == untouched


def test_a_correction_keeps_its_moment(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(sung("a", rng))
    track_id = catalog.track("a").id
    catalog.correct("a", {"vocal_ratio": 0.5, "year": 1990})
    first = corrections_of(catalog.engine, track_id)
    catalog.store(sung("a", rng))
    assert corrections_of(catalog.engine, track_id)["year"].corrected_at == first["year"].corrected_at
    catalog.correct("a", {"vocal_ratio": 0.6})
    second = corrections_of(catalog.engine, track_id)
    assert second["vocal_ratio"].corrected_at > first["vocal_ratio"].corrected_at
    assert second["year"].corrected_at == first["year"].corrected_at


def test_nobody_sings_in_a_language_where_nobody_sings(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(sung("a", rng))
    catalog.correct("a", {"vocal_ratio": 0})
    assert voice(catalog, "a") == (0, 0, {})
    catalog.correct("a", {"languages": {"la": 1}, "vocal_ratio": None})
    assert voice(catalog, "a") == (0.6, 0.1, {"la": 1})
    catalog.correct("a", {"languages": {}})
    assert voice(catalog, "a") == (0.6, 0.1, {})


def test_a_track_that_nobody_listened_to_can_be_corrected(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("a", rng))
    catalog.correct("a", {"languages": {"ja": 0.8}, "vocal_ratio": 0.4})
    assert voice(catalog, "a") == (0.4, None, {"ja": 0.8, "unknown": 0.2})
    catalog.store(sung("a", rng))
    assert voice(catalog, "a") == (0.4, 0.1, {"ja": 0.8, "unknown": 0.2})


def test_an_unknown_track_cannot_be_corrected(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("abcde", rng))
    with pytest.raises(UnknownTrackError, match="nearest keys: abcde"):
        catalog.correct("abcd", {"vocal_ratio": 1})


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ({"ja": 0.8, "unknown": 0.2}, {"ja": 0.8, "unknown": 0.2}),
        ({"ja": 0.8}, {"ja": 0.8, "unknown": 0.2}),
        ({"ja": 0.5, "unknown": 0.1}, {"ja": 0.5, "unknown": 0.5}),
        ({"ja": 0.3333, "en": 0.3333, "fr": 0.3333}, {"ja": 0.333333, "en": 0.333333, "fr": 0.333333}),
        ({"ja": 1, "en": 0}, {"ja": 1.0}),
        ({"ja": 0}, {"unknown": 1.0}),
        ({}, {}),
    ],
)
def test_shares_add_up_to_one(given: dict[str, float], stored: dict[str, float]) -> None:
    assert checked({"languages": given}) == {"languages": stored}


def nested(levels: int) -> dict[str, Any]:
    """An object within an object, so many in all."""
    inner: dict[str, Any] = {}
    for _ in range(levels - 1):
        inner = {"a": inner}
    return inner


def test_metadata_may_be_nested() -> None:
    assert checked({"metadata": nested(32)}) == {"metadata": nested(32)}


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({}, "nothing is said; accepted: at least one of languages, vocal_ratio, title"),
        ({"tempo": 90}, "^tempo: cannot be corrected; accepted: languages"),
        ({"languages": {"jp": 1}}, r"^languages\.jp: 'jp' is not a language; accepted: .*ja \(Japanese\)"),
        ({"languages": {"ja": 0.8, "en": 0.3}}, r"^languages: adds up to 1\.1; accepted: shares"),
        ({"languages": {"ja": 1.2}}, r"^languages\.ja: is 1\.2; accepted: a number from 0 to 1"),
        ({"languages": {"ja": float("nan")}}, r"^languages\.ja: is NaN"),
        ({"languages": ["ja"]}, "^languages: is a list"),
        ({"vocal_ratio": -0.1}, r"^vocal_ratio: is -0\.1"),
        ({"vocal_ratio": True}, "^vocal_ratio: is true"),
        ({"year": 19901}, "^year: is 19901; accepted: a year"),
        ({"year": 1990.5}, "^year: is"),
        ({"title": ""}, '^title: is ""; accepted: a text, or null'),
        ({"title": "  "}, "^title: is"),
        ({"title": "a" * 4097}, "^title: has 4097 characters; accepted: at most 4096"),
        ({"artist": "a\0b"}, "^artist: is"),
        ({"metadata": [1]}, "^metadata: is"),
        ({"metadata": {"a": ["\0"]}}, "^metadata: "),
        ({"metadata": {"a": float("nan")}}, "^metadata: "),
        ({"metadata": nested(33)}, "^metadata: is nested too deeply; accepted: at most 32 levels"),
        ({"metadata": nested(50_000)}, "^metadata: is nested too deeply"),
    ],
)
def test_what_cannot_be_said_names_the_field(catalog: Catalog, said: dict[str, Any], message: str) -> None:
    with pytest.raises(CorrectionError, match=message):
        catalog.correct("a", said)


def test_all_that_cannot_be_said_is_told_at_once() -> None:
    said = {"languages": {"jp": 1, "ja": 2, "en": 0.5}, "vocal_ratio": 50, "title": "", "year": 1990, "album": None}
    with pytest.raises(CorrectionError) as refused:
        checked(said)
    assert [one.field for one in refused.value.every] == ["languages.jp", "languages.ja", "vocal_ratio", "title"]
    assert "; vocal_ratio: is 50; accepted: a number from 0 to 1; title: is" in str(refused.value)


def test_languages_have_codes_and_names() -> None:
    assert len(LANGUAGES) == 185
    assert [language_name(code) for code in ("ja", "nb", "unknown")] == ["Japanese", "Norwegian Bokmål", "unknown"]
    assert is_language("unknown")
    assert not is_language("jp")


@pytest.mark.parametrize(
    ("given", "first"),
    [
        ("jp", "ja"),
        ("Japanese", "ja"),
        ("jpn", "ja"),
        ("zh-CN", "zh"),
        ("pt_BR", "pt"),
        ("EN", "en"),
        ("germn", "de"),
        ("", "en"),
    ],
)
def test_what_is_no_code_suggests_the_one_that_is_meant(given: str, first: str) -> None:
    assert nearest_languages(given)[0] == first


def test_a_downgrade_leaves_no_track_half_analysed(catalog: Catalog, rng: np.random.Generator) -> None:
    from alembic import command

    from retrieval.catalog.database import alembic_config, migrate

    catalog.store(sung("a", rng, versions=VERSIONS | {"fingerprint": "1"}, title="Read"))
    catalog.correct("a", {"title": "Said"})
    with catalog.engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0006")
        left = connection.execute(text("SELECT title, vocal_ratio, (SELECT count(*) FROM languages) FROM tracks")).one()
        assert tuple(left) == ("Said", None, 0)
    migrate(catalog.engine)
    assert catalog.stored_tracks(["a"])["a"].analyses == {"fingerprint": "1"}
    assert json.dumps(said_of(catalog, "a")) == "{}"
