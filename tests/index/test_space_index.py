"""A space follows its catalogue: own writes at once, others' soon; what has grown is merged behind the searches."""

import json
import threading
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import Engine

import retrieval.catalog.watch
import retrieval.index.merging
import retrieval.index.snapshots
from retrieval.catalog.reading import Catalog
from retrieval.errors import IndexMismatchError
from retrieval.index.ann.ann_index import AnnIndex
from retrieval.index.merging import merge_if_due, merge_soon, rebuild
from retrieval.index.space import SpaceIndex
from tests.catalog.test_catalog import DIM, analysis


@pytest.fixture
def catalog(engine: Engine, rng: np.random.Generator) -> Catalog:
    catalog = Catalog(engine)
    catalog.store_many([analysis(f"t{number}", rng) for number in range(40)])
    return catalog


def merged() -> None:
    """Wait for the merges that run."""
    for thread in threading.enumerate():
        if thread.name == "merge":
            thread.join(60)


def test_own_writes_are_seen_at_once_and_others_when_it_looks(
    catalog: Catalog, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval.catalog.watch, "LOOK_EVERY_S", 1_000)
    space = SpaceIndex(catalog, tmp_path, "e")
    assert space.view().count == 40
    catalog.store(analysis("own", rng))
    assert space.view().count == 41
    Catalog(catalog.engine).store(analysis("another's", rng))
    assert space.view().count == 41
    monkeypatch.setattr(retrieval.catalog.watch, "LOOK_EVERY_S", 0)
    assert space.view().count == 42


@pytest.mark.parametrize("granularity", ["track", "segment"])
def test_a_grown_delta_is_merged_in_the_background(
    granularity: str, catalog: Catalog, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval.index.merging, "MERGE_AFTER_ROWS", 6)
    monkeypatch.setattr(retrieval.catalog.watch, "LOOK_EVERY_S", 0)
    space = SpaceIndex(catalog, tmp_path, "e", granularity)  # type: ignore[arg-type]
    rebuild(space)
    first = space.view()
    catalog.store_many([analysis(f"new{number}", rng) for number in range(20)])
    catalog.delete("t3")
    before = space.view()
    merge_soon([space])
    merged()
    after = space.view()
    assert before.changed > 6
    assert after.changed == 0
    assert after.snapshot is not None
    assert first.snapshot is not None
    assert after.snapshot.name != first.snapshot.name
    assert before.count == after.count == 59
    query = rng.standard_normal((1, DIM)).astype(np.float32)
    assert before.search(query, 100).track_ids.tolist() == after.search(query, 100).track_ids.tolist()


def test_a_merge_that_fails_leaves_the_index_as_it_is(
    catalog: Catalog,
    tmp_path: Path,
    rng: np.random.Generator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(retrieval.index.merging, "MERGE_AFTER_ROWS", 6)
    space = SpaceIndex(catalog, tmp_path, "e")
    rebuild(space)

    def full_disk(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(retrieval.index.merging, "build_snapshot", full_disk)
    catalog.store_many([analysis(f"new{number}", rng) for number in range(20)])
    assert space.view().count == 60
    merge_soon([space])
    merged()
    assert "could not be merged" in caplog.text
    assert space.view().count == 60


def test_an_index_that_has_not_doubled_is_not_trained_anew(
    catalog: Catalog, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval.index.snapshots, "FLAT_LIMIT", 0)
    catalog.store_many([analysis(f"more{number}", rng) for number in range(360)])
    space = SpaceIndex(catalog, tmp_path, "e")
    assert rebuild(space).manifest.trained_rows == 400
    first = space.view().snapshot
    catalog.store_many([analysis(f"new{number}", rng) for number in range(100)])
    again = rebuild(space).manifest
    assert (again.rows, again.trained_rows) == (500, 400)
    second = space.view().snapshot
    assert first is not None
    assert second is not None
    assert isinstance(first.index, AnnIndex)
    assert isinstance(second.index, AnnIndex)
    query = rng.standard_normal((1, DIM)).astype(np.float32)
    np.testing.assert_array_equal(first.index.centroids.cosines(query), second.index.centroids.cosines(query))
    catalog.store_many([analysis(f"many{number}", rng) for number in range(400)])
    assert rebuild(space).manifest.trained_rows == 900


def test_another_recall_is_tuned_to_at_the_next_rebuild(
    catalog: Catalog, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retrieval.index.snapshots, "FLAT_LIMIT", 0)
    catalog.store_many([analysis(f"more{number}", rng) for number in range(360)])
    as_shipped = rebuild(SpaceIndex(catalog, tmp_path, "e")).manifest
    catalog.store_many([analysis(f"new{number}", rng) for number in range(100)])
    lower = SpaceIndex(catalog, tmp_path, "e", recall=0.9)
    assert rebuild(lower).manifest.trained_rows == 500
    again = rebuild(lower).manifest
    assert as_shipped.tuning is not None
    assert again.tuning is not None
    assert (as_shipped.tuning.target, again.tuning.target) == (0.99, 0.9)


def test_an_index_of_an_older_format_is_built_anew_by_the_next_ingest(
    catalog: Catalog, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    rebuild(SpaceIndex(catalog, tmp_path, "e"))
    manifest = tmp_path / "e" / "track" / "CURRENT" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 1}))
    space = SpaceIndex(catalog, tmp_path, "e")
    with pytest.raises(IndexMismatchError, match="format 1, this version reads 3: run `soundalike rebuild`"):
        space.view()
    assert merge_if_due(space)
    assert "format 1" in caplog.text
    assert space.view().count == 40
