"""The melody network learns from songs whose leading voice is known, and from voices that sing alone.

Every example is some seconds of a song's spectrogram, changed as a song may be without its melody becoming another:
transposed by thirds of a semitone, played faster or slower, louder or softer, brighter or darker, all of it done to the
spectrogram. Targets are the bin of the pitch and, less, its neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from encoders.models.music.melody import LOWEST_MELODY, N_BINS, UNVOICED, MelodyNet
from encoders.models.music.spectra import BINS_A_SEMITONE, N_PITCH, PITCH_RATE
from encoders.training.loop import Schedule, Training

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

_FRAMES = 300
_TRANSPOSED_BINS = 15
_STRETCHED = 0.2
_LEVEL_DB, _TILT_DB = 8.0, 8.0
_HALF_RANGE_DB = 40.0
_SPREAD = 0.7  # bins, of the target
_SMOOTHED = 0.05
_ALONE = 0.15


@dataclass(frozen=True, eq=False)
class Sung:
    """A spectrogram float16 [252, T] and its melody float32 [T], MIDI numbers; NaN where nothing leads."""

    spectrogram: NDArray[np.float16]
    melody: NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class MelodySettings(Schedule):
    """As :class:`Schedule`, with sizes that suit this network."""

    batch_size: int = 5
    learning_rate: float = 2e-3
    warmup_steps: int = 100
    weight_decay: float = 0.01
    checkpoint_every: int = 250


class MelodyTraining(Training):
    """Trains a :class:`MelodyNet` on songs, a share of the examples on voices alone.

    Parameters
    ----------
    songs, alone : to learn from; one of the latter is drawn for every seventh example, where there are some
    """

    model: MelodyNet

    def __init__(self, songs: Sequence[Sung], alone: Sequence[Sung], settings: MelodySettings, directory: Path) -> None:
        super().__init__(MelodyNet(), settings, directory, device=torch.device("cpu"))
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.songs, self.alone = songs, alone

    def loss(self, rng: np.random.Generator, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Cross-entropy with the pitch's bin and its neighbours, or with silence."""
        spectrograms, melodies = [], []
        for _ in range(self._settings.batch_size):
            among = self.alone if self.alone and rng.random() < _ALONE else self.songs
            spectrogram, melody = example(among[int(rng.integers(len(among)))], rng)
            spectrograms.append(spectrogram)
            melodies.append(melody)
        batch = {"spectrogram": torch.stack(spectrograms), "melody": torch.from_numpy(np.stack(melodies))}
        logits = self.model.logits(batch["spectrogram"])
        return -(targets(batch["melody"]) * F.log_softmax(logits, dim=-1)).sum(-1).mean(), batch


def example(song: Sung, rng: np.random.Generator) -> tuple[Tensor, NDArray[np.float32]]:
    """Some seconds of a song, changed by chance: spectrogram float32 [252, 300], melody float32 [300]."""
    pace = float(np.exp(rng.uniform(-_STRETCHED, _STRETCHED)))
    total = song.spectrogram.shape[1]
    start = rng.uniform(0, max(1.0, total - pace * _FRAMES))
    at = start + pace * np.arange(_FRAMES)
    before = np.clip(np.floor(at).astype(np.int64), 0, total - 2)
    share = np.clip(at - before, 0, 1).astype(np.float32)
    piece = song.spectrogram[:, before[0] : before[-1] + 2].astype(np.float32)
    left = piece[:, before - before[0]]
    cut = left + share * (piece[:, before + 1 - before[0]] - left)
    cut[:, at > total - 1] = -1
    melody = song.melody[np.clip(np.rint(at).astype(np.int64), 0, total - 1)].copy()
    melody[at > total - 1] = np.nan
    bins = int(rng.integers(-_TRANSPOSED_BINS, _TRANSPOSED_BINS + 1))
    moved = np.full_like(cut, -1)
    moved[max(0, bins) : N_PITCH + min(0, bins)] = cut[max(0, -bins) : N_PITCH - max(0, bins)]
    knots = rng.uniform(-_TILT_DB, _TILT_DB, 4) + rng.uniform(-_LEVEL_DB, _LEVEL_DB)
    curve = np.interp(np.linspace(0, 3, N_PITCH), np.arange(4), knots).astype(np.float32) / _HALF_RANGE_DB
    heard = np.where(moved > -1, np.maximum(moved + curve[:, None], -1), -1)
    return torch.from_numpy(heard), melody + np.float32(bins / BINS_A_SEMITONE)


def targets(melody: Tensor) -> Tensor:
    """Melodies [B, T], MIDI numbers or NaN → what should be answered [B, T, 199], summing to 1."""
    place = (melody - LOWEST_MELODY) * BINS_A_SEMITONE + 1
    voiced = (place > -0.5) & (place < N_BINS - 0.5)
    near = torch.exp(-0.5 * ((torch.arange(N_BINS) - place.nan_to_num(-1e3)[..., None]) / _SPREAD) ** 2)
    near = near / near.sum(-1, keepdim=True).clamp(min=1e-9)
    answer = torch.cat([near * voiced[..., None], (~voiced)[..., None].float()], dim=-1)
    return (1 - _SMOOTHED) * answer + _SMOOTHED / (UNVOICED + 1)


def melody_of(told: Mapping[str, Any], frames: int) -> NDArray[np.float32]:
    """The melody that a song's ``truth.json`` tells, at the frames of its spectrogram, float32 [frames]."""
    pitches = np.array([np.nan if pitch is None else pitch for pitch in told["midi"]], np.float32)
    at = np.rint(np.arange(frames) / PITCH_RATE / told["step_s"]).astype(np.int64)
    return np.where(at < len(pitches), pitches[np.clip(at, 0, len(pitches) - 1)], np.nan).astype(np.float32)
