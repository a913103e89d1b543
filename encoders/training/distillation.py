"""A network that goes where a teacher goes, and tells tracks apart: distillation and contrast, of the same windows.

Hinton et al., "Distilling the Knowledge in a Neural Network", 2015; Spijkervet & Burgoyne, CLMR, ISMIR 2021. A step
draws two windows of each track. Some are mixed with a window of another track. The teacher hears them as they are, the
student disturbed: it shall say what the teacher said, and its two windows of a track shall be nearer to each other than
to any other track's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from encoders.acceleration import half_precision
from encoders.training.contrastive import (
    Augment,
    ContrastiveSettings,
    Forward,
    Projector,
    draw_offsets,
    draw_tracks,
    nt_xent,
)
from encoders.training.loop import Training

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np

    from encoders.training.corpus import Crops

_LEAST_SPREAD = 0.05  # of the median spread of the teacher's dimensions: some of them are dead

Mix = Callable[[Tensor, Tensor, Tensor], Tensor]
"""Crops, others, gains in dB [batch, 1, 1] → crops with the others added to them."""


@dataclass(frozen=True, kw_only=True)
class DistillationSettings(ContrastiveSettings):
    """What such a training does.

    Attributes
    ----------
    contrast : weight of NT-Xent beside the teacher's loss
    mixed : share of the windows that another track is mixed into
    mix_db : most and least that it is below
    """

    contrast: float = 0.3
    mixed: float = 0.3
    mix_db: tuple[float, float] = (-3.0, -15.0)


class Standardised(nn.Module):
    """A teacher whose embeddings are centred, and scaled by the spread of each dimension, over some music."""

    mean: Tensor
    scale: Tensor

    def __init__(self, forward: Forward, embeddings: Tensor) -> None:
        super().__init__()
        self._forward = forward
        spread = embeddings.std(dim=0)
        self.register_buffer("mean", embeddings.mean(dim=0))
        self.register_buffer("scale", spread.clamp(min=_LEAST_SPREAD * float(spread.median())))

    def forward(self, crops: Tensor) -> Tensor:
        """Crops → embeddings [batch, dim]."""
        standardised: Tensor = (self._forward(crops)[0] - self.mean) / self.scale
        return standardised


class DistillationTraining(Training):
    """A student of a teacher, and NT-Xent.

    Parameters
    ----------
    forward : the part of the network that takes such crops as `tracks` gives
    dim : of its embeddings
    teacher : crops → what the student's embedding shall tell [batch, teacher's dim]
    mix, augment : change crops, before the teacher hears them and after
    """

    def __init__(
        self,
        network: nn.Module,
        forward: Forward,
        dim: int,
        teacher: Standardised,
        tracks: Crops,
        settings: DistillationSettings,
        directory: Path,
        *,
        window_length: int,
        mix: Mix,
        augment: Augment,
        device: torch.device,
    ) -> None:
        heads = {"projector": Projector(dim), "told": nn.Linear(dim, len(teacher.mean))}
        super().__init__(nn.ModuleDict({"encoder": network, **heads}), settings, directory, device=device)
        self._forward = forward
        self._heads = heads
        self._teacher = teacher.to(device).eval()
        self._tracks = tracks
        self._told = settings
        self._window_length = window_length
        self._mix = mix
        self._augment = augment

    def loss(self, rng: np.random.Generator, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """One minus the cosine to the teacher, and NT-Xent."""
        settings = self._told
        tracks = draw_tracks(rng, self._tracks, self._window_length, settings.batch_size)
        views = draw_offsets(rng, self._tracks, tracks, self._window_length, settings)
        clean = torch.cat([self._tracks.crops(tracks, view[0], self._window_length) for view in views]).to(self.device)
        clean = self._mixed(clean, generator)
        with torch.no_grad():
            wanted = self._teacher(clean[: len(tracks)])  # of one window a track: it costs as much as the student
        disturbed = self._augment(clean, generator)
        with half_precision(self.device):
            embeddings = self._forward(disturbed)[0]
            told, projected = self._heads["told"](embeddings), self._heads["projector"](embeddings)
        owners = torch.from_numpy(tracks).to(self.device)
        first, second = projected.float().chunk(2)
        distilled = 1 - F.cosine_similarity(told[: len(tracks)].float(), wanted).mean()
        contrast = nt_xent(first, second, owners, settings.temperature)
        return distilled + settings.contrast * contrast, {"clean": clean, "disturbed": disturbed, "tracks": owners}

    def _mixed(self, clean: Tensor, generator: Generator) -> Tensor:
        """Some crops with another one of the batch below them."""
        settings = self._told
        chosen = (torch.rand(len(clean), generator=generator, device=self.device) < settings.mixed).nonzero()[:, 0]
        most, least = settings.mix_db
        gain_db = most + (least - most) * torch.rand((len(chosen), 1, 1), generator=generator, device=self.device)
        shift = int(torch.randint(1, len(clean), (1,), generator=generator, device=self.device))
        others = clean[(chosen + shift) % len(clean)]
        return clean.index_copy(0, chosen, self._mix(clean[chosen], others, gain_db))
