"""Reads and writes of tracks and their analysis.

What is written together commits in one transaction (`retrieval.catalog.writing`). Revisions: see
`retrieval.catalog.tables`.
"""

import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import JSON, ColumnElement, Connection, Engine, Select, Text, cast, func, literal_column, select
from sqlalchemy.dialects.postgresql import aggregate_order_by

from retrieval.catalog.changes import segments, whole_track
from retrieval.catalog.condition_sql import holds
from retrieval.catalog.conditions import Condition
from retrieval.catalog.corrections import checked
from retrieval.catalog.files.known import StoredTrack, keys_like, lying_at, sounding_as, with_keys
from retrieval.catalog.files.presence import MISSING_IDS, PRESENT, mark_missing
from retrieval.catalog.heard.voices import LANGUAGES_OF_TRACK
from retrieval.catalog.holdings import answering_version, folders_without
from retrieval.catalog.records import Labels, Track, TrackAnalysis, TrackSegments
from retrieval.catalog.tables import embeddings, fingerprints, rhythm, tags, tracks
from retrieval.catalog.writing.corrections import correct_track
from retrieval.catalog.writing.tracks import VECTOR_DTYPE, WORD_DTYPE, delete_superseded, delete_track, store_tracks
from retrieval.errors import MissingEmbeddingError, UnknownTrackError

ASKED_AT_ONCE = 100_000
CONNECTIONS_AT_ONCE = 2

T = TypeVar("T")
R = TypeVar("R")

TRACK_FIELDS = tuple(Track.__annotations__)
_MUSIC = {"tempo": rhythm.c.tempo, "meter": rhythm.c.meter, "tonic": rhythm.c.key, "mode": rhythm.c.mode}
_ELSEWHERE = {"languages": LANGUAGES_OF_TRACK, **_MUSIC}
_COLUMNS = (_ELSEWHERE[name] if name in _ELSEWHERE else tracks.c[name] for name in TRACK_FIELDS)
_LIVE = select(*_COLUMNS).select_from(tracks.outerjoin(rhythm)).where(tracks.c.deleted_at.is_(None))


