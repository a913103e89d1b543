"""One transaction a track, revisions in order, deletions and the nearest keys, on a real PostgreSQL."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine, func, select
from sqlalchemy.exc import IntegrityError

from retrieval.catalog.changes import index_changes
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import Fingerprint, SpaceEmbedding, TagScores, TrackAnalysis
from retrieval.catalog.tables import analyses, embeddings, fingerprints, tags, tracks
from retrieval.errors import MissingEmbeddingError, UnknownTrackError

DIM = 8
ROCK = MappingProxyType({"rock": 0.5})


def analysis(
    key: str,
    rng: np.random.Generator,
    *,
    content: str = "a",
    version: str = "e-1",
    n_segments: int = 3,
    tags: Mapping[str, float] = ROCK,
) -> TrackAnalysis:
    segments = rng.standard_normal((n_segments, DIM)).astype(np.float32)
    mean = segments.mean(axis=0)
    starts_s = np.arange(n_segments, dtype=np.float64)
    embedding = SpaceEmbedding("e", version, mean / np.linalg.norm(mean), segments, starts_s, starts_s + 1)
    rows, stages = [embedding, TagScores(tags)], {"embedding/e": version}
    return TrackAnalysis(key, f"/music/{key}", content, 10, 20, 3.0, artist="A", rows=rows, stages=stages)


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
    expected = stored.rows[0].track_vector.astype(np.float16)
    np.testing.assert_array_equal(catalog.track_vector(catalog.track("a").id, "e"), expected)


def test_changed_audio_drops_the_old_analysis(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("a", rng))
    catalog.store(replace(analysis("a", rng, content="b"), rows=(), stages={}))
    assert rows(catalog, embeddings) == rows(catalog, tags) == rows(catalog, analyses) == 0


def test_unchanged_audio_keeps_other_spaces(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("a", rng))
    other = replace(analysis("a", rng).rows[0], space="f")
    catalog.store(replace(analysis("a", rng), rows=[other], stages={"embedding/f": "e-1"}))
    assert catalog.spaces() == {"e": {"e-1": 1}, "f": {"e-1": 1}}
    assert catalog.stored_tracks(["a"])["a"].analyses == {"embedding/e": "e-1", "embedding/f": "e-1"}
    assert rows(catalog, tags) == 1


def test_a_refused_tag_rolls_back_the_whole_track(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("a", rng))
    before = catalog.track_vector(catalog.track("a").id, "e")
    with pytest.raises(IntegrityError):
        catalog.store(analysis("a", rng, content="b", tags={"rock": 1.5}))
    assert catalog.track("a").content_hash == "a"
    np.testing.assert_array_equal(catalog.track_vector(catalog.track("a").id, "e"), before)


def test_delete_hides_and_a_new_store_brings_back(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("a", rng))
    track_id = catalog.track("a").id
    catalog.delete("a")
    assert catalog.count() == 0
    assert rows(catalog, embeddings) == rows(catalog, analyses) == 0
    with pytest.raises(UnknownTrackError):
        catalog.track("a")
    with pytest.raises(UnknownTrackError):
        catalog.delete("a")
    catalog.store(analysis("a", rng))
    assert catalog.track("a").id > track_id  # another track, whatever its key was before


def test_unknown_keys_name_the_nearest(catalog: Catalog, rng: np.random.Generator) -> None:
    for key in ("pack/moonlight.ogg", "pack/sunlight.ogg", "other/thunder.ogg"):
        catalog.store(analysis(key, rng))
    with pytest.raises(UnknownTrackError) as raised:
        catalog.track("moonlight")
    assert raised.value.nearest == ("pack/moonlight.ogg",)
    for key in ("zzzzz", "m", "other music"):
        with pytest.raises(UnknownTrackError) as raised:
            catalog.track(key)
        assert raised.value.nearest == (), key


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


def test_storing_again_uses_up_no_ids(catalog: Catalog, rng: np.random.Generator) -> None:
    for _ in range(5):
        catalog.store(analysis("a", rng))
    catalog.store(analysis("b", rng))
    assert catalog.track("b").id == catalog.track("a").id + 1


def fingerprinted(key: str, rng: np.random.Generator, words: NDArray[np.int32], *, content: str = "a") -> TrackAnalysis:
    one = analysis(key, rng, content=content)
    return replace(one, rows=[*one.rows, Fingerprint(words)], stages={**one.stages, "fingerprint": "1"})


def test_a_fingerprint_is_of_the_audio(catalog: Catalog, rng: np.random.Generator) -> None:
    words = rng.integers(-(2**31), 2**31, 50).astype(np.int32)
    catalog.store_many([fingerprinted("a", rng, words), analysis("old", rng)])
    catalog.store(fingerprinted("short", rng, np.empty(0, np.int32)))
    ids = {key: catalog.track(key).id for key in ("a", "old", "short")}

    def found() -> dict[int, list[int]]:
        return {track_id: read.tolist() for track_id, read in catalog.fingerprints_of(list(ids.values())).items()}

    assert found() == {ids["a"]: words.tolist()}
    assert {key: "fingerprint" in known.analyses for key, known in catalog.stored_tracks(list(ids)).items()} == {
        "a": True,
        "old": False,
        "short": True,
    }
    catalog.store(analysis("a", rng))  # the same audio, and nothing said of it
    assert found() == {ids["a"]: words.tolist()}
    catalog.store(fingerprinted("a", rng, words[:7]))
    assert found() == {ids["a"]: words[:7].tolist()}
    catalog.store(analysis("a", rng, content="b"))
    assert found() == {}
    catalog.store(fingerprinted("a", rng, words, content="b"))
    catalog.delete("a")
    assert rows(catalog, fingerprints) == 1  # that of the short one


def test_known_tracks_are_asked_by_key(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store_many([analysis(key, rng) for key in "abc"])
    catalog.delete("c")
    known = catalog.stored_tracks(["b", "c", "nowhere"])
    assert set(known) == {"b"}
    assert (known["b"].uri, known["b"].content_hash, known["b"].duration_s) == ("/music/b", "a", 3.0)


def test_tracks_are_asked_by_what_they_contain(
    catalog: Catalog, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.store_many([analysis(key, rng, content=content) for key, content in ("ax", "bx", "cy", "dx", "ez")])
    ids = catalog.ids_by_key(["a", "b", "c", "d"])
    catalog.delete("b")
    catalog.delete("e")
    expected = {"x": [ids["a"], ids["d"]], "y": [ids["c"]]}
    assert catalog.ids_by_content(["x", "y", "z", "nothing"]) == expected
    assert catalog.ids_by_content([]) == {}
    monkeypatch.setattr("retrieval.catalog.reading.ASKED_AT_ONCE", 1)
    assert catalog.ids_by_content(["x", "y", "z", "nothing"]) == expected


def test_the_newest_version_of_a_stage_is_known(catalog: Catalog, rng: np.random.Generator) -> None:
    versions = []
    for version in ("e-1", "e-2"):
        catalog.store(analysis("a", rng, version=version))
        versions.append(catalog.stored_tracks(["a"])["a"].analyses)
    catalog.store(replace(analysis("a", rng), rows=(), stages={}))
    versions.append(catalog.stored_tracks(["a"])["a"].analyses)
    assert versions == [{"embedding/e": "e-1"}, {"embedding/e": "e-2"}, {"embedding/e": "e-2"}]


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
