"""Timbre's map and MusiCNN as one: a cosine that is the weighted mean of both, tags of what MusiCNN hears."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from encoders.checkpoints.files import load_into
from encoders.encoder import Encoder
from encoders.models.embeddings import musicnn, timbre
from encoders.models.embeddings.ear import DIM, SPEC, TIMBRE_DIM, WINDOW_LENGTH, Ear, joined, own
from encoders.tag_vocabulary import TAGS

SOUND = slice(0, TIMBRE_DIM)
KIND = slice(TIMBRE_DIM, None)
SHARE = 0.36


@pytest.fixture
def network() -> Ear:
    """Untrained; what MusiCNN hears is centred on no music, and counts for 0.36."""
    torch.manual_seed(6)
    network = Ear().eval()
    with torch.no_grad():
        network.musicnn.embedding_norm.bias.normal_()
        network.offset.normal_()
        network.share.fill_(SHARE)
    return network


@pytest.fixture
def windows(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(0, [[0.1], [0.3], [0.01]], (3, WINDOW_LENGTH)).astype(np.float32))


def test_shapes_lengths_and_tags(network: Ear, windows: Tensor) -> None:
    with torch.inference_mode():
        embedding, logits = network(windows)
        tags = network.tags(network.kind(windows))
    assert embedding.shape == (3, DIM) == (3, SPEC.dim) == (3, 392)
    torch.testing.assert_close(embedding.norm(dim=1), torch.ones(3))
    torch.testing.assert_close(embedding[:, KIND].norm(dim=1), torch.full((3,), SHARE**0.5))
    assert logits.shape == (3, len(TAGS)) == (3, len(SPEC.tags))
    torch.testing.assert_close(logits, tags)


def test_a_cosine_is_the_weighted_mean_of_both(network: Ear, windows: Tensor) -> None:
    with torch.inference_mode():
        embedding = network(windows)[0]
        sound = F.normalize(network.timbre(windows)[0], dim=1)
        kind = F.normalize(network.kind(windows) - network.offset, dim=1)
    expected = (1 - SHARE) * sound @ sound.T + SHARE * kind @ kind.T
    torch.testing.assert_close(embedding @ embedding.T, expected)
    assert float((sound @ sound.T - kind @ kind.T).abs().max()) > 0.02  # or any mean would do


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_joined_by_hand(share: float) -> None:
    """(3, 4) and (0, 5) have a cosine of 0.8; (1, 0, 0) and (0, 0, 2) have none."""
    first = joined(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.0, 0.0, 0.0]]), torch.tensor(share))
    second = joined(torch.tensor([[0.0, 5.0]]), torch.tensor([[0.0, 0.0, 2.0]]), torch.tensor(share))
    assert first.shape == (1, 5)
    assert float(first.norm()) == pytest.approx(1)
    assert float((first * second).sum()) == pytest.approx(0.8 * (1 - share))


def test_musicnn_hears_its_own_windows_side_by_side(network: Ear, windows: Tensor) -> None:
    log_mel = network.musicnn.log_mel(windows)
    frames = musicnn.N_FRAMES
    number = log_mel.shape[1] // frames
    assert number == 3
    with torch.inference_mode():
        kind = network.kind(windows)
        parts = [network.musicnn.encode(log_mel[:, i * frames : (i + 1) * frames])[0] for i in range(number)]
    torch.testing.assert_close(kind, torch.stack(parts).mean(dim=0), atol=1e-3, rtol=1e-3)
    assert float((kind - parts[0]).abs().max()) > 0.01


def test_an_embedding_does_not_depend_on_the_batch_size(network: Ear, windows: Tensor) -> None:
    encoder = Encoder(SPEC, network, version="ear-0", device=torch.device("cpu"))
    together, alone = (encoder.encode(windows.numpy(), batch_size=size) for size in (3, 1))
    np.testing.assert_allclose(together.embeddings, alone.embeddings, atol=1e-4)
    np.testing.assert_allclose(together.tag_scores, alone.tag_scores, atol=1e-4)


def test_what_is_ours_and_musicnns_weights_are_all_of_it(network: Ear, windows: Tensor) -> None:
    ours = own(network.state_dict())
    assert {key.partition(".")[0] for key in ours} == {"timbre", "offset", "share", "tags"}
    theirs = {f"musicnn.{key}": tensor for key, tensor in network.musicnn.state_dict().items()}
    again = Ear().eval()
    load_into(again, {**ours, **theirs})
    with torch.inference_mode():
        assert torch.equal(again(windows)[0], network(windows)[0])
    assert (SPEC.sample_rate, SPEC.window_length) == (timbre.SPEC.sample_rate, timbre.SPEC.window_length)
