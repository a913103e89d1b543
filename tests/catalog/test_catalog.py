"""One transaction a track, revisions in order, deletions and the nearest keys, on a real PostgreSQL."""

import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, create_engine, event, func, insert, select, update
from sqlalchemy.engine import make_url
from sqlalchemy.exc import IntegrityError

from retrieval.catalog.changes import index_changes, track_changes
from retrieval.catalog.ledger import Ledger, UnknownJobError
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import SpaceEmbedding, TrackAnalysis
from retrieval.catalog.tables import embeddings, fingerprints, languages, tags, tracks
from retrieval.errors import MissingEmbeddingError, UnknownTrackError
from tests.conftest import _database

DIM = 8


def analysis(
    key: str, rng: np.random.Generator, *, content: str = "a", version: str = "e-1", n_segments: int = 3
) -> TrackAnalysis:
    segments = rng.standard_normal((n_segments, DIM)).astype(np.float32)
    mean = segments.mean(axis=0)
    starts_s = np.arange(n_segments, dtype=np.float64)
    embedding = SpaceEmbedding("e", version, mean / np.linalg.norm(mean), segments, starts_s, starts_s + 1)
    return TrackAnalysis(key, f"/music/{key}", content, 10, 20, 3.0, artist="A", spaces=[embedding], tags={"rock": 0.5})


@pytest.fixture
def catalog(engine: Engine) -> Catalog:
    return Catalog(engine)


def rows(catalog: Catalog, table: object) -> int:
    with catalog.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(table)).scalar_one())  # type: ignore[arg-type]


def test_storing_twice_keeps_one_of_everything(catalog: Catalog, rng: np.random.Generator) -> None:
    first = catalog.store(analysis("a", rng))
    second = catalog.store(analysis("a", rng))
    assert second > first
    assert rows(catalog, tracks) == 1
    assert rows(catalog, embeddings) == 4
    assert rows(catalog, tags) == 1


def test_vectors_come_back_as_float16(catalog: Catalog, rng: np.random.Generator) -> None:
    stored = analysis("a", rng)
    catalog.store(stored)
    expected = stored.spaces[0].track_vector.astype(np.float16)
    np.testing.assert_array_equal(catalog.track_vector(catalog.track("a").id, "e"), expected)


def test_changed_audio_drops_the_old_analysis(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("a", rng))
    catalog.store(replace(analysis("a", rng, content="b"), spaces=(), tags=None))
    assert rows(catalog, embeddings) == rows(catalog, tags) == 0


def test_unchanged_audio_keeps_other_spaces(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("a", rng))
    other = replace(analysis("a", rng).spaces[0], space="f")
    catalog.store(replace(analysis("a", rng), spaces=[other], tags=None))
    assert catalog.spaces() == {"e": {"e-1": 1}, "f": {"e-1": 1}}
    assert rows(catalog, tags) == 1


def test_a_refused_tag_rolls_back_the_whole_track(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("a", rng))
    before = catalog.track_vector(catalog.track("a").id, "e")
    with pytest.raises(IntegrityError):
        catalog.store(replace(analysis("a", rng, content="b"), tags={"rock": 1.5}))
    assert catalog.track("a").content_hash == "a"
    np.testing.assert_array_equal(catalog.track_vector(catalog.track("a").id, "e"), before)


def test_delete_hides_and_a_new_store_brings_back(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("a", rng))
    track_id = catalog.track("a").id
    catalog.delete("a")
    assert catalog.count() == 0
    assert rows(catalog, embeddings) == 0
    with pytest.raises(UnknownTrackError):
        catalog.track("a")
    with pytest.raises(UnknownTrackError):
        catalog.delete("a")
    catalog.store(analysis("a", rng))
    assert catalog.track("a").id == track_id


def test_unknown_keys_name_the_nearest(catalog: Catalog, rng: np.random.Generator) -> None:
    for key in ("pack/moonlight.ogg", "pack/sunlight.ogg", "other/thunder.ogg"):
        catalog.store(analysis(key, rng))
    with pytest.raises(UnknownTrackError) as raised:
        catalog.track("moonlight")
    assert raised.value.nearest[0] == "pack/moonlight.ogg"


def test_a_space_without_the_track_is_named(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("a", rng))
    with pytest.raises(MissingEmbeddingError, match="'f'"):
        catalog.track_vector(catalog.track("a").id, "f")


def test_changes_follow_by_revision(catalog: Catalog, rng: np.random.Generator) -> None:
    for key in "abc":
        catalog.store(analysis(key, rng))
    seen = catalog.revision()
    catalog.delete("b")
    catalog.store(analysis("d", rng))
    changes = list(index_changes(catalog.engine, "e", after=seen))
    assert [(change.deleted, change.vectors is None) for change in changes] == [(True, True), (False, False)]
    assert changes[-1].revision == catalog.revision()


