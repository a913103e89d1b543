"""Songs of POP909 as scores: notes, chords, key, bars and sections, all counted in beats.

Each song's folder holds ``NNN.mid`` (tracks MELODY, BRIDGE and PIANO), ``beat_midi.txt``, ``chord_midi.txt`` and
``key_audio.txt``; where its bar lines could be aligned, ``pop909_structure_seconds.json`` has its sections.

Wang et al., "POP909: A pop-song dataset for music arrangement generation", ISMIR 2020; sections: Dai, Zhang &
Dannenberg, "Automatic analysis and influence of hierarchical structure on melody, rhythm and harmony in popular
music", 2020. Of their letters ``i`` is an intro, ``o`` an outro, capitals have a melody, and ``x`` stands for what
recurs nowhere.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from encoders.training.corpus import CorpusError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

VOICES = ("MELODY", "BRIDGE", "PIANO")
BAR = 4
"""Beats of a bar, of all songs but for the changes that :mod:`encoders.training.songs.playing.band` makes."""
_PITCH_CLASSES = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_CHORDS = {
    "maj": (0, 4, 7),
    "min": (0, 3, 7),
    "dim": (0, 3, 6),
    "aug": (0, 4, 8),
    "sus2": (0, 2, 7),
    "sus4": (0, 5, 7),
}


@dataclass(frozen=True, eq=False)
class Score:
    """One song.

    Attributes
    ----------
    name : of its folder
    beat_s : how long a beat is as played, typically
    n_beats : the song ends with this beat
    voices : of each of `VOICES`, float64 [notes, 4]: beat of the start, of the end, MIDI number, velocity
    chords : (beat of the start, of the end, root 0 … 11, intervals above it)
    keys : (beat from which on, tonic 0 … 11, mode)
    bars : int64, beats on which bars begin
    sections : (first beat, beat of the end, letter), where they are known
    """

    name: str
    beat_s: float
    n_beats: int
    voices: Mapping[str, NDArray[np.float64]]
    chords: Sequence[tuple[float, float, int, tuple[int, ...]]]
    keys: Sequence[tuple[float, int, str]]
    bars: NDArray[np.int64]
    sections: Sequence[tuple[int, int, str]]

    @cached_property
    def functions(self) -> list[str]:
        """What each section is for: see :func:`functions_of`."""
        return functions_of([letter for _, _, letter in self.sections])


def functions_of(letters: Sequence[str]) -> list[str]:
    """Letters of a song's sections → intro, verse, chorus, bridge, inst or outro.

    POP909 tells what recurs, not what for. The chorus is the letter with a melody that is heard most, of two alike the
    later in the alphabet; ``A`` is one only where there is no other. What stands before it in the alphabet are verses,
    the others and ``X`` bridges; what has no melody is instrumental.
    """
    sung = Counter(letter for letter in letters if letter.isupper() and letter != "X")
    candidates = sung.keys() - {"A"} or sung.keys()
    chorus = max(candidates, key=lambda letter: (sung[letter], letter), default="")

    def function(letter: str) -> str:
        if letter in "io":
            return "intro" if letter == "i" else "outro"
        if letter.islower():
            return "inst"
        if letter == chorus:
            return "chorus"
        return "verse" if letter < chorus and letter != "X" else "bridge"

    return [function(letter) for letter in letters]


def read_structure(path: Path) -> dict[str, list[tuple[float, float, str]]]:
    """Sections in seconds, as (start, end, letter), of the songs that have them, by the song's name.

    Raises
    ------
    CorpusError
        If the file cannot be read; it is named.
    """
    try:
        songs = json.loads(path.read_text(encoding="utf-8"))
        return {name: [(s, e, letter[:1]) for s, e, letter in song["label2"]] for name, song in songs.items()}
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}") from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise CorpusError(f"{path}: not the structure of POP909's songs in seconds ({error})") from error


def read_score(song: Path, sections_s: Sequence[tuple[float, float, str]] = ()) -> Score:
    """The score of a song, given as its folder.

    Raises
    ------
    CorpusError
        If one of its files is missing or holds something else; it is named.
    """
    beats_s, marked = _beats(song / "beat_midi.txt")
    chords = [
        (*_at(beats_s, float(start), float(end)), *parsed)
        for start, end, label in _rows(song / "chord_midi.txt")
        if (parsed := parse_chord(label)) is not None
    ]
    sections = [
        (max(0, round(start)), min(round(end), len(beats_s)), letter)
        for (start, end), letter in ((_at(beats_s, start, end), letter) for start, end, letter in sections_s)
        if max(0, round(start)) < min(round(end), len(beats_s))
    ]
    keys = [
        (float(_at(beats_s, float(start))[0]), *parse_key(label)) for start, _, label in _rows(song / "key_audio.txt")
    ]
    return Score(
        name=song.name,
        beat_s=float(np.median(np.diff(beats_s))),
        n_beats=len(beats_s),
        voices=_voices(song / f"{song.name}.mid", beats_s),
        chords=chords,
        keys=keys,
        bars=_bars(len(beats_s), marked, [start for start, *_ in chords], sections),
        sections=sections,
    )


def parse_chord(label: str) -> tuple[int, tuple[int, ...]] | None:
    """A chord in Harte's syntax → its root and the intervals above it, none for ``N``. Ninths are left out."""
    root, _, quality = label.partition(":")
    if root[:1] not in _PITCH_CLASSES:
        return None
    quality = quality.partition("/")[0]
    seventh = {"maj7": (11,), "min7": (10,), "7": (10,)}.get(quality, ())
    triad = next((notes for name, notes in _CHORDS.items() if quality.startswith(name)), _CHORDS["maj"])
    return _pitch_class(root), (*triad, *seventh)


