"""When everything is sung: syllables laid on notes, vowels stretched to their length, consonants left as they are.

A vowel begins where its note begins; the consonants before it come out of the note before. A syllable takes as many
notes as it needs for its consonants and a short vowel (the longest of them is sung), and sometimes two or three on
purpose, which are all sung. Singing pauses where the speaker paused, but only for breath: words between which there was
a pause are bound otherwise.
Frames are 5 ms; those of the utterance are *spoken*, those of the singing *sung*.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from encoders.training.singing.intonation import SungNote
from encoders.training.singing.world import FRAME_S

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray

    from encoders.training.singing.melodies import Note
    from encoders.training.singing.syllables import Syllable

_SHORTEST_VOWEL_S = 0.09
_LONGEST_NOTE_S = 2.5
_BREATH_S = (0.15, 1.2)
_LEAD_IN_S = 0.05
_BETWEEN_BREATHS_S = (2.0, 5.0)
_LONGEST_ONSET_S, _LONGEST_CODA_S = 0.2, 0.15
_EDGE = 0.3
"""Share of a spoken vowel at either end that passes as fast as it was spoken: there the mouth moves."""


@dataclass(frozen=True)
class Timing:
    """A time map and the notes on it.

    Knots float64 [knots] both, spoken frame by sung frame, both rising; breaths are sung frames [start, end) in which
    the utterance paused.
    """

    spoken: NDArray[np.float64]
    sung: NDArray[np.float64]
    notes: list[SungNote]
    breaths: list[tuple[int, int]]

    @property
    def frames(self) -> int:
        """Length of the singing."""
        return int(np.ceil(self.sung[-1]))

    def spoken_frames(self) -> NDArray[np.float64]:
        """Spoken frame, with a fraction, of every sung frame; float64 [frames]."""
        return np.interp(np.arange(self.frames), self.sung, self.spoken)


def lay(
    syllables: Sequence[Syllable], melody: Sequence[Note], rng: np.random.Generator, *, melismas: float = 0.12
) -> Timing:
    """Lay syllables on a melody, which begins again when it is at its end.

    Parameters
    ----------
    syllables, melody : at least one of each
    melismas : share of the syllables that are given two notes or three
    """
    notes = _without_end(melody)
    syllables = [_trimmed(syllable) for syllable in syllables]
    now = _LEAD_IN_S / FRAME_S
    knots = [(float(syllables[0].start), now)]
    now += syllables[0].vowel - syllables[0].start
    sung_notes: list[SungNote] = []
    breaths: list[tuple[int, int]] = []
    breathed, breath = now, rng.uniform(*_BETWEEN_BREATHS_S) / FRAME_S
    for index, syllable in enumerate(syllables):
        following = syllables[index + 1] if index + 1 < len(syllables) else None
        pause = following is None or (following.start > syllable.end and now - breathed > breath)
        coda, onset = syllable.end - syllable.coda, following.vowel - following.start if following else 0
        wanted = int(rng.choice([2, 2, 3])) if rng.random() < melismas else 1
        least = coda + onset + _SHORTEST_VOWEL_S / FRAME_S
        taken, rest = _take(notes, least, wanted=wanted, to_rest=pause, rng=rng)
        vowel = sum(frames for _, frames in taken) - coda - onset
        knots += _vowel(syllable, now, vowel)
        sung_notes += _sung(taken, now, now + vowel)
        now += vowel + coda
        knots.append((float(syllable.end), now))
        if following is not None:
            if pause:
                breaths.append((round(now), round(now + rest)))
                now += rest
                breathed, breath = now, rng.uniform(*_BETWEEN_BREATHS_S) / FRAME_S
            knots.append((float(following.start), now))
            now += onset
    spoken, sung = np.array(knots).T
    return Timing(spoken, sung, sung_notes, breaths)


def _trimmed(syllable: Syllable) -> Syllable:
    """A syllable without what is no consonant any more at its ends: breath, and the room."""
    return replace(
        syllable,
        start=max(syllable.start, syllable.vowel - round(_LONGEST_ONSET_S / FRAME_S)),
        end=min(syllable.end, syllable.coda + round(_LONGEST_CODA_S / FRAME_S)),
    )


def _take(
    notes: Iterator[Note], least: float, *, wanted: int, to_rest: bool, rng: np.random.Generator
) -> tuple[list[tuple[float, float]], float]:
    """Notes of a syllable as (pitch, frames), and frames of rest after them."""
    taken: list[tuple[float, float]] = []
    held = 0.0
    while True:
        note = next(notes)
        taken.append((note.pitch, min(note.duration_s, _LONGEST_NOTE_S) / FRAME_S))
        rest = note.rest_s / FRAME_S
        if sum(frames for _, frames in taken) + held >= least and (len(taken) >= wanted or rest):
            break
        held += min(rest, 1 / FRAME_S)
    if len(taken) > wanted:  # it needed the time, not the notes
        taken = [(max(taken, key=lambda one: one[1])[0], sum(frames for _, frames in taken))]
    taken[-1] = (taken[-1][0], taken[-1][1] + held)
    if not to_rest:
        # A singer does not breathe within a word: the note is held into the rest, or the rest is left out.
        taken[-1] = (taken[-1][0], taken[-1][1] + min(rest, 0.3 / FRAME_S))
        return taken, 0.0
    return taken, float(np.clip(rest * FRAME_S or rng.uniform(0.2, 0.6), *_BREATH_S)) / FRAME_S


def _vowel(syllable: Syllable, now: float, length: float) -> list[tuple[float, float]]:
    """Knots of a vowel that begins at a sung frame: both edges as spoken where there is room, the middle stretched."""
    spoken = syllable.coda - syllable.vowel
    edge = min(_EDGE * spoken, _EDGE * length)
    return [
        (float(syllable.vowel), now),
        (syllable.vowel + _EDGE * spoken, now + edge),
        (syllable.coda - _EDGE * spoken, now + length - edge),
        (float(syllable.coda), now + length),
    ]


def _sung(taken: list[tuple[float, float]], start: float, end: float) -> list[SungNote]:
    """Notes of one vowel; the last gives its time to the consonants that follow."""
    made: list[SungNote] = []
    for index, (pitch, frames) in enumerate(taken):
        last = index == len(taken) - 1
        stop = end if last else min(start + frames, end)
        if round(stop) > round(start):
            made.append(SungNote(round(start), round(stop), pitch))
        start = stop
    return made


def _without_end(melody: Sequence[Note]) -> Iterator[Note]:
    while True:
        yield from melody
