"""The recipe of `melody`: recorded songs and scores → weights.

    <out>                            the weights
    <out, without its suffix>/       what a training goes on from: a checkpoint

Songs are learnt from up to one number and judge from there to another: POP909's are in no order.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from encoders.models.music.spectra import PITCH_RATE, Listener
from encoders.training.songs.corpus import LEARNT_FROM, read_songs
from encoders.training.songs.humming import TAUGHT, hummed
from encoders.training.songs.melody import MelodySettings, MelodyTraining, Sung, melody_of
from encoders.training.songs.playing.score import read_score
from encoders.training.split import Origin, save_halved

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from encoders.training.loop import OnStep
    from encoders.training.songs.playing.score import Score

_ALONE_S = 15.0
_FEWEST_NOTES = 4


@dataclass(frozen=True)
class MelodyTask:
    """What a training of melodies is given beside its schedule.

    Attributes
    ----------
    songs : folders with ``audio.flac`` and ``truth.json``, by number
    scores : POP909's folders, whose melodies are hummed alone
    alone : how many voices alone
    """

    songs: Path
    scores: Path
    alone: int
    on_heard: Callable[[int, int], None]
    on_step: OnStep


def train_melody(task: MelodyTask, out: Path, settings: MelodySettings) -> Path:
    """Train the network and write its weights; goes on where it was stopped.

    Raises
    ------
    CorpusError
        If there is no recorded song, or one cannot be read.
    TrainingError
    """
    directory, listener = out.with_suffix(""), Listener()
    songs, digest = [], hashlib.sha256()
    for heard in read_songs(task.songs, LEARNT_FROM):
        songs.append(Sung(heard.pitch, melody_of(heard.truth["melody"], heard.pitch.shape[1])))
        digest.update(json.dumps(heard.truth["melody"]).encode())
        task.on_heard(int(heard.name), LEARNT_FROM[-1])
    alone = voices_alone(task.scores, task.alone, listener, settings.seed)
    training = MelodyTraining(songs, alone, settings, directory)
    training.resume()
    training.run(on_step=task.on_step)
    origin = Origin("melody", asdict(settings), [f"songs above {LEARNT_FROM[-1]}"], digest.hexdigest())
    save_halved(out, training.model.state_dict(), origin)
    return out


def voices_alone(scores: Path, count: int, listener: Listener, seed: int) -> list[Sung]:
    """Melodies of the songs that are learnt from, hummed, sung and whistled without a band."""
    folders = sorted(path for path in scores.glob("[0-9]*") if path.name.isdecimal() and int(path.name) in LEARNT_FROM)
    alone: list[Sung] = []
    for number in range(count if folders else 0):
        rng = np.random.default_rng([seed, number])
        notes_s = phrase(read_score(folders[int(rng.integers(len(folders)))]), _ALONE_S, rng)
        if len(notes_s) < _FEWEST_NOTES:
            continue
        waveform, sung = hummed(notes_s, TAUGHT, rng)
        spectrogram = listener(waveform).pitch.numpy().astype(np.float16)
        at = np.minimum(np.arange(spectrogram.shape[1]) * (100 // PITCH_RATE), len(sung) - 1)
        alone.append(Sung(spectrogram, sung[at].astype(np.float32)))
    return alone


def phrase(score: Score, longest_s: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Some notes of a song's melody in another key and at another tempo, one at a time: float64 [notes, 4], seconds."""
    notes = score.voices["MELODY"]
    notes = notes[int(rng.integers(0, max(1, len(notes) - 20))) :].copy()
    if not len(notes):
        return notes
    notes[:, :2] = (notes[:, :2] - notes[0, 0]) * score.beat_s * rng.uniform(0.7, 1.4) + rng.uniform(0.1, 1)
    notes[:-1, 1] = np.minimum(notes[:-1, 1], notes[1:, 0])
    notes[:, 2] += rng.integers(-12, 13) + rng.uniform(-0.5, 0.5)
    return notes[(notes[:, 1] < longest_s) & (notes[:, 1] - notes[:, 0] > 0.05)]
