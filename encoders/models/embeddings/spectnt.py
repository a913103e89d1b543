"""SpecTNT: attention over the frequencies of every frame, then over frames, block by block.

Lu, Wang, Won, Choi & Song, "SpecTNT: a Time-Frequency Transformer for Music Audio", ISMIR 2021,
https://arxiv.org/abs/2110.09127. A residual front end turns a log-mel spectrogram into bands [B, T, F, K]. A frequency
class token (FCT) stands before the bands of each frame; in a block it takes in the frame's temporal embedding,
gathers the bands by attention over F + 1 positions, and is added to the temporal embedding, which then attends over T.

:class:`SpecTNT` is the backbone: one embedding a window and one a frame, for any head. :class:`SpecTNTTagger` puts tags
on it; its embedding is the temporal class token before the tag head. B, T, F, K, D in shapes: batch, frames after
pooling, frequencies after pooling, size of a band, size of a temporal embedding.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.frontend import AmplitudeToDB, MelPower
from encoders.models.spectnt_blocks import BlockSizes, SpecTNTBlock, token
from encoders.spec import EncoderSpec
from encoders.tag_vocabulary import TAGS


@dataclass(frozen=True)
class Stage:
    """A residual block of the front end: its channels, its convolutions' stride, its (frequency, time) pooling."""

    channels: int
    pooling: tuple[int, int]
    stride: int = 1


