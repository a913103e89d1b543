"""Every SQL statement on tracks and their analysis.

One track's analysis is written in one transaction. Revisions: see `retrieval.models`.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, Row, Select, delete, func, literal_column, select, text, update
from sqlalchemy.dialects.postgresql import insert

from retrieval.errors import MissingEmbeddingError, UnknownTrackError
from retrieval.models import chords, embeddings, languages, loops, rhythm, sections, tags, track_revision, tracks
from retrieval.records import IndexChange, SpaceEmbedding, StoredTrack, Track, TrackAnalysis, TrackSegments

VECTOR_DTYPE = np.dtype("<f2")
REVISION_LOCK = 0x536F756E  # one key for every writer of revisions
ROWS_A_FETCH = 5_000


TRACK_FIELDS = tuple(Track.__annotations__)
_TRACK_COLUMNS = tuple(tracks.c[name] for name in TRACK_FIELDS)
_ANALYSIS_TABLES = (embeddings, tags, languages, sections, loops, chords, rhythm)


class Catalog:
    """Reads and writes of tracks, over one SQLAlchemy engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    # Writing -----------------------------------------------------------------------------------------------------

    def store(self, analysis: TrackAnalysis) -> int:
        """Write one track and its analysis in one transaction, and return its new revision.

        Changed audio drops everything known of the old; unchanged audio keeps the spaces that `analysis` does not name.
        """
        with self.engine.begin() as connection:
            revision = _next_revision(connection)
            stored = connection.execute(
                select(tracks.c.id, tracks.c.content_hash).where(tracks.c.key == analysis.key)
            ).one_or_none()
            track_id = _upsert_track(connection, analysis, revision)
            if stored is not None and stored.content_hash != analysis.content_hash:
                _delete_analysis(connection, track_id)
            for embedding in analysis.spaces:
                _replace_embedding(connection, track_id, embedding, analysis.duration_s)
            if analysis.tags is not None:
                connection.execute(delete(tags).where(tags.c.track_id == track_id))
                rows = [{"track_id": track_id, "tag": tag, "score": score} for tag, score in analysis.tags.items()]
                if rows:
                    connection.execute(insert(tags), rows)
        return revision

    def delete(self, key: str) -> int:
        """Mark a track as deleted, drop its analysis, and return the new revision.

        Raises
        ------
        UnknownTrackError
            If there is no such track.
        """
        with self.engine.begin() as connection:
            revision = _next_revision(connection)
            track_id = connection.execute(
                update(tracks)
                .where(tracks.c.key == key, tracks.c.deleted_at.is_(None))
                .values(deleted_at=func.now(), revision=revision)
                .returning(tracks.c.id)
            ).scalar()
            if track_id is not None:
                _delete_analysis(connection, track_id)
        if track_id is None:
            raise UnknownTrackError(key, self.nearest_keys(key))
        return revision

    # Reading tracks ------------------------------------------------------------------------------------------------

    def track(self, key: str) -> Track:
        """The live track with this key.

        Raises
        ------
        UnknownTrackError
            If there is none; carries the nearest keys.
        """
        found = self._tracks(select(*_TRACK_COLUMNS).where(tracks.c.key == key, tracks.c.deleted_at.is_(None)))
        if not found:
            raise UnknownTrackError(key, self.nearest_keys(key))
        return found[0]

    def track_at(self, uri: str) -> Track | None:
        """The live track whose audio lies at `uri`, if any."""
        found = self._tracks(select(*_TRACK_COLUMNS).where(tracks.c.uri == uri, tracks.c.deleted_at.is_(None)))
        return found[0] if found else None

    def tracks_by_id(self, track_ids: Sequence[int]) -> dict[int, Track]:
        """Live tracks by id; ids that are unknown or deleted are absent."""
        statement = select(*_TRACK_COLUMNS).where(
            tracks.c.id == func.any(list(track_ids)), tracks.c.deleted_at.is_(None)
        )
        return {track.id: track for track in self._tracks(statement)}

    def ids_by_key(self, keys: Sequence[str]) -> dict[str, int]:
        """Ids of live tracks by key; unknown keys are absent."""
        statement = select(tracks.c.key, tracks.c.id).where(
            tracks.c.key == func.any(list(keys)), tracks.c.deleted_at.is_(None)
        )
        with self.engine.connect() as connection:
            return {row.key: row.id for row in connection.execute(statement)}

    def list_tracks(self, *, after_id: int, limit: int, only: Sequence[int] | None = None) -> list[Track]:
        """Live tracks in order of id, from the one after `after_id`; `only` narrows to these ids."""
        statement = select(*_TRACK_COLUMNS).where(tracks.c.id > after_id, tracks.c.deleted_at.is_(None))
        if only is not None:
            statement = statement.where(tracks.c.id == func.any(list(only)))
        return self._tracks(statement.order_by(tracks.c.id).limit(limit))

    def nearest_keys(self, key: str, *, limit: int = 3) -> list[str]:
        """Live keys most like `key` by trigrams, most alike first."""
        statement = (
            select(tracks.c.key)
            .where(tracks.c.deleted_at.is_(None))
            .order_by(tracks.c.key.op("<->")(key), tracks.c.key)
            .limit(limit)
        )
        with self.engine.connect() as connection:
            return list(connection.execute(statement).scalars())

    def tags_of(self, track_ids: Sequence[int]) -> dict[int, dict[str, float]]:
        """Tag scores in [0, 1] by track, highest first."""
        statement = (
            select(tags.c.track_id, tags.c.tag, tags.c.score)
            .where(tags.c.track_id == func.any(list(track_ids)))
            .order_by(tags.c.track_id, tags.c.score.desc(), tags.c.tag)
        )
        scores: dict[int, dict[str, float]] = {track_id: {} for track_id in track_ids}
        with self.engine.connect() as connection:
            for row in connection.execute(statement):
                scores[row.track_id][row.tag] = row.score
        return scores

    def track_vector(self, track_id: int, space: str) -> NDArray[np.float32]:
        """The track's embedding, float32 [dim].

        Raises
        ------
        MissingEmbeddingError
            If the track was never encoded in this space.
        """
        statement = select(embeddings.c.vector).where(_whole_track(space), embeddings.c.track_id == track_id)
        with self.engine.connect() as connection:
            vector = connection.execute(statement).scalar()
        if vector is None:
            raise MissingEmbeddingError(f"the track has no embedding in space {space!r}: index it with that space")
        return np.frombuffer(vector, VECTOR_DTYPE).astype(np.float32)

    def segments(self, space: str) -> Iterator[TrackSegments]:
        """The segments of every track in `space`, in order of track."""
        statement = (
            select(embeddings.c.track_id, embeddings.c.start_s, embeddings.c.end_s, embeddings.c.vector)
            .where(embeddings.c.space == space, embeddings.c.segment_no.is_not(None))
            .order_by(embeddings.c.track_id, embeddings.c.segment_no)
        )
        for track_id, rows in groupby(self._stream(statement), key=lambda row: int(row.track_id)):
            spans = list(rows)
            vectors = np.stack([np.frombuffer(row.vector, VECTOR_DTYPE) for row in spans]).astype(np.float32)
            starts_s, ends_s = (np.array([getattr(row, name) for row in spans]) for name in ("start_s", "end_s"))
            yield TrackSegments(track_id, starts_s, ends_s, vectors)

    def stored_tracks(self, keys: Sequence[str] | None = None) -> dict[str, StoredTrack]:
        """What is known of live tracks, by key, all of them or these: enough to tell which files need no analysis."""
        versions = (
            select(
                embeddings.c.track_id,
                func.jsonb_object_agg(embeddings.c.space, embeddings.c.encoder_version).label("versions"),
            )
            .where(embeddings.c.segment_no.is_(None))
            .group_by(embeddings.c.track_id)
            .subquery()
        )
        statement = (
            select(tracks.c.key, tracks.c.uri, tracks.c.content_hash, tracks.c.size_bytes, tracks.c.modified_ns)
            .add_columns(tracks.c.duration_s)
            .add_columns(func.coalesce(versions.c.versions, literal_column("'{}'::jsonb")).label("versions"))
            .outerjoin(versions, versions.c.track_id == tracks.c.id)
            .where(tracks.c.deleted_at.is_(None))
        )
        with self.engine.connect() as connection:
            return {row.key: StoredTrack(*row[1:]) for row in connection.execute(statement)}

    def count(self) -> int:
        """Number of live tracks."""
        with self.engine.connect() as connection:
            return connection.execute(
                select(func.count()).select_from(tracks).where(tracks.c.deleted_at.is_(None))
            ).scalar_one()

    # Following by revision -----------------------------------------------------------------------------------------

    def revision(self) -> int:
        """The newest committed revision; 0 in an empty catalogue."""
        with self.engine.connect() as connection:
            return int(connection.execute(select(func.coalesce(func.max(tracks.c.revision), 0))).scalar_one())

    def encoder_version(self, space: str) -> str | None:
        """The encoder version that wrote to `space` last, or none."""
        statement = (
            select(embeddings.c.encoder_version)
            .join(tracks, tracks.c.id == embeddings.c.track_id)
            .where(_whole_track(space))
            .order_by(tracks.c.revision.desc())
            .limit(1)
        )
        with self.engine.connect() as connection:
            return connection.execute(statement).scalar()

    def dim(self, space: str, encoder_version: str) -> int:
        """The size of the vectors that this version wrote to `space`; 0 when there is none."""
        statement = (
            select(func.octet_length(embeddings.c.vector))
            .where(_whole_track(space), embeddings.c.encoder_version == encoder_version)
            .limit(1)
        )
        with self.engine.connect() as connection:
            return int(connection.execute(statement).scalar() or 0) // VECTOR_DTYPE.itemsize

    def spaces(self) -> dict[str, dict[str, int]]:
        """Live tracks counted by space and encoder version."""
        statement = (
            select(embeddings.c.space, embeddings.c.encoder_version, func.count().label("n"))
            .where(embeddings.c.segment_no.is_(None))
            .group_by(embeddings.c.space, embeddings.c.encoder_version)
            .order_by(embeddings.c.space)
        )
        counts: dict[str, dict[str, int]] = {}
        with self.engine.connect() as connection:
            for row in connection.execute(statement):
                counts.setdefault(row.space, {})[row.encoder_version] = row.n
        return counts

    def index_changes(self, space: str, *, after: int) -> Iterator[IndexChange]:
        """Tracks with a revision beyond `after`, oldest first, each with its vector in `space`."""
        statement = (
            select(tracks.c.id, tracks.c.revision, tracks.c.deleted_at.is_not(None).label("deleted"))
            .add_columns(embeddings.c.vector, embeddings.c.encoder_version)
            .outerjoin(embeddings, (embeddings.c.track_id == tracks.c.id) & _whole_track(space))
            .where(tracks.c.revision > after)
            .order_by(tracks.c.revision)
        )
        for row in self._stream(statement):
            vector = None if row.vector is None else np.frombuffer(row.vector, VECTOR_DTYPE)
            yield IndexChange(row.id, row.revision, row.deleted, vector, row.encoder_version)

    def attribute_changes(self, *, after: int) -> Iterator[Row[Any]]:
        """Filterable columns of tracks with a revision beyond `after`, oldest first."""
        columns = [tracks.c[name] for name in ("id", "revision", "key", "title", "artist", "album", "genre", "year")]
        statement = (
            select(*columns, tracks.c.duration_s, tracks.c.vocal_ratio, tracks.c.metadata)
            .add_columns(tracks.c.deleted_at.is_not(None).label("deleted"))
            .where(tracks.c.revision > after)
            .order_by(tracks.c.revision)
        )
        return self._stream(statement)

    def tag_changes(self, *, after: int, until: int) -> Iterator[Row[Any]]:
        """Rows of (tag, track_id, score) of tracks with a revision beyond `after`, up to `until`."""
        return self._stream(
            select(tags.c.tag, tags.c.track_id, tags.c.score)
            .join(tracks, tracks.c.id == tags.c.track_id)
            .where(tracks.c.revision > after, tracks.c.revision <= until)
        )

    # Plumbing ------------------------------------------------------------------------------------------------------

    def _stream(self, statement: Select[Any]) -> Iterator[Row[Any]]:
        with (
            self.engine.connect().execution_options(yield_per=ROWS_A_FETCH) as connection,
            closing(connection.execute(statement)) as rows,
        ):
            yield from rows

    def _tracks(self, statement: Select[Any]) -> list[Track]:
        with self.engine.connect() as connection:
            return [Track(*row) for row in connection.execute(statement)]


