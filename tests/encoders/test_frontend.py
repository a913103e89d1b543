"""The mel spectrogram against librosa's formulas written out in numpy, and torchaudio without its extension."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from encoders.frontend import AmplitudeToDB, LogFrequency, MelPower, SlaneyMel, torchaudio

SAMPLE_RATE, N_FFT, HOP_LENGTH, N_MELS = 16_000, 512, 256, 96


def slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    """Linear below 1 kHz (15 mel), logarithmic above."""
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def slaney_filters() -> NDArray[np.float64]:
    highest_mel = 15 + 27 * np.log(SAMPLE_RATE / 2 / 1000) / np.log(6.4)
    corners_hz = slaney_hz(np.linspace(0, highest_mel, N_MELS + 2))
    bins_hz = np.arange(N_FFT // 2 + 1) * SAMPLE_RATE / N_FFT
    filters = np.empty((N_MELS, len(bins_hz)))
    for mel, (low, centre, high) in enumerate(zip(corners_hz, corners_hz[1:], corners_hz[2:], strict=False)):
        rising, falling = (bins_hz - low) / (centre - low), (high - bins_hz) / (high - centre)
        filters[mel] = np.clip(np.minimum(rising, falling), 0, None) * 2 / (high - low)
    return filters


def slaney_mel(waveform: NDArray[np.float32]) -> NDArray[np.float64]:
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(N_FFT) / N_FFT)
    starts = range(0, len(waveform) - N_FFT + 1, HOP_LENGTH)
    frames = np.stack([waveform[start : start + N_FFT].astype(np.float64) * window for start in starts])
    return np.abs(np.fft.rfft(frames)) ** 2 @ slaney_filters().T


@pytest.fixture
def mel() -> SlaneyMel:
    return SlaneyMel(sample_rate=SAMPLE_RATE, n_fft=N_FFT, hop_length=HOP_LENGTH, n_mels=N_MELS)


def test_slaney_mel_agrees_with_its_formulas(mel: SlaneyMel, rng: np.random.Generator) -> None:
    waveforms = rng.uniform(-1, 1, (2, 5000)).astype(np.float32)
    power = mel(torch.tensor(waveforms)).numpy()
    assert power.shape == (2, 1 + (5000 - N_FFT) // HOP_LENGTH, N_MELS)
    for computed, waveform in zip(power, waveforms, strict=True):
        np.testing.assert_allclose(computed, slaney_mel(waveform), rtol=1e-3, atol=1e-5)


def test_a_louder_waveform_has_the_square_of_the_power(mel: SlaneyMel, rng: np.random.Generator) -> None:
    waveform = torch.tensor(rng.uniform(-0.1, 0.1, (1, 4000)), dtype=torch.float32)
    torch.testing.assert_close(mel(3 * waveform), 9 * mel(waveform), rtol=1e-4, atol=1e-8)


def test_slaney_mel_has_no_state_to_load(mel: SlaneyMel) -> None:
    assert mel.state_dict() == {}


def test_torchaudio_works_without_its_extension() -> None:
    waveform = torch.sin(2 * torch.pi * 440 * torch.arange(22_050) / 22_050)[None]
    spectrogram = MelPower(sample_rate=22_050, n_fft=1024, f_min=0.0, f_max=11_025.0, n_mels=128)
    decibel = AmplitudeToDB()(spectrogram(waveform))
    assert decibel.shape == (1, 128, 44)
    assert decibel.isfinite().all()
    resampled = torchaudio.functional.resample(waveform, 22_050, 16_000)
    assert resampled.shape == (1, 16_000)
    assert torch.fft.rfft(resampled).abs().argmax() == 440


def test_mel_power_is_torchaudios(rng: np.random.Generator) -> None:
    waveforms = torch.from_numpy(rng.uniform(-1, 1, (2, 9_000)).astype(np.float32))
    ours = MelPower(sample_rate=22_050, n_fft=1024, f_min=0.0, f_max=11_025.0, n_mels=128)
    theirs = torchaudio.transforms.MelSpectrogram(
        sample_rate=22_050, n_fft=1024, f_min=0.0, f_max=11_025.0, n_mels=128, power=2.0
    )
    assert ours.state_dict().keys() == theirs.state_dict().keys()
    assert ours(waveforms).shape == (2, 128, 1 + 9_000 // 512)
    torch.testing.assert_close(ours(waveforms), theirs(waveforms), rtol=1e-4, atol=1e-5)


QUARTER_TONES = LogFrequency(
    sample_rate=22_050, n_fft=4096, hop_length=2048, fmin_hz=65.406, n_bins=174, bins_per_octave=24
)
"""As :mod:`encoders.models.embeddings.timbre` has it."""


def decibels_of(*frequencies_hz: float, amplitude: float = 0.5) -> NDArray[np.float32]:
    """Mean over the frames that each tone fills, float32 [tones, 174]."""
    time_s = torch.arange(16_384, dtype=torch.float64) / 22_050
    phase = 2 * torch.pi * torch.tensor(frequencies_hz, dtype=torch.float64)[:, None] * time_s
    mean: NDArray[np.float32] = QUARTER_TONES(amplitude * phase.sin().float())[:, :, 2:-2].mean(dim=2).numpy()
    return mean


def test_a_tone_is_loudest_in_its_own_bin() -> None:
    """From 85 Hz on; below, quarter tones lie so close that a tone may lean on its neighbour."""
    loudest = decibels_of(*(65.406 * 2 ** (number / 24) for number in range(174))).argmax(axis=1)
    assert loudest[9:].tolist() == list(range(9, 174))
    assert np.abs(loudest - np.arange(174)).max() == 1


def test_an_octave_is_a_shift_by_its_bins() -> None:
    for number in (48, 72, 96, 120):
        low, high = decibels_of(*(65.406 * 2 ** (bins / 24) for bins in (number, number + 24)))
        assert high.argmax() == low.argmax() + 24


def test_filters_are_means() -> None:
    filters = QUARTER_TONES.filters
    assert filters.shape == (174, 2049)
    assert bool((filters >= 0).all())
    torch.testing.assert_close(filters.sum(dim=1), torch.ones(174))


def test_ten_times_the_amplitude_is_twenty_decibels_more() -> None:
    loud, quiet = (decibels_of(440.0, amplitude=amplitude) for amplitude in (0.5, 0.05))
    heard = quiet > -60  # far from the floor
    assert heard.sum() > 10
    np.testing.assert_allclose((loud - quiet)[heard], 20, atol=1e-2)


@pytest.mark.parametrize("samples", [4_096, 20_479, 20_480, 22_050])
def test_a_frame_stands_at_every_hop_and_silence_at_the_floor(samples: int) -> None:
    decibels = QUARTER_TONES(torch.zeros(3, samples))
    assert decibels.shape == (3, 174, 1 + samples // 2048)
    torch.testing.assert_close(decibels, torch.full_like(decibels, -100))


def test_log_frequency_has_no_state_to_load() -> None:
    assert QUARTER_TONES.state_dict() == {}
