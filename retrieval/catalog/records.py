"""What goes into the catalogue and what comes out of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal, NamedTuple, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

Granularity = Literal["track", "segment"]
"""What a row of an index is."""


@dataclass(frozen=True)
class SpaceEmbedding:
    """One track in one space.

    Attributes
    ----------
    track_vector : float32 [dim], L2 norm 1
    segment_vectors : float32 [n_segments, dim]
    starts_s, ends_s : float64 [n_segments]
    """

    space: str
    encoder_version: str
    track_vector: NDArray[np.float32]
    segment_vectors: NDArray[np.float32]
    starts_s: NDArray[np.float64]
    ends_s: NDArray[np.float64]


@dataclass(frozen=True)
class TagScores:
    """What a tagger heard: scores in [0, 1] by tag, in the place of all that were there before."""

    scores: Mapping[str, float]


@dataclass(frozen=True)
class Fingerprint:
    """Chromaprint's, int32 [n_words]; none of them in sound too short."""

    words: NDArray[np.int32]


@dataclass(frozen=True)
class VocalSpan:
    """A time of a track in which somebody sings or speaks; confidence in [0, 1]."""

    start_s: float
    end_s: float
    kind: Literal["singing", "speech"]
    confidence: float


@dataclass(frozen=True)
class VocalActivity:
    """How much of a track is voice.

    Attributes
    ----------
    vocal_ratio : share of the track's duration in which somebody sings or speaks, in [0, 1]
    speech_ratio : share of the track's duration in which somebody speaks, at most the vocal ratio
    confidence : in [0, 1]
    spans : in order of time
    """

    vocal_ratio: float
    speech_ratio: float
    confidence: float
    spans: Sequence[VocalSpan] = ()


@dataclass(frozen=True)
class LanguageSpan:
    """A time of a track in one language, or in one that is not known; confidence in [0, 1]."""

    start_s: float
    end_s: float
    language: str
    confidence: float


@dataclass(frozen=True)
class LanguageRatios:
    """In which languages a track is sung and spoken.

    Attributes
    ----------
    ratios : shares of the vocal time by code (:mod:`retrieval.catalog.languages`) and ``unknown``, adding up to 1;
        none without vocals
    confidence : in [0, 1]
    spans : in order of time
    evidence : what each source alone says, by its name (``audio``, ``text``, ``whisper``): shares by language
    """

    ratios: Mapping[str, float]
    confidence: float
    spans: Sequence[LanguageSpan] = ()
    evidence: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class TrackRhythm:
    """Tempo, beats, bars and key of a track. Without beats: no tempo, no metre, and arrays of nothing.

    Attributes
    ----------
    tempo_bpm : beats a minute, that which most of the track keeps
    meter : beats a bar, as most bars have it
    confidence : in [0, 1], of all of these
    beats_s : float64 [n], ascending
    positions : int64 [n], of each beat in its bar; 1 is a downbeat, and 0 where nobody said
    key, mode : of the music: ``C``, ``Db``, … and ``major`` or ``minor``; none where it is not known
    key_confidence : in [0, 1]
    """

    tempo_bpm: float | None
    meter: int | None
    confidence: float
    beats_s: NDArray[np.float64]
    positions: NDArray[np.int64]
    key: str | None
    mode: str | None
    key_confidence: float


@dataclass(frozen=True)
class SectionSpan:
    """A part of a track.

    Attributes
    ----------
    level : 1 of its parts, 2 of the phrases that these are made of; those of a level follow each other without gap
    group : those of one level that sound alike have one letter
    confidence : in [0, 1], of the label
    """

    start_s: float
    end_s: float
    level: int
    label: str
    group: str
    confidence: float


@dataclass(frozen=True)
class HighlightSpan:
    """A stretch that represents a track; score in [0, 1]."""

    start_s: float
    end_s: float
    score: float


@dataclass(frozen=True)
class LoopSpan:
    """A stretch that can be played over and over; how like its end is to its start, in [0, 1]."""

    start_s: float
    end_s: float
    similarity: float


@dataclass(frozen=True)
class TrackForm:
    """Sections by level and time, highlights with the best first, and loops."""

    sections: Sequence[SectionSpan]
    highlights: Sequence[HighlightSpan] = ()
    loops: Sequence[LoopSpan] = ()


@dataclass(frozen=True, eq=False)
class TrackMelody:
    """The leading voice of a track, at equal steps.

    Attributes
    ----------
    pitches : float32 [steps], MIDI numbers in [0, 127], stored to the cent; NaN where there is no melody
    unvoiced : float32 [steps], likewise, the likeliest pitch where there is none; NaN where there is, or none is known
    confidence : in [0, 1]
    """

    step_s: float
    pitches: NDArray[np.float32]
    unvoiced: NDArray[np.float32]
    confidence: float


