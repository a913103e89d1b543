"""Writing tracks and their analyses: a few statements a batch, whatever its size.

What another version of an encoder made of the same audio stays: it answers until the newer one has all tracks.
"""

import json
from collections import Counter
from collections.abc import Iterable, Sequence, Set
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Connection, Engine, delete, func, select, text, update

from retrieval.catalog.records import (
    Fingerprint,
    LanguageRatios,
    SpaceEmbedding,
    TagScores,
    TrackAnalysis,
    VocalActivity,
)
from retrieval.catalog.tables import (
    accents,
    analyses,
    chords,
    corrections,
    embeddings,
    fingerprints,
    heard_languages,
    heard_vocals,
    highlights,
    language_spans,
    languages,
    loops,
    melodies,
    rhythm,
    sections,
    tags,
    tracks,
    vocal_spans,
)
from retrieval.catalog.writing.corrections import keep_corrections
from retrieval.catalog.writing.music import replace_form, set_accents, set_melodies, set_rhythm
from retrieval.catalog.writing.statements import among, clear, columns, draw_revisions, execute, insert_of, unnested
from retrieval.catalog.writing.voice import Identified, replace_languages, replace_vocals, settle_voice
from retrieval.errors import PlaceTakenError, UnknownTrackError

VECTOR_DTYPE = np.dtype("<f2")
WORD_DTYPE = np.dtype("<i4")

_ANALYSIS_TABLES = (
    *(embeddings, tags, heard_vocals, vocal_spans, heard_languages, language_spans, languages),
    *(rhythm, sections, highlights, loops, chords, melodies, accents, fingerprints, analyses),
)

