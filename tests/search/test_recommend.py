"""Recommendation by examples: every strategy against its definition, in plain Python or by brute force; and paths."""

import math
from collections.abc import Sequence
from random import Random
from typing import get_args

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.errors import QueryError
from retrieval.search.recommend import Example, Path, Stop, Strategy, driven_by, path, queries, recency_weights, scores

DIM = 6
STRATEGIES = get_args(Strategy)
LINEAR = ("average_vector", "sum_scores")


def units(*rows: Sequence[float]) -> NDArray[np.float32]:
    vectors = np.array(rows, dtype=np.float64).reshape(len(rows), -1 if rows else DIM)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32)


def unit(*values: float) -> NDArray[np.float32]:
    vector: NDArray[np.float32] = units(values)[0]
    return vector


def random_units(rng: np.random.Generator, count: int, dim: int = DIM) -> NDArray[np.float32]:
    return units(*rng.standard_normal((count, dim)))


@st.composite
def taste(draw: st.DrawFn, *, max_negatives: int = 3) -> tuple[list[Example], list[Example], NDArray[np.float32]]:
    """Positives, negatives, and candidates float32 [30, DIM]."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    sizes = draw(st.integers(1, 4)), draw(st.integers(0, max_negatives))
    weights = st.floats(0.1, 10.0)
    positives, negatives = (
        [Example(vector, draw(weights), f"t{number}") for number, vector in enumerate(random_units(rng, size))]
        for size in sizes
    )
    return positives, negatives, random_units(rng, 30)


def plain_best_score(candidate: NDArray[np.float32], positives: list[Example], negatives: list[Example]) -> float:
    """The definition, one candidate and one example at a time."""
    heaviest = max(example.weight for example in positives)

    def nearest(examples: list[Example]) -> float:
        return min(
            (1 - float(np.dot(example.vector, candidate))) / 2 * heaviest / example.weight for example in examples
        )

    liked = nearest(positives)
    if not negatives:
        return 1 - liked
    disliked = nearest(negatives)
    return disliked / 2 if disliked < liked else 1 - liked / 2


def plain_linear(
    candidate: NDArray[np.float32], positives: list[Example], negatives: list[Example], strategy: Strategy
) -> float:
    total = sum(example.weight for example in positives)
    if strategy == "sum_scores":
        total += sum(example.weight for example in negatives)
        gain = sum(example.weight * float(example.vector @ candidate) for example in positives)
        return (
            1 + (gain - sum(example.weight * float(example.vector @ candidate) for example in negatives)) / total
        ) / 2
    liked = sum(example.weight / total * example.vector.astype(np.float64) for example in positives)
    point = np.asarray(liked)
    if negatives:
        against = sum(example.weight for example in negatives)
        disliked = sum(example.weight / against * example.vector.astype(np.float64) for example in negatives)
        point = liked + liked - np.asarray(disliked)
    return (1 + float(point @ candidate) / math.sqrt(float(point @ point))) / 2


@given(taste(), st.sampled_from(LINEAR))
@settings(deadline=None)
def test_linear_strategies_equal_their_definition(
    asked: tuple[list[Example], list[Example], NDArray[np.float32]], strategy: Strategy
) -> None:
    positives, negatives, candidates = asked
    expected = [plain_linear(candidate, positives, negatives, strategy) for candidate in candidates]
    np.testing.assert_allclose(scores(candidates, positives, negatives, strategy), expected, atol=1e-5)


@given(taste(), st.sampled_from(LINEAR))
@settings(deadline=None)
def test_one_query_finds_the_order_of_a_linear_strategy(
    asked: tuple[list[Example], list[Example], NDArray[np.float32]], strategy: Strategy
) -> None:
    positives, negatives, candidates = asked
    (query,) = queries(positives, negatives, strategy)
    assert query.dtype == np.float32
    assert np.linalg.norm(query) == pytest.approx(1, abs=1e-6)
    found = scores(candidates, positives, negatives, strategy)
    by_index = np.argsort(-(candidates @ query))
    assert (np.diff(found[by_index]) <= 1e-6).all()


@given(taste())
@settings(deadline=None)
def test_best_score_equals_its_definition(asked: tuple[list[Example], list[Example], NDArray[np.float32]]) -> None:
    positives, negatives, candidates = asked
    expected = [plain_best_score(candidate, positives, negatives) for candidate in candidates]
    np.testing.assert_allclose(scores(candidates, positives, negatives, "best_score"), expected, atol=1e-5)


@given(taste(max_negatives=0), st.integers(1, 30))
@settings(deadline=None)
def test_the_union_of_the_nearest_holds_the_best(
    asked: tuple[list[Example], list[Example], NDArray[np.float32]], k: int
) -> None:
    positives, _, candidates = asked
    union = np.argsort(-queries(positives, (), "best_score") @ candidates.T, axis=1)[:, :k]
    found = scores(candidates, positives, (), "best_score")
    np.testing.assert_allclose(np.sort(found)[-k:], np.sort(found[np.unique(union)])[-k:], atol=1e-6)


@given(taste(), st.sampled_from(STRATEGIES), st.randoms(use_true_random=False))
@settings(deadline=None)
def test_the_order_of_examples_changes_nothing(
    asked: tuple[list[Example], list[Example], NDArray[np.float32]], strategy: Strategy, random: Random
) -> None:
    positives, negatives, candidates = asked
    before = scores(candidates, positives, negatives, strategy)
    random.shuffle(positives)
    random.shuffle(negatives)
    np.testing.assert_allclose(scores(candidates, positives, negatives, strategy), before, atol=1e-6)


@given(taste(), st.sampled_from(LINEAR))
@settings(deadline=None)
def test_an_example_given_twice_at_half_weight_changes_nothing(
    asked: tuple[list[Example], list[Example], NDArray[np.float32]], strategy: Strategy
) -> None:
    positives, negatives, candidates = asked
    half = Example(positives[0].vector, positives[0].weight / 2)
    again = scores(candidates, [half, *positives[1:], half], negatives, strategy)
    np.testing.assert_allclose(again, scores(candidates, positives, negatives, strategy), atol=1e-6)


@given(taste(), st.sampled_from(STRATEGIES), st.sampled_from([1e-3, 7.0]))
@settings(deadline=None)
def test_only_ratios_of_weights_count(
    asked: tuple[list[Example], list[Example], NDArray[np.float32]], strategy: Strategy, factor: float
) -> None:
    positives, negatives, candidates = asked
    liked, disliked = ([Example(one.vector, factor * one.weight) for one in side] for side in (positives, negatives))
    scaled = scores(candidates, liked, disliked, strategy)
    np.testing.assert_allclose(scaled, scores(candidates, positives, negatives, strategy), atol=1e-6)


@given(taste(), st.sampled_from(STRATEGIES))
@settings(deadline=None)
def test_scores_lie_between_0_and_1(
    asked: tuple[list[Example], list[Example], NDArray[np.float32]], strategy: Strategy
) -> None:
    positives, negatives, candidates = asked
    everything = np.concatenate([candidates, -candidates, *(one.vector[np.newaxis] for one in positives + negatives)])
    found = scores(everything, positives, negatives, strategy)
    assert found.dtype == np.float64
    assert found.shape == (len(everything),)
    assert ((found >= 0) & (found <= 1)).all()


@given(taste())
@settings(deadline=None)
def test_what_is_nearer_to_a_negative_ranks_below_all_that_is_not(
    asked: tuple[list[Example], list[Example], NDArray[np.float32]],
) -> None:
    positives, negatives, candidates = asked
    assume(negatives)
    at_negatives = np.stack([example.vector for example in negatives])
    assert (scores(at_negatives, positives, negatives, "best_score") < 0.5).all()
    found = scores(candidates, positives, negatives, "best_score")
    alone = scores(candidates, positives, (), "best_score")
    kept = found >= 0.5
    np.testing.assert_allclose(found[kept], (1 + alone[kept]) / 2, atol=1e-9)


def test_a_single_positive_scores_like_a_plain_search(rng: np.random.Generator) -> None:
    seed, *candidates = random_units(rng, 20)
    expected = (1 + np.stack(candidates) @ seed) / 2
    for strategy in STRATEGIES:
        found = scores(np.stack(candidates), [Example(seed, 3.0)], (), strategy)
        np.testing.assert_allclose(found, expected, atol=1e-6)
        np.testing.assert_allclose(queries([Example(seed, 3.0)], (), strategy), seed[np.newaxis], atol=1e-6)


def test_average_vector_moves_away_from_negatives() -> None:
    positive, negative = units([1, 0, 0], [0, 1, 0])
    (query,) = queries([Example(positive)], [Example(negative)], "average_vector")
    np.testing.assert_allclose(query, np.array([2, -1, 0]) / math.sqrt(5), atol=1e-6)


def test_half_the_weight_makes_everything_seem_twice_as_far() -> None:
    heavy, light = units([1, 0, 0], [0, 1, 0])
    examples = [Example(heavy, 2.0, "heavy"), Example(light, 1.0, "light")]
    # Distances to the heavy one, and doubled to the light one: 0.5 and 0, 0.25 and 0.134, 0.146 and 0.293, 0.5 and 1.
    candidates = units([0, 1, 0], [0.5, 0.75**0.5, 0], [1, 1, 0], [0, 0, 1])
    expected = [1, 0.75**0.5, (1 + 0.5**0.5) / 2, 0.5]
    np.testing.assert_allclose(scores(candidates, examples, (), "best_score"), expected, atol=1e-6)
    assert driven_by(candidates, examples, "best_score").tolist() == [1, 1, 0, 0]


@pytest.mark.parametrize("strategy", LINEAR)
def test_driven_by_the_greatest_weighted_cosine(strategy: Strategy) -> None:
    first, second = units([1, 0], [0, 1])
    examples = [Example(first, 2.0, "first"), Example(second, 1.0, "second")]
    candidates = units([1, 0], [1, 1], [1, 3], [0, 1], [-1, -1])
    assert driven_by(candidates, examples, strategy).tolist() == [0, 0, 1, 1, 1]


def test_no_candidates_no_scores(rng: np.random.Generator) -> None:
    positives = [Example(vector) for vector in random_units(rng, 2)]
    nothing = np.empty((0, DIM), np.float32)
    for strategy in STRATEGIES:
        assert scores(nothing, positives, positives[:1], strategy).shape == (0,)
        assert driven_by(nothing, positives, strategy).shape == (0,)


@pytest.mark.parametrize("strategy", LINEAR)
def test_examples_that_cancel_are_refused(strategy: Strategy) -> None:
    up, down = Example(unit(1, 0)), Example(unit(-1, 0))
    with pytest.raises(QueryError, match="positives cancel each other") as raised:
        queries([up, down], (), strategy)
    assert (raised.value.field, raised.value.example) == ("", None)
    # 2 P − N is zero when P is half of N: two positives at 60° to a negative between them.
    halfway = [Example(unit(0.5, math.sqrt(0.75))), Example(unit(0.5, -math.sqrt(0.75)))]
    with pytest.raises(QueryError, match="negatives cancel the positives"):
        queries(halfway if strategy == "average_vector" else [up], [up], strategy)
    assert len(queries([up, down], (), "best_score")) == 2


def test_recency_weights_halve() -> None:
    assert recency_weights(5, 2.0) == pytest.approx([0.25, 2**-1.5, 0.5, 2**-0.5, 1.0])
    assert recency_weights(0, 1.0) == []
    assert min(recency_weights(5000, 0.5)) > 0


class Catalogue:
    """Exact search over unit vectors float32 [n, dim], whose ids are 100 + row."""

    def __init__(self, vectors: NDArray[np.float32]) -> None:
        self.vectors = vectors
        self.calls = 0

    def stop(self, row: int) -> Stop:
        return Stop(100 + row, self.vectors[row])

    def search(self, queries: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        self.calls += 1
        rows = np.argsort(-queries @ self.vectors.T, axis=1, kind="stable")[:, :k]
        missing = ((0, 0), (0, k - rows.shape[1]))
        ids = np.pad(rows + 100, missing, constant_values=-1)
        return ids, np.pad(self.vectors[rows], (*missing, (0, 0)))


def check_path(found: Path, catalogue: Catalogue, first: int, last: int) -> None:
    rows = found.track_ids - 100
    assert (rows[0], rows[-1]) == (first, last)
    assert len(set(rows.tolist())) == len(rows)
    along = catalogue.vectors[rows]
    np.testing.assert_allclose(found.cosines, (along[:-1] * along[1:]).sum(axis=1), atol=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(2, 15))
@settings(deadline=None)
def test_a_path_has_its_ends_no_repeats_and_its_length(seed: int, count: int, steps: int) -> None:
    catalogue = Catalogue(random_units(np.random.default_rng(seed), count))
    found = path(catalogue.stop(0), catalogue.stop(1), steps, catalogue.search)
    check_path(found, catalogue, 0, 1)
    assert len(found.track_ids) == min(steps, count)
    assert (found.reason is None) == (count >= steps)
    if found.reason:
        assert f"only {count} tracks" in found.reason


def test_a_path_follows_the_arc() -> None:
    angles = np.radians(np.arange(0, 181, 10))
    catalogue = Catalogue(np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32))
    found = path(catalogue.stop(0), catalogue.stop(9), 4, catalogue.search)
    assert found.track_ids.tolist() == [100, 103, 106, 109]
    np.testing.assert_allclose(found.cosines, np.cos(np.radians(30)), atol=1e-6)
    assert catalogue.calls == 1


def test_opposite_and_equal_ends_have_a_path(rng: np.random.Generator) -> None:
    vectors = random_units(rng, 12)
    vectors[0] = vectors[0].astype(np.float16)
    vectors[1], vectors[2] = -vectors[0], vectors[0]
    catalogue = Catalogue(vectors)
    for last in (1, 2):
        found = path(catalogue.stop(0), catalogue.stop(last), 5, catalogue.search)
        check_path(found, catalogue, 0, last)
        assert len(found.track_ids) == 5


def test_two_steps_need_no_search(rng: np.random.Generator) -> None:
    catalogue = Catalogue(random_units(rng, 3))
    found = path(catalogue.stop(0), catalogue.stop(1), 2, catalogue.search)
    assert found.track_ids.tolist() == [100, 101]
    assert (found.reason, catalogue.calls) == (None, 0)


def test_a_path_to_itself_is_one_track(rng: np.random.Generator) -> None:
    catalogue = Catalogue(random_units(rng, 3))
    found = path(catalogue.stop(0), catalogue.stop(0), 5, catalogue.search)
    assert found.track_ids.tolist() == [100]
    assert found.reason == "the path ends where it starts"