def test_revisions_become_visible_in_order(catalog: Catalog, rng: np.random.Generator) -> None:
    """A reader that follows by the newest revision it has seen misses no track, whoever writes at the same time."""
    analyses = [analysis(f"{writer}-{number}", rng) for writer in range(4) for number in range(25)]
    done = threading.Event()
    seen: list[int] = []

    def follow() -> None:
        after = 0
        while True:
            finished = done.is_set()
            for change in index_changes(catalog.engine, "e", after=after):
                seen.append(change.track_id)
                after = change.revision
            if finished:
                return

    def write(mine: list[TrackAnalysis]) -> None:
        for one in mine:
            catalog.store(one)

    reader = threading.Thread(target=follow)
    writers = [threading.Thread(target=write, args=(analyses[n::4],)) for n in range(4)]
    for thread in (reader, *writers):
        thread.start()
    for thread in writers:
        thread.join()
    done.set()
    reader.join()
    assert len(seen) == len(set(seen)) == 100


def test_listing_pages_through_every_track_once(catalog: Catalog, rng: np.random.Generator) -> None:
    for number in range(7):
        catalog.store(analysis(str(number), rng))
    keys, after = [], 0
    while page := catalog.list_tracks(after_id=after, limit=3):
        keys += [track.key for track in page]
        after = page[-1].id
    assert keys == [str(number) for number in range(7)]


@pytest.fixture
def other_catalog(server: Engine) -> Iterator[Catalog]:
    """A second, empty catalogue."""
    source = _database(server, "soundalike_template")
    engine = create_engine(make_url(next(source)))
    yield Catalog(engine)
    engine.dispose()
    next(source, None)


def any_analysis(rng: np.random.Generator) -> TrackAnalysis:
    """One of four keys, with one of two contents, in some of two spaces, with some tags, none, or tags unsaid."""
    base = analysis("abcd"[rng.integers(4)], rng, content="xy"[rng.integers(2)], n_segments=int(rng.integers(3)) + 1)
    spaces = [replace(base.spaces[0], space=space) for space in "ef" if rng.random() < 0.5]
    scores = {tag: float(rng.random()) for tag in ("rock", "jazz", "soul") if rng.random() < 0.5}
    title, year = (None, int(rng.integers(1990, 1995)))[:: rng.choice([-1, 1])]
    return replace(
        base,
        spaces=spaces,
        tags=scores if rng.random() < 0.7 else None,
        title=title and str(title),
        year=year,
        metadata={"plays": int(rng.integers(9))},
        duration_s=float(rng.integers(1, 9)),
    )


def remembered(analyses: Sequence[TrackAnalysis]) -> dict[str, Any]:
    """What a catalogue holds after storing one analysis after the other, said plainly."""
    held: dict[str, Any] = {}
    for one in analyses:
        old = held.get(one.key, {})
        if old.get("content") != one.content_hash:
            old = {"spaces": {}, "tags": {}}
        of_track = (one.title, one.year, one.duration_s, dict(one.metadata))
        vectors = {
            embedding.space: [
                vector.astype(np.float16).tobytes() for vector in (embedding.track_vector, *embedding.segment_vectors)
            ]
            for embedding in one.spaces
        }
        held[one.key] = {
            "content": one.content_hash,
            "own": of_track,
            "spaces": old["spaces"] | vectors,
            "tags": old["tags"] if one.tags is None else dict(one.tags),
        }
    return held


def contents(catalog: Catalog) -> dict[str, Any]:
    """The same, read from the tables."""
    held: dict[str, Any] = {}
    with catalog.engine.connect() as connection:
        for row in connection.execute(select(tracks)):
            own = (row.title, row.year, row.duration_s, row.metadata)
            held[row.key] = {"content": row.content_hash, "own": own, "spaces": {}, "tags": {}}
        vectors = select(tracks.c.key, embeddings).join(tracks, tracks.c.id == embeddings.c.track_id)
        for row in connection.execute(vectors.order_by(embeddings.c.segment_no.nulls_first())):
            held[row.key]["spaces"].setdefault(row.space, []).append(row.vector)
        for row in connection.execute(select(tracks.c.key, tags).join(tracks, tracks.c.id == tags.c.track_id)):
            held[row.key]["tags"][row.tag] = row.score
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
    batch = [analysis(key, rng, content="b") for key in "abc"]
    batch[1] = replace(batch[1], tags={"rock": 0.5, "jazz": score})
    with pytest.raises(IntegrityError):
        catalog.store_many(batch)
    assert contents(catalog) == before
    assert catalog.written == catalog.revision() == revision


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
    assert counts == [6, 8, 14]
    assert rows(catalog, embeddings) == 400


def test_storing_again_uses_up_no_ids(catalog: Catalog, rng: np.random.Generator) -> None:
    for _ in range(5):
        catalog.store(analysis("a", rng))
    catalog.store(analysis("b", rng))
    assert catalog.track("b").id == catalog.track("a").id + 1


