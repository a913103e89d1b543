"""A band for a song, put together by chance: who plays what, in which key, at which tempo and in which metre.

Everything is counted in beats until :class:`Performance` says when each beat falls. Metres other than 4/4 are made by
leaving out the last beats of every bar, or by playing them twice.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from encoders.training.songs.playing.drums import KITS, Groove, groove
from encoders.training.songs.playing.score import BAR, Score

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

LEADS = (
    0,
    4,
    5,
    11,
    21,
    22,
    24,
    25,
    26,
    40,
    41,
    42,
    52,
    53,
    54,
    56,
    57,
    59,
    60,
    64,
    65,
    66,
    68,
    71,
    72,
    73,
    75,
    78,
    79,
    80,
    81,
    82,
    85,
    87,
)
SECONDS = (0, 1, 4, 6, 11, 12, 24, 25, 26, 27, 46, 48, 61, 62, 68, 71, 73, 81, 88)
CHORDAL = (0, 0, 0, 1, 2, 4, 5, 6, 16, 18, 24, 24, 25, 25, 26, 27, 46, 48, 50)
BASSES = (32, 33, 33, 33, 34, 35, 36, 38, 38, 39, 43)
PADS = (48, 49, 50, 51, 52, 88, 89, 90, 91, 94, 95)
GUITARS = (24, 25, 26, 27, 28, 29, 30, 4, 6, 80)
_METERS, _METER_SHARES = (4, 3, 5, 6, 2), (0.86, 0.08, 0.03, 0.02, 0.01)
_TEMPO, _BOUNDS = (0.75, 1.35), (48.0, 210.0)

Note = tuple[float, float, float, float]
"""Beat of its start and of its end, MIDI number, velocity."""


@dataclass(frozen=True)
class Player:
    """Somebody's part: notes in beats, and the General MIDI program that plays it; none for drums and for a singer."""

    name: str
    program: int | None
    notes: Sequence[Note]
    volume: int = 100
    pan: int = 64


@dataclass(frozen=True, eq=False)
class Performance:
    """A song as it is played.

    Attributes
    ----------
    score : transposed, in its metre
    players : the first plays the melody
    kit : program of the drums
    beats_s : float64 [n_beats + 1], when each beat falls; the last is where the song ends
    positions : int64 [n_beats], of each beat in its bar; 1 is a downbeat
    """

    score: Score
    players: Sequence[Player]
    kit: int
    beats_s: NDArray[np.float64]
    positions: NDArray[np.int64]

    def seconds(self, beats: NDArray[np.float64]) -> NDArray[np.float64]:
        """When these beats, or what lies between them, are played."""
        return np.interp(beats, np.arange(len(self.beats_s)), self.beats_s)


def perform(score: Score, rng: np.random.Generator) -> Performance:
    """A band plays a song."""
    score = transposed(score, int(rng.integers(-5, 7)))
    score = in_metre(score, int(rng.choice(_METERS, p=_METER_SHARES)))
    bars = [*score.bars.tolist(), score.n_beats]
    positions = np.ones(score.n_beats, np.int64)
    positions[: bars[0]] = np.arange(bars[0]) + BAR + 1 - bars[0] if bars[0] <= BAR else 1
    for start, end in itertools.pairwise(bars):
        positions[start:end] = np.arange(end - start) + 1
    players, kit = _players(score, rng)
    return Performance(score, players, kit, _beats_s(score, rng), positions)


def transposed(score: Score, semitones: int) -> Score:
    """The song, so many semitones higher."""
    return replace(
        score,
        voices={name: rows + np.array([0, 0, semitones, 0]) for name, rows in score.voices.items()},
        chords=[(start, end, (root + semitones) % 12, notes) for start, end, root, notes in score.chords],
        keys=[(start, (tonic + semitones) % 12, mode) for start, tonic, mode in score.keys],
    )


