"""Training of the structure network: curves of boundaries and functions, and a metric within each song."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from encoders.models.music.structure import StructureNet
from encoders.training.loop import Schedule, Training
from encoders.training.songs.forms import UNKNOWN, Example, Song, example

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

_TEMPERATURE = 0.15
_COMPARED = 160
_RISEN = 2.0


@dataclass(frozen=True, kw_only=True)
class FormSettings(Schedule):
    """Weights of the losses beside that of the boundaries of parts, which is 1.

    The paper has .9 for boundaries and .1 for functions; those of ours that are not boundaries are as large as these.
    """

    steps: int = 5000
    batch_size: int = 2
    learning_rate: float = 8e-4
    weight_decay: float = 0.02
    phrases: float = 0.7
    functions: float = 0.25
    metric: float = 0.15


class FormTraining(Training):
    """The network, taught by songs as they are sung and as they might have been."""

    def __init__(self, songs: Sequence[Song], settings: FormSettings, directory: Path, *, device: torch.device) -> None:
        super().__init__(StructureNet(), settings, directory, device=device)
        self._songs = songs
        self._weights = settings

    def loss(self, rng: np.random.Generator, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Of each song of a batch by itself: they are of different lengths."""
        chosen = rng.integers(len(self._songs), size=self._weights.batch_size)
        total = torch.zeros((), device=self.device)
        batch: dict[str, Tensor] = {}
        for number, index in enumerate(chosen):
            heard = example(self._songs[index], rng, changed=True)
            batch[f"features{number}"] = heard.features
            logits, embeddings = self.model(heard.features[None].to(self.device))
            total = total + _loss(heard, logits[0], embeddings[0], self._weights, generator)
        return total / len(chosen), batch


def _loss(true: Example, logits: Tensor, embeddings: Tensor, weights: FormSettings, generator: Generator) -> Tensor:
    known = ~true.boundaries[:, 0].isnan()
    pulses = true.boundaries[known].to(logits.device)
    risen = torch.full((2,), _RISEN, device=logits.device)
    parts, phrases = F.binary_cross_entropy_with_logits(
        logits[known, :2], pulses, pos_weight=risen, reduction="none"
    ).mean(dim=0)
    named = F.cross_entropy(logits[:, 2:], true.functions.to(logits.device), ignore_index=UNKNOWN)
    near = contrast(embeddings, true.letters, true.related, generator)
    total: Tensor = parts + weights.phrases * phrases + weights.functions * named + weights.metric * near
    return total


def contrast(embeddings: Tensor, letters: Tensor, related: Tensor, generator: Generator) -> Tensor:
    """Steps with equal letters are to lie near, others far; of those that are related only, nothing is asked.

    Khosla et al., "Supervised contrastive learning", NeurIPS 2020, among some steps of one song.

    Parameters
    ----------
    embeddings : [T, dim], norm 1
    letters, related : int64 [T], as in :class:`encoders.training.songs.forms.Example`
    """
    known = (letters != UNKNOWN).nonzero()[:, 0].to(embeddings.device)
    some = known[torch.randperm(len(known), generator=generator, device=generator.device)[:_COMPARED]]
    letter, relation = letters.to(some.device)[some], related.to(some.device)[some]
    same = letter[:, None] == letter
    unasked = (relation[:, None] == relation) & ~same | torch.eye(len(some), dtype=torch.bool, device=some.device)
    similarity = (embeddings[some] @ embeddings[some].T / _TEMPERATURE).masked_fill(unasked, -torch.inf)
    likely = similarity - similarity.logsumexp(dim=1, keepdim=True)
    positive = same & ~unasked
    return -(likely.masked_fill(~positive, 0).sum(dim=1) / positive.sum(dim=1).clamp(min=1)).mean()
