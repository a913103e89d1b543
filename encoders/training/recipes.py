"""One function a model: corpus → network → weights that `encoders` loads."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from encoders.checkpoints.files import load_into, read_checkpoint
from encoders.loading import load_encoder, load_network
from encoders.models.embeddings import melcnn, musicnn, samplecnn, timbre
from encoders.models.embeddings.tagging import SPEC as TAGGING
from encoders.registry import encoder_spec
from encoders.training.augmentations import CLMR as CLMR_CHAIN
from encoders.training.augmentations import augment
from encoders.training.contrastive import ContrastiveSettings, ContrastiveTraining, Projector
from encoders.training.corpus import load_waveforms
from encoders.training.distillation import DistillationSettings, DistillationTraining, Standardised
from encoders.training.features import load_features
from encoders.training.joining import NOISE, discriminate
from encoders.training.loop import TrainingError
from encoders.training.noisy_student import (
    NoisyStudentTraining,
    StudentSettings,
    calibrate,
    long_enough,
    tag_logits,
    taught_by_both,
    thresholds,
)
from encoders.training.pseudo_labels import TEACHERS, label
from encoders.training.spectral_noise import SpectralNoise
from encoders.training.split import Split, TrainingReport, embedding_of, parted, parted_labels, save
from encoders.training.validation import half_track_recall, halves, roc_auc

if TYPE_CHECKING:
    from pathlib import Path

    from torch import Tensor

    from encoders.training.loop import OnStep

_MEL_NOISE = SpectralNoise(gain_db=1.5, equaliser_db=2.0, lowpass_p=0.3, band_share=0.15, frame_share=0.15)
_RECALL = "half-track recall@1"
_TRACKS_TO_STANDARDISE = 400


def train_samplecnn(
    corpus: Split, out: Path, settings: ContrastiveSettings, *, device: torch.device, on_step: OnStep
) -> TrainingReport:
    """CLMR as published: SampleCNN on waveforms, with the full chain of augmentations.

    Raises
    ------
    CorpusError, TrainingError
        If the corpus is damaged, `out` holds another training, or the loss is not finite.
    """
    spec = samplecnn.SPEC
    torch.manual_seed(settings.seed)
    network = spec.build()
    training = ContrastiveTraining(
        network,
        network,
        Projector(spec.dim),
        load_waveforms(corpus.directory, corpus.training, sample_rate=spec.sample_rate),
        settings,
        out,
        window_length=spec.window_length,
        augment=lambda crops, generator: augment(crops, CLMR_CHAIN, sample_rate=spec.sample_rate, generator=generator),
        device=device,
    )
    judged = load_waveforms(corpus.directory, corpus.judged, sample_rate=spec.sample_rate) if corpus.judged else None

    def recall() -> float | None:
        embed = partial(embedding_of, network.eval(), device)
        recall_at_1 = half_track_recall(embed, judged, window_length=spec.window_length) if judged else None
        network.train()
        return recall_at_1

    untrained = recall()
    training.resume()
    training.run(on_step=on_step)
    weights = save(spec, network.state_dict(), corpus, settings, spec.weights_in(out))
    return TrainingReport(weights, _RECALL, recall(), untrained)


def train_timbre(
    corpus: Split, out: Path, settings: ContrastiveSettings, *, device: torch.device, on_step: OnStep
) -> TrainingReport:
    """CLMR's loss on statistics of spectrograms, from the linear discriminant map on.

    Raises
    ------
    CorpusError, TrainingError
        As for :func:`train_samplecnn`.
    """
    spec = timbre.SPEC
    torch.manual_seed(settings.seed)
    network = timbre.StatisticsNet()
    heard, judged = parted(load_features(corpus.directory, corpus.all, network), corpus)
    length = 1 + spec.window_length // network.hop_length

    def recall() -> float | None:
        # Until the training takes the network to its device, it is where it was built.
        embed = partial(embedding_of, network.encode, network.head.weight.device)
        return half_track_recall(embed, judged, window_length=length) if judged else None

    untrained = recall()
    discriminate(network, heard, length, settings.seed)
    training = ContrastiveTraining(
        network,
        network.encode,
        nn.Identity(),
        heard,
        settings,
        out,
        window_length=length,
        augment=NOISE,
        device=device,
    )
    training.resume()
    training.run(on_step=on_step)
    weights = save(spec, network.state_dict(), corpus, settings, spec.weights_in(out))
    return TrainingReport(weights, _RECALL, recall(), untrained)


def train_melcnn(
    corpus: Split,
    out: Path,
    settings: DistillationSettings,
    *,
    weights_dir: Path,
    device: torch.device,
    on_step: OnStep,
) -> TrainingReport:
    """A compact network, distilled from MusiCNN and by CLMR's loss, on the log-mel spectrogram that both hear.

    Raises
    ------
    MissingWeightsError
        If MusiCNN has not been fetched.
    CorpusError, TrainingError
        As for :func:`train_samplecnn`.
    """
    spec = melcnn.SPEC
    loaded, _ = load_network(musicnn.SPEC, weights_dir)
    teacher: Any = loaded.to(device).eval().requires_grad_(False)
    torch.manual_seed(settings.seed)
    network = melcnn.MelCNN()
    heard, judged = parted(load_features(corpus.directory, corpus.all, network), corpus)
    length = musicnn.N_FRAMES

    def taught(crops: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = teacher.encode(crops.mT)
        return found

    def recall() -> float | None:
        embed = partial(embedding_of, network.eval().encode, network.head.weight.device)
        recall_at_1 = half_track_recall(embed, judged, window_length=length) if judged else None
        network.train()
        return recall_at_1

    untrained = recall()
    some = heard.part(0, min(len(heard), _TRACKS_TO_STANDARDISE))
    both = halves(lambda crops: taught(crops.to(device))[0], some, window_length=length)
    if both is None:
        raise TrainingError("no track is as long as two windows of the teacher")
    training = DistillationTraining(
        network,
        network.encode,
        spec.dim,
        Standardised(taught, torch.cat(both)),
        heard,
        settings,
        out,
        window_length=length,
        mix=melcnn.mixed,
        augment=lambda crops, generator: melcnn.from_decibels(_MEL_NOISE(melcnn.decibels(crops), generator)),
        device=device,
    )
    training.resume()
    training.run(on_step=on_step)
    weights = save(spec, network.state_dict(), corpus, settings, spec.weights_in(out))
    return TrainingReport(weights, _RECALL, recall(), untrained)


def train_tagger(
    name: str,
    corpus: Split,
    out: Path,
    settings: StudentSettings,
    *,
    rounds: int,
    taught_by: Path | None = None,
    weights_dir: Path,
    device: torch.device,
    on_step: OnStep,
) -> TrainingReport:
    """A tagging encoder as a noisy student of MusiCNN, in rounds: each student also teaches the next.

    Parameters
    ----------
    name : ``tagging``, ``tagging-student`` or ``spectnt``
    taught_by : weights of a `tagging` trained before, that teaches beside MusiCNN from the first round on: distillation
    weights_dir : holds the teachers' weights

    Raises
    ------
    MissingWeightsError
        If the teachers have not been fetched.
    CorpusError, TrainingError
        As for :func:`train_samplecnn`.
    """
    spec = encoder_spec(name)
    msd, mtt = (load_encoder(teacher, weights_dir=weights_dir) for teacher in TEACHERS)
    labels, unseen = parted_labels(label(corpus.directory, corpus.all, msd, mtt), corpus)
    torch.manual_seed(settings.seed)
    network: Any = spec.build()
    features = load_features(corpus.directory, corpus.all, network)
    heard, judged = parted(features, corpus)
    frames = 1 + round(spec.window_length / spec.sample_rate * features.per_second)
    labels = long_enough(heard, labels, frames)
    unseen = long_enough(judged, unseen, frames) if judged else unseen

    def auc(network: nn.Module) -> float | None:
        if judged is None or not len(unseen.tracks):
            return None
        predicted = tag_logits(network, judged, unseen, window_frames=frames).numpy()
        areas = roc_auc(predicted, unseen.scores >= thresholds(labels.scores))
        return None if np.isnan(areas).all() else float(np.nanmean(areas))

    untrained = auc(spec.build())
    taught = labels
    if taught_by is not None:
        earlier = TAGGING.build()
        load_into(earlier, read_checkpoint(taught_by))
        taught = taught_by_both(labels, tag_logits(earlier, heard, labels, window_frames=frames))
    for number in range(1, rounds + 1):
        torch.manual_seed(settings.seed + number)
        network = spec.build()
        training = NoisyStudentTraining(
            network, heard, taught, settings, out / f"round{number}", window_frames=frames, device=device
        )
        training.resume()
        training.run(on_step=on_step)
        predicted = tag_logits(network, heard, labels, window_frames=frames)
        taught = taught_by_both(labels, predicted)
    calibrate(network, predicted, labels)
    return TrainingReport(
        save(spec, network.state_dict(), corpus, settings, spec.weights_in(out)),
        "mean ROC-AUC",
        auc(network),
        untrained,
    )
