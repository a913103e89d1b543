"""Of what parts a song is made: curves of boundaries and functions, and features by which equal parts lie near.

Wang, Hung & Smith, "To catch a chorus, verse, intro, or anything else: analyzing a song with structural functions",
ICASSP 2022: a SpecTNT answers with a curve for boundaries and one for each function. Wang, Smith, Lu & Song,
"Supervised metric learning for music structure features", ISMIR 2021: features of equal sections lie near, of others
far. Here one network does both, and is told by the second what it needs for the first: what a part is for depends on
where else it is heard, so before the last block each step gathers what sounds like it from the whole track, and learns
how much that is. The paper has 24 s at a time; here it is the whole track, by rotary positions and attention over all.

T in shapes: steps of 0.6 s.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.acceleration import half_precision
from encoders.models.music.spectra import BINS_A_SEMITONE, N_ONSET, N_SEMITONES, ONSET_RATE, PITCH_RATE
from encoders.models.spectnt_blocks import BlockSizes, SpecTNTBlock, rotary, stretched, token
from encoders.spec import NetworkSpec

FEATURE_RATE = 5
"""Frames a second of what the network hears."""
FRAMES_A_STEP = 3
STEP_S = FRAMES_A_STEP / FEATURE_RATE
"""What one answer is about."""
N_BANDS = N_ONSET // 2
N_FEATURES = N_SEMITONES + 2 * N_BANDS
N_EMBEDDING = 48
N_FUNCTIONS = 7
"""Intro, verse, chorus, bridge, inst, outro and silence."""
LONGEST_STEPS = 800
"""Eight minutes: what is longer is heard in pieces."""
_FLUX_GAIN = 8.0


@dataclass(frozen=True, kw_only=True)
class StructureSizes(BlockSizes):
    """Sizes of the network; beside those of its blocks.

    Attributes
    ----------
    n_before, n_after : blocks before each step gathers what is like it, and after
    n_positions : learned positions, stretched over the track
    local : steps that a convolution over time sees
    dropped : share of what leaves that convolution, in training; dropout within attention costs a CPU too much
    """

    spectral_dim: int = 48
    spectral_heads: int = 4
    temporal_dim: int = 128
    temporal_heads: int = 4
    expansion: int = 2
    dropout: float = 0.0
    n_before: int = 2
    n_after: int = 1
    n_positions: int = 32
    local: int = 9
    dropped: float = 0.15


class StructureNet(nn.Module):
    """Features → curves and embeddings."""

    def __init__(self, sizes: StructureSizes | None = None) -> None:
        super().__init__()
        self.sizes = sizes = sizes or StructureSizes()
        # An octave of pitches is a band, and a seventh of what onsets are heard in, twice as wide.
        self.pitches = nn.Conv2d(1, sizes.spectral_dim, (14, 5), stride=(12, FRAMES_A_STEP), padding=(1, 1))
        self.onsets = nn.Conv2d(2, sizes.spectral_dim, (14, 5), stride=(7, FRAMES_A_STEP), padding=(0, 1))
        n_bands = N_SEMITONES // 12 + N_BANDS // 7 - 1
        self.fct = token(1, sizes.spectral_dim)
        self.frequency_positions = token(n_bands + 1, sizes.spectral_dim)
        self.temporal_positions = token(sizes.n_positions, sizes.temporal_dim)
        self.blocks = nn.ModuleList(_Block(sizes) for _ in range(sizes.n_before + sizes.n_after))
        self.embedding = nn.Sequential(nn.LayerNorm(sizes.temporal_dim), nn.Linear(sizes.temporal_dim, N_EMBEDDING))
        self.alike = _Alike(sizes)
        self.curves = nn.Sequential(nn.LayerNorm(sizes.temporal_dim), nn.Linear(sizes.temporal_dim, 2 + N_FUNCTIONS))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features [B, 168, 3 T] → logits [B, T, 2 + 7] and embeddings [B, T, 48] of norm 1.

        Of the logits, the first is of a boundary of parts, the second of phrases, each by itself; the others are of the
        functions, of which a step has one.
        """
        with half_precision(features.device):
            spectral, temporal = self._entered(features)
            turns = rotary(temporal.shape[1], self.sizes.temporal_dim // self.sizes.temporal_heads, longest=150.0)
            turns = turns.to(features.device)
            for block in self.blocks[: self.sizes.n_before]:
                spectral, temporal = block(spectral, temporal, turns)
            embeddings = F.normalize(self.embedding(temporal).float(), dim=-1)
            temporal = temporal + self.alike(temporal, embeddings)
            for block in self.blocks[self.sizes.n_before :]:
                spectral, temporal = block(spectral, temporal, turns)
            return self.curves(temporal).float(), embeddings

    def _entered(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features → bands with the FCT in front [B, T, F + 1, K], and what the frames begin as [B, T, D]."""
        # What the whole track has too much of says nothing about its parts.
        features = features - features.mean(dim=2, keepdim=True)
        pitches = features[:, None, :N_SEMITONES]
        onsets = torch.stack([features[:, N_SEMITONES:-N_BANDS], features[:, -N_BANDS:]], dim=1)
        bands = torch.cat([self.pitches(pitches), self.onsets(onsets)], dim=2).permute(0, 3, 2, 1)
        fct = self.fct.expand(*bands.shape[:2], -1, -1)
        spectral = torch.cat([fct, F.gelu(bands)], dim=2) + self.frequency_positions
        temporal = stretched(self.temporal_positions, bands.shape[1]).expand(len(bands), -1, -1)
        return spectral, temporal


class _Block(nn.Module):
    """A block of SpecTNT, and what is near in time by a convolution."""

    def __init__(self, sizes: StructureSizes) -> None:
        super().__init__()
        self.block = SpecTNTBlock(sizes)
        dim = sizes.temporal_dim
        self.norm = nn.LayerNorm(dim)
        self.local = nn.Conv1d(dim, dim, sizes.local, padding=sizes.local // 2, groups=dim)
        self.mixed = nn.Linear(dim, dim)
        self.dropout = nn.Dropout(sizes.dropped)

    def forward(self, spectral: Tensor, temporal: Tensor, turns: Tensor) -> tuple[Tensor, Tensor]:
        spectral, temporal = self.block(spectral, temporal, turns=turns)
        near = self.local(self.norm(temporal).mT).mT
        return spectral, temporal + self.dropout(self.mixed(F.gelu(near)))


class _Alike(nn.Module):
    """To each step, what the steps that sound like it are, and how many they are."""

    def __init__(self, sizes: StructureSizes) -> None:
        super().__init__()
        self.sharpness = nn.Parameter(torch.tensor([2.0, 2.0]))
        self.values = nn.Linear(sizes.temporal_dim, sizes.temporal_dim)
        self.leave = nn.Linear(sizes.temporal_dim + 2, sizes.temporal_dim)

    def forward(self, temporal: Tensor, embeddings: Tensor) -> Tensor:
        """Temporal [B, T, D] and embeddings [B, T, 48] → [B, T, D]."""
        similarity = embeddings @ embeddings.mT
        gathering, counting = self.sharpness.exp()
        gathered = (gathering * similarity).softmax(dim=-1) @ self.values(temporal).float()
        near = (counting * (similarity - 1)).exp()
        shares = torch.stack([near.mean(dim=-1), near.sum(dim=-1).log() / 5], dim=-1)
        left: Tensor = self.leave(torch.cat([gathered, shares], dim=-1))
        return left


def features_of(onset: Tensor, pitch: Tensor) -> Tensor:
    """Spectra, onsets [84, frames at 50 Hz] and pitches [252, frames at 25 Hz] → features [168, 3 T], T at least 1.

    Semitones, bands, and how much louder the bands become from frame to frame, each at 5 frames a second.
    """
    slow, quick = PITCH_RATE // FEATURE_RATE, ONSET_RATE // FEATURE_RATE
    n_frames = FRAMES_A_STEP * max(1, pitch.shape[1] // (FRAMES_A_STEP * slow))
    semitones = _whole(pitch, n_frames * slow).view(N_SEMITONES, BINS_A_SEMITONE, n_frames, slow).mean(dim=(1, 3))
    bands = _whole(onset, n_frames * quick).view(N_BANDS, 2, -1).mean(dim=1)
    flux = _FLUX_GAIN * F.pad(bands.diff(dim=1), (1, 0)).relu()
    return torch.cat([semitones, *(each.view(N_BANDS, n_frames, quick).mean(dim=2) for each in (bands, flux))])


def _whole(spectrum: Tensor, length: int) -> Tensor:
    missing = length - spectrum.shape[1]
    return F.pad(spectrum, (0, missing), value=-1.0) if missing > 0 else spectrum[:, :length].contiguous()


SPEC = NetworkSpec(
    name="structure",
    build=StructureNet,
    reference="Wang, Hung & Smith, ICASSP 2022; Wang, Smith, Lu & Song, ISMIR 2021",
    license="Apache-2.0",
)
