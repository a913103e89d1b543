"""Mastering: nothing moves in time, and each step does what it says."""

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.training.voices.mastering import BIT_RATES, Codec, compress, equalise, master, through_codec, to_rms
from tests.training.conftest import SAMPLE_RATE


def rms_db(waveform: NDArray[np.float32]) -> float:
    return float(10 * np.log10((waveform.astype(np.float64) ** 2).mean()))


@pytest.mark.parametrize("codec", ["mp3", "opus"])
@pytest.mark.parametrize("bit_rate", BIT_RATES)
def test_a_codec_moves_nothing(utterance: NDArray[np.float32], codec: Codec, bit_rate: int) -> None:
    decoded = through_codec(utterance, codec, bit_rate)
    assert len(decoded) == len(utterance)
    assert not np.array_equal(decoded, utterance)
    correlation = np.fft.irfft(np.fft.rfft(decoded) * np.conj(np.fft.rfft(utterance)))
    assert int(correlation.argmax()) == 0
    assert rms_db(decoded - utterance) < rms_db(utterance) - 8


def test_a_mix_keeps_its_length_and_is_the_seeds(utterance: NDArray[np.float32]) -> None:
    for seed in range(12):
        first, again = (master(utterance, np.random.default_rng(seed)) for _ in range(2))
        assert np.array_equal(first, again)
        assert len(first) == len(utterance)
        assert first.dtype == np.float32
        assert np.abs(first).max() < 1.2  # a codec may overshoot
        assert -35 < rms_db(first) < -9


def test_without_a_codec_none_is_called(utterance: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("encoders.training.voices.mastering.through_codec")
    for seed in range(12):
        master(utterance, np.random.default_rng(seed), codec=False)


def test_equalisation_stays_within_its_bells() -> None:
    noise = np.random.default_rng(0).standard_normal(4 * SAMPLE_RATE).astype(np.float32)
    for seed in range(5):
        equalised = equalise(noise, np.random.default_rng(seed))
        gain_db = 20 * np.log10(np.abs(np.fft.rfft(equalised)) / np.abs(np.fft.rfft(noise)))
        assert 1 < np.abs(gain_db[100:-100]).max() < 20
        assert np.median(np.abs(gain_db[-4000:])) < 6


def test_compression_brings_loud_nearer_to_soft() -> None:
    rng = np.random.default_rng(0)
    waveform = rng.standard_normal(2 * SAMPLE_RATE).astype(np.float32)
    waveform[:SAMPLE_RATE] *= 0.1
    compressed = compress(waveform, ratio=2.0)
    soft, loud = compressed[: SAMPLE_RATE // 2], compressed[3 * SAMPLE_RATE // 2 :]
    # The loud half lies 3 dB above the mean: at 2 to 1 half of that is left.
    assert rms_db(loud) - rms_db(soft) == pytest.approx(20 - 1.5, abs=0.5)


def test_a_level_is_reached_unless_peaks_would_be_cut(utterance: NDArray[np.float32]) -> None:
    assert rms_db(to_rms(utterance, -30)) == pytest.approx(-30, abs=0.01)
    assert np.abs(to_rms(utterance, 0)).max() == pytest.approx(0.99, abs=0.001)
    assert not to_rms(np.zeros(100, np.float32), -20).any()
