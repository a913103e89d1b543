"""The mel spectrogram against librosa's formulas written out in numpy, and torchaudio without its extension."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from encoders.frontend import AmplitudeToDB, MelSpectrogram, SlaneyMel, torchaudio

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
    spectrogram = MelSpectrogram(sample_rate=22_050, n_fft=1024, f_min=0.0, f_max=11_025.0, n_mels=128, power=2.0)
    decibel = AmplitudeToDB()(spectrogram(waveform))
    assert decibel.shape == (1, 128, 44)
    assert decibel.isfinite().all()
    resampled = torchaudio.functional.resample(waveform, 22_050, 16_000)
    assert resampled.shape == (1, 16_000)
    assert torch.fft.rfft(resampled).abs().argmax() == 440
