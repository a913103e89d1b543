"""Students and their calibration, where the right answer is known."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from encoders.training.features import Features
from encoders.training.loop import TrainingError
from encoders.training.noisy_student import (
    NoisyStudentTraining,
    StudentSettings,
    calibrate,
    long_enough,
    platt,
    tag_logits,
    taught_by_both,
    thresholds,
    windows_at,
)
from encoders.training.pseudo_labels import PseudoLabels
from encoders.training.validation import roc_auc

BINS, FRAMES, WINDOW = 12, 240, 100
PER_SECOND = 10.0


class Listener(nn.Module):
    """Mean level of every bin, then a layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(BINS)
        self.layer = nn.Linear(BINS, 2)

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor]:
        embedding = self.norm(features.mean(dim=2))
        return embedding, self.layer(embedding)

    def tag_layer(self) -> nn.Linear:
        return self.layer


@pytest.fixture
def features(rng: np.random.Generator) -> Features:
    """Forty tracks of 24 s: noise, over which the even ones have a tone in bin 2, the odd ones in bin 8."""
    decibels = rng.normal(-40, 3, (40, FRAMES, BINS))
    decibels[::2, :, 2] += 30
    decibels[1::2, :, 8] += 30
    frames = torch.from_numpy(decibels.reshape(-1, BINS).astype(np.float16))
    return Features(frames, np.arange(41) * FRAMES, PER_SECOND)


@pytest.fixture
def labels() -> PseudoLabels:
    """Two stretches a track; a tag for either tone."""
    scores = np.tile(np.array([[0.7, 0.1], [0.1, 0.7]], np.float32).repeat(2, axis=0), (20, 1))
    return PseudoLabels(np.arange(40).repeat(2), np.tile([0.0, 12.0], 40), scores)


def start(
    features: Features, labels: PseudoLabels, directory: Path, settings: StudentSettings
) -> tuple[Listener, NoisyStudentTraining]:
    torch.manual_seed(0)
    network = Listener()
    training = NoisyStudentTraining(
        network, features, labels, settings, directory, window_frames=WINDOW, device=torch.device("cpu")
    )
    return network, training


SETTINGS = StudentSettings(steps=60, batch_size=16, learning_rate=0.05, warmup_steps=5)


def areas(network: nn.Module, features: Features, labels: PseudoLabels) -> list[float]:
    said = tag_logits(network, features, labels, window_frames=WINDOW).numpy()
    return roc_auc(said, labels.scores > 0.5).tolist()


def test_a_student_learns_what_it_was_told(features: Features, labels: PseudoLabels, tmp_path: Path) -> None:
    network, training = start(features, labels, tmp_path, SETTINGS)
    untrained = areas(network, features, labels)
    training.run(on_step=lambda step, loss: None)
    assert min(untrained) < 0.9
    assert areas(network, features, labels) == pytest.approx([1.0, 1.0], abs=1e-12)
    assert network.training  # as it was before it was asked


def test_a_batch_is_disturbed_windows_and_their_labels(
    features: Features, labels: PseudoLabels, tmp_path: Path, rng: np.random.Generator
) -> None:
    """A quarter is mixed: there the labels are never less than without; elsewhere they are the teachers'."""
    settings = StudentSettings(steps=1, batch_size=40, mixed_share=0.25)
    _, training = start(features, labels, tmp_path, settings)
    loss, batch = training.loss(rng, torch.Generator().manual_seed(0))
    assert loss.requires_grad
    assert batch["windows"].shape == (40, BINS, WINDOW)
    level = batch["windows"].mean(dim=2)
    high = level[:, 8] > level[:, 2]
    told = torch.where(high[:, None], torch.tensor([0.1, 0.7]), torch.tensor([0.7, 0.1]))
    torch.testing.assert_close(batch["scores"][10:], told[10:])
    assert bool((batch["scores"][:10] >= told[:10] - 1e-6).all())
    more = batch["scores"][:10] > told[:10] + 1e-6
    assert bool(more.any())
    assert bool((level[:10, [2, 8]] > -25).all(dim=1)[more.any(dim=1)].all())  # both tones are to be heard there


def test_too_few_labels_are_told(features: Features, labels: PseudoLabels, tmp_path: Path) -> None:
    few = labels.of_tracks(np.arange(3))
    with pytest.raises(TrainingError, match="6 stretches of tracks as long as a window, fewer than a batch of 16"):
        start(features, few, tmp_path, SETTINGS)


