"""Encoders heard as one, out of their parts: `soundalike` and `ear`, and the map that `ear` and `timbre` begin with."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import torch
from torch import nn
from torch.nn import functional as F

from encoders.checkpoints.files import load_into, read_checkpoint
from encoders.loading import load_encoder, load_network
from encoders.models.embeddings import ear, musicnn, timbre
from encoders.models.embeddings.soundalike import SPEC as SOUNDALIKE
from encoders.models.embeddings.soundalike import TAGGER, Soundalike
from encoders.training.corpus import decoded
from encoders.training.discriminant import linear_discriminant
from encoders.training.features import load_features
from encoders.training.loop import TrainingError
from encoders.training.noisy_student import platt, thresholds
from encoders.training.pseudo_labels import TEACHERS, label
from encoders.training.spectral_noise import SpectralNoise
from encoders.training.split import embedding_of, parted, save
from encoders.training.validation import halves

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from torch import Tensor

    from encoders.training.corpus import CorpusTrack
    from encoders.training.features import Features
    from encoders.training.pseudo_labels import PseudoLabels
    from encoders.training.split import Split

NOISE = SpectralNoise(equaliser_db=1.0, lowpass_p=0.2, band_share=0.05)
"""What a network of statistics is trained to overhear."""

_SHRINKAGE = 0.3
_MIN_DEVIATION = 1e-3
_TAG_DECAY = 1e-4
_TAG_STEPS = 200
_WINDOWS_TOGETHER = 4


def discriminate(network: timbre.StatisticsNet, heard: Features, window_length: int, seed: int) -> None:
    """Standardise a network's statistics, and give it the map that tells clean halves of tracks from disturbed ones.

    Raises
    ------
    TrainingError
        If no track is as long as two windows.
    """
    generator = torch.Generator().manual_seed(seed)
    clean = halves(network.statistics, heard, window_length=window_length)
    noisy = halves(lambda crops: network.statistics(NOISE(crops, generator)), heard, window_length=window_length)
    if clean is None or noisy is None:
        raise TrainingError(f"no track is as long as two windows of {timbre.SPEC.window_s:.0f} s")
    fit_map(network, (clean[0], clean[1]), (noisy[0], noisy[1]))


def fit_map(network: timbre.StatisticsNet, clean: tuple[Tensor, Tensor], noisy: tuple[Tensor, Tensor]) -> None:
    """Give a network the linear discriminant map of statistics that it has not standardised yet.

    Parameters
    ----------
    clean, noisy : statistics float32 [tracks, 1044] of both halves of every track
    """
    everything = torch.cat([*clean, *noisy])
    mean, deviation = everything.mean(dim=0), everything.std(dim=0).clamp(min=_MIN_DEVIATION)
    weight, bias = linear_discriminant(
        (clean[0] - mean) / deviation,
        (noisy[1] - mean) / deviation,
        network.head.out_features,
        shrinkage=_SHRINKAGE,
    )
    fitted = {"mean": mean, "deviation": deviation, "head.weight": weight, "head.bias": bias}
    load_into(network, {**network.state_dict(), **fitted})


def offset_of(kinds: Tensor, network: musicnn.MusiCNN) -> Tensor:
    """Half way between the mean of MusiCNN's embeddings [n, 200] and that of the music that it was trained on."""
    theirs = network.embedding_norm.bias.detach()  # a batch norm is the last thing that happens to it
    return (kinds.mean(dim=0) + theirs) / 2


def join_soundalike(corpus: Split, out: Path, *, weights_dir: Path) -> Path:
    """`soundalike` out of trained weights of its parts: what their embeddings are centred and scaled by.

    Raises
    ------
    WeightsError
        If one of the two has no weights in `weights_dir`, or others than it takes.
    """
    joined = Soundalike().eval()
    for part, name in ((joined.timbre, timbre.SPEC.name), (joined.tagging, TAGGER.name)):
        network: Any = part.network
        load_into(network, read_checkpoint(weights_dir / f"{name}.safetensors"))
        heard, _ = parted(load_features(corpus.directory, corpus.all, network), corpus)
        length = 1 + SOUNDALIKE.window_length // network.hop_length
        both_halves = halves(partial(embedding_of, network.encode, torch.device("cpu")), heard, window_length=length)
        if both_halves is not None:
            tracks = torch.cat(both_halves)
            mean, scale = tracks.mean(dim=0), tracks.std(dim=0).clamp(min=_MIN_DEVIATION)
            load_into(part, {**part.state_dict(), "mean": mean, "scale": scale})
    return save(SOUNDALIKE, joined.state_dict(), corpus, None, SOUNDALIKE.weights_in(out))


