"""Where a clip starts in a track: cuts on beats, in the part that fits, and a picture where it is nearest."""

import numpy as np
import pytest

from retrieval.catalog.heard.moments import TrackMoments
from retrieval.catalog.records import TrackSegments
from retrieval.search.video.clip import RATE, Clip
from retrieval.search.video.placing import cuts_on_beats, local_fit, moments_heard, moments_seen, place

NOTHING = np.empty(0)


def clip_of(duration_s: float, cuts_s: list[float], vector: np.ndarray | None = None) -> Clip:
    still = np.zeros(max(1, round(duration_s * RATE)), np.float32)
    vector = np.array([1.0, 0.0], np.float32) if vector is None else vector
    return Clip(vector, "v", duration_s, still, still, still, still, np.array(cuts_s))


def track_of(duration_s: float, beats_s: np.ndarray, sections_s: tuple[float, ...] = ()) -> TrackMoments:
    return TrackMoments(duration_s, None, beats_s, beats_s[::4], np.array(sections_s), 120.0)


def segments_of(*cosines: float) -> TrackSegments:
    starts_s = 10.0 * np.arange(len(cosines))
    vectors = np.array([(cosine, (1 - cosine**2) ** 0.5) for cosine in cosines], np.float32)
    return TrackSegments(1, starts_s, starts_s + 10, vectors)


def test_cuts_fall_on_downbeats() -> None:
    beats_s = 0.3 + 0.5 * np.arange(110)
    found = place(clip_of(12, [2.0, 4.0, 8.0, 10.0]), track_of(56, beats_s), None, None)
    assert (found.start_s - 0.3) % 2 == pytest.approx(0, abs=0.011) or (found.start_s - 0.3) % 2 > 1.989
    assert (found.rate, found.cuts_on_beats) == (1.0, 1.0)
    assert found.score == pytest.approx(1.0, abs=0.02)
    assert found.chance < 0.6
    assert found.cuts_by_chance == pytest.approx(0.4, abs=0.02)
    assert found.end_s == pytest.approx(found.start_s + 12)


def test_a_tempo_that_is_a_little_off_is_met_by_speed() -> None:
    beats_s = 0.25 + 0.515 * np.arange(200)  # cuts every two seconds are 3 % faster than four beats
    found = place(clip_of(30, list(2.0 * np.arange(1, 15))), track_of(103, beats_s), None, None)
    assert found.rate == pytest.approx(1.03)
    assert found.cuts_on_beats == 1.0
    assert found.end_s == pytest.approx(found.start_s + 30 * 1.03)


def test_the_part_that_fits_is_taken_and_a_section_begins_with_a_cut() -> None:
    beats_s = 0.5 * np.arange(160)
    fits = segments_of(0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.1)
    assert 47 < place(clip_of(15, [1.0, 5.0]), track_of(80, beats_s), fits, None).start_s < 58
    found = place(clip_of(15, [6.0]), track_of(80, beats_s, (0.0, 30.5)), None, None)
    assert found.start_s == pytest.approx(24.5, abs=0.02)


def test_what_moves_together_decides_where_beats_do_not() -> None:
    together = np.zeros(45 * 25 + 1, np.float32)
    together[20 * 25] = 6
    assert place(clip_of(15, []), track_of(60, NOTHING), None, together).start_s == pytest.approx(20, abs=0.05)


def test_a_picture_starts_where_the_track_is_nearest_to_it() -> None:
    found = place(clip_of(0, []), track_of(60, 0.5 * np.arange(120)), segments_of(0.1, 0.2, 0.8, 0.3, 0.1, 0.0), None)
    assert found.start_s == pytest.approx(25, abs=1)
    assert (found.score, found.cuts_on_beats) == (0.0, None)


def test_a_clip_longer_than_the_track_begins_with_it() -> None:
    found = place(clip_of(90, [1.0, 2.0]), track_of(60, 0.5 * np.arange(120)), segments_of(0.1, 0.5, 0.2), None)
    assert (found.start_s, found.end_s) == (0.0, 60.0)


def test_cuts_on_beats_by_hand() -> None:
    beats_s = np.array([1.0, 2.0, 3.0, 4.0])
    cuts_s = np.array([0.05, 1.11, 2.0, 2.95, 50.0])  # the last lies behind the track's end
    on_beats, by_chance = cuts_on_beats(cuts_s, beats_s, 1.0, 1.0, 10.0)
    assert on_beats == pytest.approx(3 / 4)  # at 1.05, 2.11, 3.0, 3.95 s: the second is too late by a hundredth
    assert by_chance == pytest.approx(0.8 / 10)  # four beats of two tenths each
    assert cuts_on_beats(NOTHING, beats_s, 0, 1, 10) == (None, None)
    assert cuts_on_beats(cuts_s, NOTHING, 0, 1, 10) == (None, None)


def test_local_fit_is_the_mean_under_the_clip() -> None:
    fit = local_fit(clip_of(10, []), segments_of(0.0, 0.6, 0.0, 0.0), 40)
    assert abs(fit.argmax() / RATE - 10) <= 0.2
    assert fit[-1] == pytest.approx(0, abs=0.01)
    assert len(fit) == 30 * 25 + 1


def test_moments_of_both_sides() -> None:
    events = np.zeros(250, np.float32)
    events[[50, 150]] = 1, 0.9
    clip = clip_of(10, [2.1])
    seen = moments_seen(Clip(clip.vector, "v", 10.0, events, events, events, events, clip.cuts_s))
    assert seen.times_s.tolist() == [2.1, 6.0]  # the peak beside the cut is the cut's
    assert seen.weights.tolist() == [1.0, 0.3]
    heard = moments_heard(track_of(4, np.array([0.0, 1.0, 2.0, 3.0]), (0.0, 2.0)))
    assert len(heard.times_s) == 4 + 1 + 1  # a track's own beginning is no change
