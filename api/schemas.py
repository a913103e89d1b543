"""What goes in and out over HTTP. Unknown fields are refused; answers are built from the dataclasses of `retrieval`."""

from dataclasses import asdict
from typing import Any, Literal, Self

import numpy as np
from apiflask.fields import UploadFile
from pydantic import BaseModel, ConfigDict, Field, model_validator

from retrieval.filters import Filter
from retrieval.ledger import Failure, Job
from retrieval.records import Track
from retrieval.search import MAX_LIMIT, Answer, Query

MAX_EXCLUDE = 10_000
MAX_DIM = 4_096
MAX_KEY_LENGTH = 1_024


class In(BaseModel):
    """A request: unknown fields, NaN and infinities are refused."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True)


class Seed(In):
    """What to search by: exactly one of these."""

    track: str | None = Field(default=None, description="key of a track in the catalogue")
    vector: list[float] | None = Field(default=None, min_length=1, max_length=MAX_DIM, description="in the space")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.track is None) == (self.vector is None):
            raise ValueError("exactly one of track, vector is needed")
        return self


class MediaQuery(In):
    """How to search: everything but the seed."""

    space: str | None = None
    granularity: Literal["track"] = "track"
    filter: Filter | None = None
    exclude: list[str] = Field(default_factory=list, max_length=MAX_EXCLUDE)
    include_seed: bool = False
    score_threshold: float | None = Field(default=None, ge=0, le=1)
    limit: int = Field(default=10, ge=1, le=MAX_LIMIT)
    explain: bool = False
    exact: bool = False

    def options(self) -> dict[str, Any]:
        """The fields that a `Query` shares."""
        names = ("space", "filter", "exclude", "include_seed", "score_threshold", "limit", "explain", "exact")
        return {name: getattr(self, name) for name in names}


class TrackQuery(MediaQuery):
    """A query by track or vector."""

    query: Seed

    def as_query(self) -> Query:
        """The query as `retrieval` takes it."""
        vector = None if self.query.vector is None else np.array(self.query.vector, np.float32)
        return Query(track=self.query.track, vector=vector, **self.options())


class AudioQueryForm(In):
    """A query by a clip: the file, and a `MediaQuery` as JSON in `body`."""

    file: UploadFile
    body: str | None = Field(default=None, description="JSON: space, filter, limit, … as in /v1/query")


class TrackFields(In):
    """What a sender says of a track; what is left out is taken from the file's own tags."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    genre: str | None = None
    year: int | None = Field(default=None, ge=0, le=9999)
    metadata: dict[str, Any] | None = Field(
        default=None, description="the caller's own JSON, filterable as meta.<path>"
    )


class TrackForm(In):
    """A track to index: the file, and `TrackFields` as JSON in `body`."""

    file: UploadFile
    body: str | None = None


class BulkForm(In):
    """Several tracks to index: the name of each file is its key."""

    files: list[UploadFile]


class ListQuery(In):
    """A page of the catalogue."""

    filter: str | None = Field(default=None, description="a filter as JSON")
    cursor: str | None = None
    limit: int = Field(default=100, ge=1, le=MAX_LIMIT)


class SimilarQuery(In):
    """Neighbours of one track."""

    space: str | None = None
    limit: int = Field(default=10, ge=1, le=MAX_LIMIT)
    explain: bool = False


class SpaceQuery(In):
    """A space."""

    space: str | None = None


class TrackOut(BaseModel):
    """A track."""

    track: str
    title: str | None
    artist: str | None
    album: str | None
    genre: str | None
    year: int | None
    duration_s: float
    content_hash: str
    indexed_at: str
    metadata: dict[str, Any]


class ResultOut(BaseModel):
    """One neighbour; scores lie in [0, 1], higher is better."""

    track: str
    score: float
    rank: int
    metadata: dict[str, Any]
    span: None = None
    explain: dict[str, Any] | None


class StatsOut(BaseModel):
    """How the answer came about."""

    matching: int
    returned: int
    path: str
    dropped: dict[str, int]
    reason: str | None


class AnswerOut(BaseModel):
    """Neighbours, best first."""

    results: list[ResultOut]
    space: str
    index_version: str
    model_version: str
    stats: StatsOut
    timing_ms: dict[str, float]


class TrackPage(BaseModel):
    """A page of the catalogue."""

    tracks: list[TrackOut]
    next_cursor: str | None


class ItemOut(BaseModel):
    """What became of one uploaded track."""

    track: str
    status: Literal["indexed", "unchanged", "failed"]
    stage: str | None = None
    reason: str | None = None


class ItemsOut(BaseModel):
    """What became of every uploaded track."""

    items: list[ItemOut]


class TagsOut(BaseModel):
    """Tag scores in [0, 1], highest first."""

    track: str
    tags: dict[str, float]


class EmbeddingOut(BaseModel):
    """A track's vector in a space, L2 norm 1."""

    track: str
    space: str
    vector: list[float]


class FailureOut(BaseModel):
    """Why a file is not in the catalogue."""

    uri: str
    stage: str
    reason: str
    failed_at: str


class JobOut(BaseModel):
    """One ingest, with its ledger of failures."""

    id: int
    kind: str
    state: str
    source: str
    counts: dict[str, int]
    started_at: str
    finished_at: str | None
    failures: list[FailureOut]


def track_out(track: Track) -> TrackOut:
    """A track for callers: its key as `track`, no internal id and no path."""
    shown = {name: getattr(track, name) for name in TrackOut.model_fields if name not in ("track", "indexed_at")}
    shown["duration_s"] = round(track.duration_s, 3)
    return TrackOut(track=track.key, indexed_at=track.indexed_at.isoformat(), **shown)


def answer_out(answer: Answer) -> AnswerOut:
    """An answer for callers."""
    results = [
        ResultOut(
            track=result.track.key,
            score=round(result.score, 6),
            rank=result.rank,
            metadata=_shown_metadata(result.track),
            explain=None if result.explain is None else dict(result.explain),
        )
        for result in answer.results
    ]
    return AnswerOut(
        results=results,
        space=answer.space,
        index_version=answer.index_version,
        model_version=answer.model_version,
        stats=StatsOut(**asdict(answer.stats)),
        timing_ms=dict(answer.timing_ms),
    )


def job_out(job: Job, failures: list[Failure]) -> JobOut:
    """A job with its failures for callers."""
    return JobOut(
        id=job.id,
        kind=job.kind,
        state=job.state,
        source=job.source,
        counts=dict(job.counts),
        started_at=job.started_at.isoformat(),
        finished_at=None if job.finished_at is None else job.finished_at.isoformat(),
        failures=[failure_out(failure) for failure in failures],
    )


def failure_out(failure: Failure) -> FailureOut:
    """A failure for callers."""
    return FailureOut(
        uri=failure.uri, stage=failure.stage, reason=failure.reason, failed_at=failure.failed_at.isoformat()
    )


def _shown_metadata(track: Track) -> dict[str, Any]:
    shown = {name: getattr(track, name) for name in ("title", "artist", "album", "genre", "year")}
    return shown | {"duration_s": round(track.duration_s, 3), "meta": dict(track.metadata)}
