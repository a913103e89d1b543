"""SpecTNT for the leading melody: of each frame, which third of a semitone leads, or that none does.

Lu, Wang, Won, Choi & Song, "SpecTNT: a Time-Frequency Transformer for Music Audio", ISMIR 2021, section 4.3,
https://arxiv.org/abs/2110.09127. Ours differs in what comes in and goes out. The spectrogram is heard through copies of
itself, shifted so that a pitch and its harmonics lie upon each other (Bittner et al., "Deep salience representations
for F0 estimation in polyphonic music", ISMIR 2017), so that what is learnt of one pitch holds of all. A band of the
blocks is three semitones, and a frame of them is two of the spectrogram's. Frames have no positions: they lean towards
those near them instead, each head at its own distance (Press, Smith & Lewis, "Train short, test long: attention with
linear biases", ICLR 2022), so that a window may be of any length. The answer is given by the bands, which know the
pitches, told by the frame, which knows the song.

B, T, N, F, K, D in shapes: batch, frames at 25 Hz, frames at 12.5 Hz, bands, size of a band, of a temporal embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.models.music.spectra import BINS_A_SEMITONE, LOWEST_PITCH, N_PITCH
from encoders.models.spectnt_blocks import BlockSizes, SpecTNTBlock, token
from encoders.spec import NetworkSpec

LOWEST_MELODY = 36
"""MIDI number of the lowest semitone that may lead."""
N_BANDS, _SEMITONES_A_BAND = 22, 3
_BINS_A_BAND = _SEMITONES_A_BAND * BINS_A_SEMITONE
N_BINS = N_BANDS * _BINS_A_BAND
"""Bins that may lead, of a third of a semitone; the middle one of three is in tune."""
UNVOICED = N_BINS
"""The answer behind those of the bins: nothing leads."""
FRAMES_TOGETHER = 2
"""Frames of the spectrogram that pass the blocks as one."""
_HARMONICS = (1 / 3, 1 / 2, 1, 2, 3, 4, 5, 6)
_SILENCE = -1.0  # the spectrogram's floor


@dataclass(frozen=True, kw_only=True)
class MelodyNetConfig(BlockSizes):
    """Sizes of a network: those of its blocks, their number, and the maps that a pitch is first heard in."""

    n_blocks: int
    n_maps: int


CONFIG = MelodyNetConfig(
    n_blocks=2,
    n_maps=16,
    spectral_dim=48,
    spectral_heads=2,
    temporal_dim=96,
    temporal_heads=4,
    expansion=2,
    dropout=0.1,
)


class MelodyNet(nn.Module):
    """Pitch spectrograms → log-probabilities of every bin and of silence."""

    steepness: Tensor

    def __init__(self, config: MelodyNetConfig = CONFIG) -> None:
        super().__init__()
        self.pitches = nn.Sequential(
            nn.Conv2d(len(_HARMONICS), config.n_maps, (3, 5), padding=(1, 2), bias=False),
            nn.BatchNorm2d(config.n_maps),
            nn.ReLU(inplace=True),
            nn.Conv2d(config.n_maps, config.n_maps, (3, 5), (1, FRAMES_TOGETHER), (1, 2), bias=False),
            nn.BatchNorm2d(config.n_maps),
            nn.ReLU(inplace=True),
            nn.Conv2d(config.n_maps, config.n_maps, (3, 5), padding=(1, 2), bias=False),
            nn.BatchNorm2d(config.n_maps),
            nn.ReLU(inplace=True),
        )
        self.to_bands = nn.Conv2d(config.n_maps, config.spectral_dim, (_BINS_A_BAND, 3), (_BINS_A_BAND, 1), (0, 1))
        self.fct = token(1, config.spectral_dim)
        self.frequency_positions = token(N_BANDS + 1, config.spectral_dim)
        self.frame = nn.Parameter(torch.zeros(config.temporal_dim))
        self.blocks = nn.ModuleList(SpecTNTBlock(config) for _ in range(config.n_blocks))
        self.told = nn.Linear(config.temporal_dim, config.spectral_dim)
        self.band_norm = nn.LayerNorm(config.spectral_dim)
        self.of_bands = nn.Linear(config.spectral_dim, FRAMES_TOGETHER * _BINS_A_BAND)
        self.of_pitches = nn.Conv2d(config.n_maps, FRAMES_TOGETHER, (3, 1), padding=(1, 0))
        self.silent = nn.Sequential(nn.LayerNorm(config.temporal_dim), nn.Linear(config.temporal_dim, FRAMES_TOGETHER))
        # Each head looks twice as far as the one before it, and the last at the whole window alike.
        heads = torch.arange(config.temporal_heads)
        self.register_buffer(
            "steepness", 0.5 * 0.5 ** heads.float() * (heads < config.temporal_heads - 1), persistent=False
        )

    def forward(self, spectrogram: Tensor) -> Tensor:
        """Pitch spectrograms [B, 252, T] → log-probabilities [B, T, 199], silence last."""
        return F.log_softmax(self.logits(spectrogram), dim=-1)

    def logits(self, spectrogram: Tensor) -> Tensor:
        """Pitch spectrograms [B, 252, T] → logits float32 [B, T, 199]."""
        maps = self.pitches(harmonics(spectrogram))
        bands = self.to_bands(maps).permute(0, 3, 2, 1)
        batch, frames = bands.shape[:2]
        spectral = torch.cat([self.fct.expand(batch, frames, -1, -1), bands], dim=2) + self.frequency_positions
        temporal = self.frame.expand(batch, frames, -1)
        leaning = self._leaning(frames).to(bands.dtype)[None]
        for block in self.blocks:
            spectral, temporal = block(spectral, temporal, leaning)
        told = self.band_norm(spectral[:, :, 1:] + self.told(temporal)[:, :, None])
        of_bands = self.of_bands(told).unflatten(3, (FRAMES_TOGETHER, -1)).transpose(2, 3).flatten(3)
        bins = of_bands + self.of_pitches(maps).permute(0, 3, 1, 2)
        answers = torch.cat([bins.float(), self.silent(temporal).float()[..., None]], dim=-1)
        return answers.flatten(1, 2)[:, : spectrogram.shape[2]]

    def _leaning(self, frames: int) -> Tensor:
        """How much less each head looks at what is further away, [heads, T, T]."""
        at = torch.arange(frames, device=self.steepness.device)
        return -self.steepness[:, None, None] * (at[:, None] - at).abs()


def harmonics(spectrogram: Tensor) -> Tensor:
    """Pitch spectrograms [B, 252, T] → [B, 8, 198, T]: at each pitch that may lead, how loud its harmonics are."""
    first = (LOWEST_MELODY - LOWEST_PITCH) * BINS_A_SEMITONE
    shifts = [first + round(12 * BINS_A_SEMITONE * float(torch.tensor(h).log2())) for h in _HARMONICS]
    below, above = max(0, -min(shifts)), max(0, max(shifts) + N_BINS - N_PITCH)
    padded = F.pad(spectrogram, (0, 0, below, above), value=_SILENCE)
    return torch.stack([padded[:, below + shift : below + shift + N_BINS] for shift in shifts], dim=1)


def pitch_of(bins: Tensor) -> Tensor:
    """Places among the bins, in whole ones or between → MIDI numbers."""
    return LOWEST_MELODY + (bins - 1) / BINS_A_SEMITONE


SPEC = NetworkSpec(
    name="melody",
    build=MelodyNet,
    reference="Lu, Wang, Won, Choi & Song, SpecTNT: a Time-Frequency Transformer for Music Audio, ISMIR 2021",
    license="Apache-2.0",
)
