"""Who writes merges, one at a time: several at once build one snapshot, an older one never wins, readers build none."""

import multiprocessing
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from retrieval.catalog.reading import Catalog
from retrieval.index import merging
from retrieval.index.merging import merge_if_due, merge_soon, rebuild
from retrieval.index.snapshots import Manifest, build_snapshot, current_manifest, current_name
from retrieval.index.space import SpaceIndex
from tests.catalog.test_catalog import analysis
from tests.index.test_space_index import merged

MERGERS = 4


@pytest.fixture
def catalog(engine: Engine, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> Catalog:
    monkeypatch.setattr(merging, "MERGE_AFTER_ROWS", 6)
    catalog = Catalog(engine)
    catalog.store_many([analysis(f"t{number}", rng) for number in range(40)])
    return catalog


def grow(catalog: Catalog, rng: np.random.Generator, name: str = "new") -> None:
    catalog.store_many([analysis(f"{name}{number}", rng) for number in range(20)])


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The revisions of the snapshots that are built."""
    revisions = list[int]()

    def counted(directory: Path, manifest: Manifest, *content: Any, **options: Any) -> Manifest:
        revisions.append(manifest.revision)
        return build_snapshot(directory, manifest, *content, **options)

    monkeypatch.setattr(merging, "build_snapshot", counted)
    return revisions


def at_once(call: Callable[[SpaceIndex], bool], indexes: list[SpaceIndex]) -> list[bool]:
    ready = threading.Barrier(len(indexes))

    def run(index: SpaceIndex) -> bool:
        ready.wait()
        return call(index)

    with ThreadPoolExecutor(len(indexes)) as pool:
        return list(pool.map(run, indexes))


@pytest.mark.parametrize("has_snapshot", [False, True])
def test_of_mergers_at_once_one_builds(
    has_snapshot: bool, catalog: Catalog, tmp_path: Path, rng: np.random.Generator, built: list[int]
) -> None:
    indexes = [SpaceIndex(Catalog(catalog.engine), tmp_path, "e") for _ in range(MERGERS)]
    if has_snapshot:
        rebuild(indexes[0])
        built.clear()
    for index in indexes:
        assert index.view().count == 40
    grow(catalog, rng)
    assert sorted(at_once(merge_if_due, indexes)) == [False] * (MERGERS - 1) + [True]
    assert built == [catalog.revision()]
    for index in indexes:
        view = index.newest_view()
        assert (view.count, view.changed) == (60, 0)


def merge_in_a_process(url: str, root: Path, ready: Any, results: Any) -> None:
    merging.MERGE_AFTER_ROWS = 6
    engine = create_engine(make_url(url))
    index = SpaceIndex(Catalog(engine), root, "e")
    index.view()
    ready.wait(60)
    results.put(merge_if_due(index))
    engine.dispose()


def test_of_processes_at_once_one_builds(
    catalog: Catalog, database_url: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    index = SpaceIndex(catalog, tmp_path, "e")
    rebuild(index)
    first = current_name(index.directory)
    grow(catalog, rng)
    context = multiprocessing.get_context("spawn")
    ready, results = context.Barrier(3), context.Queue()
    workers = [
        context.Process(target=merge_in_a_process, args=(database_url, tmp_path, ready, results)) for _ in range(3)
    ]
    for worker in workers:
        worker.start()
    assert sorted(results.get(timeout=120) for _ in workers) == [False, False, True]
    for worker in workers:
        worker.join()
    assert sorted(path.name for path in index.directory.glob("r*")) == sorted(
        [str(first), str(current_name(index.directory))]
    )
    assert index.newest_view().changed == 0


def test_an_older_revision_never_wins(tmp_path: Path) -> None:
    def build(revision: int, version: str = "e-1", ids: int = 1) -> Manifest:
        track_ids, vectors = np.arange(ids), np.eye(ids, 4, dtype=np.float32)
        manifest = Manifest("e", "track", version, 4, revision)
        return build_snapshot(tmp_path, manifest, track_ids, vectors, np.zeros((ids, 2), np.float32))

    build(5, ids=3)
    name = current_name(tmp_path)
    assert build(4).rows == 3
    assert current_name(tmp_path) == name
    assert not list(tmp_path.glob(".building-*"))
    assert build(5, ids=2).rows == 2  # the same revision anew
    assert build(6).rows == 1
    assert build(2, "e-2").rows == 1
    current = current_manifest(tmp_path)
    assert current is not None
    assert (current.encoder_version, current.revision) == ("e-2", 2)


def test_a_merger_that_looked_long_ago_does_not_undo_what_another_did(
    catalog: Catalog, tmp_path: Path, rng: np.random.Generator, built: list[int]
) -> None:
    slow, fast = (SpaceIndex(Catalog(catalog.engine), tmp_path, "e") for _ in range(2))
    rebuild(slow)
    grow(catalog, rng)
    old = slow.newest_view()
    grow(catalog, rng, "newer")
    assert merge_if_due(fast)
    slow.last_view = old
    assert not merge_if_due(slow)
    assert built == [40, 80]
    assert slow.view().count == 80


def test_a_reader_never_builds(catalog: Catalog, tmp_path: Path, rng: np.random.Generator, built: list[int]) -> None:
    index, reader = (SpaceIndex(Catalog(catalog.engine), tmp_path, "e") for _ in range(2))
    assert reader.view().count == 40
    assert not reader.directory.exists()
    rebuild(index)
    name = current_name(index.directory)
    grow(catalog, rng)
    for _ in range(3):
        assert reader.newest_view().count == 60
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("merge")]
    assert current_name(index.directory) == name
    assert built == [40]


def test_one_thread_merges_all_that_has_grown_and_what_grows_meanwhile(
    catalog: Catalog, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_track, by_segment = indexes = [SpaceIndex(catalog, tmp_path, "e", one) for one in ("track", "segment")]  # type: ignore[arg-type]
    for index in indexes:
        rebuild(index)
    grow(catalog, rng)
    threads = list[str]()

    def overtaken(directory: Path, manifest: Manifest, *content: Any, **options: Any) -> Manifest:
        threads.append(threading.current_thread().name)
        if len(threads) == 1:
            grow(catalog, rng, "newer")
            merge_soon(indexes)  # finds the first at work
        return build_snapshot(directory, manifest, *content, **options)

    monkeypatch.setattr(merging, "build_snapshot", overtaken)
    merge_soon(indexes)
    merged()
    assert threads == ["merge"] * 3  # the index by track twice
    assert (by_track.newest_view().changed, by_segment.newest_view().changed) == (0, 0)
    assert by_track.newest_view().count == 80


def test_an_index_ahead_of_a_restored_catalogue_is_built_anew(
    catalog: Catalog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    index = SpaceIndex(catalog, tmp_path, "e")
    ahead = Manifest("e", "track", "e-1", 4, revision=1_000)
    build_snapshot(index.directory, ahead, np.arange(2), np.eye(2, 4, dtype=np.float32), np.zeros((2, 2), np.float32))
    assert rebuild(index).manifest.revision == catalog.revision() == 40
    assert "restored" in caplog.text
    assert index.view().count == 40
