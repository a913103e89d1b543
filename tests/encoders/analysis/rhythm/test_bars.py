"""Beats and bars of activations whose beats are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.analysis.rhythm.bars import most_likely_bars

FRAME_RATE = 50


def heard(beats_s: NDArray[np.float64], positions: NDArray[np.int64], seconds: float) -> NDArray[np.float64]:
    """What a network that hears well would say: float64 [2, frames]."""
    activations = np.full((2, round(seconds * FRAME_RATE)), 0.01)
    for row, times_s in enumerate((beats_s, beats_s[positions == 1])):
        frames = np.rint(times_s * FRAME_RATE).astype(int)
        for offset, probability in ((-1, 0.4), (1, 0.4), (0, 0.9)):
            inside = (frames + offset >= 0) & (frames + offset < activations.shape[1])
            activations[row, (frames + offset)[inside]] = probability
    return activations


def steady(bpm: float, meter: int, n_beats: int, start_s: float = 0.3) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    return start_s + np.arange(n_beats) * 60 / bpm, np.arange(n_beats) % meter + 1


@pytest.mark.parametrize(("bpm", "meter"), [(60, 4), (90, 5), (120, 3), (133.3, 4), (174, 4), (207, 4), (75, 7)])
def test_beats_at_one_tempo_are_found_with_their_bars(bpm: float, meter: int) -> None:
    beats_s, positions = steady(bpm, meter, 120)
    bars = most_likely_bars(*heard(beats_s, positions, beats_s[-1] + 1), FRAME_RATE)
    found_s = bars.frames / FRAME_RATE
    for time_s, position in list(zip(beats_s, positions, strict=True))[1:-1]:
        nearest = np.abs(found_s - time_s).argmin()
        assert abs(found_s[nearest] - time_s) < 0.05
        assert bars.positions[nearest] == position
    assert len(found_s) <= len(beats_s) + 2
    assert np.bincount(bars.meters).argmax() == meter


def test_a_tempo_that_changes_midway_is_followed() -> None:
    first, positions = steady(100, 4, 64)
    second = first[-1] + 0.6 + np.arange(64) * 60 / 150
    beats_s, positions = np.concatenate([first, second]), np.concatenate([positions, positions])
    bars = most_likely_bars(*heard(beats_s, positions, beats_s[-1] + 1), FRAME_RATE)
    found_s = bars.frames / FRAME_RATE
    assert max(np.abs(found_s - time_s).min() for time_s in beats_s[2:-2]) < 0.05
    assert len(found_s) <= len(beats_s) + 2


def test_a_tempo_that_wanders_is_followed(rng: np.random.Generator) -> None:
    lengths = 0.5 * np.exp(np.cumsum(rng.normal(0, 0.01, 200)))
    beats_s = 0.2 + np.cumsum(lengths)
    positions = np.arange(200) % 4 + 1
    bars = most_likely_bars(*heard(beats_s, positions, beats_s[-1] + 1), FRAME_RATE)
    distances = [np.abs(bars.frames / FRAME_RATE - time_s).min() for time_s in beats_s]
    assert np.mean(np.array(distances) < 0.05) > 0.98


def test_a_metre_that_changes_is_followed() -> None:
    beats_s, _ = steady(110, 4, 124)
    positions = np.concatenate([np.arange(64) % 4 + 1, np.arange(60) % 3 + 1])
    bars = most_likely_bars(*heard(beats_s, positions, beats_s[-1] + 1), FRAME_RATE)
    assert set(bars.meters[bars.frames < 50 * beats_s[56]].tolist()) == {4}
    assert set(bars.meters[bars.frames > 50 * beats_s[70]].tolist()) == {3}


def test_an_hour_is_searched_in_pieces_that_join_without_a_seam() -> None:
    beats_s, positions = steady(120, 4, 7200)
    bars = most_likely_bars(*heard(beats_s, positions, 3601), FRAME_RATE)
    assert np.abs(np.diff(bars.frames[:-4]) - 25).max() <= 1  # the last ones lie behind what was heard
    # No bar is cut short or prolonged where pieces join.
    assert (np.diff(bars.positions)[bars.positions[:-1] < 4] == 1).all()
    assert abs(len(bars.frames) - len(beats_s)) <= 2


def test_beats_of_about_a_length_are_found_alone() -> None:
    beats_s, positions = steady(150, 4, 200)
    activations = heard(beats_s, positions, beats_s[-1] + 1)
    bars = most_likely_bars(*activations, FRAME_RATE, np.full(activations.shape[1], 40.0))
    assert np.abs(np.diff(bars.frames)[1:-1] - 40).max() <= 1
    assert len(bars.frames) == pytest.approx(100, abs=2)


@pytest.mark.parametrize("frames", [0, 1, 5, 30])
def test_what_is_shorter_than_a_few_beats_has_an_answer(frames: int) -> None:
    bars = most_likely_bars(np.full(frames, 0.01), np.full(frames, 0.005), FRAME_RATE)
    assert len(bars.frames) == len(bars.positions) == len(bars.meters) <= 3


def test_no_place_lies_beyond_its_bar() -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        beats = rng.beta(0.5, 2, 1500)
        bars = most_likely_bars(beats, beats * rng.random(1500) ** 2, 50)
        assert (bars.positions >= 1).all()
        assert (bars.positions <= bars.meters).all()
