"""Noise for networks that train on kept spectrograms, where changing the waveform would cost an STFT a step.

All take and return dB float32 [batch, bins, frames] on the device of the batch; every item draws its own parameters
from one generator. What they do to a sound: an equaliser and a low-pass (another master, another codec), bands and
stretches that are missing (SpecAugment, Park et al., Interspeech 2019), a volume, and another sound beside it (mixup,
Zhang et al., ICLR 2018, but of powers, as sounds add).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

_SILENCE_DB = -100.0
_EQUALISER_BANDS = 6


@dataclass(frozen=True)
class SpectralNoise:
    """How strong each change is; zero switches it off.

    Attributes
    ----------
    gain_db, equaliser_db : standard deviation of the volume, and of each of six bands
    lowpass_p : probability that all above some bin of the upper half is missing
    band_share, frame_share : widest band and longest stretch that may be missing, as shares of their axis
    """

    gain_db: float = 0.0
    equaliser_db: float = 1.5
    lowpass_p: float = 0.3
    band_share: float = 0.1
    frame_share: float = 0.0

    def __call__(self, decibels: Tensor, generator: Generator) -> Tensor:
        """Change every item of dB [batch, bins, frames]."""
        batch, bins, frames = decibels.shape
        device = decibels.device

        def normal(*shape: int) -> Tensor:
            return torch.randn(shape, generator=generator, device=device)

        curve = F.interpolate(normal(batch, 1, _EQUALISER_BANDS), bins, mode="linear", align_corners=True)
        changed = decibels + self.gain_db * normal(batch, 1, 1) + self.equaliser_db * curve.mT
        level = changed.mean(dim=(1, 2), keepdim=True)
        changed = torch.where(_stretch(batch, bins, self.band_share, generator, device)[:, :, None], level, changed)
        changed = torch.where(_stretch(batch, frames, self.frame_share, generator, device)[:, None], level, changed)
        cutoff = bins // 2 + torch.randint(bins - bins // 2, (batch, 1), generator=generator, device=device)
        spared = torch.rand((batch, 1), generator=generator, device=device) >= self.lowpass_p
        missing = torch.arange(bins, device=device) >= torch.where(spared, bins, cutoff)
        return changed.masked_fill(missing[:, :, None], _SILENCE_DB)


def mixed(decibels: Tensor, others: Tensor, gain_db: Tensor) -> Tensor:
    """The sum of two sounds, the second changed by `gain_db`, as if they were never in phase for long."""
    return 10 * torch.log10(10 ** (decibels / 10) + 10 ** ((others + gain_db) / 10))


def _stretch(batch: int, length: int, share: float, generator: Generator, device: torch.device) -> Tensor:
    """Bool [batch, length]: one stretch an item, of up to this share of the length."""
    longest = round(share * length)
    size = torch.randint(longest + 1, (batch, 1), generator=generator, device=device)
    start = torch.randint(max(1, length - longest + 1), (batch, 1), generator=generator, device=device)
    place = torch.arange(length, device=device)
    return (place >= start) & (place < start + size)
