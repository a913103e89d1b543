"""Effects: the level stays, and each does what its name says and no more."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.training.voices.effects import choir, echo, hum, reverb, room, studio, vocoder
from tests.training.conftest import HZ, SAMPLE_RATE

Effect = Callable[[NDArray[np.float32], np.random.Generator], NDArray[np.float32]]


def rms_db(waveform: NDArray[np.float32]) -> float:
    return float(10 * np.log10((waveform.astype(np.float64) ** 2).mean()))


def share_above(waveform: NDArray[np.float32], hz: float) -> float:
    power = np.abs(np.fft.rfft(waveform)) ** 2
    return float(power[np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE) > hz].sum() / power.sum())


@pytest.mark.parametrize("effect", [reverb, echo, hum, vocoder, studio])
def test_an_effect_keeps_the_length_and_is_the_seeds(effect: Effect, utterance: NDArray[np.float32]) -> None:
    first, again = (effect(utterance, np.random.default_rng(4)) for _ in range(2))
    assert first.dtype == np.float32
    assert len(first) == len(utterance)
    assert np.array_equal(first, again)
    assert np.isfinite(first).all()


@pytest.mark.parametrize("effect", [hum, vocoder])
def test_level_stays(effect: Effect, utterance: NDArray[np.float32]) -> None:
    assert rms_db(effect(utterance, np.random.default_rng(0))) == pytest.approx(rms_db(utterance), abs=0.01)


def test_silence_stays_silent() -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    for effect in (reverb, echo, hum, vocoder):
        assert not effect(silence, np.random.default_rng(0)).any()


def test_a_room_rings_off_by_60_db_in_its_time() -> None:
    response = room(np.random.default_rng(0), 1.0).astype(np.float64)
    left_db = 10 * np.log10(np.cumsum(response[::-1] ** 2)[::-1])  # Schroeder's backward integral
    start, end = (round(at * SAMPLE_RATE) for at in (0.1, 0.6))
    assert left_db[start] - left_db[end] == pytest.approx(30, abs=3)
    assert (response**2).sum() == pytest.approx(1)


def test_an_echo_repeats_weaker() -> None:
    click = np.zeros(3 * SAMPLE_RATE, np.float32)
    click[0] = 1
    echoed = echo(click, np.random.default_rng(1))
    at = np.flatnonzero(echoed)
    assert len(at) >= 3
    assert len(set(np.diff(at).tolist())) == 1
    assert (np.diff(echoed[at]) < 0).all()


def test_a_hum_has_no_words_left(utterance: NDArray[np.float32]) -> None:
    assert share_above(utterance, 1000) > 0.1
    assert share_above(hum(utterance, np.random.default_rng(0)), 1000) < 0.02


def test_a_choir_is_all_of_its_takes_late_by_little() -> None:
    rng = np.random.default_rng(0)
    takes = [rng.standard_normal(SAMPLE_RATE).astype(np.float32) for _ in range(3)]
    together = choir(takes, np.random.default_rng(1))
    assert rms_db(together) == pytest.approx(rms_db(takes[0]), abs=0.01)
    for take in takes[1:]:
        correlation = [float(np.dot(together[lag:], take[: len(take) - lag])) for lag in range(SAMPLE_RATE // 20)]
        assert 0.005 <= int(np.argmax(correlation)) / SAMPLE_RATE <= 0.04
    assert len(choir([takes[0], takes[1][:100]], rng)) == SAMPLE_RATE


def test_a_vocoder_keeps_the_rhythm_and_not_the_pitch(utterance: NDArray[np.float32]) -> None:
    made = vocoder(utterance, np.random.default_rng(2))
    length = len(utterance) // 800 * 800
    before, after = (np.sqrt((one[:length].reshape(-1, 800) ** 2).mean(axis=1)) for one in (utterance, made))
    assert np.corrcoef(before, after)[0, 1] > 0.7
    hz = np.fft.rfftfreq(len(made), 1 / SAMPLE_RATE)
    harmonics = [np.abs(hz - HZ * number) < 3 for number in range(2, 8)]
    on_pitch = [sum((np.abs(np.fft.rfft(one)) ** 2)[at].sum() for at in harmonics) for one in (utterance, made)]
    assert on_pitch[1] < 0.5 * on_pitch[0]
