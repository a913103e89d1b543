"""Two encoders as one: unit-length parts, a cosine that is the mean of both, tags of the tagger."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.models.embeddings import tagging, timbre
from encoders.models.embeddings.soundalike import SPEC, TAGGER_WEIGHT, WINDOW_LENGTH, Part, Soundalike

SOUND = slice(0, timbre.DIM)
WORDS = slice(timbre.DIM, None)


@pytest.fixture
def network() -> Soundalike:
    torch.manual_seed(6)
    return Soundalike().eval()


@pytest.fixture
def windows(rng: np.random.Generator) -> Tensor:
    return torch.from_numpy(rng.normal(0, [[0.1], [0.3]], (2, WINDOW_LENGTH)).astype(np.float32))


class Fixed(nn.Module):
    """Always hears the same."""

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        return torch.tensor([[4.0, 8.0]]), torch.tensor([[0.5]])


def test_a_part_by_hand() -> None:
    """(4, 8) less its mean (1, 0) is (3, 8); by the scale (1, 2) that is (3, 4), of length 5."""
    part = Part(Fixed(), 2)
    part.mean.copy_(torch.tensor([1.0, 0.0]))
    part.scale.copy_(torch.tensor([1.0, 2.0]))
    embedding, logits = part(torch.zeros(1, 10))
    torch.testing.assert_close(embedding, torch.tensor([[0.6, 0.8]]))
    assert logits.tolist() == [[0.5]]


def test_both_parts_have_their_length_and_the_tags_are_the_taggers(network: Soundalike, windows: Tensor) -> None:
    with torch.inference_mode():
        embedding, logits = network(windows)
        _, expected = network.tagging.network(windows)
    assert embedding.shape == (2, SPEC.dim) == (2, 320)
    torch.testing.assert_close(embedding[:, SOUND].norm(dim=1), torch.ones(2))
    torch.testing.assert_close(embedding[:, WORDS].norm(dim=1), torch.full((2,), TAGGER_WEIGHT))
    assert torch.equal(logits, expected)
    assert SPEC.tags == tagging.STUDENT_SPEC.tags


def test_a_cosine_is_the_weighted_mean_of_both(network: Soundalike, windows: Tensor) -> None:
    with torch.inference_mode():
        network.tagging.mean.copy_(network.tagging.network(windows)[0].mean(dim=0))
        first, second = network(windows)[0]
        parts = [part(windows)[0] for part in (network.timbre, network.tagging)]
    sound, words = (float(F.cosine_similarity(*part, dim=0)) for part in parts)
    expected = (sound + TAGGER_WEIGHT**2 * words) / (1 + TAGGER_WEIGHT**2)
    assert float(F.cosine_similarity(first, second, dim=0)) == pytest.approx(expected, abs=1e-5)
    assert words == pytest.approx(-1)  # two windows lie on either side of their mean
    assert sound > 0.5


def test_what_a_file_holds_is_what_centres(network: Soundalike) -> None:
    state = network.state_dict()
    for part, spec in (("clmr", timbre.SPEC), ("tagging", tagging.STUDENT_SPEC)):
        assert state[f"{part}.mean"].shape == state[f"{part}.scale"].shape == (spec.dim,)
    assert (SPEC.sample_rate, SPEC.window_length) == (timbre.SPEC.sample_rate, timbre.SPEC.window_length)
