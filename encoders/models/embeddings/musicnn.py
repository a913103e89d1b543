"""MusiCNN: musically motivated convolutions over log-mel spectrograms (Pons & Serra, ISMIR 2019 late-breaking).

"musicnn: Pre-trained convolutional neural networks for music audio tagging", https://arxiv.org/abs/1909.06654; network
from Pons et al., "End-to-end learning for music audio tagging at scale", ISMIR 2018. Weights: ISC, (c) Music Technology
Group, Universitat Pompeu Fabra, trained on the Million Song Dataset (``musicnn``) or MagnaTagATune (``musicnn-mtt``).

16 kHz mono, windows of 187 frames. The embedding is the 200-d penultimate layer after its batch norm; BN follows ReLU
throughout. For inference: batch norm is applied after pooling over mels, which training could not do, and filters whose
weights the training took down to nothing (of the release's 561 over the input, 497) are not run.
"""

from __future__ import annotations

import tempfile
import zipfile
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.acceleration import product_type
from encoders.checkpoints.files import load_into, save_weights
from encoders.checkpoints.published import download_wheel
from encoders.checkpoints.tensor_bundle import read_tensor_bundle
from encoders.errors import CheckpointMismatchError
from encoders.frontend import SlaneyMel
from encoders.spec import EncoderSpec
from encoders.tag_vocabulary import MUSICNN_MSD_TAGS, MUSICNN_MTT_TAGS

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLE_RATE = 16_000
N_FFT = 512
HOP_LENGTH = 256
N_MELS = 96
N_FRAMES = 187
WINDOW_LENGTH = N_FFT + (N_FRAMES - 1) * HOP_LENGTH
DIM = 200
_N_TAGS = 50
_BN_EPS = 1e-3
_PLACES = 5  # of a timbral filter in one product
_FRAMES = 16  # of a temporal filter in one product
_DEAF = 1e-5  # weights below it are what weight decay left of a filter; those of the others are a hundred times larger
PACKAGE = "musicnn==0.1.0"
WHEEL_SHA256 = "f38a4890c648c1ddbb141c5d96d2b0a8cfcd36746002d896989f7b88beb65cfa"


class FrontBlock(nn.Module):
    """Filters over the input, each pooled over mels to its largest response there.

    A filter is one row of zeros and weights for every place where it may lie, so that a product of matrices, several
    places at once, takes the place of a convolution with a single input channel: a third of the time on a CPU.
    """

    def __init__(self, channels: int, kernel: tuple[int, int], padding: tuple[int, int]) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, channels, kernel, padding=padding)
        self.norm = nn.BatchNorm1d(channels, _BN_EPS)

    def forward(self, features: Tensor) -> Tensor:
        """[batch, frames, mels] → [batch, channels, frames].

        The network is max(norm(relu(conv))). ReLU grows with its input, and norm with it or, where its scale is
        negative, against it, so max may go inside: there as min, which is -max of the negated filter. Exact, and it
        spares two passes over an array as large as the mel axis.
        """
        response = self.largest(features.to(product_type(features.device))).float() * self._sign
        return _activated(response, self._heard, self.conv, self.norm)

    def largest(self, features: Tensor) -> Tensor:
        """Largest response over mels [batch, filters that hear anything, frames], of filters turned by their sign."""
        raise NotImplementedError

    @cached_property
    def _heard(self) -> Tensor:
        """Filters that have any weight, int64 [n]: a checkpoint is loaded before anything is heard."""
        return _hearing(self.conv.weight)

    @cached_property
    def _sign(self) -> Tensor:
        """-1 for the filters that batch norm turns over, else 1: [n, 1]."""
        return torch.where(self.norm.weight.detach()[self._heard] < 0, -1.0, 1.0)[:, None]

    @cached_property
    def _filters(self) -> Tensor:
        """[n, frames, mels]."""
        return self.conv.weight.detach()[self._heard, 0] * self._sign[..., None]


