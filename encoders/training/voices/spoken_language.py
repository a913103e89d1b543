"""Whisper adapted to voices over music: low-rank changes of its upper layers, learnt from spoken and sung mixes.

Hu et al., "LoRA: Low-rank adaptation of large language models", ICLR 2022. The lower layers stay as they are and are
gone through once. The loss is the cross-entropy among the languages that there are voices of (and nobody, for music
alone and for humming), and the divergence from what the network said before, so that it does not forget the others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from scipy.signal import butter, sosfilt
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from encoders.media.loudness import normalised
from encoders.models.language.codes import CODES, INDEX, normal_code
from encoders.models.language.whisper import ADAPTED_FROM, Whisper
from encoders.training.loop import Schedule, Training
from encoders.training.rendering import chance
from encoders.training.voices.clips import SAMPLE_RATE
from encoders.training.voices.effects import hum
from encoders.training.voices.mastering import master
from encoders.training.voices.mixes import mix, place

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from encoders.training.voices.clips import Clip
    from encoders.training.voices.parts import Beds, Voices

WINDOW_S = 6.0
RANK = 16
NOBODY = len(CODES)
_MUSIC_ALONE, _HUMMED, _VOICE_ALONE, _SUNG, _RECORDED, _NARROW = 0.06, 0.03, 0.1, 0.45, 0.6, 0.25
_SNR_DB = (-6.0, 12.0)
_SMOOTHING = 0.05
_KEPT = 0.3


@dataclass(frozen=True)
class Windows:
    """Windows as the lower layers hear them.

    Attributes
    ----------
    states : bfloat16 [n, frames, 512]
    before : what the network says of them, log-probabilities [n, languages + 1]
    languages : what they are, int64 [n]
    """

    states: Tensor
    before: Tensor
    languages: Tensor


def hear_windows(
    network: Whisper, voices: Voices, beds: Beds, count: int, *, seed: int, on_window: Callable[[int], None]
) -> Windows:
    """Windows of voices over music; each depends on the seed and its number alone."""
    states, before, languages = [], [], []
    with torch.inference_mode():
        for number in range(count):
            waveform, language = window(voices, beds, chance(f"window {number}", seed))
            heard = network.hear(torch.from_numpy(waveform)[None])
            states.append(heard[0].bfloat16())
            before.append(network.understand(heard)[0])
            languages.append(language)
            on_window(number + 1)
    return Windows(torch.stack(states), torch.stack(before), torch.tensor(languages))


def window(voices: Voices, beds: Beds, rng: np.random.Generator) -> tuple[NDArray[np.float32], int]:
    """A window of chance, float32 [samples], and its language; languages are equally common."""
    music = beds.cut(WINDOW_S, rng)
    kind = rng.random()
    if kind < _MUSIC_ALONE:
        return normalised(master(music, rng), SAMPLE_RATE), NOBODY
    clips = _speaker(voices, rng)
    vocal = voices.vocal(clips[int(rng.integers(len(clips)))])
    language, waveform = INDEX[normal_code(vocal.language) or vocal.language], vocal.waveform
    if kind < _MUSIC_ALONE + _HUMMED:
        language, waveform = NOBODY, hum(waveform, rng)
    if rng.random() < _NARROW:  # some packages are recorded like a telephone: that must not tell the language
        low = butter(6, rng.uniform(3_200, 6_000), fs=SAMPLE_RATE, output="sos")
        waveform = sosfilt(low, waveform).astype(np.float32)
    length = round(WINDOW_S * SAMPLE_RATE)
    first = int(rng.integers(max(1, len(waveform) - length)))
    waveform = waveform[first : first + length]
    if rng.random() < _VOICE_ALONE:
        music = np.zeros_like(music)
    placed = place([type(vocal)(waveform, vocal.activity, vocal.language)], WINDOW_S, rng)
    made = mix(music, placed, WINDOW_S, snr_db=rng.uniform(*_SNR_DB))
    return normalised(master(made.waveform, rng), SAMPLE_RATE), language


def _speaker(voices: Voices, rng: np.random.Generator) -> list[Clip]:
    """Clips of one speaker: a language first, then rather sung than spoken, rather a person than a machine."""
    spoken = sorted({language for language, _, _ in voices.spoken})
    language = spoken[int(rng.integers(len(spoken)))]
    sung = [clips for (code, _, _), clips in voices.sung.items() if code == language]
    groups = [clips for (code, _, _), clips in voices.spoken.items() if code == language]
    if sung and rng.random() < _SUNG:
        groups = sung
    people = [clips for clips in groups if clips[0].source not in ("espeak-ng", "flite", "festival")]
    if people and rng.random() < _RECORDED:
        groups = people
    return groups[int(rng.integers(len(groups)))]


class LowRank(nn.Module):
    """A weight [n_out, n_in] and a change of low rank, none at first."""

    def __init__(self, n_out: int, n_in: int) -> None:
        super().__init__()
        self.inner = nn.Parameter(torch.randn(RANK, n_in) / n_in**0.5)
        self.outer = nn.Parameter(torch.zeros(n_out, RANK))

    def forward(self, weight: Tensor) -> Tensor:
        """The weight with its change."""
        return weight + self.outer @ self.inner


def adaptable(network: Whisper) -> list[tuple[str, nn.Linear]]:
    """The layers that are adapted, by name."""
    above = [f"encoder.{number}." for number in range(ADAPTED_FROM, len(network.encoder))]
    return [
        (name, layer)
        for name, layer in network.named_modules()
        if isinstance(layer, nn.Linear) and name.startswith((*above, "decoder."))
    ]


def adapt(network: Whisper) -> None:
    """Freeze a network but for changes of its upper layers, which it gets."""
    network.requires_grad_(False)
    for _, layer in adaptable(network):
        parametrize.register_parametrization(layer, "weight", LowRank(*layer.weight.shape))


def changes(network: Whisper) -> dict[str, Tensor]:
    """What an adapted network learnt: factors by layer."""
    return {
        f"{name}.{factor}": getattr(layer.parametrizations["weight"][0], factor).detach()  # type: ignore[index]
        for name, layer in adaptable(network)
        for factor in ("inner", "outer")
    }


class LanguageTraining(Training):
    """An adapted network on windows that its lower layers heard before."""

    def __init__(self, network: Whisper, windows: Windows, settings: Schedule, directory: Path) -> None:
        super().__init__(network, settings, directory, device=torch.device("cpu"))
        self._windows = windows
        self._batch_size = settings.batch_size
        self._known = torch.unique(windows.languages)
        self._place = torch.full((NOBODY + 1,), -1).index_copy(0, self._known, torch.arange(len(self._known)))

    def loss(self, rng: np.random.Generator, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Windows of chance."""
        some = torch.from_numpy(rng.integers(len(self._windows.languages), size=self._batch_size))
        said = self.model.understand(self._windows.states[some])  # type: ignore[operator]
        among = F.log_softmax(said[:, self._known], dim=1)
        truth = self._place[self._windows.languages[some]]
        right = F.cross_entropy(among, truth, label_smoothing=_SMOOTHING)
        kept = F.kl_div(said, self._windows.before[some], reduction="batchmean", log_target=True)
        return right + _KEPT * kept, {"windows": some}
