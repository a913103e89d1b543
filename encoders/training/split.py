"""What a training learns from and what it is judged by, and how its weights are written."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from encoders.checkpoints.files import save_weights
from encoders.training.corpus import read_corpus, split_by_group

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import torch
    from torch import Tensor

    from encoders.spec import EncoderSpec
    from encoders.training.corpus import CorpusTrack
    from encoders.training.features import Features
    from encoders.training.loop import Schedule
    from encoders.training.pseudo_labels import PseudoLabels


@dataclass(frozen=True)
class Split:
    """A corpus, parted by group into what is trained on and what is judged by."""

    directory: Path
    training: list[CorpusTrack]
    judged: list[CorpusTrack]
    held_out: tuple[str, ...]

    @property
    def all(self) -> list[CorpusTrack]:
        """Every track."""
        return [*self.training, *self.judged]


@dataclass(frozen=True)
class TrainingReport:
    """Where the weights are, and what they reach on held-out groups before and after (nothing without any).

    A figure is half-track recall@1 for an encoder, and for a tagger the mean ROC-AUC against its teachers.
    """

    weights: Path
    measure: str
    trained: float | None
    untrained: float | None


def split(directory: Path, held_out: Sequence[str]) -> Split:
    """Read a corpus and keep some groups out of training.

    Raises
    ------
    CorpusError
        If the corpus is empty, a held-out group does not exist, or nothing is left.
    """
    training, judged = split_by_group(read_corpus(directory), held_out)
    return Split(directory, training, judged, tuple(sorted(held_out)))


def parted_labels(labels: PseudoLabels, corpus: Split) -> tuple[PseudoLabels, PseudoLabels]:
    """Labels of the training tracks, and of the judged ones, out of those of all."""
    training, judged = np.split(np.arange(len(corpus.all)), [len(corpus.training)])
    return labels.of_tracks(training), labels.of_tracks(judged)


def embedding_of(forward: Any, device: torch.device, crops: Tensor) -> Tensor:
    """Embeddings of crops, by a network's own call."""
    embedding: Tensor = forward(crops.to(device))[0]
    return embedding


def parted(features: Features, corpus: Split) -> tuple[Features, Features | None]:
    """Features of the training tracks, and of the judged ones, which come after them."""
    first = len(corpus.training)
    judged = features.part(first, len(features)) if corpus.judged else None
    return features.part(0, first), judged


def save(
    spec: EncoderSpec, tensors: Mapping[str, Tensor], corpus: Split, settings: Schedule | None, path: Path
) -> Path:
    """Write the weights in half precision, with what they were made of."""
    digest = hashlib.sha256("".join(track.source_sha256 for track in corpus.training).encode()).hexdigest()
    save_halved(path, tensors, Origin(spec.name, asdict(settings) if settings else {}, corpus.held_out, digest))
    return path


@dataclass(frozen=True)
class Origin:
    """What weights were made of: by which settings, without which groups or sources, and the digest of the corpus."""

    encoder: str
    settings: Mapping[str, Any]
    held_out: Sequence[str]
    corpus_sha256: str


def save_halved(path: Path, tensors: Mapping[str, Tensor], origin: Origin) -> None:
    """Write weights in half precision, with their origin."""
    metadata = {
        "encoder": origin.encoder,
        "settings": json.dumps(dict(origin.settings)),
        "held_out": ",".join(origin.held_out),
        "corpus_sha256": origin.corpus_sha256,
    }
    halved = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in tensors.items()}
    save_weights(path, halved, metadata)
