"""What was seen in clips that somebody asked about, kept for the next question about them; the oldest make room."""

from sqlalchemy import Engine, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from retrieval.catalog.tables import clips
from retrieval.errors import UnknownClipError

MOST = 1_000
"""Clips that are kept: about 300 kB a minute of them."""


def keep_clip(engine: Engine, clip_id: str, version: str, seen: bytes) -> None:
    """Keep what was seen of a clip, as whoever looked at it writes that."""
    values = {"id": clip_id, "version": version, "seen": seen}
    kept = select(clips.c.id).order_by(clips.c.stored_at.desc(), clips.c.id).limit(MOST)
    with engine.begin() as connection:
        statement = insert(clips).values(values)
        connection.execute(
            statement.on_conflict_do_update(index_elements=[clips.c.id], set_={**values, "stored_at": func.now()})
        )
        connection.execute(delete(clips).where(clips.c.id.not_in(kept)))


def kept_clip(engine: Engine, clip_id: str, version: str) -> bytes:
    """What was seen of a clip, by what now looks at clips.

    Raises
    ------
    UnknownClipError
        If it is not kept: it never was, other clips took its place, or something else looked at it.
    """
    statement = select(clips.c.seen).where(clips.c.id == clip_id, clips.c.version == version)
    with engine.connect() as connection:
        seen: bytes | None = connection.execute(statement).scalar()
    if seen is None:
        raise UnknownClipError(f"no clip {clip_id!r} is kept: send it again")
    return seen
