"""Noisy student: a tagger learns, from disturbed audio, what its teachers said of the clean audio.

Won, Choi & Serra, "Semi-supervised Music Tagging Transformer", ISMIR 2021, after Xie et al., "Self-training with Noisy
Student", CVPR 2020: soft pseudo-labels, binary cross-entropy, noise on the student's side only. Here no label was given
by a listener; the first teachers are MusiCNN's, the next is a student, whose scores are averaged with theirs.

:func:`calibrate` ends a training: per tag, Platt's scaling (1999) of the logits, so that a score is the probability
that the teachers would give the tag, and 0.5 the threshold for showing it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from encoders.acceleration import half_precision
from encoders.training.loop import Schedule, Training, TrainingError
from encoders.training.pseudo_labels import PseudoLabels
from encoders.training.spectral_noise import SpectralNoise, mixed

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from encoders.training.features import Features

NOISE = SpectralNoise(gain_db=3.0, equaliser_db=2.0, lowpass_p=0.2, band_share=0.12, frame_share=0.15)
_JITTER_S = (-1.4, 0.5)
_MIXED_GAIN_DB = (-15.0, 0.0)
_BATCH = 64


class Tagger(Protocol):
    """A network that tags from features, whose last layer is linear."""

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features [batch, bins, frames] → embedding [batch, dim], tag logits [batch, tags]."""

    def tag_layer(self) -> nn.Linear:
        """What makes the logits."""


@dataclass(frozen=True, kw_only=True)
class StudentSettings(Schedule):
    """What a student's training does; `mixed_share` is the share of windows that another sound is laid under."""

    mixed_share: float = 0.5


class NoisyStudentTraining(Training):
    """One student on one set of pseudo-labels.

    Raises
    ------
    TrainingError
        If there are fewer labels than a batch takes.
    """

    def __init__(
        self,
        network: nn.Module,
        features: Features,
        labels: PseudoLabels,
        settings: StudentSettings,
        directory: Path,
        *,
        window_frames: int,
        device: torch.device,
    ) -> None:
        if len(labels.tracks) < settings.batch_size:
            raise TrainingError(
                f"{len(labels.tracks)} stretches of tracks as long as a window, fewer than a batch of "
                f"{settings.batch_size}"
            )
        # Channels last: its convolutions of few channels take half the time on a CPU.
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        super().__init__(network, settings, directory, device=device)
        self._features = features
        self._labels = labels
        self._student = settings
        self._window_frames = window_frames
        self._scores = torch.from_numpy(labels.scores).to(device)

    def loss(self, rng: np.random.Generator, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Binary cross-entropy of the student's tags for disturbed windows."""
        settings = self._student
        rows = rng.choice(len(self._labels.tracks), settings.batch_size, replace=False)
        jitter_s = rng.uniform(*_JITTER_S, settings.batch_size)
        windows = windows_at(self._features, self._labels, rows, jitter_s, self._window_frames).to(self.device)
        scores = self._scores[torch.from_numpy(rows).to(self.device)]
        n_mixed = round(settings.mixed_share * settings.batch_size)
        if n_mixed:
            other = torch.from_numpy(rng.permutation(settings.batch_size)[:n_mixed]).to(self.device)
            gain_db = torch.from_numpy(rng.uniform(*_MIXED_GAIN_DB, (n_mixed, 1, 1))).float().to(self.device)
            # What is heard of the softer sound counts for as much as is left of it.
            under = scores[other] * 10 ** (gain_db[:, 0] / 10)
            windows = torch.cat([mixed(windows[:n_mixed], windows[other], gain_db), windows[n_mixed:]])
            scores = torch.cat([torch.maximum(scores[:n_mixed], under), scores[n_mixed:]])
        with half_precision(self.device):
            _, logits = self.model.encode(NOISE(windows, generator))  # type: ignore[operator]
        loss = F.binary_cross_entropy_with_logits(logits.float(), scores)
        return loss, {"windows": windows, "scores": scores}


def long_enough(features: Features, labels: PseudoLabels, length: int) -> PseudoLabels:
    """Only the stretches of tracks from which a window can be cut."""
    kept = features.lengths()[labels.tracks] >= length
    return PseudoLabels(labels.tracks[kept], labels.offsets_s[kept], labels.scores[kept])


def windows_at(
    features: Features, labels: PseudoLabels, rows: NDArray[np.int64], shift_s: NDArray[np.float64], length: int
) -> Tensor:
    """Windows float32 [n, bins, length] over these labelled stretches, each shifted in time within its track."""
    tracks = labels.tracks[rows]
    wanted = np.round((labels.offsets_s[rows] + shift_s) * features.per_second).astype(np.int64)
    offsets = np.clip(wanted, 0, features.lengths()[tracks] - length)
    return features.crops(tracks, offsets, length)


def tag_logits(network: nn.Module, features: Features, labels: PseudoLabels, *, window_frames: int) -> Tensor:
    """What a network says of every labelled stretch: float32 [n, tags], on the CPU."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    parts = []
    with torch.inference_mode(), half_precision(device):
        for rows in np.array_split(np.arange(len(labels.tracks)), -(-len(labels.tracks) // _BATCH)):
            windows = windows_at(features, labels, rows, np.full(len(rows), np.mean(_JITTER_S)), window_frames)
            parts.append(network.encode(windows.to(device))[1].float().cpu())  # type: ignore[operator]
    network.train(was_training)
    return torch.cat(parts)


def taught_by_both(labels: PseudoLabels, logits: Tensor) -> PseudoLabels:
    """The next round's labels: the mean of what the teachers said and of what the student makes of it."""
    scores = (labels.scores + logits.sigmoid().numpy()) / 2
    return PseudoLabels(labels.tracks, labels.offsets_s, scores)


def thresholds(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Score from which a teacher's tag counts as given: as many windows reach it as its scores add up to.

    A teacher's scores are probabilities learnt elsewhere, and hardly any tag reaches 0.5; but the sum of a tag's
    probabilities is how often it expects the tag.

    Parameters
    ----------
    scores : float32 [n, tags] in [0, 1]

    Returns
    -------
    float32 [tags]
    """
    shares = scores.mean(axis=0)
    return np.array(
        [np.quantile(column, 1 - share) for column, share in zip(scores.T, shares, strict=True)], np.float32
    )


def platt(logits: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
    """Scale and shift, each float32 [tags], that make logits [n, tags] fit to given tags, bool [n, tags]."""
    both = np.repeat([True, False], len(logits))
    found = []
    for said, has in zip(logits.numpy().T, given.numpy().T, strict=True):
        # Platt's targets keep a tag that is always or never given from an infinite scale.
        target = np.where(has, (has.sum() + 1) / (has.sum() + 2), 1 / ((~has).sum() + 2))
        weights = np.concatenate([target, 1 - target])
        fitted = LogisticRegression(C=np.inf).fit(np.tile(said, 2)[:, np.newaxis], both, sample_weight=weights)
        found.append((fitted.coef_[0, 0], fitted.intercept_[0]))
    scale, shift = torch.tensor(found, dtype=torch.float32).T
    return scale, shift


def calibrate(network: Tagger, logits: Tensor, labels: PseudoLabels) -> None:
    """Fold Platt's scaling into the last layer, from what the network said and what the teachers gave."""
    scale, shift = platt(logits, torch.from_numpy(labels.scores >= thresholds(labels.scores)))
    layer = network.tag_layer()
    with torch.no_grad():
        device = layer.weight.device
        layer.weight.mul_(scale.to(device)[:, None])
        layer.bias.mul_(scale.to(device)).add_(shift.to(device))
