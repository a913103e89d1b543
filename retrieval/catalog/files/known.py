"""What the catalogue knows of files: by their keys, by where they lie, and by what is heard in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy import func, literal_column, or_, select

from retrieval.catalog.files.presence import PRESENT
from retrieval.catalog.tables import KEY_TEXT, analyses, tracks
from retrieval.catalog.writing.statements import among

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Engine, Select

ALIKE, IS_IN = 0.3, 0.7
"""Shares of trigrams: from which on a key is like another, as PostgreSQL has it, or like a part of another."""


@dataclass(frozen=True)
class StoredTrack:
    """What the catalogue knows of a file that was analysed before.

    Attributes
    ----------
    content_hash, audio_hash : of the file; of what is heard in it, none where nobody looked yet
    changed_ns : none where nobody looked yet
    missing, ignored : its file was not there when it was looked for; it was deleted, and is not to come in again
    analyses : the version of each stage that ran
    """

    key: str
    uri: str
    content_hash: str
    audio_hash: str | None
    size_bytes: int
    modified_ns: int
    changed_ns: int | None
    duration_s: float
    missing: bool
    ignored: bool
    analyses: Mapping[str, str]
    title: str | None = None
    artist: str | None = None
    album: str | None = None

    def sounds_as(self, content_hash: str, audio_hash: str | None) -> bool:
        """Whether it is the same file, or what is heard in it is the same."""
        return self.content_hash == content_hash or (audio_hash is not None and self.audio_hash == audio_hash)


_VERSIONS = (
    select(func.jsonb_object_agg(analyses.c.stage, analyses.c.version))
    .where(analyses.c.track_id == tracks.c.id)
    .scalar_subquery()
)
_LIVE = tracks.c.deleted_at.is_(None)
_KNOWN = select(
    *(tracks.c[name] for name in ("key", "uri", "content_hash", "audio_hash", "size_bytes", "modified_ns")),
    *(tracks.c.changed_ns, tracks.c.duration_s, tracks.c.missing_since.is_not(None), tracks.c.ignored_at.is_not(None)),
    func.coalesce(_VERSIONS, literal_column("'{}'::jsonb")),
    *(tracks.c[name] for name in ("title", "artist", "album")),
)


def with_keys(engine: Engine, keys: Sequence[str]) -> dict[str, StoredTrack]:
    """Live tracks by key; unknown keys are absent."""
    return {one.key: one for one in _read(engine, _KNOWN.select_from(among(tracks.c.key, keys)).where(_LIVE))}


def lying_at(engine: Engine, uris: Sequence[str]) -> dict[str, StoredTrack]:
    """Live tracks, and those that are ignored, by where their file lies; a live one before one that is ignored."""
    wanted = or_(_LIVE, tracks.c.ignored_at.is_not(None))
    statement = _KNOWN.select_from(among(tracks.c.uri, uris)).where(wanted)
    return {one.uri: one for one in _read(engine, statement.order_by(_LIVE, tracks.c.id.desc()))}


def sounding_as(engine: Engine, content_hash: str, audio_hash: str | None) -> list[StoredTrack]:
    """Live tracks, and those that are ignored, of the same file or the same sound; equal files first."""
    same_file = tracks.c.content_hash == content_hash
    same = same_file if audio_hash is None else or_(same_file, tracks.c.audio_hash == audio_hash)
    statement = _KNOWN.where(same, or_(_LIVE, tracks.c.ignored_at.is_not(None)))
    return _read(engine, statement.order_by(same_file.desc(), tracks.c.id))


def keys_like(engine: Engine, key: str, *, limit: int) -> list[str]:
    """Keys of tracks that are there, most like another by trigrams first; those that are not like it are none."""
    likeness = func.similarity(KEY_TEXT, key), func.word_similarity(key, KEY_TEXT)
    statement = select(tracks.c.key, *likeness).where(PRESENT)
    with engine.connect() as connection:
        nearest = connection.execute(statement.order_by(KEY_TEXT.op("<->")(key), tracks.c.key).limit(limit))
        return [near for near, as_a_whole, in_it in nearest if as_a_whole >= ALIKE or in_it >= IS_IN]


def _read(engine: Engine, statement: Select[Any]) -> list[StoredTrack]:
    with engine.connect() as connection:
        return [StoredTrack(*row) for row in connection.execute(statement)]
