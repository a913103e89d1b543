"""A pupil of MusiCNN: its loss is the teacher's cosine and NT-Xent of the same windows, and it learns."""

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.checkpoints.files import load_into, read_checkpoint
from encoders.errors import MissingWeightsError
from encoders.media.decoded import MediaLimits
from encoders.models.embeddings import melcnn
from encoders.training.contrastive import nt_xent
from encoders.training.corpus import prepare
from encoders.training.distillation import DistillationSettings, DistillationTraining, Standardised
from encoders.training.loop import TrainingError
from encoders.training.recipes import train_melcnn
from encoders.training.split import Split, TrainingReport, split
from tests.conftest import tone

CPU = torch.device("cpu")
BINS, WINDOW = 6, 20


def test_a_teacher_is_centred_and_scaled_over_some_music() -> None:
    """Spreads of 1, 2 and 4 are divided by; one of 0.001 counts as a twentieth of their median."""
    once = torch.tensor([-1.0, 1.0])
    embeddings = once[:, None] * torch.tensor([1.0, 2.0, 2.0, 4.0, 0.001]) / 2**0.5 + torch.arange(5)
    teacher = Standardised(lambda crops: (crops, crops), embeddings)
    torch.testing.assert_close(teacher.mean, torch.arange(5.0))
    torch.testing.assert_close(teacher.scale, torch.tensor([1.0, 2.0, 2.0, 4.0, 0.1]))
    torch.testing.assert_close(teacher(torch.arange(5.0)[None] + 1), torch.tensor([[1.0, 0.5, 0.5, 0.25, 10.0]]))


class Noise:
    """Tracks of noise, each about a level of its own."""

    per_second = 1.0

    def __init__(self, lengths: list[int]) -> None:
        self._lengths = np.array(lengths)
        self._tracks = [
            np.random.default_rng(number).normal(number, 1, (BINS, length)).astype(np.float32)
            for number, length in enumerate(lengths)
        ]

    def lengths(self) -> NDArray[np.int64]:
        return self._lengths

    def crops(self, tracks: NDArray[np.int64], offsets: NDArray[np.int64], length: int) -> Tensor:
        cut = [self._tracks[track][:, offset : offset + length] for track, offset in zip(tracks, offsets, strict=True)]
        return torch.from_numpy(np.stack(cut))


