"""Tracks that are kept are true: own writes show at once, others' soon, and a late reader brings nothing old back."""

from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import Engine, event

import retrieval.catalog.tracks
import retrieval.catalog.watch
from retrieval.catalog.reading import Catalog
from retrieval.catalog.tracks import TrackCache
from tests.catalog.test_catalog import analysis


@pytest.fixture
def catalog(engine: Engine, rng: np.random.Generator) -> Catalog:
    catalog = Catalog(engine)
    catalog.store_many([analysis(key, rng) for key in "abc"])
    return catalog


def test_what_is_kept_is_not_read_again(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval.catalog.watch, "LOOK_EVERY_S", 1_000)
    cache, statements = TrackCache(catalog), []
    track = cache.by_key(["a"])["a"]
    event.listen(catalog.engine, "before_cursor_execute", lambda *call: statements.append(call[2]))
    assert cache.by_key(["a"])["a"] is track
    assert cache.tracks([track.id]) == {track.id: track}
    assert statements == []


def test_what_was_written_before_it_began_is_not_looked_through(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(Catalog, "changed_ids")
    assert list(TrackCache(catalog).by_key(["a"])) == ["a"]


def test_own_writes_show_at_once(catalog: Catalog, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval.catalog.watch, "LOOK_EVERY_S", 1_000)
    cache = TrackCache(catalog)
    track_id = cache.by_key(["a"])["a"].id
    catalog.store(replace(analysis("a", rng), title="new"))
    assert cache.by_key(["a"])["a"].title == cache.tracks([track_id])[track_id].title == "new"
    catalog.delete("a")
    assert cache.tracks([track_id]) == {}
    assert list(cache.by_key(["a", "b"])) == ["b"]


def test_the_writes_of_others_show_when_it_looks(
    catalog: Catalog, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = TrackCache(catalog)
    cache.by_key(["b"])
    Catalog(catalog.engine).store(replace(analysis("b", rng), title="new"))
    monkeypatch.setattr(retrieval.catalog.watch, "LOOK_EVERY_S", 0)
    assert cache.by_key(["b"])["b"].title == "new"


def test_a_late_reader_brings_nothing_old_back(
    catalog: Catalog, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads, is held up while another thread follows a change, and then keeps what it has read."""
    cache = TrackCache(catalog)
    track_id = cache.by_key(["c"])["c"].id
    catalog.store(replace(analysis("c", rng), title="newer"))
    read = Catalog.tracks_by_id

    def held_up(self: Catalog, track_ids: list[int]) -> object:
        found = read(self, track_ids)
        monkeypatch.setattr(Catalog, "tracks_by_id", read)
        catalog.store(replace(analysis("c", rng), title="newest"))
        cache.tracks([])
        return found

    monkeypatch.setattr(Catalog, "tracks_by_id", held_up)
    assert cache.tracks([track_id])[track_id].title == "newer"
    assert cache.tracks([track_id])[track_id].title == "newest"


def test_it_does_not_grow_for_ever(catalog: Catalog, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval.catalog.tracks, "KEPT", 2)
    cache = TrackCache(catalog)
    for key in "abcabc":
        assert cache.by_key([key])[key].key == key
    assert len(cache._tracks) <= 2
