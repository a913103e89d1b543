"""What every training has in common: a schedule, a directory, checkpoints that a stop or a full disk cannot spoil.

    <directory>/checkpoint.pt    to go on from
    <directory>/losses.jsonl     a line a step, to look at

A step's randomness comes from (seed, step) alone, so a resumed training takes the steps that it would have taken.
"""

from __future__ import annotations

import json
import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor, nn

from encoders.errors import EncoderError

if TYPE_CHECKING:
    from pathlib import Path

_MAX_GRADIENT_NORM = 10.0

OnStep = Callable[[int, float], None]
"""Called with (step, loss) after every step."""


class TrainingError(EncoderError):
    """A training that cannot go on."""


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """What any training does; two trainings with equal settings and corpus take the same steps."""

    steps: int
    batch_size: int = 48
    learning_rate: float = 3e-4
    warmup_steps: int = 200
    weight_decay: float = 0.0
    seed: int = 0
    checkpoint_every: int = 500


class Training(ABC):
    """A model, trained step by step on a loss that a subclass draws.

    Parameters
    ----------
    model : all that has weights to learn
    directory : made if missing
    """

    def __init__(self, model: nn.Module, settings: Schedule, directory: Path, *, device: torch.device) -> None:
        self.model = model.to(device).train()
        self.device = device
        self.step = 0
        self._optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
        )
        self._settings = settings
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    @abstractmethod
    def loss(self, rng: np.random.Generator, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """One step's loss, and the batch it came from; all chance comes from the two generators."""

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
            state = torch.load(path, map_location=self.device, weights_only=True)
            stored, requested = state["settings"], asdict(self._settings)
        except Exception as error:
            raise TrainingError(f"{path}: cannot be read ({error}); remove it to begin anew") from error
        other = [
            f"{name} {stored.get(name)} there, {value} here"
            for name, value in requested.items()
            if name != "steps" and stored.get(name) != value
        ]
        if other:
            raise TrainingError(f"{path}: of another training: {'; '.join(other)}")
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        return True

    def run(self, *, on_step: OnStep) -> None:
        """Train up to `settings.steps`, and leave a checkpoint.

        Raises
        ------
        TrainingError
            If the loss is not finite; the batch is saved beside the checkpoint.
        """
        path = self._directory / "losses.jsonl"
        # What was logged after the checkpoint will be logged again.
        kept = path.read_text(encoding="utf-8").splitlines(keepends=True)[: self.step] if path.exists() else []
        with path.open("w", encoding="utf-8") as losses:
            losses.writelines(kept)
            while self.step < self._settings.steps:
                loss = self._one_step()
                losses.write(json.dumps({"step": self.step, "loss": round(loss, 5)}) + "\n")
                on_step(self.step, loss)
                if self.step % self._settings.checkpoint_every == 0:
                    losses.flush()
                    self.save()
        self.save()

    def save(self) -> None:
        """Write the checkpoint beside the last one and rename it, so that a full disk leaves the last good one."""
        path = self._directory / "checkpoint.pt"
        state = {
            "model": self.model.state_dict(),
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

    def _one_step(self) -> float:
        settings = self._settings
        rng = np.random.default_rng([settings.seed, self.step])
        # Dropout draws from torch's own generators.
        torch.manual_seed(int(rng.integers(2**62)))
        generator = torch.Generator(self.device).manual_seed(int(rng.integers(2**62)))
        for group in self._optimizer.param_groups:
            group["lr"] = group.get("share", 1.0) * learning_rate(self.step, settings)
        loss, batch = self.loss(rng, generator)
        value = float(loss.detach())
        if not math.isfinite(value):
            path = self._directory / f"not_finite_{self.step}.pt"
            torch.save(batch, path)
            raise TrainingError(f"the loss is {value} at step {self.step}; its batch is in {path}")
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.model.parameters(), _MAX_GRADIENT_NORM)
        self._optimizer.step()
        self.step += 1
        return value


def learning_rate(step: int, settings: Schedule) -> float:
    """Linear warm-up, then half a cosine down to zero (Loshchilov & Hutter, SGDR, 2017)."""
    if step < settings.warmup_steps:
        return settings.learning_rate * (step + 1) / settings.warmup_steps
    progress = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return settings.learning_rate * 0.5 * (1 + math.cos(math.pi * min(1.0, progress)))
