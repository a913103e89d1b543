"""CLMR: a SampleCNN trained to tell tracks apart from augmented windows of raw audio, without labels.

Spijkervet & Burgoyne, "Contrastive Learning of Musical Representations", ISMIR 2021, https://arxiv.org/abs/2103.09410;
network from Lee et al., "Sample-level deep convolutional neural networks", SMC 2017. 22,050 Hz mono, 59,049 = 3^10
samples: each block divides the length by three, until one 512-d vector is left. Published weights: Apache-2.0.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from torch import Tensor, nn

from encoders.errors import CheckpointMismatchError
from encoders.spec import EncoderSpec

if TYPE_CHECKING:
    from collections.abc import Mapping

SAMPLE_RATE = 22_050
WINDOW_LENGTH = 3**10
DIM = 512
_CHANNELS = (128, 128, 128, 256, 256, 256, 256, 256, 256, 512)


class SampleCNN(nn.Module):
    """Eleven blocks of short convolutions over samples."""

    def __init__(self) -> None:
        super().__init__()
        self.sequential = nn.Sequential(
            _block(1, _CHANNELS[0], stride=3, padding=0),
            *(_block(before, after).append(nn.MaxPool1d(3)) for before, after in itertools.pairwise(_CHANNELS)),
            _block(DIM, DIM),
        )

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        """Waveform windows float32 [batch, 59049] → embedding [batch, 512], no tag logits [batch, 0]."""
        embedding = self.sequential(waveform[:, None]).squeeze(2)
        return embedding, embedding[:, :0]


def _block(before: int, after: int, *, stride: int = 1, padding: int = 1) -> nn.Sequential:
    return nn.Sequential(nn.Conv1d(before, after, 3, stride, padding), nn.BatchNorm1d(after), nn.ReLU())


def convert(published: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Pick the encoder out of any of the three published formats.

    A Lightning file holds it as ``model.encoder.sequential.*`` (and once more, as ``encoder.sequential.*``) beside the
    projector, the authors' conversion as ``encoder.sequential.*``, a plain SampleCNN as ``sequential.*`` beside ``fc``.

    Raises
    ------
    CheckpointMismatchError
        If none of the three is there.
    """
    for prefix in ("model.encoder.", "encoder.", ""):
        encoder = {
            key.removeprefix(prefix): tensor
            for key, tensor in published.items()
            if key.startswith(f"{prefix}sequential.") and not key.endswith(".num_batches_tracked")
        }
        if encoder:
            return encoder
    raise CheckpointMismatchError(f"not a CLMR checkpoint: no sequential.* among {sorted(published)[:3]}")


SPEC = EncoderSpec(
    name="clmr-samplecnn",
    sample_rate=SAMPLE_RATE,
    window_length=WINDOW_LENGTH,
    dim=DIM,
    build=SampleCNN,
    convert=convert,
    reference="Spijkervet & Burgoyne, CLMR, ISMIR 2021, https://arxiv.org/abs/2103.09410",
    license="Apache-2.0",
)
