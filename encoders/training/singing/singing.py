"""A spoken utterance made to sing a melody: real singing in every language is not to be had under a free licence.

analyse → syllables → notes and time map → pitch, level and colour of a singing voice → synthesise

The vowels are stretched to the notes and the consonants kept (:mod:`.timing`), the pitch is a singer's
(:mod:`.intonation`), syllables come out more evenly loud than in speech, with the singer's formant near 3 kHz and a
vibrato of level in some voices. All chance comes from the generator that is given. Waveforms are mono at 16 kHz.

Saitou et al., "Speech-to-singing synthesis", WASPAA 2007. Sundberg, "The science of the singing voice", 1987.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from encoders.training.corpus import CorpusError
from encoders.training.singing.intonation import Intonation, draw_intonation, pitch_curve
from encoders.training.singing.melodies import Note, at_pace
from encoders.training.singing.syllables import find_syllables, loudness_db
from encoders.training.singing.timing import Timing, lay
from encoders.training.singing.world import FFT_LENGTH, FRAME_S, Voice, analyse, synthesise
from encoders.training.voices.clips import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from encoders.training.singing.syllables import Syllable

_LOWEST, _HIGHEST = 38.0, 84.0  # MIDI: what the envelope of a speaking voice can bear
_PER_DB = np.log(10) / 10  # of the log of power
_MOST_LEVELLING_DB = 10.0
_HEADROOM_DB = 2.0
_FADE = 8  # frames at either end: a cut would click


@dataclass(frozen=True)
class Singer:
    """A way of singing.

    Seconds from note to note in the mean; semitones of the melody's middle above the speaking voice; share by which
    syllables come nearer to one level (1: all alike); the singer's formant in dB, at its frequency in Hz; tilt in dB an
    octave above 1 kHz; factor on the formants' frequencies; power to which aperiodicity is raised (above 1: a clearer
    voice); dB of level that go with a semitone of vibrato; share of syllables on several notes.
    """

    intonation: Intonation
    note_s: float
    above_speech: float
    levelling: float
    formant_db: float
    formant_hz: float
    tilt_db: float
    formant_shift: float
    clearness: float
    tremolo_db: float
    melismas: float


@dataclass(frozen=True)
class Words:
    """An utterance taken apart, and its syllables, at least one."""

    voice: Voice
    syllables: list[Syllable]


@dataclass(frozen=True)
class Sung:
    """Singing: waveform float32 [samples] at 16 kHz, and the notes in it as (start_s, end_s, MIDI number)."""

    waveform: NDArray[np.float32]
    notes: list[tuple[float, float, float]]


def draw_singer(rng: np.random.Generator) -> Singer:
    """A singer by chance; every fourth has other formants than the speaker."""
    return Singer(
        intonation=draw_intonation(rng),
        note_s=rng.uniform(0.3, 0.65),
        above_speech=rng.normal(5, 2),
        levelling=rng.uniform(0.4, 0.9),
        formant_db=rng.uniform(2, 10) if rng.random() < 0.5 else 0.0,
        formant_hz=rng.uniform(2600, 3300),
        tilt_db=rng.uniform(-1, 3),
        formant_shift=rng.uniform(0.9, 1.1) if rng.random() < 0.25 else 1.0,
        clearness=rng.uniform(1, 1.6),
        tremolo_db=rng.uniform(0, 2),
        melismas=rng.uniform(0, 0.25),
    )


def sing(
    waveform: NDArray[np.float32], melody: Sequence[Note], rng: np.random.Generator, *, singer: Singer | None = None
) -> Sung:
    """Make an utterance sing.

    Parameters
    ----------
    waveform : float32 [samples], 16 kHz, one voice without music
    melody : in any octave; it begins again when the words outlast it
    singer : drawn where none is given

    Raises
    ------
    CorpusError
        If pyworld is missing, the utterance is shorter than 0.1 s, no syllable is heard in it, or there are no notes.
    """
    singer = singer or draw_singer(rng)
    words = understood(waveform)
    return perform(words, arranged(words, melody, singer, rng), singer, rng)


def understood(waveform: NDArray[np.float32]) -> Words:
    """The costly half of :func:`sing`, which several voices can share.

    Raises
    ------
    CorpusError
        As in :func:`sing`.
    """
    voice = analyse(waveform)
    syllables = find_syllables(voice)
    if not syllables:
        raise CorpusError("no syllable is heard in the utterance: nothing in it is voiced")
    return Words(voice, syllables)


def arranged(words: Words, melody: Sequence[Note], singer: Singer, rng: np.random.Generator) -> Timing:
    """Words on the notes of a melody, which several voices can sing at once.

    Raises
    ------
    CorpusError
        If there are no notes.
    """
    if not melody:
        raise CorpusError("a melody without notes")
    return lay(words.syllables, _in_range(melody, words.voice, singer), rng, melismas=singer.melismas)


def perform(words: Words, timing: Timing, singer: Singer, rng: np.random.Generator) -> Sung:
    """Sing words as they were arranged; see :func:`sing`."""
    notes = [(note.start * FRAME_S, note.end * FRAME_S, note.pitch) for note in timing.notes]
    return Sung(synthesise(_sung_voice(words, timing, singer, rng)), notes)


def _in_range(melody: Sequence[Note], voice: Voice, singer: Singer) -> list[Note]:
    """The melody at the singer's pace, in the octave of the voice; notes beyond what that can bear are folded back."""
    spoken = 69 + 12 * np.log2(np.median(voice.pitch_hz[voice.pitch_hz > 0]) / 440)
    middle = np.median([note.pitch for note in melody])
    octaves = 12 * np.round((spoken + singer.above_speech - middle) / 12)
    return [replace(note, pitch=_folded(note.pitch + octaves)) for note in at_pace(melody, singer.note_s)]