def parse_key(label: str) -> tuple[int, str]:
    """A key like ``Gb:maj`` → tonic 0 … 11 and mode."""
    tonic, _, mode = label.partition(":")
    return _pitch_class(tonic), "minor" if mode.startswith("min") else "major"


def _pitch_class(name: str) -> int:
    return (_PITCH_CLASSES[name[0]] + name.count("#") - name[1:].count("b")) % 12


def _beats(path: Path) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Times of the beats, and the beats that are marked as the first of a bar."""
    rows = np.array([[float(value) for value in row] for row in _rows(path)])
    if len(rows) < 2 * BAR or (np.diff(rows[:, 0]) <= 0).any():
        raise CorpusError(f"{path}: ascending beats are accepted, two bars of them at least")
    return rows[:, 0], np.flatnonzero(rows[:, 2] == 1)


def _at(beats_s: NDArray[np.float64], *times_s: float) -> NDArray[np.float64]:
    """Seconds → beats, going on at the first and the last tempo outside."""
    numbers = np.arange(len(beats_s))
    times = np.asarray(times_s, np.float64)
    inside = np.interp(times, beats_s, numbers)
    before = (times - beats_s[0]) / (beats_s[1] - beats_s[0])
    after = len(beats_s) - 1 + (times - beats_s[-1]) / (beats_s[-1] - beats_s[-2])
    result: NDArray[np.float64] = np.where(times < beats_s[0], before, np.where(times > beats_s[-1], after, inside))
    return result


def _bars(
    n_beats: int, marked: NDArray[np.int64], chords: Sequence[float], sections: Sequence[tuple[int, int, str]]
) -> NDArray[np.int64]:
    """Where bars begin: with every section, else where most chords do; the beats' own marks are often off by half."""
    if sections:
        begins = sorted({start for start, _, _ in sections} | {sections[-1][1]})
        first = begins[0] % BAR
        edges = [first, *begins[(1 if begins[0] == first else 0) :], n_beats]
        bars = [beat for start, end in itertools.pairwise(edges) for beat in range(start, end, BAR)]
        return np.array(sorted(beat for beat in set(bars) if beat < n_beats), np.int64)
    phases = np.bincount(np.rint(chords).astype(np.int64) % BAR, minlength=BAR) + 0.5 * np.bincount(
        marked % BAR, minlength=BAR
    )
    return np.arange(int(phases.argmax()), n_beats, BAR)


def _voices(path: Path, beats_s: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    import mido

    try:
        song = mido.MidiFile(path)
        tempo = next(m.tempo for track in song.tracks for m in track if m.type == "set_tempo")
    except (OSError, EOFError, ValueError, LookupError, StopIteration) as error:
        raise CorpusError(
            f"{path}: not a readable MIDI file of POP909 ({str(error) or type(error).__name__})"
        ) from error
    second = mido.second2tick(1, song.ticks_per_beat, tempo)
    voices = {}
    for track in song.tracks:
        notes, sounding, now = [], {}, 0
        for message in track:
            now += message.time
            if message.type == "note_on" and message.velocity:
                sounding[message.note] = (now, message.velocity)
            elif message.type in ("note_on", "note_off") and message.note in sounding:
                begun, velocity = sounding.pop(message.note)
                notes.append((begun / second, now / second, message.note, velocity))
        rows = np.array(notes, np.float64).reshape(-1, 4)
        rows[:, 0], rows[:, 1] = _at(beats_s, *rows[:, 0]), _at(beats_s, *rows[:, 1])
        if track.name in VOICES:
            voices[track.name] = rows[np.argsort(rows[:, 0], kind="stable")]
    if missing := set(VOICES) - voices.keys():
        raise CorpusError(f"{path}: has no track {sorted(missing)[0]}")
    return voices


def _rows(path: Path) -> list[list[str]]:
    try:
        rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except OSError as error:
        raise CorpusError(f"{path}: {error.strerror}") from error
    if not rows or any(len(row) != 3 for row in rows):
        raise CorpusError(f"{path}: three columns a line are accepted")
    return rows
