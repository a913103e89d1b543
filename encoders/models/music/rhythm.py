"""Where the beats and the bars are: a temporal convolutional network over onsets and pitches.

Davies & Böck, "Temporal convolutional networks for musical audio beat tracking", EUSIPCO 2019, and Böck & Davies,
"Deconstruct, analyse, reconstruct: how to improve tempo, beat, and downbeat estimation", ISMIR 2020: dilated
convolutions, each beside one of twice its reach, look some twenty seconds either way. Downbeats follow the harmony as
well, so ours hears pitches beside onsets. Its two answers are whether a frame is a beat, and whether it begins a bar.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.acceleration import half_precision
from encoders.models.music.spectra import BINS_A_SEMITONE, N_ONSET, N_SEMITONES
from encoders.spec import NetworkSpec

FRAME_RATE = 50
"""Answers a second."""
_CHANNELS = (16, 32)
_WIDTH, _KERNEL, _LAYERS = 80, 5, 10
_PITCH_WIDTH = 32


class RhythmNet(nn.Module):
    """Spectra → logits of beats and downbeats."""

    def __init__(self) -> None:
        super().__init__()
        first, second = _CHANNELS
        self.onsets = nn.Sequential(
            nn.Conv2d(1, first, (5, 3), stride=(3, 1), padding=(1, 1)), nn.ELU(),
            nn.Conv2d(first, second, (6, 3), stride=(4, 1), padding=(1, 1)), nn.ELU(),
        )  # fmt: skip
        self.pitches = nn.Sequential(nn.Conv1d(N_SEMITONES, _PITCH_WIDTH, 5, padding=2), nn.ELU())
        self.enter = nn.Conv1d(second * (N_ONSET // 12) + _PITCH_WIDTH, _WIDTH, 1)
        self.layers = nn.ModuleList(_Dilated(2**number) for number in range(_LAYERS))
        self.leave = nn.Conv1d(_WIDTH, 2, 1)

    def forward(self, onset: Tensor, pitch: Tensor) -> Tensor:
        """Onsets [B, 84, 2 T] and pitches [B, 252, T] → logits [B, 2, 2 T]: any beat, downbeat."""
        semitones = pitch.reshape(len(pitch), N_SEMITONES, BINS_A_SEMITONE, -1).mean(dim=2)
        return self.answer(onset, semitones)

    def answer(self, onset: Tensor, semitones: Tensor) -> Tensor:
        """As `forward`, of pitches in semitones [B, 84, T]."""
        with half_precision(onset.device):
            quick = self.onsets(onset[:, None]).flatten(1, 2)
            slow = self.pitches(semitones).repeat_interleave(2, dim=2)
            states = F.elu(self.enter(torch.cat([quick, slow], dim=1)))
            heard = torch.zeros_like(states)
            for layer in self.layers:
                states, skipped = layer(states)
                heard = heard + skipped
            logits: Tensor = self.leave(F.elu(heard)).float()
            return logits


class _Dilated(nn.Module):
    """Two dilated convolutions, one of twice the other's reach, beside what came in; and what is new in that."""

    def __init__(self, dilation: int) -> None:
        super().__init__()
        near, far = dilation * (_KERNEL // 2), 2 * dilation * (_KERNEL // 2)
        self.near = nn.Conv1d(_WIDTH, _WIDTH // 2, _KERNEL, padding=near, dilation=dilation)
        self.far = nn.Conv1d(_WIDTH, _WIDTH // 2, _KERNEL, padding=far, dilation=2 * dilation)
        self.dropout = nn.Dropout1d(0.1)
        self.mix = nn.Conv1d(_WIDTH, _WIDTH, 1)

    def forward(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """[B, 80, T] → the same, and what is new in it."""
        new = self.mix(self.dropout(F.elu(torch.cat([self.near(states), self.far(states)], dim=1))))
        return states + new, new


SPEC = NetworkSpec(
    name="rhythm",
    build=RhythmNet,
    reference="Böck & Davies, Deconstruct, analyse, reconstruct: how to improve tempo, beat, and downbeat estimation, "
    "ISMIR 2020; with pitches, trained by us",
    license="Apache-2.0",
)