# What an analysis sets in its row of `tracks`, with the types of the arrays that carry a batch.
_TRACK_TYPES = {
    "key": "text",
    "uri": "text",
    "content_hash": "text",
    "audio_hash": "text",
    "size_bytes": "bigint",
    "modified_ns": "bigint",
    "changed_ns": "bigint",
    "partial": "boolean",
    "notes": "jsonb",
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

# Not one INSERT … ON CONFLICT: it draws an id even for a row that is already there, and filters keep ids in 32 bits.
_WITHOUT = {"partial": "false", "notes": "'[]'::jsonb"}  # what stands where nobody has said anything
_INSERT_TRACKS = text(f"""
    INSERT INTO tracks ({", ".join(_TRACK_TYPES)})
    SELECT {", ".join(f"COALESCE({name}, {_WITHOUT[name]})" if name in _WITHOUT else name for name in _TRACK_TYPES)}
    FROM {unnested(_TRACK_TYPES)} RETURNING key, id
""")
_NEW = {name: f"COALESCE(new.{name}, tracks.{name})" if name in _WITHOUT else f"new.{name}" for name in _TRACK_TYPES}
_UPDATE_TRACKS = text(f"""
    UPDATE tracks SET {", ".join(f"{name} = {new}" for name, new in _NEW.items() if name != "key")},
        missing_since = NULL, indexed_at = now()
    FROM {unnested(_TRACK_TYPES)} WHERE tracks.key = new.key AND tracks.deleted_at IS NULL
""")
_RENAMED_TYPES = {"key": "text", "formerly": "text"}
_RENAME_TRACKS = text(f"""
    UPDATE tracks SET key = new.key FROM {unnested(_RENAMED_TYPES)}
    WHERE tracks.key = new.formerly AND tracks.deleted_at IS NULL
""")
_HEED_TRACKS = text("""
    UPDATE tracks SET ignored_at = NULL FROM unnest(CAST(:uri AS text[])) AS new (uri)
    WHERE tracks.uri = new.uri AND tracks.ignored_at IS NOT NULL
""")
_INSERT_EMBEDDINGS = text(insert_of("embeddings", _EMBEDDING_TYPES))
_REPLACED_TYPES = {name: _EMBEDDING_TYPES[name] for name in ("track_id", "space", "encoder_version")}
_DELETE_REPLACED = text(f"""
    DELETE FROM embeddings USING {unnested(_REPLACED_TYPES)}
    WHERE {" AND ".join(f"embeddings.{name} = new.{name}" for name in _REPLACED_TYPES)}
""")
_DELETE_SUPERSEDED = text("""
    DELETE FROM embeddings USING embeddings AS newer
    WHERE embeddings.space = :space AND embeddings.encoder_version <> :version
    AND newer.track_id = embeddings.track_id AND newer.space = :space AND newer.encoder_version = :version
    AND newer.segment_no IS NULL
""")
_INSERT_TAGS = text(insert_of("tags", _TAG_TYPES))
_SET_FINGERPRINTS = text(f"""
    {insert_of("fingerprints", _FINGERPRINT_TYPES)} ON CONFLICT (track_id) DO UPDATE SET words = EXCLUDED.words
""")
_SET_STAGES = text(f"""
    {insert_of("analyses", _STAGE_TYPES)} ON CONFLICT (track_id, stage)
    DO UPDATE SET version = EXCLUDED.version, analysed_at = EXCLUDED.analysed_at
""")
_UNDONE_TYPES = {name: _STAGE_TYPES[name] for name in ("track_id", "stage")}
_DELETE_UNDONE = text(f"""
    DELETE FROM analyses USING {unnested(_UNDONE_TYPES)}
    WHERE analyses.track_id = new.track_id AND analyses.stage = new.stage
""")


def store_tracks(connection: Connection, batch: Sequence[TrackAnalysis]) -> int:
    """Write analyses as if one after the other, and return the newest revision."""
    revisions = draw_revisions(connection, len(batch))
    written = 0
    for together in _rounds(batch):
        _store_round(connection, together, revisions[written : written + len(together)])
        written += len(together)
    return revisions[-1]


def store_again(engine: Engine, analysis: TrackAnalysis) -> int:
    """Write what stages made of a track that is stored with this content, and return its new revision.

    Its own fields stay: they may be those that a caller sent, and its file does not know.

    Raises
    ------
    UnknownTrackError
        If it is not, or no longer.
    """
    with engine.begin() as connection:
        (revision,) = draw_revisions(connection, 1)
        stored = (
            update(tracks)
            .where(tracks.c.key == analysis.key, tracks.c.content_hash == analysis.content_hash)
            .where(tracks.c.deleted_at.is_(None))
            .values(revision=revision)
        )
        track_id = connection.execute(stored.returning(tracks.c.id)).scalar()
        if track_id is None:
            raise UnknownTrackError(analysis.key, [])
        _write(connection, [(track_id, analysis)], {track_id})
        settle_voice(connection, _voiced([(track_id, analysis)]))
    return revision


def delete_track(connection: Connection, key: str, *, ignore: bool = False) -> int | None:
    """Mark a live track as deleted and drop its analysis; its new revision, or none when there is no such track.

    Parameters
    ----------
    ignore : whether its file, and others that sound the same, are not to come in again
    """
    (revision,) = draw_revisions(connection, 1)
    track_id = connection.execute(
        update(tracks)
        .where(tracks.c.key == key, tracks.c.deleted_at.is_(None))
        .values(deleted_at=func.now(), revision=revision, vocal_ratio=None, speech_ratio=None)
        .values(missing_since=None, **({"ignored_at": func.now()} if ignore else {}))
        .returning(tracks.c.id)
    ).scalar()
    if track_id is None:
        return None
    _delete_analyses(connection, [track_id])
    connection.execute(delete(corrections).where(corrections.c.track_id == track_id))
    return revision


def delete_superseded(connection: Connection, space: str, version: str) -> None:
    """Drop what other versions made of tracks that this one has encoded in the space."""
    connection.execute(_DELETE_SUPERSEDED, {"space": space, "version": version})


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
    moved = [(analysis.key, analysis.formerly) for analysis in batch if analysis.formerly is not None]
    execute(connection, _RENAME_TRACKS, _RENAMED_TYPES, moved)
    columns_of_key = select(tracks.c.key, tracks.c.id, tracks.c.content_hash, tracks.c.audio_hash)
    asked = among(tracks.c.key, [analysis.key for analysis in batch])
    live = columns_of_key.select_from(asked).where(tracks.c.deleted_at.is_(None))
    stored = {row.key: row for row in connection.execute(live)}
    rows = [_track_row(analysis, revision) for analysis, revision in zip(batch, revisions, strict=True)]
    ids = {key: row.id for key, row in stored.items()}
    execute(connection, _UPDATE_TRACKS, _TRACK_TYPES, [row for row in rows if row[0] in stored])
    if new := [row for row in rows if row[0] not in stored]:
        if alone := [one.uri for one in batch if one.alone and one.key not in stored]:
            _check_places(connection, alone)
        inserted = connection.execute(_INSERT_TRACKS, columns(_TRACK_TYPES, new))
        ids |= {row.key: row.id for row in inserted}
    changed = {row.id for one in batch if (row := stored.get(one.key)) and not _same_sound(row, one)}
    connection.execute(_HEED_TRACKS, {"uri": [analysis.uri for analysis in batch]})
    _delete_analyses(connection, list(changed))
    identified = [(ids[analysis.key], analysis) for analysis in batch]
    unchanged = {row.id for row in stored.values()} - changed
    _write(connection, identified, unchanged)
    if stored:
        keep_corrections(connection, [row.id for row in stored.values()])
    settle_voice(connection, _voiced(identified) | changed)


def _check_places(connection: Connection, uris: Sequence[str]) -> None:
    """Refuse a file that is another key's track: who found it unknown was not the only one who did."""
    asked = select(tracks.c.uri, tracks.c.key).select_from(among(tracks.c.uri, uris))
    for uri, key in connection.execute(asked.where(tracks.c.deleted_at.is_(None))):
        raise PlaceTakenError(f"{uri} is the track {key!r} already")


def _write(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    """All rows; `unchanged` are the tracks that may have some."""
    for write in _WRITERS:
        write(connection, identified, unchanged)


def _voiced(identified: Identified) -> set[int]:
    """The tracks that were listened to for voices."""
    heard = (VocalActivity, LanguageRatios)
    return {track_id for track_id, one in identified if any(isinstance(row, heard) for row in one.rows)}


def _same_sound(row: Any, analysis: TrackAnalysis) -> bool:
    known = row.audio_hash is not None and row.audio_hash == analysis.audio_hash
    return bool(known or row.content_hash == analysis.content_hash)


def _track_row(analysis: TrackAnalysis, revision: int) -> tuple[Any, ...]:
    # The driver takes no array of mixed types: a whole number of seconds is a float like the others.
    values = {
        "duration_s": float(analysis.duration_s),
        "metadata": json.dumps(dict(analysis.metadata)),
        "notes": None if analysis.notes is None else json.dumps(list(analysis.notes)),
        "revision": revision,
    }
    return tuple(values[name] if name in values else getattr(analysis, name) for name in _TRACK_TYPES)


def _delete_analyses(connection: Connection, track_ids: list[int]) -> None:
    for table in _ANALYSIS_TABLES:
        clear(connection, table, track_ids)


def _replace_embeddings(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    old, new = [], []
    for track_id, analysis in identified:
        made = {(embedding.space, embedding.encoder_version): embedding for embedding in analysis.of(SpaceEmbedding)}
        old += [(track_id, *names) for names in made if track_id in unchanged]
        for embedding in made.values():
            new += _embedding_rows(track_id, embedding, float(analysis.duration_s))
    execute(connection, _DELETE_REPLACED, _REPLACED_TYPES, old)
    execute(connection, _INSERT_EMBEDDINGS, _EMBEDDING_TYPES, new)


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
    clear(connection, tags, tagged.keys() & unchanged)
    new = [(track_id, str(tag), float(score)) for track_id, scores in tagged.items() for tag, score in scores.items()]
    execute(connection, _INSERT_TAGS, _TAG_TYPES, new)


def _set_fingerprints(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    rows = [(track_id, row) for track_id, analysis in identified for row in analysis.of(Fingerprint)]
    words = [(track_id, row.words.astype(WORD_DTYPE).tobytes()) for track_id, row in rows]
    execute(connection, _SET_FINGERPRINTS, _FINGERPRINT_TYPES, words)


def _set_stages(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    rows = [(track_id, stage, version) for track_id, one in identified for stage, version in one.stages.items()]
    execute(connection, _SET_STAGES, _STAGE_TYPES, rows)
    undone = [(track_id, stage) for track_id, one in identified for stage in one.undone]
    execute(connection, _DELETE_UNDONE, _UNDONE_TYPES, undone)


_WRITERS = (
    *(_replace_embeddings, _replace_tags, _set_fingerprints),
    *(replace_vocals, replace_languages, set_rhythm, replace_form, set_melodies, set_accents, _set_stages),
)


def _to_bytes(vector: NDArray[np.float32]) -> bytes:
    return vector.astype(VECTOR_DTYPE).tobytes()
