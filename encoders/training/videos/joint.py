"""Both towers of the space of music and video, drawn together: symmetric InfoNCE with a learned temperature.

van den Oord et al., "Representation learning with contrastive predictive coding", 2018, in the form of Radford et al.,
"Learning transferable visual models from natural language supervision", ICML 2021. Clips of one source are no negatives
of each other. Half of a batch is what sounds like the other half, so that negatives are hard.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from encoders.analysis.pictures import inputs_of
from encoders.models.embeddings.video import WINDOW_LENGTH, VideoSpace
from encoders.models.video.tower import batched
from encoders.training.loop import Schedule, Training

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from encoders.training.videos.watched import Pair

_WINDOW_S = WINDOW_LENGTH / 22_050
_LEAST_INSIDE_S = 5.0
_SHORTEST_S = 8.0
_LIKE = 16  # nearest by ear, of which a hard negative is drawn
_COLDEST = 30.0
_HIDDEN = 0.6


@dataclass(frozen=True, kw_only=True)
class VideoSettings(Schedule):
    """How the towers are trained; `crops` of each clip are drawn once, and one of them is taken at a time."""

    batch_size: int = 192
    learning_rate: float = 1e-3
    weight_decay: float = 0.05
    warmup_steps: int = 50
    crops: int = 6
    noise: float = 0.1


@dataclass(frozen=True, eq=False)
class Crop:
    """A part of a clip, as both towers take it."""

    seen: tuple[Tensor, Tensor, Tensor]
    heard: Tensor
    measured: Tensor


class _Learnt(nn.Module):
    """What is learnt: both towers, and the temperature. The ear stays as it is."""

    def __init__(self, space: VideoSpace) -> None:
        super().__init__()
        self.space = space
        self.log_scale = nn.Parameter(torch.tensor(float(np.log(1 / 0.1))))

    def forward(self, crops: Sequence[Crop], noise: float = 0.0) -> tuple[Tensor, Tensor]:
        """Embeddings of the pictures and of the music of crops, each [B, 128] of unit length."""
        frames, curves, pulse, there = batched([crop.seen for crop in crops])
        if noise:
            # What is shown tells clips apart so well that nothing else would be learnt by it.
            hidden = torch.rand(len(crops), 1, 1) < _HIDDEN
            frames = torch.where(hidden, self.space.pictures.frame_mean, frames)
            spread = self.space.pictures.curve_scale
            # What one clip is lighter or livelier than another says less than how it changes.
            curves = curves + noise * spread * (torch.randn_like(curves) + 2 * torch.randn_like(curves[:, :1]))
        pictures = self.space.pictures(frames, curves, pulse, there)
        counts = [len(crop.heard) for crop in crops]
        heard, measured = (torch.cat([getattr(crop, name) for crop in crops]) for name in ("heard", "measured"))
        if noise:
            heard = heard + noise * self.space.heard_scale * torch.randn_like(heard)
            measured = measured + noise * self.space.measured_scale * torch.randn_like(measured)
        of_windows = torch.split(self.space.embed(heard, measured), counts)
        return pictures, F.normalize(torch.stack([one.mean(dim=0) for one in of_windows]), dim=1)


class VideoTraining(Training):
    """InfoNCE between the pictures and the music of clips."""

    def __init__(
        self,
        settings: VideoSettings,
        directory: Path,
        *,
        space: VideoSpace,
        pairs: Sequence[Pair],
        device: torch.device,
    ) -> None:
        self.learnt = _Learnt(space)
        super().__init__(self.learnt, settings, directory, device=device)
        self.settings, self.pairs = settings, pairs
        rng = np.random.default_rng(settings.seed)
        self._crops = [[crop_of(pair, rng) for _ in range(settings.crops)] for pair in pairs]
        self._sources = np.unique([pair.source for pair in pairs], return_inverse=True)[1]
        self._like = _alike(pairs, self._sources)
        self._measure(space)

    def loss(self, rng: np.random.Generator, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of one batch."""
        half = min(self.settings.batch_size, len(self.pairs)) // 2
        first = rng.choice(len(self.pairs), size=max(1, half), replace=False)
        chosen = np.unique(
            np.concatenate([first, self._like[first, rng.integers(self._like.shape[1], size=len(first))]])
        )
        crops = [self._crops[index][int(rng.integers(self.settings.crops))] for index in chosen]
        pictures, music = self.learnt(crops, self.settings.noise)
        sources = torch.from_numpy(self._sources[chosen])
        return info_nce(pictures, music, sources, self.learnt.log_scale), {"chosen": torch.from_numpy(chosen)}

    def _measure(self, space: VideoSpace) -> None:
        """Bring what the towers take to one scale."""
        crops = [crop for several in self._crops for crop in several]
        curves = torch.cat([crop.seen[1] for crop in crops])
        frames = torch.cat([crop.seen[0] for crop in crops[:: self.settings.crops]])
        heard, measured = (torch.cat([getattr(crop, name) for crop in crops]) for name in ("heard", "measured"))
        space.pictures.frame_mean.copy_(frames.mean(dim=0))
        for name, values, of in (
            ("curve", curves, space.pictures),
            ("heard", heard, space),
            ("measured", measured, space),
        ):
            getattr(of, f"{name}_mean").copy_(values.mean(dim=0))
            getattr(of, f"{name}_scale").copy_(values.std(dim=0) + 1e-3)


