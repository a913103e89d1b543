"""Files that are not there any more: marked, and left out of answers, with all that is known of them kept."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import func, or_, select, update

from retrieval.catalog.tables import tracks
from retrieval.catalog.writing.statements import draw_revisions

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from sqlalchemy import ColumnElement, Engine

PRESENT = tracks.c.deleted_at.is_(None) & tracks.c.missing_since.is_(None)
"""Tracks that answers may name."""
GONE = or_(tracks.c.deleted_at.is_not(None), tracks.c.missing_since.is_not(None))
"""Tracks that no index holds."""
MISSING_IDS = select(tracks.c.id).where(tracks.c.missing_since.is_not(None)).scalar_subquery()


@dataclass(frozen=True)
class Placed:
    """A live track and where its file lies, or lay; when it was first missed."""

    id: int
    key: str
    uri: str
    missing_since: datetime | None


def tracks_under(engine: Engine, folder: str) -> list[Placed]:
    """Live tracks whose files lie under a folder, in order of their paths."""
    return _placed(engine, tracks.c.uri.startswith(f"{folder.rstrip('/')}/", autoescape=True))


def missing_tracks(engine: Engine) -> list[Placed]:
    """Live tracks whose files are missing, in order of their paths."""
    return _placed(engine, tracks.c.missing_since.is_not(None))


def mark_missing(engine: Engine, track_ids: Sequence[int]) -> int | None:
    """Leave tracks out of answers until their files are there again; the newest revision, none where nothing is new."""
    with engine.begin() as connection:
        news = select(tracks.c.id).where(tracks.c.id == func.any(list(track_ids)), PRESENT)
        ids = list(connection.execute(news).scalars())
        revisions = draw_revisions(connection, len(ids)) if ids else []
        for track_id, revision in zip(ids, revisions, strict=True):
            marked = update(tracks).where(tracks.c.id == track_id)
            connection.execute(marked.values(missing_since=func.now(), revision=revision))
    return revisions[-1] if revisions else None


def ignored_files(engine: Engine) -> list[Placed]:
    """Files that were deleted from the catalogue and are not to come in again, in order of their paths."""
    columns = select(tracks.c.id, tracks.c.key, tracks.c.uri, tracks.c.ignored_at)
    with engine.connect() as connection:
        rows = connection.execute(columns.where(tracks.c.ignored_at.is_not(None)).order_by(tracks.c.uri))
        return [Placed(*row) for row in rows]


def _placed(engine: Engine, condition: ColumnElement[bool]) -> list[Placed]:
    columns = select(tracks.c.id, tracks.c.key, tracks.c.uri, tracks.c.missing_since)
    with engine.connect() as connection:
        rows = connection.execute(columns.where(tracks.c.deleted_at.is_(None), condition).order_by(tracks.c.uri))
        return [Placed(*row) for row in rows]
