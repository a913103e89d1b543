"""Which tracks spaces and encoder versions hold, and which of several answers while the catalogue is encoded anew.

Of several that follow each other the newest answers that holds every track which an older one holds, so that answers
lose no tracks by a change, and change once, when all is done. Where what is complete by that holds less than half of
the tracks, as an old space that a few tracks were tried in, the one that holds most answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pyroaring import BitMap64
from sqlalchemy import Engine, Select, exists, func, literal, or_, select

from retrieval.catalog.files.presence import MISSING_IDS, PRESENT
from retrieval.catalog.tables import analyses, embeddings, tracks

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import ColumnElement, Connection


def answering(held: Sequence[BitMap64]) -> int:
    """The place of the one that answers, among the tracks that each of a succession holds, newest first."""
    everything = BitMap64()
    complete = 0
    for place in reversed(range(len(held))):
        if held[place] and everything <= held[place]:
            complete = place
        everything |= held[place]
    if 2 * len(held[complete]) >= len(everything):
        return complete
    return max(range(len(held)), key=lambda place: len(held[place]))


def filled(connection: Connection, spaces: Sequence[str]) -> list[str]:
    """Those of the spaces that hold any track."""
    asked = select(*(exists(_whole_tracks(space)).label(space) for space in spaces))
    return [space for space, found in zip(spaces, connection.execute(asked).one(), strict=True) if found]


def held_by(connection: Connection, space: str, *conditions: ColumnElement[bool]) -> BitMap64:
    """Ids of the tracks that a space holds, under conditions on their rows of `embeddings`."""
    return BitMap64(list(connection.execute(_whole_tracks(space).where(*conditions)).scalars()))


def answering_version(engine: Engine, space: str) -> str | None:
    """The encoder version that answers in a space; none where the space holds no track."""
    version = embeddings.c.encoder_version
    of_space = embeddings.c.space == space, embeddings.c.segment_no.is_(None)
    with engine.connect() as connection:
        first, last = connection.execute(select(func.min(version), func.max(version)).where(*of_space)).one()
        if first == last:
            return None if first is None else str(first)
        versions = _versions(connection, space)
        return versions[answering([held_by(connection, space, version == one) for one in versions])]


def folders_without(engine: Engine, encoder_version: str, spaces: Sequence[str]) -> dict[str, int]:
    """Tracks that some of these spaces hold and this version has not encoded, counted by the folder of the file."""
    held = select(embeddings.c.track_id).where(embeddings.c.segment_no.is_(None), embeddings.c.space.in_(spaces))
    lacking = held.except_(held.where(embeddings.c.encoder_version == encoder_version)).subquery()
    folder = func.regexp_replace(tracks.c.uri, "/[^/]*$", "").label("folder")
    statement = (
        select(folder, func.count().label("n"))
        .join_from(tracks, lacking, lacking.c.track_id == tracks.c.id)
        .where(tracks.c.missing_since.is_(None))
        .group_by(folder)
        .order_by(func.count().desc(), folder)
    )
    with engine.connect() as connection:
        return {row.folder: row.n for row in connection.execute(statement)}


def count_without(engine: Engine, stages: Mapping[str, str], folder: str) -> int:
    """Live tracks of a folder, or a file, that some stage has not run for in this version (by the stage's name)."""
    ran = (
        select(func.count())
        .where(
            analyses.c.track_id == tracks.c.id,
            or_(*((analyses.c.stage == stage) & (analyses.c.version == version) for stage, version in stages.items())),
        )
        .scalar_subquery()
    )
    under = (tracks.c.uri == folder) | tracks.c.uri.startswith(f"{folder.rstrip('/')}/", autoescape=True)
    statement = select(func.count()).where(PRESENT, under, ran < len(stages))
    with engine.connect() as connection:
        return int(connection.execute(statement).scalar_one())


def _versions(connection: Connection, space: str) -> list[str]:
    """The encoder versions in a space, that which the stage ran with last before the others."""
    version = embeddings.c.encoder_version
    ran = (
        select(func.max(analyses.c.analysed_at))
        .where(analyses.c.stage == literal("embedding/") + space, analyses.c.version == version)
        .correlate(embeddings)
        .scalar_subquery()
    )
    of_space = select(version).where(embeddings.c.space == space, embeddings.c.segment_no.is_(None))
    statement = of_space.group_by(version).order_by(ran.desc().nulls_last(), version)
    return list(connection.execute(statement).scalars())


def _whole_tracks(space: str) -> Select[Any]:
    of_space = embeddings.c.space == space, embeddings.c.segment_no.is_(None)
    # Nobody can encode anew what is missing: it must not keep an older space or version answering.
    return select(embeddings.c.track_id).where(*of_space, embeddings.c.track_id.not_in(MISSING_IDS))
