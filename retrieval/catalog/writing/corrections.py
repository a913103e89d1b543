"""Writing what a curator says of a track.

A correction is about the track, not about its file: it stays when the track is analysed anew and when its file changes,
and goes when the track is deleted. Of what stands in a column of `tracks` it keeps what was read there, so that it can
be taken back.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, delete, func, select, text, update

from retrieval.catalog.tables import corrections, tracks
from retrieval.catalog.writing.statements import draw_revisions
from retrieval.catalog.writing.voice import settle_voice

READ_FIELDS = {
    "title": "text",
    "artist": "text",
    "album": "text",
    "genre": "text",
    "year": "integer",
    "metadata": "jsonb",
}
"""Fields that are read from a file or said by its sender, with the types of their columns."""

HEARD_FIELDS = ("languages", "vocal_ratio")

_REMEMBER = text("""
    UPDATE corrections SET read = nullif(to_jsonb(tracks) -> corrections.field, 'null')
    FROM tracks WHERE tracks.id = corrections.track_id AND tracks.id = ANY (:ids) AND corrections.field = ANY (:fields)
""")
_SAY = text("""
    INSERT INTO corrections (track_id, field, value, read)
    SELECT tracks.id, said.key, said.value, nullif(to_jsonb(tracks) -> said.key, 'null')
    FROM tracks, jsonb_each(CAST(:said AS jsonb)) AS said WHERE tracks.id = :id
    ON CONFLICT (track_id, field) DO UPDATE SET value = EXCLUDED.value, corrected_at = now()
""")
_AS_COLUMN = {
    name: f"CAST(said.of_track {'->' if kind == 'jsonb' else '->>'} '{name}' AS {kind})"
    for name, kind in READ_FIELDS.items()
}
_SETTLE = text(f"""
    UPDATE tracks SET {", ".join(f"{name} = coalesce({cast}, tracks.{name})" for name, cast in _AS_COLUMN.items())}
    FROM (
        SELECT track_id, jsonb_object_agg(field, value) AS of_track FROM corrections
        WHERE track_id = ANY (:ids) AND field = ANY (:fields) GROUP BY track_id
    ) AS said WHERE tracks.id = said.track_id
""")
_UNSAY = {
    name: text(f"""
        UPDATE tracks SET {name} = CAST({"read" if kind == "jsonb" else "read #>> '{}'"} AS {kind}) FROM corrections
        WHERE tracks.id = :id AND corrections.track_id = tracks.id AND corrections.field = '{name}'
    """)
    for name, kind in READ_FIELDS.items()
}


def correct_track(connection: Connection, key: str, said: Mapping[str, Any]) -> int | None:
    """Write what is said of a live track's fields, take back what is said of those that are none.

    Returns
    -------
    The track's new revision, or none when there is no such track
    """
    (revision,) = draw_revisions(connection, 1)
    track_id = connection.execute(
        select(tracks.c.id).where(tracks.c.key == key, tracks.c.deleted_at.is_(None))
    ).scalar()
    if track_id is None:
        return None
    if taken := {field for field, value in said.items() if value is None}:
        for field in READ_FIELDS.keys() & taken:
            connection.execute(_UNSAY[field], {"id": track_id})
        of_track = corrections.c.track_id == track_id
        connection.execute(delete(corrections).where(of_track, corrections.c.field == func.any(list(taken))))
    if given := {field: value for field, value in said.items() if value is not None}:
        connection.execute(_SAY, {"id": track_id, "said": json.dumps(given)})
        connection.execute(_SETTLE, {"ids": [track_id], "fields": list(READ_FIELDS)})
    settle_voice(connection, [track_id])
    connection.execute(update(tracks).where(tracks.c.id == track_id).values(revision=revision))
    return revision


def keep_corrections(connection: Connection, track_ids: Collection[int]) -> None:
    """Put corrections in the place of what was just read of tracks, which they remember."""
    of_tracks = corrections.c.track_id == func.any(list(track_ids))
    columns = corrections.c.field == func.any(list(READ_FIELDS))
    corrected = connection.execute(select(corrections.c.track_id).where(of_tracks, columns).distinct()).scalars().all()
    if corrected:
        asked = {"ids": corrected, "fields": list(READ_FIELDS)}
        connection.execute(_REMEMBER, asked)
        connection.execute(_SETTLE, asked)
