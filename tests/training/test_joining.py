"""`ear` out of its parts: the map, the offset and the tags, where the right answer is known, and on a tiny corpus."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from scipy.stats import spearmanr
from torch import Tensor, nn

from encoders.checkpoints.files import load_into, read_checkpoint
from encoders.encoder import Encoder
from encoders.errors import MissingWeightsError
from encoders.loading import load_network
from encoders.media.decoded import MediaLimits
from encoders.models.embeddings import ear, musicnn, timbre
from encoders.tag_vocabulary import TAGS
from encoders.training.corpus import decoded, prepare, read_corpus
from encoders.training.joining import fit_map, fit_tags, join_ear, offset_of
from encoders.training.loop import TrainingError
from encoders.training.noisy_student import thresholds
from encoders.training.pseudo_labels import PseudoLabels
from encoders.training.split import split
from tests.conftest import tone

TRACKS = 80


def both_halves(rng: np.random.Generator, noise: float) -> tuple[Tensor, Tensor]:
    """Statistics: what a track is lies in twenty of them, far from zero; forty others are loud noise."""
    scale = np.zeros(timbre.N_STATISTICS)
    scale[:20] = noise
    scale[20:60] = 30
    identity = np.zeros((TRACKS, timbre.N_STATISTICS))
    identity[:, :20] = np.random.default_rng(1).normal(7, 1, (TRACKS, 20))
    first, second = (identity + scale * rng.normal(size=identity.shape) for _ in range(2))
    return torch.from_numpy(first).float(), torch.from_numpy(second).float()


def found(first: Tensor, second: Tensor) -> float:
    nearest = torch.cdist(second, first).argmin(dim=1)
    return float((nearest == torch.arange(len(first))).float().mean())


def test_the_map_is_fitted_to_standardised_statistics_and_finds_other_halves(rng: np.random.Generator) -> None:
    clean, noisy = both_halves(rng, 0.02), both_halves(rng, 0.05)
    network = timbre.StatisticsNet(16).eval()
    fit_map(network, clean, noisy)
    everything = torch.cat([*clean, *noisy])
    torch.testing.assert_close(network.mean, everything.mean(dim=0))
    torch.testing.assert_close(network.deviation[:60], everything[:, :60].std(dim=0))
    assert bool((network.deviation[60:] == 1e-3).all())  # what never differs is not divided by zero
    with torch.inference_mode():
        heard = [network.head((half - network.mean) / network.deviation) for half in both_halves(rng, 0.05)]
    assert heard[0].shape == (TRACKS, 16)
    assert found(*both_halves(rng, 0.05)) < 0.3
    assert found(*heard) == 1.0
    with torch.inference_mode():
        centred = [network.head((half - network.mean) / network.deviation) for half in (clean[0], noisy[1])]
    torch.testing.assert_close(torch.cat(centred).mean(dim=0), torch.zeros(16), atol=1e-3, rtol=0)


def test_the_offset_lies_half_way() -> None:
    network = musicnn.MusiCNN()
    with torch.no_grad():
        network.embedding_norm.bias.copy_(torch.arange(200.0))
    kinds = torch.stack([torch.full((200,), 2.0), torch.full((200,), 4.0)])
    torch.testing.assert_close(offset_of(kinds, network), (3 + torch.arange(200.0)) / 2)


def test_tags_that_are_linear_in_the_embedding_rank_windows_as_the_labels_do(rng: np.random.Generator) -> None:
    """Also where dimensions are as unlike in size as MusiCNN's are; and 0.5 is where a tag counts as given."""
    number, dim = 600, 24
    size = np.geomspace(0.01, 10, dim)
    kinds = rng.normal(3, 1, (number, dim)) * size
    logits = (kinds / size - 3) @ rng.normal(0, 0.4, (dim, len(TAGS))) + rng.normal(-3, 1, len(TAGS))
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    labels = PseudoLabels(np.arange(number), np.zeros(number), scores)
    layer = nn.Linear(dim, len(TAGS))
    fit_tags(layer, torch.from_numpy(kinds).float(), labels)
    with torch.inference_mode():
        said = layer(torch.from_numpy(kinds).float()).numpy()
    given = scores >= thresholds(scores)
    for tag in range(len(TAGS)):
        assert spearmanr(said[:, tag], logits[:, tag]).statistic > 0.99
        assert ((said[:, tag] > 0) == given[:, tag]).mean() > 0.97


