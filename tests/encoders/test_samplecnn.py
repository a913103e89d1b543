"""CLMR's network and the three formats in which its weights are published."""

import argparse
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from encoders.errors import CheckpointMismatchError
from encoders.loading import import_checkpoint, load_encoder
from encoders.models.embeddings.samplecnn import DIM, SPEC, WINDOW_LENGTH, SampleCNN, convert


@pytest.fixture
def network() -> SampleCNN:
    torch.manual_seed(1)
    network = SampleCNN()
    for name, buffer in network.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    return network.eval()


@pytest.fixture
def windows(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-1, 1, (2, WINDOW_LENGTH)).astype(np.float32)


def test_size_and_layer_names_are_the_published_ones() -> None:
    network = SampleCNN()
    assert sum(parameter.numel() for parameter in network.parameters()) == 2_368_512  # "2.37 M"
    layers = {key.rpartition(".")[0] for key in network.state_dict()}
    assert layers == {f"sequential.{block}.{part}" for block in range(11) for part in (0, 1)}


def test_eleven_blocks_leave_one_vector(network: SampleCNN, windows: np.ndarray) -> None:
    with torch.inference_mode():
        embedding, logits = network(torch.tensor(windows))
    assert embedding.shape == (2, DIM)
    assert logits.shape == (2, 0)
    assert SPEC.tags == ()
    assert (embedding >= 0).all()  # the last layer is a ReLU


def published(network: SampleCNN, form: str) -> dict[str, object]:
    state = network.state_dict()
    extra: dict[str, Tensor] = {"fc.weight": torch.zeros(50, 512), "fc.bias": torch.zeros(50)}
    if form == "bare":
        return {**state, **extra}
    flat = {f"encoder.{key}": value for key, value in state.items()}
    if form == "flat":
        return {**flat, **{f"encoder.{key}": value for key, value in extra.items()}}
    wrong = {key: torch.full_like(value, 7) for key, value in flat.items()}
    projector = {"model.projector.0.weight": torch.ones(512, 512), "model.projector.2.weight": torch.ones(64, 512)}
    return {
        "epoch": 9999,
        "pytorch-lightning_version": "1.0.8",
        "state_dict": {**wrong, **{f"model.{key}": value for key, value in flat.items()}, **projector},
        "hparams_name": "hparams",
        "hyper_parameters": argparse.Namespace(batch_size=48, temperature=0.5, dataset="magnatagatune"),
    }


@pytest.mark.parametrize("form", ["lightning", "flat", "bare"])
def test_a_published_checkpoint_gives_its_network(
    form: str, network: SampleCNN, windows: np.ndarray, tmp_path: Path
) -> None:
    source = tmp_path / "published.ckpt"
    torch.save(published(network, form), source)
    import_checkpoint(SPEC, source, tmp_path)
    encoding = load_encoder("clmr-samplecnn", weights_dir=tmp_path, device="cpu").encode(windows)
    with torch.inference_mode():
        expected = network(torch.tensor(windows))[0].numpy()
    np.testing.assert_allclose(encoding.embeddings, expected, atol=1e-5)
    assert encoding.tag_scores.shape == (2, 0)


def test_an_embedding_does_not_depend_on_the_batch_size(
    network: SampleCNN, windows: np.ndarray, tmp_path: Path
) -> None:
    torch.save(network.state_dict(), tmp_path / "bare.pt")
    import_checkpoint(SPEC, tmp_path / "bare.pt", tmp_path)
    encoder = load_encoder("clmr-samplecnn", weights_dir=tmp_path, device="cpu")
    alone = encoder.encode(windows, batch_size=1).embeddings
    np.testing.assert_allclose(encoder.encode(windows, batch_size=2).embeddings, alone, atol=1e-5)


def test_another_checkpoint_is_refused() -> None:
    with pytest.raises(CheckpointMismatchError, match=r"not a CLMR checkpoint: .*\['conv1\.weight'\]"):
        convert({"conv1.weight": torch.ones(3)})
