"""Everything known of a track, as JSON: its file, what is heard in it, what is said of it, and what is near."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel, Field

from api.documents.voice import CorrectedTrackOut, corrected_track_out
from retrieval.errors import IndexMissingError, MissingEmbeddingError
from retrieval.search.query import similar

if TYPE_CHECKING:
    from api.wiring import Soundalike
    from retrieval.catalog.records import Track
    from retrieval.search.query import Answer

NEAREST = 5
_EMBEDDING = "embedding/"


class FileOut(BaseModel):
    """Where a track's audio lies; no size where the file is not there."""

    path: str
    size_bytes: int | None
    content_hash: str


class NearOut(BaseModel):
    """A track that sounds alike."""

    track: str
    score: float
    title: str | None
    artist: str | None


class FailedOut(BaseModel):
    """What went wrong when the file was last read."""

    stage: str
    reason: str


class KnownOut(CorrectedTrackOut):
    """A track with all that is known of it; `nearest` is null where no space holds it."""

    file: FileOut
    tags: dict[str, float]
    analyses: dict[str, str] = Field(description="the version of each stage that listened to it")
    spaces: list[str]
    failures: list[FailedOut]
    space: str | None = Field(description="that `nearest` is of")
    nearest: list[NearOut] | None


def known_out(here: Soundalike, track: Track) -> KnownOut:
    """Everything known of a track, for callers."""
    stored = here.catalog.stored_tracks([track.key])[track.key]
    path = Path(track.uri)
    try:
        size_bytes = path.stat().st_size
    except OSError:
        size_bytes = None
    answer = _nearest(here, track)
    return KnownOut(
        **corrected_track_out(here.catalog, track).model_dump(),
        file=FileOut(path=track.uri, size_bytes=size_bytes, content_hash=track.content_hash),
        tags=here.catalog.tags_of([track.id])[track.id],
        analyses=dict(sorted(stored.analyses.items())),
        spaces=sorted(stage.removeprefix(_EMBEDDING) for stage in stored.analyses if stage.startswith(_EMBEDDING)),
        failures=[
            FailedOut(stage=one.stage, reason=one.reason) for one in here.ledger.failures() if one.uri == track.uri
        ],
        space=None if answer is None else answer.space,
        nearest=None
        if answer is None
        else [
            NearOut(track=one.track.key, score=one.score, title=one.track.title, artist=one.track.artist)
            for one in answer.results
        ],
    )


def _nearest(here: Soundalike, track: Track) -> Answer | None:
    try:
        return here.search.answer(similar(track.key, limit=NEAREST))
    except (IndexMissingError, MissingEmbeddingError):
        return None
