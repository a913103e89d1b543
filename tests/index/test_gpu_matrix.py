"""The scan by torch is brute force, whatever the memory, the query and the ties; the same code runs on any device."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.index.faiss_threads import RankedRows, faiss
from retrieval.index.flat import build_flat
from retrieval.index.gpu import faiss_search as gpu_faiss
from retrieval.index.gpu import matrix as gpu_scan
from retrieval.index.gpu.matrix import Matrix
from tests.index.test_index import unit

DIM = 32
ROWS = 4_000
CUDA = torch.cuda.is_available() and faiss.get_num_gpus() > 0
needs_gpu = (pytest.mark.gpu, pytest.mark.skipif(not CUDA, reason="needs a CUDA device, and FAISS for it"))
DEVICES = ["cpu", pytest.param("cuda", marks=needs_gpu)]
Vectors = NDArray[np.float32]


@pytest.fixture(scope="module")
def vectors() -> Vectors:
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((40, DIM))
    return unit((centres[rng.integers(40, size=ROWS)] + 0.4 * rng.standard_normal((ROWS, DIM))).astype(np.float32))


def normalised(vectors: NDArray[np.floating[Any]]) -> Vectors:
    """Unit vectors that no float16 holds, as an encoder gives them."""
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def true_cosines(vectors: Vectors, queries: Vectors, k: int, among: NDArray[np.int64]) -> NDArray[np.float64]:
    """The cosines [n_queries, k] of the nearest of some rows, −inf behind the last."""
    cosines = queries.astype(np.float64) @ vectors[among].astype(np.float64).T
    found = -np.sort(-cosines, axis=1)[:, :k]
    return np.pad(found, ((0, 0), (0, k - found.shape[1])), constant_values=-np.inf)


def check_exact(found: RankedRows, vectors: Vectors, queries: Vectors, k: int, among: NDArray[np.int64]) -> None:
    rows, cosines = found
    assert rows.shape == cosines.shape == (len(queries), min(k, len(among)))
    assert np.isin(rows, among).all()
    assert all(len(set(row)) == len(row) for row in rows.tolist())
    np.testing.assert_allclose(cosines, true_cosines(vectors, queries, rows.shape[1], among), atol=2e-6)
    np.testing.assert_allclose(cosines, np.einsum("qkd,qd->qk", vectors[rows], queries), atol=2e-6)


def matrix_of(vectors: Vectors, device: str = "cpu", **settings: int) -> Matrix:
    return Matrix(gpu_scan.uploaded(build_flat(vectors), device), **settings)


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("work_bytes", [1 << 30, 200_000, 1])
@pytest.mark.parametrize("seed", range(3))
def test_a_scan_is_brute_force(
    seed: int, work_bytes: int, device: str, vectors: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(seed)
    monkeypatch.setattr(gpu_scan, "_QUERIES_AT_ONCE", int(rng.integers(1, 9)))
    vectors = vectors[: 90 if work_bytes == 1 else ROWS]
    matrix = matrix_of(vectors, device, work_bytes=work_bytes)
    queries = normalised(rng.standard_normal((int(rng.integers(1, 20)), DIM)))
    queries[0] = vectors[5]
    k = int(rng.integers(1, 40))
    check_exact(matrix.ranked(queries, lambda here: matrix.scan(here, k)), vectors, queries, k, np.arange(len(vectors)))
    for share in (0.0, 0.003, 0.1, 0.24, 0.3, 0.9, 1.0):
        some = np.flatnonzero(rng.random(len(vectors)) < share)
        selection = matrix.select(some)
        assert selection.count == len(some)
        assert (selection.mask is None) == (len(some) <= 0.25 * len(vectors))
        check_exact(
            matrix.ranked(queries, lambda here, a=selection: matrix.scan(here, k, a)), vectors, queries, k, some
        )


@pytest.mark.parametrize("device", DEVICES)
def test_equal_rows_come_in_order(device: str, vectors: Vectors) -> None:
    places = [3, 9, 70, 71, 200, 333, 334, 335, 420, 480, 481, 499]
    repeated = vectors[1_000:1_500].copy()
    repeated[places] = vectors[0]
    matrix = matrix_of(repeated, device, work_bytes=5_000)
    rows, cosines = matrix.ranked(vectors[:1], lambda here: matrix.scan(here, len(places)))
    assert rows[0].tolist() == places
    assert len(set(cosines[0].tolist())) == 1


def crowd(rng: np.random.Generator) -> tuple[Vectors, Vectors]:
    """Rows in all directions from a query, so equally near that it can't be rounded without confusing them."""
    queries = normalised(rng.standard_normal((8, DIM)))
    beside = rng.standard_normal((8, 2_500, DIM))
    beside -= (beside * queries[:, np.newaxis]).sum(axis=2, keepdims=True) * queries[:, np.newaxis]
    beside /= np.linalg.norm(beside, axis=2, keepdims=True)
    rows = 0.8 * queries[:, np.newaxis] + 0.6 * beside
    return rows.reshape(-1, DIM).astype(np.float16).astype(np.float32), queries


