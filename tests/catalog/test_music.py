"""What is found of rhythm, form and melody is stored and replaced, and comes back as it was."""

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import astuple, replace
from typing import Any

import numpy as np
import pytest
from alembic import command
from sqlalchemy import Engine, create_engine, text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from retrieval.catalog.database import alembic_config, check_schema, migrate
from retrieval.catalog.heard.contours import packed, unpacked
from retrieval.catalog.heard.music import heard_music, sections_of
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import (
    HighlightSpan,
    LoopSpan,
    SectionSpan,
    StageRows,
    TrackAnalysis,
    TrackForm,
    TrackMelody,
    TrackRhythm,
)
from retrieval.catalog.tables import highlights, loops, melodies, rhythm, sections, tracks
from retrieval.errors import RetrievalError
from tests.catalog.test_catalog import analysis, rows

BEATS_S = np.array([0.1, 0.6, 1 / 3 + 1, 1.7])
RHYTHM = TrackRhythm(120.25, 3, 0.9, BEATS_S, np.array([1, 2, 3, 1]), "F#", "minor", 0.8)
BEATLESS = TrackRhythm(None, None, 0.05, np.empty(0), np.empty(0, np.int64), "C", "major", 0.1)
FORM = TrackForm(
    (
        SectionSpan(0, 1, 1, "intro", "A", 0.9),
        SectionSpan(1, 2.5, 1, "chorus", "B", 0.7),
        SectionSpan(0, 2.5, 2, "chorus", "A", 0.5),
    ),
    (HighlightSpan(1, 2, 0.9), HighlightSpan(0, 1, 0.4)),
    (LoopSpan(0.123456789, 1.987654321, 0.99),),
)
WHOLE = TrackForm((SectionSpan(0, 2.5, 1, "silence", "A", 1),))
NAN = np.nan
MELODY = TrackMelody(
    0.01,
    np.array([NAN, 60, 60.26, 127, 0, NAN], np.float32),
    np.array([127, NAN, NAN, NAN, NAN, 0], np.float32),
    0.6,
)
VERSIONS = {"rhythm": "r-1", "structure": "s-1", "melody": "m-1"}
TABLES = (rhythm, sections, highlights, loops, melodies)


@pytest.fixture
def catalog(engine: Engine) -> Catalog:
    return Catalog(engine)


def played(
    key: str,
    rng: np.random.Generator,
    found: Sequence[StageRows] = (RHYTHM, FORM, MELODY),
    versions: Mapping[str, str] = VERSIONS,
    *,
    content: str = "a",
) -> TrackAnalysis:
    base = analysis(key, rng, content=content)
    return replace(base, rows=[*base.rows, *found], stages=versions)


def plain(found: Any) -> Any:
    """A record as tuples and lists, by which it can be compared; NaN as a word."""
    if found is None:
        return None
    values = [value.tolist() if isinstance(value, np.ndarray) else value for value in astuple(found)]
    return [["none" if one != one else one for one in value] if isinstance(value, list) else value for value in values]


def of(catalog: Catalog, key: str) -> tuple[Any, Any, Any, Mapping[str, str]]:
    heard = heard_music(catalog.engine, catalog.track(key).id)
    return plain(heard.rhythm), heard.form, plain(heard.melody), heard.versions


def test_what_was_found_comes_back(catalog: Catalog, rng: np.random.Generator) -> None:
    beatless = played("c", rng, [BEATLESS, WHOLE], {"rhythm": "r-1", "structure": "s-1"})
    catalog.store_many([played("a", rng), analysis("b", rng), beatless])
    assert of(catalog, "a") == (plain(RHYTHM), FORM, plain(MELODY), VERSIONS)
    assert of(catalog, "b") == (None, None, None, {})
    assert of(catalog, "c") == (plain(BEATLESS), WHOLE, None, beatless.stages)
    ids = {key: catalog.track(key).id for key in "abc"}
    assert sections_of(catalog.engine, list(ids.values())) == {
        ids["a"]: list(FORM.sections),
        ids["c"]: list(WHOLE.sections),
    }
    assert [catalog.track(key).tempo for key in "abc"] == [120.25, None, None]


