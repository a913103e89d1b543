"""Measures that need no judgments against numbers worked by hand: labels, halves, hubs, and their levels by chance."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.evaluation.measures import same_label
from retrieval.evaluation.measures.beyond_accuracy import skewnesses
from retrieval.evaluation.measures.half_tracks import ranks_of_own_half, recall_by_chance
from retrieval.evaluation.measures.hubs import Hubs, by_chance, skewness_interval
from retrieval.evaluation.measures.same_label import Placed, average_precision, average_precision_by_chance, placed
from retrieval.evaluation.measures.significance import bootstrap, bounds
from tests.evaluation.exact_rankings import ranking, ranking_of_others


def on_circle(*degrees: float) -> NDArray[np.float32]:
    """Unit vectors float32 [n, 2] at these angles: the nearer the angle, the higher the cosine."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def ranks_of(relevant: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.flatnonzero(relevant) + 1


@pytest.mark.parametrize(
    ("relevant", "expected"),
    [
        ([1, 0, 1, 0], (1 / 1 + 2 / 3) / 2),
        ([0, 0, 1], 1 / 3),
        ([0, 1, 1, 1], (1 / 2 + 2 / 3 + 3 / 4) / 3),
        ([1, 1, 0, 0], 1.0),
        ([1, 1, 1], 1.0),
    ],
)
def test_average_precision_by_hand(relevant: list[int], expected: float) -> None:
    assert average_precision(ranks_of(np.array(relevant, bool))) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("relevant", "ranked"), [(1, 1), (1, 2), (2, 5), (3, 6), (4, 4)])
def test_average_precision_by_chance_is_the_mean_over_all_orders(relevant: int, ranked: int) -> None:
    rows = [np.isin(np.arange(ranked), chosen) for chosen in itertools.combinations(range(ranked), relevant)]
    expected = np.mean([average_precision(ranks_of(row)) for row in rows])
    assert average_precision_by_chance(relevant, ranked) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("relevant", "ranked"), [(1, 1), (2, 5), (3, 12), (11, 12)])
def test_levels_by_chance_are_means_over_all_orders(relevant: int, ranked: int) -> None:
    every = [np.array(chosen) + 1 for chosen in itertools.combinations(range(ranked), relevant)]
    levels = same_label.by_chance([Placed(every[0], ranked)])
    for name, values in same_label.values([Placed(ranks, ranked) for ranks in every]).items():
        assert levels[name] == pytest.approx(values.mean(), abs=1e-12), name


def places(vectors: NDArray[np.float32], labels: list[int], *, apart: list[int] | None = None) -> list[Placed]:
    """Where the tracks of every query's label are, where all ask."""
    groups = None if apart is None else np.array(apart)
    return placed(vectors, np.array(labels), np.arange(len(vectors)), apart=groups)


