"""What moves together is found where it does, and what does not is no better than chance."""

import numpy as np
import pytest

from retrieval.catalog.heard.moments import TrackMoments
from retrieval.catalog.records import TrackAccents
from retrieval.search.video.clip import RATE, Clip
from retrieval.search.video.sync import beyond_chance, heard, seen, sync

NOTHING = np.empty(0)


def pulses(times_s: np.ndarray, duration_s: float) -> np.ndarray:
    curve = np.zeros(round(duration_s * RATE), np.float32)
    curve[(times_s * RATE).astype(int)] = 1
    return curve


def track_of(onsets: np.ndarray, loudness: np.ndarray | None = None) -> TrackMoments:
    loudness = np.full_like(onsets, 0.5) if loudness is None else loudness
    return TrackMoments(len(onsets) / RATE, TrackAccents(RATE, onsets, loudness), NOTHING, NOTHING, NOTHING, None)


def clip_of(events: np.ndarray, cuts_s: np.ndarray = NOTHING, energy: np.ndarray | None = None) -> Clip:
    duration_s, still = len(events) / RATE, np.zeros_like(events)
    cuts = still if not len(cuts_s) else pulses(cuts_s, duration_s)
    return Clip(NOTHING, "v", duration_s, events, still, cuts, still if energy is None else energy, cuts_s)


@pytest.mark.parametrize("seed", range(4))
def test_a_clip_that_moves_with_a_part_of_a_track_is_laid_there(seed: int) -> None:
    rng = np.random.default_rng(seed)
    times_s = np.sort(rng.uniform(0, 119, 240))
    onsets = pulses(times_s, 120)
    inside = times_s[(times_s >= 40) & (times_s < 60)] - 40
    together = sync(seen(clip_of(pulses(inside, 20))), heard(track_of(onsets))).joined
    assert abs(together.argmax() / RATE - 40) <= 0.04
    assert beyond_chance(float(together.max()), len(together)) > 2
    assert len(together) == 100 * RATE + 1

    strange = sync(seen(clip_of(pulses(np.sort(rng.uniform(0, 19.9, 40)), 20))), heard(track_of(onsets))).joined
    assert beyond_chance(float(strange.max()), len(strange)) < 1
    assert strange.std() == pytest.approx(1, abs=0.3)  # it is measured in what chance has


def test_cuts_that_fall_on_onsets_are_enough() -> None:
    rng = np.random.default_rng(1)
    times_s = np.sort(rng.uniform(0, 89, 120))
    cuts_s = times_s[(times_s > 31) & (times_s < 59)][::4] - 30
    together = sync(seen(clip_of(np.zeros(30 * 25, np.float32), cuts_s)), heard(track_of(pulses(times_s, 90)))).joined
    assert abs(together.argmax() / RATE - 30) <= 0.08


def test_motion_that_grows_with_loudness_says_where() -> None:
    times_s = np.arange(100 * 25) / RATE
    loudness = (0.5 + 0.4 * np.sin(times_s / 7) * np.sin(times_s / 3.1)).astype(np.float32)
    clip = clip_of(np.zeros(20 * 25, np.float32), energy=loudness[50 * 25 : 70 * 25])
    together = sync(seen(clip), heard(track_of(np.zeros(100 * 25, np.float32), loudness))).joined
    assert abs(together.argmax() / RATE - 50) < 0.5


def test_where_nothing_happens_no_start_is_better_than_another() -> None:
    onsets = pulses(np.arange(1.0, 59, 0.7), 60)
    together = sync(seen(clip_of(np.zeros(250, np.float32))), heard(track_of(onsets))).joined
    assert not together.any()
    assert not sync(seen(clip_of(onsets[:250])), heard(track_of(np.zeros(1500, np.float32)))).joined.any()


def test_a_clip_longer_than_the_track_has_one_start() -> None:
    onsets = pulses(np.arange(1.0, 9, 0.7), 10)
    assert sync(seen(clip_of(pulses(np.arange(1.0, 19, 0.7), 20))), heard(track_of(onsets))).starts == 1


def test_of_a_track_that_nobody_listened_to_nothing_is_heard() -> None:
    assert heard(TrackMoments(10.0, None, NOTHING, NOTHING, NOTHING, None)) is None
