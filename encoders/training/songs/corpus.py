"""Songs to learn from, and music that a teacher has heard, with their spectra, which are kept beside them.

    <songs>/NNN/audio.flac, truth.json      as :mod:`encoders.training.songs.playing.recording` writes them
    <songs>/NNN/spectra.npz                 what :mod:`encoders.models.music.spectra` hears of it, made at first use
    <taught>/*.npz                          `path` of an audio file, `activations` [frames at 50 Hz, 2] of a teacher

POP909's songs from 701 on are for the last judgement, those from 651 to 700 are what choices are made by.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.models.music.spectra import SAMPLE_RATE, Listener
from encoders.training.corpus import CorpusError
from encoders.training.songs.playing.recording import AUDIO, TRUTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

LEARNT_FROM, CHOSEN_BY = range(1, 651), range(651, 701)
_SPECTRA = "spectra.npz"
_ANY = MediaLimits(min_duration_s=0, max_duration_s=float("inf"))
_LONGEST_S = 600


@dataclass(frozen=True, eq=False)
class HeardSong:
    """A song: onsets float16 [84, 2 T] and pitches float16 [252, T], and what is true of it."""

    name: str
    onset: NDArray[np.float16]
    pitch: NDArray[np.float16]
    truth: dict[str, Any]


def read_songs(folder: Path, numbers: range) -> Iterator[HeardSong]:
    """The songs of a folder with these numbers, those that are there.

    Raises
    ------
    CorpusError
        If there is none, or one is damaged; it is named.
    """
    listener = Listener()
    found = sorted(path.parent for path in folder.glob(f"*/{TRUTH}") if path.parent.name.isdigit())
    found = [song for song in found if int(song.name) in numbers]
    if not found:
        raise CorpusError(
            f"{folder}: no song from {numbers[0]} to {numbers[-1]} (`soundalike train songs` records them)"
        )
    for song in found:
        try:
            truth = json.loads((song / TRUTH).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise CorpusError(f"{song / TRUTH}: {error}") from error
        onset, pitch = _spectra(song / AUDIO, song / _SPECTRA, listener)
        yield HeardSong(song.name, onset, pitch, truth)


def read_taught(folder: Path) -> Iterator[tuple[NDArray[np.float16], NDArray[np.float16], NDArray[np.float64]]]:
    """Onsets, pitches and a teacher's activations float64 [2, frames] (any beat, downbeat) of all music it has heard.

    Raises
    ------
    CorpusError
        If there is none, or a file is damaged; it is named.
    """
    listener = Listener()
    files = sorted(path for path in folder.glob("*.npz") if not path.name.endswith(f".{_SPECTRA}"))
    if not files:
        raise CorpusError(f"{folder}: no .npz of a teacher (`python -m benchmarks.music.beatnet` writes them)")
    for file in files:
        try:
            with np.load(file, allow_pickle=False) as stored:
                path, said = Path(str(stored["path"])), stored["activations"].astype(np.float64)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise CorpusError(f"{file}: not what a teacher said ({error})") from error
        onset, pitch = _spectra(path, file.with_suffix(f".{_SPECTRA}"), listener)
        frames = min(onset.shape[1], len(said))
        yield (
            onset[:, :frames],
            pitch[:, : frames // 2],
            np.stack([said.sum(axis=1).clip(0, 1), said[:, 1]])[:, :frames],
        )


def _spectra(audio: Path, kept: Path, listener: Listener) -> tuple[NDArray[np.float16], NDArray[np.float16]]:
    """Spectra of a file, ten minutes of it at most."""
    try:
        with np.load(kept, allow_pickle=False) as stored:
            return stored["onset"], stored["pitch"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        pass  # never made, or a run was killed while it was
    waveform = decode(audio, sample_rates=[SAMPLE_RATE], limits=_ANY).waveforms[SAMPLE_RATE]
    heard = listener(waveform[: _LONGEST_S * SAMPLE_RATE])
    onset, pitch = heard.onset.numpy().astype(np.float16), heard.pitch.numpy().astype(np.float16)
    beside = kept.with_suffix(".part")
    with beside.open("wb") as file:
        np.savez(file, onset=onset, pitch=pitch)
    beside.replace(kept)
    return onset, pitch