@pytest.fixture
def corpus(tmp_path: Path, write_wav: Callable[..., Path]) -> Path:
    """Six tracks of 21 s and one of 7 s, of two groups; each swells between chords of its own."""
    rng = np.random.default_rng(5)
    for number in range(7):
        seconds = 7 if number == 6 else 21
        swell = 0.5 + 0.5 * np.sin(np.arange(seconds * 16_000) / 4_000)
        low, high = (tone(hz * 2 ** (number / 5), seconds) for hz in (130, 310))
        noisy = (0.5 * (low * swell + high * (1 - swell)) + rng.normal(0, 0.01, len(swell))).astype(np.float32)
        write_wav(tmp_path / "music" / ("second" if number == 5 else "first") / f"{number}.wav", noisy)
    sources = [(f"{path.parent.name}/{path.name}", path) for path in sorted((tmp_path / "music").rglob("*.wav"))]
    assert all(done.track for done in prepare(sources, tmp_path / "corpus", limits=MediaLimits()))
    return tmp_path / "corpus"


def test_ear_is_joined_and_finds_tracks_and_tags_them(corpus: Path, weights_dir: Path, tmp_path: Path) -> None:
    parts = split(corpus, ["second"])
    path = join_ear(parts, tmp_path / "out", seed=0, weights_dir=weights_dir)
    assert path == tmp_path / "out" / "ear-own.safetensors"
    with safetensors.safe_open(path, "pt") as file:
        metadata = file.metadata()
    assert (metadata["encoder"], metadata["held_out"]) == ("ear", "second")
    ours = read_checkpoint(path)
    assert ours.keys() == ear.own(ear.Ear().state_dict()).keys()
    assert all(bool(tensor.isfinite().all()) for tensor in ours.values())
    assert float(ours["share"]) == pytest.approx(ear.MUSICNN_SHARE, abs=1e-3)  # in half precision

    msd, _ = load_network(musicnn.SPEC, weights_dir)
    network = ear.Ear()
    load_into(network, {**ours, **{f"musicnn.{key}": tensor for key, tensor in msd.state_dict().items()}})
    encoder = Encoder(ear.SPEC, network, version="ear-0", device=torch.device("cpu"))
    long = [track for track in read_corpus(corpus) if track.duration_s > 20]
    windows = [encoder.segment(decoded(corpus, track, sample_rate=ear.SAMPLE_RATE)).windows[:2] for track in long]
    encoding = encoder.encode(np.concatenate(windows))
    cosines = encoding.embeddings[1::2] @ encoding.embeddings[::2].T
    assert cosines.argmax(axis=1).tolist() == list(range(6))  # also of the one that is held out
    assert encoding.tag_scores.std(axis=0).min() > 0

    with torch.inference_mode():
        heard = torch.from_numpy(np.concatenate(windows[:5]))
        mean = torch.cat([network.kind(some) for some in heard.split(2)]).mean(dim=0)
        halfway = (mean + network.musicnn.embedding_norm.bias) / 2
        assert float((network.offset - halfway).norm() / halfway.norm()) < 0.2

    again = join_ear(parts, tmp_path / "again", seed=0, weights_dir=weights_dir)
    assert again.read_bytes() == path.read_bytes()


def test_ear_needs_musicnns_weights_and_tracks_of_two_windows(
    corpus: Path, weights_dir: Path, tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    with pytest.raises(MissingWeightsError, match="soundalike weights fetch musicnn"):
        join_ear(split(corpus, []), tmp_path / "out", seed=0, weights_dir=tmp_path / "nowhere")
    path = write_wav(tmp_path / "short.wav", tone(220, 15))
    assert all(done.track for done in prepare([("a/short.wav", path)], tmp_path / "short", limits=MediaLimits()))
    with pytest.raises(TrainingError, match="no track is as long as two windows of 10 s"):
        join_ear(split(tmp_path / "short", []), tmp_path / "out", seed=0, weights_dir=weights_dir)
