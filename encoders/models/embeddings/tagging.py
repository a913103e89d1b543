"""Music Tagging Transformer: a small residual CNN over log-mel power, then a transformer over time.

Won, Choi & Serra, "Semi-supervised Music Tagging Transformer", ISMIR 2021, https://arxiv.org/abs/2111.13457. 22,050 Hz
mono, 10 s; the embedding is the class token before the tag head.

``tagging-msd`` is the paper's teacher (d 256), ``tagging-msd-student`` its distilled compact student (d 64): modules
bear the names of the published checkpoints (MIT), so that those load as they are, mel filters and window included.
``tagging`` and ``tagging-student`` are ours: the same network with a front end that a CPU can train and serve, and the
tags of :mod:`encoders.tag_vocabulary`.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.acceleration import half_precision
from encoders.frontend import AmplitudeToDB, MelPower
from encoders.spec import EncoderSpec
from encoders.tag_vocabulary import PUBLISHED_MSD_TAGS, TAGS

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLE_RATE = 22_050
WINDOW_LENGTH = 10 * SAMPLE_RATE
N_FFT = 1024
N_MELS = 128
HOP_LENGTH = 512
_MAX_FRAMES = 512
_HEADS = 8
_LAYERS = 4
_DROPOUT = 0.1
_POSITION_STD = 0.02
_WIDE = 128


@dataclass(frozen=True)
class Size:
    """What tells one tagging transformer from another.

    Attributes
    ----------
    dim : of the transformer and of the embedding
    channels : of the front end's three blocks
    stride : of its first convolution, over mels and frames
    """

    dim: int
    channels: tuple[int, int, int] = (128, 128, 128)
    stride: int = 1


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a shortcut, then max-pooling."""

    norms_follow_convolutions = True

    def __init__(self, before: int, after: int, pooling: tuple[int, int], stride: int = 1) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(before, after, 3, stride, padding=1)
        self.bn_1 = nn.BatchNorm2d(after)
        self.conv_2 = nn.Conv2d(after, after, 3, padding=1)
        self.bn_2 = nn.BatchNorm2d(after)
        self.widens = before != after
        if self.widens:
            self.conv_3 = nn.Conv2d(before, after, 3, stride, padding=1)
            self.bn_3 = nn.BatchNorm2d(after)
        self.pooling = pooling

    def forward(self, features: Tensor) -> Tensor:
        """[batch, before, mels, frames] → [batch, after, mels, frames], both axes divided by stride and pooling."""
        shortcut = self.bn_3(self.conv_3(features)) if self.widens else features
        residual = self.bn_2(self.conv_2(F.relu(self.bn_1(self.conv_1(features)))))
        return F.max_pool2d(F.relu(shortcut + residual), self.pooling)


