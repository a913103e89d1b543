"""Rhythm, key, form and melody of a track as JSON. Times are in seconds from its start."""

from dataclasses import asdict

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from retrieval.catalog.heard.music import (
    MELODY_STAGE,
    PARTS,
    PHRASES,
    RHYTHM_STAGE,
    STRUCTURE_STAGE,
    heard_music,
    not_known,
)
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import SectionSpan, Track, TrackForm


class BeatOut(BaseModel):
    """A beat, and which of its bar it is: 1 is a downbeat, 0 where nobody said."""

    time_s: float
    position: int


class RhythmConfidenceOut(BaseModel):
    """How sure tempo, beats and metre are, and how sure the key is, 0 to 1."""

    beats: float
    key: float


class RhythmOut(BaseModel):
    """Tempo (beats a minute), metre (beats a bar), beats and key; what has no beat has none here."""

    track: str
    tempo: float | None
    meter: int | None
    key: str | None
    mode: str | None
    confidence: RhythmConfidenceOut
    beats: list[BeatOut]
    versions: dict[str, str]


class SegmentOut(BaseModel):
    """A part, as All-In-One writes it."""

    start: float
    end: float
    label: str


class SectionOut(BaseModel):
    """A part or a phrase; those that sound alike are of one group. The confidence is of the label, 0 to 1."""

    start_s: float
    end_s: float
    label: str
    group: str
    confidence: float


class StructureOut(BaseModel):
    """A track's form: up to `segments` as All-In-One's JSON has it, and what that does not hold.

    `path` is the track's id: where its file lies is not told. `sections` are the segments once more, with their groups;
    `phrases` are what these are made of.
    """

    path: str
    bpm: float | None
    beats: list[float]
    downbeats: list[float]
    beat_positions: list[int]
    segments: list[SegmentOut]
    sections: list[SectionOut]
    phrases: list[SectionOut]
    versions: dict[str, str]


class HighlightOut(BaseModel):
    """A stretch that represents the track; score 0 to 1."""

    start_s: float
    end_s: float
    score: float


class HighlightsOut(BaseModel):
    """Stretches that represent a track, the best first."""

    track: str
    highlights: list[HighlightOut]
    versions: dict[str, str]


class LoopOut(BaseModel):
    """A stretch that can be played over and over, to the sample; how like its end is to its start, 0 to 1."""

    start_s: float
    end_s: float
    similarity: float


class LoopsOut(BaseModel):
    """What of a track can be looped."""

    track: str
    loops: list[LoopOut]
    versions: dict[str, str]


class MelodyOut(BaseModel):
    """The leading voice or instrument: a pitch every `step_s`, as MIDI number, null where there is none.

    `unvoiced` has the likeliest pitch of these places, and null elsewhere.
    """

    track: str
    step_s: float
    pitches: list[float | None]
    unvoiced: list[float | None]
    confidence: float
    versions: dict[str, str]


def rhythm_out(catalog: Catalog, track: Track) -> RhythmOut:
    """Tempo, beats and key of a track, for callers.

    Raises
    ------
    NotAnalysedError
    """
    heard = heard_music(catalog.engine, track.id, [RHYTHM_STAGE])
    rhythm = heard.rhythm
    if rhythm is None:
        raise not_known(track.key, "rhythm", RHYTHM_STAGE)
    beats = zip(_milliseconds(rhythm.beats_s), rhythm.positions.tolist(), strict=True)
    return RhythmOut(
        track=track.key,
        tempo=rounded(rhythm.tempo_bpm),
        meter=rhythm.meter,
        key=rhythm.key,
        mode=rhythm.mode,
        confidence=RhythmConfidenceOut(beats=rhythm.confidence, key=rhythm.key_confidence),
        beats=[BeatOut(time_s=time_s, position=position) for time_s, position in beats],
        versions=dict(heard.versions),
    )


def structure_out(catalog: Catalog, track: Track) -> StructureOut:
    """The form of a track, for callers.

    Raises
    ------
    NotAnalysedError
    """
    heard = heard_music(catalog.engine, track.id, [RHYTHM_STAGE, STRUCTURE_STAGE])
    form, rhythm = heard.form, heard.rhythm
    if form is None:
        raise not_known(track.key, "structure", STRUCTURE_STAGE)
    beats_s = rhythm.beats_s if rhythm else np.empty(0)
    positions = rhythm.positions if rhythm else np.empty(0, np.int64)
    sections = [section_out(one) for one in form.sections if one.level == PARTS]
    return StructureOut(
        path=track.key,
        bpm=rounded(rhythm.tempo_bpm) if rhythm else None,
        beats=_milliseconds(beats_s),
        downbeats=_milliseconds(beats_s[positions == 1]),
        beat_positions=positions.tolist(),
        segments=[SegmentOut(start=one.start_s, end=one.end_s, label=one.label) for one in sections],
        sections=sections,
        phrases=[section_out(one) for one in form.sections if one.level == PHRASES],
        versions=dict(heard.versions),
    )


def highlights_out(catalog: Catalog, track: Track) -> HighlightsOut:
    """What represents a track, for callers.

    Raises
    ------
    NotAnalysedError
    """
    form, versions = _form(catalog, track)
    highlights = [HighlightOut(**asdict(one)) for one in form.highlights]
    return HighlightsOut(track=track.key, highlights=highlights, versions=versions)


def loops_out(catalog: Catalog, track: Track) -> LoopsOut:
    """What of a track can be looped, for callers; as exact as it is stored.

    Raises
    ------
    NotAnalysedError
    """
    form, versions = _form(catalog, track)
    return LoopsOut(track=track.key, loops=[LoopOut(**asdict(one)) for one in form.loops], versions=versions)


def melody_out(catalog: Catalog, track: Track) -> MelodyOut:
    """The melody of a track, for callers.

    Raises
    ------
    NotAnalysedError
    """
    heard = heard_music(catalog.engine, track.id, [MELODY_STAGE])
    melody = heard.melody
    if melody is None:
        raise not_known(track.key, "melody", MELODY_STAGE)
    return MelodyOut(
        track=track.key,
        step_s=melody.step_s,
        pitches=_to_the_cent(melody.pitches),
        unvoiced=_to_the_cent(melody.unvoiced),
        confidence=melody.confidence,
        versions=dict(heard.versions),
    )


def section_out(section: SectionSpan) -> SectionOut:
    """A part of a track for callers."""
    return SectionOut(
        start_s=round(section.start_s, 3),
        end_s=round(section.end_s, 3),
        label=section.label,
        group=section.group,
        confidence=round(section.confidence, 3),
    )


def rounded(number: float | None) -> float | None:
    """A number with three decimals, if it is known."""
    return None if number is None else round(number, 3)


def _form(catalog: Catalog, track: Track) -> tuple[TrackForm, dict[str, str]]:
    heard = heard_music(catalog.engine, track.id, [STRUCTURE_STAGE])
    if heard.form is None:
        raise not_known(track.key, "structure", STRUCTURE_STAGE)
    return heard.form, dict(heard.versions)


def _milliseconds(times_s: np.ndarray) -> list[float]:
    rounded: list[float] = np.round(times_s, 3).tolist()
    return rounded


def _to_the_cent(pitches: NDArray[np.float32]) -> list[float | None]:
    rounded = np.round(pitches.astype(np.float64), 2)
    return [None if np.isnan(pitch) else pitch for pitch in rounded.tolist()]