def _folded(pitch: float) -> float:
    while pitch > _HIGHEST:
        pitch -= 12
    while pitch < _LOWEST:
        pitch += 12
    return float(pitch)


def _sung_voice(words: Words, timing: Timing, singer: Singer, rng: np.random.Generator) -> Voice:
    voice, syllables = words.voice, words.syllables
    places = np.clip(timing.spoken_frames(), 0, len(voice.pitch_hz) - 1)
    vowels = np.zeros(len(voice.pitch_hz), bool)
    for syllable in syllables:
        vowels[syllable.vowel : syllable.coda] = True
    voiced = (vowels | (voice.pitch_hz > 0))[np.round(places).astype(int)]
    pitch, vibrato = pitch_curve(timing.notes, timing.frames, singer.intonation, rng)
    envelope = _between(voice.log_envelope, places)
    if singer.formant_shift != 1:
        envelope = _between(envelope.T, np.arange(envelope.shape[1]) / singer.formant_shift).T
    level_db = np.interp(places, *_levelling(voice, syllables, singer)) + singer.tremolo_db * vibrato
    for start, end in timing.breaths:
        level_db[start:end] = np.minimum(level_db[start:end], 0)
    from_end = np.minimum(np.arange(1, timing.frames + 1), np.arange(timing.frames, 0, -1))
    level_db += 20 * np.log10(np.minimum(from_end / _FADE, 1))
    envelope += _PER_DB * (level_db[:, np.newaxis] + voiced[:, np.newaxis] * _colour(singer))
    envelope -= _excess(envelope, voiced)[:, np.newaxis]
    aperiodicity = _between(_voiced_aperiodicity(voice, vowels), places)
    aperiodicity[voiced] **= singer.clearness
    return Voice(np.where(voiced, 440 * 2 ** ((pitch - 69) / 12), 0.0), envelope, np.clip(aperiodicity, 1e-3, 1 - 1e-3))


def _between(rows: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows at places between them."""
    places = np.clip(places, 0, len(rows) - 1)
    low = np.minimum(places.astype(int), len(rows) - 2)
    share = (places - low)[:, np.newaxis]
    between: NDArray[np.float64] = rows[low] * (1 - share)
    between += rows[low + 1] * share
    return between


def _levelling(
    voice: Voice, syllables: Sequence[Syllable], singer: Singer
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Gain in dB at the nuclei, as (spoken frames, dB), that brings their loudness closer together."""
    nuclei = np.array([syllable.nucleus for syllable in syllables])
    loudness = loudness_db(voice)[nuclei]
    gain = singer.levelling * (np.percentile(loudness, 75) - loudness)
    return nuclei.astype(np.float64), np.clip(gain, -_MOST_LEVELLING_DB, _MOST_LEVELLING_DB)


def _excess(envelope: NDArray[np.float64], voiced: NDArray[np.bool_]) -> NDArray[np.float64]:
    """By how much a frame's log power lies above the loud vowels': a burst that was raised with its syllable."""
    power = np.log(np.exp(envelope).sum(axis=1))
    highest = np.percentile(power[voiced], 90) + _PER_DB * _HEADROOM_DB if voiced.any() else power.max()
    excess: NDArray[np.float64] = np.maximum(power - highest, 0)
    return excess


def _colour(singer: Singer) -> NDArray[np.float64]:
    """Gain in dB of every bin, float64 [257]."""
    hz = np.arange(FFT_LENGTH // 2 + 1) * SAMPLE_RATE / FFT_LENGTH
    formant = singer.formant_db * np.exp(-0.5 * ((hz - singer.formant_hz) / 350) ** 2)
    gain: NDArray[np.float64] = formant + singer.tilt_db * np.log2(np.maximum(hz, 1000) / 1000)
    return gain


def _voiced_aperiodicity(voice: Voice, vowels: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Aperiodicity with the gaps closed in which no pitch was found in a vowel: there the last voiced frame goes on."""
    gaps = vowels & ((voice.pitch_hz == 0) | (voice.aperiodicity[:, 0] > 0.9))
    sources = np.where(gaps, -1, np.arange(len(gaps)))
    sources = np.maximum.accumulate(sources)
    voiced = np.flatnonzero(~gaps & (voice.pitch_hz > 0))
    sources[gaps] = voiced[np.abs(voiced[:, np.newaxis] - np.flatnonzero(gaps)).argmin(axis=0)] if len(voiced) else 0
    filled: NDArray[np.float64] = voice.aperiodicity[sources]
    return filled
