"""What goes out over HTTP alone: pages, batches, what became of uploads, jobs."""

from dataclasses import asdict
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from api.documents.answer import AnswerOut, TrackOut
from api.http.problems import Problem
from retrieval.catalog.ledger import Failure, Job


class BatchOut(BaseModel):
    """What became of each search, in their order: its answer, or its problem document."""

    answers: list[AnswerOut | Problem]


class TrackPage(BaseModel):
    """A page of the catalogue."""

    tracks: list[TrackOut]
    next_cursor: str | None


class ItemOut(BaseModel):
    """What became of one uploaded track; one that is indexed with a stage and a reason lacks what that stage makes."""

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


def job_out(job: Job, failures: list[Failure]) -> JobOut:
    """A job with its failures for callers."""
    return JobOut(**_shown(job), failures=[FailureOut(**_shown(failure)) for failure in failures])


def _shown(record: Job | Failure) -> dict[str, Any]:
    """Its fields, moments in ISO 8601."""
    fields = asdict(record).items()
    return {name: value.isoformat() if isinstance(value, datetime) else value for name, value in fields}
