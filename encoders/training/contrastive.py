"""Contrastive training of an encoder on unlabelled music: two crops of a track are drawn together, all others apart.

Spijkervet & Burgoyne, "Contrastive Learning of Musical Representations", ISMIR 2021: two augmentations of one window, a
projector of two layers, NT-Xent at temperature 0.5, Adam at 3e-4. `max_distance_s` goes beyond it: the second crop may
lie that far from the first, so that a track's timbre is learnt rather than a moment; 0 is the paper.

A step's randomness comes from (seed, step) alone, so a resumed training takes the steps that it would have taken.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

    from encoders.training.corpus import Waveforms

PROJECTION_DIM = 64

Augment = Callable[[Tensor, torch.Generator], Tensor]
"""Crops float32 [batch, window_length] → augmented windows of the same shape; all chance comes from the generator."""


class TrainingError(EncoderError):
    """A training that cannot go on."""


@dataclass(frozen=True)
class ContrastiveSettings:
    """What a training does; two trainings with equal settings and corpus take the same steps."""

    steps: int
    batch_size: int = 48
    learning_rate: float = 3e-4
    warmup_steps: int = 200
    temperature: float = 0.5
    max_distance_s: float = 0.0
    seed: int = 0
    checkpoint_every: int = 500


class Projector(nn.Sequential):
    """Embedding [batch, dim] → projection [batch, 64]; only the loss sees it."""

    def __init__(self, dim: int) -> None:
        super().__init__(nn.Linear(dim, dim, bias=False), nn.ReLU(), nn.Linear(dim, PROJECTION_DIM, bias=False))


def nt_xent(first: Tensor, second: Tensor, tracks: Tensor, temperature: float) -> Tensor:
    """Normalised-temperature cross entropy (Chen et al., SimCLR, 2020, eq. 1), mean over both directions.

    Parameters
    ----------
    first, second : float32 [batch, dim], row i of both from one track
    tracks : int64 [batch]; rows of one track are no negatives of each other
    """
    batch = len(first)
    both = F.normalize(torch.cat([first, second]).float(), dim=1)
    similarity = both @ both.T / temperature
    owner = torch.cat([tracks, tracks])
    partner = torch.arange(2 * batch, device=both.device).roll(batch)
    ignored = owner[:, None] == owner
    ignored[torch.arange(2 * batch), partner] = False
    return F.cross_entropy(similarity.masked_fill(ignored, -torch.inf), partner)


class ContrastiveTraining:
    """One training in one directory: `checkpoint.pt` to go on from, `losses.jsonl` to look at."""

    def __init__(
        self,
        network: nn.Module,
        dim: int,
        waveforms: Waveforms,
        settings: ContrastiveSettings,
        directory: Path,
        *,
        device: torch.device,
    ) -> None:
        torch.manual_seed(settings.seed)
        self.network = network.to(device).train()
        self._model = nn.ModuleDict({"encoder": self.network, "projector": Projector(dim).to(device)})
        self._optimizer = torch.optim.Adam(self._model.parameters(), lr=settings.learning_rate)
        self._waveforms = waveforms
        self._settings = settings
        self._directory = directory
        self._device = device
        self.step = 0
        directory.mkdir(parents=True, exist_ok=True)

    def resume(self) -> bool:
        """Go on from the last checkpoint, if there is one.

        Raises
        ------
        TrainingError
            If the checkpoint is of other settings (both are named), or damaged.
        """
        path = self._directory / "checkpoint.pt"
        if not path.exists():
            return False
        try:
            state = torch.load(path, map_location=self._device, weights_only=True)
            found, asked = state["settings"], asdict(self._settings)
        except Exception as error:
            raise TrainingError(f"{path}: cannot be read ({error}); remove it to begin anew") from error
        other = [
            f"{name} {found.get(name)} there, {value} here"
            for name, value in asked.items()
            if name != "steps" and found.get(name) != value
        ]
        if other:
            raise TrainingError(f"{path}: of another training: {'; '.join(other)}")
        self._model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        return True

    def run(self, augment: Augment, window_length: int, *, on_step: Callable[[int, float], None]) -> None:
        """Train up to `settings.steps`, and leave a checkpoint.

        Parameters
        ----------
        window_length : samples of a crop
        on_step : called with (step, loss) after every step

        Raises
        ------
        TrainingError
            If the loss is not finite; the batch is saved beside the checkpoint.
        """
        with (self._directory / "losses.jsonl").open("a", encoding="utf-8") as losses:
            while self.step < self._settings.steps:
                loss = self._one_step(augment, window_length)
                losses.write(json.dumps({"step": self.step, "loss": round(loss, 5)}) + "\n")
                on_step(self.step, loss)
                if self.step % self._settings.checkpoint_every == 0:
                    self.save()
        self.save()

    def save(self) -> None:
        """Write the checkpoint beside the last one and rename it, so that a full disk leaves the last good one."""
        path = self._directory / "checkpoint.pt"
        state = {
            "model": self._model.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "settings": asdict(self._settings),
        }
        beside = path.with_suffix(".part")
        try:
            with beside.open("wb") as file:
                torch.save(state, file)
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        finally:
            beside.unlink(missing_ok=True)

    def _one_step(self, augment: Augment, window_length: int) -> float:
        settings = self._settings
        rng = np.random.default_rng([settings.seed, self.step])
        generator = torch.Generator(self._device).manual_seed(int(rng.integers(2**62)))
        tracks, pairs = self._draw(rng, window_length)
        pairs = [pair.to(self._device, non_blocking=True) for pair in pairs]
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate(self.step, settings)
        windows = torch.cat([augment(pair, generator) for pair in pairs])
        with torch.autocast(self._device.type, torch.bfloat16, enabled=self._device.type == "cuda"):
            projected = self._model["projector"](self.network(windows)[0])
        first, second = projected.chunk(2)
        loss = nt_xent(first, second, tracks.to(self._device), settings.temperature)
        value = float(loss.detach())
        if not math.isfinite(value):
            path = self._directory / f"not_finite_{self.step}.pt"
            torch.save({"pairs": pairs, "windows": windows, "tracks": tracks}, path)
            raise TrainingError(f"the loss is {value} at step {self.step}; its batch is in {path}")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        self.step += 1
        return value

    def _draw(self, rng: np.random.Generator, window_length: int) -> tuple[Tensor, list[Tensor]]:
        """Tracks int64 [batch], each as likely as it is long, and two crops float32 [batch, window_length] of each."""
        lengths = self._waveforms.lengths()
        room = lengths - window_length
        usable = np.flatnonzero(room >= 0)
        if not len(usable):
            raise TrainingError(f"no track is as long as a crop of {window_length} samples")
        weights = lengths[usable] / lengths[usable].sum()
        tracks = rng.choice(usable, size=self._settings.batch_size, p=weights)
        first = rng.integers(0, room[tracks] + 1)
        reach = round(self._settings.max_distance_s * self._waveforms.sample_rate)
        second = np.clip(first + rng.integers(-reach, reach + 1, size=len(first)), 0, room[tracks])
        crops = [self._waveforms.crops(tracks, offsets, window_length) for offsets in (first, second)]
        return torch.from_numpy(tracks), crops


def learning_rate(step: int, settings: ContrastiveSettings) -> float:
    """Linear warm-up, then half a cosine down to zero (Loshchilov & Hutter, SGDR, 2017)."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
