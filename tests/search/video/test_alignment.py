"""Clips whose place in a track is known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.search.video.alignment import Moments, aligned


def moments(times_s: NDArray[np.float64], weight: float = 1.0) -> Moments:
    return Moments(times_s, np.full(len(times_s), weight))


@pytest.fixture
def track() -> Moments:
    """Uneven beats, of which every fourth counts twice."""
    rng = np.random.default_rng(3)
    times_s = np.cumsum(rng.uniform(0.4, 0.6, 240))
    return Moments(times_s, np.where(np.arange(240) % 4, 1.0, 2.0))


@pytest.mark.parametrize("rate", [0.97, 1.0, 1.02])
def test_cuts_on_downbeats_are_laid_upon_them(track: Moments, rate: float) -> None:
    inside = (track.times_s > 50) & (track.times_s < 80) & (track.weights == 2)
    cuts = moments((track.times_s[inside] - 50) / rate)
    found = aligned(cuts, 30 / rate, track, 125.0)
    assert found.start_s == pytest.approx(50, abs=0.05)
    assert found.rate == pytest.approx(rate, abs=0.0051)
    assert found.score > 0.9 > 0.5 > found.chance


def test_of_equal_ones_the_track_is_played_as_it_is() -> None:
    found = aligned(moments(np.array([1.0])), 5.0, moments(np.arange(0, 60, 0.5)), 60.0)
    assert found.rate == 1
    assert found.score == pytest.approx(1, abs=0.01)
    assert (found.start_s + 1.0) % 0.5 == pytest.approx(0, abs=0.02)


def test_the_clip_ends_within_the_track() -> None:
    late = moments(np.array([57.0, 58.0]))
    found = aligned(moments(np.array([1.0, 2.0])), 20.0, late, 60.0)
    assert found.start_s <= 40
    assert found.score == 0


def test_a_clip_longer_than_the_track_begins_with_it(track: Moments) -> None:
    found = aligned(moments(np.array([3.0, 4.0, 290.0])), 300.0, track, 125.0)
    assert found.start_s == 0
    assert 0 <= found.score <= 1


def test_without_moments_there_is_nothing_to_say(track: Moments) -> None:
    nothing = moments(np.empty(0))
    for clip, other in ((nothing, track), (moments(np.array([1.0])), nothing)):
        found = aligned(clip, 10.0, other, 125.0)
        assert (found.start_s, found.rate, found.score, found.chance) == (0, 1, 0, 0)


def test_what_meets_by_chance_is_told(track: Moments) -> None:
    rng = np.random.default_rng(1)
    found = aligned(moments(np.sort(rng.uniform(0, 30, 20))), 30.0, track, 125.0)
    assert found.chance < found.score < 0.9
