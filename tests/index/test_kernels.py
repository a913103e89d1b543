"""The compiled inner loops find what numpy finds."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.index import kernels
from retrieval.index.kernels import compiling
from retrieval.index.kernels.compiling import FLOAT, compiled
from retrieval.index.kernels.scoring import products

COUNT, DIM, NLIST, QUERIES = 600, 24, 30, 7
EVERY_ROW, ONE_EFFORT = np.zeros(0, np.uint8), np.zeros(0, np.float32)


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float16]:
    return np.random.default_rng(1).standard_normal((COUNT, DIM)).astype(np.float16)


@pytest.fixture(scope="module")
def queries() -> NDArray[np.float32]:
    return np.random.default_rng(2).standard_normal((QUERIES, DIM)).astype(np.float32)


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def bits_of(vectors: NDArray[np.float16]) -> NDArray[np.uint16]:
    return vectors.view(np.uint16)


def at_an_odd_address(array: NDArray[np.uint16]) -> NDArray[np.uint16]:
    memory = np.zeros(array.nbytes + 1, np.uint8)
    start = 1 - memory.ctypes.data % 2
    memory[start : start + array.nbytes] = array.view(np.uint8).ravel()
    moved = memory[start : start + array.nbytes].view(np.uint16).reshape(array.shape)
    assert not moved.flags.aligned
    return moved


def assert_best(
    rows: NDArray[np.int64],
    cosines: NDArray[np.float32],
    query: NDArray[np.float32],
    vectors: NDArray[np.float16],
    inside: NDArray[np.int64],
) -> None:
    """The best of these rows were found, −1 and −inf behind them; whose cosines round alike may change places."""
    expected = vectors.astype(np.float32) @ query
    count = min(len(rows), len(inside))
    found = rows[:count]
    assert len(set(found.tolist())) == count
    assert np.isin(found, inside).all()
    np.testing.assert_allclose(cosines[:count], expected[found], rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(cosines[:count], np.sort(expected[inside])[::-1][:count], rtol=1e-5, atol=1e-5)
    assert (rows[count:] == -1).all()
    assert (cosines[count:] == -np.inf).all()


def reranked(
    queries: NDArray[np.float32], stored: NDArray[np.uint16], candidates: NDArray[np.int64], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    return kernels.best(candidates, kernels.candidate_cosines(queries, stored, candidates), k)


def test_inner_products(queries) -> None:
    np.testing.assert_allclose(products(queries, queries), queries @ queries.T, rtol=1e-5, atol=1e-5)


def test_every_finite_half_is_widened_exactly() -> None:
    halves = np.arange(1 << 16, dtype=np.uint32).astype(np.uint16).view(np.float16)
    halves = np.ascontiguousarray(halves[np.isfinite(halves)])[:, np.newaxis]
    rows = np.arange(len(halves))[np.newaxis]
    found = kernels.candidate_cosines(np.ones((1, 1), np.float32), bits_of(halves), rows)
    np.testing.assert_array_equal(found[0], halves[:, 0].astype(np.float32))
    written = np.empty(halves.shape, np.float32)
    kernels.decode(bits_of(halves), rows[0], written)
    np.testing.assert_array_equal(written.view(np.uint32), halves.astype(np.float32).view(np.uint32))


@pytest.mark.parametrize("place", [np.ascontiguousarray, at_an_odd_address])
def test_rows_become_floats(vectors, place, rng: np.random.Generator) -> None:
    rows = rng.integers(COUNT, size=500)
    written = np.empty((len(rows), DIM), np.float32)
    kernels.decode(place(bits_of(vectors)), rows, written)
    np.testing.assert_array_equal(written, vectors[rows])


@pytest.mark.parametrize("place", [np.ascontiguousarray, at_an_odd_address])
def test_candidates_are_ranked(vectors, queries, place, rng: np.random.Generator) -> None:
    candidates = np.stack([rng.choice(COUNT, 40, replace=False) for _ in queries])
    candidates[0, 5:] = -1
    candidates[1] = -1
    stored = place(bits_of(vectors))
    expected = np.einsum("qcd,qd->qc", vectors.astype(np.float32)[candidates], queries)
    expected[candidates < 0] = -np.inf
    np.testing.assert_allclose(kernels.candidate_cosines(queries, stored, candidates), expected, rtol=1e-5, atol=1e-5)
    rows, cosines = reranked(queries, stored, candidates, 10)
    order = np.argsort(-expected, axis=1, kind="stable")[:, :10]
    np.testing.assert_array_equal(rows, np.take_along_axis(candidates, order, 1))
    np.testing.assert_allclose(cosines, np.take_along_axis(expected, order, 1), rtol=1e-5, atol=1e-5)


def test_equal_cosines_are_in_order_of_rows(queries) -> None:
    same = np.ones((50, DIM), np.float16)
    candidates = np.random.default_rng(3).permutation(50)[np.newaxis].repeat(QUERIES, axis=0)
    rows, _ = reranked(queries, bits_of(same), candidates, 12)
    np.testing.assert_array_equal(rows, np.arange(12)[np.newaxis].repeat(QUERIES, axis=0))


@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), k=st.integers(1, 60))
def test_the_best_of_known_cosines(seed: int, n: int, k: int) -> None:
    """Many are equal: then the lower row is the better."""
    rng = np.random.default_rng(seed)
    rows = np.stack([rng.choice(COUNT, n, replace=False) for _ in range(QUERIES)])
    cosines = rng.integers(-3, 3, rows.shape).astype(np.float32)
    rows[0, n // 2 :] = -1
    cosines[rows < 0] = -np.inf
    order = np.lexsort((rows, -cosines), axis=1)[:, :k]
    found, its_cosines = kernels.best(rows, cosines, k)
    np.testing.assert_array_equal(found[:, :n], np.take_along_axis(rows, order, 1))
    np.testing.assert_array_equal(its_cosines[:, :n], np.take_along_axis(cosines, order, 1))
    assert (found[:, n:] == -1).all()
    assert (its_cosines[:, n:] == -np.inf).all()


@pytest.mark.parametrize("filtered", [False, True])
def test_lists_between_two_cosines(filtered: bool, rng: np.random.Generator) -> None:
    cosines = rng.standard_normal((QUERIES, 200)).astype(np.float32)
    matching = rng.integers(0, 3, 200).astype(np.float32) if filtered else np.zeros(0, np.float32)
    least, below = np.full(QUERIES, 0.2, np.float32), np.full(QUERIES, 1.0, np.float32)
    least[1], below[2], least[3], below[3] = 9, np.inf, -np.inf, np.inf  # none, all above, all
    some = np.array([6, 3, 2, 1, 0])
    queries, (starts, numbers, its_cosines) = kernels.probes_between(cosines, matching, least, below, some)
    assert queries.tolist() == [6, 3, 2, 0]
    for query, start, end in zip(queries, starts, starts[1:], strict=False):
        inside = (
            (cosines[query] >= least[query]) & (cosines[query] < below[query]) & (matching > 0 if filtered else True)
        )
        np.testing.assert_array_equal(numbers[start:end], np.flatnonzero(inside))
        np.testing.assert_array_equal(its_cosines[start:end], cosines[query, inside])
    assert starts[-1] == len(numbers) == len(its_cosines)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 60), at_most=st.integers(0, COUNT), filtered=st.booleans())
def test_lists_are_ranked_or_remain(seed: int, k: int, at_most: int, filtered: bool, vectors, queries) -> None:
    rng = np.random.default_rng(seed)
    list_of_row, allowed = rng.integers(NLIST, size=COUNT), rng.random(COUNT) < rng.random()
    members, list_starts = np.argsort(list_of_row, kind="stable").astype(np.int32), starts_of(list_of_row)
    near = rng.random((QUERIES, NLIST)) < rng.random()
    starts, numbers = np.concatenate([[0], near.sum(axis=1).cumsum()]), np.tile(np.arange(NLIST), QUERIES)[near.ravel()]
    bits = np.packbits(allowed, bitorder="little") if filtered else EVERY_ROW
    stored = bits_of(vectors), list_starts, members
    probes = starts, numbers, np.zeros(len(numbers), np.float32)
    rows, cosines, remaining = kernels.search_probes(queries, stored, probes, np.full(QUERIES, at_most), bits, k)
    for query in range(QUERIES):
        inside = np.flatnonzero(near[query][list_of_row] & (allowed | (not filtered)))
        assert (query in remaining) == (len(inside) > at_most)
        if query in remaining:
            continue
        assert_best(rows[query], cosines[query], queries[query], vectors, inside)


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), k=st.integers(1, 60), reach=st.floats(0, 1), screened=st.booleans())
def test_all_within_reach_is_ranked(seed: int, k: int, reach: float, screened: bool, vectors) -> None:
    rng = np.random.default_rng(seed)
    centroids, queries = unit(rng.standard_normal((NLIST, DIM))), unit(rng.standard_normal((QUERIES, DIM)))
    list_of_row, exact = rng.integers(NLIST, size=COUNT), np.full(QUERIES, not screened)
    members = np.argsort(list_of_row, kind="stable").astype(np.int32)
    stored = bits_of(vectors), starts_of(list_of_row), members
    true = queries @ centroids.T
    seen = true if not screened else true + rng.uniform(-0.01, 0.01, true.shape).astype(np.float32)
    first = seen.argmax(axis=1)
    nearest, reaches = true[np.arange(QUERIES), first], np.array([reach / 2, reach], np.float32)
    bounds, no_gaps = np.array([np.median(nearest)], np.float32), np.full(2, np.inf, np.float32)
    coarse = seen, first, nearest, exact, centroids, 0.02
    limits = bounds, reaches, no_gaps, no_gaps, np.full(2, COUNT)
    rows, cosines, efforts, remaining = kernels.search_within(queries, stored, coarse, limits, EVERY_ROW, k)
    assert not len(remaining)
    assert efforts.tolist() == (nearest < bounds[0]).astype(int).tolist()
    for query in range(QUERIES):
        behind = true[query].max() - true[query]
        if (abs(behind - reaches[efforts[query]]) < 1e-5).any():
            continue
        near_lists = behind <= reaches[efforts[query]]
        near_lists[first[query]] = True  # what seems nearest is looked at, even if another turns out nearer
        inside = np.flatnonzero(near_lists[list_of_row])
        assert_best(rows[query], cosines[query], queries[query], vectors, inside)


def test_a_list_that_is_further_than_the_gap_is_not_looked_at() -> None:
    """Three lists of one axis: what the nearer ones hold decides whether a further one may hold better."""
    vectors = np.array([[0.9], [0.8], [1.0], [0.1], [0.95]], np.float16)
    stored = bits_of(vectors), np.array([0, 2, 4, 5]), np.arange(5, dtype=np.int32)
    centroids, query = np.array([[0.9], [0.3], [0.4]], np.float32), np.ones((1, 1), np.float32)

    def found(k: int, gap: float) -> list[int]:
        nearest = np.zeros(1, np.int64), np.array([0.9], np.float32), np.ones(1, bool)
        coarse = centroids.T, *nearest, centroids, 0.0
        reaches, gaps = np.full(1, 2, np.float32), np.array([gap], np.float32)
        limits = ONE_EFFORT, reaches, gaps, gaps, np.full(1, 5)
        rows = kernels.search_within(query, stored, coarse, limits, EVERY_ROW, k)[0]
        return rows[0].tolist()

    assert found(1, 0.4) == [0]
    assert found(1, 0.55) == [4]  # which shows that the list behind it need not be looked at
    assert found(1, 0.7) == [2]
    assert found(4, 0.1) == [2, 4, 0, 1]  # until there are as many as are wanted, nothing stops it


def test_queries_with_lists_of_too_many_rows_remain(vectors) -> None:
    centroids, queries = np.eye(3, DIM, dtype=np.float32), np.eye(3, DIM, dtype=np.float32)
    list_starts, members = np.array([0, 10, 30, 60]), np.arange(60, dtype=np.int32)
    nearest = np.arange(3), np.ones(3, np.float32), np.ones(3, bool)
    coarse = queries @ centroids.T, *nearest, centroids, 0.0
    stored = bits_of(vectors), list_starts, members
    nothing_else, no_gap = np.zeros(1, np.float32), np.full(1, np.inf, np.float32)
    bits = np.packbits(np.arange(60) % 2 == 0, bitorder="little")
    for allowed, at_most, expected in ((EVERY_ROW, 20, [2]), (EVERY_ROW, 9, [0, 1, 2]), (bits, 10, [2])):
        limits = ONE_EFFORT, nothing_else, no_gap, no_gap, np.full(1, at_most)
        *_, remaining = kernels.search_within(queries, stored, coarse, limits, allowed, 5)
        assert remaining.tolist() == expected


def starts_of(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.bincount(numbers, minlength=NLIST).cumsum()])


def test_what_can_be_kept_nowhere_is_compiled_all_the_same() -> None:
    place: dict[str, Any] = {}
    exec("def doubled(value):\n    return 2 * value", place)  # it has no file, so there is none beside it
    doubled = compiled(FLOAT)(place["doubled"])
    assert doubled(1.5) == 3
    assert len(doubled.signatures) == 1


def test_a_changed_callee_is_compiled_anew_into_its_callers(tmp_path: Path) -> None:
    """Numba itself looks at the file of the caller alone."""
    package = tmp_path / "loops"
    package.mkdir()
    shutil.copy(compiling.__file__, package / "compiling.py")
    head = "from loops.compiling import FLOAT, compiled\n"
    caller = "from loops.callee import scaled\n@compiled(FLOAT)\ndef call(value):\n    return scaled(value)\n"
    (package / "caller.py").write_text(head + caller)
    for factor in (2, 3):
        callee = f"@compiled()\ndef scaled(value):\n    return {factor} * value\n"
        (package / "callee.py").write_text(head + callee)
        command = [sys.executable, "-B", "-c", "from loops.caller import call; print(call(1.0))"]
        assert float(subprocess.run(command, cwd=tmp_path, check=True, capture_output=True).stdout) == factor
