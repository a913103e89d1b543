"""The approximate index finds what brute force finds, wherever a filter lies; and it knows when it has not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.ann import TUNING_KS, AnnIndex, Tuning, expected_misses, lists_for
from retrieval.ann_tuning import RECALL_TARGET, build

DIM = 32
COUNT = 12_000
K = 10


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((20, DIM))[rng.integers(20, size=300)] + 0.8 * rng.standard_normal((300, DIM))
    return unit(centres[rng.integers(300, size=COUNT + 100)] + 0.7 * rng.standard_normal((COUNT + 100, DIM)))


@pytest.fixture(scope="module")
def queries(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors[COUNT:]


@pytest.fixture(scope="module")
def ann(vectors: NDArray[np.float32]) -> AnnIndex:
    return build(vectors[:COUNT])


def recall(
    cosines: NDArray[np.float32], vectors: NDArray[np.float32], queries: NDArray[np.float32], rows: NDArray[np.int64]
) -> float:
    """Share of the K found that are as near as the K-th of brute force."""
    k = min(K, len(rows))
    truth = -np.sort(-(queries @ vectors[rows].T), axis=1)[:, k - 1 : k]
    return float((cosines[:, :k] >= truth - 1e-4).mean())


def test_unfiltered_recall_is_what_was_measured_at_build_time(ann, vectors, queries) -> None:
    rows, cosines = ann.search(queries, K)
    assert recall(cosines, vectors, queries, np.arange(COUNT)) >= RECALL_TARGET - 0.01
    assert ann.tuning.recall >= RECALL_TARGET
    np.testing.assert_allclose(cosines[0], vectors[rows[0]] @ queries[0], atol=1e-3)


def selected(kind: str, share: float, vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.int64]:
    size = int(share * COUNT)
    if kind == "random":
        return np.sort(np.random.default_rng(2).choice(COUNT, size, replace=False))
    order = np.argsort(vectors[:COUNT] @ query)
    return np.sort(order[-size:] if kind == "near" else order[:size])


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5])
@pytest.mark.parametrize("kind", ["random", "near", "far"])
def test_filtered_recall_does_not_depend_on_where_the_filter_lies(ann, vectors, queries, kind, share) -> None:
    found = []
    for query in queries[:40]:
        rows = selected(kind, share, vectors, query)
        got, cosines = ann.search_among(query[np.newaxis], K, ann.subset(rows))
        assert set(got[0].tolist()) <= set(rows.tolist())
        assert len(set(got[0].tolist())) == min(K, len(rows))
        found.append(recall(cosines, vectors, query[np.newaxis], rows))
    assert np.mean(found) >= RECALL_TARGET


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0.0002, 1.0), k=st.integers(1, 60), seed=st.integers(0, 1_000))
def test_any_subset_fills(share: float, k: int, seed: int, ann: AnnIndex, queries: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(COUNT, max(1, int(share * COUNT)), replace=False))
    found, cosines = ann.search_among(queries[:3], k, ann.subset(rows))
    assert found.shape == (3, min(k, len(rows)))
    assert np.isin(found, rows).all()
    assert (np.diff(cosines, axis=1) <= 0).all()


def test_a_batch_equals_its_queries(ann, queries) -> None:
    subset = ann.subset(np.arange(0, COUNT, 3))
    together = ann.search_among(queries, K, subset)
    alone = [ann.search_among(query[np.newaxis], K, subset) for query in queries]
    assert (together[0] == np.concatenate([rows for rows, _ in alone])).all()


def test_rows_that_are_left_out_do_not_come_back(ann, queries) -> None:
    rows, _ = ann.search(queries, K)
    bits = ann.subset(np.setdiff1d(np.arange(COUNT), rows)).bits
    assert not np.isin(ann.search(queries, K, bits=bits)[0], rows).any()


def test_stored_vectors_are_the_halves(ann, vectors) -> None:
    rows = np.array([5, 0, 11_999])
    np.testing.assert_array_equal(ann.vectors(rows), vectors[rows])


def test_scanning_is_brute_force(ann, vectors, queries) -> None:
    rows = np.arange(0, COUNT, 7)
    found, _ = ann.scan(queries, K, ann.subset(rows))
    truth = rows[np.argsort(-(queries @ vectors[rows].T), axis=1, kind="stable")[:, :K]]
    assert (found == truth).mean() > 0.999  # equal cosines may change places


def test_more_rows_need_more_lists() -> None:
    tuning = Tuning((4, 12, 40), candidates=4)
    needed = [lists_for(k, tuning, 10_000) for k in (1, 10, 30, 100, 1_000, 10_000)]
    assert needed[1] == 4
    assert (needed[3], needed[4]) == (12, 40)
    assert needed == sorted(needed)
    assert lists_for(TUNING_KS[-1] * 1_000, tuning, 64) == 64


@pytest.mark.parametrize("few", [40, 100, 200])
def test_expected_misses_are_about_the_misses(few: int, rng: np.random.Generator) -> None:
    """Of many queries whose rows have known cosines and codes with a known error."""
    n_queries, count, n = 300, 5_000, few
    exact = -np.sort(-rng.normal(0.2, 0.1, (n_queries, count)), axis=1)
    approximate = exact + rng.normal(0, 0.05, exact.shape)
    order = np.argsort(-approximate, axis=1)[:, :n]
    expected = expected_misses(
        np.take_along_axis(approximate, order, 1).astype(np.float32),
        np.take_along_axis(exact, order, 1).astype(np.float32),
        K,
    )
    missed = K - (order < K).sum(axis=1)
    assert missed.mean() / 4 < expected.mean() < missed.mean() * 2


def test_queries_unlike_all_rows_are_found_as_well(ann, vectors, rng: np.random.Generator) -> None:
    """Their neighbours lie scattered over far more lists than those of the rows that the search was tuned by."""
    strange = unit(rng.standard_normal((60, DIM)))
    _, cosines = ann.search(strange, K)
    assert recall(cosines, vectors, strange, np.arange(COUNT)) >= RECALL_TARGET
    _, tuned_only = ann.tuned(replace(ann.tuning, usual=-1.0)).search(strange, K)
    assert recall(tuned_only, vectors, strange, np.arange(COUNT)) < RECALL_TARGET
    bits = ann.subset(np.arange(0, COUNT, 2)).bits
    assert (ann.search(strange, K, bits=bits)[0] % 2 == 0).all()


def test_a_short_search_is_the_head_of_a_long_one(ann, queries) -> None:
    assert (ann.search(queries, 3)[0] == ann.search(queries, K)[0][:, :3]).all()
