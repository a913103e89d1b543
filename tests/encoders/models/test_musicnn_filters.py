"""MusiCNN's filters as products of matrices against convolutions, and what it hears at other rates."""

import zipfile
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.checkpoints.files import load_into, read_checkpoint
from encoders.checkpoints.published import download_wheel
from encoders.media.decode import decode
from encoders.models.embeddings.musicnn import (
    N_FRAMES,
    N_MELS,
    SAMPLE_RATE,
    FrontBlock,
    LogMel,
    MusiCNN,
    ResidualBlock,
    TemporalBlock,
    TimbralBlock,
    released,
)
from tests.conftest import tone

Block = TypeVar("Block", bound=nn.Module)
FRONT = [(TimbralBlock, 38), (TimbralBlock, 67), (TemporalBlock, 128), (TemporalBlock, 64), (TemporalBlock, 32)]


@pytest.fixture(autouse=True)
def exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("encoders.models.embeddings.musicnn.product_type", lambda device: torch.float32)


@pytest.fixture
def features(rng: np.random.Generator) -> Tensor:
    """All bands of a frame are much alike, so that a filter's least response of them is often above zero."""
    level = rng.normal(0, 1, (2, N_FRAMES, 1)) + rng.normal(0, 0.1, (2, N_FRAMES, N_MELS))
    return torch.from_numpy(level.astype(np.float32))


def with_any_weights(block: Block) -> Block:
    """A block with random weights and statistics; its norm turns about half of the filters over."""
    generator = torch.Generator().manual_seed(5)
    filled = {
        key: torch.rand(tensor.shape, generator=generator) + 0.5
        if key == "norm.running_var"
        else torch.randn(tensor.shape, generator=generator)
        for key, tensor in block.state_dict().items()
        if tensor.is_floating_point()
    }
    load_into(block, {**block.state_dict(), **filled})
    scale = block.get_parameter("norm.weight")
    assert 0 < int((scale < 0).sum()) < len(scale)
    return block.eval()


def plain(block: FrontBlock, features: Tensor) -> Tensor:
    """As published: a convolution, ReLU and the norm of every response, then the largest over mels."""
    length = block.conv.kernel_size[0]
    around = (0, 0, (length - 1) // 2, length // 2)  # "same" along time, "valid" along mels
    response = F.conv2d(F.pad(features[:, None], around), block.conv.weight, block.conv.bias)
    norm = block.norm
    responses = F.batch_norm(
        F.relu(response), norm.running_mean, norm.running_var, norm.weight, norm.bias, training=False, eps=norm.eps
    )
    return responses.amax(dim=3)


@pytest.mark.parametrize("frames", [N_FRAMES, 64, 3])
@pytest.mark.parametrize(("kind", "size"), FRONT)
def test_a_product_of_matrices_is_the_convolution(
    kind: type[TimbralBlock | TemporalBlock], size: int, frames: int, features: Tensor
) -> None:
    block = with_any_weights(kind(size))
    with torch.inference_mode():
        found, expected = block(features[:, :frames]), plain(block, features[:, :frames])
    assert found.shape == (2, len(block.conv.weight), frames)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
    turned = block.norm.weight < 0
    for some in (turned, ~turned):
        assert float((expected[:, some].std(dim=2) > 0).float().mean()) > 0.5


@pytest.mark.parametrize(("kind", "size"), FRONT)
def test_a_deaf_filter_says_what_it_would_say_of_anything(
    kind: type[TimbralBlock | TemporalBlock], size: int, features: Tensor
) -> None:
    block = with_any_weights(kind(size))
    deaf = torch.arange(len(block.conv.weight)) % 3 > 0
    with torch.no_grad():
        block.conv.weight[deaf] *= 1e-9
        found, expected = block(features), plain(block, features)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
    assert float(found[:, deaf].std(dim=2).max()) == 0
    assert float(found[:, ~deaf].std(dim=2).min()) > 0
    assert len(torch.unique(found[0, deaf, 0])) > 1  # by its bias and norm


def test_a_deaf_filter_of_the_middle_says_the_same_as_well(rng: np.random.Generator) -> None:
    block = with_any_weights(ResidualBlock(64))
    features = torch.from_numpy(rng.normal(0, 1, (2, 64, N_FRAMES)).astype(np.float32))
    with torch.no_grad():
        block.conv.weight[::2] *= 1e-9
        found, expected = block(features), block.norm(F.relu(block.conv(features)))
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-3)
    assert float(found[:, ::2].std(dim=2).max()) == 0


