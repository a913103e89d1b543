"""The compact network: its size, its windows, and sums and decibels of its features."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from encoders.encoder import Encoder
from encoders.models.embeddings.melcnn import (
    DIM,
    SAMPLE_RATE,
    SPEC,
    WINDOW_LENGTH,
    MelCNN,
    decibels,
    from_decibels,
    mixed,
)
from encoders.models.embeddings.musicnn import N_FRAMES, N_MELS
from tests.conftest import tone


@pytest.fixture
def network() -> MelCNN:
    torch.manual_seed(8)
    return MelCNN().eval()


@pytest.fixture
def windows(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(0, [[0.1], [0.3], [0.01]], (3, WINDOW_LENGTH)).astype(np.float32))


def test_it_is_compact(network: MelCNN) -> None:
    assert sum(parameter.numel() for parameter in network.parameters()) <= 3_000_000


def test_features_are_what_musicnn_hears_about_every_hop(network: MelCNN, windows: Tensor) -> None:
    features = network.features(windows)
    hop = network.hop_length
    assert features.shape == (3, N_MELS, 1 + WINDOW_LENGTH // hop)
    around = network.log_mel.n_fft // 2
    shifted = network.log_mel(windows[:, 5 * hop - around :])[:, :4].mT
    torch.testing.assert_close(features[:, :, 5:9], shifted)


def test_three_windows_are_heard_and_averaged(network: MelCNN, windows: Tensor) -> None:
    with torch.inference_mode():
        embedding, logits = network(windows)
        features = network.features(windows)
        parts = [network.encode(features[:, :, i * N_FRAMES : (i + 1) * N_FRAMES])[0] for i in range(3)]
    assert embedding.shape == (3, DIM) == (3, SPEC.dim)
    assert logits.shape == (3, 0)
    assert SPEC.tags == ()
    torch.testing.assert_close(embedding, torch.stack(parts).mean(dim=0))
    assert features.shape[2] // N_FRAMES == 3
    assert not torch.allclose(embedding, parts[0], atol=1e-4)


def test_an_embedding_does_not_depend_on_the_batch_size(network: MelCNN, windows: Tensor) -> None:
    encoder = Encoder(SPEC, network, version="melcnn-0", device=torch.device("cpu"))
    together, alone = (encoder.encode(windows.numpy(), batch_size=size).embeddings for size in (3, 1))
    np.testing.assert_allclose(together, alone, atol=1e-5)


def test_decibels_and_features_are_each_others_inverse() -> None:
    power_db = torch.linspace(-59, 60, 200)
    torch.testing.assert_close(decibels(from_decibels(power_db)), power_db, atol=0.05, rtol=0)
    features = torch.linspace(0.01, 9, 200)
    torch.testing.assert_close(from_decibels(decibels(features)), features, atol=1e-5, rtol=1e-5)
    assert float(decibels(torch.zeros(()))) == pytest.approx(-60)  # silence is as low as it goes
    assert float(from_decibels(torch.tensor(0.0))) == pytest.approx(math.log10(10_001))


def test_decibels_of_a_tone_follow_its_volume(network: MelCNN) -> None:
    waveform = torch.from_numpy(tone(440, 1, sample_rate=SAMPLE_RATE))[None]
    loud, soft = (decibels(network.features(gain * waveform)).amax(dim=1) for gain in (1, 0.1))
    torch.testing.assert_close(loud - soft, torch.full_like(loud, 20), atol=0.1, rtol=0)


def test_a_mix_adds_powers(network: MelCNN) -> None:
    """Of tones, far apart: in the bands of each, it alone, the second one 12 dB softer."""
    low, high = (torch.from_numpy(tone(hz, 2, sample_rate=SAMPLE_RATE))[None] for hz in (200.0, 3_000.0))
    features = [network.features(sound) for sound in (low, high)]
    gain_db = torch.full((1, 1, 1), -12.0)
    together = network.features(low + high * 10 ** (-12 / 20))
    heard = mixed(*features, gain_db)
    strong = together > 3
    torch.testing.assert_close(heard[strong], together[strong], atol=0.05, rtol=0)
    assert float((heard - features[0]).abs().amax()) > 1  # the other one is in it


def test_a_mix_with_silence_is_the_sound_and_with_itself_twice_the_power() -> None:
    features = torch.linspace(0, 8, 50)[None, None]
    torch.testing.assert_close(mixed(features, torch.zeros_like(features), torch.zeros(1, 1, 1)), features)
    loud = torch.full((1, 1, 1), 7.0)
    doubled = mixed(loud, loud, torch.zeros(1, 1, 1))
    assert float(decibels(doubled) - decibels(loud)) == pytest.approx(10 * math.log10(2), abs=1e-4)
