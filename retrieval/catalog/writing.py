"""Writing tracks and their analyses: a few statements a batch, whatever its size.

The caller opens the transaction. Drawing the first revision takes the lock that every writer of revisions takes, so a
batch reads what is stored and writes over it with nobody between. What another version of an encoder made of the same
audio stays: it answers until the newer one has all tracks.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, TextClause, delete, func, select, text, update

from retrieval.catalog.records import Fingerprint, SpaceEmbedding, TagScores, TrackAnalysis
from retrieval.catalog.tables import (
    analyses,
    chords,
    embeddings,
    fingerprints,
    languages,
    loops,
    rhythm,
    sections,
    tags,
    track_revision,
    tracks,
)

VECTOR_DTYPE = np.dtype("<f2")
WORD_DTYPE = np.dtype("<i4")
REVISION_LOCK = 0x536F756E  # one key for every writer of revisions

_ANALYSIS_TABLES = (embeddings, tags, languages, sections, loops, chords, rhythm, fingerprints, analyses)

# What an analysis sets in its row of `tracks`, with the types of the arrays that carry a batch.
_TRACK_TYPES = {
    "key": "text",
    "uri": "text",
    "content_hash": "text",
    "size_bytes": "bigint",
    "modified_ns": "bigint",
    "duration_s": "double precision",
    "title": "text",
    "artist": "text",
    "album": "text",
    "genre": "text",
    "year": "integer",
    "metadata": "jsonb",
    "revision": "bigint",
}
_EMBEDDING_TYPES = {
    "track_id": "bigint",
    "space": "text",
    "encoder_version": "text",
    "segment_no": "integer",
    "start_s": "double precision",
    "end_s": "double precision",
    "vector": "bytea",
}
_TAG_TYPES = {"track_id": "bigint", "tag": "text", "score": "double precision"}
_FINGERPRINT_TYPES = {"track_id": "bigint", "words": "bytea"}
_STAGE_TYPES = {"track_id": "bigint", "stage": "text", "version": "text"}


def _unnested(types: Mapping[str, str]) -> str:
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in types.items())
    return f"unnest({arrays}) AS new ({', '.join(types)})"


def _insert(table: str, types: Mapping[str, str]) -> str:
    return f"INSERT INTO {table} ({', '.join(types)}) SELECT * FROM {_unnested(types)}"


# Not one INSERT … ON CONFLICT: it draws an id even for a row that is already there, and filters keep ids in 32 bits.
_INSERT_TRACKS = text(f"{_insert('tracks', _TRACK_TYPES)} RETURNING key, id")
_UPDATE_TRACKS = text(f"""
    UPDATE tracks SET {", ".join(f"{name} = new.{name}" for name in _TRACK_TYPES if name != "key")},
        vocal_ratio = CASE WHEN tracks.content_hash = new.content_hash THEN tracks.vocal_ratio END,
        deleted_at = NULL, indexed_at = now()
    FROM {_unnested(_TRACK_TYPES)} WHERE tracks.key = new.key
""")
_INSERT_EMBEDDINGS = text(_insert("embeddings", _EMBEDDING_TYPES))
_REPLACED_TYPES = {name: _EMBEDDING_TYPES[name] for name in ("track_id", "space", "encoder_version")}
_DELETE_REPLACED = text(f"""
    DELETE FROM embeddings USING {_unnested(_REPLACED_TYPES)}
    WHERE {" AND ".join(f"embeddings.{name} = new.{name}" for name in _REPLACED_TYPES)}
""")
_DELETE_SUPERSEDED = text("""
    DELETE FROM embeddings USING embeddings AS newer
    WHERE embeddings.space = :space AND embeddings.encoder_version <> :version
    AND newer.track_id = embeddings.track_id AND newer.space = :space AND newer.encoder_version = :version
    AND newer.segment_no IS NULL
""")
_INSERT_TAGS = text(_insert("tags", _TAG_TYPES))
_SET_FINGERPRINTS = text(f"""
    {_insert("fingerprints", _FINGERPRINT_TYPES)} ON CONFLICT (track_id) DO UPDATE SET words = EXCLUDED.words
""")
_SET_STAGES = text(f"""
    {_insert("analyses", _STAGE_TYPES)} ON CONFLICT (track_id, stage)
    DO UPDATE SET version = EXCLUDED.version, analysed_at = EXCLUDED.analysed_at
