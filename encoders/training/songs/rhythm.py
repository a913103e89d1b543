"""Teaching a network beats and bars: from songs whose beats are known, and from music whose beats a teacher tells.

Tempo augmentation after Böck & Davies, ISMIR 2020: a stretch of spectra is read at another pace, and its beats move
with it. Pitches are shifted, bands tilted and left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from encoders.models.music.rhythm import FRAME_RATE, RhythmNet
from encoders.models.music.spectra import BINS_A_SEMITONE, N_ONSET, N_SEMITONES
from encoders.training.loop import Schedule, Training

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_STRETCH = (0.75, 1.35)
_SEMITONES = 4
_NEIGHBOUR = 0.5
"""What a frame beside a beat counts: hands and annotators are no more exact than that."""


@dataclass(frozen=True, eq=False)
class BeatExample:
    """A track to learn from.

    Attributes
    ----------
    onset : float16 [84, 2 T]
    semitones : float16 [84, T]
    beats_s, positions : float64 [n], int64 [n]
    weight, downbeat_weight : how much its beats count, and which of them begin bars
    """

    onset: NDArray[np.float16]
    semitones: NDArray[np.float16]
    beats_s: NDArray[np.float64]
    positions: NDArray[np.int64]
    weight: float = 1.0
    downbeat_weight: float = 1.0


def example(
    onset: NDArray[np.float16],
    pitch: NDArray[np.float16],
    beats_s: NDArray[np.float64],
    positions: NDArray[np.int64],
    *,
    weight: float = 1.0,
    downbeat_weight: float = 1.0,
) -> BeatExample:
    """An example from spectra as :mod:`encoders.models.music.spectra` makes them."""
    semitones = pitch.astype(np.float32).reshape(N_SEMITONES, BINS_A_SEMITONE, -1).mean(axis=1).astype(np.float16)
    return BeatExample(onset, semitones, beats_s, positions, weight, downbeat_weight)


@dataclass(frozen=True, kw_only=True)
class RhythmSettings(Schedule):
    """How the network is trained; `frames` of onsets make an excerpt, of which some share is of other music."""

    batch_size: int = 6
    learning_rate: float = 1.5e-3
    frames: int = 2000
    of_music: float = 0.4


class RhythmTraining(Training):
    """Binary cross-entropy of both curves over excerpts."""

    def __init__(
        self,
        settings: RhythmSettings,
        directory: Path,
        *,
        songs: Sequence[BeatExample],
        music: Sequence[BeatExample] = (),
        device: torch.device,
    ) -> None:
        self.network = RhythmNet()
        super().__init__(self.network, settings, directory, device=device)
        self.settings = settings
        self.songs, self.music = songs, music

    def loss(self, rng: np.random.Generator, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss of one batch."""
        n_music = int(rng.binomial(self.settings.batch_size, self.settings.of_music)) if self.music else 0
        chosen = [self.music[i] for i in rng.integers(len(self.music), size=n_music)] if n_music else []
        chosen += [self.songs[i] for i in rng.integers(len(self.songs), size=self.settings.batch_size - n_music)]
        drawn = [excerpt(one, self.settings.frames, rng) for one in chosen]
        onset, semitones, target = (
            torch.from_numpy(np.stack(column)).to(self.device) for column in zip(*drawn, strict=True)
        )
        weights = torch.tensor([[one.weight, 2 * one.downbeat_weight] for one in chosen], device=self.device)
        logits = self.network.answer(onset, semitones)
        each = F.binary_cross_entropy_with_logits(logits, target, reduction="none").mean(dim=2)
        return (each * weights).mean(), {"onset": onset, "semitones": semitones, "target": target}


def excerpt(
    one: BeatExample, frames: int, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """A stretch at another pace and pitch: onsets [84, frames], semitones [84, frames / 2], targets [2, frames]."""
    pace = float(np.exp(rng.uniform(*np.log(_STRETCH)))) if rng.random() < 0.7 else 1.0
    length = one.onset.shape[1]
    start = rng.uniform(-0.1 * frames, max(0.0, length - 0.8 * frames * pace))
    at = start + pace * np.arange(frames)
    onset = _read(one.onset, at)
    semitones = _read(one.semitones, at[::2] / 2)
    shift = int(rng.integers(-_SEMITONES, _SEMITONES + 1))
    semitones = np.roll(semitones, shift, axis=0)
    tilt = np.linspace(-1, 1, N_ONSET, dtype=np.float32)[:, None]
    onset += np.float32(rng.uniform(-0.2, 0.2)) * tilt + np.float32(rng.uniform(-0.2, 0.15))
    if rng.random() < 0.3:
        first = int(rng.integers(N_ONSET))
        onset[first : first + int(rng.integers(4, 25))] = -1
    if rng.random() < 0.15:
        semitones[:] = -1
    target = np.zeros((2, frames), np.float32)
    places = (one.beats_s * FRAME_RATE - start) / pace
    for row, some in enumerate((places, places[one.positions == 1])):
        nearest = np.rint(some[(some > 1) & (some < frames - 2)]).astype(np.int64)
        target[row, nearest - 1] = np.maximum(target[row, nearest - 1], _NEIGHBOUR)
        target[row, nearest + 1] = np.maximum(target[row, nearest + 1], _NEIGHBOUR)
        target[row, nearest] = 1
    return np.maximum(onset, -1), np.maximum(semitones, -1), target


def _read(spectrum: NDArray[np.float16], at: NDArray[np.float64]) -> NDArray[np.float32]:
    """Columns between frames; silence outside."""
    length = spectrum.shape[1]
    low = np.floor(at).astype(np.int64)
    share = (at - low).astype(np.float32)
    inside = (at >= 0) & (at <= length - 1)
    low = np.clip(low, 0, length - 1)
    high = np.minimum(low + 1, length - 1)
    read = spectrum[:, low].astype(np.float32) * (1 - share) + spectrum[:, high].astype(np.float32) * share
    read[:, ~inside] = -1
    result: NDArray[np.float32] = np.maximum(read, -1)
    return result
