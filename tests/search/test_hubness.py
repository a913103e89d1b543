"""Scores that know hubs: against plain definitions, on a catalogue with a hub made on purpose, and their benchmark."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from benchmarks.encoders.hubness import (
    SCORINGS,
    differences,
    local_density,
    measure,
    mutual_proximity,
    ranking_of_others,
    sample_moments,
)
from benchmarks.encoders.spaces import Halves, Labels, estimates
from retrieval.search.hubness import csls, density_of
from tests.evaluation.exact_rankings import ranking_of_others as ranking_of_others_by_search


def unit_rows(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    rows: NDArray[np.float64] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return rows.astype(np.float32)


def random_units(rng: np.random.Generator, count: int, dim: int) -> NDArray[np.float32]:
    return unit_rows(rng.standard_normal((count, dim)))


@pytest.fixture
def with_hub(rng: np.random.Generator) -> NDArray[np.float32]:
    """60 unit vectors on one side of a high-dimensional sphere; row 0 lies in the middle of them, near to most."""
    vectors = random_units(rng, 60, 30) + 0.4 * np.ones(30) / math.sqrt(30)
    vectors[0] = vectors[1:].mean(axis=0)
    return unit_rows(vectors)


def test_density_is_the_mean_cosine_to_the_nearest_others(rng: np.random.Generator) -> None:
    vectors = random_units(rng, 40, 8)
    cosines = vectors.astype(np.float64) @ vectors.T
    np.fill_diagonal(cosines, -np.inf)
    expected = np.sort(cosines, axis=1)[:, -5:].mean(axis=1)
    density = local_density(vectors, 5)
    assert density.dtype == np.float32
    np.testing.assert_allclose(density, expected, atol=1e-6)


def test_density_of_few_and_of_equal_vectors(rng: np.random.Generator) -> None:
    three = random_units(rng, 3, 8)
    expected = ((three @ three.T).sum(axis=1) - 1) / 2
    np.testing.assert_allclose(local_density(three, 10), expected, atol=1e-6)
    assert local_density(three[:1]).tolist() == [0.0]
    assert local_density(three[:0]).shape == (0,)
    np.testing.assert_allclose(local_density(np.tile(three[:1], (30, 1)), 4), 1, atol=1e-6)


def test_density_of_found_neighbors_skips_what_was_not_found() -> None:
    found = np.array([[0.5, 0.1], [0.4, -np.inf], [-np.inf, -np.inf]], np.float32)
    np.testing.assert_allclose(density_of(found), [0.3, 0.4, 0.0], atol=1e-6)


def test_moments_are_those_of_the_cosines(rng: np.random.Generator) -> None:
    vectors, sample = random_units(rng, 20, 8), random_units(rng, 50, 8) + np.float32(0.1)
    cosines = vectors.astype(np.float64) @ sample.T
    mean, std = sample_moments(vectors, sample)
    assert mean.dtype == std.dtype == np.float32
    np.testing.assert_allclose(mean, cosines.mean(axis=1), atol=1e-6)
    np.testing.assert_allclose(std, cosines.std(axis=1), atol=1e-6)


def test_csls_equals_its_definition(rng: np.random.Generator) -> None:
    cosines = rng.uniform(-1, 1, (4, 9)).astype(np.float32)
    density = rng.uniform(-1, 1, 9).astype(np.float32)
    score = csls(cosines, density)
    np.testing.assert_allclose(6 * score - 3, 2 * cosines - density, atol=1e-6)
    extremes = csls(np.array([[-1, 1]], np.float32), np.array([1, -1], np.float32))
    assert extremes.tolist() == [[0.0, 1.0]]


def test_mutual_proximity_is_the_product_of_two_normal_tails() -> None:
    query = np.array([0.1], np.float32), np.array([0.2], np.float32)
    candidates = np.array([0.3, 0.1], np.float32), np.array([0.1, 0.2], np.float32)
    score = mutual_proximity(np.array([[0.3, 0.3]], np.float32), query, candidates)
    one_sigma = 0.8413447460685429
    np.testing.assert_allclose(score, [[one_sigma * 0.5, one_sigma**2]], atol=1e-6)


def test_mutual_proximity_keeps_the_order_of_what_is_far() -> None:
    moments = np.array([0.5], np.float32), np.array([0.05], np.float32)
    far = np.array([[-0.5, -0.4, 0.0, 0.5]], np.float32)
    score = mutual_proximity(far, moments, (np.full(4, 0.5, np.float32), np.full(4, 0.05, np.float32)))
    assert (np.diff(score[0]) > 0).all()
    assert ((score >= 0) & (score <= 1)).all()


def test_a_sample_without_spread_divides_by_no_zero() -> None:
    moments = np.array([1.0], np.float32), np.array([0.0], np.float32)
    score = mutual_proximity(np.array([[1.0]], np.float32), moments, moments)
    np.testing.assert_allclose(score, [[0.25]])


@pytest.mark.parametrize("scoring", ["CSLS", "mutual proximity"])
def test_a_hub_gives_way(with_hub: NDArray[np.float32], scoring: str) -> None:
    def occurrences(name: str) -> int:
        return int((ranking_of_others(with_hub, SCORINGS[name])[:, :10] == 0).sum())

    # An even share would be 10.
    assert occurrences("cosine") > 45
    assert occurrences(scoring) < 0.7 * occurrences("cosine")
    score = SCORINGS[scoring](with_hub, with_hub)
    assert ((score >= 0) & (score <= 1)).all()
    assert (score.argmax(axis=1) == np.arange(len(with_hub))).all()


def test_plain_scoring_ranks_as_the_search_does(rng: np.random.Generator) -> None:
    vectors = random_units(rng, 25, 8)
    expected = ranking_of_others_by_search(vectors)
    assert ranking_of_others(vectors, SCORINGS["cosine"]).tolist() == expected.tolist()


def test_the_benchmark_pairs_queries(rng: np.random.Generator) -> None:
    centres = random_units(rng, 12, 16)
    tracks = [
        Halves(*((centre + 0.05 * rng.standard_normal((3, 16))).astype(np.float32) for _ in range(2)))
        for centre in centres
    ]
    labels = [Labels(f"package {number % 3}", f"artist {number % 4}", "album") for number in range(12)]
    plain, other = (measure(tracks, labels, SCORINGS[name]) for name in ("cosine", "CSLS"))
    found = estimates(plain)
    assert found["half@1"].mean == 1.0
    assert [estimate.count for estimate in found.values()] == [12] * 5
    gains = differences(other, plain)
    assert gains["artist"].mean == pytest.approx(estimates(other)["artist"].mean - found["artist"].mean)
    assert all(estimate.mean == estimate.low == 0.0 for estimate in differences(plain, plain).values())
