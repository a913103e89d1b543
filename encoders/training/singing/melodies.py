"""Melodies to sing: the sung line of POP909's songs as notes with lengths in seconds.

``melody.txt`` of the human labels (Dai et al.) has a line a note: MIDI number (0: rest) and length in sixteenths;
``tempo.txt`` has the beats a minute.

Wang et al., "POP909: A pop-song dataset for music arrangement generation", ISMIR 2020.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from encoders.training.corpus import CorpusError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy as np

TRAINING_SONGS = range(1, 701)
JUDGING_SONGS = range(701, 801)
"""Songs that nothing is trained on."""
_BREATH_S = 0.2  # a shorter rest is how the player lifted the finger
_LOWEST, _HIGHEST = 21, 108


@dataclass(frozen=True)
class Note:
    """One note: MIDI number, its length and that of the rest after it in seconds."""

    pitch: float
    duration_s: float
    rest_s: float = 0.0


def read_melody(song: Path) -> list[Note]:
    """Notes of the sung line of a song of POP909, given as its folder.

    Raises
    ------
    CorpusError
        If ``melody.txt`` or ``tempo.txt`` is missing or holds something else; it is named.
    """
    tempo = _numbers(song / "tempo.txt", columns=1)[0][0]
    if tempo <= 0:
        raise CorpusError(f"{song / 'tempo.txt'}: not a tempo in beats a minute")
    sixteenth_s = 15 / tempo
    notes: list[Note] = []
    for pitch, length in _numbers(song / "melody.txt", columns=2):
        duration_s = length * sixteenth_s
        if pitch:
            if not _LOWEST <= pitch <= _HIGHEST:
                raise CorpusError(f"{song / 'melody.txt'}: {pitch:g} is no note (accepted: 0, {_LOWEST} to {_HIGHEST})")
            notes.append(Note(pitch, duration_s))
        elif notes:
            notes[-1] = replace(notes[-1], rest_s=notes[-1].rest_s + duration_s)
    if not notes:
        raise CorpusError(f"{song / 'melody.txt'}: no notes in it")
    return [_held(note) if note.rest_s < _BREATH_S else note for note in notes]


def from_a_phrase(notes: Sequence[Note], rng: np.random.Generator) -> list[Note]:
    """The same notes, beginning with one that follows a rest, and going on with those before it."""
    begins = [0, *(index + 1 for index, note in enumerate(notes[:-1]) if note.rest_s)]
    first = begins[int(rng.integers(len(begins)))]
    return [*notes[first:], *notes[:first]]


def at_pace(notes: Sequence[Note], note_s: float) -> list[Note]:
    """The same notes at another tempo: from one to the next `note_s` in the mean, but changed threefold at most."""
    factor = note_s * len(notes) / sum(note.duration_s + note.rest_s for note in notes)
    factor = min(max(factor, 1 / 3), 3.0)
    return [replace(note, duration_s=factor * note.duration_s, rest_s=factor * note.rest_s) for note in notes]


def _held(note: Note) -> Note:
    return replace(note, duration_s=note.duration_s + note.rest_s, rest_s=0.0)


def _numbers(path: Path, *, columns: int) -> list[tuple[float, ...]]:
    try:
        rows = [tuple(map(float, line.split())) for line in path.read_text(encoding="utf-8").splitlines() if line]
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise CorpusError(f"{path}: {columns} numbers a line are accepted") from error
    if not rows or any(len(row) != columns for row in rows):
        raise CorpusError(f"{path}: {columns} numbers a line are accepted")
    return rows