@dataclass(frozen=True, eq=False)
class TrackAccents:
    """What meets pictures: onset strength and loudness, float32 [n], 0 … 1, `rate` values a second, in 255 steps."""

    rate: float
    onsets: NDArray[np.float32]
    loudness: NDArray[np.float32]


MusicRows = TrackRhythm | TrackForm | TrackMelody | TrackAccents
StageRows = SpaceEmbedding | TagScores | Fingerprint | VocalActivity | LanguageRatios | MusicRows
"""What a stage writes of one track."""

Rows = TypeVar("Rows")


@dataclass(frozen=True)
class TrackAnalysis:
    """All that one analysis of one track writes.

    Attributes
    ----------
    content_hash, audio_hash : of the file; of what is heard in it, by which the same audio is known under other tags
    partial, notes : whether the file is a part of what it was, and what decoding came upon; none: as it was said before
    formerly : the key that the track had, where its file was moved
    alone : whether its file is to be no other track's, as those of the same sound sent by callers may be
    rows : what its stages made of it; what is stored of the same audio and not among it stays
    stages : version by name, of the stages that ran
    undone : names of others that are to run again, even if they ran before: this time they failed, or what they are
        made from is new
    """

    key: str
    uri: str
    content_hash: str
    size_bytes: int
    modified_ns: int
    duration_s: float
    audio_hash: str | None = None
    changed_ns: int | None = None
    partial: bool | None = None
    notes: Sequence[str] | None = None
    formerly: str | None = None
    alone: bool = False
    title: str | None = None
    artist: str | None = None
    album: str | None = None
    genre: str | None = None
    year: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    rows: Sequence[StageRows] = ()
    stages: Mapping[str, str] = field(default_factory=dict)
    undone: Sequence[str] = ()

    def of(self, kind: type[Rows]) -> list[Rows]:
        """Its rows of one kind."""
        return [row for row in self.rows if isinstance(row, kind)]


@dataclass(frozen=True)
class Track:
    """A track as callers see it: what a curator corrected stands in the place of what was heard or read.

    Attributes
    ----------
    vocal_ratio, speech_ratio : shares of its duration in which somebody sings or speaks; none where it is not known
    languages : shares of the vocal time by code, and of what is ``unknown``; none without vocals, or not known
    tempo, meter, tonic, mode : of its `TrackRhythm`, where it has one; `key` is the caller's id
    partial, notes : whether its file is a part of what it was, and what decoding came upon
    missing_since : when its file was not there any more; none: it is there
    """

    id: int
    key: str
    title: str | None
    artist: str | None
    album: str | None
    genre: str | None
    year: int | None
    duration_s: float
    uri: str
    content_hash: str
    partial: bool
    notes: Sequence[str]
    missing_since: datetime | None
    metadata: Mapping[str, Any]
    indexed_at: datetime
    vocal_ratio: float | None
    speech_ratio: float | None
    languages: Mapping[str, float]
    tempo: float | None
    meter: int | None
    tonic: str | None
    mode: str | None


@dataclass(frozen=True)
class Correction:
    """What a curator says of one field of a track.

    Attributes
    ----------
    value : as the track has it
    instead_of : what would stand without it; of languages and ratios none where nobody listened yet
    corrected_at : when it was said last
    """

    field: str
    value: Any
    instead_of: Any
    corrected_at: datetime


@dataclass(frozen=True)
class HeardVoice:
    """What the stages heard of the voice in a track, none where they have not run, and by which version of each."""

    vocals: VocalActivity | None
    languages: LanguageRatios | None
    versions: Mapping[str, str]


@dataclass(frozen=True)
class HeardMusic:
    """What was asked for of rhythm, form and melody of a track, none where it is not known, and by which versions."""

    rhythm: TrackRhythm | None
    form: TrackForm | None
    melody: TrackMelody | None
    versions: Mapping[str, str]


class Labels(NamedTuple):
    """A track's key, and its artist and album where it names them."""

    key: str
    artist: str | None
    album: str | None


@dataclass(frozen=True)
class TrackSegments:
    """One track's segments: starts_s, ends_s float64 [n]; vectors float32 [n, dim]."""

    track_id: int
    starts_s: NDArray[np.float64]
    ends_s: NDArray[np.float64]
    vectors: NDArray[np.float32]

    @property
    def spans_s(self) -> list[tuple[float, float]]:
        """Start and end of each."""
        return list(zip(self.starts_s.tolist(), self.ends_s.tolist(), strict=True))

    def touching(self, start_s: float, end_s: float) -> Self:
        """Those that share some of the time from start to end."""
        kept = (self.starts_s < end_s) & (self.ends_s > start_s)
        return replace(self, starts_s=self.starts_s[kept], ends_s=self.ends_s[kept], vectors=self.vectors[kept])