class Catalog:
    """Reads and writes of tracks, over one SQLAlchemy engine."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._written = 0
        self._written_lock = threading.Lock()

    # Writing -----------------------------------------------------------------------------------------------------

    @property
    def written(self) -> int:
        """The newest revision that was committed through this catalogue object; 0 before the first."""
        return self._written

    def store(self, analysis: TrackAnalysis) -> int:
        """Write one track and its analysis in one transaction, and return its new revision.

        Changed audio drops everything known of the old; unchanged audio keeps what `analysis` does not replace.
        """
        return self.store_many([analysis])

    def store_many(self, batch: Sequence[TrackAnalysis]) -> int:
        """Write tracks and their analyses, all or none of them, and return the newest revision.

        Leaves what `store` leaves that is called for one after the other: every track gets a revision of its own, and
        when a key occurs twice, the last one wins. Nothing to write: the catalogue's revision.
        """
        if not batch:
            return self.revision()
        with self.engine.begin() as connection:
            revision = store_tracks(connection, batch)
        self._committed(revision)
        return revision

    def delete(self, key: str, *, ignore: bool = False) -> int:
        """Mark a track as deleted, drop its analysis, and return the new revision.

        Parameters
        ----------
        ignore : whether its file is to stay out, where it is found again

        Raises
        ------
        UnknownTrackError
            If there is no such track.
        """
        with self.engine.begin() as connection:
            revision = delete_track(connection, key, ignore=ignore)
        if revision is None:
            raise UnknownTrackError(key, self.nearest_keys(key))
        self._committed(revision)
        return revision

    def correct(self, key: str, said: Mapping[str, Any]) -> int:
        """Say what fields of a track are, or with none take that back, and return the track's new revision.

        Raises
        ------
        CorrectionError, UnknownTrackError
            For what cannot be said (:mod:`retrieval.catalog.corrections`); if there is no such track.
        """
        values = checked(said)
        with self.engine.begin() as connection:
            revision = correct_track(connection, key, values)
        if revision is None:
            raise UnknownTrackError(key, self.nearest_keys(key))
        self._committed(revision)
        return revision

    def miss(self, track_ids: Sequence[int]) -> None:
        """Leave tracks out of answers until their files are there again."""
        self._committed(mark_missing(self.engine, track_ids) or 0)

    def drop_superseded(self, space: str, version: str) -> None:
        """Drop what other versions of the encoder made of the tracks that this one has encoded in a space."""
        with self.engine.begin() as connection:
            delete_superseded(connection, space, version)

    def _committed(self, revision: int) -> None:
        with self._written_lock:
            self._written = max(self._written, revision)

    # Reading tracks ------------------------------------------------------------------------------------------------

    def track(self, key: str) -> Track:
        """The live track with this key.

        Raises
        ------
        UnknownTrackError
            If there is none; carries the nearest keys.
        """
        live = self._tracks(_LIVE.where(tracks.c.key == key))
        if not live:
            raise UnknownTrackError(key, self.nearest_keys(key))
        return live[0]

    def track_at(self, uri: str) -> Track | None:
        """The live track whose audio lies at `uri`, if any."""
        live = self._tracks(_LIVE.where(tracks.c.uri == uri))
        return live[0] if live else None

    def tracks_by_id(self, track_ids: Sequence[int]) -> dict[int, Track]:
        """Live tracks by id; ids that are unknown or deleted are absent."""
        return {track.id: track for track in self._tracks(_LIVE.where(tracks.c.id == func.any(list(track_ids))))}

    def ids_by_key(self, keys: Sequence[str]) -> dict[str, int]:
        """Ids of live tracks by key; unknown keys are absent."""

        def read(some: Sequence[str]) -> Iterable[tuple[str, int]]:
            # JSON both ways: an array of texts takes psycopg as long to write as PostgreSQL to find them.
            asked = func.json_array_elements_text(cast(json.dumps(some), Text).cast(JSON)).table_valued("value")
            statement = (
                select(cast(func.json_object_agg(tracks.c.key, tracks.c.id), Text))
                .select_from(asked.join(tracks, tracks.c.key == asked.c.value))
                .where(tracks.c.deleted_at.is_(None))
            )
            ids: dict[str, int] = json.loads(self._value(statement) or "{}")
            return ids.items()

        return dict(_in_pieces(read, list(keys)))

    def ids_by_content(self, hashes: Sequence[str]) -> dict[str, list[int]]:
        """Ids of live tracks, ascending, by the sha256 of their file, hexadecimal; unknown ones are absent."""
        columns = select(tracks.c.content_hash, tracks.c.id).where(PRESENT)

        def read(some: Sequence[str]) -> Iterable[tuple[str, int]]:
            statement = columns.where(tracks.c.content_hash == func.any(list(some)))
            return [(row.content_hash, row.id) for row in self._rows(statement.order_by(tracks.c.id))]

        found: dict[str, list[int]] = {}
        for content_hash, track_id in _in_pieces(read, list(hashes)):
            found.setdefault(content_hash, []).append(track_id)
        return found

    def labels(self, track_ids: NDArray[np.int64]) -> dict[int, Labels]:
        """Labels of these tracks by id, deleted ones included: they may have been found a moment ago."""
        columns = select(tracks.c.id, tracks.c.key, tracks.c.artist, tracks.c.album)

        rows = _in_pieces(lambda some: self._rows(columns.where(tracks.c.id == func.any(some))), track_ids.tolist())
        return {track_id: Labels(key, artist, album) for track_id, key, artist, album in rows}

    def list_tracks(
        self, *, after_id: int, limit: int, condition: Condition | None = None, missing: bool = False
    ) -> list[Track]:
        """Tracks by id, from the one after `after_id`, whose files are there, or are not; under a condition."""
        since = tracks.c.missing_since
        statement = _LIVE.where(tracks.c.id > after_id, since.is_not(None) if missing else since.is_(None))
        if condition is not None:
            statement = statement.where(holds(condition))
        return self._tracks(statement.order_by(tracks.c.id).limit(limit))

    def nearest_keys(self, key: str, *, limit: int = 3) -> list[str]:
        """Live keys most like `key` by trigrams, most alike first; those that are not like it are none."""
        return keys_like(self.engine, key, limit=limit)

    def tags_of(self, track_ids: Sequence[int]) -> dict[int, dict[str, float]]:
        """Tag scores in [0, 1] by track, highest first."""
        statement = (
            select(tags.c.track_id, tags.c.tag, tags.c.score)
            .where(tags.c.track_id == func.any(list(track_ids)))
            .order_by(tags.c.track_id, tags.c.score.desc(), tags.c.tag)
        )
        scores: dict[int, dict[str, float]] = {track_id: {} for track_id in track_ids}
        for row in self._rows(statement):
            scores[row.track_id][row.tag] = row.score
        return scores

    def fingerprints_of(self, track_ids: Sequence[int]) -> dict[int, NDArray[np.int32]]:
        """Chromaprint fingerprints, int32 [≥ 1], by track; tracks without one, or too short for one, are absent."""
        statement = select(fingerprints).where(
            fingerprints.c.track_id == func.any(list(track_ids)), func.octet_length(fingerprints.c.words) > 0
        )
        rows = self._rows(statement)
        return {row.track_id: np.frombuffer(row.words, WORD_DTYPE).astype(np.int32) for row in rows}

    def track_vector(self, track_id: int, space: str, encoder_version: str | None = None) -> NDArray[np.float32]:
        """The track's embedding, float32 [dim], of this version where there are several.

        Raises
        ------
        MissingEmbeddingError
            If the track was never encoded in this space.
        """
        of_track = embeddings.c.track_id == track_id
        first = (embeddings.c.encoder_version == encoder_version).desc()
        vector = self._value(select(embeddings.c.vector).where(whole_track(space), of_track).order_by(first))
        if vector is None:
            raise MissingEmbeddingError(f"the track has no embedding in space {space!r}: index it with that space")
        return np.frombuffer(vector, VECTOR_DTYPE).astype(np.float32)

    def segments_of(self, track_ids: Sequence[int], space: str, encoder_version: str) -> dict[int, TrackSegments]:
        """The segments of these tracks in `space`; tracks that this version never encoded are absent."""
        nothing: ColumnElement[bytes] = literal_column("''::bytea")
        number = embeddings.c.segment_no
        # A row a track: reading one a segment takes several times as long.
        joined = func.string_agg(embeddings.c.vector, aggregate_order_by(nothing, number))
        spans = (func.array_agg(aggregate_order_by(embeddings.c[name], number)) for name in ("start_s", "end_s"))
        statement = (
            select(embeddings.c.track_id, joined, *spans)
            .where(embeddings.c.track_id == func.any(list(track_ids)), segments(space))
            .where(embeddings.c.encoder_version == encoder_version)
            .group_by(embeddings.c.track_id)
        )
        return {
            track_id: TrackSegments(
                track_id,
                np.array(starts_s),
                np.array(ends_s),
                np.frombuffer(vectors, VECTOR_DTYPE).reshape(len(starts_s), -1).astype(np.float32),
            )
            for track_id, vectors, starts_s, ends_s in self._rows(statement)
        }

    def stored_tracks(self, keys: Sequence[str]) -> dict[str, StoredTrack]:
        """What is known of live tracks, by key: enough to tell which files need no analysis."""
        return with_keys(self.engine, keys)

    def stored_at(self, uris: Sequence[str]) -> dict[str, StoredTrack]:
        """What is known of files, those that are ignored too, by where they lie."""
        return lying_at(self.engine, uris)

    def stored_as(self, content_hash: str, audio_hash: str | None) -> list[StoredTrack]:
        """What is known of tracks of this file, or of this sound."""
        return sounding_as(self.engine, content_hash, audio_hash)

    def count(self, condition: Condition | None = None) -> int:
        """Number of live tracks whose files are there; under a condition."""
        only = PRESENT if condition is None else PRESENT & holds(condition)
        return int(self._value(select(func.count()).select_from(tracks).where(only)))

    # Following by revision -----------------------------------------------------------------------------------------

    def revision(self) -> int:
        """The newest committed revision; 0 in an empty catalogue."""
        return int(self._value(select(func.coalesce(func.max(tracks.c.revision), 0))))

    def changed_ids(self, *, after: int) -> tuple[int, list[int]]:
        """The newest committed revision, and the tracks with a revision beyond `after`, deleted ones among them."""
        rows = self._rows(select(tracks.c.id, tracks.c.revision).where(tracks.c.revision > after))
        return max((row.revision for row in rows), default=after), [row.id for row in rows]

    def encoder_version(self, space: str) -> str | None:
        """The encoder version that answers in `space`, or none: see `retrieval.catalog.holdings`."""
        return answering_version(self.engine, space)

    def holds(self, space: str) -> bool:
        """Whether any track was encoded in `space`."""
        return self._value(select(embeddings.c.track_id).where(whole_track(space)).limit(1)) is not None

    def dim(self, space: str, encoder_version: str) -> int:
        """The size of the vectors that this version wrote to `space`; 0 when there is none."""
        statement = (
            select(func.octet_length(embeddings.c.vector))
            .where(whole_track(space), embeddings.c.encoder_version == encoder_version)
            .limit(1)
        )
        return int(self._value(statement) or 0) // VECTOR_DTYPE.itemsize

    def spaces(self) -> dict[str, dict[str, int]]:
        """Live tracks counted by space and encoder version."""
        statement = (
            select(embeddings.c.space, embeddings.c.encoder_version, func.count().label("n"))
            .where(embeddings.c.segment_no.is_(None), embeddings.c.track_id.not_in(MISSING_IDS))
            .group_by(embeddings.c.space, embeddings.c.encoder_version)
            .order_by(embeddings.c.space)
        )
        counts: dict[str, dict[str, int]] = {}
        for row in self._rows(statement):
            counts.setdefault(row.space, {})[row.encoder_version] = row.n
        return counts

    def folders_without(self, encoder_version: str, spaces: Sequence[str]) -> dict[str, int]:
        """Tracks that some of these spaces hold and this version has not encoded, counted by the folder of the file."""
        return folders_without(self.engine, encoder_version, spaces)

    @contextmanager
    def snapshot(self) -> Iterator[Connection]:
        """A connection on which every statement sees the catalogue as of the first one."""
        with self.engine.connect() as connection:
            connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
            yield connection

    def _rows(self, statement: Select[Any]) -> Sequence[Any]:
        with self.engine.connect() as connection:
            return connection.execute(statement).all()

    def _value(self, statement: Select[Any]) -> Any:
        """The first column of the first row; none where there is no row."""
        with self.engine.connect() as connection:
            return connection.execute(statement).scalar()

    def _tracks(self, statement: Select[Any]) -> list[Track]:
        return [Track(*row) for row in self._rows(statement)]


def _in_pieces(read: Callable[[Sequence[T]], Iterable[R]], asked: Sequence[T]) -> Iterator[R]:
    """What is read of some, piece by piece: PostgreSQL looks for the next while Python takes one in."""
    pieces = [asked[start : start + ASKED_AT_ONCE] for start in range(0, len(asked), ASKED_AT_ONCE)]
    if len(pieces) <= 1:
        return chain.from_iterable(map(read, pieces))
    with ThreadPoolExecutor(CONNECTIONS_AT_ONCE) as pool:
        return chain.from_iterable(list(pool.map(read, pieces)))
