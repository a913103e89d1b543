"""A corpus of spoken clips made to sing: every speaker keeps name, language, source and licence.

Clips of a speaker are joined to phrases of about ten seconds, each is sung to another song, and some are doubled,
sung by a choir or put into a room. All chance comes from the speaker, the phrase's number and the seed. Songs of
held-out speakers are those that nothing is trained on.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from encoders.training.corpus import CorpusError
from encoders.training.rendering import chance
from encoders.training.singing.intonation import draw_intonation
from encoders.training.singing.melodies import JUDGING_SONGS, TRAINING_SONGS, from_a_phrase, read_melody
from encoders.training.singing.singing import arranged, draw_singer, perform, understood
from encoders.training.singing.world import library
from encoders.training.voices.clips import (
    SAMPLE_RATE,
    SPOKEN,
    SUNG,
    Clip,
    append_clips,
    at_level,
    read_clip,
    read_clips,
    write_clip,
)
from encoders.training.voices.effects import choir, studio

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from encoders.training.singing.melodies import Note

_PHRASE_S = 8.0
_LONGEST_PHRASE_S = 16.0
_REPEATS = 3
_HELD_OUT = 5  # every fifth speaker
_CHOIR, _DOUBLED, _STUDIO = 0.06, 0.12, 0.4


@dataclass(frozen=True)
class SungCorpus:
    """A folder of voices, which gets the sung ones beside the spoken, and POP909's folder."""

    voices: Path
    songs: Path
    seed: int = 0

    @property
    def spoken(self) -> Path:
        """The list of what is there to sing."""
        return self.voices / SPOKEN

    @property
    def sung(self) -> Path:
        """The list of what was sung."""
        return self.voices / SUNG


def is_held_out(speaker: str) -> bool:
    """Whether a speaker sings the songs that nothing is trained on: every fifth, by the name alone."""
    return int.from_bytes(hashlib.sha256(speaker.encode()).digest()[:8], "little") % _HELD_OUT == 0


def sing_corpus(corpus: SungCorpus, *, seconds: float) -> Iterator[Clip | CorpusError]:
    """Sing up to so many seconds of every speaker, and not more than three times what was spoken.

    What the list of the sung ones holds already is not sung again, so a run goes on where one was ended, and sings what
    has been spoken since. A phrase in which nothing is voiced gives its error.

    Raises
    ------
    CorpusError
        If a list or the songs cannot be read, or pyworld is missing.
    OSError
        If a file cannot be written.
    """
    library()
    read_melody(corpus.songs / f"{TRAINING_SONGS[0]:03d}")  # or every phrase would give the same error
    done: dict[tuple[str, str, str], float] = {}
    numbers: dict[tuple[str, str, str], int] = {}
    for clip in read_clips(corpus.sung) if corpus.sung.exists() else []:
        done[_singer(clip)] = done.get(_singer(clip), 0.0) + clip.seconds
        numbers[_singer(clip)] = max(numbers.get(_singer(clip), 0), int(clip.path[-8:-5]) + 1)
    by_speaker: dict[tuple[str, str, str], list[Clip]] = {}
    for clip in read_clips(corpus.spoken):
        if clip.kind != "sung":
            by_speaker.setdefault(_singer(clip), []).append(clip)
    for speaker, clips in by_speaker.items():
        phrases = list(_phrases(clips))
        first = numbers.get(speaker, 0)
        for number in range(first, _REPEATS * len(phrases)):
            if done.get(speaker, 0.0) >= seconds:
                break
            try:
                clip = _sing_one(corpus, phrases[number % len(phrases)], number)
            except CorpusError as error:
                name = phrases[number % len(phrases)][0][0].path
                yield error if name in str(error) else CorpusError(f"{name}: {error}")
            else:
                append_clips(corpus.sung, [clip])
                done[speaker] = done.get(speaker, 0.0) + clip.seconds
                yield clip


def _singer(clip: Clip) -> tuple[str, str, str]:
    return clip.language, clip.source, clip.speaker


def _phrases(clips: Sequence[Clip]) -> Iterator[list[tuple[Clip, float]]]:
    """Clips joined, or a stretch of one that is long; each with the second at which it begins."""
    joined: list[tuple[Clip, float]] = []
    length = 0.0
    for clip in clips:
        if clip.seconds > _LONGEST_PHRASE_S:
            yield from ([(clip, start)] for start in np.arange(0, clip.seconds - _PHRASE_S / 2, _PHRASE_S))
            continue
        joined.append((clip, 0.0))
        length += clip.seconds
        if length >= _PHRASE_S:
            yield joined
            joined, length = [], 0.0
    if joined:
        yield joined


def _sing_one(corpus: SungCorpus, phrase: Sequence[tuple[Clip, float]], number: int) -> Clip:
    clip = phrase[0][0]
    rng = chance(f"{clip.language}/{clip.source}/{clip.speaker}/{number}", corpus.seed)
    song = int(rng.choice(JUDGING_SONGS if is_held_out(clip.speaker) else TRAINING_SONGS))
    melody = from_a_phrase(read_melody(corpus.songs / f"{song:03d}"), rng)
    spoken = np.concatenate([_cut(read_clip(corpus.voices / one.path), start) for one, start in phrase])
    sung = at_level(_produced(spoken, melody, rng))
    folder = f"{_safe(clip.source)}__{_safe(clip.speaker)}"
    path = f"sung/{clip.language}/{folder}/{number:03d}.flac"
    write_clip(corpus.voices / path, sung)
    return replace(clip, path=path, kind="sung", seconds=len(sung) / SAMPLE_RATE, song=song)


def _cut(waveform: NDArray[np.float32], start_s: float) -> NDArray[np.float32]:
    if len(waveform) <= _LONGEST_PHRASE_S * SAMPLE_RATE:
        return waveform
    return waveform[round(start_s * SAMPLE_RATE) : round((start_s + _PHRASE_S) * SAMPLE_RATE)]


def _produced(spoken: NDArray[np.float32], melody: Sequence[Note], rng: np.random.Generator) -> NDArray[np.float32]:
    words, singer, kind = understood(spoken), draw_singer(rng), rng.random()
    timing = arranged(words, melody, singer, rng)
    takes = [perform(words, timing, singer, rng).waveform]
    if kind < _CHOIR:
        others = (replace(singer, formant_shift=rng.uniform(0.92, 1.08)) for _ in range(int(rng.integers(2, 5))))
        takes += [perform(words, timing, replace(one, intonation=draw_intonation(rng)), rng).waveform for one in others]
    elif kind < _CHOIR + _DOUBLED:
        takes.append(perform(words, timing, singer, rng).waveform)
    sung = choir(takes, rng) if len(takes) > 1 else takes[0]
    return studio(sung, rng) if rng.random() < _STUDIO else sung


def _safe(name: str) -> str:
    return re.sub(r"[^\w.+-]", "-", name)
