"""The block of SpecTNT, for every network that has some: attention over the bands of each frame, then over frames.

Lu, Wang, Won, Choi & Song, "SpecTNT: a Time-Frequency Transformer for Music Audio", ISMIR 2021,
https://arxiv.org/abs/2110.09127, section 3. B, T, F, K, D in shapes: batch, frames, bands, size of a band, size of a
temporal embedding.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_POSITION_STD = 0.02


@dataclass(frozen=True, kw_only=True)
class BlockSizes:
    """Sizes of a block.

    Attributes
    ----------
    spectral_dim, spectral_heads : K, and the heads it is divided among
    temporal_dim, temporal_heads : D, and the heads it is divided among
    expansion : width of a perceptron's hidden layer, as a multiple of its input
    dropout : share of activations
    """

    spectral_dim: int
    spectral_heads: int
    temporal_dim: int
    temporal_heads: int
    expansion: int
    dropout: float


class EncoderLayer(nn.Module):
    """A pre-norm transformer encoder layer: attention along a sequence, then a perceptron."""

    def __init__(self, dim: int, heads: int, sizes: BlockSizes) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm = nn.LayerNorm(dim)
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.to_out = nn.Linear(dim, dim)
        self.perceptron = nn.Sequential(
            nn.LayerNorm(dim),
            nn.Linear(dim, sizes.expansion * dim),
            nn.GELU(),
            nn.Dropout(sizes.dropout),
            nn.Linear(sizes.expansion * dim, dim),
        )
        self.dropout = nn.Dropout(sizes.dropout)

    def forward(self, sequences: Tensor, leaning: Tensor | None = None) -> Tensor:
        """[n_sequences, length, dim] → the same shape.

        `leaning`, [heads, length, length], is added to what attention is before its softmax: where it looks by itself.
        """
        qkv = self.to_qkv(self.attention_norm(sequences))
        heads = qkv.unflatten(2, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        queries, keys, values = heads.unbind(0)
        attended = F.scaled_dot_product_attention(queries, keys, values, leaning).transpose(1, 2).flatten(2)
        sequences = sequences + self.dropout(self.to_out(attended))
        mixed: Tensor = self.dropout(self.perceptron(sequences))
        return sequences + mixed


class SpecTNTBlock(nn.Module):
    """Frequencies of each frame attend to each other, then frames do; the FCT carries between the two."""

    def __init__(self, sizes: BlockSizes) -> None:
        super().__init__()
        self.to_spectral = nn.Linear(sizes.temporal_dim, sizes.spectral_dim)
        self.spectral = EncoderLayer(sizes.spectral_dim, sizes.spectral_heads, sizes)
        self.to_temporal = nn.Linear(sizes.spectral_dim, sizes.temporal_dim)
        self.temporal = EncoderLayer(sizes.temporal_dim, sizes.temporal_heads, sizes)

    def forward(self, spectral: Tensor, temporal: Tensor, leaning: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """Spectral [B, T, F + 1, K], FCT first, and temporal [B, n + T, D], n class tokens first → the same shapes."""
        # A temporal class token stands for no frame, so it has no bands to gather and no FCT: it takes part in the
        # temporal encoder only.
        n_tokens = temporal.shape[1] - spectral.shape[1]
        class_tokens, frames = temporal[:, :n_tokens], temporal[:, n_tokens:]
        fct = spectral[:, :, :1] + self.to_spectral(frames)[:, :, None]
        spectral = torch.cat([fct, spectral[:, :, 1:]], dim=2)
        spectral = self.spectral(spectral.flatten(0, 1)).unflatten(0, spectral.shape[:2])
        frames = frames + self.to_temporal(spectral[:, :, 0])
        return spectral, self.temporal(torch.cat([class_tokens, frames], dim=1), leaning)


def token(length: int, dim: int) -> nn.Parameter:
    """Learnt tokens or positions [length, dim], small at first."""
    return nn.Parameter(nn.init.trunc_normal_(torch.empty(length, dim), std=_POSITION_STD))
