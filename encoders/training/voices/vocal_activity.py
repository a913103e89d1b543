"""How :mod:`encoders.models.vocals` learns: from scenes of voices over music.

In a scene of 20 s nobody is heard, or somebody sings or speaks for a tenth to nine tenths of it, at -12 to +12 dB, over
music in which nobody sings or over nothing; then it is mastered and encoded as music is. The truth is by steps of 0.1
s.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from encoders.media.loudness import normalised
from encoders.models.vocals import KINDS, STEP_S
from encoders.training.loop import Schedule, Training
from encoders.training.rendering import chance
from encoders.training.voices.clips import SAMPLE_RATE
from encoders.training.voices.mastering import master
from encoders.training.voices.mixes import Mix, Placed, Vocal, mix, place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from encoders.models.vocals import VocalNet
    from encoders.training.voices.parts import Beds, Voices

SCENE_S = 20.0
_WITHOUT_VOICE, _WITHOUT_MUSIC, _SUNG, _ANOTHER = 0.5, 0.08, 0.6, 0.2
_LEAST_SHARE, _LARGEST_SHARE = 0.1, 0.9
_SNR_DB = 12.0
DETECTOR_RATE = 0.3
_PART_S = 10.0
_VOICES_AFTER_ALL = 0.3  # share of a scene of music alone that the published detector takes for voices: it may be right


@dataclass(frozen=True)
class Heard:
    """Scenes: log-mel energies float16 [n, frames, 80], and what they are, int64 [n, steps] as `KINDS`."""

    energies: Tensor
    kinds: Tensor


def scene(voices: Voices, beds: Beds, rng: np.random.Generator) -> Mix:
    """A scene of chance, before it is mastered."""
    music = beds.cut(SCENE_S, rng)
    if rng.random() < _WITHOUT_VOICE:
        return mix(music, [], SCENE_S, snr_db=0.0)
    if rng.random() < _WITHOUT_MUSIC:
        music = np.zeros_like(music)
    return mix(music, _placed(voices, rng), SCENE_S, snr_db=rng.uniform(-_SNR_DB, _SNR_DB))


def _placed(voices: Voices, rng: np.random.Generator) -> list[Placed]:
    """Clips that fill a share of the scene: mostly of one voice, mostly sung."""
    chosen: list[Vocal] = []
    left = round(SCENE_S * rng.uniform(_LEAST_SHARE, _LARGEST_SHARE) * SAMPLE_RATE)
    while left > SAMPLE_RATE // 2:
        if not chosen or rng.random() < _ANOTHER:
            groups = list((voices.sung if rng.random() < _SUNG else voices.spoken).values())
            clips = groups[int(rng.integers(len(groups)))]
        vocal = voices.vocal(clips[int(rng.integers(len(clips)))])
        chosen.append(replace(vocal, waveform=vocal.waveform[:left]))
        left -= len(vocal.waveform)
    return place(chosen, SCENE_S, rng)


def kinds_of(made: Mix) -> NDArray[np.int64]:
    """What a mix is in every step, int64 [steps] as `KINDS`; singing goes before speech."""
    kinds = np.zeros(round(len(made.waveform) / SAMPLE_RATE / STEP_S), np.int64)
    for span in made.spans:
        steps = slice(round(span.start_s / STEP_S), round(span.end_s / STEP_S))
        kinds[steps] = np.maximum(kinds[steps], KINDS.index(span.activity))
    return kinds


def hear_scenes(
    network: VocalNet, voices: Voices, beds: Beds, count: int, *, seed: int, on_scene: Callable[[int], None]
) -> Heard:
    """Make scenes; each depends on the seed and its number alone.

    Music alone in which the published detector hears a voice for long is left out: it may be right.
    """
    energies, kinds = [], []
    with torch.inference_mode():
        for number in range(count):
            rng = chance(f"scene {number}", seed)
            made = scene(voices, beds, rng)
            waveform = normalised(master(made.waveform, rng), SAMPLE_RATE)
            log_mel = network.energies(torch.from_numpy(waveform))
            on_scene(number + 1)
            if made.spans or _voiced(network, log_mel) < _VOICES_AFTER_ALL:
                energies.append(log_mel.half())
                kinds.append(torch.from_numpy(kinds_of(made)))
    return Heard(torch.stack(energies), torch.stack(kinds))


def _voiced(network: VocalNet, log_mel: Tensor) -> float:
    """Share of the frames that the published detector takes for speech or singing."""
    return float((network.detector(log_mel[None])[0, :, -3:-1] > 0).any(dim=1).float().mean())


class VocalTraining(Training):
    """Cross-entropy over the steps of scenes: the head learns from nothing, the detector goes on from what it is."""

    def __init__(self, network: VocalNet, heard: Heard, settings: Schedule, directory: Path) -> None:
        super().__init__(network, settings, directory, device=torch.device("cpu"))
        groups: list[dict[str, Any]] = [
            {"params": list(network.head.parameters())},
            {"params": list(network.detector.parameters()), "share": DETECTOR_RATE},
        ]
        self._optimizer = torch.optim.AdamW(
            groups,
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self._heard = heard
        self._batch_size = settings.batch_size

    def loss(self, rng: np.random.Generator, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Scenes of chance."""
        some = torch.from_numpy(rng.integers(len(self._heard.kinds), size=self._batch_size))
        # A part of each: as much to learn from, and twice as many scenes a minute.
        steps = round(_PART_S / STEP_S)
        first = int(rng.integers(self._heard.kinds.shape[1] - steps + 1))
        frames = self._heard.energies.shape[1] // self._heard.kinds.shape[1]
        energies = self._heard.energies[some, first * frames : (first + steps) * frames].float()
        log_probabilities = self.model.answer(energies)  # type: ignore[operator]
        kinds = self._heard.kinds[some, first : first + steps]
        return F.nll_loss(log_probabilities.flatten(0, 1), kinds.flatten()), {"scenes": some}
