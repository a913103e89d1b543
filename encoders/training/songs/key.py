"""Teaching a network keys: from songs whose key is known, stretches of them, at any pitch.

The network hears all keys alike, so songs are not transposed; they are heard detuned, tilted and in parts. A
neighbour's answer is less wrong than another's: what is expected is spread as MIREX counts it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from encoders.models.music.key import KeyNet
from encoders.models.music.spectra import BINS_A_SEMITONE, N_PITCH
from encoders.training.loop import Schedule, Training

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_RIGHT, _FIFTH, _RELATIVE, _PARALLEL = 0.9, 0.03, 0.03, 0.01


@dataclass(frozen=True, eq=False)
class KeyExample:
    """A track: pitches float16 [252, T], averaged as the network takes them, and its key (0 … 23, minor from 12 on)."""

    pitch: NDArray[np.float16]
    key: int


@dataclass(frozen=True, kw_only=True)
class KeySettings(Schedule):
    """How the network is trained; `frames` of ten frames each make an excerpt."""

    batch_size: int = 8
    learning_rate: float = 2e-3
    frames: int = 200


class KeyTraining(Training):
    """Cross-entropy of keys."""

    def __init__(
        self, settings: KeySettings, directory: Path, *, songs: Sequence[KeyExample], device: torch.device
    ) -> None:
        self.network = KeyNet()
        super().__init__(self.network, settings, directory, device=device)
        self.settings, self.songs = settings, songs

    def loss(self, rng: np.random.Generator, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of one batch."""
        chosen = [self.songs[i] for i in rng.integers(len(self.songs), size=self.settings.batch_size)]
        pitch = torch.from_numpy(np.stack([excerpt(one.pitch, self.settings.frames, rng) for one in chosen]))
        expected = torch.from_numpy(np.stack([spread(one.key) for one in chosen])).to(self.device)
        logits = self.network(pitch.to(self.device))
        return F.cross_entropy(logits, expected), {"pitch": pitch, "expected": expected}


def excerpt(pitch: NDArray[np.float16], frames: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A part of a track [252, frames]: detuned by up to a third of a semitone, tilted, maybe without top or bass."""
    start = int(rng.integers(max(1, pitch.shape[1] - frames + 1)))
    part = pitch[:, start : start + frames].astype(np.float32)
    part = np.pad(part, ((0, 0), (0, frames - part.shape[1])), mode="wrap" if part.shape[1] else "constant")
    detuned = float(rng.uniform(-1, 1)) * (rng.random() < 0.5)
    other = np.roll(part, 1 if detuned > 0 else -1, axis=0)
    part = part * np.float32(1 - abs(detuned)) + other * np.float32(abs(detuned))
    part += np.float32(rng.uniform(-0.4, 0.4)) * np.linspace(-1, 1, N_PITCH, dtype=np.float32)[:, None]
    if rng.random() < 0.3:
        edge = 12 * BINS_A_SEMITONE * int(rng.integers(1, 4))
        part[(slice(None, edge) if rng.random() < 0.5 else slice(-edge, None))] = -1
    noise = rng.standard_normal(part.shape).astype(np.float32)
    return np.maximum(part + np.float32(rng.uniform(0, 0.1)) * noise, -1)


def spread(key: int) -> NDArray[np.float32]:
    """What is expected of the 24 keys: mostly the right one, a little its neighbours."""
    expected = np.zeros(24, np.float32)
    tonic, minor = key % 12, key >= 12
    expected[key] = _RIGHT
    for fifth in (7, 5):
        expected[(tonic + fifth) % 12 + 12 * minor] += _FIFTH
    expected[(tonic + (3 if minor else 9)) % 12 + 12 * (not minor)] += _RELATIVE
    expected[tonic + 12 * (not minor)] += _PARALLEL
    return expected