def info_nce(pictures: Tensor, music: Tensor, sources: Tensor, log_scale: Tensor) -> Tensor:
    """Symmetric InfoNCE of clips and their music, each [B, 128]; others of a clip's source, int [B], do not count."""
    logits = pictures @ music.T * log_scale.exp().clamp(max=_COLDEST)
    own = torch.eye(len(logits), dtype=torch.bool)
    logits = logits.masked_fill((sources[:, None] == sources) & ~own, -torch.inf)
    right = torch.arange(len(logits))
    return (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2


def crop_of(pair: Pair, rng: np.random.Generator) -> Crop:
    """A part of a clip of at least eight seconds, with the windows of sound that lie in it for the most part."""
    whole = max(1.0, pair.seen.duration_s)
    length = float(rng.uniform(min(_SHORTEST_S, whole), whole))
    start = float(np.floor(rng.uniform(0, whole - length)))
    return part_of(pair, start, start + length)


def part_of(pair: Pair, start_s: float, end_s: float) -> Crop:
    """What is seen and heard from one moment of a clip to another."""
    inside = np.minimum(pair.starts_s + _WINDOW_S, end_s) - np.maximum(pair.starts_s, start_s)
    kept = inside >= min(_LEAST_INSIDE_S, float(inside.max()))
    heard, measured = (torch.from_numpy(values[kept]) for values in (pair.heard, pair.measured))
    return Crop(inputs_of(pair.seen.between(start_s, end_s)), heard, measured)


def _alike(pairs: Sequence[Pair], sources: np.ndarray) -> np.ndarray:
    """For each pair those of other sources that sound most like it, int [n, up to 16]."""
    heard = np.stack([pair.heard.mean(axis=0) for pair in pairs])
    heard = (heard - heard.mean(axis=0)) / (heard.std(axis=0) + 1e-6)
    heard /= np.linalg.norm(heard, axis=1, keepdims=True) + 1e-9
    cosines = heard @ heard.T
    cosines[sources[:, None] == sources] = -np.inf
    return np.argsort(-cosines, axis=1)[:, : min(_LIKE, max(1, len(pairs) - 1))]


@torch.inference_mode()
def ranks(learnt: _Learnt, pairs: Sequence[Pair]) -> np.ndarray:
    """The place that each clip's own music has on average, from 1, among that of one clip of every other source."""
    pictures, music = learnt.eval()([part_of(pair, 0.0, max(1.0, pair.seen.duration_s)) for pair in pairs])
    learnt.train()
    scores = (pictures @ music.T).numpy()
    sources = np.array([pair.source for pair in pairs])
    own = np.diag(scores)[:, None]
    better = scores > own
    others = [[sources == other for other in np.unique(sources) if other != source] for source in sources]
    return np.array([1 + sum(float(row[of].mean()) for of in parts) for row, parts in zip(better, others, strict=True)])
