"""Weights on disk, and the encoder's promises: batch size, shapes, versions."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from encoders.checkpoints.files import save_weights
from encoders.checkpoints.sha256 import sha256_file, sha256_tensors
from encoders.encoder import PREPARATION, Encoder, marked
from encoders.errors import (
    CheckpointMismatchError,
    DeviceError,
    MissingWeightsError,
    NonFiniteError,
    ShapeError,
)
from encoders.loading import load_encoder, weights_file
from encoders.registry import encoder_spec
from encoders.spec import EncoderSpec


class Tiny(nn.Module):
    """A linear map of windows of 8 samples, and one of its output."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Linear(8, 5)
        self.tag = nn.Linear(5, 2)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        embedding = self.embed(waveform)
        return embedding, self.tag(embedding)


TINY = EncoderSpec(
    name="tiny",
    sample_rate=4,
    window_length=8,
    dim=5,
    build=Tiny,
    convert=dict,
    reference="of the tests",
    license="Apache-2.0",
    tags=("soft", "loud"),
)
COMPLETE = replace(TINY, complete=True)
PINNED = replace(TINY, sha256="f" * 64)
NAME = f"{__name__}:TINY"


@pytest.fixture
def tiny_weights(tmp_path: Path) -> Path:
    torch.manual_seed(3)
    save_weights(tmp_path / "tiny.safetensors", Tiny().state_dict(), {})
    return tmp_path


@pytest.fixture
def tiny(tiny_weights: Path) -> Encoder:
    return load_encoder(NAME, weights_dir=tiny_weights, device="cpu")


def test_a_complete_network_needs_no_file_and_its_version_names_its_tensors(tmp_path: Path) -> None:
    versions = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        versions.append(load_encoder(f"{__name__}:COMPLETE", weights_dir=tmp_path).version)
    assert versions[0] == versions[1] != versions[2]
    torch.manual_seed(3)
    assert versions[0] == marked(f"tiny-{sha256_tensors(Tiny().state_dict())[:12]}")


