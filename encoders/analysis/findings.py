"""What is found in a track: its rhythm, key, form and melody. No torch here, so that every room may hold them.

Times are in seconds from the start of the track, as decoded. Pitches are MIDI numbers, 69 = 440 Hz.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

TONICS = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
MODES = ("major", "minor")
SECTION_LABELS = ("intro", "verse", "chorus", "bridge", "inst", "outro", "silence")
COARSE, FINE = 1, 2
"""Levels of a form: its parts, and the phrases that these are made of."""


@dataclass(frozen=True, eq=False)
class Rhythm:
    """Tempo, beats and bars. What has no beat has none here: no tempo, no metre, no beats, confidence low.

    Attributes
    ----------
    tempo_bpm : beats a minute, that which most of the track keeps; none without beats
    beats_s : float64 [n], ascending
    positions : int64 [n], of each beat in its bar; 1 is a downbeat. Bars may be of different lengths
    meter : beats a bar, as most bars have it; none without beats
    confidence : 0 … 1, how surely these are the beats
    """

    tempo_bpm: float | None
    beats_s: NDArray[np.float64]
    positions: NDArray[np.int64]
    meter: int | None
    confidence: float

    @property
    def downbeats_s(self) -> NDArray[np.float64]:
        """Beats that begin a bar, float64 [m]."""
        downbeats_s: NDArray[np.float64] = self.beats_s[self.positions == 1]
        return downbeats_s


@dataclass(frozen=True)
class Key:
    """A key, one of :data:`TONICS` and of :data:`MODES`; a confidence near 0 where nothing says that it has one."""

    tonic: str
    mode: str
    confidence: float


@dataclass(frozen=True)
class Section:
    """A part of a track.

    Attributes
    ----------
    level : :data:`COARSE` or :data:`FINE`; the sections of a level follow each other without gap from 0 to the end
    label : its function, one of :data:`SECTION_LABELS`
    group : sections of one level that sound alike have one letter: ``A``, ``B``, … by first appearance
    confidence : 0 … 1, of the label
    """

    start_s: float
    end_s: float
    level: int
    label: str
    group: str
    confidence: float


@dataclass(frozen=True)
class Highlight:
    """A stretch that represents the track; the first of several is the best. Score 0 … 1."""

    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True)
class Loop:
    """A stretch that can be played over and over; how like its end is to its start, 0 … 1."""

    start_s: float
    end_s: float
    similarity: float


@dataclass(frozen=True)
class Form:
    """Sections of both levels, and what follows from them."""

    sections: tuple[Section, ...]
    highlights: tuple[Highlight, ...]
    loops: tuple[Loop, ...]

    def level(self, level: int) -> tuple[Section, ...]:
        """The sections of one level, in order."""
        return tuple(section for section in self.sections if section.level == level)


@dataclass(frozen=True, eq=False)
class Melody:
    """The leading voice, or the lead instrument, at equal steps.

    Attributes
    ----------
    step_s : from one step to the next; step n is about n · step_s
    pitches : float32 [steps], MIDI numbers with cents behind the point; NaN where there is no melody
    unvoiced : float32 [steps], the pitch that is likeliest where there is none; NaN where there is, or nothing is known
    confidence : 0 … 1, how surely what is voiced is
    """

    step_s: float
    pitches: NDArray[np.float32]
    unvoiced: NDArray[np.float32]
    confidence: float


@dataclass(frozen=True, eq=False)
class Accents:
    """What of a track meets what is seen.

    Attributes
    ----------
    rate : values a second; value ``i`` is of time ``i / rate``
    onsets : float32 [n], 0 … 1: onset strength
    loudness : float32 [n], 0 … 1, even in decibels
    """

    rate: float
    onsets: NDArray[np.float32]
    loudness: NDArray[np.float32]
