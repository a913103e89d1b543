"""The recipe of `structure`: recorded songs, and music that nobody annotated → its weights.

    <out>                            the weights
    <out, without its suffix>/       what a training goes on from: songs/, and music/ for what comes after it

The network learns from songs whose sections are known; then it tells what it supposes of other music, and goes on
learning from both (:mod:`encoders.training.songs.supposed`).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from encoders.acceleration import keep_freed_memory
from encoders.analysis.form.analyser import curves_of
from encoders.analysis.rhythm.tracker import rhythm_of
from encoders.models.music.structure import SPEC, features_of
from encoders.training.corpus import CorpusError
from encoders.training.songs.corpus import CHOSEN_BY, LEARNT_FROM, read_songs, read_taught
from encoders.training.songs.form import FormSettings, FormTraining
from encoders.training.songs.forms import UNKNOWN, Song, example, song_of
from encoders.training.songs.supposed import supposed
from encoders.training.split import Origin, save_halved

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from encoders.training.loop import OnStep

_FURTHER_RATE = 0.25
"""Of the first training's learning rate, in the one with music."""


@dataclass(frozen=True)
class FormSources:
    """Recorded songs, and music that a teacher has heard the beats of, if any; see the module of corpora."""

    songs: Path
    music: Path | None = None


def train_form(
    sources: FormSources, out: Path, settings: FormSettings, *, further: int = 0, on_step: OnStep
) -> dict[str, float]:
    """Train `structure`; goes on where it was stopped.

    Parameters
    ----------
    further : steps with music beside the songs, after the others; none without music

    Returns
    -------
    How many songs and how much music it learnt from, and the share of the time of the songs that choices are made by
    in which the likeliest function is right, before there are any sections.

    Raises
    ------
    CorpusError
        If no song has sections, or one is damaged; it is named.
    TrainingError
        If what is to be gone on from is of another training.
    """
    keep_freed_memory()
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    songs, judging = _songs(sources.songs, LEARNT_FROM), _songs(sources.songs, CHOSEN_BY)
    folder = out.with_suffix("")
    training = FormTraining(songs, settings, folder / "songs", device=device)
    training.resume()
    training.run(on_step=on_step)
    music: list[Song] = []
    if sources.music is not None and further:
        music = _supposed(sources.music, training.model)
        more = replace(settings, steps=further, learning_rate=_FURTHER_RATE * settings.learning_rate)
        first = training.model.state_dict()
        training = FormTraining([*songs, *music], more, folder / "music", device=device)
        if not training.resume():
            training.model.load_state_dict(first)
        training.run(on_step=on_step)
    origin = Origin(SPEC.name, asdict(settings) | {"further": further}, ["pop909: 651-800"], _digest([*songs, *music]))
    save_halved(out, training.model.state_dict(), origin)
    return {"songs": len(songs), "music": len(music), "function": _right(training.model, judging)}


def _songs(folder: Path, numbers: range) -> list[Song]:
    found = [
        song_of(heard.name, heard.truth.get("phrases", ()), _features(heard.onset, heard.pitch))
        for heard in read_songs(folder, numbers)
    ]
    songs = [song for song in found if song is not None]
    if not songs:
        raise CorpusError(f"{folder}: of no song from {numbers[0]} to {numbers[-1]} the sections are known")
    return songs


def _features(onset: NDArray[np.float16], pitch: NDArray[np.float16]) -> NDArray[np.float16]:
    features = features_of(torch.from_numpy(onset).float(), torch.from_numpy(pitch).float())
    return features.numpy().astype(np.float16)


def _supposed(folder: Path, network: torch.nn.Module) -> list[Song]:
    """What the network supposes of music."""
    network.eval()
    found = []
    for number, (onset, pitch, activations) in enumerate(read_taught(folder)):
        features = _features(onset, pitch)
        curves = curves_of(network, torch.from_numpy(features).float())
        found.append(supposed(f"music {number}", features, curves, rhythm_of(activations)))
    network.train()
    return [song for song in found if song is not None]


def _right(network: torch.nn.Module, songs: Sequence[Song]) -> float:
    network.eval()
    shares = []
    with torch.inference_mode():
        for song in songs:
            true = example(song, np.random.default_rng(0), changed=False)
            logits, _ = network(true.features[None].to(next(network.parameters()).device))
            known = true.functions != UNKNOWN
            shares.append(float((logits[0, :, 2:].argmax(dim=1).cpu() == true.functions)[known].float().mean()))
    return float(np.mean(shares))


def _digest(songs: Sequence[Song]) -> str:
    """Of all that was learnt from."""
    digest = hashlib.sha256()
    for song in songs:
        digest.update(json.dumps([song.name, list(song.phrases), song.functions, list(song.doubtful)]).encode())
        digest.update(song.features.tobytes())
    return digest.hexdigest()
