"""MusiCNN with its published weights: against numpy, and on music."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from safetensors.numpy import load_file

from encoders.checkpoints.published import download_wheel
from encoders.checkpoints.sha256 import sha256_file
from encoders.encoder import Encoder
from encoders.errors import CheckpointMismatchError
from encoders.loading import fetch_weights, load_encoder
from encoders.media.decode import decode
from encoders.media.segments import pool, segment
from encoders.models.embeddings.musicnn import (
    MSD_TAGS,
    MTT_SPEC,
    MTT_TAGS,
    N_FRAMES,
    SAMPLE_RATE,
    SPEC,
    WINDOW_LENGTH,
    MusiCNN,
    convert,
)
from encoders.registry import encoder_spec
from tests.encoders.test_frontend import slaney_mel

Array = NDArray[np.float64]


@pytest.fixture(scope="module")
def encoder(weights_dir: Path) -> Encoder:
    return load_encoder("musicnn", weights_dir=weights_dir, device="cpu")


@pytest.fixture
def windows(rng: np.random.Generator) -> NDArray[np.float32]:
    """Chords with noise."""
    time_s = np.arange(WINDOW_LENGTH) / SAMPLE_RATE
    chords = [sum(np.sin(2 * np.pi * root * ratio * time_s) for ratio in (1, 1.25, 1.5, 2)) for root in (110, 220, 330)]
    return (0.1 * np.stack(chords) + rng.normal(0, 0.01, (3, WINDOW_LENGTH))).astype(np.float32)


def test_size_and_shape() -> None:
    assert sum(parameter.numel() for parameter in MusiCNN().parameters()) == 787_159
    assert MusiCNN().log_mel(torch.zeros(1, WINDOW_LENGTH)).shape == (1, N_FRAMES, 96)
    for tags in (MSD_TAGS, MTT_TAGS):
        assert len(set(tags)) == len(tags) == 50


def test_fetching_again_needs_no_download(weights_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    assert SPEC.fetch is not None
    fetch_weights(SPEC, weights_dir)


def test_weights_fetched_under_another_name_are_found_by_it(tmp_path: Path, windows: NDArray[np.float32]) -> None:
    also = {"mine": "encoders.models.embeddings.musicnn:MTT_SPEC"}
    spec = encoder_spec("mine", also)
    assert spec.fetch is not None
    spec.fetch(spec.weights_in(tmp_path))
    encoder = load_encoder("mine", weights_dir=tmp_path, device="cpu", also=also)
    assert encoder.version.startswith("mine-")
    assert encoder.encode(windows[:1]).tag_scores.shape == (1, len(MTT_TAGS))


def test_the_other_head_is_fetched_from_the_same_release(tmp_path: Path, windows: NDArray[np.float32]) -> None:
    assert MTT_SPEC.fetch is not None
    path = tmp_path / "musicnn-mtt.safetensors"
    MTT_SPEC.fetch(path)
    assert sha256_file(path) == MTT_SPEC.sha256
    encoding = load_encoder("musicnn-mtt", weights_dir=tmp_path, device="cpu").encode(windows[:1])
    assert encoding.tag_scores.shape == (1, len(MTT_TAGS))


def test_altered_weights_are_refused(weights_dir: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(weights_dir / "musicnn.safetensors", tmp_path))
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointMismatchError, match="pinned"):
        load_encoder("musicnn", weights_dir=tmp_path)


def test_another_checkpoint_is_refused() -> None:
    with pytest.raises(CheckpointMismatchError, match="no variable 'batch_normalization/gamma'"):
        convert({"1CNN/kernel": torch.ones(3)})


def reference(weights: dict[str, NDArray[np.float32]], waveform: NDArray[np.float32]) -> tuple[Array, Array]:
    """The paper's network in float64 numpy, frame by frame as drawn: no folding, no views, no torch."""

    def norm(values: Array, name: str) -> Array:  # channels last
        scale = weights[f"{name}.weight"] / np.sqrt(weights[f"{name}.running_var"].astype(np.float64) + 1e-3)
        return (values - weights[f"{name}.running_mean"]) * scale + weights[f"{name}.bias"]

    def block(values: Array, name: str, left: int, right: int) -> Array:  # [frames, mels] → [frames, mels', channels]
        kernel = weights[f"{name}.conv.weight"].astype(np.float64)
        kernel = kernel[:, 0] if kernel.ndim == 4 else kernel.swapaxes(1, 2)
        patches = sliding_window_view(np.pad(values, ((left, right), (0, 0))), kernel.shape[1:])
        convolved = np.tensordot(patches, kernel, ([2, 3], [1, 2])) + weights[f"{name}.conv.bias"]
        return norm(np.maximum(convolved, 0), f"{name}.norm")

    features = norm(np.log10(10_000 * slaney_mel(waveform) + 1)[..., None], "input_norm")[..., 0]
    fronts = [block(features, f"timbral.{number}", 3, 3).max(1) for number in (0, 1)]
    for number, (left, right) in enumerate([(63, 64), (31, 32), (15, 16)]):
        fronts.append(block(features, f"temporal.{number}", left, right).max(1))
    front = np.concatenate(fronts, 1)
    first = block(front, "middle.0", 3, 3)[:, 0]
    second = block(first, "middle.1", 3, 3)[:, 0] + first
    third = block(second, "middle.2", 3, 3)[:, 0] + second
    dense = np.concatenate([front, first, second, third], 1)
    pooled = norm(np.stack([dense.max(0), dense.mean(0)], 1).ravel(), "pool_norm")
    hidden = np.maximum(weights["dense.weight"] @ pooled + weights["dense.bias"], 0)
    embedding = norm(hidden, "embedding_norm")
    return embedding, 1 / (1 + np.exp(-(weights["head.weight"] @ embedding + weights["head.bias"])))


