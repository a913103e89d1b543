"""Training: the loss is the one of the paper, and a stop and a resume change nothing."""

import errno
import json
import math
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

from encoders.training.contrastive import (
    Augment,
    ContrastiveSettings,
    ContrastiveTraining,
    Projector,
    draw_offsets,
    draw_tracks,
    nt_xent,
)
from encoders.training.corpus import (
    Waveforms,
)
from encoders.training.loop import TrainingError, learning_rate
from encoders.training.validation import half_track_recall
from tests.conftest import tone

RATE = 16_000


def test_nt_xent_by_hand() -> None:
    """Two tracks on the axes of a plane, at temperature 1: the partner scores 1, both others 0."""
    views = torch.eye(2)
    loss = nt_xent(views, views, torch.tensor([0, 1]), 1.0)
    assert float(loss) == pytest.approx(-math.log(math.e / (math.e + 2)))


def test_nt_xent_equals_its_definition(rng: np.random.Generator) -> None:
    first, second = (torch.from_numpy(rng.standard_normal((6, 5)).astype(np.float32)) for _ in range(2))
    tracks = torch.tensor([0, 1, 2, 3, 4, 1])  # rows 1 and 5 are of one track
    both, owner = torch.cat([first, second]), torch.cat([tracks, tracks]).tolist()
    terms = []
    for i in range(12):
        partner = (i + 6) % 12
        others = [k for k in range(12) if owner[k] != owner[i]] + [partner]
        cosine = F.cosine_similarity(both[i : i + 1], both, dim=1) / 0.5
        terms.append(-(cosine[partner] - torch.logsumexp(cosine[others], 0)))
    assert float(nt_xent(first, second, tracks, 0.5)) == pytest.approx(float(torch.stack(terms).mean()), rel=1e-5)


def test_the_learning_rate_rises_then_falls() -> None:
    settings = ContrastiveSettings(steps=1_000, learning_rate=1.0, warmup_steps=100)
    rates = [learning_rate(step, settings) for step in (0, 49, 99, 100, 550, 1_000)]
    assert rates == pytest.approx([0.01, 0.5, 1.0, 1.0, 0.5, 0.0])


