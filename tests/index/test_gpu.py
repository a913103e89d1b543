"""On a GPU: exact where it says so, in step with the CPU's index, and given up in one line where memory runs out.

The scan by torch is the same code on any device, so most of this runs without a GPU; FAISS's kinds need one.
"""

import logging
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

import retrieval.index.snapshots
from retrieval.index.faiss_threads import faiss, one_thread
from retrieval.index.gpu import faiss_search as gpu_faiss
from retrieval.index.gpu import gpu_index as gpu
from retrieval.index.gpu import matrix as gpu_scan
from retrieval.index.gpu.gpu_index import GpuCodes, GpuIndex, on_gpu
from retrieval.index.gpu.matrix import Matrix
from retrieval.index.row_index import IndexLostError, RowIndex
from retrieval.index.view import LocalView
from tests.index.test_gpu_matrix import (
    CUDA,
    DEVICES,
    DIM,
    ROWS,
    Vectors,
    by_halves_of,
    normalised,
    true_cosines,
    vectors,
)
from tests.index.test_index import deleted, unit, view_of, written

__all__ = ["vectors"]  # the fixture


@pytest.fixture(scope="module")
def view(tmp_path_factory: pytest.TempPathFactory, vectors: Vectors) -> LocalView:
    """Four thousand tracks in an approximate index, on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval.index.snapshots, "FLAT_LIMIT", 0)
        return view_of(tmp_path_factory.mktemp("index"), np.arange(ROWS) + 1, vectors)


def stored(view: LocalView) -> RowIndex[Any]:
    assert view.snapshot is not None
    return view.snapshot.index


def with_gpu(view: LocalView, index: GpuIndex | GpuCodes | None) -> LocalView:
    assert view.snapshot is not None
    return replace(view, snapshot=replace(view.snapshot, gpu=index))


def flat_of(view: LocalView, device: str) -> GpuIndex:
    matrix = Matrix(gpu_scan.uploaded(stored(view), device))
    if device == "cuda":
        return GpuIndex(stored(view), matrix, gpu_faiss.brute_force(matrix, gpu_faiss.resources()))
    return GpuIndex(stored(view), matrix, lambda queries, k: matrix.confirmed(queries, k, by_halves_of(matrix)))


@pytest.fixture(params=DEVICES)
def flat_view(request: pytest.FixtureRequest, view: LocalView, monkeypatch: pytest.MonkeyPatch) -> LocalView:
    monkeypatch.setattr(gpu, "_SCAN_ROWS", 50)
    return with_gpu(view, flat_of(view, request.param))


def check_view(
    view: LocalView, truth: dict[int, Vectors], queries: Vectors, k: int, *, path: str, **options: Any
) -> None:
    ids = np.array(sorted(truth))
    cosines = true_cosines(np.stack([truth[track_id] for track_id in ids.tolist()]), queries, k, np.arange(len(ids)))
    found = view.search(queries, k, **options)
    assert found.path == path
    assert found.matching == len(truth)
    np.testing.assert_allclose(found.cosines, cosines, atol=2e-6)
    assert ((found.track_ids >= 0) == np.isfinite(cosines)).all()
    for query, track_ids, scores in zip(queries, found.track_ids, found.cosines, strict=True):
        kept = [track_id for track_id in track_ids.tolist() if track_id >= 0]
        assert len(set(kept)) == len(kept)
        np.testing.assert_allclose([truth[track_id] @ query for track_id in kept], scores[: len(kept)], atol=2e-6)


def test_a_view_is_exact_through_changes(flat_view: LocalView, vectors: Vectors, rng: np.random.Generator) -> None:
    view, truth, revision = flat_view, dict(enumerate(vectors, start=1)), 1
    for round_no in range(4):
        queries = normalised(rng.standard_normal((7, DIM)))
        check_view(view, truth, queries, 10, path="gpu")
        check_view(view, truth, queries, 10, path="exact", exact=True)
        check_view(view, truth, queries, len(truth) + 3, path="gpu")
        for share in (0.005, 0.1, 0.8):
            some = np.flatnonzero(rng.random(ROWS + 100) < share)
            left = {track_id: truth[track_id] for track_id in some.tolist() if track_id in truth}
            selection = view.select(some)
            path = "exact" if len(selection.rows) <= 50 else "gpu"
            check_view(view, left, queries, 10, path=path, selection=selection)
        changes = []
        for track_id in [*rng.choice(ROWS, size=200, replace=False).tolist(), ROWS + 10 * round_no + 5]:
            revision += 1
            if track_id % 2:
                truth[track_id] = unit(rng.standard_normal((1, DIM)).astype(np.float32))[0]
                changes.append(written(track_id, revision, truth[track_id]))
            else:
                truth.pop(track_id, None)
                changes.append(deleted(track_id, revision))
        view = view.updated(changes)


def test_segments_of_a_track_count_once(tmp_path: Path, vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrieval.index.snapshots, "FLAT_LIMIT", 0)
    view = view_of(tmp_path, np.repeat(np.arange(ROWS // 4) + 1, 4), vectors)
    on_device = with_gpu(view, flat_of(view, "cpu"))
    found, expected = (some.search(vectors[:9], 20, exact=some is view) for some in (on_device, view))
    assert (found.path, expected.path) == ("gpu", "exact")
    np.testing.assert_allclose(found.cosines, expected.cosines, atol=2e-6)
    assert (found.track_ids == expected.track_ids).mean() > 0.99  # equal cosines


def test_threads_share_the_gpu(flat_view: LocalView, vectors: Vectors) -> None:
    selections = [None, flat_view.select(np.arange(1, 3_000))]
    alone = [flat_view.search(vectors[n : n + 1], 10, selection=selections[n % 2]) for n in range(60)]
    with ThreadPoolExecutor(8) as pool:
        shared = pool.map(lambda n: flat_view.search(vectors[n : n + 1], 10, selection=selections[n % 2]), range(60))
        for expected, found in zip(alone, shared, strict=True):
            np.testing.assert_allclose(found.cosines, expected.cosines, atol=2e-6)
            assert found.track_ids[0, 0] == expected.track_ids[0, 0]


class CodesOnCpu:
    """What `gpu_faiss.coded` gives, without a GPU."""

    def __init__(self, vectors: Vectors) -> None:
        self.index = faiss.IndexIVFPQ(faiss.IndexFlatIP(DIM), DIM, 16, 8, 6, faiss.METRIC_INNER_PRODUCT)
        with one_thread():
            self.index.train(vectors)
            self.index.add(vectors)
        self.index.nprobe = 12

    def search(self, queries: Vectors, k: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        assert k <= 2_048
        cosines, rows = self.index.search(queries, k)
        return cosines, rows


@pytest.fixture(params=DEVICES)
def codes_view(request: pytest.FixtureRequest, view: LocalView, vectors: Vectors) -> LocalView:
    on_cpu = request.param == "cpu"
    codes = CodesOnCpu(vectors) if on_cpu else gpu_faiss.coded(stored(view), gpu_faiss.resources())
    return with_gpu(view, GpuCodes(stored(view), codes))


def test_candidates_by_codes_are_ranked_by_vectors(codes_view: LocalView, vectors: Vectors) -> None:
    rng = np.random.default_rng(3)
    queries = normalised(vectors[:60] + 0.1 * rng.standard_normal((60, DIM)))
    changed = codes_view.updated([deleted(track_id, track_id + 1) for track_id in range(1, 400, 2)])
    for view, left in ((codes_view, np.arange(ROWS)), (changed, np.setdiff1d(np.arange(ROWS), np.arange(0, 399, 2)))):
        found = view.search(queries, 10)
        assert found.path == "gpu-ivf-pq"
        assert np.isin(found.track_ids - 1, left).all()
        np.testing.assert_allclose(
            np.einsum("qkd,qd->qk", vectors[found.vector_ids], queries), found.cosines, atol=2e-6
        )
        expected = true_cosines(vectors, queries, 10, left)
        assert (found.cosines >= expected[:, -1:] - 1e-5).mean() >= 0.95
    assert codes_view.search(queries, 10, selection=codes_view.select(np.arange(1, 3_500))).path in ("ivf", "exact")
    assert (codes_view.search(queries[:3], ROWS).track_ids >= 0).all()


@pytest.mark.parametrize(("dim", "size"), [(512, 64), (128, 64), (200, 20), (768, 96), (16, 16), (32, 32), (256, 64)])
def test_codes_are_of_a_size_that_kernels_know(dim: int, size: int) -> None:
    assert gpu_faiss.code_bytes(dim) == size


def test_a_dimension_without_codes_is_named() -> None:
    with pytest.raises(RuntimeError, match="1021"):
        gpu_faiss.code_bytes(1_021)


# Memory ---------------------------------------------------------------------------------------------------------------


@pytest.fixture
def as_if(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """A machine with a GPU that has 100 GB left, until something is asked of it."""
    monkeypatch.setattr(faiss, "get_num_gpus", lambda: 1)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda: (100 << 30, 140 << 30))
    monkeypatch.setattr(gpu_faiss, "resources", lambda: None)
    return monkeypatch


ERRORS = [
    torch.OutOfMemoryError("CUDA out of memory.\nTried to allocate"),
    RuntimeError("cudaMalloc error out of memory"),
]


@pytest.mark.parametrize("error", ERRORS)
def test_no_room_is_one_line(
    error: RuntimeError, view: LocalView, as_if: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> Tensor:
        raise error

    as_if.setattr(gpu_scan, "uploaded", full)
    with caplog.at_level(logging.DEBUG):
        assert on_gpu(stored(view)) is None
    assert len(caplog.records) == 1
    assert "4000 vectors" in caplog.text
    assert "out of memory" in caplog.text
    assert "Tried" not in caplog.text


@pytest.mark.parametrize("error", ERRORS)
@pytest.mark.parametrize("filtered", [False, True])
def test_memory_that_runs_out_later_is_one_line(
    error: RuntimeError,
    filtered: bool,
    view: LocalView,
    vectors: Vectors,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    on_device = with_gpu(view, flat_of(view, "cpu"))
    among = view.select(np.arange(1, 3_000)) if filtered else None
    here = on_device.select(np.arange(1, 3_000)) if filtered else None
    assert on_device.search(vectors[:5], 10, selection=here).path == "gpu"

    def full(*_: object) -> gpu_scan.Best:
        raise error

    monkeypatch.setattr(Matrix, "rescored", full)
    expected = view.search(vectors[:5], 10, selection=among)
    with caplog.at_level(logging.DEBUG), ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: on_device.search(vectors[:5], 10, selection=here), range(8)))
    for found in answers:
        assert found.path == expected.path != "gpu"
        np.testing.assert_array_equal(found.track_ids, expected.track_ids)
    assert len(caplog.records) == 1
    assert "out of memory" in caplog.text


def test_what_failed_holds_no_memory(view: LocalView, vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    import gc
    import weakref

    index = flat_of(view, "cpu")
    on_device = with_gpu(view, index)
    matrix = weakref.ref(index._held._held[0]) if index._held._held else None

    def full(*_: object) -> gpu_scan.Best:
        raise ERRORS[0].with_traceback(None)

    monkeypatch.setattr(Matrix, "rescored", full)
    on_device.search(vectors[:1], 10)
    ERRORS[0].with_traceback(None)
    gc.collect()
    assert index.is_lost
    assert matrix is not None
    assert matrix() is None


def test_what_fits_is_flat_and_what_does_not_is_coded(view: LocalView, as_if: pytest.MonkeyPatch) -> None:
    uploaded = gpu_scan.uploaded
    as_if.setattr(gpu_scan, "uploaded", lambda index, device: uploaded(index, "cpu"))
    as_if.setattr(gpu_faiss, "coded", lambda index, provider: CodesOnCpu(index.vectors(np.arange(index.count))))
    assert isinstance(on_gpu(stored(view)), GpuIndex)
    as_if.setattr(torch.cuda, "mem_get_info", lambda: (1 << 30, 140 << 30))
    assert isinstance(on_gpu(stored(view)), GpuCodes)


def test_without_a_gpu_there_is_none(view: LocalView, as_if: pytest.MonkeyPatch) -> None:
    as_if.setattr(torch.cuda, "is_available", lambda: False)
    assert on_gpu(stored(view)) is None
    as_if.setattr(faiss, "get_num_gpus", lambda: 0)
    assert on_gpu(stored(view)) is None


def test_a_released_index_leaves_the_search_to_the_cpu(view: LocalView, vectors: Vectors) -> None:
    index = flat_of(view, "cpu")
    on_device = with_gpu(view, index)
    assert on_device.search(vectors[:3], 10).path == "gpu"
    index.release()
    with pytest.raises(IndexLostError):
        index.search(vectors[:3], 10)
    assert on_device.search(vectors[:3], 10).path == "ivf"


# On a GPU -------------------------------------------------------------------------------------------------------------


@pytest.mark.gpu
@pytest.mark.skipif(not CUDA, reason="needs a CUDA device, and FAISS for it")
def test_an_opened_index_is_placed(view: LocalView, vectors: Vectors) -> None:
    on_device = with_gpu(view, on_gpu(stored(view)))
    check_view(on_device, dict(enumerate(vectors, start=1)), vectors[:50], 10, path="gpu")


@pytest.mark.gpu
@pytest.mark.skipif(not CUDA, reason="needs a CUDA device, and FAISS for it")
@pytest.mark.skipif(not hasattr(faiss, "GpuIndexCagra"), reason="FAISS was built without cuVS")
def test_a_graph_finds_nearly_all(view: LocalView, vectors: Vectors, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpu, "CAGRA_ROWS", 0)
    on_device = with_gpu(view, on_gpu(stored(view)))
    found = on_device.search(vectors[:200], 10)
    assert found.path == "gpu-cagra"
    expected = true_cosines(vectors, vectors[:200], 10, np.arange(ROWS))
    assert (found.cosines >= expected[:, -1:] - 1e-5).mean() >= 0.95
    some = dict(list(enumerate(vectors, start=1))[:3_000])
    check_view(on_device, some, vectors[:50], 10, path="gpu", selection=on_device.select(np.arange(1, 3_001)))


@pytest.mark.gpu
@pytest.mark.skipif(not CUDA, reason="needs a CUDA device, and FAISS for it")
def test_a_full_gpu_leaves_the_search_to_the_cpu(
    view: LocalView, vectors: Vectors, caplog: pytest.LogCaptureFixture
) -> None:
    on_device = with_gpu(view, on_gpu(stored(view)))
    assert on_device.search(vectors[:5], 10).path == "gpu"
    torch.cuda.set_per_process_memory_fraction(1e-6)
    torch.cuda.empty_cache()
    try:
        with caplog.at_level(logging.DEBUG):
            found = on_device.search(np.tile(vectors, (10, 1)), 10)
            assert on_gpu(stored(view)) is None
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert found.path == "ivf"
    assert [record.name for record in caplog.records] == ["retrieval.index.gpu.gpu_index"] * 2
