"""Lists that are screened along a few axes are those that a comparison in all dimensions finds."""

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.index.ann.centroids import Centroids
from retrieval.index.ann.stopping import NO_SCREEN, Screen
from retrieval.index.kernels import Probes, padded, probes_within

NLIST, DIM, QUERIES = 400, 64, 50


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def vectors(rng: np.random.Generator) -> NDArray[np.float32]:
    return unit(rng.standard_normal((NLIST, DIM)) * np.arange(1, DIM + 1) ** -1.0)


@pytest.fixture
def queries(vectors: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    return unit(vectors[:QUERIES] + 0.05 * rng.standard_normal((QUERIES, DIM)))


@pytest.fixture
def reaches(rng: np.random.Generator) -> NDArray[np.float32]:
    return rng.uniform(0.05, 0.4, QUERIES).astype(np.float32)


def pairs(probes: Probes) -> set[tuple[int, int]]:
    return set(zip(query_of(probes).tolist(), probes[1].tolist(), strict=True))


def query_of(probes: Probes) -> NDArray[np.int64]:
    return np.repeat(np.arange(len(probes[0]) - 1), np.diff(probes[0]))


@pytest.mark.parametrize("n", [1, QUERIES], ids=["one query", "a batch"])
@pytest.mark.parametrize("usual", [-1.0, 0.98, 1.1], ids=["all screened", "some", "none"])
def test_with_slack_enough_the_screen_loses_nothing(vectors, queries, reaches, usual: float, n: int) -> None:
    plain, screened = Centroids(vectors, NO_SCREEN), Centroids(vectors, Screen(16, 0.2))
    queries, reaches = queries[:n], reaches[:n]
    expected = probes_within(queries, plain.coarse(queries, usual), reaches, np.arange(n))
    found = probes_within(queries, screened.coarse(queries, usual), reaches, np.arange(n))
    assert pairs(found) == pairs(expected)
    np.testing.assert_allclose(found[2], expected[2], atol=1e-6)
    exact = (queries[query_of(found)] * vectors[found[1]]).sum(axis=1)
    np.testing.assert_allclose(found[2], exact, atol=1e-6)


def test_without_slack_it_may_lose_lists_but_adds_none(vectors, queries, reaches) -> None:
    plain, screened = Centroids(vectors, NO_SCREEN), Centroids(vectors, Screen(4, 0.0))
    expected = probes_within(queries, plain.coarse(queries, -1.0), reaches, np.arange(QUERIES))
    found = probes_within(queries, screened.coarse(queries, -1.0), reaches, np.arange(QUERIES))
    # Where the nearest is lost itself, the reach begins further out.
    nearest = plain.coarse(queries, -1.0)[2]
    kept = screened.coarse(queries, -1.0)[2] >= nearest - 1e-6
    assert 0 < kept.sum() < QUERIES
    of_these = {pair for pair in pairs(expected) if kept[pair[0]]}
    assert {pair for pair in pairs(found) if kept[pair[0]]} < of_these


def test_a_query_that_is_far_from_all_is_compared_in_all_dimensions(vectors, queries) -> None:
    screened = Centroids(vectors, Screen(8, 0.0))
    exact = queries @ vectors.T
    cosines, _, nearest, is_exact, *_ = screened.coarse(queries, float(np.median(exact.max(axis=1))))
    assert 0 < is_exact.sum() < QUERIES
    np.testing.assert_allclose(cosines[is_exact], exact[is_exact], atol=1e-6)
    np.testing.assert_allclose(nearest[is_exact], exact[is_exact].max(axis=1), atol=1e-6)
    assert not np.allclose(cosines[~is_exact], exact[~is_exact], atol=1e-3)


def test_one_query_sees_what_it_sees_among_others(vectors, queries) -> None:
    screened = Centroids(vectors, Screen(8, 0.0))
    usual = float(np.median((queries @ vectors.T).max(axis=1)))
    together = screened.coarse(queries, usual)
    for query in range(QUERIES):
        alone = screened.coarse(queries[query : query + 1], usual)
        np.testing.assert_allclose(alone[0][0], together[0][query], atol=1e-6)
        np.testing.assert_allclose(alone[2][0], together[2][query], atol=1e-6)
        assert (alone[1][0], alone[3][0]) == (together[1][query], together[3][query])


def test_all_axes_are_a_rotation(vectors, queries) -> None:
    cosines, *_ = Centroids(vectors, Screen(DIM, 0.0)).coarse(queries, -1.0)
    np.testing.assert_allclose(cosines, queries @ vectors.T, atol=1e-5)


def test_lists_of_some_queries_are_padded(rng: np.random.Generator) -> None:
    marked = rng.random((6, 9)) < 0.4
    marked[2] = False
    cosines = rng.standard_normal((6, 9)).astype(np.float32)
    starts = np.concatenate([[0], marked.sum(axis=1).cumsum()])
    probes = starts, np.tile(np.arange(9), 6)[marked.ravel()], cosines[marked]
    some = np.array([1, 2, 5])
    numbers, its_cosines = padded(probes, some)
    assert numbers.shape == its_cosines.shape == (3, marked[some].sum(axis=1).max())
    for query, row, values in zip(some, numbers, its_cosines, strict=True):
        at = np.flatnonzero(marked[query])
        np.testing.assert_array_equal(row[: len(at)], at)
        np.testing.assert_array_equal(values[: len(at)], cosines[query, at])
        assert (row[len(at) :] == -1).all()
