"""One octave of tempo for a track, of activations whose beats are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.analysis.rhythm.bars import Bars, most_likely_bars
from encoders.analysis.rhythm.octaves import evened
from encoders.analysis.rhythm.tracker import rhythm_of

FRAME_RATE = 50


def heard(beats: list[tuple[float, float, float]], seconds: float) -> NDArray[np.float64]:
    """Float64 [2, frames]: a beat and a downbeat at each time (seconds) with these probabilities."""
    activations = np.full((2, round(seconds * FRAME_RATE)), 0.01)
    for time_s, *probabilities in beats:
        frame = round(time_s * FRAME_RATE)
        for row, probability in enumerate(probabilities):
            for offset, share in ((-1, 0.45), (0, 1.0), (1, 0.45)):
                activations[row, frame + offset] = max(0.01, probability * share)
    return activations


def alternating(weak: float, weak_bar: float) -> NDArray[np.float64]:
    """120 beats a minute in fours, of which every other beat and every other bar's beginning is heard less."""
    bars = (0.8, 0, 0, 0, weak_bar, 0, 0, 0)
    return heard([(0.4 + 0.5 * n, weak if n % 2 else 0.9, bars[n % 8]) for n in range(240)], 122)


def found(activations: NDArray[np.float64]) -> Bars:
    return most_likely_bars(*activations, FRAME_RATE)


def test_steady_beats_stay_as_they_are() -> None:
    activations = alternating(0.9, 0.8)
    assert evened(found(activations), *activations, FRAME_RATE) is None


def test_another_tempo_that_is_no_octave_away_stays() -> None:
    first = [(0.4 + 0.6 * n, 0.9, 0.8 if n % 4 == 0 else 0) for n in range(100)]
    second = [(60.4 + 0.4 * n, 0.9, 0.8 if n % 4 == 0 else 0) for n in range(100)]
    activations = heard([*first, *second], 101)
    bars = found(activations)
    assert np.median(np.diff(bars.frames[:80])) == pytest.approx(30)
    assert evened(bars, *activations, FRAME_RATE) is None


def test_a_part_at_half_the_tempo_is_told_as_all_the_rest() -> None:
    beats = [
        (0.4 + 0.4 * n, 0.02 if n < 100 and n % 2 else 0.9, 0.8 if n % (8 if n < 100 else 4) == 0 else 0)
        for n in range(300)
    ]
    activations = heard(beats, 121)
    assert np.median(np.diff(found(activations).frames[:40])) == pytest.approx(40)
    rhythm = rhythm_of(activations)
    assert rhythm.tempo_bpm == pytest.approx(150, rel=0.01)
    assert np.abs(np.diff(rhythm.beats_s)[:-3] - 0.4).max() < 0.05
    positions = rhythm.positions[:-4]
    assert (np.diff(positions)[positions[:-1] < 4] == 1).mean() > 0.98


@pytest.mark.parametrize(("weak", "weak_bar", "bpm"), [(0.5, 0.03, 60), (0.5, 0.8, 120), (0.85, 0.4, 120)])
def test_beats_and_bars_heard_alternately_are_twice_as_long(weak: float, weak_bar: float, bpm: float) -> None:
    rhythm = rhythm_of(alternating(weak, weak_bar))
    assert rhythm.tempo_bpm == pytest.approx(bpm, rel=0.01)
    assert rhythm.meter == 4
    assert np.abs(np.diff(rhythm.beats_s)[:-3] - 60 / bpm).max() < 0.05  # the last lie behind what was heard
    downbeats_s = rhythm.beats_s[rhythm.positions == 1]
    assert downbeats_s[1:-2] % (240 / bpm) == pytest.approx(0.4, abs=0.05)


def test_bars_that_are_not_heard_say_nothing() -> None:
    beats, _ = alternating(0.5, 0.8)
    activations = np.stack([beats, np.full_like(beats, 0.005)])
    assert evened(found(activations), *activations, FRAME_RATE) is None


@pytest.mark.parametrize("n_beats", [0, 1, 5])
def test_few_beats_say_nothing(n_beats: int) -> None:
    frames = 25 * np.arange(n_beats)
    bars = Bars(frames, frames % 4 + 1, np.full(n_beats, 4))
    assert evened(bars, np.full(200, 0.5), np.full(200, 0.1), FRAME_RATE) is None