@pytest.mark.parametrize("device", DEVICES)
def test_a_query_is_not_rounded(device: str, rng: np.random.Generator) -> None:
    rows, queries = crowd(rng)
    matrix = matrix_of(rows, device)
    check_exact(matrix.ranked(queries, lambda here: matrix.scan(here, 5)), rows, queries, 5, np.arange(len(rows)))
    # Nor do the extra candidates make up for it: the best by rounded queries are others.
    rounded = queries.astype(np.float16).astype(np.float32) @ rows.T
    first = np.argsort(-rounded, axis=1)[:, : 5 + gpu_scan.MORE]
    best = np.argsort(-(queries.astype(np.float64) @ rows.T), axis=1)[:, :5]
    assert any(not set(row) <= set(candidates) for row, candidates in zip(best.tolist(), first.tolist(), strict=True))


def by_halves_of(matrix: Matrix) -> Callable[[Tensor, int], gpu_scan.Best]:
    """What FAISS's brute force does, by torch."""

    def by_halves(queries: Tensor, n: int) -> gpu_scan.Best:
        assert queries.dtype == torch.float16
        scores, rows = (queries.float() @ matrix.vectors.float().T).topk(n, dim=1)
        return rows, scores

    return by_halves


def test_what_halves_cannot_confirm_is_scanned_for(
    vectors: Vectors, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    near, queries = crowd(rng)
    scanned = []
    scan = Matrix.scan
    monkeypatch.setattr(Matrix, "scan", lambda self, q, *rest: (scanned.append(len(q)), scan(self, q, *rest))[1])
    for rows, some in ((near, queries), (vectors, vectors[:20]), (vectors[:10], queries)):
        matrix = matrix_of(rows)
        found = matrix.ranked(some, lambda here, m=matrix: m.confirmed(here, 5, by_halves_of(m)))
        check_exact(found, rows, some, 5, np.arange(len(rows)))
    assert len(scanned) == 1  # for the crowd, not for queries that are halves, nor where none was left out
    assert scanned[0] > 0


@pytest.mark.gpu
@pytest.mark.skipif(not CUDA, reason="needs a CUDA device, and FAISS for it")
@pytest.mark.parametrize("dim", [16, 200, 512])
def test_brute_force_of_faiss_is_exact(dim: int, rng: np.random.Generator) -> None:
    vectors = unit(rng.standard_normal((30_000, dim)).astype(np.float32))
    matrix = matrix_of(vectors, "cuda")
    nearest = gpu_faiss.brute_force(matrix, gpu_faiss.resources())
    for queries in (vectors[:300], normalised(rng.standard_normal((300, dim))), vectors[:1]):
        for k in (1, 10, 48, 500):
            found = matrix.ranked(queries, lambda here, k=k: nearest(here, k))
            check_exact(found, vectors, queries, k, np.arange(len(vectors)))
