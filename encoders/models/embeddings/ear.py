"""Two encoders heard as one: near is what has the same timbre and key, and what a listener would call the same music.

:mod:`encoders.models.embeddings.timbre` hears timbre, key and motion; here its map is the linear discriminant of its
statistics, which tells tracks apart. :mod:`encoders.models.embeddings.musicnn` was taught, by the tags that listeners
gave the Million Song Dataset, what kinds of music there are. Both embeddings are made unit length, so that a cosine is
the weighted mean of those of both. Before that MusiCNN's is centred half way between the music that it was trained
on and ours: what is left in common would make all tracks alike (Suzuki et al., "Centering similarity measures to reduce
hubs", EMNLP 2013). Tags are a linear map of MusiCNN's embedding.

MusiCNN's weights are not ours, and are fetched; ours lie beside it (``ear-own``), and the two make one weights file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.checkpoints.files import load_into, read_checkpoint, save_weights
from encoders.models.embeddings import musicnn, timbre
from encoders.spec import SHIPPED_WEIGHTS, EncoderSpec
from encoders.tag_vocabulary import TAGS

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

SAMPLE_RATE = timbre.SAMPLE_RATE
WINDOW_LENGTH = timbre.WINDOW_LENGTH
TIMBRE_DIM = 192
DIM = TIMBRE_DIM + musicnn.DIM
MUSICNN_SHARE = 0.45
OWN = "ear-own.safetensors"
_MUSICNN = "musicnn."


class Ear(nn.Module):
    """Both encoders side by side."""

    offset: Tensor
    share: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.timbre = timbre.StatisticsNet(TIMBRE_DIM)
        self.musicnn = musicnn.MusiCNN(SAMPLE_RATE)
        self.register_buffer("offset", torch.zeros(musicnn.DIM))
        # Kept with the weights: another value makes other embeddings, which must have another version.
        self.register_buffer("share", torch.tensor(MUSICNN_SHARE))
        self.tags = nn.Linear(musicnn.DIM, len(TAGS))

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows float32 [batch, 220500] → embedding [batch, 392] of unit length, tag logits [batch, 62]."""
        sound, _ = self.timbre(waveform)
        kind = self.kind(waveform)
        return joined(sound, kind - self.offset, self.share), self.tags(kind)

    def kind(self, waveform: Tensor) -> Tensor:
        """MusiCNN's embedding [batch, 200]: the mean over as many of its windows, side by side, as fit."""
        log_mel = self.musicnn.log_mel(waveform)
        number = log_mel.shape[1] // musicnn.N_FRAMES
        windows = log_mel[:, : number * musicnn.N_FRAMES].reshape(-1, musicnn.N_FRAMES, musicnn.N_MELS)
        embedding: Tensor = self.musicnn.encode(windows)[0]
        return embedding.view(len(waveform), number, musicnn.DIM).mean(dim=1)


def joined(sound: Tensor, kind: Tensor, share: Tensor) -> Tensor:
    """Embeddings [batch, n], [batch, m] → [batch, n + m], whose cosine is that of both, `share` of it the second's."""
    parts = ((1 - share).sqrt() * F.normalize(sound, dim=1), share.sqrt() * F.normalize(kind, dim=1))
    return torch.cat(parts, dim=1)


def own(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of the weights of an :class:`Ear`, those that are ours."""
    return {key: tensor for key, tensor in tensors.items() if not key.startswith(_MUSICNN)}


def _fetch(path: Path) -> None:
    """Download MusiCNN's release and put our own weights beside it."""
    published, license_text = musicnn.released("MSD_musicnn")
    tensors = {f"{_MUSICNN}{key}": tensor for key, tensor in published.items()}
    tensors |= read_checkpoint(SHIPPED_WEIGHTS / OWN)
    load_into(Ear(), tensors)
    metadata = {"encoder": SPEC.name, "source_sha256": musicnn.WHEEL_SHA256, "license": license_text}
    save_weights(path, tensors, metadata)


SPEC = EncoderSpec(
    name="ear",
    sample_rate=SAMPLE_RATE,
    window_length=WINDOW_LENGTH,
    dim=DIM,
    build=Ear,
    convert=dict,
    reference="Pons & Serra, musicnn, ISMIR 2019 LBD, https://arxiv.org/abs/1909.06654; timbre is ours",
    license="ISC (MusiCNN), Apache-2.0 (ours)",
    tags=TAGS,
    sha256="26d2a6fc3dc9e5a3bf9cf5d9a68d039b895303e886828dc66ebba26972a08c5f",
    fetch=_fetch,
    package=musicnn.PACKAGE,
    cpu_batch_size=4,
)
