"""The Music Tagging Transformer's network, and its published checkpoints: teacher and compact student."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmarks.encoders.cosines import smallest_cosine
from encoders.encoder import Encoder
from encoders.errors import CheckpointMismatchError
from encoders.loading import import_checkpoint, load_encoder
from encoders.models.embeddings.tagging import (
    MSD_SPEC,
    MSD_STUDENT_SPEC,
    MSD_TAGS,
    SPEC,
    STUDENT_SPEC,
    WINDOW_LENGTH,
    FrontEnd,
    Size,
    TaggingTransformer,
)
from encoders.registry import encoder_spec
from encoders.spec import EncoderSpec
from encoders.tag_vocabulary import TAGS


def published_names() -> set[str]:
    """Parameters and buffers by the names of the released code, step counters left out."""
    norm = ("weight", "bias", "running_mean", "running_var")
    names = {"pos_embedding", "cls_token", "spec.spectrogram.window", "spec.mel_scale.fb"}
    names |= {f"frontend.input_bn.{part}" for part in norm}
    for layer, convolutions in ((1, 3), (2, 2), (3, 2)):
        for number in range(1, convolutions + 1):
            names |= {f"frontend.layer{layer}.conv_{number}.{part}" for part in ("weight", "bias")}
            names |= {f"frontend.layer{layer}.bn_{number}.{part}" for part in norm}
    affine = ["frontend.fc", "mlp_head.0", "mlp_head.1"]
    for layer in range(4):
        attention, perceptron = (f"transformer.layers.{layer}.{part}.fn" for part in (0, 1))
        names.add(f"{attention}.fn.to_qkv.weight")
        affine += [f"{attention}.norm", f"{attention}.fn.to_out.0"]
        affine += [f"{perceptron}.norm", f"{perceptron}.fn.net.0", f"{perceptron}.fn.net.3"]
    return names | {f"{module}.{part}" for module in affine for part in ("weight", "bias")}


@pytest.mark.parametrize(("spec", "dim", "millions"), [(MSD_SPEC, 256, 4.57), (MSD_STUDENT_SPEC, 64, 1.11)])
def test_size_is_the_published_one(spec: object, dim: int, millions: float) -> None:
    network = TaggingTransformer(Size(dim), 50)
    count = sum(parameter.numel() for parameter in network.parameters())
    assert count / 1e6 == pytest.approx(millions, abs=0.005)
    assert spec.dim == dim
    assert network.pos_embedding.shape == (1, 513, dim)


def test_names_are_the_published_ones() -> None:
    state = TaggingTransformer(Size(64), 50).state_dict()
    assert {key for key in state if not key.endswith("num_batches_tracked")} == published_names()


def test_tags_are_fifty_different_ones() -> None:
    assert len(set(MSD_TAGS)) == len(MSD_TAGS) == 50
    assert MSD_SPEC.tags == MSD_STUDENT_SPEC.tags == MSD_TAGS


@pytest.fixture
def network() -> TaggingTransformer:
    torch.manual_seed(2)
    network = TaggingTransformer(Size(64), 50)
    for name, buffer in network.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 1.5)
    network.spec.mel_scale.fb.mul_(1.5)  # to see that the checkpoint's own filters are used
    return network.eval()


@pytest.fixture
def windows(rng: np.random.Generator) -> np.ndarray:
    return rng.uniform(-1, 1, (2, WINDOW_LENGTH)).astype(np.float32)


def student_file(network: TaggingTransformer) -> dict[str, Tensor]:
    state = network.state_dict()
    return {f"network.{key}": value for key, value in state.items()} | {
        f"teacher_network.{key}": torch.zeros_like(value) for key, value in state.items()
    }


def test_a_published_student_gives_its_network(
    network: TaggingTransformer, windows: np.ndarray, tmp_path: Path
) -> None:
    torch.save(student_file(network), tmp_path / "compact_student.ckpt")
    import_checkpoint(encoder_spec("tagging-msd-student"), tmp_path / "compact_student.ckpt", tmp_path)
    encoder = load_encoder("tagging-msd-student", weights_dir=tmp_path, device="cpu")
    encoding = encoder.encode(windows, batch_size=2)
    with torch.inference_mode():
        embedding, logits = network(torch.tensor(windows))
    np.testing.assert_allclose(encoding.embeddings, embedding.numpy(), atol=1e-5)
    np.testing.assert_allclose(encoding.tag_scores, logits.sigmoid().numpy(), atol=1e-5)
    assert encoding.embeddings.shape == (2, 64)
    alone = encoder.encode(windows, batch_size=1)
    np.testing.assert_allclose(alone.embeddings, encoding.embeddings, atol=1e-5)


def test_a_student_is_no_teacher(network: TaggingTransformer, tmp_path: Path) -> None:
    torch.save(student_file(network), tmp_path / "compact_student.ckpt")
    with pytest.raises(
        CheckpointMismatchError, match=r"pos_embedding is \[1, 513, 64\], the network has \[1, 513, 256\]"
    ):
        import_checkpoint(encoder_spec("tagging-msd"), tmp_path / "compact_student.ckpt", tmp_path)


def test_attention_mixes_frames_by_content_and_position(network: TaggingTransformer, rng: np.random.Generator) -> None:
    frames = torch.tensor(rng.standard_normal((1, 7, 64)), dtype=torch.float32)
    order = torch.tensor([3, 1, 0, 6, 5, 2, 4])
    with torch.inference_mode():
        torch.testing.assert_close(
            network.transformer(frames[:, order]), network.transformer(frames)[:, order], rtol=1e-4, atol=1e-5
        )
        attention = network.transformer.layers[0][0].fn.fn
        query, key, value = (part.view(7, 8, 8) for part in attention.to_qkv(frames[0]).split(64, dim=1))
        weights = torch.einsum("ihd,jhd->hij", query, key).div(8**0.5).softmax(2)
        expected = attention.to_out(torch.einsum("hij,jhd->ihd", weights, value).reshape(7, 64))
        torch.testing.assert_close(attention(frames)[0], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("spec", "dim", "tolerance"), [(SPEC, 128, 1e-2), (STUDENT_SPEC, 64, 1e-4)])
def test_our_own_encodes_its_features_and_does_not_depend_on_the_batch(
    spec: EncoderSpec, dim: int, tolerance: float, windows: np.ndarray
) -> None:
    """By every path within a ten-thousandth of a cosine; the narrow one, which stays in float32, much nearer."""
    torch.manual_seed(2)
    network = spec.build().eval()
    with torch.inference_mode():
        features = network.features(torch.tensor(windows))
        embedding, logits = network.encode(features)
        alone = network(torch.tensor(windows))[0].numpy()
    assert features.shape == (2, 128, 1 + WINDOW_LENGTH // 512)
    assert embedding.shape == (2, dim) == (2, spec.dim)
    assert logits.shape == (2, len(TAGS))
    assert spec.tags == TAGS
    encoder = Encoder(spec, network, version="", device=torch.device("cpu"))
    encodings = [encoder.encode(windows, batch_size=batch_size) for batch_size in (1, 2)]
    for found in (alone, *(encoding.embeddings for encoding in encodings)):
        assert found.dtype == np.float32
        assert smallest_cosine(found, embedding.numpy()) >= 0.9999
        if tolerance < 1e-3:
            np.testing.assert_allclose(found, embedding.numpy(), atol=tolerance)
    for encoding in encodings:
        np.testing.assert_allclose(encoding.tag_scores, logits.sigmoid().numpy(), atol=tolerance)


def test_the_tag_layer_makes_the_logits(windows: np.ndarray) -> None:
    network = STUDENT_SPEC.build().eval()
    with torch.inference_mode():
        _, before = network(torch.tensor(windows))
        network.tag_layer().weight.mul_(2)
        network.tag_layer().bias.mul_(2).add_(1)
        _, after = network(torch.tensor(windows))
    torch.testing.assert_close(after, 2 * before + 1)


def test_our_own_front_end_takes_every_eighth_frame() -> None:
    front = FrontEnd(Size(64, (8, 16, 32), stride=2)).eval()
    with torch.inference_mode():
        assert front(torch.zeros(1, 1, 128, 431)).shape == (1, 54, 64)
