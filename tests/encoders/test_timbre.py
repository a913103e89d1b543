"""The statistics network: statistics by hand, what moves the embedding and what does not."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from encoders.encoder import Encoder
from encoders.models.embeddings.timbre import DIM, N_BINS, N_STATISTICS, SAMPLE_RATE, SPEC, WINDOW_LENGTH, StatisticsNet
from tests.conftest import tone

STEADY = math.sqrt(1e-5)  # the deviation of what does not change


@pytest.fixture
def network() -> StatisticsNet:
    torch.manual_seed(4)
    return StatisticsNet().eval()


@pytest.fixture
def noise(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(0, 0.1, (3, WINDOW_LENGTH)).astype(np.float32))


def heard(network: StatisticsNet, waveform: Tensor) -> Tensor:
    with torch.inference_mode():
        embedding: Tensor = network(waveform)[0]
    return embedding


def test_a_steady_flat_spectrum_has_no_statistics(network: StatisticsNet) -> None:
    found = network.statistics(torch.full((2, N_BINS, 7), -31.0))
    assert found.shape == (2, N_STATISTICS) == (2, 6 * 174)
    torch.testing.assert_close(found[:, : 2 * N_BINS], torch.zeros(2, 2 * N_BINS))
    torch.testing.assert_close(found[:, 2 * N_BINS :], torch.full((2, 4 * N_BINS), STEADY))


def test_statistics_of_one_steady_partial_by_hand(network: StatisticsNet) -> None:
    """174 dB in one of 174 bins: 1 dB in the mean, so 17.3 there and −0.1 elsewhere, in tens of dB."""
    features = torch.zeros(1, N_BINS, 5)
    features[:, 80] = 174
    level, partials, *still = network.statistics(features)[0].split(N_BINS)
    expected = torch.full((N_BINS,), -0.1)
    expected[80] = 17.3
    torch.testing.assert_close(level, expected)
    above = torch.zeros(N_BINS)
    above[80] = 17.3 - (17.3 - 24 * 0.1) / 25  # the octave around it has 25 bins
    torch.testing.assert_close(partials, above, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(torch.cat(still), torch.full((4 * N_BINS,), STEADY))


def test_deviation_and_change_of_a_beat_by_hand(network: StatisticsNet) -> None:
    """All bins but one swing by ±5 dB against the mean: deviation of four frames, and steps of 10 dB."""
    features = torch.zeros(1, N_BINS, 4)
    features[:, : N_BINS // 2] = torch.tensor([5.0, -5.0, 5.0, -5.0])
    features[:, N_BINS // 2 :] = torch.tensor([-5.0, 5.0, -5.0, 5.0])
    parts = network.statistics(features)[0].split(N_BINS)
    torch.testing.assert_close(parts[0], torch.zeros(N_BINS))
    torch.testing.assert_close(parts[2], torch.full((N_BINS,), math.sqrt(0.25 * 4 / 3 + 1e-5)))  # unbiased
    torch.testing.assert_close(parts[4], torch.full((N_BINS,), math.sqrt(1 + 1e-5)))


def test_what_is_far_below_the_mean_counts_as_fifty_below(network: StatisticsNet) -> None:
    features = torch.zeros(1, N_BINS, 3)
    features[:, 0] = -1000
    level = network.statistics(features)[0, :N_BINS]
    assert level[0] == pytest.approx(-5)


def test_statistics_are_standardised(network: StatisticsNet, noise: Tensor) -> None:
    features = network.features(noise)
    plain = network.statistics(features)
    network.mean.copy_(plain.mean(dim=0))
    network.deviation.fill_(4.0)
    torch.testing.assert_close(network.statistics(features), (plain - plain.mean(dim=0)) / 4)


def test_a_volume_changes_nothing(network: StatisticsNet, noise: Tensor) -> None:
    loud = heard(network, noise)
    torch.testing.assert_close(heard(network, 0.05 * noise), loud, rtol=1e-3, atol=1e-3)


def test_a_transposed_tone_is_another(network: StatisticsNet) -> None:
    step = 2 ** (1 / 12)
    low, again, high = (
        heard(network, torch.from_numpy(gain * tone(hz, 3, sample_rate=SAMPLE_RATE))[None])
        for hz, gain in ((220.0, 1), (220.0, 0.9), (220.0 * step, 1))
    )
    assert (low - high).norm() > 20 * (low - again).norm()


def test_features_and_encoding_are_the_network(network: StatisticsNet, noise: Tensor) -> None:
    features = network.features(noise)
    assert features.shape == (3, N_BINS, 1 + WINDOW_LENGTH // 2048)
    embedding, logits = network.encode(features)
    assert torch.equal(embedding, network(noise)[0])
    assert embedding.shape == (3, DIM)
    assert logits.shape == (3, 0)
    assert SPEC.tags == ()


def test_an_embedding_does_not_depend_on_the_batch_size(network: StatisticsNet, noise: Tensor) -> None:
    encoder = Encoder(SPEC, network, version="timbre-0", device=torch.device("cpu"))
    together, alone = (encoder.encode(noise.numpy(), batch_size=size).embeddings for size in (3, 1))
    np.testing.assert_allclose(together, alone, atol=1e-4)
