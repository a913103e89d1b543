"""The snapshots of a space that has another name now: served as they are, whatever comes between."""

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.errors import IndexMismatchError
from retrieval.index import snapshots
from retrieval.index.snapshots import Manifest, build_snapshot, open_snapshot, rename_space


@pytest.fixture
def vectors(rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.standard_normal((5, 4)).astype(np.float32)


@pytest.fixture
def root(tmp_path: Path, vectors: NDArray[np.float32]) -> Path:
    """Snapshots by track and by segment, one of each before the current one."""
    for granularity in ("track", "segment"):
        for revision in (1, 2):
            manifest = Manifest("old", granularity, "old-abc", 4, revision)
            build_snapshot(
                tmp_path / "old" / granularity, manifest, np.arange(5), vectors, np.zeros((5, 2), np.float32)
            )
    return tmp_path


def check_renamed(root: Path, vectors: NDArray[np.float32]) -> None:
    assert not (root / "old").exists()
    for granularity in ("track", "segment"):
        snapshot = open_snapshot(root / "new" / granularity, space="new", granularity=granularity)
        assert (snapshot.manifest.encoder_version, snapshot.manifest.revision) == ("new-abc", 2)
        np.testing.assert_array_equal(snapshot.index.vectors(np.arange(5)), vectors)
        assert len(list(snapshot.path.parent.glob("r*/manifest.json"))) == 2


def test_snapshots_are_renamed_and_not_built_again(root: Path, vectors: NDArray[np.float32]) -> None:
    names = {path.name for path in root.glob("old/*/r*")}
    rename_space(root, "old", "new")
    rename_space(root, "old", "new")
    check_renamed(root, vectors)
    assert {path.name for path in root.glob("new/*/r*")} == names


def test_nothing_happens_without_snapshots_or_beside_others(root: Path, vectors: NDArray[np.float32]) -> None:
    rename_space(root, "nothing", "new")
    assert not (root / "new").exists()
    manifest = Manifest("other", "track", "other-1", 4, 1)
    build_snapshot(root / "other" / "track", manifest, np.arange(5), vectors, np.zeros((5, 2), np.float32))
    rename_space(root, "old", "other")
    assert open_snapshot(root / "other" / "track", space="other").manifest.encoder_version == "other-1"
    assert open_snapshot(root / "old" / "track", space="old").manifest.encoder_version == "old-abc"


def test_whoever_comes_next_goes_on_where_one_was_stopped(
    root: Path, vectors: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Four manifests are rewritten, with two flushes each, and then the folder is renamed, with one."""
    for stopped_at in range(9):
        flushes = iter(range(stopped_at))

        def flush(_: Path, flushes: object = flushes) -> None:
            if next(flushes, None) is None:  # type: ignore[call-overload]
                raise KeyboardInterrupt

        with monkeypatch.context() as stopping:
            stopping.setattr(snapshots, "_fsync", flush)
            with pytest.raises(KeyboardInterrupt):
                rename_space(root, "old", "new")
        assert (root / ("new" if stopped_at == 8 else "old")).is_dir()
        for path in root.glob("*/*/r*/manifest.json"):
            assert json.loads(path.read_text())["space"] in ("old", "new")
        rename_space(root, "old", "new")
        check_renamed(root, vectors)
        rename_space(root, "new", "old")


def test_several_may_come_at_once(root: Path, vectors: NDArray[np.float32]) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: rename_space(root, "old", "new"), range(8)))
    check_renamed(root, vectors)


def test_a_damaged_manifest_does_not_keep_the_others(root: Path) -> None:
    damaged = (root / "old" / "track" / "CURRENT").resolve() / "manifest.json"
    damaged.write_text(damaged.read_text()[:40])
    rename_space(root, "old", "new")
    with pytest.raises(IndexMismatchError, match="run `soundalike rebuild`"):
        open_snapshot(root / "new" / "track", space="new")
    assert open_snapshot(root / "new" / "segment", space="new", granularity="segment").manifest.space == "new"
