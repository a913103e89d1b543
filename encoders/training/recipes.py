"""One function a model: corpus → network → weights that `encoders` loads."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING

import torch

from encoders.checkpoints import save_weights
from encoders.clmr import SPEC as CLMR
from encoders.training.augmentations import CLMR as CLMR_CHAIN
from encoders.training.augmentations import augment
from encoders.training.contrastive import ContrastiveSettings, ContrastiveTraining
from encoders.training.corpus import load_waveforms, read_corpus, split_by_group
from encoders.training.validation import half_track_recall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path


@dataclass(frozen=True)
class TrainingReport:
    """Where the weights are, and how they find the other half of held-out tracks (recall@1; none without any)."""

    weights: Path
    recall: float | None
    untrained_recall: float | None


def train_clmr(
    corpus: Path,
    out: Path,
    settings: ContrastiveSettings,
    *,
    held_out: Sequence[str] = (),
    device: torch.device,
    on_step: Callable[[int, float], None] = lambda step, loss: None,
) -> TrainingReport:
    """Train CLMR's SampleCNN on a corpus, or go on with the training in `out`.

    Raises
    ------
    CorpusError
        If the corpus is empty, or a held-out group does not exist.
    TrainingError
        If `out` holds another training, or the loss is not finite.
    """
    training_tracks, judged_tracks = split_by_group(read_corpus(corpus), held_out)
    waveforms = load_waveforms(corpus, training_tracks, sample_rate=CLMR.sample_rate)
    torch.manual_seed(settings.seed)
    training = ContrastiveTraining(CLMR.build(), CLMR.dim, waveforms, settings, out, device=device)
    recall = partial(half_track_recall, training.network, window_length=CLMR.window_length)
    judged = load_waveforms(corpus, judged_tracks, sample_rate=CLMR.sample_rate) if judged_tracks else None
    untrained = recall(judged) if judged else None
    training.resume()
    training.run(
        lambda crops, generator: augment(crops, CLMR_CHAIN, sample_rate=CLMR.sample_rate, generator=generator),
        CLMR.window_length,
        on_step=on_step,
    )
    weights = out / f"{CLMR.name}.safetensors"
    digest = hashlib.sha256("".join(track.source_sha256 for track in training_tracks).encode()).hexdigest()
    metadata = {
        "encoder": CLMR.name,
        "settings": json.dumps(asdict(settings)),
        "held_out": ",".join(sorted(held_out)),
        "corpus_sha256": digest,
    }
    halved = {
        key: tensor.half() if tensor.is_floating_point() else tensor
        for key, tensor in training.network.state_dict().items()
    }
    save_weights(weights, halved, metadata)
    return TrainingReport(weights, recall(judged) if judged else None, untrained)