class Pupil(nn.Module):
    """A layer on what is heard on average."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(BINS, 5)

    def encode(self, crops: Tensor) -> tuple[Tensor, Tensor]:
        return self.layer(crops.mean(dim=2)), crops


def teach(crops: Tensor) -> tuple[Tensor, Tensor]:
    return crops.std(dim=2), crops


@pytest.fixture
def exactly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("encoders.training.distillation.half_precision", lambda device: nullcontext())


def training(settings: DistillationSettings, directory: Path) -> tuple[Pupil, DistillationTraining]:
    torch.manual_seed(2)
    pupil = Pupil()
    tracks = Noise([200, 300, 400, 19])
    teacher = Standardised(teach, teach(tracks.crops(np.arange(3).repeat(9), np.tile(np.arange(9) * 20, 3), WINDOW))[0])
    return pupil, DistillationTraining(
        pupil,
        pupil.encode,
        5,
        teacher,
        tracks,
        settings,
        directory,
        window_length=WINDOW,
        mix=lambda crops, others, gain_db: crops + 1_000 + gain_db + 0 * others,
        augment=lambda crops, generator: crops + torch.rand(crops.shape, generator=generator),
        device=CPU,
    )


SETTINGS = DistillationSettings(steps=1, batch_size=50, contrast=0.5, temperature=0.3, mixed=0.0, max_distance_s=40)


def test_the_loss_is_the_teachers_cosine_and_nt_xent(exactly: None, tmp_path: Path, rng: np.random.Generator) -> None:
    """The teacher hears the first windows as they are, the student all of them disturbed."""
    pupil, distillation = training(SETTINGS, tmp_path)
    loss, batch = distillation.loss(rng, torch.Generator().manual_seed(0))
    assert batch["clean"].shape == batch["disturbed"].shape == (100, BINS, WINDOW)
    assert bool((batch["disturbed"] >= batch["clean"]).all())
    assert set(batch["tracks"].tolist()) == {0, 1, 2}
    levels = batch["clean"].mean(dim=(1, 2)).round()
    assert torch.equal(levels, batch["tracks"].repeat(2).float())  # both windows are of the track
    assert not torch.equal(batch["clean"][:50], batch["clean"][50:])
    heads = distillation.model
    embeddings = pupil.encode(batch["disturbed"])[0]
    wanted = heads_of(distillation)(batch["clean"][:50])
    told = 1 - F.cosine_similarity(heads["told"](embeddings[:50]), wanted).mean()  # type: ignore[index]
    first, second = heads["projector"](embeddings).chunk(2)  # type: ignore[index]
    contrast = nt_xent(first, second, batch["tracks"], 0.3)
    torch.testing.assert_close(loss, told + 0.5 * contrast)
    loss.backward()
    assert float(pupil.layer.weight.grad.abs().max()) > 0  # type: ignore[union-attr]


def heads_of(distillation: DistillationTraining) -> Standardised:
    return distillation._teacher


@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
def test_so_many_windows_are_mixed_as_the_settings_say(share: float, tmp_path: Path, rng: np.random.Generator) -> None:
    """The mix of the tests adds a thousand, and the gain."""
    settings = replace(SETTINGS, mixed=share, batch_size=400, mix_db=(-3.0, -15.0))
    _, distillation = training(settings, tmp_path)
    _, batch = distillation.loss(rng, torch.Generator().manual_seed(0))
    added = batch["clean"].mean(dim=(1, 2)) - batch["tracks"].repeat(2)
    mixed = added > 500
    assert float(mixed.float().mean()) == pytest.approx(share, abs=0.05)
    if share:
        gains = added[mixed] - 1_000
        assert -16 < float(gains.min()) < -13
        assert -5 < float(gains.max()) < -2


def test_a_window_is_mixed_with_another(tmp_path: Path, rng: np.random.Generator) -> None:
    _, distillation = training(replace(SETTINGS, mixed=1.0), tmp_path)
    pairs: list[tuple[Tensor, Tensor]] = []

    def mix(crops: Tensor, others: Tensor, gain_db: Tensor) -> Tensor:
        pairs.append((crops, others))
        assert gain_db.shape == (100, 1, 1)
        return crops

    distillation._mix = mix
    distillation.loss(rng, torch.Generator().manual_seed(0))
    [(crops, others)] = pairs
    assert not bool((crops == others).flatten(1).all(dim=1).any())
    assert set(others[:, 0, 0].tolist()) <= set(crops[:, 0, 0].tolist())


@pytest.fixture
def corpus(tmp_path: Path, write_wav: Callable[..., Path]) -> Path:
    """Six tracks of 9 s, of two groups; each swells between tones of its own."""
    rng = np.random.default_rng(5)
    swell = 0.5 + 0.5 * np.sin(np.arange(9 * 16_000) / 4_000)
    for number in range(6):
        sound = tone(130 * 2 ** (number / 4), 9) * swell + tone(210 * 2 ** (number / 3), 9) * (1 - swell)
        noisy = (0.5 * sound + rng.normal(0, 0.01, len(sound))).astype(np.float32)
        write_wav(tmp_path / "music" / ("first" if number < 4 else "second") / f"{number}.wav", noisy)
    sources = [(f"{path.parent.name}/{path.name}", path) for path in sorted((tmp_path / "music").rglob("*.wav"))]
    assert all(done.track for done in prepare(sources, tmp_path / "corpus", limits=MediaLimits()))
    return tmp_path / "corpus"


MELCNN = DistillationSettings(steps=16, batch_size=4, learning_rate=1e-3, warmup_steps=2, checkpoint_every=8)


def distil(
    corpus: Split, out: Path, weights_dir: Path, settings: DistillationSettings = MELCNN, *, stop_at: int = -1
) -> TrainingReport:
    def on_step(step: int, loss: float) -> None:
        if step == stop_at:
            raise KeyboardInterrupt

    return train_melcnn(corpus, out, settings, weights_dir=weights_dir, device=CPU, on_step=on_step)


def test_melcnn_learns_and_goes_on_where_it_was_stopped(corpus: Path, weights_dir: Path, tmp_path: Path) -> None:
    parts = split(corpus, ["second"])
    whole = distil(parts, tmp_path / "whole", weights_dir)
    lines = (tmp_path / "whole" / "losses.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines]
    assert len(losses) == 16
    assert np.mean(losses[-4:]) < np.mean(losses[:4]) - 0.2
    assert whole.measure == "half-track recall@1"
    assert whole.trained is not None
    assert 0 <= whole.trained <= 1

    with pytest.raises(KeyboardInterrupt):
        distil(parts, tmp_path / "stopped", weights_dir, stop_at=11)
    resumed = distil(parts, tmp_path / "stopped", weights_dir)
    assert resumed.weights.read_bytes() == whole.weights.read_bytes()
    assert (tmp_path / "stopped" / "losses.jsonl").read_text().splitlines() == lines
    with pytest.raises(TrainingError, match=r"contrast 0\.3 there, 0\.1 here"):
        distil(parts, tmp_path / "stopped", weights_dir, replace(MELCNN, contrast=0.1))

    network = melcnn.MelCNN()
    load_into(network, read_checkpoint(whole.weights))
    assert whole.weights.name == "melcnn.safetensors"


def test_melcnn_needs_its_teacher(corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(MissingWeightsError, match="soundalike weights fetch musicnn"):
        distil(split(corpus, []), tmp_path / "run", tmp_path / "nowhere")


def test_tracks_too_short_for_the_teacher_are_told(
    weights_dir: Path, tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    path = write_wav(tmp_path / "short.wav", tone(220, 5))
    assert all(done.track for done in prepare([("a/short.wav", path)], tmp_path / "short", limits=MediaLimits()))
    with pytest.raises(TrainingError, match="no track is as long as two windows of the teacher"):
        distil(split(tmp_path / "short", []), tmp_path / "run", weights_dir)