def test_the_network_agrees_with_numpy(
    encoder: Encoder, weights_dir: Path, windows: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    weights = load_file(weights_dir / "musicnn.safetensors")
    embedding, scores = reference(weights, windows[0])
    fast = encoder.encode(windows[:1])
    monkeypatch.setattr("encoders.models.embeddings.musicnn.product_type", lambda device: torch.float32)
    exact = encoder.encode(windows[:1])
    np.testing.assert_allclose(exact.embeddings[0], embedding, atol=1e-4)
    np.testing.assert_allclose(exact.tag_scores[0], scores, atol=1e-5)
    # In bfloat16, where that is what is fast: over 51 windows of chords and music the least cosine to float32 was
    # 0.99989, and no score was off by more than 0.0044.
    centre = weights["embedding_norm.bias"]
    ours, theirs = fast.embeddings[0] - centre, embedding - centre
    assert ours @ theirs / np.linalg.norm(ours) / np.linalg.norm(theirs) >= 0.9995
    np.testing.assert_allclose(fast.tag_scores[0], scores, atol=0.005)


def test_an_encoding_does_not_depend_on_the_batch_size(encoder: Encoder, windows: NDArray[np.float32]) -> None:
    alone, together = (encoder.encode(windows, batch_size=batch_size) for batch_size in (1, 3))
    np.testing.assert_allclose(together.embeddings, alone.embeddings, atol=1e-5)
    np.testing.assert_allclose(together.tag_scores, alone.tag_scores, atol=1e-5)


def test_loud_music_stays_finite(encoder: Encoder) -> None:
    square = np.sign(np.sin(2 * np.pi * 100 * np.arange(WINDOW_LENGTH) / SAMPLE_RATE)).astype(np.float32)
    encoding = encoder.encode(8 * square[None])
    assert np.isfinite(encoding.embeddings).all()
    assert np.isfinite(encoding.tag_scores).all()


@pytest.fixture(scope="module")
def tracks(tmp_path_factory: pytest.TempPathFactory, encoder: Encoder) -> dict[str, tuple[Array, Array]]:
    """Pooled embedding and mean tag scores of generated music (MIT), 30 s each, by file name."""
    folder = tmp_path_factory.mktemp("music")
    wheel = download_wheel(
        "immich-memories-music==0.1.0", "1b702f617250ed8ffe3dc2bba4d2105f842b6d5da08e8ff9a10110f54b7bd06a", folder
    )
    tracks = {}
    with zipfile.ZipFile(wheel) as archive:
        for name in sorted(archive.namelist()):
            if name.endswith(("calm_acoustic_1.opus", "happy_acoustic_1.opus", "_electronic_2.opus")):
                waveform = decode(archive.read(name), sample_rates=[SAMPLE_RATE]).waveforms[SAMPLE_RATE]
                windows = segment(waveform, sample_rate=SAMPLE_RATE, window_length=WINDOW_LENGTH).windows
                encoding = encoder.encode(windows)
                tracks[Path(name).stem] = (pool(encoding.embeddings), encoding.tag_scores.mean(0))
    return tracks


@pytest.fixture
def mean_score(tracks: dict[str, tuple[Array, Array]]) -> Callable[[str, str], float]:
    def score(tag: str, kind: str) -> float:
        return float(np.mean([scores[MSD_TAGS.index(tag)] for name, (_, scores) in tracks.items() if kind in name]))

    return score


def test_music_gets_the_tags_it_should(mean_score: Callable[[str, str], float]) -> None:
    assert mean_score("electronic", "electronic") > 3 * mean_score("electronic", "acoustic")
    assert mean_score("folk", "acoustic") > 3 * mean_score("folk", "electronic")
    assert mean_score("acoustic", "acoustic") > 3 * mean_score("acoustic", "electronic")
    assert mean_score("metal", "acoustic") < 0.05


def test_music_of_one_kind_is_closer(tracks: dict[str, tuple[Array, Array]]) -> None:
    names = sorted(tracks)
    vectors = np.stack([tracks[name][0] for name in names])
    kinds = np.array(["electronic" in name for name in names])
    similarity = vectors @ vectors.T
    alike = (kinds[:, None] == kinds) & ~np.eye(len(names), dtype=bool)
    assert similarity[alike].mean() > similarity[kinds[:, None] != kinds].mean() + 0.1