""")

Identified = Sequence[tuple[int, TrackAnalysis]]
"""Analyses with the ids of their tracks."""


def store_tracks(connection: Connection, batch: Sequence[TrackAnalysis]) -> int:
    """Write analyses as if one after the other, and return the newest revision."""
    revisions = _draw_revisions(connection, len(batch))
    written = 0
    for together in _rounds(batch):
        _store_round(connection, together, revisions[written : written + len(together)])
        written += len(together)
    return revisions[-1]


def delete_track(connection: Connection, key: str) -> int | None:
    """Mark a live track as deleted and drop its analysis; its new revision, or none when there is no such track."""
    (revision,) = _draw_revisions(connection, 1)
    track_id = connection.execute(
        update(tracks)
        .where(tracks.c.key == key, tracks.c.deleted_at.is_(None))
        .values(deleted_at=func.now(), revision=revision, vocal_ratio=None)
        .returning(tracks.c.id)
    ).scalar()
    if track_id is None:
        return None
    _delete_analyses(connection, [track_id])
    return revision


def delete_superseded(connection: Connection, space: str, version: str) -> None:
    """Drop what other versions made of tracks that this one has encoded in the space."""
    connection.execute(_DELETE_SUPERSEDED, {"space": space, "version": version})


def _draw_revisions(connection: Connection, count: int) -> list[int]:
    # Held until commit: revisions become visible in the order in which they were drawn.
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": REVISION_LOCK})
    drawn = select(track_revision.next_value()).select_from(func.generate_series(1, count))
    return sorted(connection.execute(drawn).scalars())


def _rounds(batch: Iterable[TrackAnalysis]) -> list[list[TrackAnalysis]]:
    """Analyses by how often their key occurred before: no key twice in one round."""
    rounds: list[list[TrackAnalysis]] = []
    seen: Counter[str] = Counter()
    for analysis in batch:
        if seen[analysis.key] == len(rounds):
            rounds.append([])
        rounds[seen[analysis.key]].append(analysis)
        seen[analysis.key] += 1
    return rounds


def _store_round(connection: Connection, batch: Sequence[TrackAnalysis], revisions: Sequence[int]) -> None:
    stored = {
        row.key: row
        for row in connection.execute(
            select(tracks.c.key, tracks.c.id, tracks.c.content_hash).where(
                tracks.c.key == func.any([analysis.key for analysis in batch])
            )
        )
    }
    rows = [_track_row(analysis, revision) for analysis, revision in zip(batch, revisions, strict=True)]
    ids = {key: row.id for key, row in stored.items()}
    _execute(connection, _UPDATE_TRACKS, _TRACK_TYPES, [row for row in rows if row[0] in stored])
    if new := [row for row in rows if row[0] not in stored]:
        inserted = connection.execute(_INSERT_TRACKS, _columns(_TRACK_TYPES, new))
        ids |= {row.key: row.id for row in inserted}
    changed = {one.key for one in batch if one.key in stored and stored[one.key].content_hash != one.content_hash}
    _delete_analyses(connection, [ids[key] for key in changed])
    identified = [(ids[analysis.key], analysis) for analysis in batch]
    unchanged = {ids[key] for key in stored.keys() - changed}
    for write in (_replace_embeddings, _replace_tags, _set_fingerprints, _set_stages):
        write(connection, identified, unchanged)


def _track_row(analysis: TrackAnalysis, revision: int) -> tuple[Any, ...]:
    # The driver takes no array of mixed types: a whole number of seconds is a float like the others.
    values = {
        "duration_s": float(analysis.duration_s),
        "metadata": json.dumps(dict(analysis.metadata)),
        "revision": revision,
    }
    return tuple(values[name] if name in values else getattr(analysis, name) for name in _TRACK_TYPES)


def _delete_analyses(connection: Connection, track_ids: list[int]) -> None:
    if not track_ids:
        return
    for table in _ANALYSIS_TABLES:
        connection.execute(delete(table).where(table.c.track_id == func.any(track_ids)))


def _replace_embeddings(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    old, new = [], []
    for track_id, analysis in identified:
        made = {(embedding.space, embedding.encoder_version): embedding for embedding in analysis.of(SpaceEmbedding)}
        old += [(track_id, *names) for names in made if track_id in unchanged]
        for embedding in made.values():
            new += _embedding_rows(track_id, embedding, float(analysis.duration_s))
    _execute(connection, _DELETE_REPLACED, _REPLACED_TYPES, old)
    _execute(connection, _INSERT_EMBEDDINGS, _EMBEDDING_TYPES, new)


def _embedding_rows(track_id: int, embedding: SpaceEmbedding, duration_s: float) -> list[tuple[Any, ...]]:
    common = (track_id, embedding.space, embedding.encoder_version)
    segments = zip(embedding.starts_s, embedding.ends_s, embedding.segment_vectors, strict=True)
    return [
        (*common, None, 0.0, duration_s, _to_bytes(embedding.track_vector)),
        *(
            (*common, number, float(start_s), float(end_s), _to_bytes(vector))
            for number, (start_s, end_s, vector) in enumerate(segments)
        ),
    ]


def _replace_tags(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    tagged = {track_id: row.scores for track_id, analysis in identified for row in analysis.of(TagScores)}
    if old := [track_id for track_id in tagged if track_id in unchanged]:
        connection.execute(delete(tags).where(tags.c.track_id == func.any(old)))
    new = [(track_id, str(tag), float(score)) for track_id, scores in tagged.items() for tag, score in scores.items()]
    _execute(connection, _INSERT_TAGS, _TAG_TYPES, new)


def _set_fingerprints(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    rows = [(track_id, row) for track_id, analysis in identified for row in analysis.of(Fingerprint)]
    words = [(track_id, row.words.astype(WORD_DTYPE).tobytes()) for track_id, row in rows]
    _execute(connection, _SET_FINGERPRINTS, _FINGERPRINT_TYPES, words)


def _set_stages(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    rows = [(track_id, stage, version) for track_id, one in identified for stage, version in one.stages.items()]
    _execute(connection, _SET_STAGES, _STAGE_TYPES, rows)


def _execute(
    connection: Connection, statement: TextClause, names: Iterable[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Run a statement over an array for each name, unless there are no rows."""
    if rows:
        connection.execute(statement, _columns(names, rows))


def _columns(names: Iterable[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def _to_bytes(vector: NDArray[np.float32]) -> bytes:
    return vector.astype(VECTOR_DTYPE).tobytes()
