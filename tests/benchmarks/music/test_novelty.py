"""Where sound changes, and how near boundaries are to it."""

import numpy as np
import pytest

from benchmarks.music.novelty import bounds_of, changes, compare, hits
from benchmarks.music.songs import Part
from benchmarks.music.systems.system import SAMPLE_RATE


def test_sound_changes_where_one_chord_gives_way_to_another():
    times = np.arange(60 * SAMPLE_RATE) / SAMPLE_RATE
    low, high = (sum(np.sin(2 * np.pi * hz * times) for hz in chord) for chord in ((220, 277, 330), (1480, 1760, 2217)))
    waveform = np.where((times > 20) & (times < 42), low, high).astype(np.float32) / 4

    assert changes(waveform) == pytest.approx([20, 42], abs=1)


def test_each_change_is_met_by_one_boundary_within_three_seconds():
    # 10 is met once, by one of two; 40 is missed by 4 s: one of three boundaries, of two changes.
    assert hits(np.array([10.0, 40.0]), np.array([9.0, 12.0, 44.0])) == pytest.approx((1 / 3, 1 / 2, 2 / 5))


def test_who_tells_no_boundaries_has_0_and_no_chance():
    assert compare(np.array([10.0]), np.empty(0), 60.0)["F"] == 0
    assert compare(np.array([10.0]), np.empty(0), 60.0)["F by chance"] == 0


def test_chance_is_the_share_of_time_that_is_near_a_change():
    # One boundary and one change: F is 1 where they lie within 3 s, 6 of 60.
    assert compare(np.array([30.0]), np.array([31.0]), 66.0)["F by chance"] == pytest.approx(0.1, abs=0.05)


def test_boundaries_at_start_and_end_do_not_count():
    assert compare(np.array([30.0]), np.array([0.5, 31.0, 59.0]), 60.0)["precision"] == 1


def test_a_track_begins_without_a_boundary():
    assert bounds_of((Part(0, 10, "intro"), Part(10, 20, "verse"))).tolist() == [10]
