"""Tracks and answers as JSON, over HTTP and with `--json`: built from the dataclasses of `retrieval`."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from pydantic import BaseModel, Field

from api.documents.music import SectionOut, rounded, section_out
from retrieval.catalog.conditions import parts_of
from retrieval.catalog.records import SectionSpan, Track
from retrieval.search.query import Answer, Explanation, Result


class TrackOut(BaseModel):
    """A track."""

    track: str
    title: str | None
    artist: str | None
    artists: list[str]
    album: str | None
    genre: str | None
    genres: list[str]
    year: int | None
    duration_s: float
    content_hash: str
    partial: bool
    notes: list[str]
    missing_since: str | None
    indexed_at: str
    metadata: dict[str, Any]
    vocal_ratio: float | None
    speech_ratio: float | None
    languages: dict[str, float]
    tempo: float | None
    meter: int | None
    key: str | None
    mode: str | None


class SpanOut(BaseModel):
    """The part of a track that is nearest."""

    start_s: float
    end_s: float


class ResultSpanOut(SpanOut):
    """The part of a result that is nearest, and the section in which its middle lies, where the form is known."""

    section: SectionOut | None


class SegmentMatchOut(BaseModel):
    """A part of an example and one of the result that sound alike; `query` is null where the example is a vector."""

    query: SpanOut | None
    result: SpanOut
    score: float


class ExplanationOut(BaseModel):
    """Why a result is one.

    Deltas are the result's vocal ratio and tempo less those of the example that drove it; `key_relation` is that of its
    key to the example's: same, fifth, relative, parallel or other.
    """

    shared_tags: list[str]
    shared_languages: list[str]
    vocal_delta: float | None
    tempo_delta: float | None
    key_relation: str | None
    best_segments: list[SegmentMatchOut]
    driven_by: str


class ResultOut(BaseModel):
    """One neighbour; scores lie in [0, 1], higher is better."""

    track: str
    score: float
    rank: int
    metadata: dict[str, Any]
    span: ResultSpanOut | None
    explain: ExplanationOut | None


class StatsOut(BaseModel):
    """How the answer came about: matching = earlier + returned + what was dropped + remaining, always."""

    matching: int = Field(description="tracks of the space that match the filter, without the examples left out")
    scored: int = Field(description="vectors that the search was about; on an approximate path not all were compared")
    earlier: int = Field(description="results on the pages before")
    returned: int = Field(description="results on this page")
    remaining: int = Field(description="tracks that were not asked for yet: behind this page's last result")
    path: str = Field(description="exact, ivf, gpu, gpu-ivf-pq or gpu-cagra")
    dropped: dict[str, int] = Field(
        description="tracks that matched and are not shown, by what kept them out, from the first page to this one"
    )
    reason: str | None = Field(description="why there are fewer results than were asked for")
    unknown: list[str] = Field(
        description="keys of exclude and of context.previous that no track has: they keep nothing out"
    )


class AnswerOut(BaseModel):
    """Neighbours, best first."""

    results: list[ResultOut]
    next_cursor: str | None
    space: str
    index_version: str
    model_version: str
    stats: StatsOut
    timing_ms: dict[str, float] = Field(description="milliseconds by part, and in `total` of all of them")


def track_out(track: Track) -> TrackOut:
    """A track for callers: its key as `track`, no internal id and no path."""
    named_otherwise = ("track", "key", "indexed_at", "missing_since", "artists", "genres")
    shown = {name: getattr(track, name) for name in TrackOut.model_fields if name not in named_otherwise}
    shown |= {"artists": parts_of(track.artist), "genres": parts_of(track.genre)}
    missing_since = None if track.missing_since is None else track.missing_since.isoformat()
    shown |= {"duration_s": round(track.duration_s, 3), "languages": highest_first(track.languages)} | _music(track)
    return TrackOut(track=track.key, indexed_at=track.indexed_at.isoformat(), missing_since=missing_since, **shown)


def answer_out(answer: Answer) -> AnswerOut:
    """An answer for callers."""
    return AnswerOut(
        results=[_result_out(result) for result in answer.results],
        next_cursor=answer.next_cursor,
        space=answer.space,
        index_version=answer.index_version,
        model_version=answer.model_version,
        stats=StatsOut(**asdict(answer.stats)),
        timing_ms=dict(answer.timing_ms),
    )


def shown_metadata(track: Track) -> dict[str, Any]:
    """What stands beside a track in an answer; the caller's own JSON under `meta`."""
    shown = {name: getattr(track, name) for name in ("title", "artist", "album", "genre", "year")}
    voice = {"vocal_ratio": track.vocal_ratio, "languages": highest_first(track.languages)}
    return shown | {"duration_s": round(track.duration_s, 3), **voice, **_music(track), "meta": dict(track.metadata)}


def highest_first(shares: Mapping[str, float]) -> dict[str, float]:
    """Shares by name, the largest first."""
    return dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))


def _music(track: Track) -> dict[str, Any]:
    return {"tempo": rounded(track.tempo), "meter": track.meter, "key": track.tonic, "mode": track.mode}


def _result_out(result: Result) -> ResultOut:
    return ResultOut(
        track=result.track.key,
        score=round(result.score, 6),
        rank=result.rank,
        metadata=shown_metadata(result.track),
        span=None if result.span_s is None else _result_span_out(result.span_s, result.section),
        explain=None if result.explain is None else _explanation_out(result.explain),
    )


def _explanation_out(explanation: Explanation) -> ExplanationOut:
    matches = [
        SegmentMatchOut(
            query=None if match.query_s is None else _span_out(match.query_s),
            result=_span_out(match.result_s),
            score=round(match.score, 6),
        )
        for match in explanation.best_segments
    ]
    return ExplanationOut(
        shared_tags=list(explanation.shared_tags),
        shared_languages=list(explanation.shared_languages),
        vocal_delta=rounded(explanation.vocal_delta),
        tempo_delta=rounded(explanation.tempo_delta),
        key_relation=explanation.key_relation,
        best_segments=matches,
        driven_by=explanation.driven_by,
    )


def _result_span_out(span_s: tuple[float, float], section: SectionSpan | None) -> ResultSpanOut:
    shown = None if section is None else section_out(section)
    return ResultSpanOut(**_span_out(span_s).model_dump(), section=shown)


def _span_out(span_s: tuple[float, float]) -> SpanOut:
    return SpanOut(start_s=round(span_s[0], 3), end_s=round(span_s[1], 3))
