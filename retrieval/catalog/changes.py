"""Following the catalogue by revision: what an index, and what filters, need of the tracks that changed.

A share of time is the summed length of the spans with one label over the track's duration, at most 1. It is rounded to
a billionth, so that the order in which PostgreSQL adds the spans up does not show.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, islice
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import (
    ColumnElement,
    Connection,
    Double,
    Engine,
    Numeric,
    Row,
    Select,
    Table,
    Text,
    cast,
    func,
    select,
    true,
)

from retrieval.catalog.conditions import RHYTHM_NUMBER_KEYS, RHYTHM_TEXT_KEYS
from retrieval.catalog.files.presence import GONE, PRESENT
from retrieval.catalog.heard.music import PARTS
from retrieval.catalog.records import Granularity
from retrieval.catalog.tables import chords, embeddings, languages, melodies, rhythm, sections, tags, tracks
from retrieval.catalog.writing.tracks import VECTOR_DTYPE

ROWS_A_FETCH = 5_000
SHARE_DECIMALS = 9


@dataclass(frozen=True)
class IndexChange:
    """One track as an index of one space sees it.

    Attributes
    ----------
    deleted : or its file is missing
    vectors : float16 [n, dim], the whole track's or its segments'; none: deleted, or never encoded in this space
    spans_s : float32 [n, 2], start and end of each
    """

    track_id: int
    revision: int
    deleted: bool
    vectors: NDArray[np.float16] | None
    encoder_version: str | None
    spans_s: NDArray[np.float32]


# For an index ---------------------------------------------------------------------------------------------------------


def index_changes(
    engine: Engine, space: str, granularity: Granularity = "track", *, after: int, version: str | None = None
) -> Iterator[IndexChange]:
    """Tracks with a revision beyond `after`, oldest first, each with its rows in `space`: unit vectors.

    The rows are those that this version of the encoder made, or where it made none, those of one other.
    """
    rows_of_space = whole_track(space) if granularity == "track" else segments(space)
    changed = (
        select(tracks.c.id, tracks.c.revision, GONE.label("deleted"))
        .where(tracks.c.revision > after)
        .order_by(tracks.c.revision)
    )
    # By the ids of a few thousand tracks at a time: a join of everything has been planned, right after a large
    # ingest and before PostgreSQL had looked at it, in a way that takes hours.
    with engine.connect() as connection:
        stream = _stream(connection, changed)
        while chunk := list(islice(stream, ROWS_A_FETCH)):
            by_track = _rows_of(engine, [track.id for track in chunk], rows_of_space)
            for track in chunk:
                rows = None if track.deleted else by_track.get(track.id)
                if rows is None:
                    yield IndexChange(track.id, track.revision, track.deleted, None, None, np.empty((0, 2), np.float32))
                    continue
                made_by = {row.encoder_version for row in rows}
                chosen = version if version in made_by else min(made_by)
                rows = [row for row in rows if row.encoder_version == chosen]
                vectors = np.stack([np.frombuffer(row.vector, VECTOR_DTYPE) for row in rows])
                spans_s = np.array([(row.start_s, row.end_s) for row in rows], np.float32)
                if granularity == "segment":
                    vectors = _unit(vectors)
                yield IndexChange(track.id, track.revision, track.deleted, vectors, chosen, spans_s)


def whole_track(space: str) -> ColumnElement[bool]:
    """Rows of `embeddings` that stand for a track, in a space."""
    return (embeddings.c.space == space) & embeddings.c.segment_no.is_(None)


def segments(space: str) -> ColumnElement[bool]:
    """Rows of `embeddings` that stand for a segment, in a space."""
    return (embeddings.c.space == space) & embeddings.c.segment_no.is_not(None)


def _rows_of(engine: Engine, track_ids: Sequence[int], only: ColumnElement[bool]) -> dict[int, list[Row[Any]]]:
    """Rows of `embeddings` by track, in order of segment."""
    columns = ("track_id", "vector", "encoder_version", "start_s", "end_s")
    statement = (
        select(*(embeddings.c[name] for name in columns))
        .where(embeddings.c.track_id == func.any(list(track_ids)), only)
        .order_by(embeddings.c.track_id, embeddings.c.segment_no)
    )
    with engine.connect() as connection:
        rows = connection.execute(statement)
        return {track_id: list(group) for track_id, group in groupby(rows, key=lambda row: int(row.track_id))}


def _unit(vectors: NDArray[np.float16]) -> NDArray[np.float16]:
    """Segments are stored as they were encoded, at any norm."""
    exact = vectors.astype(np.float32)
    norms = np.linalg.norm(exact, axis=1, keepdims=True)
    return (exact / np.where(norms > 0, norms, 1)).astype(VECTOR_DTYPE)


# For filters ----------------------------------------------------------------------------------------------------------


def track_changes(*, connection: Connection, after: int) -> Iterator[Row[Any]]:
    """The catalogue's own columns of tracks with a revision beyond `after`, oldest first; what is gone is flagged."""
    names = ("id", "revision", "key", "title", "artist", "album", "genre", "year", "duration_s")
    statement = (
        select(*(tracks.c[name] for name in names), tracks.c.vocal_ratio, tracks.c.speech_ratio, tracks.c.metadata)
        .add_columns(cast(tracks.c.partial, Text).label("partial"), GONE.label("deleted"))
        .where(tracks.c.revision > after)
        .order_by(tracks.c.revision)
    )
    return _stream(connection, statement)


