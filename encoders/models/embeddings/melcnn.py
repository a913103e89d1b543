"""What a compact network learns from MusiCNN, and by telling tracks apart, on the free music that may be used.

After Spijkervet & Burgoyne, "Contrastive Learning of Musical Representations", ISMIR 2021,
https://arxiv.org/abs/2103.09410 (two disturbed windows of a track are drawn together) and Hinton et al., "Distilling
the Knowledge in a Neural Network", 2015 (a window is sent where MusiCNN sends it). Seven convolutions of 3x3 over the
log-mel spectrogram that MusiCNN hears (:mod:`encoders.models.embeddings.musicnn`), then mean and maximum over time.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from encoders.models.embeddings.musicnn import N_FRAMES, N_MELS, LogMel
from encoders.spec import EncoderSpec

SAMPLE_RATE = 22_050
WINDOW_LENGTH = 10 * SAMPLE_RATE
DIM = 256
_CHANNELS = (32, 48, 48, 96, 96, 192, 192)
_STRIDES = (2, 2, 1, 2, 1, 2, 1)
_WIDE = 512
_ZERO_DB = 40.0  # the compression adds one to ten thousand times the power
_FLOOR = 1e-2


class MelCNN(nn.Module):
    """Convolutions, halving both axes four times; what is left of the mel axis is joined, then pooled over time."""

    sample_rate = SAMPLE_RATE

    def __init__(self) -> None:
        super().__init__()
        self.log_mel = LogMel(SAMPLE_RATE)
        self.hop_length = self.log_mel.hop_length
        self.input_norm = nn.BatchNorm2d(1)
        layers: list[nn.Module] = []
        for before, after, stride in zip((1, *_CHANNELS), _CHANNELS, _STRIDES, strict=False):
            layers += [nn.Conv2d(before, after, 3, stride, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        self.convolutions = nn.Sequential(*layers)
        rows = N_MELS // 2 ** sum(stride == 2 for stride in _STRIDES)
        self.joined = nn.Sequential(
            nn.Conv2d(_CHANNELS[-1], _WIDE, (rows, 1), bias=False), nn.BatchNorm2d(_WIDE), nn.ReLU()
        )
        self.head = nn.Linear(2 * _WIDE, DIM)

    def features(self, waveform: Tensor) -> Tensor:
        """Waveforms float32 [batch, samples] → log-compressed mel power [batch, 96, 1 + samples // 353]."""
        around = self.log_mel.n_fft // 2
        features: Tensor = self.log_mel(nn.functional.pad(waveform, (around, around))).mT
        return features

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Features [batch, 96, frames] → embedding [batch, 256], no tag logits [batch, 0]."""
        heard = self.joined(self.convolutions(self.input_norm(features[:, None])))[:, :, 0]
        embedding = self.head(torch.cat([heard.mean(dim=2), heard.amax(dim=2)], dim=1))
        return embedding, embedding[:, :0]

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows float32 [batch, 220500] → embedding [batch, 256], no tag logits [batch, 0].

        Three windows of the length that it was trained on are heard, side by side, and averaged.
        """
        return self.hear(self.features(waveform))

    def hear(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """As `forward`, of the features of a window [batch, 96, 625]."""
        windows = features[:, :, : features.shape[2] // N_FRAMES * N_FRAMES].unfold(2, N_FRAMES, N_FRAMES)
        batch, mels, number, frames = windows.shape
        embedding, _ = self.encode(windows.transpose(1, 2).reshape(batch * number, mels, frames))
        embedding = embedding.view(batch, number, DIM).mean(dim=1)
        return embedding, embedding[:, :0]


def decibels(features: Tensor) -> Tensor:
    """Features → dB of mel power, at least -60."""
    return 10 * (10**features - 1).clamp(min=_FLOOR).log10() - _ZERO_DB


def from_decibels(decibels: Tensor) -> Tensor:
    """DB of mel power → features."""
    return torch.log10(10 ** ((decibels + _ZERO_DB) / 10) + 1)


def mixed(features: Tensor, others: Tensor, gain_db: Tensor) -> Tensor:
    """Features of the sum of two sounds, the second changed by `gain_db`, as if they were never in phase for long."""
    return torch.log10(10**features + (10**others - 1) * 10 ** (gain_db / 10))


SPEC = EncoderSpec(
    name="melcnn",
    sample_rate=SAMPLE_RATE,
    window_length=WINDOW_LENGTH,
    dim=DIM,
    build=MelCNN,
    convert=dict,
    reference="after Spijkervet & Burgoyne, CLMR, ISMIR 2021, and Hinton et al., Distillation, 2015",
    license="Apache-2.0",
    cpu_batch_size=4,
)
