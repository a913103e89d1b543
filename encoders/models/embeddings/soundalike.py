"""Two encoders heard as one: what sounds alike is near by its timbre and key, and by what a listener would call it.

:mod:`encoders.models.embeddings.timbre` tells tracks apart and knows nothing of genres;
:mod:`encoders.models.embeddings.tagging` knows what music is called and mistakes tracks of one kind for each other.
Each part's embedding is centred, scaled and made unit length, so that a cosine is the weighted mean of both parts'
cosines; the tags are the tagger's.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from encoders.models.embeddings import tagging, timbre
from encoders.spec import EncoderSpec

SAMPLE_RATE = tagging.SAMPLE_RATE
WINDOW_LENGTH = tagging.WINDOW_LENGTH
TAGGER = tagging.STUDENT_SPEC
DIM = timbre.SPEC.dim + TAGGER.dim
TAGGER_WEIGHT = 0.7


class Part(nn.Module):
    """One of the encoders, with the mean and the spread of its embeddings over the music it was trained on."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, dim: int) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", torch.zeros(dim))
        self.register_buffer("scale", torch.ones(dim))

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows [batch, samples] → embedding of unit length [batch, dim], tag logits [batch, n_tags]."""
        embedding, tag_logits = self.network(waveform)
        return F.normalize((embedding - self.mean) / self.scale, dim=1), tag_logits


class Soundalike(nn.Module):
    """Both encoders side by side."""

    clmr: Part  # so its weights are called in the file; other keys would be other bytes, and so another version
    tagging: Part
    tagger_weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.clmr = Part(timbre.SPEC.build(), timbre.SPEC.dim)
        self.tagging = Part(TAGGER.build(), TAGGER.dim)
        # Kept with the weights: another value makes other embeddings, which must have another version.
        self.register_buffer("tagger_weight", torch.tensor(TAGGER_WEIGHT))

    @property
    def timbre(self) -> Part:
        """The part that tells tracks apart."""
        return self.clmr

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows float32 [batch, 220500] → embedding [batch, 320], tag logits [batch, n_tags]."""
        sound, _ = self.timbre(waveform)
        words, tag_logits = self.tagging(waveform)
        return torch.cat([sound, self.tagger_weight * words], dim=1), tag_logits


SPEC = EncoderSpec(
    name="soundalike",
    sample_rate=SAMPLE_RATE,
    window_length=WINDOW_LENGTH,
    dim=DIM,
    build=Soundalike,
    convert=dict,
    reference="Spijkervet & Burgoyne, CLMR, ISMIR 2021; Won, Choi & Serra, Music Tagging Transformer, ISMIR 2021",
    license="Apache-2.0",
    tags=TAGGER.tags,
    cpu_batch_size=8,
)