class FrontEnd(nn.Module):
    """Residual CNN that leaves one vector for every fourth frame, with a stride for every fourth times that."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        first, second, third = size.channels
        self.input_bn = nn.BatchNorm2d(1)
        self.layer1 = ResidualBlock(1, first, (2, 2), size.stride)
        self.layer2 = ResidualBlock(first, second, (2, 2))
        self.layer3 = ResidualBlock(second, third, (2, 1))
        self.fc = nn.Linear(third * (N_MELS // size.stride // 8), size.dim)

    def forward(self, features: Tensor) -> Tensor:
        """Log-mel power [batch, 1, 128, frames] → [batch, frames // (4 stride), dim]."""
        maps = self.layer3(self.layer2(self.layer1(self.input_bn(features))))
        frames: Tensor = self.fc(maps.flatten(1, 2).mT)
        return frames


class Attention(nn.Module):
    """Multi-head self-attention."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.to_qkv = nn.Linear(dim, 3 * dim, bias=False)
        self.to_out = nn.Sequential(nn.Linear(dim, dim), nn.Dropout(_DROPOUT))

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, frames, dim] → the same shape."""
        heads = self.to_qkv(frames).unflatten(2, (3, _HEADS, -1)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(*heads.unbind(0))
        mixed: Tensor = self.to_out(attended.transpose(1, 2).flatten(2))
        return mixed


class FeedForward(nn.Module):
    """The transformer's perceptron, four times as wide inside."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.net = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(), nn.Dropout(_DROPOUT), nn.Linear(4 * dim, dim), nn.Dropout(_DROPOUT)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, frames, dim] → the same shape."""
        mixed: Tensor = self.net(frames)
        return mixed


class PreNorm(nn.Module):
    """Layer norm before a sub-layer."""

    def __init__(self, dim: int, fn: nn.Module) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fn = fn

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, frames, dim] → the same shape."""
        mixed: Tensor = self.fn(self.norm(frames))
        return mixed


class Residual(nn.Module):
    """A sub-layer added to its input."""

    def __init__(self, fn: nn.Module) -> None:
        super().__init__()
        self.fn = fn

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, frames, dim] → the same shape."""
        mixed: Tensor = self.fn(frames)
        return frames + mixed


class Transformer(nn.Module):
    """Pre-norm encoder layers, each attention and then a perceptron."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            nn.Sequential(Residual(PreNorm(dim, Attention(dim))), Residual(PreNorm(dim, FeedForward(dim))))
            for _ in range(_LAYERS)
        )

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, frames, dim] → the same shape."""
        for layer in self.layers:
            frames = layer(frames)
        return frames


class TaggingTransformer(nn.Module):
    """Front end, class token and positions, transformer, tag head."""

    sample_rate = SAMPLE_RATE
    hop_length = HOP_LENGTH

    def __init__(self, size: Size, n_tags: int) -> None:
        super().__init__()
        self.spec = MelPower(sample_rate=SAMPLE_RATE, n_fft=N_FFT, f_min=0.0, f_max=SAMPLE_RATE / 2, n_mels=N_MELS)
        self.amplitude_to_db = AmplitudeToDB()
        self.frontend = FrontEnd(size)
        self.pos_embedding = nn.Parameter(_POSITION_STD * torch.randn(1, _MAX_FRAMES + 1, size.dim))
        self.cls_token = nn.Parameter(_POSITION_STD * torch.randn(size.dim))
        self.dropout = nn.Dropout(_DROPOUT)
        self.transformer = Transformer(size.dim)
        self.mlp_head = nn.Sequential(nn.LayerNorm(size.dim), nn.Linear(size.dim, n_tags))

    def features(self, waveform: Tensor) -> Tensor:
        """Waveforms float32 [batch, samples] → log-mel power [batch, 128, 1 + samples // 512], dB."""
        decibels: Tensor = self.amplitude_to_db(self.spec(waveform))
        return decibels

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel power [batch, 128, frames] → embedding [batch, dim], tag logits [batch, n_tags]."""
        frames = self.frontend(features[:, None])
        tokens = torch.cat([self.cls_token.expand(frames.shape[0], 1, -1), frames], dim=1)
        tokens = self.dropout(tokens + self.pos_embedding[:, : tokens.shape[1]])
        embedding = self.transformer(tokens)[:, 0]
        return embedding, self.mlp_head(embedding)

    def tag_layer(self) -> nn.Linear:
        """What makes the logits out of a normalised embedding."""
        layer = self.mlp_head[1]
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows float32 [batch, 220500] → embedding [batch, dim], tag logits [batch, n_tags]."""
        features = self.features(waveform)
        # Narrow networks lose more than a ten-thousandth of a cosine to it.
        with half_precision(waveform.device) if self.cls_token.numel() >= _WIDE else nullcontext():
            embedding, tag_logits = self.encode(features)
        return embedding.float(), tag_logits.float()


def convert(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the network of a published checkpoint, without the teacher that a student's file also holds."""
    return {
        key.removeprefix("network."): tensor
        for key, tensor in published.items()
        if not key.startswith("teacher_network.") and not key.endswith(".num_batches_tracked")
    }


MSD_TAGS = PUBLISHED_MSD_TAGS


def _spec(name: str, size: Size, tags: tuple[str, ...], license: str, cpu_batch_size: int = 1) -> EncoderSpec:
    return EncoderSpec(
        name=name,
        sample_rate=SAMPLE_RATE,
        window_length=WINDOW_LENGTH,
        dim=size.dim,
        build=lambda: TaggingTransformer(size, len(tags)),
        convert=convert,
        reference="Won, Choi & Serra, Semi-supervised Music Tagging Transformer, ISMIR 2021",
        license=license,
        tags=tags,
        cpu_batch_size=cpu_batch_size,
    )


SPEC = _spec("tagging", Size(128, (16, 32, 64), stride=2), TAGS, "Apache-2.0", cpu_batch_size=8)
STUDENT_SPEC = _spec("tagging-student", Size(64, (8, 16, 32), stride=2), TAGS, "Apache-2.0", cpu_batch_size=8)
MSD_SPEC = _spec("tagging-msd", Size(256), MSD_TAGS, "MIT")
MSD_STUDENT_SPEC = _spec("tagging-msd-student", Size(64), MSD_TAGS, "MIT")
