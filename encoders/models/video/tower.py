"""The side of pictures in a space of music and video: what a clip shows, second by second, as one embedding.

After Suris et al., "It's Time for Artistic Correspondence in Music and Video" (MVPt), CVPR 2022,
https://arxiv.org/abs/2206.07148: frozen features of frames pass a transformer over time. Ours sees, beside what a frame
shows, how much moves, how bright, colourful and warm it is, where it is cut, and at which tempo that comes again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Sequence

FRAME_DIM = 1280
"""Of EfficientNet-Lite0's features."""
N_CURVES = 12
"""What is measured of each second: `encoders.analysis.pictures`."""
N_TEMPI = 32
"""Tempi of which it is measured how regularly anything happens."""
WIDTH, DIM = 128, 128
_HEADS, _LAYERS = 4, 2
_LONGEST_S = 320
_DROPOUT = 0.2


class VideoTower(nn.Module):
    """Features of frames, curves and pulse of a clip → its embedding."""

    frame_mean: Tensor
    curve_mean: Tensor
    curve_scale: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("frame_mean", torch.zeros(FRAME_DIM))
        self.register_buffer("curve_mean", torch.zeros(N_CURVES))
        self.register_buffer("curve_scale", torch.ones(N_CURVES))
        self.frames = nn.Sequential(nn.Dropout(_DROPOUT), nn.Linear(FRAME_DIM, WIDTH))
        self.curves = nn.Sequential(nn.Linear(N_CURVES, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        self.pulse = nn.Sequential(nn.Linear(N_TEMPI, WIDTH), nn.GELU(), nn.Linear(WIDTH, WIDTH))
        self.places = nn.Parameter(torch.zeros(_LONGEST_S, WIDTH))
        layer = nn.TransformerEncoderLayer(
            WIDTH, _HEADS, 2 * WIDTH, _DROPOUT, activation="gelu", batch_first=True, norm_first=True
        )
        self.layers = nn.TransformerEncoder(layer, _LAYERS, enable_nested_tensor=False)
        self.leave = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, DIM))

    def forward(self, frames: Tensor, curves: Tensor, pulse: Tensor, there: Tensor) -> Tensor:
        """Embed clips.

        Parameters
        ----------
        frames : float32 [B, T, 1280], features of one frame a second
        curves : float32 [B, T, 12], of the same seconds
        pulse : float32 [B, 32]
        there : bool [B, T], which seconds a clip has: at least one, the first ones

        Returns
        -------
        float32 [B, 128], L2 norm 1
        """
        shown = self.frames(F.normalize(frames - self.frame_mean, dim=2) * FRAME_DIM**0.5)
        seconds = shown + self.curves((curves - self.curve_mean) / self.curve_scale) + self.places[: frames.shape[1]]
        tokens = torch.cat([self.pulse(pulse)[:, None], seconds], dim=1)
        is_token = torch.cat([torch.ones_like(there[:, :1]), there], dim=1)
        states = self.layers(tokens, src_key_padding_mask=~is_token)
        weights = is_token[..., None].float()
        return F.normalize(self.leave((states * weights).sum(dim=1) / weights.sum(dim=1)), dim=1)


def batched(clips: Sequence[tuple[Tensor, Tensor, Tensor]]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Clips of several lengths, each (frames [T, 1280], curves [T, 12], pulse [32]), as `VideoTower` takes them."""
    longest = max(len(frames) for frames, _, _ in clips)
    frames = torch.stack([F.pad(frames.float(), (0, 0, 0, longest - len(frames))) for frames, _, _ in clips])
    curves = torch.stack([F.pad(curves.float(), (0, 0, 0, longest - len(curves))) for _, curves, _ in clips])
    there = torch.tensor([[second < len(frames) for second in range(longest)] for frames, _, _ in clips])
    return frames, curves, torch.stack([pulse.float() for _, _, pulse in clips]), there
