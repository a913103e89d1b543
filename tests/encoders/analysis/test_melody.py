"""The line through what a network hears, worked out by hand; and the shipped network on a melody that is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from encoders.analysis import melody
from encoders.analysis.melody import MelodyTracker, line_of
from encoders.errors import NonFiniteError, ShapeError
from encoders.listeners import load_melody_tracker
from encoders.models.music.melody import LOWEST_MELODY, N_BINS, MelodyNet
from encoders.models.music.spectra import Listener

RATE = 22_050


def heard(bins: list[int | None], share: float = 0.9) -> NDArray[np.float32]:
    """What a network would answer that is sure of a bin in each frame, or of silence: float32 [frames, 199]."""
    answers = np.full((len(bins), N_BINS + 1), (1 - share) / N_BINS, np.float32)
    for frame, place in enumerate(bins):
        answers[frame, N_BINS if place is None else place] = share
    return np.log(answers)


def test_a_glitch_is_no_leap_and_a_leap_is_one() -> None:
    glitch = line_of(heard([60] * 20 + [96] + [60] * 20, share=0.6))
    np.testing.assert_allclose(glitch.pitches, LOWEST_MELODY + 59 / 3, atol=0.3)
    leap = line_of(heard([60] * 20 + [96] * 20))
    np.testing.assert_allclose(leap.pitches[[0, 19, 20, 39]], LOWEST_MELODY + np.array([59, 59, 95, 95]) / 3, atol=0.05)


def test_a_rest_has_the_pitch_that_is_likeliest_in_it() -> None:
    answers = np.exp(heard([60] * 30 + [None] * 30 + [60] * 30))
    answers[30:60, 90] = 0.05  # something else is played
    line = line_of(np.log(answers / answers.sum(axis=1, keepdims=True)))
    assert line.voiced.tolist() == [True] * 30 + [False] * 30 + [True] * 30
    assert line.pitches[10] == pytest.approx(LOWEST_MELODY + 59 / 3, abs=0.1)
    assert line.pitches[45] == pytest.approx(LOWEST_MELODY + 89 / 3, abs=0.1)
    assert line.certainty[10] > 0.9 > line.certainty[45]


def test_moments_of_silence_and_of_sound_change_nothing() -> None:
    answers = np.exp(heard([60] * 30 + [None] * 30))
    answers[10, [60, N_BINS]] = answers[45, [N_BINS, 60]] = 0.3, 0.6
    assert line_of(np.log(answers)).voiced.tolist() == [True] * 30 + [False] * 30


def test_between_two_bins_the_pitch_is_where_both_pull() -> None:
    answers = np.exp(heard([60] * 10, share=0.6))
    answers[:, 61] = 0.3
    line = line_of(np.log(answers / answers.sum(axis=1, keepdims=True)))
    np.testing.assert_allclose(line.pitches, LOWEST_MELODY + (59 + 1 / 3) / 3, atol=0.03)


@pytest.fixture(scope="module")
def tracker() -> MelodyTracker:
    return load_melody_tracker(Path("nowhere"), Listener())


@pytest.fixture(scope="module")
def tune() -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """A tone of ten harmonics with vibrato, a note of half a second each, then a rest; and its pitch, every 40 ms."""
    rng = np.random.default_rng(4)
    notes = rng.choice([60, 62, 64, 65, 67, 69, 71, 72], 24)
    at = np.arange(round(14 * RATE)) / RATE
    number = np.minimum((at / 0.5).astype(int), 23)
    pitch = notes[number] + 0.2 * np.sin(2 * np.pi * 5.5 * at)
    phase = 2 * np.pi * np.cumsum(440 * 2 ** ((pitch - 69) / 12)) / RATE
    sound = sum(np.sin(k * phase) / k for k in range(1, 11)) * np.minimum(1, 20 * (at % 0.5)) * (at < 12)
    steps = np.arange(350) * 0.04
    truth = np.where(steps < 12, notes[np.minimum((steps / 0.5).astype(int), 23)], np.nan)
    return (0.1 * sound).astype(np.float32), truth


def test_a_tune_is_heard(tracker: MelodyTracker, tune: tuple[NDArray[np.float32], NDArray[np.float64]]) -> None:
    waveform, truth = tune
    found = tracker.track(waveform)
    assert found.step_s == pytest.approx(0.04)
    pitches, led = found.pitches[: len(truth)], ~np.isnan(truth)
    right = np.abs(pitches - truth) < 0.6
    assert right[led].mean() > 0.85  # frames at the edges of notes hold both
    assert np.isnan(pitches[-30:]).all()
    assert (np.isnan(found.pitches) != np.isnan(found.unvoiced)).all()
    assert 0 <= found.confidence <= 1


def test_long_tracks_are_searched_piece_by_piece(
    tracker: MelodyTracker,
    tune: tuple[NDArray[np.float32], NDArray[np.float64]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waveform = np.tile(tune[0], 3)
    whole = tracker.track(waveform)
    monkeypatch.setattr(melody, "_PIECE", 300)
    monkeypatch.setattr(melody, "_LAP", 100)
    pieces = tracker.track(waveform)
    assert len(pieces.pitches) == len(whole.pitches)
    np.testing.assert_array_equal(np.isnan(pieces.pitches), np.isnan(whole.pitches))
    led = ~np.isnan(whole.pitches)
    assert np.mean(np.abs(pieces.pitches[led] - whole.pitches[led]) < 0.2) > 0.99


def test_what_is_no_sound_is_refused(tracker: MelodyTracker) -> None:
    with pytest.raises(ShapeError):
        tracker.track(np.zeros((2, RATE), np.float32))
    with pytest.raises(NonFiniteError):
        tracker.track(np.full(RATE, np.nan, np.float32))


def test_any_number_of_frames_is_answered_each() -> None:
    network = MelodyNet().eval()
    with torch.inference_mode():
        for frames in (1, 2, 7, 300):
            answers = network(torch.zeros(1, 252, frames))
            assert answers.shape == (1, frames, N_BINS + 1)
            torch.testing.assert_close(answers.exp().sum(-1), torch.ones(1, frames))
