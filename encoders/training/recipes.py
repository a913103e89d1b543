"""One function a model: corpus → network → weights that `encoders` loads."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from encoders.checkpoints.files import load_into, read_checkpoint, save_weights
from encoders.loading import load_encoder, load_network
from encoders.models.embeddings import melcnn, musicnn, samplecnn, timbre
from encoders.models.embeddings.soundalike import SPEC as SOUNDALIKE
from encoders.models.embeddings.soundalike import TAGGER, Soundalike
from encoders.models.embeddings.tagging import SPEC as TAGGING
from encoders.registry import encoder_spec
from encoders.training.augmentations import CLMR as CLMR_CHAIN
from encoders.training.augmentations import augment
from encoders.training.contrastive import ContrastiveSettings, ContrastiveTraining, Projector
from encoders.training.corpus import load_waveforms, read_corpus, split_by_group
from encoders.training.discriminant import linear_discriminant
from encoders.training.distillation import DistillationSettings, DistillationTraining, Standardised
from encoders.training.features import load_features
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
from encoders.training.pseudo_labels import label
from encoders.training.spectral_noise import SpectralNoise
from encoders.training.validation import half_track_recall, halves, roc_auc

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

    from encoders.spec import EncoderSpec
    from encoders.training.corpus import CorpusTrack
    from encoders.training.features import Features
    from encoders.training.loop import OnStep, Schedule
    from encoders.training.pseudo_labels import PseudoLabels

TEACHERS = ("musicnn", "musicnn-mtt")
_NOISE = SpectralNoise(equaliser_db=1.0, lowpass_p=0.2, band_share=0.05)
_MEL_NOISE = SpectralNoise(gain_db=1.5, equaliser_db=2.0, lowpass_p=0.3, band_share=0.15, frame_share=0.15)
_TRACKS_TO_STANDARDISE = 400
_SHRINKAGE = 0.3
_MIN_DEVIATION = 1e-3


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
        embed = partial(_embedding, network.eval(), device)
        recall_at_1 = half_track_recall(embed, judged, window_length=spec.window_length) if judged else None
        network.train()
        return recall_at_1

    untrained = recall()
    training.resume()
    training.run(on_step=on_step)
    return TrainingReport(_save(spec, network, corpus, settings, out), "half-track recall@1", recall(), untrained)


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
    heard, judged = _parted(load_features(corpus.directory, corpus.all, network), corpus)
    length = 1 + spec.window_length // network.hop_length

    def recall() -> float | None:
        # Until the training takes the network to its device, it is where it was built.
        embed = partial(_embedding, network.encode, network.head.weight.device)
        return half_track_recall(embed, judged, window_length=length) if judged else None

    untrained = recall()
    _discriminate(network, heard, length, settings.seed)
    training = ContrastiveTraining(
        network,
        network.encode,
        nn.Identity(),
        heard,
        settings,
        out,
        window_length=length,
        augment=_NOISE,
        device=device,
    )
    training.resume()
    training.run(on_step=on_step)
    return TrainingReport(_save(spec, network, corpus, settings, out), "half-track recall@1", recall(), untrained)


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
    teacher: Any = loaded.eval().requires_grad_(False)
    torch.manual_seed(settings.seed)
    network = melcnn.MelCNN()
    heard, judged = _parted(load_features(corpus.directory, corpus.all, network), corpus)
    length = musicnn.N_FRAMES

    def taught(crops: Tensor) -> tuple[Tensor, Tensor]:
        found: tuple[Tensor, Tensor] = teacher.encode(crops.mT)
        return found

    def recall() -> float | None:
        embed = partial(_embedding, network.eval().encode, network.head.weight.device)
        recall_at_1 = half_track_recall(embed, judged, window_length=length) if judged else None
        network.train()
        return recall_at_1

    untrained = recall()
    some = heard.part(0, min(len(heard), _TRACKS_TO_STANDARDISE))
    both = halves(lambda crops: taught(crops)[0], some, window_length=length)
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
    return TrainingReport(_save(spec, network, corpus, settings, out), "half-track recall@1", recall(), untrained)


def _discriminate(network: timbre.StatisticsNet, heard: Features, window_length: int, seed: int) -> None:
    """Standardise a network's statistics, and give it the map that tells clean halves of tracks from disturbed ones."""
    generator = torch.Generator().manual_seed(seed)
    clean = halves(network.statistics, heard, window_length=window_length)
    noisy = halves(lambda crops: network.statistics(_NOISE(crops, generator)), heard, window_length=window_length)
    if clean is None or noisy is None:
        raise TrainingError(f"no track is as long as two windows of {timbre.SPEC.window_s:.0f} s")
    everything = torch.cat([*clean, *noisy])
    mean, deviation = everything.mean(dim=0), everything.std(dim=0).clamp(min=_MIN_DEVIATION)
    weight, bias = linear_discriminant(
        (clean[0] - mean) / deviation, (noisy[1] - mean) / deviation, timbre.DIM, shrinkage=_SHRINKAGE
    )
    fitted = {"mean": mean, "deviation": deviation, "head.weight": weight, "head.bias": bias}
    load_into(network, {**network.state_dict(), **fitted})


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
    heard, judged = _parted(features, corpus)
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
    return TrainingReport(_save(spec, network, corpus, settings, out), "mean ROC-AUC", auc(network), untrained)


def join(corpus: Split, out: Path, *, weights_dir: Path) -> Path:
    """The default encoder out of trained weights of its parts: what their embeddings are centred and scaled by.

    Raises
    ------
    WeightsError
        If one of the two has no weights in `weights_dir`, or others than it takes.
    """
    joined = Soundalike().eval()
    for part, name in ((joined.timbre, timbre.SPEC.name), (joined.tagging, TAGGER.name)):
        network: Any = part.network
        load_into(network, read_checkpoint(weights_dir / f"{name}.safetensors"))
        heard, _ = _parted(load_features(corpus.directory, corpus.all, network), corpus)
        length = 1 + SOUNDALIKE.window_length // network.hop_length
        both_halves = halves(partial(_embedding, network.encode, torch.device("cpu")), heard, window_length=length)
        if both_halves is not None:
            tracks = torch.cat(both_halves)
            mean, scale = tracks.mean(dim=0), tracks.std(dim=0).clamp(min=_MIN_DEVIATION)
            load_into(part, {**part.state_dict(), "mean": mean, "scale": scale})
    return _save(SOUNDALIKE, joined, corpus, None, out)


def _embedding(forward: Any, device: torch.device, crops: Tensor) -> Tensor:
    embedding: Tensor = forward(crops.to(device))[0]
    return embedding


def _parted(features: Features, corpus: Split) -> tuple[Features, Features | None]:
    """Features of the training tracks, and of the judged ones, which come after them."""
    first = len(corpus.training)
    judged = features.part(first, len(features)) if corpus.judged else None
    return features.part(0, first), judged


def _save(spec: EncoderSpec, network: nn.Module, corpus: Split, settings: Schedule | None, out: Path) -> Path:
    """Write the weights in half precision, with what they were made of."""
    path = out / f"{spec.name}.safetensors"
    digest = hashlib.sha256("".join(track.source_sha256 for track in corpus.training).encode()).hexdigest()
    metadata: Mapping[str, str] = {
        "encoder": spec.name,
        "settings": json.dumps(asdict(settings) if settings else {}),
        "held_out": ",".join(corpus.held_out),
        "corpus_sha256": digest,
    }
    halved = {
        key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in network.state_dict().items()
    }
    save_weights(path, halved, metadata)
    return path