@dataclass(frozen=True, kw_only=True)
class SpecTNTConfig(BlockSizes):
    """Sizes of a network; every other size follows from them.

    Attributes
    ----------
    sample_rate : Hz
    window_length : samples; windows of other lengths work, the temporal positions are stretched over them
    n_fft, hop_length : samples
    n_mels : mel bands from 0 Hz to half the sample rate
    front_end : residual blocks
    n_blocks : SpecTNT blocks
    """

    sample_rate: int
    window_length: int
    n_fft: int
    hop_length: int
    n_mels: int
    front_end: tuple[Stage, ...]
    n_blocks: int

    @property
    def n_bands(self) -> int:
        """F: frequencies that the front end leaves."""
        return self._left(self.n_mels, axis=0)

    @property
    def n_frames(self) -> int:
        """T: frames that the front end leaves of a window."""
        return self._left(1 + self.window_length // self.hop_length, axis=1)

    def _left(self, length: int, *, axis: int) -> int:
        for stage in self.front_end:
            length = -(-length // stage.stride) // stage.pooling[axis]
        return length


# The paper's tagging network, 0.91 M parameters without a head. There is no official code; where the published sizes
# leave room, this is our reading:
# - "Pooling (1, 4)" is (frequency, time), the order of the group's other front ends: all 128 mels stay, 196 frames
#   become 49.
# - 128 is the width of the front end. Both encoders are 96 wide, as in the authors' structure network (ICASSP 2022: "96
#   feature maps with 4 attention heads", "96 feature maps with 8"): K = D = 96, and a linear layer joins 128 to K.
# - One encoder layer each a block, perceptrons four times as wide inside, n_fft 1024 and hop 512.
PAPER = SpecTNTConfig(
    sample_rate=22_050,
    window_length=100_107,  # 4.54 s
    n_fft=1024,
    hop_length=512,
    n_mels=128,
    front_end=(Stage(128, pooling=(1, 4)),),
    n_blocks=3,
    spectral_dim=96,
    spectral_heads=4,
    temporal_dim=96,
    temporal_heads=8,
    expansion=4,
    dropout=0.15,
)

# For training on a CPU, 0.69 M parameters without a head. Convolutions on all 128 mels and 431 frames of 10 s would
# cost several times as much as all the rest, so the first ones have a stride; 16 bands of 54 frames reach the blocks.
COMPACT = replace(
    PAPER,
    window_length=220_500,
    front_end=(Stage(16, stride=2, pooling=(2, 2)), Stage(32, pooling=(2, 2))),
    spectral_dim=32,
    temporal_dim=128,
    dropout=0.1,
)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions beside a projected shortcut, then max-pooling."""

    def __init__(self, n_inputs: int, stage: Stage) -> None:
        super().__init__()
        # Without biases: the norms have their own.
        self.residual = nn.Sequential(
            nn.Conv2d(n_inputs, stage.channels, 3, stage.stride, padding=1, bias=False),
            nn.BatchNorm2d(stage.channels),
            nn.ReLU(inplace=True),
            nn.Conv2d(stage.channels, stage.channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(stage.channels),
        )
        # 3x3 as in the group's other front ends: of a single map, a 1x1 convolution under a norm is a mere sign.
        self.shortcut = nn.Sequential(
            nn.Conv2d(n_inputs, stage.channels, 3, stage.stride, padding=1, bias=False),
            nn.BatchNorm2d(stage.channels),
        )
        self.pooling = stage.pooling

    def forward(self, maps: Tensor) -> Tensor:
        """[B, n_inputs, frequencies, frames] → [B, channels, …], both axes divided by stride and pooling."""
        return F.max_pool2d(F.relu(self.shortcut(maps) + self.residual(maps)), self.pooling)


class FrontEnd(nn.Module):
    """Residual CNN that leaves a vector for every band of every frame."""

    def __init__(self, config: SpecTNTConfig) -> None:
        super().__init__()
        self.input_norm = nn.BatchNorm2d(1, affine=False)
        channels = [1, *(stage.channels for stage in config.front_end)]
        self.blocks = nn.Sequential(*map(ResidualBlock, channels, config.front_end))
        self.to_bands = nn.Linear(channels[-1], config.spectral_dim)

    def forward(self, features: Tensor) -> Tensor:
        """Log-mel power [B, 1, n_mels, frames] → bands [B, T, F, K]."""
        maps = self.blocks(self.input_norm(features))
        bands: Tensor = self.to_bands(maps.permute(0, 3, 2, 1))
        return bands


class SpecTNT(nn.Module):
    """The backbone: log-mel power in, an embedding of the window and of each of its frames out."""

    def __init__(self, config: SpecTNTConfig) -> None:
        super().__init__()
        self.front_end = FrontEnd(config)
        self.fct = token(1, config.spectral_dim)
        self.frequency_positions = token(config.n_bands + 1, config.spectral_dim)
        self.class_token = token(1, config.temporal_dim)
        self.temporal_positions = token(config.n_frames, config.temporal_dim)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(SpecTNTBlock(config) for _ in range(config.n_blocks))

    def forward(self, features: Tensor) -> Tensor:
        """Log-mel power [B, n_mels, frames] → temporal embeddings [B, 1 + T, D], the class token first."""
        return self.attend(self.front_end(features[:, None]))

    def attend(self, bands: Tensor) -> Tensor:
        """Bands [B, T, F, K] → temporal embeddings [B, 1 + T, D], the class token first."""
        n_windows, n_frames = bands.shape[:2]
        fct = self.fct.expand(n_windows, n_frames, -1, -1)
        spectral = self.dropout(torch.cat([fct, bands], dim=2) + self.frequency_positions)
        # Stretched over a window of another length, so that its ends keep the ends' positions.
        positions = F.interpolate(self.temporal_positions.T[None], n_frames, mode="linear", align_corners=True)[0].T
        temporal: Tensor = self.dropout(torch.cat([self.class_token, positions]).expand(n_windows, -1, -1))
        for block in self.blocks:
            spectral, temporal = block(spectral, temporal)
        return temporal


class SpecTNTTagger(nn.Module):
    """The backbone with mel spectrogram and tag head; training starts from the cached features."""

    def __init__(self, config: SpecTNTConfig, n_tags: int) -> None:
        super().__init__()
        self.sample_rate = config.sample_rate
        self.hop_length = config.hop_length
        self.mel = MelPower(
            sample_rate=config.sample_rate, n_fft=config.n_fft, hop_length=config.hop_length, n_mels=config.n_mels
        )
        self.amplitude_to_db = AmplitudeToDB()
        self.backbone = SpecTNT(config)
        self.head = nn.Sequential(nn.LayerNorm(config.temporal_dim), nn.Linear(config.temporal_dim, n_tags))

    def features(self, waveform: Tensor) -> Tensor:
        """Waveforms float32 [B, samples] → log-mel power [B, n_mels, 1 + samples // hop_length], dB."""
        features: Tensor = self.amplitude_to_db(self.mel(waveform))
        return features

    def encode(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Log-mel power [B, n_mels, frames] → embedding [B, D], tag logits [B, n_tags]."""
        embedding = self.backbone(features)[:, 0]
        return embedding, self.head(embedding)

    def tag_layer(self) -> nn.Linear:
        """What makes the logits out of a normalised embedding."""
        layer = self.head[1]
        assert isinstance(layer, nn.Linear)
        return layer

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveforms float32 [B, samples] → embedding [B, D], tag logits [B, n_tags]."""
        return self.encode(self.features(waveform))


def _spec(name: str, config: SpecTNTConfig) -> EncoderSpec:
    return EncoderSpec(
        name=name,
        sample_rate=config.sample_rate,
        window_length=config.window_length,
        dim=config.temporal_dim,
        build=lambda: SpecTNTTagger(config, len(TAGS)),
        convert=dict,
        reference="Lu, Wang, Won, Choi & Song, SpecTNT: a Time-Frequency Transformer for Music Audio, ISMIR 2021",
        license="Apache-2.0",
        tags=TAGS,
        cpu_batch_size=8,
    )


SPEC = _spec("spectnt", COMPACT)