def test_map_by_hand() -> None:
    # Angles 0, 10, 30, 35: the others of each in order are 1 2 3, 0 2 3, 3 1 0 and 2 1 0.
    vectors = on_circle(0, 10, 30, 35)
    assert ranking_of_others(vectors).tolist() == [[1, 2, 3], [0, 2, 3], [3, 1, 0], [2, 1, 0]]
    # Relevant to 0: only 2, at rank 2; to 2: only 0, at rank 3; 1 and 3 have no like.
    found = places(vectors, [0, 1, 0, 2])
    assert [one.ranks.tolist() for one in found] == [[2], [], [3], []]
    assert [one.nearest for one in found] == [1, -1, 3, -1]
    assert same_label.values(found)["mAP"] == pytest.approx([1 / 2, math.nan, 1 / 3, math.nan], nan_ok=True)
    assert same_label.by_chance(found)["mAP"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_tracks_of_the_same_album_leave_the_ranking() -> None:
    vectors = on_circle(0, 10, 30, 35)
    # To 0, track 1 is of its own album and leaves; then 2 is first and relevant. 3 loses all that is relevant to it.
    found = places(vectors, [0, 0, 0, 1], apart=[0, 0, 1, 2])
    assert [(one.ranks.tolist(), one.ranked) for one in found[:3]] == [([1], 2), ([1], 2), ([2, 3], 3)]
    assert [one.nearest for one in found] == [2, 2, 3, -1]
    assert found[3].ranks.tolist() == []
    assert all(not len(one.ranks) for one in places(vectors, [0, 0, 1, 1], apart=[0, 0, 1, 1]))


def test_one_class_is_perfect_and_no_better_than_chance() -> None:
    found = places(on_circle(0, 50, 60), [0] * 3)
    (interval,) = bootstrap(same_label.values(found)["mAP"][:, np.newaxis])
    assert (interval.mean, interval.low, interval.high, interval.count) == pytest.approx((1, 1, 1, 3))
    assert same_label.by_chance(found)["mAP"] == pytest.approx(1)


def test_recall_by_hand() -> None:
    # Second halves at 0 and 40 find their own (0 and 42) first; 20 finds 12 before its own 30; 90 comes last for 50.
    first, second = on_circle(0, 30, 42, 90, 12), on_circle(0, 20, 40, 50, 11)
    ranks = ranks_of_own_half(first, second)
    assert ranks.tolist() == [1, 2, 1, 4, 1]
    assert [(ranks <= k).mean() for k in (1, 2, 4)] == pytest.approx([3 / 5, 4 / 5, 1])
    assert [recall_by_chance(k, 5) for k in (1, 2, 10)] == pytest.approx([1 / 5, 2 / 5, 1])


def test_equal_cosines_rank_in_the_order_of_tracks() -> None:
    same = on_circle(20, 20, 20, 80)
    assert ranking(same, same).tolist() == [[0, 1, 2, 3]] * 3 + [[3, 0, 1, 2]]
    assert ranks_of_own_half(same, same).tolist() == [1, 2, 3, 1]
    assert ranking_of_others(same).tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_skewness_by_hand() -> None:
    # Mean 1; second moment (1 + 1 + 1 + 9) / 4 = 3, third (-1 - 1 - 1 + 27) / 4 = 6.
    values = np.array([[0, 0, 0, 4], [4, 4, 4, 0], [2, 2, 2, 2]], float)
    np.testing.assert_allclose(skewnesses(values), [6 / 3**1.5, -6 / 3**1.5, 0], atol=1e-12)


def hubs_of(vectors: NDArray[np.float32], k: int) -> Hubs:
    return Hubs(ranking_of_others(vectors)[:, :k], np.arange(len(vectors)))


def test_hubness_by_hand() -> None:
    # The diagonal is nearest to all three axes, and has the first of them nearest: it occurs 3 times, the axes 1, 0, 0.
    vectors = np.vstack([np.full(3, 3**-0.5), np.eye(3)]).astype(np.float32)
    found = skewness_interval(hubs_of(vectors, 1).counts)
    assert (found.mean, found.count) == (pytest.approx(1.5 / 1.5**1.5), 4)
    assert by_chance(4, 4, k=1)[0] == pytest.approx((1 / 3) / math.sqrt(3 * 1 / 3 * 2 / 3))


def test_every_track_of_a_small_catalogue_is_as_much_a_hub() -> None:
    found = skewness_interval(hubs_of(on_circle(0, 1, 5), 10).counts)
    assert (found.mean, found.low, found.high, by_chance(3, 3)[0]) == (0, 0, 0, 0)


def test_hubness_by_chance_is_that_of_random_rankings(rng: np.random.Generator) -> None:
    n = 60
    skews = []
    for _ in range(200):
        others = np.stack([rng.permutation(np.delete(np.arange(n), query)) for query in range(n)])
        occurrences = np.bincount(others[:, :10].ravel(), minlength=n).astype(float)
        skews.append(skewnesses(occurrences))
    assert np.mean(skews) == pytest.approx(by_chance(n, n)[0], abs=0.05)


def test_the_interval_of_a_share_is_as_wide_as_theory_says() -> None:
    shares = np.repeat([0.0, 1.0], 200)[:, np.newaxis]
    (found,) = bootstrap(shares)
    half_width = 1.96 * math.sqrt(0.25 / 400)
    assert found.mean == 0.5
    assert (found.low, found.high) == pytest.approx((0.5 - half_width, 0.5 + half_width), abs=0.005)
    assert [found] == bootstrap(shares)


def test_measures_of_ranks_by_hand() -> None:
    ranks = np.array([1, 3, 12])
    assert same_label.average_precision(ranks) == pytest.approx((1 / 1 + 2 / 3 + 3 / 12) / 3)
    assert same_label.r_precision(ranks) == pytest.approx(2 / 3)
    assert same_label.recall_at(10, ranks) == pytest.approx(2 / 3)
    assert [same_label.precision_at(k, ranks) for k in (1, 2, 10)] == pytest.approx([1, 1 / 2, 2 / 10])


def test_hubs_by_hand() -> None:
    # The diagonal is nearest to all three axes, and has the first of them nearest: it occurs 3 times, the axes 1, 0, 0.
    found = Hubs(np.array([[11], [10], [10], [10]]), np.array([10, 11, 12, 13]))
    assert found.counts.tolist() == [3, 1, 0, 0]
    assert found.largest == (10, 3)
    assert found.never_listed.tolist() == [0, 0, 1, 1]
    assert found.holds_largest.tolist() == [0, 1, 1, 1]
    assert skewness_interval(found.counts).mean == pytest.approx(1.5 / 1.5**1.5)
    assert by_chance(4, 4, k=1) == pytest.approx(((1 / 3) / math.sqrt(3 * 1 / 3 * 2 / 3), (2 / 3) ** 3))


def test_intervals_of_a_mean_are_the_same_by_both_ways(rng: np.random.Generator) -> None:
    values = rng.random((3_000, 1))
    interval = bootstrap(values, seed=3)[0]
    assert bounds(lambda rows: values[rows, 0].mean(axis=1), len(values), seed=3) == pytest.approx(
        (interval.low, interval.high), abs=1e-12
    )
    assert all(map(math.isnan, bounds(lambda rows: rows.mean(axis=1), 0)))


def test_hubs_by_chance_are_those_of_drawn_lists(rng: np.random.Generator) -> None:
    n, asking = 60, 30
    drawn = [
        Hubs(np.stack([rng.permutation(np.delete(np.arange(n), query))[:10] for query in range(asking)]), np.arange(n))
        for _ in range(200)
    ]
    skew, never = by_chance(asking, n)
    assert np.mean([skewness_interval(one.counts, seed=0).mean for one in drawn[:100]]) == pytest.approx(skew, abs=0.06)
    assert np.mean([one.never_listed.mean() for one in drawn]) == pytest.approx(never, abs=0.002)
