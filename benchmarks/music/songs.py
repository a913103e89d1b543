"""Annotated songs: a folder each, with its audio and `truth.json`. Whatever an annotation does not know is left out.

{"beats": [[time_s, position], …],        position in the bar from 1, null where bars are not known
 "tempo": 128.0,                          where beats do not tell it, or are not known
 "key": "A minor",
 "sections": [[start_s, end_s, label], …],   or with the letter of its group as a fourth
 "melody": {"step_s": 0.01, "midi": [69.0, null, …]},
 "sure": "exact" | "good" | "labelled", "source": "…"}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

AUDIO = ("audio.flac", "audio.ogg", "audio.opus", "audio.wav")
TRUTH = "truth.json"
SURE = ("exact", "good", "labelled")
"""How sure a truth is: made together with the audio; by its author, or aligned to it; a label that somebody gave."""


class TruthError(Exception):
    """A song's annotation cannot be used; says where and why."""


@dataclass(frozen=True)
class Part:
    """A section of a song: its function, and the letter of those that sound alike, where one is given."""

    start_s: float
    end_s: float
    label: str | None
    group: str | None = None


@dataclass(frozen=True, eq=False)
class Contour:
    """A melody at equal steps.

    Attributes
    ----------
    midi : float64 [steps], NaN where there is none
    unvoiced : float64 [steps], what would be if there were one, NaN where there is or nothing is said; or none
    """

    step_s: float
    midi: NDArray[np.float64]
    unvoiced: NDArray[np.float64] | None = None

    @classmethod
    def of(cls, step_s: float, midi: NDArray[np.float64], voiced: NDArray[np.bool_]) -> Contour:
        """Of a pitch at every step, float64 [steps] or NaN, and where it is one."""
        return cls(step_s, np.where(voiced, midi, np.nan), np.where(voiced, np.nan, midi))


@dataclass(frozen=True, eq=False)
class Music:
    """What is known, or found, of a song; none of what is not.

    Attributes
    ----------
    beats_s : float64 [n], ascending
    downbeats_s : float64 [m], ascending
    tempo_bpm : beats a minute
    key : such as ``Db major``
    """

    beats_s: NDArray[np.float64] | None = None
    downbeats_s: NDArray[np.float64] | None = None
    tempo_bpm: float | None = None
    key: str | None = None
    parts: tuple[Part, ...] | None = None
    melody: Contour | None = None


@dataclass(frozen=True, eq=False)
class Song:
    """An annotated song."""

    name: str
    audio: Path
    truth: Music
    sure: str


def read_songs(folder: Path, *, between: tuple[str, str] | None = None) -> list[Song]:
    """All songs below a folder, in order of their paths.

    Parameters
    ----------
    between : the first and the last name of a song's own folder to take

    Raises
    ------
    TruthError
        If there is none, or one cannot be read.
    """
    songs = [
        read_song(path.parent)
        for path in sorted(folder.rglob(TRUTH))
        if between is None or between[0] <= path.parent.name <= between[1]
    ]
    if not songs:
        raise TruthError(
            f"{folder}: no folder with {TRUTH} in it" + (f", {between[0]} to {between[1]}" if between else "")
        )
    return songs


def read_song(folder: Path) -> Song:
    """One song.

    Raises
    ------
    TruthError
        If its audio is missing, or its truth is not as the module says.
    """
    audio = next((folder / name for name in AUDIO if (folder / name).is_file()), None)
    if audio is None:
        raise TruthError(f"{folder}: none of {', '.join(AUDIO)}")
    try:
        content = json.loads((folder / TRUTH).read_text())
        return Song(f"{folder.parent.name}/{folder.name}", audio, music(content), content.get("sure", "exact"))
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise TruthError(f"{folder / TRUTH}: {type(error).__name__}: {error}") from error


def music(content: dict[str, Any]) -> Music:
    """Truth from its JSON."""
    beats = content.get("beats") or None
    times = None if beats is None else _ascending(beat[0] for beat in beats)
    downbeats = None
    if beats is not None and all(position is not None for _, position in beats):
        downbeats = _ascending(time for time, position in beats if position == 1)
    tempo = content.get("tempo")
    if tempo is None and times is not None and len(times) > 1:
        tempo = 60 / float(np.median(np.diff(times)))
    melody = content.get("melody") or None
    return Music(
        beats_s=times,
        downbeats_s=downbeats,
        tempo_bpm=tempo,
        key=content.get("key") or None,
        parts=tuple(Part(*part) for part in content.get("sections") or ()) or None,
        melody=None if melody is None else Contour(float(melody["step_s"]), np.array(melody["midi"], dtype=float)),
    )


def write_truth(folder: Path, *, sure: str, source: str, **truth: object) -> None:
    """Write a song's annotation, with what is none left out."""
    if sure not in SURE:
        raise ValueError(f"sure is one of {', '.join(SURE)}, not {sure!r}")
    known = {key: value for key, value in truth.items() if value is not None}
    (folder / TRUTH).write_text(json.dumps({**known, "sure": sure, "source": source}))


def counted(beats_s: Sequence[float], positions: Sequence[int | None]) -> list[tuple[float, int | None]]:
    """Beats as truth has them, rounded to a tenth of a millisecond."""
    return [(round(float(time), 4), position) for time, position in zip(beats_s, positions, strict=True)]


def _ascending(times: Any) -> NDArray[np.float64]:
    found = np.array(list(times), dtype=float)
    if len(found) > 1 and not (np.diff(found) > 0).all():
        raise ValueError(f"beats do not ascend at {found[1:][np.diff(found) <= 0][0]} s")
    return found