class Spectrum(nn.Module):
    """A small network that can learn to tell tones apart."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(64, 16)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        power = torch.fft.rfft(waveform).abs()[:, 1:513].reshape(len(waveform), 64, -1).mean(2)
        return self.layer(torch.log1p(power)), waveform[:, :0]


@pytest.fixture
def waveforms() -> Waveforms:
    tones = [tone(110 * 2 ** (number / 5), 2.0) for number in range(12)]
    samples = np.concatenate([(one * 32_767).astype(np.int16) for one in tones])
    return Waveforms(torch.from_numpy(samples), np.arange(13, dtype=np.int64) * 2 * RATE, RATE)


def quieter(batch: Tensor, generator: torch.Generator) -> Tensor:
    gain = torch.rand(len(batch), 1, generator=generator) * 0.5 + 0.5
    return batch * gain


SETTINGS = ContrastiveSettings(
    steps=40, batch_size=8, learning_rate=1e-2, warmup_steps=5, max_distance_s=0.5, checkpoint_every=10
)

Start = Callable[..., ContrastiveTraining]


@pytest.fixture
def start(waveforms: Waveforms, tmp_path: Path) -> Start:
    def begin(
        name: str,
        settings: ContrastiveSettings = SETTINGS,
        *,
        window_length: int = 2_048,
        augment: Augment = quieter,
    ) -> ContrastiveTraining:
        torch.manual_seed(1)
        network = Spectrum()
        return ContrastiveTraining(
            network,
            network,
            Projector(16),
            waveforms,
            settings,
            tmp_path / name,
            window_length=window_length,
            augment=augment,
            device=torch.device("cpu"),
        )

    return begin


def recall(training: ContrastiveTraining, waveforms: Waveforms, window_length: int) -> float | None:
    return half_track_recall(lambda crops: training.network(crops)[0], waveforms, window_length=window_length)


def weights_of(training: ContrastiveTraining) -> Tensor:
    return nn.utils.parameters_to_vector(training.network.parameters()).detach().clone()


def test_training_lowers_the_loss_and_finds_other_halves(start: Start, waveforms: Waveforms) -> None:
    training = start("run", replace(SETTINGS, steps=150))
    untrained = recall(training, waveforms, 2_048)
    assert untrained is not None
    assert recall(training, waveforms, RATE + 1) is None
    losses: list[float] = []
    training.run(on_step=lambda step, loss: losses.append(loss))
    assert np.mean(losses[-20:]) < np.mean(losses[:20]) - 0.2
    trained = recall(training, waveforms, 2_048)
    assert trained is not None
    assert trained >= max(0.9, untrained)


def test_a_stop_and_a_resume_change_nothing(start: Start, tmp_path: Path) -> None:
    whole = start("whole")
    whole.run(on_step=lambda step, loss: None)

    def stop(step: int, loss: float) -> None:
        if step == 25:
            raise KeyboardInterrupt

    stopped = start("stopped")
    with pytest.raises(KeyboardInterrupt):
        stopped.run(on_step=stop)
    resumed = start("stopped")
    assert resumed.resume()
    assert resumed.step == 20  # the last checkpoint
    resumed.run(on_step=lambda step, loss: None)
    assert torch.equal(weights_of(resumed), weights_of(whole))
    steps = [json.loads(line) for line in (tmp_path / "whole" / "losses.jsonl").read_text().splitlines()]
    assert [row["step"] for row in steps] == list(range(1, 41))


class Recorded:
    """Tracks that keep where they were cut; a crop is a vector that depends on the place."""

    per_second = 1.0

    def __init__(self, lengths: list[int]) -> None:
        self._lengths = np.array(lengths)
        self.offsets: list[NDArray[np.int64]] = []
        self.tracks: list[NDArray[np.int64]] = []

    def lengths(self) -> NDArray[np.int64]:
        return self._lengths

    def crops(self, tracks: NDArray[np.int64], offsets: NDArray[np.int64], length: int) -> Tensor:
        assert (offsets >= 0).all()
        assert (offsets + length <= self._lengths[tracks]).all()
        self.offsets.append(offsets)
        self.tracks.append(tracks)
        return torch.from_numpy(np.stack([np.sin(offsets), np.cos(2 * offsets)], axis=1)).float()


def contrast(tracks: Recorded, settings: ContrastiveSettings, tmp_path: Path) -> ContrastiveTraining:
    network = nn.Linear(2, 3)

    def forward(crops: Tensor) -> tuple[Tensor, Tensor]:
        return network(crops), crops

    return ContrastiveTraining(
        network,
        forward,
        nn.Identity(),
        tracks,
        settings,
        tmp_path / "run",
        window_length=100,
        augment=lambda crops, generator: crops,
        device=torch.device("cpu"),
    )


def test_views_of_several_windows_share_nothing_but_the_track(tmp_path: Path, rng: np.random.Generator) -> None:
    """A track of four windows has room on either side of any cut."""
    tracks = Recorded([400, 1_000, 5_000, 99, 150])
    settings = ContrastiveSettings(steps=1, batch_size=400, windows_a_view=3)
    training = contrast(tracks, settings, tmp_path)
    _, batch = training.loss(rng, torch.Generator())
    drawn = tracks.tracks[0]
    assert set(drawn.tolist()) == {0, 1, 2, 4}  # one is too short for a window
    before, after = np.split(np.stack(tracks.offsets), 2)
    roomy = drawn != 4
    assert (before.max(axis=0) + 100 <= after.min(axis=0))[roomy].all()
    assert batch["windows"].shape == (2400, 2)


def test_the_loss_of_several_windows_is_that_of_their_means(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("encoders.training.contrastive.half_precision", lambda device: nullcontext())
    tracks = Recorded([1_000, 2_000, 3_000])
    settings = ContrastiveSettings(steps=1, batch_size=6, windows_a_view=2, temperature=0.3)
    training = contrast(tracks, settings, tmp_path)
    loss, batch = training.loss(rng, torch.Generator())
    windows = [[training.network(window) for window in view.split(6)] for view in batch["views"]]
    first, second = (torch.stack(view).mean(dim=0) for view in windows)
    torch.testing.assert_close(loss, nt_xent(first, second, batch["tracks"], 0.3))
    assert abs(float((loss - nt_xent(windows[0][0], windows[1][0], batch["tracks"], 0.3)).detach())) > 0.01


def test_the_second_window_lies_as_near_as_asked(tmp_path: Path, rng: np.random.Generator) -> None:
    for distance in (0.0, 30.0):
        tracks = Recorded([1_000, 5_000])
        settings = ContrastiveSettings(steps=1, batch_size=300, max_distance_s=distance)
        contrast(tracks, settings, tmp_path).loss(rng, torch.Generator())
        first, second = tracks.offsets
        assert np.abs(first - second).max() == distance


def test_tracks_are_drawn_as_often_as_they_are_long(rng: np.random.Generator) -> None:
    drawn = draw_tracks(rng, Recorded([99, 100, 300, 600]), 100, 20_000)
    np.testing.assert_allclose(np.bincount(drawn, minlength=4) / 20_000, [0, 0.1, 0.3, 0.6], atol=0.02)
    with pytest.raises(TrainingError, match="no track is as long as a crop of 601"):
        draw_tracks(rng, Recorded([99, 600]), 601, 1)


@pytest.mark.parametrize("windows", [1, 3])
def test_offsets_lie_anywhere_in_their_track(windows: int, rng: np.random.Generator) -> None:
    """A track of one window has one place."""
    settings = ContrastiveSettings(steps=1, windows_a_view=windows, max_distance_s=1e3)
    chosen = np.array([0, 1]).repeat(5_000)
    views = draw_offsets(rng, Recorded([100, 500]), chosen, 100, settings)
    assert [len(view) for view in views] == [windows, windows]
    offsets = np.stack([offset for view in views for offset in view])
    assert offsets.shape == (2 * windows, 10_000)
    assert not offsets[:, :5_000].any()
    assert (offsets.min(), offsets.max()) == (0, 400)


def test_another_seed_is_another_training(start: Start) -> None:
    runs = [start("a"), start("b", replace(SETTINGS, seed=1))]
    for training in runs:
        training.run(on_step=lambda step, loss: None)
    assert not torch.equal(weights_of(runs[0]), weights_of(runs[1]))


def test_a_loss_that_is_not_finite_stops_with_its_batch(start: Start, tmp_path: Path) -> None:
    training = start("run", augment=lambda batch, generator: batch * torch.nan)
    with pytest.raises(TrainingError, match=r"the loss is nan at step 0; its batch is in .*not_finite_0\.pt"):
        training.run(on_step=lambda step, loss: None)
    saved = torch.load(tmp_path / "run" / "not_finite_0.pt", weights_only=True)
    assert saved["windows"].shape == (16, 2_048)
    assert not torch.isfinite(saved["windows"]).any()
    assert saved["views"].shape == (2, 8, 2_048)
    assert torch.isfinite(saved["views"]).all()
    assert saved["tracks"].shape == (8,)


def test_a_full_disk_leaves_the_last_checkpoint(start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    training = start("run", replace(SETTINGS, steps=10))
    training.run(on_step=lambda step, loss: None)
    before = (tmp_path / "run" / "checkpoint.pt").read_bytes()

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("encoders.training.loop.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        training.save()
    assert (tmp_path / "run" / "checkpoint.pt").read_bytes() == before
    assert not list((tmp_path / "run").glob("*.part"))


def test_a_checkpoint_of_another_training_is_refused(start: Start, tmp_path: Path) -> None:
    start("run").save()
    with pytest.raises(TrainingError, match="batch_size 8 there, 4 here"):
        start("run", replace(SETTINGS, batch_size=4)).resume()
    (tmp_path / "run" / "checkpoint.pt").write_bytes(b"damaged")
    with pytest.raises(TrainingError, match="remove it to begin anew"):
        start("run").resume()
    assert not start("elsewhere").resume()


def test_tracks_shorter_than_a_crop_are_named(start: Start) -> None:
    with pytest.raises(TrainingError, match="no track is as long as a crop of 64000"):
        start("run", window_length=64_000).run(on_step=lambda step, loss: None)
