"""Waveform → time–frequency features. The only importer of torchaudio.

torchaudio's wheels are linked to CUDA, so next to a CPU build of torch its import fails on a missing library. Only its
compiled extension needs that library, and nothing here needs the extension: on that error a stand-in takes the
extension's place and the import is repeated.
"""

from __future__ import annotations

import importlib
import sys
import types
from functools import cached_property

import torch
from torch import Tensor, nn


def _import_without_extension() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchaudio"]:
        del sys.modules[name]
    extension = types.ModuleType("torchaudio._extension")
    stand_ins: dict[str, object] = {
        "_IS_TORCHAUDIO_EXT_AVAILABLE": False,
        "_IS_ALIGN_AVAILABLE": False,
        "_check_cuda_version": lambda: None,
        "fail_if_no_align": lambda function: function,
    }
    vars(extension).update(stand_ins)
    sys.modules["torchaudio._extension"] = extension
    importlib.import_module("torchaudio")


try:
    import torchaudio
except OSError:
    _import_without_extension()
    import torchaudio

from torchaudio.functional import melscale_fbanks  # noqa: E402
from torchaudio.transforms import AmplitudeToDB, MelSpectrogram  # noqa: E402

Group = tuple[slice, slice]

__all__ = ["AmplitudeToDB", "LogFrequency", "MelPower", "SlaneyMel", "torchaudio"]


class MelPower(MelSpectrogram):  # type: ignore[misc]
    """torchaudio's mel spectrogram of power, without the root that it takes and squares again."""

    def forward(self, waveform: Tensor) -> Tensor:
        """Turn waveforms [batch, samples] into power [batch, n_mels, 1 + samples // hop_length]."""
        if _one_by_one(waveform):
            return torch.cat([self.forward(window) for window in torch.split(waveform, 1)])
        frames = torch.stft(waveform, self.n_fft, self.hop_length, window=self.spectrogram.window, return_complex=True)
        return _filtered(_power(frames), self.mel_scale.fb.T, self._groups)

    @cached_property
    def _groups(self) -> list[Group]:
        """Of a checkpoint's filters: it is loaded before anything is heard."""
        return _groups(self.mel_scale.fb.T, size=16)


class SlaneyMel(nn.Module):
    """Power mel spectrogram as librosa computes it: Slaney's scale and area norm, periodic Hann window, no centring.

    ``(B. McFee et al., librosa: Audio and music signal analysis in Python, SciPy 2015)``. Everything follows from the
    parameters, so nothing of it is in the module's state.

    Parameters
    ----------
    sample_rate : Hz; the filters span 0 Hz to half of it, or to `fmax_hz`
    n_fft, hop_length : samples
    n_mels : number of filters
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self, *, sample_rate: int, n_fft: int, hop_length: int, n_mels: int, fmax_hz: float | None = None
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        fmax_hz = sample_rate / 2 if fmax_hz is None else fmax_hz
        filters = melscale_fbanks(n_fft // 2 + 1, 0.0, fmax_hz, n_mels, sample_rate, "slaney", "slaney")
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("filters", filters.T.contiguous(), persistent=False)
        self._groups = _groups(self.filters, size=16)

    def forward(self, waveform: Tensor) -> Tensor:
        """Turn waveforms [batch, samples] into power [batch, 1 + (samples - n_fft) // hop_length, n_mels]."""
        if _one_by_one(waveform):
            return torch.cat([self.forward(window) for window in torch.split(waveform, 1)])
        frames = torch.stft(
            waveform, self.n_fft, self.hop_length, window=self.window, center=False, return_complex=True
        )
        return _filtered(_power(frames), self.filters, self._groups).mT


class LogFrequency(nn.Module):
    """Power in bins of equal musical width, in dB: triangular filters over the STFT, one centred on every bin.

    A filter reaches to the centres of its neighbours, and at least one bin of the FFT to either side, where the bins of
    the FFT lie further apart than those. Everything follows from the parameters, so nothing is in the module's state.

    Parameters
    ----------
    sample_rate, fmin_hz : Hz; the first filter is centred on `fmin_hz`
    n_fft, hop_length : samples
    n_bins, bins_per_octave : number of filters, and of those in an octave
    """

    window: Tensor
    filters: Tensor

    def __init__(
        self, *, sample_rate: int, n_fft: int, hop_length: int, fmin_hz: float, n_bins: int, bins_per_octave: int
    ) -> None:
        super().__init__()
        self.n_fft = n_fft
        self.hop_length = hop_length
        width_hz = sample_rate / n_fft
        centres_hz = fmin_hz * 2 ** (torch.arange(-1, n_bins + 1, dtype=torch.float64) / bins_per_octave)
        centre = centres_hz[1:-1]
        rise = (centre - centres_hz[:-2]).clamp(min=width_hz)
        fall = (centres_hz[2:] - centre).clamp(min=width_hz)
        distance = torch.arange(n_fft // 2 + 1, dtype=torch.float64)[:, None] * width_hz - centre
        filters = (1 - torch.where(distance < 0, -distance / rise, distance / fall)).clamp(min=0)
        self.register_buffer("window", torch.hann_window(n_fft), persistent=False)
        self.register_buffer("filters", (filters / filters.sum(0)).float().T.contiguous(), persistent=False)
        self._groups = _groups(self.filters, size=bins_per_octave)

    def forward(self, waveform: Tensor) -> Tensor:
        """Turn waveforms [batch, samples] into dB [batch, n_bins, 1 + samples // hop_length]."""
        if _one_by_one(waveform):
            return torch.cat([self.forward(window) for window in torch.split(waveform, 1)])
        frames = torch.stft(waveform, self.n_fft, self.hop_length, window=self.window, return_complex=True)
        decibels: Tensor = 10 * _filtered(_power(frames), self.filters, self._groups).clamp(min=1e-10).log10()
        return decibels


def _one_by_one(waveform: Tensor) -> bool:
    """Whether a batch is better cut up: the complex spectrogram of one window stays in a CPU core's cache."""
    return waveform.device.type == "cpu" and len(waveform) > 1


def _groups(filters: Tensor, *, size: int) -> list[Group]:
    """Filters [n, bins] that lie beside each other, and from where to where any of them lets anything through."""
    groups = []
    for first in range(0, len(filters), size):
        passed = filters[first : first + size].any(dim=0).nonzero()
        groups.append((slice(first, first + size), slice(int(passed[0]), int(passed[-1]) + 1)))
    return groups


def _filtered(power: Tensor, filters: Tensor, groups: list[Group]) -> Tensor:
    """Power [batch, bins, frames] through filters [n, bins] → [batch, n, frames].

    A product a group costs a fifth of that with all filters: nearly every weight is zero.
    """
    return torch.cat([filters[some, bins] @ power[:, bins] for some, bins in groups], dim=1)


def _power(frames: Tensor) -> Tensor:
    return frames.real.square() + frames.imag.square()
