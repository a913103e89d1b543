"""The recipes of `rhythm` and `key`: recorded songs, and for the first music that a teacher heard → weights.

    <out>                            the weights
    <out, without its suffix>/       what a training goes on from: a checkpoint and its losses

Songs 1 to 650 are learnt from, 651 to 700 give the figure that choices are made by.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch

from encoders.analysis.findings import MODES, TONICS
from encoders.analysis.rhythm.bars import most_likely_bars
from encoders.analysis.rhythm.tracker import beat_activations, rhythm_of
from encoders.models.music.key import averaged
from encoders.models.music.rhythm import FRAME_RATE
from encoders.models.music.spectra import Spectra
from encoders.training.songs.corpus import CHOSEN_BY, LEARNT_FROM, HeardSong, read_songs, read_taught
from encoders.training.songs.key import KeyExample, KeySettings, KeyTraining
from encoders.training.songs.rhythm import BeatExample, RhythmSettings, RhythmTraining, example
from encoders.training.split import Origin, save_halved

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from encoders.models.music.key import KeyNet
    from encoders.models.music.rhythm import RhythmNet
    from encoders.training.loop import OnStep, Schedule

TAUGHT_WEIGHT, TAUGHT_DOWNBEAT_WEIGHT = 0.8, 0.4
"""How much a beat counts that a teacher tells, and a downbeat, which it tells less well."""
_TOLD_SURELY, _FEWEST = 0.55, 30
_TOLERANCE_S = 0.07


@dataclass(frozen=True)
class SongReport:
    """Where the weights are, and their figure on the songs that choices are made by."""

    weights: Path
    measure: str
    figure: float


def train_rhythm(
    songs: Path, out: Path, settings: RhythmSettings, *, taught: Path | None = None, on_step: OnStep
) -> SongReport:
    """Train `rhythm` on recorded songs and, where there is some, on music of which a teacher tells the beats.

    Raises
    ------
    CorpusError, TrainingError
        If songs are missing or damaged, or beside `out` lies another training.
    """
    learnt = list(read_songs(songs, LEARNT_FROM))
    music = [] if taught is None else [one for one in map(_taught, read_taught(taught)) if one is not None]
    training = RhythmTraining(
        settings, _beside(out), songs=[_beats_of(song) for song in learnt], music=music, device=torch.device("cpu")
    )
    training.resume()
    training.run(on_step=on_step)
    network = training.network.eval()
    save_halved(out, network.state_dict(), _origin("rhythm", settings, learnt))
    scores = [_beat_f(song, network) for song in read_songs(songs, CHOSEN_BY)]
    return SongReport(out, "F of beats", float(np.mean(scores)))


def train_key(songs: Path, out: Path, settings: KeySettings, *, on_step: OnStep) -> SongReport:
    """Train `key` on recorded songs that stay in theirs.

    Raises
    ------
    CorpusError, TrainingError
        As for :func:`train_rhythm`.
    """
    learnt = [song for song in read_songs(songs, LEARNT_FROM) if len(song.truth["keys"]) == 1]
    training = KeyTraining(settings, _beside(out), songs=[_key_of(song) for song in learnt], device=torch.device("cpu"))
    training.resume()
    training.run(on_step=on_step)
    network = training.network.eval()
    save_halved(out, network.state_dict(), _origin("key", settings, learnt))
    return SongReport(out, "share of keys", _share_of_keys(map(_key_of, read_songs(songs, CHOSEN_BY)), network))


def _beats_of(song: HeardSong) -> BeatExample:
    beats = np.array(song.truth["beats"], np.float64).reshape(-1, 2)
    return example(song.onset, song.pitch, beats[:, 0], beats[:, 1].astype(np.int64))


def _taught(
    heard: tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.float64]],
) -> BeatExample | None:
    """A track with the beats that are most likely by what the teacher said; none where it was not sure."""
    onset, pitch, told = heard
    bars = most_likely_bars(told[0].clip(0, 0.999), told[1], FRAME_RATE)
    near = np.lib.stride_tricks.sliding_window_view(np.pad(told[0], 2), 5).max(axis=1)[bars.frames]
    if len(near) < _FEWEST or near.mean() < _TOLD_SURELY:
        return None
    return example(
        onset, pitch, bars.frames / FRAME_RATE, bars.positions,
        weight=TAUGHT_WEIGHT, downbeat_weight=TAUGHT_DOWNBEAT_WEIGHT,
    )  # fmt: skip


def _beat_f(song: HeardSong, network: RhythmNet) -> float:
    """F of beats within 70 ms, each found by one at most."""
    spectra = Spectra(torch.from_numpy(song.onset).float(), torch.from_numpy(song.pitch).float())
    found = rhythm_of(beat_activations(network, spectra, torch.device("cpu"))).beats_s
    true = np.array(song.truth["beats"], np.float64).reshape(-1, 2)[:, 0]
    hits, last = 0, -1
    for time_s in true:
        near = np.flatnonzero(np.abs(found - time_s) <= _TOLERANCE_S)
        if len(near) and near[-1] > last:
            hits, last = hits + 1, max(last + 1, int(near[0]))
    return 2 * hits / max(1, len(found) + len(true))


def _key_of(song: HeardSong) -> KeyExample:
    tonic, mode = song.truth["key"].split()
    pitch = averaged(torch.from_numpy(song.pitch).float()).numpy().astype(np.float16)
    return KeyExample(pitch, TONICS.index(tonic) + len(TONICS) * MODES.index(mode))


def _share_of_keys(songs: Iterable[KeyExample], network: KeyNet) -> float:
    with torch.inference_mode():
        right = [int(network(torch.from_numpy(one.pitch).float()[None])[0].argmax()) == one.key for one in songs]
    return float(np.mean(right))


def _origin(encoder: str, settings: Schedule, songs: Iterable[HeardSong]) -> Origin:
    digest = hashlib.sha256()
    for song in songs:
        digest.update(song.name.encode() + song.onset.tobytes()[:4096])
    return Origin(encoder, asdict(settings), (f"{CHOSEN_BY[0]}-800",), digest.hexdigest())


def _beside(out: Path) -> Path:
    return out.with_suffix("")
