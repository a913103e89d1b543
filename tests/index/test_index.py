"""The index agrees with brute force, follows the catalogue, survives damage, and never shows half of a change."""

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

import retrieval.index.snapshots
from retrieval.catalog.changes import IndexChange
from retrieval.catalog.reading import Catalog
from retrieval.errors import IndexMismatchError, IndexMissingError
from retrieval.index.ann.stopping import RECALL_TARGET
from retrieval.index.delta import Delta
from retrieval.index.merging import merge_if_due, rebuild
from retrieval.index.snapshots import Manifest, build_snapshot, open_snapshot
from retrieval.index.space import SpaceIndex
from retrieval.index.view import LocalView
from tests.catalog.test_catalog import analysis

DIM = 16


def unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


def view_of(directory: Path, track_ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> LocalView:
    manifest = Manifest("e", "track", "e-1", vectors.shape[1], revision=1)
    complete = build_snapshot(directory, manifest, track_ids, vectors, np.zeros((len(track_ids), 2), np.float32))
    snapshot = open_snapshot(directory, space="e")
    assert snapshot.manifest == complete
    return LocalView("e-1", vectors.shape[1], 1, snapshot, delta=Delta.empty(vectors.shape[1]))


def written(track_id: int, revision: int, *vectors: NDArray[np.float32], version: str = "e-1") -> IndexChange:
    spans_s = np.array([(10 * number, 10 * number + 10) for number in range(len(vectors))], np.float32)
    return IndexChange(track_id, revision, False, np.stack(vectors).astype(np.float16), version, spans_s)


def deleted(track_id: int, revision: int) -> IndexChange:
    return IndexChange(track_id, revision, True, None, None, np.empty((0, 2), np.float32))


def brute_force(
    track_ids: NDArray[np.int64], vectors: NDArray[np.float32], query: NDArray[np.float32], k: int
) -> list[int]:
    order = np.lexsort((track_ids, -(vectors @ query)))[:k]
    return track_ids[order].tolist()


@pytest.fixture(params=["flat", "ivf"])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both kinds of index on a few thousand rows."""
    if request.param == "ivf":
        monkeypatch.setattr(retrieval.index.snapshots, "FLAT_LIMIT", 0)
    return str(request.param)


@pytest.fixture
def corpus(rng: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    centres = rng.standard_normal((40, DIM))
    vectors = centres[rng.integers(40, size=3_000)] + 0.4 * rng.standard_normal((3_000, DIM))
    return rng.choice(100_000, size=3_000, replace=False) + 1, unit(vectors.astype(np.float32))


def test_exact_search_is_brute_force(kind: str, tmp_path: Path, corpus, rng: np.random.Generator) -> None:
    track_ids, vectors = corpus
    view = view_of(tmp_path, track_ids, vectors)
    assert view.snapshot is not None
    assert view.snapshot.manifest.kind == kind
    for query in unit(rng.standard_normal((20, DIM)).astype(np.float32)):
        found = view.search(query[np.newaxis], 10, exact=True)
        assert found.track_ids[0].tolist() == brute_force(track_ids, vectors, query, 10)
        assert found.path == "exact"


@pytest.mark.parametrize("share", [0.002, 0.01, 0.2, 0.9])
def test_filtered_search_fills_and_recalls(
    kind: str, share: float, tmp_path: Path, corpus, rng: np.random.Generator
) -> None:
    track_ids, vectors = corpus
    view = view_of(tmp_path, track_ids, vectors)
    allowed = np.sort(rng.choice(track_ids, size=int(share * len(track_ids)), replace=False))
    keep = np.isin(track_ids, allowed)
    hits = 0
    queries = unit(vectors[:20] + 0.1 * rng.standard_normal((20, DIM)).astype(np.float32))
    for query in queries:
        found = view.search(query[np.newaxis], 10, selection=view.select(allowed))
        ids = [track_id for track_id in found.track_ids[0].tolist() if track_id >= 0]
        assert len(ids) == min(10, len(allowed)) == len(set(ids))
        assert set(ids) <= set(allowed.tolist())
        assert found.matching == len(allowed)
        hits += len(set(ids) & set(brute_force(track_ids[keep], vectors[keep], query, 10)))
    assert hits / (len(queries) * min(10, len(allowed))) >= (1.0 if found.path == "exact" else 0.97)


def test_ivf_reaches_its_recall_target(tmp_path: Path, corpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval.index.snapshots, "FLAT_LIMIT", 0)
    track_ids, vectors = corpus
    view = view_of(tmp_path, track_ids, vectors)
    assert view.snapshot is not None
    assert view.snapshot.manifest.recall >= RECALL_TARGET


def test_random_changes_equal_a_fresh_index(kind: str, tmp_path: Path, corpus, rng: np.random.Generator) -> None:
    track_ids, vectors = corpus
    view = view_of(tmp_path / "old", track_ids, vectors)
    truth = dict(zip(track_ids.tolist(), vectors, strict=True))
    revision = 1
    for _ in range(5):
        changes = []
        for track_id in [*rng.choice(list(truth), size=40, replace=False).tolist(), *range(200_000, 200_010)]:
            revision += 1
            if rng.random() < 0.5:
                truth.pop(track_id, None)
                changes.append(deleted(track_id, revision))
            else:
                truth[track_id] = unit(rng.standard_normal((1, DIM)).astype(np.float32))[0]
                changes.append(written(track_id, revision, truth[track_id]))
        view = view.updated(changes)
    ids, matrix = np.array(list(truth)), np.stack(list(truth.values()))
    assert view.count == len(truth)
    for query in unit(rng.standard_normal((10, DIM)).astype(np.float32)):
        found = view.search(query[np.newaxis], 25, exact=True)
        assert found.track_ids[0].tolist() == brute_force(ids, matrix, query, 25)
        assert found.matching == len(truth)
    some = int(ids[0])
    np.testing.assert_allclose(view.vectors(view.vector_ids(np.array([some]))), truth[some][np.newaxis], atol=1e-3)
    assert view.vectors(view.vector_ids(np.array([999_999]))).shape == (0, DIM)


def test_a_vector_of_another_encoder_changes_nothing(tmp_path: Path, corpus) -> None:
    track_ids, vectors = corpus
    view = view_of(tmp_path, track_ids, vectors)
    change = written(int(track_ids[0]), 2, -vectors[0], version="e-2")
    after = view.updated([change])
    assert after.revision == 2
    assert after.search(vectors[:1], 1).track_ids[0, 0] == track_ids[0]


def test_more_neighbours_than_rows_are_padded(kind: str, tmp_path: Path, corpus) -> None:
    track_ids, vectors = corpus
    view = view_of(tmp_path, track_ids[:100], vectors[:100])
    found = view.search(vectors[:1], 120)
    assert (found.track_ids[0] >= 0).sum() == 100
    assert np.isneginf(found.cosines[0, 100:]).all()


def test_an_empty_snapshot_finds_nothing(tmp_path: Path) -> None:
    view = view_of(tmp_path, np.empty(0, np.int64), np.empty((0, DIM), np.float32))
    assert (view.search(np.ones((1, DIM), np.float32), 5).track_ids == -1).all()


@pytest.mark.parametrize("file", ["index.faiss", "track_ids.npy", "spans_s.npy", "manifest.json"])
@pytest.mark.parametrize("damage", ["truncate", "flip", "remove"])
def test_damaged_snapshots_are_refused(tmp_path: Path, corpus, file: str, damage: str) -> None:
    track_ids, vectors = corpus
    view_of(tmp_path, track_ids, vectors)
    path = tmp_path / "CURRENT" / file
    content = bytearray(path.read_bytes())
    if damage == "remove":
        path.unlink()
    else:
        content[len(content) // 3] ^= 0xFF
        path.write_bytes(content[: len(content) // 2] if damage == "truncate" else content)
    with pytest.raises(IndexMismatchError, match=file.split(".")[0]):
        open_snapshot(tmp_path, space="e")


def test_another_space_and_another_format_are_named(tmp_path: Path, corpus) -> None:
    track_ids, vectors = corpus
    view_of(tmp_path, track_ids, vectors)
    with pytest.raises(IndexMismatchError, match="of space 'e', expected 'f'"):
        open_snapshot(tmp_path, space="f")
    path = tmp_path / "CURRENT" / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(IndexMismatchError, match="format 99, this version reads 3"):
        open_snapshot(tmp_path, space="e")


def test_only_the_current_and_the_previous_snapshot_stay(tmp_path: Path, corpus) -> None:
    track_ids, vectors = corpus
    (tmp_path / ".building-killed").mkdir()
    names = [view_of(tmp_path, track_ids, vectors).snapshot.name for _ in range(4)]  # type: ignore[union-attr]
    assert sorted(path.name for path in tmp_path.glob("r*")) == sorted(names[-2:])
    assert not list(tmp_path.glob(".building-*"))


def test_a_space_follows_the_catalogue_and_equals_its_rebuild(
    engine: Engine, tmp_path: Path, rng: np.random.Generator
) -> None:
    catalog = Catalog(engine)
    space = SpaceIndex(catalog, tmp_path, "e")
    with pytest.raises(IndexMissingError, match="'e' holds no track; spaces that do: none yet"):
        space.view()
    for number in range(30):
        catalog.store(analysis(f"t{number}", rng))
    assert merge_if_due(space)  # the first snapshot
    catalog.delete("t3")
    catalog.store(analysis("t4", rng, content="b"))
    catalog.store(analysis("new", rng))
    assert not merge_if_due(space)  # three changes are no reason
    query = catalog.track_vector(catalog.track("new").id, "e")[np.newaxis]
    before = space.view().search(query, 40)
    report = rebuild(space)
    after = space.view().search(query, 40)
    assert report.manifest.count == 30
    assert before.track_ids.tolist() == after.track_ids.tolist()
    np.testing.assert_allclose(before.cosines, after.cosines, atol=1e-6)


def test_an_older_version_answers_until_the_newer_holds_every_track(
    engine: Engine, tmp_path: Path, rng: np.random.Generator
) -> None:
    catalog = Catalog(engine)
    by_track, by_segment = spaces = [SpaceIndex(catalog, tmp_path, "e", one) for one in ("track", "segment")]  # type: ignore[arg-type]
    for key in "abc":
        catalog.store(analysis(key, rng, version="e-1"))
    for space in spaces:
        rebuild(space)
    vectors = by_track.view().vectors(np.arange(3))
    first = catalog.track("a").id
    for key in "ab":
        catalog.store(analysis(key, rng, version="e-2"))
        assert not merge_if_due(by_track)
    for report in map(rebuild, spaces):  # from PostgreSQL alone
        assert (report.manifest.encoder_version, report.manifest.count, report.other_versions) == ("e-1", 3, 0)
    np.testing.assert_array_equal(by_track.view().vectors(np.arange(3)), vectors)
    assert len(catalog.segments_of([first], "e", by_segment.view().encoder_version)[first].vectors) == 3
    assert SpaceIndex(catalog, tmp_path / "no snapshot", "e").view().count == 3
    catalog.store(analysis("c", rng, version="e-2"))
    for space in spaces:
        assert merge_if_due(space)
        assert (space.view().encoder_version, space.view().count) == ("e-2", 3)
    assert catalog.spaces() == {"e": {"e-1": 3, "e-2": 3}}
    catalog.drop_superseded("e", "e-2")
    assert catalog.spaces() == {"e": {"e-2": 3}}
    assert catalog.segments_of([first], "e", "e-1") == {}


def test_a_rebuild_says_which_tracks_it_left_out(
    engine: Engine, tmp_path: Path, rng: np.random.Generator, caplog: pytest.LogCaptureFixture
) -> None:
    """As an earlier version left them: no track has what two encoders made."""
    catalog = Catalog(engine)
    for key, version in (("a", "e-1"), ("b", "e-2"), ("c", "e-2")):
        catalog.store(analysis(key, rng, version=version))
    report = rebuild(SpaceIndex(catalog, tmp_path, "e"))
    assert (report.manifest.encoder_version, report.manifest.count, report.other_versions) == ("e-2", 2, 1)
    assert "1 tracks of another encoder version" in caplog.text