def named_changes(family: str, *, connection: Connection, after: int, until: int) -> Iterator[Row[Any]]:
    """Rows of (name, track_id, number) of tracks with a revision beyond `after`, up to `until`.

    The family is ``tags`` (number: the score), ``language`` (the ratio), ``chords`` or ``sections`` (the share of the
    time).
    """
    if family == "tags":
        return _of_changed(connection, select(tags.c.tag, tags.c.track_id, tags.c.score), tags, after, until)
    if family == "language":
        columns = languages.c.language, languages.c.track_id, languages.c.ratio
        return _of_changed(connection, select(*columns), languages, after, until)
    spans = chords if family == "chords" else sections
    shares = (
        select(spans.c.label, spans.c.track_id, share_of_time(spans).label("share"))
        .where(tracks.c.duration_s > 0, is_counted(spans))
        .group_by(spans.c.track_id, spans.c.label, tracks.c.duration_s)
    )
    return _of_changed(connection, shares, spans, after, until)


def rhythm_changes(*, connection: Connection, after: int, until: int) -> Iterator[Row[Any]]:
    """Rows of (track_id, tempo, meter, key, mode) of tracks with a revision beyond `after`, up to `until`."""
    statement = select(rhythm.c.track_id, *(rhythm.c[key] for key in (*RHYTHM_NUMBER_KEYS, *RHYTHM_TEXT_KEYS)))
    return _of_changed(connection, statement, rhythm, after, until)


def melody_changes(*, connection: Connection, after: int, until: int) -> Iterator[Row[Any]]:
    """Rows of (track_id, step_s, pitches) of live tracks with a revision beyond `after`, up to `until`."""
    statement = select(melodies.c.track_id, melodies.c.step_s, melodies.c.pitches)
    return _of_changed(connection, statement, melodies, after, until)


def is_counted(spans: Table) -> ColumnElement[bool]:
    """Whether a span counts towards a share of time: of sections the parts do, and not their phrases once more."""
    return sections.c.level == PARTS if spans is sections else true()


def share_of_time(spans: Table) -> ColumnElement[float]:
    """The share that a group of one track's spans has of its time."""
    share = func.least(func.sum(spans.c.end_s - spans.c.start_s) / tracks.c.duration_s, 1.0)
    return cast(func.round(cast(share, Numeric), SHARE_DECIMALS), Double)


def _of_changed(
    connection: Connection, statement: Select[Any], table: Table, after: int, until: int
) -> Iterator[Row[Any]]:
    of_tracks = statement.join(tracks, tracks.c.id == table.c.track_id)
    return _stream(connection, of_tracks.where(PRESENT, tracks.c.revision > after, tracks.c.revision <= until))


def _stream(connection: Connection, statement: Select[Any]) -> Iterator[Row[Any]]:
    with closing(connection.execute(statement, execution_options={"yield_per": ROWS_A_FETCH})) as rows:
        yield from rows