def test_changed_audio_and_deletion_forget_the_voice(catalog: Catalog, rng: np.random.Generator) -> None:
    def vocal_ratio() -> float | None:
        with catalog.snapshot() as connection:
            (row,) = track_changes(connection=connection, after=0)
        return row.vocal_ratio  # type: ignore[no-any-return]

    catalog.store(analysis("a", rng))
    for forget in (lambda: catalog.store(analysis("a", rng, content="b")), lambda: catalog.delete("a")):
        with catalog.engine.begin() as connection:
            connection.execute(update(tracks).values(vocal_ratio=0.5))
            one_track = select(tracks.c.id).scalar_subquery()
            connection.execute(insert(languages).values(track_id=one_track, language="ja", ratio=1.0))
        catalog.store(analysis("a", rng, content=catalog.track("a").content_hash))
        assert (vocal_ratio(), rows(catalog, languages)) == (0.5, 1)
        forget()
        assert (vocal_ratio(), rows(catalog, languages)) == (None, 0)


def test_a_fingerprint_is_of_the_audio(catalog: Catalog, rng: np.random.Generator) -> None:
    words = rng.integers(-(2**31), 2**31, 50).astype(np.int32)
    catalog.store_many([replace(analysis("a", rng), fingerprint=words), analysis("old", rng)])
    catalog.store(replace(analysis("short", rng), fingerprint=np.empty(0, np.int32)))
    ids = {key: catalog.track(key).id for key in ("a", "old", "short")}

    def found() -> dict[int, list[int]]:
        return {track_id: read.tolist() for track_id, read in catalog.fingerprints_of(list(ids.values())).items()}

    assert found() == {ids["a"]: words.tolist()}
    assert {key: known.has_fingerprint for key, known in catalog.stored_tracks().items()} == {
        "a": True,
        "old": False,
        "short": True,
    }
    catalog.store(analysis("a", rng))  # the same audio, and nothing said of it
    assert found() == {ids["a"]: words.tolist()}
    catalog.store(replace(analysis("a", rng), fingerprint=words[:7]))
    assert found() == {ids["a"]: words[:7].tolist()}
    catalog.store(analysis("a", rng, content="b"))
    assert found() == {}
    catalog.store(replace(analysis("a", rng, content="b"), fingerprint=words))
    catalog.delete("a")
    assert rows(catalog, fingerprints) == 1  # that of the short one


def test_known_tracks_are_asked_by_key(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store_many([analysis(key, rng) for key in "abc"])
    assert set(catalog.stored_tracks()) == {"a", "b", "c"}
    assert set(catalog.stored_tracks(["b", "nowhere"])) == {"b"}


def test_written_is_the_newest_revision_of_this_catalogue(catalog: Catalog, rng: np.random.Generator) -> None:
    assert catalog.written == 0
    assert catalog.store(analysis("a", rng)) == catalog.written
    assert catalog.store_many([analysis(key, rng) for key in "abc"]) == catalog.written == 4
    elsewhere = Catalog(catalog.engine)
    assert elsewhere.written == 0
    revision = catalog.delete("b")
    elsewhere.store(analysis("d", rng))
    assert catalog.written == revision < elsewhere.written == catalog.revision()
    with pytest.raises(UnknownTrackError):
        catalog.delete("b")
    assert catalog.written == revision


def test_written_never_falls(catalog: Catalog, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A writer that commits first may be the last to say so."""
    committed = catalog._committed

    def overtaken(revision: int) -> None:
        monkeypatch.setattr(catalog, "_committed", committed)
        catalog.store(analysis("b", rng))
        committed(revision)

    monkeypatch.setattr(catalog, "_committed", overtaken)
    first = catalog.store(analysis("a", rng))
    assert first < catalog.written == catalog.revision()


def test_a_job_that_was_killed_is_closed_by_the_next(engine: Engine) -> None:
    ledger = Ledger(engine)
    killed = ledger.start_job("index", "/music")
    again = ledger.start_job("index", "/music")
    assert ledger.job(killed).state == "interrupted"
    ledger.finish_job(again, "done", {"indexed": 3})
    assert (ledger.job(again).state, ledger.job(again).counts) == ("done", {"indexed": 3})
    with pytest.raises(UnknownJobError):
        ledger.job(again + 1)


def test_a_failure_is_the_newest_of_its_file(engine: Engine) -> None:
    ledger = Ledger(engine)
    job_id = ledger.start_job("index", "/music")
    ledger.record_failure("/a", stage="decode", reason="first", job_id=None)
    ledger.record_failure("/a", stage="decode", reason="second", job_id=job_id)
    assert [failure.reason for failure in ledger.failures()] == ["second"]
    assert len(ledger.failures(job_id=job_id)) == 1
    ledger.clear_failure("/a")
    assert ledger.failures() == []
