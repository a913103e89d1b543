"""Ranks, intervals over sources, tempi and spans, against numbers worked out by hand."""

import numpy as np
import pytest

from retrieval.evaluation.measures.video import (
    octaves_apart,
    over_sources,
    overlap,
    place_of,
    pools,
    ratio_over_sources,
    recall_by_chance,
    standardised,
    visual_tempo,
)


def test_a_place_is_behind_what_scores_higher() -> None:
    place = place_of(np.array([0.3, 0.9, 0.1, 0.4]), 0)
    assert (place.behind, place.beside, place.rank) == (2, 0, 3)
    assert [place.recall(k) for k in (1, 2, 3, 10)] == [0, 0, 1, 1]


def test_what_scores_alike_has_what_chance_has() -> None:
    place = place_of(np.zeros(8), 0)
    assert place.rank == 4.5
    assert [place.recall(k) for k in (1, 4, 8, 25)] == [1 / 8, 1 / 2, 1, 1]
    assert [recall_by_chance(k, 8) for k in (1, 4, 8, 25)] == [1 / 8, 1 / 2, 1, 1]
    tied = place_of(np.array([0.5, 0.9, 0.5, 0.1]), 0)  # second or third
    assert (tied.rank, tied.recall(1), tied.recall(2), tied.recall(3)) == (2.5, 0, 0.5, 1)


def test_pools_hold_the_one_and_so_many_others(rng: np.random.Generator) -> None:
    others = np.arange(10, 30)
    drawn = pools(3, others, 5, 4, rng)
    assert len(drawn) == 4
    for pool in drawn:
        assert pool[0] == 3
        assert len(set(pool.tolist())) == 5
        assert set(pool[1:].tolist()) <= set(others.tolist())
    assert len({tuple(sorted(pool.tolist())) for pool in drawn}) > 1
    (every,) = pools(3, others, 100, 4, rng)
    assert sorted(every.tolist()) == [3, *range(10, 30)]
    (every,) = pools(3, others, 21, 4, np.random.default_rng(0))[:1]
    assert len(every) == 21


def test_a_mean_is_of_clips_and_its_interval_of_sources() -> None:
    values, sources = np.array([1.0, 1, 1, 0]), np.array([0, 0, 0, 1])
    interval = over_sources(values, sources)
    # Both, of four draws of two sources, are but the one or the other in two.
    assert (interval.mean, interval.low, interval.high, interval.count) == (0.75, 0, 1, 2)
    many = np.tile([0.0, 1.0], 500)
    by_clip = over_sources(many, np.arange(1000))
    by_film = over_sources(many, np.arange(1000) % 10)
    assert by_clip.high - by_clip.low < 0.07
    assert by_film.high - by_film.low > 0.4
    alone = over_sources(values, np.zeros(4, np.int64))
    assert alone.mean == 0.75
    assert np.isnan([alone.low, alone.high]).all()


def test_a_ratio_is_of_sums() -> None:
    above, below = np.array([0.6, 0.8, 0.4]), np.array([0.3, 0.4, 0.2])
    twice = ratio_over_sources(above, below, np.array([0, 1, 2]))
    assert (twice.mean, twice.low, twice.high) == pytest.approx((2, 2, 2))
    mixed = ratio_over_sources(np.array([0.9, 0.1]), np.array([0.3, 0.2]), np.array([0, 1]))
    assert (mixed.mean, mixed.low, mixed.high) == pytest.approx((2, 0.5, 3))
    assert np.isnan(ratio_over_sources(np.empty(0), np.empty(0), np.empty(0, np.int64)).mean)


@pytest.mark.parametrize("bpm", [60, 100, 150])
def test_what_comes_again_has_a_tempo(bpm: int) -> None:
    curve = np.zeros(25 * 20)
    curve[np.arange(0, len(curve), 60 * 25 // bpm)] = 1
    assert visual_tempo(curve, 25.0) == pytest.approx(bpm)


def test_what_stands_still_has_none() -> None:
    assert visual_tempo(np.ones(500), 25.0) is None
    assert visual_tempo(np.array([0.0, 1.0]), 25.0) is None


def test_double_and_half_of_a_tempo_are_near() -> None:
    apart = octaves_apart(120.0, [120.0, 60.0, 240.0, 120 * 2**0.25, 120 * 2**0.5, None])
    assert apart == pytest.approx([0, 0, 0, 0.25, 0.5, 0.5])
    assert octaves_apart(None, [120.0, None]).tolist() == [0.5, 0.5]


def test_values_are_measured_in_the_spread_of_others() -> None:
    assert standardised(np.array([1.0, 3, np.nan]), np.array([1.0, 3, np.nan])).tolist() == [-1, 1, 0]
    assert standardised(np.array([5.0]), np.array([2.0, 2])).tolist() == [0]


def test_spans_overlap_by_what_they_share_of_both() -> None:
    starts_s, ends_s = np.array([10.0, 15, 30, 12]), np.array([20.0, 25, 40, 18])
    assert overlap(starts_s, ends_s, (10, 20)) == pytest.approx([1, 5 / 15, 0, 0.6])
