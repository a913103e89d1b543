"""In which key a track is: convolutions that hear every key alike.

Korzeniowski & Widmer, "End-to-end musical key estimation using a convolutional neural network", EUSIPCO 2017, and
"Genre-agnostic key classification with convolutional neural networks", ISMIR 2018: small convolutions over a
log-frequency spectrogram, then the mean over time. Ours folds octaves onto each other and goes on in a circle of
twelve pitch classes, so a transposed track gives the transposed answer by construction, and no key is known better.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.acceleration import half_precision
from encoders.models.music.spectra import BINS_A_SEMITONE, N_PITCH, N_SEMITONES
from encoders.spec import NetworkSpec

FRAMES_TOGETHER = 10
"""Frames of the spectrogram, 25 a second, that are one to this network."""
_WIDTH, _FOLDED, _CIRCLES = 16, 32, 2


class KeyNet(nn.Module):
    """Pitches → logits of the 24 keys."""

    def __init__(self) -> None:
        super().__init__()
        self.local = nn.Sequential(
            nn.Conv2d(BINS_A_SEMITONE, _WIDTH, 3, padding=1), nn.ELU(),
            nn.Conv2d(_WIDTH, _WIDTH, 5, padding=2), nn.ELU(),
        )  # fmt: skip
        self.fold = nn.Conv2d(_WIDTH * (N_SEMITONES // 12), _FOLDED, 1)
        self.circles = nn.ModuleList(nn.Conv2d(_FOLDED, _FOLDED, (12, 3), padding=(0, 1)) for _ in range(_CIRCLES))
        self.dropout = nn.Dropout2d(0.15)
        self.keys = nn.Conv2d(_FOLDED, 2, (12, 1))

    def forward(self, pitch: Tensor) -> Tensor:
        """Pitches [B, 252, T], averaged over ten frames each → logits of keys [B, 24]: C … B major, C … B minor."""
        return self.over_time(pitch).mean(dim=2)

    def over_time(self, pitch: Tensor) -> Tensor:
        """As `forward`, for each moment: [B, 24, T]."""
        with half_precision(pitch.device):
            states = pitch.view(len(pitch), N_SEMITONES, BINS_A_SEMITONE, -1).transpose(1, 2)
            states = states - states.mean(dim=(1, 2), keepdim=True)  # louder is no other key
            states = self.local(states)
            octaves = states.reshape(len(states), -1, 12, states.shape[-1])  # lowest: C
            states = F.elu(self.fold(octaves))
            for circle in self.circles:
                states = states + self.dropout(F.elu(circle(_around(states))))
            logits: Tensor = self.keys(_around(states)).flatten(1, 2).float()
            return logits


def averaged(pitch: Tensor) -> Tensor:
    """Pitches [252, T] → the mean of ten frames each, [252, max(1, T // 10)]."""
    whole = pitch.shape[1] // FRAMES_TOGETHER * FRAMES_TOGETHER
    if not whole:
        return pitch.mean(dim=1, keepdim=True)
    return pitch[:, :whole].reshape(N_PITCH, -1, FRAMES_TOGETHER).mean(dim=2)


def _around(states: Tensor) -> Tensor:
    """[B, C, 12, T] → [B, C, 23, T], so that a filter of twelve pitch classes begins on each of them."""
    return torch.cat([states, states[:, :, :11]], dim=2)


SPEC = NetworkSpec(
    name="key",
    build=KeyNet,
    reference="Korzeniowski & Widmer, Genre-agnostic key classification with convolutional neural networks, ISMIR "
    "2018; folded into a circle, trained by us",
    license="Apache-2.0",
)
