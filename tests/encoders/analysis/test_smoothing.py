"""Smoothing over time against every sequence of states there is, gone through one by one."""

from itertools import pairwise, product

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.analysis.smoothing import most_likely, posteriors, runs

Array = NDArray[np.float64]
PRIOR = np.array([0.5, 0.3, 0.2])
GAPS_S = np.array([1.0, 8.0, 0.5, 40.0])
STAY_S = 6.0


@pytest.fixture
def likelihoods(rng: np.random.Generator) -> Array:
    return rng.uniform(0.01, 1, (5, 3))


def enumerated(likelihoods: Array, gaps_s: Array, stay_s: float, prior: Array) -> Array:
    """The same by its definition: a state stays with exp(-gap / stay), else the next is drawn from the prior."""
    moments, states = likelihoods.shape
    probabilities = np.zeros((moments, states))
    for path in product(range(states), repeat=moments):
        joint = prior[path[0]] * likelihoods[0, path[0]]
        for moment in range(1, moments):
            kept = np.exp(-gaps_s[moment - 1] / stay_s)
            step = (1 - kept) * prior[path[moment]] + kept * (path[moment] == path[moment - 1])
            joint *= step * likelihoods[moment, path[moment]]
        for moment, state in enumerate(path):
            probabilities[moment, state] += joint
    return probabilities / probabilities.sum(axis=1, keepdims=True)


def test_posteriors_are_sums_over_all_sequences(likelihoods: Array) -> None:
    computed = posteriors(likelihoods, GAPS_S, STAY_S, PRIOR)
    np.testing.assert_allclose(computed, enumerated(likelihoods, GAPS_S, STAY_S, PRIOR), rtol=1e-9)
    np.testing.assert_allclose(computed.sum(axis=1), 1, rtol=1e-12)


def test_a_factor_at_a_moment_changes_nothing(likelihoods: Array) -> None:
    scaled = likelihoods * np.array([[1e-30], [5.0], [1e30], [1.0], [0.1]])
    computed = posteriors(scaled, GAPS_S, STAY_S, PRIOR)
    np.testing.assert_allclose(computed, posteriors(likelihoods, GAPS_S, STAY_S, PRIOR), rtol=1e-9)


def test_where_nothing_was_heard_the_prior_stays() -> None:
    np.testing.assert_allclose(posteriors(np.ones((5, 3)), GAPS_S, STAY_S, PRIOR), np.tile(PRIOR, (5, 1)))


def test_a_moment_that_was_not_heard_is_as_its_neighbours_are_the_more_the_nearer_they_are() -> None:
    heard = np.ones((3, 3))
    heard[[0, 2]] = [0.01, 0.01, 1.0]
    near, far, further = (posteriors(heard, np.full(2, gap_s), STAY_S, PRIOR)[1, 2] for gap_s in (0.1, 5.0, 500.0))
    assert near > 0.9 > far > further
    assert further == pytest.approx(PRIOR[2], abs=1e-6)


def test_one_moment_alone_is_bayes_theorem() -> None:
    heard = np.array([[0.2, 0.4, 0.8]])
    expected = PRIOR * heard[0] / (PRIOR @ heard[0])
    np.testing.assert_allclose(posteriors(heard, np.zeros(0), STAY_S, PRIOR)[0], expected)


def test_thousands_of_moments_neither_vanish_nor_overflow(rng: np.random.Generator) -> None:
    heard = rng.uniform(1e-9, 1e-6, (5_000, 3))
    computed = posteriors(heard, np.full(4_999, 8.0), STAY_S, PRIOR)
    np.testing.assert_allclose(computed.sum(axis=1), 1, rtol=1e-9)


@pytest.mark.parametrize("stay", [0.4, 0.9])
def test_the_most_likely_sequence_is_the_best_of_all(rng: np.random.Generator, stay: float) -> None:
    transitions = np.log(np.where(np.eye(3) == 1, stay, (1 - stay) / 2))
    for _ in range(20):
        heard = rng.normal(0, 1, (6, 3))

        def score(path: tuple[int, ...], heard: Array = heard) -> float:
            steps = sum(transitions[a, b] for a, b in pairwise(path))
            return float(heard[range(6), path].sum() + steps)

        best = max(product(range(3), repeat=6), key=score)
        assert tuple(most_likely(heard, transitions)) == best


def test_a_short_doubt_does_not_interrupt_and_a_long_one_does() -> None:
    transitions = np.log(np.array([[0.99, 0.01], [0.01, 0.99]]))
    for length, states in ((2, 1), (40, 3)):
        heard = np.log(np.tile([0.7, 0.3], (100, 1)))
        heard[50 : 50 + length] = heard[50 : 50 + length, ::-1]
        assert len(runs(most_likely(heard, transitions))) == states


def test_one_moment_has_its_own_best_state() -> None:
    assert most_likely(np.log([[0.2, 0.8]]), np.log(np.full((2, 2), 0.5))).tolist() == [1]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        ([], []),
        ([2], [(0, 1, 2)]),
        ([0, 0, 1, 0], [(0, 2, 0), (2, 3, 1), (3, 4, 0)]),
        ([1, 1, 1], [(0, 3, 1)]),
    ],
)
def test_runs_are_stretches_of_one_state(states: list[int], expected: list[tuple[int, int, int]]) -> None:
    assert runs(np.array(states, np.int64)) == expected