def _hearing(weight: Tensor) -> Tensor:
    return (weight.detach().flatten(1).abs().amax(dim=1) > _DEAF).nonzero()[:, 0]


def _activated(response: Tensor, heard: Tensor, conv: nn.Conv1d | nn.Conv2d, norm: nn.BatchNorm1d) -> Tensor:
    """Responses [batch, filters that hear anything, frames] → [batch, channels, frames]; of the deaf, a constant."""
    bias = conv.get_parameter("bias")
    every = bias[:, None].expand(len(response), len(bias), response.shape[2]).index_add(1, heard, response)
    activated: Tensor = norm(F.relu(every))
    return activated


class TimbralBlock(FrontBlock):
    """Filters of 7 frames by most of the mel axis, pooled over mels: a timbre wherever it is pitched."""

    def __init__(self, mels: int) -> None:
        super().__init__(204, (7, mels), (3, 0))

    def largest(self, features: Tensor) -> Tensor:
        """A few places beside each other are a product; the largest of all is kept."""
        batch, frames, mels = features.shape
        length, height = self.conv.kernel_size
        padded = F.pad(features, (0, 0, length // 2, length // 2))
        matrix = self._places.to(features.dtype)
        span = height + _PLACES - 1
        last = mels - span
        best: Tensor | None = None
        for first in (*range(0, last, _PLACES), last):
            slab = padded[:, :, first : first + span].contiguous()
            # Rows of a slab lie one behind the other, so a row and the six after it are a row of a larger matrix.
            rows = slab.as_strided((batch, frames, length * span), (slab.stride(0), span, 1))
            response = rows.reshape(batch * frames, -1) @ matrix
            best = response if best is None else torch.maximum(best, response)
        assert best is not None
        return best.view(batch, frames, _PLACES, -1).amax(2).mT

    @cached_property
    def _places(self) -> Tensor:
        """[frames and mels of a slab, places and filters]."""
        number, length, height = self._filters.shape
        places = self._filters.new_zeros(length, height + _PLACES - 1, _PLACES, number)
        for place in range(_PLACES):
            places[:, place : place + height, place] = self._filters.permute(1, 2, 0)
        return places.flatten(2).flatten(0, 1)


class TemporalBlock(FrontBlock):
    """Filters along time on every mel band alike, pooled over mels: a rhythm in whatever band."""

    def __init__(self, frames: int) -> None:
        super().__init__(51, (frames, 1), (0, 0))

    def largest(self, features: Tensor) -> Tensor:
        """Some frames beside each other are a product."""
        batch, frames, mels = features.shape
        length = self.conv.kernel_size[0]
        pieces = -(-frames // _FRAMES)
        # TensorFlow's "same" padding: the odd frame of an even kernel goes to the right.
        padded = F.pad(features.mT, ((length - 1) // 2, length // 2 + pieces * _FRAMES - frames))
        rows = padded.unfold(2, length + _FRAMES - 1, _FRAMES).reshape(batch * mels * pieces, -1)
        response = (rows @ self._places.to(features.dtype)).view(batch, mels, pieces, -1).amax(1)
        return response.view(batch, pieces * _FRAMES, -1)[:, :frames].mT

    @cached_property
    def _places(self) -> Tensor:
        """[frames of a piece and its context, frames of a piece and filters]."""
        number, length, _ = self._filters.shape
        places = self._filters.new_zeros(length + _FRAMES - 1, _FRAMES, number)
        for place in range(_FRAMES):
            places[place : place + length, place] = self._filters[..., 0].T
        return places.flatten(1)


class ResidualBlock(nn.Module):
    """Convolution over 7 frames, ReLU, batch norm; the shortcut is added by the network."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, 64, 7, padding=3)
        self.norm = nn.BatchNorm1d(64, _BN_EPS)

    def forward(self, features: Tensor) -> Tensor:
        """[batch, channels, frames] → [batch, 64, frames]."""
        heard, weight = self._heard
        fast = product_type(features.device)
        response = F.conv1d(features.to(fast), weight.to(fast), padding=3).float()
        return _activated(response, heard, self.conv, self.norm)

    @cached_property
    def _heard(self) -> tuple[Tensor, Tensor]:
        """Filters that have any weight, int64 [n], and their weights."""
        heard = _hearing(self.conv.weight)
        return heard, self.conv.weight.detach()[heard]


class LogMel(nn.Module):
    """What MusiCNN hears, from audio of any rate: log-compressed mel power up to 8 kHz, in 32 ms every 16 ms.

    Parameters
    ----------
    sample_rate : Hz, of the waveforms
    """

    def __init__(self, sample_rate: int) -> None:
        super().__init__()
        self.n_fft, self.hop_length = (round(length * sample_rate / SAMPLE_RATE) for length in (N_FFT, HOP_LENGTH))
        self._mel = SlaneyMel(
            sample_rate=sample_rate,
            n_fft=self.n_fft,
            hop_length=self.hop_length,
            n_mels=N_MELS,
            fmax_hz=SAMPLE_RATE / 2,
        )

    def forward(self, waveform: Tensor) -> Tensor:
        """Waveforms [batch, samples] → [batch, 1 + (samples - n_fft) // hop_length, 96]."""
        # The power that a window passes grows with the square of its samples. The release rounds the mel power to
        # float16 first, and 10000 times that is infinite in loud music.
        return torch.log10(10_000 * (N_FFT / self.n_fft) ** 2 * self._mel(waveform) + 1)


class MusiCNN(nn.Module):
    """Timbral and temporal front end, densely connected middle, pooling over time.

    Parameters
    ----------
    sample_rate : Hz, of the waveforms; the release's is 16,000
    """

    def __init__(self, sample_rate: int = SAMPLE_RATE) -> None:
        super().__init__()
        self.log_mel = LogMel(sample_rate)
        self.input_norm = nn.BatchNorm1d(1, _BN_EPS)
        self.timbral = nn.ModuleList(TimbralBlock(mels) for mels in (38, 67))
        self.temporal = nn.ModuleList(TemporalBlock(frames) for frames in (128, 64, 32))
        self.middle = nn.ModuleList(ResidualBlock(channels) for channels in (561, 64, 64))
        self.pool_norm = nn.BatchNorm1d(1506, _BN_EPS)
        self.dense = nn.Linear(1506, DIM)
        self.embedding_norm = nn.BatchNorm1d(DIM, _BN_EPS)
        self.head = nn.Linear(DIM, _N_TAGS)

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows float32 [batch, 48128] → embedding [batch, 200], tag logits [batch, 50]."""
        return self.encode(self.log_mel(waveform))

    def encode(self, log_mel: Tensor) -> tuple[Tensor, Tensor]:
        """Log-compressed mel power [batch, 187, 96] → embedding [batch, 200], tag logits [batch, 50]."""
        features = self.input_norm(log_mel.flatten(1)[:, None]).view(len(log_mel), -1, N_MELS)
        front = torch.cat([block(features) for block in (*self.timbral, *self.temporal)], dim=1)
        first = self.middle[0](front)
        second = self.middle[1](first) + first
        third = self.middle[2](second) + second
        dense = torch.cat([front, first, second, third], dim=1)
        # The published weights expect the two statistics of a feature side by side.
        pooled = torch.stack([dense.amax(2), dense.mean(2)], dim=2).flatten(1)
        embedding = self.embedding_norm(F.relu(self.dense(self.pool_norm(pooled))))
        return embedding, self.head(embedding)


# TensorFlow numbers its layers by kind, in the order of their creation.
_CONVOLUTIONS = ("timbral.0", "timbral.1", *(f"temporal.{i}" for i in range(3)), *(f"middle.{i}" for i in range(3)))
_NORMS = ("input_norm", *(f"{block}.norm" for block in _CONVOLUTIONS), "pool_norm", "embedding_norm")
_VARIABLES = {"gamma": "weight", "beta": "bias", "moving_mean": "running_mean", "moving_variance": "running_var"}


def convert(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Name and lay out the variables of the released TensorFlow checkpoint as :class:`MusiCNN` has them.

    Raises
    ------
    CheckpointMismatchError
        If a variable is missing.
    """
    converted: dict[str, Tensor] = {}
    try:
        for number, norm in enumerate(_NORMS):
            layer = "batch_normalization" + (f"_{number}" if number else "")
            converted |= {f"{norm}.{ours}": published[f"{layer}/{theirs}"] for theirs, ours in _VARIABLES.items()}
        for number, block in enumerate(_CONVOLUTIONS):
            layer = "conv2d" + (f"_{number}" if number else "")
            kernel = published[f"{layer}/kernel"].permute(3, 2, 0, 1)  # [frames, mels, 1, out] → [out, 1, frames, mels]
            converted[f"{block}.conv.weight"] = kernel[:, 0].mT if block.startswith("middle") else kernel
            converted[f"{block}.conv.bias"] = published[f"{layer}/bias"]
        for layer, ours in (("dense", "dense"), ("dense_1", "head")):
            converted[f"{ours}.weight"] = published[f"{layer}/kernel"].T
            converted[f"{ours}.bias"] = published[f"{layer}/bias"]
    except KeyError as error:
        raise CheckpointMismatchError(f"not a released MusiCNN checkpoint: no variable {error}") from error
    return converted


def released(folder: str) -> tuple[dict[str, Tensor], str]:
    """Download the release: the weights of one of its checkpoints, by :class:`MusiCNN`'s keys, and their licence.

    Raises
    ------
    WeightsError
        If it cannot be downloaded, or is another one.
    """
    with tempfile.TemporaryDirectory() as scratch:
        wheel = zipfile.ZipFile(download_wheel(PACKAGE, WHEEL_SHA256, Path(scratch)))
        with wheel:
            index, data = (wheel.read(f"musicnn/{folder}/{part}") for part in (".index", ".data-00000-of-00001"))
            license_text = wheel.read("musicnn-0.1.0.dist-info/LICENSE.md").decode()
    tensors = convert({key: torch.from_numpy(array) for key, array in read_tensor_bundle(index, data).items()})
    load_into(MusiCNN(), tensors)
    return tensors, license_text


def _fetch(name: str, folder: str, path: Path) -> None:
    """Write one of the release's checkpoints with the licence it comes under."""
    tensors, license_text = released(folder)
    save_weights(path, tensors, {"encoder": name, "source_sha256": WHEEL_SHA256, "license": license_text})


MSD_TAGS, MTT_TAGS = MUSICNN_MSD_TAGS, MUSICNN_MTT_TAGS


def _spec(name: str, folder: str, tags: tuple[str, ...], sha256: str) -> EncoderSpec:
    return EncoderSpec(
        name=name,
        sample_rate=SAMPLE_RATE,
        window_length=WINDOW_LENGTH,
        dim=DIM,
        build=MusiCNN,
        convert=convert,
        reference="Pons & Serra, musicnn, ISMIR 2019 LBD, https://arxiv.org/abs/1909.06654",
        license="ISC",
        tags=tags,
        sha256=sha256,
        fetch=partial(_fetch, name, folder),
        package=PACKAGE,
    )


SPEC = _spec("musicnn", "MSD_musicnn", MSD_TAGS, "e1326c0698ff7b0b6fe3d92b4165ca23809ef30b6834c0d26d7584b6eb282faa")
MTT_SPEC = _spec(
    "musicnn-mtt", "MTT_musicnn", MTT_TAGS, "f88304cf81f09fcf6ac46cccb8381da3d03b9773c7c48bd242e686e04505b745"
)