def join_ear(corpus: Split, out: Path, *, seed: int, weights_dir: Path) -> Path:
    """What is ours of `ear`: its map of statistics, MusiCNN's offset, and tags as both of MusiCNN's models give them.

    Raises
    ------
    MissingWeightsError
        If MusiCNN has not been fetched, or its other model.
    CorpusError, TrainingError
        If the corpus is damaged, or no track is as long as two windows.
    """
    network = with_musicnn(weights_dir)
    heard = load_features(corpus.directory, corpus.training, network.timbre)
    discriminate(network.timbre, heard, 1 + ear.WINDOW_LENGTH // network.timbre.hop_length, seed)
    msd, mtt = (load_encoder(teacher, weights_dir=weights_dir, device="cpu") for teacher in TEACHERS)
    labels = label(corpus.directory, corpus.training, msd, mtt)
    kinds = kinds_of(network, corpus.directory, corpus.training, labels)
    load_into(network, {**network.state_dict(), "offset": offset_of(kinds, network.musicnn)})
    fit_tags(network.tags, kinds, labels)
    return save(ear.SPEC, ear.own(network.state_dict()), corpus, None, out / ear.OWN)


def with_musicnn(weights_dir: Path) -> ear.Ear:
    """An `ear` that has MusiCNN's weights, and nothing of its own yet.

    Raises
    ------
    MissingWeightsError
        If MusiCNN has not been fetched.
    """
    network = ear.Ear().eval()
    load_into(network.musicnn, load_network(musicnn.SPEC, weights_dir)[0].state_dict())
    return network


def kinds_of(network: ear.Ear, directory: Path, tracks: Sequence[CorpusTrack], labels: PseudoLabels) -> Tensor:
    """MusiCNN's embedding of the window about every labelled stretch of these tracks: float32 [n, 200].

    Raises
    ------
    CorpusError
        If a prepared file is missing or damaged; it is named.
    """
    found = []
    for row, track in enumerate(tracks):
        waveform = torch.from_numpy(decoded(directory, track, sample_rate=ear.SAMPLE_RATE))
        waveform = F.pad(waveform, (0, max(0, ear.WINDOW_LENGTH - len(waveform))))
        starts = (torch.from_numpy(labels.offsets_s[labels.tracks == row]) * ear.SAMPLE_RATE).long()
        starts = starts.clamp(max=len(waveform) - ear.WINDOW_LENGTH)
        windows = torch.stack([waveform[start : start + ear.WINDOW_LENGTH] for start in starts])
        with torch.inference_mode():
            found += [network.kind(some) for some in torch.split(windows, _WINDOWS_TOGETHER)]
    return torch.cat(found).clone()


def fit_tags(layer: nn.Linear, kinds: Tensor, labels: PseudoLabels) -> None:
    """Logistic regression on soft labels, calibrated so that 0.5 is the threshold of a tag that is given.

    The labels' MSD part is itself linear in these embeddings; what is learnt is to name what only the other model can.
    """
    wanted = torch.from_numpy(labels.scores)
    mean, deviation = kinds.mean(dim=0), kinds.std(dim=0).clamp(min=_MIN_DEVIATION)
    standardised = (kinds - mean) / deviation
    fitted = nn.Linear(layer.in_features, layer.out_features)
    with torch.no_grad():
        fitted.weight.zero_()
        fitted.bias.copy_(wanted.mean(dim=0).clamp(1e-4, 1 - 1e-4).logit())
    optimizer = torch.optim.LBFGS(fitted.parameters(), max_iter=_TAG_STEPS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimizer.zero_grad()
        error = F.binary_cross_entropy_with_logits(fitted(standardised), wanted, reduction="none").mean(dim=0).sum()
        penalised: Tensor = error + _TAG_DECAY * fitted.weight.square().sum()
        penalised.backward()  # type: ignore[no-untyped-call]
        return penalised

    optimizer.step(loss)  # type: ignore[no-untyped-call]
    with torch.no_grad():
        scale, shift = platt(fitted(standardised), wanted >= torch.from_numpy(thresholds(labels.scores)))
        weight = scale[:, None] * fitted.weight / deviation
        layer.weight.copy_(weight)
        layer.bias.copy_(scale * fitted.bias + shift - weight @ mean)
