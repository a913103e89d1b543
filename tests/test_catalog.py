"""One transaction a track, revisions in order, deletions and the nearest keys, on a real PostgreSQL."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError

from retrieval.catalog import Catalog
from retrieval.errors import MissingEmbeddingError, UnknownTrackError
from retrieval.ledger import Ledger, UnknownJobError
from retrieval.models import embeddings, tags, tracks
from retrieval.records import SpaceEmbedding, TrackAnalysis

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
    changes = list(catalog.index_changes("e", after=seen))
    assert [(change.deleted, change.vector is None) for change in changes] == [(True, True), (False, False)]
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
            for change in catalog.index_changes("e", after=after):
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