@pytest.fixture(scope="module")
def network(weights_dir: Path) -> MusiCNN:
    loaded = MusiCNN().eval()
    load_into(loaded, read_checkpoint(weights_dir / "musicnn.safetensors"))
    return loaded


def test_the_release_has_few_filters_that_hear(network: MusiCNN, features: Tensor) -> None:
    blocks: list[FrontBlock] = [*network.timbral, *network.temporal]  # type: ignore[list-item]
    with torch.inference_mode():
        said = torch.cat([block(features) for block in blocks], dim=1)
    assert said.shape[1] == 561
    assert int((said.std(dim=2) == 0).all(dim=0).sum()) == 497


def test_the_release_comes_with_its_licence(weights_dir: Path) -> None:
    tensors, license_text = released("MTT_musicnn")
    kept = read_checkpoint(weights_dir / "musicnn-mtt.safetensors")
    assert tensors.keys() == kept.keys()
    assert all(torch.equal(tensor, kept[key]) for key, tensor in tensors.items())
    assert "Permission to use, copy, modify" in license_text


@pytest.mark.parametrize("sample_rate", [22_050, 44_100])
def test_a_tone_is_as_loud_at_any_rate(sample_rate: int) -> None:
    """To a decibel, in every band that it or an overtone is in: the bins of the FFT do not lie quite alike."""
    heard = []
    for rate in (SAMPLE_RATE, sample_rate):
        log_mel = LogMel(rate)
        waveform = torch.from_numpy(tone(440, 3, sample_rate=rate))[None]
        found = log_mel(waveform)
        assert found.shape == (1, 1 + (3 * rate - log_mel.n_fft) // log_mel.hop_length, N_MELS)
        heard.append(found[0].mean(dim=0))
    strong = heard[0] > 3
    assert 3 <= int(strong.sum()) < N_MELS
    torch.testing.assert_close(heard[1][strong], heard[0][strong], rtol=0, atol=0.1)


def embedding_at(network: MusiCNN, sample_rate: int, waveform: NDArray[np.float32]) -> Tensor:
    """Mean over windows beside each other."""
    log_mel = LogMel(sample_rate)(torch.from_numpy(waveform)[None])[0]
    windows = log_mel[: len(log_mel) // N_FRAMES * N_FRAMES].view(-1, N_FRAMES, N_MELS)
    with torch.inference_mode():
        return network.encode(windows)[0].mean(dim=0)


def test_music_is_the_same_at_22_khz(network: MusiCNN, tmp_path: Path) -> None:
    wheel = download_wheel(
        "immich-memories-music==0.1.0", "1b702f617250ed8ffe3dc2bba4d2105f842b6d5da08e8ff9a10110f54b7bd06a", tmp_path
    )
    kinds = {}
    with zipfile.ZipFile(wheel) as archive:
        for kind in ("calm_acoustic_1.opus", "happy_electronic_2.opus"):
            [name] = [name for name in archive.namelist() if name.endswith(kind)]
            waveforms = decode(archive.read(name), sample_rates=[SAMPLE_RATE, 22_050]).waveforms
            kinds[kind] = [embedding_at(network, rate, waveforms[rate]) for rate in (SAMPLE_RATE, 22_050)]
    for low, high in kinds.values():
        assert float(F.cosine_similarity(low, high, dim=0)) >= 0.99
    calm, happy = (low for low, _ in kinds.values())
    assert float(F.cosine_similarity(calm, happy, dim=0)) < 0.95