def test_ones_own_weights_go_before_those_that_are_shipped(
    tmp_path: Path, tiny_weights: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("encoders.registry.SHIPPED_WEIGHTS", tmp_path / "shipped")
    save_weights(tmp_path / "shipped" / "tiny.safetensors", Tiny().state_dict(), {"from": "us"})
    (tmp_path / "none").mkdir()
    assert weights_file(TINY, tmp_path / "none") == tmp_path / "shipped" / "tiny.safetensors"
    assert weights_file(TINY, tiny_weights) == tiny_weights / "tiny.safetensors"
    own, shipped = (load_encoder(NAME, weights_dir=folder).version for folder in (tiny_weights, tmp_path / "none"))
    assert own == marked(f"tiny-{sha256_file(tiny_weights / 'tiny.safetensors')[:12]}")
    assert shipped == marked(f"tiny-{sha256_file(tmp_path / 'shipped' / 'tiny.safetensors')[:12]}") != own


def test_ones_own_weights_may_lie_under_the_name_that_the_encoder_had(tmp_path: Path) -> None:
    former, spec = tmp_path / "clmr.safetensors", encoder_spec("timbre")
    save_weights(former, spec.build().state_dict(), {"encoder": "clmr"})
    assert load_encoder("timbre", weights_dir=tmp_path).version == marked(f"timbre-{sha256_file(former)[:12]}")
    save_weights(spec.weights_in(tmp_path), spec.build().state_dict(), {})
    assert weights_file(spec, tmp_path) == tmp_path / "timbre.safetensors"


def test_weights_in_half_precision_give_an_encoder_in_single(tmp_path: Path, rng: np.random.Generator) -> None:
    network = Tiny()
    save_weights(tmp_path / "tiny.safetensors", {k: v.half() for k, v in network.state_dict().items()}, {})
    windows = rng.standard_normal((6, 8)).astype(np.float32)
    halved = load_encoder(NAME, weights_dir=tmp_path, device="cpu").encode(windows)
    original = Encoder(TINY, network, version="", device=torch.device("cpu")).encode(windows)
    np.testing.assert_allclose(halved.embeddings, original.embeddings, atol=5e-3)
    assert not np.array_equal(halved.embeddings, original.embeddings)


def test_no_weights_are_drawn_that_others_replace(tiny_weights: Path) -> None:
    before = torch.random.get_rng_state()
    load_encoder(NAME, weights_dir=tiny_weights)
    assert torch.equal(torch.random.get_rng_state(), before)
    Tiny()
    assert not torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize("cpu_batch_size", [1, 3])
def test_a_cpu_takes_as_many_windows_as_the_spec_says(cpu_batch_size: int) -> None:
    sizes: list[int] = []

    class Counting(Tiny):
        def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
            sizes.append(len(waveform))
            return super().forward(waveform)

    spec = replace(TINY, cpu_batch_size=cpu_batch_size)
    Encoder(spec, Counting(), version="", device=torch.device("cpu")).encode(np.zeros((7, 8), np.float32))
    assert max(sizes) == cpu_batch_size
    assert sum(sizes) == 7


def test_missing_weights_say_which_command_gets_them(tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="soundalike weights fetch musicnn"):
        load_encoder("musicnn", weights_dir=tmp_path)
    with pytest.raises(MissingWeightsError, match="soundalike weights import clmr-samplecnn FILE"):
        load_encoder("clmr-samplecnn", weights_dir=tmp_path)


def test_the_version_names_the_weights_and_how_sound_is_prepared(tiny: Encoder, tiny_weights: Path) -> None:
    assert tiny.version == f"tiny-{sha256_file(tiny_weights / 'tiny.safetensors')[:12]}-{PREPARATION}"
    assert tiny.spec is TINY
    save_weights(tiny_weights / "tiny.safetensors", Tiny().state_dict(), {"other": "file"})
    assert load_encoder(NAME, weights_dir=tiny_weights).version != tiny.version


def test_an_encoder_hears_as_it_did_where_a_version_says_so(tiny: Encoder) -> None:
    waveform = np.tile(np.float32([0.01, -0.01]), 8_000)
    former = tiny.of_version(tiny.version.removesuffix(f"-{PREPARATION}"))
    assert former.version != tiny.version
    np.testing.assert_array_equal(former.segment(waveform).windows.ravel(), waveform)
    assert np.abs(tiny.segment(waveform).windows).max() > 0.1
    windows = tiny.segment(waveform).windows
    np.testing.assert_array_equal(former.encode(windows).embeddings, tiny.encode(windows).embeddings)
    for other in (tiny.version, "tiny-0123456789ab", f"{tiny.version}-l16", ""):
        assert tiny.of_version(other) is tiny


def test_pinned_weights_must_have_their_hash(tiny_weights: Path) -> None:
    found = sha256_file(tiny_weights / "tiny.safetensors")
    with pytest.raises(CheckpointMismatchError, match=f"{found}.*pinned to {'f' * 64}"):
        load_encoder(f"{__name__}:PINNED", weights_dir=tiny_weights)


def test_a_saved_network_encodes_as_before(tmp_path: Path, rng: np.random.Generator) -> None:
    network = Tiny()
    save_weights(tmp_path / "tiny.safetensors", network.state_dict(), {})
    windows = rng.standard_normal((6, 8)).astype(np.float32)
    loaded = load_encoder(NAME, weights_dir=tmp_path, device="cpu").encode(windows)
    original = Encoder(TINY, network, version="", device=torch.device("cpu")).encode(windows)
    np.testing.assert_array_equal(loaded.embeddings, original.embeddings)
    np.testing.assert_array_equal(loaded.tag_scores, original.tag_scores)


def test_an_encoding_does_not_depend_on_the_batch(tiny: Encoder, rng: np.random.Generator) -> None:
    windows = rng.standard_normal((11, 8)).astype(np.float32)
    whole = tiny.encode(windows)
    assert whole.embeddings.shape == (11, 5)
    assert whole.tag_scores.shape == (11, 2)
    assert whole.embeddings.dtype == whole.tag_scores.dtype == np.float32
    for batch_size in (1, 4, 11, 100):
        encoding = tiny.encode(windows, batch_size=batch_size)
        np.testing.assert_allclose(encoding.embeddings, whole.embeddings, atol=1e-6)
        np.testing.assert_allclose(encoding.tag_scores, whole.tag_scores, atol=1e-6)


def test_tag_scores_are_probabilities(tiny: Encoder, rng: np.random.Generator) -> None:
    scores = tiny.encode(1000 * rng.standard_normal((50, 8)).astype(np.float32)).tag_scores
    assert scores.min() >= 0
    assert scores.max() <= 1


def test_no_windows_give_empty_arrays(tiny: Encoder) -> None:
    encoding = tiny.encode(np.empty((0, 8), np.float32))
    assert encoding.embeddings.shape == (0, 5)
    assert encoding.tag_scores.shape == (0, 2)


def test_read_only_windows_are_fine(tiny: Encoder) -> None:
    windows = np.lib.stride_tricks.sliding_window_view(np.arange(32, dtype=np.float32), 8)[::8]
    np.testing.assert_allclose(tiny.encode(windows).embeddings, tiny.encode(windows.copy()).embeddings, atol=1e-5)


@pytest.mark.parametrize("shape", [(8,), (2, 7), (2, 9), (1, 2, 8)])
def test_windows_of_another_shape_are_refused(tiny: Encoder, shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"tiny takes windows of shape \[n, 8\], not \["):
        tiny.encode(np.zeros(shape, np.float32))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_windows_that_are_not_finite_are_refused(tiny: Encoder, value: float) -> None:
    with pytest.raises(NonFiniteError, match="tiny"):
        tiny.encode(np.full((2, 8), value, np.float32))


def test_one_encoder_serves_several_threads(tiny: Encoder, rng: np.random.Generator) -> None:
    inputs = [rng.standard_normal((5, 8)).astype(np.float32) for _ in range(20)]
    with ThreadPoolExecutor(4) as pool:
        for windows, encoding in zip(inputs, pool.map(tiny.encode, inputs), strict=True):
            np.testing.assert_array_equal(encoding.embeddings, tiny.encode(windows).embeddings)


def test_an_impossible_device_is_named(tiny_weights: Path) -> None:
    for device in ("no such device", "cuda:99"):
        with pytest.raises(DeviceError, match=device):
            load_encoder(NAME, weights_dir=tiny_weights, device=device)


def test_auto_takes_the_gpu_where_there_is_one(tiny_weights: Path) -> None:
    expected = "cuda" if torch.cuda.is_available() else "cpu"
    assert load_encoder(NAME, weights_dir=tiny_weights).device.type == expected


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cpu_and_gpu_agree(tiny_weights: Path, rng: np.random.Generator) -> None:
    windows = rng.standard_normal((40, 8)).astype(np.float32)
    here, there = (load_encoder(NAME, weights_dir=tiny_weights, device=device) for device in ("cpu", "cuda"))
    np.testing.assert_allclose(there.encode(windows).embeddings, here.encode(windows).embeddings, atol=1e-3)
