"""Many tracks written at once leave what they leave one after the other, or nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from retrieval.catalog.changes import index_changes
from retrieval.catalog.heard.music import heard_music
from retrieval.catalog.heard.voices import heard_voice
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import (
    HighlightSpan,
    LanguageRatios,
    LanguageSpan,
    LoopSpan,
    SectionSpan,
    SpaceEmbedding,
    StageRows,
    TagScores,
    TrackAnalysis,
    TrackForm,
    TrackMelody,
    TrackRhythm,
    VocalActivity,
    VocalSpan,
)
from retrieval.catalog.tables import analyses, embeddings, tags, tracks
from retrieval.errors import PlaceTakenError
from tests.catalog.test_catalog import ROCK, analysis, rows
from tests.catalog.test_music import plain
from tests.conftest import new_database

MUSIC: tuple[type[StageRows], ...] = (TrackRhythm, TrackForm, TrackMelody)


@pytest.fixture
def catalog(engine: Engine) -> Catalog:
    return Catalog(engine)


@pytest.fixture
def other_catalog(server: Engine) -> Iterator[Catalog]:
    """A second, empty catalogue."""
    source = new_database(server, "soundalike_template")
    engine = create_engine(make_url(next(source)))
    yield Catalog(engine)
    engine.dispose()
    next(source, None)


def any_analysis(rng: np.random.Generator) -> TrackAnalysis:
    """One of four keys, with one of two contents, in some of two spaces, with some tags, none, or tags unsaid."""
    base = analysis("abcd"[rng.integers(4)], rng, content="xy"[rng.integers(2)], n_segments=int(rng.integers(3)) + 1)
    spaces = [replace(base.rows[0], space=space) for space in "ef" if rng.random() < 0.5]
    scores = {tag: float(rng.random()) for tag in ("rock", "jazz", "soul") if rng.random() < 0.5}
    title, year = (None, int(rng.integers(1990, 1995)))[:: rng.choice([-1, 1])]
    return replace(
        base,
        rows=[*spaces, *([TagScores(scores)] if rng.random() < 0.7 else []), *any_voice(rng), *any_music(rng)],
        stages={f"embedding/{embedding.space}": str(rng.integers(3)) for embedding in spaces},
        title=title and str(title),
        year=year,
        metadata={"plays": int(rng.integers(9))},
        duration_s=float(rng.integers(1, 9)),
    )


def any_voice(rng: np.random.Generator) -> list[StageRows]:
    """Vocal activity, languages, both or neither, with up to two spans."""
    spans = [(float(start), start + 0.5) for start in range(rng.integers(3))]
    vocals = VocalActivity(0.5, 0.25, float(rng.random()), tuple(VocalSpan(*span, "speech", 1.0) for span in spans))
    sung = tuple(LanguageSpan(*span, "ja", 0.5) for span in spans)
    ratios = LanguageRatios({"ja": 0.75, "unknown": 0.25}, float(rng.random()), sung, {"text": {"ja": 1.0}})
    return [row for row in (vocals, ratios) if rng.random() < 0.5]


def any_music(rng: np.random.Generator) -> list[StageRows]:
    """Rhythm, form and melody, or some of these, of any length."""
    beats_s, count = np.sort(rng.random(rng.integers(4))), int(rng.integers(1, 4))
    rhythm = TrackRhythm(float(rng.random()), 4, 0.5, beats_s, np.arange(len(beats_s)) + 1, "C", "major", 0.5)
    parts = tuple(SectionSpan(n, n + 1, 1, "verse", "A", float(rng.random())) for n in range(count))
    highlights = tuple(HighlightSpan(0, 1, 0.5) for _ in range(rng.integers(3)))
    loops = tuple(LoopSpan(0, 1, 0.5) for _ in range(rng.integers(3)))
    pitches = rng.integers(40, 80, rng.integers(4)).astype(np.float32)
    melody = TrackMelody(0.5, pitches, np.full_like(pitches, np.nan), 0.5)
    return [row for row in (rhythm, TrackForm(parts, highlights, loops), melody) if rng.random() < 0.5]


def remembered(analyses: Sequence[TrackAnalysis]) -> dict[str, Any]:
    """What a catalogue holds after storing one analysis after the other, said plainly."""
    held: dict[str, Any] = {}
    for one in analyses:
        old = held.get(one.key, {})
        if old.get("content") != one.content_hash:
            old = {"spaces": {}, "tags": {}, "stages": {}, "voice": {}, "music": {}}
        of_track = (one.title, one.year, one.duration_s, dict(one.metadata))
        vectors = {
            embedding.space: [
                vector.astype(np.float16).tobytes() for vector in (embedding.track_vector, *embedding.segment_vectors)
            ]
            for embedding in one.of(SpaceEmbedding)
        }
        held[one.key] = {
            "content": one.content_hash,
            "own": of_track,
            "spaces": old["spaces"] | vectors,
            "tags": next((dict(row.scores) for row in one.of(TagScores)), old["tags"]),
            "stages": old["stages"] | one.stages,
            "music": old["music"] | {type(row): plain(row) for kind in MUSIC for row in one.of(kind)},
            "voice": old["voice"] | {type(row): row for row in (*one.of(VocalActivity), *one.of(LanguageRatios))},
        }
    return held


def contents(catalog: Catalog) -> dict[str, Any]:
    """The same, read from the tables."""
    held: dict[str, Any] = {}
    with catalog.engine.connect() as connection:
        for row in connection.execute(select(tracks)):
            own = (row.title, row.year, row.duration_s, row.metadata)
            held[row.key] = {"content": row.content_hash, "own": own, "spaces": {}, "tags": {}, "stages": {}}
        vectors = select(tracks.c.key, embeddings).join(tracks, tracks.c.id == embeddings.c.track_id)
        for row in connection.execute(vectors.order_by(embeddings.c.segment_no.nulls_first())):
            held[row.key]["spaces"].setdefault(row.space, []).append(row.vector)
        for row in connection.execute(select(tracks.c.key, tags).join(tracks, tracks.c.id == tags.c.track_id)):
            held[row.key]["tags"][row.tag] = row.score
        for row in connection.execute(select(tracks.c.key, analyses).join(tracks, tracks.c.id == analyses.c.track_id)):
            held[row.key]["stages"][row.stage] = row.version
    for key, of_track in held.items():
        track = catalog.track(key)
        voice = heard_voice(catalog.engine, track.id)
        of_track["voice"] = {type(row): row for row in (voice.vocals, voice.languages) if row is not None}
        music = heard_music(catalog.engine, track.id)
        found = (music.rhythm, music.form, music.melody)
        of_track["music"] = {type(row): plain(row) for row in found if row is not None}
        assert track.vocal_ratio == (voice.vocals and 0.5)
        assert track.languages == (voice.languages.ratios if voice.languages else {})
    return held


@pytest.mark.parametrize("seed", range(6))
def test_storing_many_equals_storing_one_after_the_other(catalog: Catalog, other_catalog: Catalog, seed: int) -> None:
    rng = np.random.default_rng(seed)
    stored: list[TrackAnalysis] = []
    for size in rng.integers(1, 7, size=6):
        batch = [any_analysis(rng) for _ in range(size)]
        stored += batch
        before = catalog.revision()
        newest = catalog.store_many(batch)
        for one in batch:
            other_catalog.store(one)
        assert newest == catalog.revision() == before + len(batch) == other_catalog.revision()
        assert contents(catalog) == contents(other_catalog) == remembered(stored)


def test_every_track_of_a_batch_gets_its_own_revision(catalog: Catalog, rng: np.random.Generator) -> None:
    newest = catalog.store_many([analysis(key, rng) for key in "abc"])
    changes = list(index_changes(catalog.engine, "e", after=0))
    assert [change.revision for change in changes] == [newest - 2, newest - 1, newest]
    assert [change.track_id for change in changes] == [catalog.track(key).id for key in "abc"]


def test_storing_nothing_changes_nothing(catalog: Catalog, rng: np.random.Generator) -> None:
    revision = catalog.store(analysis("a", rng))
    assert catalog.store_many([]) == revision == catalog.revision()


@pytest.mark.parametrize("score", [1.5, float("nan")])
def test_one_refused_track_rolls_back_the_batch(catalog: Catalog, rng: np.random.Generator, score: float) -> None:
    revision = catalog.store(analysis("a", rng))
    before = contents(catalog)
    batch = [
        analysis(key, rng, content="b", tags={"rock": 0.5, "jazz": score} if key == "b" else ROCK) for key in "abc"
    ]
    with pytest.raises(IntegrityError):
        catalog.store_many(batch)
    assert contents(catalog) == before
    assert catalog.written == catalog.revision() == revision


def test_a_file_that_is_a_track_s_alone_becomes_no_other(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("a", rng))
    other = replace(analysis("b", rng), uri="/music/a")
    with pytest.raises(PlaceTakenError, match="'a'"):
        catalog.store(replace(other, alone=True))
    catalog.store(replace(analysis("a", rng, content="b"), alone=True))
    catalog.store(other)  # sent, not found
    catalog.delete("a")
    catalog.delete("b")
    catalog.store(replace(other, alone=True))
    assert [track.key for track in catalog.list_tracks(after_id=0, limit=9)] == ["b"]


def test_a_batch_takes_few_statements(catalog: Catalog, rng: np.random.Generator) -> None:
    batch = [analysis(f"t{number}", rng) for number in range(100)]
    counts = []
    for content in "aab":  # new, unchanged, changed
        statements: list[str] = []

        def count(connection: Any, cursor: Any, statement: str, *_: Any, seen: list[str] = statements) -> None:
            seen.append(statement)

        event.listen(catalog.engine, "before_cursor_execute", count)
        catalog.store_many([replace(one, content_hash=content) for one in batch])
        event.remove(catalog.engine, "before_cursor_execute", count)
        counts.append(len(statements))
    assert counts == [8, 11, 28]
    assert rows(catalog, embeddings) == 400
