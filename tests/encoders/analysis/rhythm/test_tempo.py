"""One tempo and metre for a track."""

import numpy as np
import pytest

from encoders.analysis.rhythm.tempo import meter_of, tempo_of


def test_the_tempo_of_most_of_a_track_is_its_tempo() -> None:
    first = np.arange(40) * 0.5  # 120 beats a minute, 20 s
    second = first[-1] + 0.4 + np.arange(200) * 0.4  # 150, 80 s
    assert tempo_of(np.concatenate([first, second])) == pytest.approx(150, rel=0.001)


def test_beats_by_hand_are_averaged(rng: np.random.Generator) -> None:
    beats_s = np.arange(200) * 0.6 + rng.normal(0, 0.01, 200)
    assert tempo_of(beats_s) == pytest.approx(100, rel=0.002)


def test_a_gap_without_beats_does_not_slow_it_down() -> None:
    beats_s = np.concatenate([np.arange(50) * 0.5, 60 + np.arange(50) * 0.5])
    assert tempo_of(beats_s) == pytest.approx(120, rel=0.001)


def test_few_beats_have_a_tempo_and_fewer_have_none() -> None:
    assert tempo_of(np.array([0.0, 0.5, 1.0])) == pytest.approx(120)
    assert tempo_of(np.array([1.0])) is None
    assert tempo_of(np.zeros(0)) is None


def test_the_metre_is_that_of_most_beats() -> None:
    assert meter_of(np.array([4] * 40 + [3] * 12)) == 4
    assert meter_of(np.zeros(0, np.int64)) is None