def _whole_track(space: str) -> Any:
    return (embeddings.c.space == space) & embeddings.c.segment_no.is_(None)


def _next_revision(connection: Connection) -> int:
    # Held until commit: revisions become visible in the order in which they were drawn.
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": REVISION_LOCK})
    return int(connection.execute(track_revision.next_value().select()).scalar_one())


def _upsert_track(connection: Connection, analysis: TrackAnalysis, revision: int) -> int:
    names = (
        "uri",
        "content_hash",
        "size_bytes",
        "modified_ns",
        "duration_s",
        "title",
        "artist",
        "album",
        "genre",
        "year",
    )
    values: dict[str, Any] = {name: getattr(analysis, name) for name in names}
    values |= {"metadata": dict(analysis.metadata), "revision": revision, "deleted_at": None, "indexed_at": func.now()}
    statement = (
        insert(tracks)
        .values(key=analysis.key, **values)
        .on_conflict_do_update(index_elements=[tracks.c.key], set_=values)
        .returning(tracks.c.id)
    )
    return int(connection.execute(statement).scalar_one())


def _delete_analysis(connection: Connection, track_id: int) -> None:
    for table in _ANALYSIS_TABLES:
        connection.execute(delete(table).where(table.c.track_id == track_id))


def _replace_embedding(connection: Connection, track_id: int, embedding: SpaceEmbedding, duration_s: float) -> None:
    same_space = (embeddings.c.track_id == track_id) & (embeddings.c.space == embedding.space)
    connection.execute(delete(embeddings).where(same_space))
    common: dict[str, Any] = {
        "track_id": track_id,
        "space": embedding.space,
        "encoder_version": embedding.encoder_version,
    }
    whole: dict[str, Any] = {
        "segment_no": None,
        "start_s": 0.0,
        "end_s": duration_s,
        "vector": _to_bytes(embedding.track_vector),
    }
    segments: list[dict[str, Any]] = [
        {"segment_no": number, "start_s": float(start_s), "end_s": float(end_s), "vector": _to_bytes(vector)}
        for number, (start_s, end_s, vector) in enumerate(
            zip(embedding.starts_s, embedding.ends_s, embedding.segment_vectors, strict=True)
        )
    ]
    connection.execute(insert(embeddings), [common | row for row in (whole, *segments)])


def _to_bytes(vector: NDArray[np.float32]) -> bytes:
    return vector.astype(VECTOR_DTYPE).tobytes()