def test_windows_stay_within_their_track() -> None:
    """Tracks of 8 and 12 frames, at one a second: a shift out of a track ends at its edge."""
    features = Features(torch.arange(20, dtype=torch.float16)[:, None], np.array([0, 8, 20]), 1.0)
    labels = PseudoLabels(np.array([0, 0, 1, 1]), np.array([0.0, 4, 0, 8]), np.zeros((4, 1), np.float32))
    rows = np.arange(4)
    windows = windows_at(features, labels, rows, np.array([-2.0, 2.4, -0.6, 0.0]), 4)
    assert windows[:, 0, 0].tolist() == [0, 4, 8, 16]
    assert windows[:, 0, -1].tolist() == [3, 7, 11, 19]
    late = windows_at(features, labels, rows, np.array([1.4, 0.0, 1.6, 0.0]), 4)
    assert late[:, 0, 0].tolist() == [1, 4, 10, 16]
    kept = long_enough(features, labels, 9)
    assert kept.tracks.tolist() == [1, 1]
    assert kept.offsets_s.tolist() == [0, 8]


def test_logits_do_not_depend_on_the_batches(
    features: Features, labels: PseudoLabels, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    network = Listener()
    whole = tag_logits(network, features, labels, window_frames=WINDOW)
    monkeypatch.setattr("encoders.training.noisy_student._BATCH", 7)
    torch.testing.assert_close(tag_logits(network, features, labels, window_frames=WINDOW), whole)


def test_as_many_windows_reach_a_threshold_as_scores_add_up_to(rng: np.random.Generator) -> None:
    scores = (rng.random((500, 3)) ** np.array([1, 3, 12])).astype(np.float32)
    given = (scores >= thresholds(scores)).sum(axis=0)
    np.testing.assert_allclose(given, scores.sum(axis=0), atol=1)
    assert given.max() > 200
    assert given.min() < 60


def test_platt_recovers_a_scale_and_a_shift(rng: np.random.Generator) -> None:
    logits = torch.from_numpy(rng.normal(0, 2, (6_000, 2)).astype(np.float32))
    truth = (logits * torch.tensor([0.5, 2.0]) + torch.tensor([1.0, -1.5])).sigmoid()
    given = torch.from_numpy(rng.random((6_000, 2)) < truth.numpy())
    scale, shift = platt(logits, given)
    torch.testing.assert_close(scale, torch.tensor([0.5, 2.0]), atol=0.15, rtol=0)
    torch.testing.assert_close(shift, torch.tensor([1.0, -1.5]), atol=0.15, rtol=0)
    scores = (logits * scale + shift).sigmoid()
    torch.testing.assert_close(scores.mean(dim=0), given.float().mean(dim=0), atol=1e-3, rtol=0)


def test_a_tag_that_is_never_or_always_given_stays_finite() -> None:
    logits = torch.linspace(-3, 3, 200)[:, None].repeat(1, 2)
    given = torch.tensor([[False, True]]).repeat(200, 1)
    scale, shift = platt(logits, given)
    scores = (logits * scale + shift).sigmoid()
    assert bool(scores.isfinite().all())
    assert scores[:, 0].max() < 0.05
    assert scores[:, 1].min() > 0.95


def test_calibration_is_folded_into_the_last_layer(
    features: Features, labels: PseudoLabels, rng: np.random.Generator
) -> None:
    torch.manual_seed(0)
    network = Listener()
    before = tag_logits(network, features, labels, window_frames=WINDOW)
    noisy = PseudoLabels(labels.tracks, labels.offsets_s, rng.random(labels.scores.shape).astype(np.float32))
    scale, shift = platt(before, torch.from_numpy(noisy.scores >= thresholds(noisy.scores)))
    calibrate(network, before, noisy)
    after = tag_logits(network, features, labels, window_frames=WINDOW)
    assert not torch.allclose(after, before, atol=0.1)
    torch.testing.assert_close(after, before * scale + shift, atol=0.02, rtol=0.02)  # half precision in between
    given = (noisy.scores >= thresholds(noisy.scores)).mean(axis=0)
    np.testing.assert_allclose(after.sigmoid().mean(dim=0), given, atol=0.02)


def test_the_next_teacher_is_the_mean_of_both(labels: PseudoLabels) -> None:
    logits = torch.zeros(80, 2)
    logits[:, 1] = 100
    both = taught_by_both(labels, logits)
    np.testing.assert_allclose(both.scores[0], [0.6, 0.55])
    np.testing.assert_allclose(both.scores[2], [0.3, 0.85])
    assert both.scores.dtype == np.float32
    np.testing.assert_array_equal(both.tracks, labels.tracks)
    np.testing.assert_array_equal(both.offsets_s, labels.offsets_s)