def in_metre(score: Score, meter: int) -> Score:
    """The song, written in four beats a bar, in another metre: beats left out, or the last of a bar played twice."""
    if meter == BAR:
        return score
    source: list[int] = list(range(score.bars[0]))
    bars = []
    edges = [*score.bars.tolist(), score.n_beats]
    for start, end in itertools.pairwise(edges):
        bars.append(len(source))
        beats = list(range(start, end))
        source += (beats + beats[-(meter - len(beats)) :])[:meter] if end - start == BAR else beats
    places: dict[int, list[int]] = {}
    for new, old in enumerate(source):
        places.setdefault(old, []).append(new)

    def edge(beat: float) -> int:
        """Where the first beat that is kept, from this one on, is now."""
        return next((places[old][0] for old in range(round(beat), score.n_beats) if old in places), len(source))

    def moved(rows: NDArray[np.float64]) -> NDArray[np.float64]:
        kept = [
            (new + row[0] % 1, new + row[0] % 1 + min(row[1] - row[0], meter), *row[2:])
            for row in rows
            for new in places.get(int(row[0] // 1), [])
        ]
        return np.array(sorted(kept), np.float64).reshape(-1, 4)

    chords = [(float(edge(s)), float(edge(e)), root, notes) for s, e, root, notes in score.chords]
    return replace(
        score,
        n_beats=len(source),
        voices={name: moved(rows) for name, rows in score.voices.items()},
        chords=[chord for chord in chords if chord[1] > chord[0]],
        keys=[(float(edge(max(0.0, start))), tonic, mode) for start, tonic, mode in score.keys],
        bars=np.array(bars, np.int64),
        sections=[(edge(start), edge(end), letter) for start, end, letter in score.sections],
    )


def _beats_s(score: Score, rng: np.random.Generator) -> NDArray[np.float64]:
    """When each beat falls: mostly at one tempo, else wandering, changing once, or slowing down at the end."""
    tempo = np.clip(60 / score.beat_s * np.exp(rng.uniform(*np.log(_TEMPO))), *_BOUNDS)
    lengths = np.full(score.n_beats, 60 / tempo)
    kind = rng.random()
    if kind < 0.12:
        lengths *= np.exp(
            0.04
            * np.interp(
                np.arange(score.n_beats),
                np.arange(0, score.n_beats + 16, 16),
                rng.standard_normal(score.n_beats // 16 + 1 + (score.n_beats % 16 > 0)),
            )
        )
    elif kind < 0.18:
        lengths[int(score.n_beats * rng.uniform(0.3, 0.7)) :] /= rng.uniform(0.75, 1.35)
    elif kind < 0.28:
        lengths *= np.exp(0.025 * rng.standard_normal(score.n_beats))
    if rng.random() < 0.25:
        n_last = int(rng.integers(4, 13))
        lengths[-n_last:] *= np.linspace(1, rng.uniform(1.1, 1.6), n_last)[: len(lengths[-n_last:])]
    times: NDArray[np.float64] = np.cumsum([rng.uniform(0.05, 2.0), *lengths])
    return times


def _players(score: Score, rng: np.random.Generator) -> tuple[list[Player], int]:
    """Who plays: the three voices as they are written, and by chance bass, pads, a strummer and drums."""
    voices = score.voices
    shapes = _Parts(score, rng)
    swing = float(rng.uniform(0.08, 0.17)) if rng.random() < 0.12 else 0.0

    def player(name: str, programs: Sequence[int], notes: Sequence[Note], volume: tuple[int, int]) -> Player:
        octave = 12 * int(rng.choice([-1, 0, 0, 0, 0, 1])) if name == "BRIDGE" else 0
        late = [(_swung(s, swing), _swung(e, swing), p + octave, v) for s, e, p, v in notes]
        return Player(name, int(rng.choice(programs)), late, int(rng.integers(*volume)), int(rng.integers(24, 105)))

    lead = player("MELODY", LEADS, list(map(tuple, voices["MELODY"])), (90, 128))
    players = [replace(lead, program=None) if rng.random() < 0.4 else lead]
    if rng.random() < 0.85:
        players.append(player("BRIDGE", SECONDS, shapes.heard("BRIDGE", voices["BRIDGE"]), (55, 110)))
    if rng.random() < 0.9:
        players.append(player("PIANO", CHORDAL, shapes.heard("PIANO", voices["PIANO"]), (60, 115)))
    if rng.random() < 0.8:
        players.append(player("bass", BASSES, shapes.heard("bass", _bass(score, rng)), (80, 127)))
    if rng.random() < 0.4:
        players.append(player("pad", PADS, shapes.heard("pad", _pad(score, rng)), (40, 95)))
    if rng.random() < 0.4 or len(players) < 3:
        players.append(player("strummer", GUITARS, shapes.heard("strummer", _strummer(score, rng)), (45, 100)))
    if rng.random() < 0.85:
        hits = [(_swung(s, swing), _swung(s, swing) + 0.2, n, v) for s, n, v in _drums(score, shapes, rng)]
        players.append(Player("drums", None, hits, int(rng.integers(70, 120))))
    return players, int(rng.choice(KITS))


class _Parts:
    """How the song's parts differ: who is silent in which, and how loud it is. What sounds alike is played alike."""

    def __init__(self, score: Score, rng: np.random.Generator) -> None:
        self.sections = score.sections or [(0, score.n_beats, "A")]
        self.functions = score.functions if score.sections else ["verse"]
        self._rng = rng
        self._one_for_all = rng.random() < 0.25
        letters = sorted({letter for _, _, letter in self.sections})
        # Choruses are fuller, intros and outros emptier, more often than not: so they are with people.
        lean = {"chorus": 0.25, "intro": -0.2, "outro": -0.15, "bridge": 0.0, "inst": 0.05, "verse": -0.05}
        self.energies = {
            letter: float(np.clip(rng.uniform(0.15, 0.85) + lean[self.functions[self._index(letter)]], 0, 1))
            for letter in letters
        }
        if self._one_for_all:
            self.energies = dict.fromkeys(letters, float(rng.uniform(0.3, 0.9)))

    def _index(self, letter: str) -> int:
        return next(number for number, section in enumerate(self.sections) if section[2] == letter)

    def heard(self, name: str, notes: NDArray[np.float64]) -> list[Note]:
        """Of a player's notes, those in parts in which the player plays, as loud as the part is."""
        silence = 0.0 if self._one_for_all or name == "PIANO" else 0.25
        plays = {letter: self._rng.random() > silence * (1.6 - energy) for letter, energy in self.energies.items()}
        edges = np.array([start for start, _, _ in self.sections])
        where = np.clip(np.searchsorted(edges, notes[:, 0] + 0.02, side="right") - 1, 0, None)
        letters = [self.sections[index][2] for index in where]
        return [
            (s, e, p, float(np.clip(v * (0.7 + 0.5 * self.energies[letter]), 1, 127)))
            for (s, e, p, v), letter in zip(notes.tolist(), letters, strict=True)
            if plays[letter]
        ]


def _drums(score: Score, parts: _Parts, rng: np.random.Generator) -> Iterator[tuple[float, int, int]]:
    grooves: dict[str, Groove | None] = {
        letter: groove(rng, energy) if rng.random() < 0.55 + 0.6 * energy else None
        for letter, energy in parts.energies.items()
    }
    if rng.random() < 0.4:  # one pattern throughout
        one = groove(rng, float(rng.uniform(0.3, 0.9)))
        grooves = {letter: one if kept else None for letter, kept in grooves.items()}
    bars = [*score.bars.tolist(), score.n_beats]
    begins = {start for start, _, _ in parts.sections}
    for start, end in itertools.pairwise(bars):
        letter = next((letter for s, e, letter in parts.sections if s <= start < e), None)
        played = grooves[letter] if letter is not None else None
        if played is None:
            continue
        for at, note, velocity in played.bar(min(end - start, 8), rng, first=start in begins, last=end in begins):
            yield start + at, note, velocity


def _bass(score: Score, rng: np.random.Generator) -> NDArray[np.float64]:
    steps = float(rng.choice([0.5, 1, 1, 2, 4]))
    moving, octave = rng.random() < 0.4, 24 + 12 * int(rng.integers(0, 2))

    def bar(start: float, end: float, root: int, notes: tuple[int, ...]) -> Iterator[Note]:
        for number, at in enumerate(np.arange(start, end - 0.05, steps)):
            note = octave + root + (int(rng.choice(notes)) if moving and number % 2 else 0)
            yield at, min(at + 0.9 * steps, end), note + (12 if note < 28 else 0), int(rng.integers(75, 110))

    return _over_chords(score, bar)


def _pad(score: Score, rng: np.random.Generator) -> NDArray[np.float64]:
    octave = 48 + 12 * int(rng.integers(0, 2))

    def chord(start: float, end: float, root: int, notes: tuple[int, ...]) -> Iterator[Note]:
        yield from ((start, end, octave + (root + note) % 12, int(rng.integers(50, 80))) for note in notes)

    return _over_chords(score, chord)


def _strummer(score: Score, rng: np.random.Generator) -> NDArray[np.float64]:
    steps, broken, octave = (
        float(rng.choice([0.25, 0.5, 0.5, 1])),
        rng.random() < 0.4,
        48 + 12 * int(rng.integers(0, 2)),
    )
    struck = rng.random(16) < 0.75

    def strum(start: float, end: float, root: int, notes: tuple[int, ...]) -> Iterator[Note]:
        for number, at in enumerate(np.arange(start, end - 0.05, steps)):
            if not struck[number % 16]:
                continue
            sounding = (notes[number % len(notes)],) if broken else notes
            for order, note in enumerate(sounding):
                yield at + 0.01 * order, at + 0.9 * steps, octave + (root + note) % 12, int(rng.integers(55, 95))

    return _over_chords(score, strum)


def _over_chords(
    score: Score, play: Callable[[float, float, int, tuple[int, ...]], Iterator[Note]]
) -> NDArray[np.float64]:
    notes = [
        note
        for start, end, root, kinds in score.chords
        for note in play(float(round(start)), float(round(end)), root, kinds)
    ]
    return np.array(notes, np.float64).reshape(-1, 4)


def _swung(beat: float, swing: float) -> float:
    """Off-beats later: the first half of a beat is longer by this much."""
    within = beat % 1
    return (
        beat
        if not swing
        else beat
        - within
        + (within * (1 + 2 * swing) if within < 0.5 else 0.5 + swing + (within - 0.5) * (1 - 2 * swing))
    )