def test_what_is_not_asked_for_is_not_read(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(played("a", rng))
    heard = heard_music(catalog.engine, catalog.track("a").id, ["structure"])
    assert (heard.rhythm, heard.form, heard.melody, heard.versions) == (None, FORM, None, {"structure": "s-1"})


def test_a_stage_that_runs_again_replaces_its_own(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store_many([played("a", rng), played("other", rng)])
    catalog.store(played("a", rng, [BEATLESS], {"rhythm": "r-2"}))
    assert of(catalog, "a") == (plain(BEATLESS), FORM, plain(MELODY), VERSIONS | {"rhythm": "r-2"})
    catalog.store(played("a", rng, [WHOLE], {"structure": "s-2"}))
    assert of(catalog, "a")[1] == WHOLE
    shorter = TrackMelody(0.02, np.array([48.5], np.float32), np.array([NAN], np.float32), 0.1)
    catalog.store(played("a", rng, [shorter], {"melody": "m-2"}))
    assert of(catalog, "a")[2] == plain(shorter)
    assert of(catalog, "other") == (plain(RHYTHM), FORM, plain(MELODY), VERSIONS)


@pytest.mark.parametrize("change", ["content", "deletion"])
def test_changed_audio_and_deletion_forget_what_was_found(
    catalog: Catalog, rng: np.random.Generator, change: str
) -> None:
    catalog.store(played("a", rng))
    catalog.store(analysis("a", rng))
    assert of(catalog, "a")[1] == FORM
    if change == "deletion":
        catalog.delete("a")
    else:
        catalog.store(analysis("a", rng, content="b"))
    assert [rows(catalog, table) for table in TABLES] == [0] * len(TABLES)
    catalog.store(analysis("a", rng, content="b"))
    assert of(catalog, "a") == (None, None, None, {})


@pytest.mark.parametrize(
    "found",
    [
        replace(RHYTHM, positions=np.array([1])),
        replace(RHYTHM, confidence=1.5),
        replace(RHYTHM, key_confidence=float("nan")),
        TrackForm((SectionSpan(0, 1, 3, "intro", "A", 0.9),)),
        TrackForm(FORM.sections, (HighlightSpan(0, 1, -0.1),)),
        TrackForm(FORM.sections, (), (LoopSpan(0, 1, 2),)),
        replace(MELODY, step_s=0.0),
    ],
)
def test_what_no_stage_can_find_is_refused_as_a_whole(
    catalog: Catalog, rng: np.random.Generator, found: StageRows
) -> None:
    with pytest.raises(IntegrityError):
        catalog.store(played("a", rng, [found]))
    assert rows(catalog, tracks) == 0


def test_a_melody_is_kept_to_the_cent_and_small(rng: np.random.Generator) -> None:
    minute = np.repeat(rng.integers(48, 84, 120), 50) + rng.normal(0, 0.1, 6000)
    minute[rng.random(6000) < 0.3] = np.nan
    unvoiced = np.where(np.isnan(minute) & (rng.random(6000) < 0.9), rng.uniform(0, 127, 6000), np.nan)
    again = unpacked(packed(minute.astype(np.float32), unvoiced.astype(np.float32)))
    for kept, given in zip(again, (minute, unvoiced), strict=True):
        assert kept.dtype == np.float32
        np.testing.assert_allclose(kept, given, atol=0.00501)  # NaN where there was NaN
    nothing = np.empty(0, np.float32)
    assert [kept.size for kept in unpacked(packed(nothing, nothing))] == [0, 0]
    held = np.repeat(rng.integers(48, 84, 120), 50).astype(np.float32)
    assert len(packed(held, np.full_like(held, NAN))) < 1000 < 2 * len(held)


@pytest.mark.parametrize("pitch", [-0.5, 128.0, float("inf")])
def test_a_pitch_that_is_none_is_refused(pitch: float) -> None:
    with pytest.raises(RetrievalError, match=r"step 1 has pitch .*accepted are 0 to 127"):
        packed(np.array([60, pitch], np.float32), np.array([NAN, NAN], np.float32))
    with pytest.raises(RetrievalError, match=r"step 1 has pitch .*accepted are 0 to 127"):
        packed(np.array([NAN, NAN], np.float32), np.array([60, pitch], np.float32))


def test_steps_of_both_kinds_are_as_many() -> None:
    with pytest.raises(RetrievalError, match="2 steps, and 1 of"):
        packed(np.zeros(2, np.float32), np.zeros(1, np.float32))


def test_a_melody_of_before_there_were_unvoiced_pitches_is_read() -> None:
    steps = np.diff(np.array([-1, 6000, 6026, -1], "<i2"), prepend=np.int16(0))
    pitches, unvoiced = unpacked(zlib.compress(steps.tobytes()))
    np.testing.assert_array_equal(pitches, np.array([NAN, 60, 60.26, NAN], np.float32))
    assert np.isnan(unvoiced).all()


BEFORE = """
    INSERT INTO tracks (key, duration_s, uri, content_hash, size_bytes, modified_ns, revision)
        SELECT key, 20, '/' || key, key, 1, 1, nextval('track_revision') FROM unnest(ARRAY['a', 'b']) AS key;
    INSERT INTO rhythm (track_id, tempo, beats_s, key, mode) SELECT id, 80, ARRAY[1.5, 2], 'C', 'major' FROM tracks;
    INSERT INTO sections (track_id, section_no, start_s, end_s, label)
        SELECT id, n, 5 * n, 5 * n + 5, CASE n WHEN 1 THEN 'chorus' ELSE 'verse' END
        FROM tracks, generate_series(0, 2) AS n;
    INSERT INTO loops (track_id, loop_no, start_s, end_s, score) SELECT id, 0, 1, 2, 12 FROM tracks;
"""


def test_what_stood_in_these_tables_before_stays(empty_database_url: str, rng: np.random.Generator) -> None:
    engine = create_engine(make_url(empty_database_url))
    migrate(engine, "0007")
    with engine.begin() as connection:
        connection.execute(text(BEFORE))
    migrate(engine)
    catalog = Catalog(engine)
    stood_rhythm = TrackRhythm(80, None, 0, np.array([1.5, 2]), np.array([0, 0]), "C", "major", 0)
    labels = (("verse", "A"), ("chorus", "B"), ("verse", "A"))
    stood_sections = tuple(SectionSpan(5 * n, 5 * n + 5, 1, *names, 0) for n, names in enumerate(labels))
    assert of(catalog, "a") == (plain(stood_rhythm), TrackForm(stood_sections, (), (LoopSpan(1, 2, 1),)), None, {})
    catalog.store(played("b", rng, content="b"))
    assert of(catalog, "b") == (plain(RHYTHM), FORM, plain(MELODY), VERSIONS)
    with engine.begin() as connection:
        command.downgrade(alembic_config(connection), "0007")
        for table in ("rhythm", "sections", "loops"):  # what a stage found goes: it could not be told from the rest
            keys = text(f"SELECT DISTINCT tracks.key FROM {table} JOIN tracks ON tracks.id = track_id")
            assert connection.execute(keys).scalars().all() == ["a"]
        assert connection.execute(text("SELECT count(*) FROM analyses")).scalar() == 0
    migrate(engine)
    check_schema(engine)
    assert of(catalog, "a")[1].sections == stood_sections
    engine.dispose()
