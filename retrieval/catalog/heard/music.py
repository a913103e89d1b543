"""What was found in a track beside its voice: tempo, beats and key; its form; its melody."""

import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from sqlalchemy import BigInteger, Connection, Double, Engine, Row, cast, func, select
from sqlalchemy.dialects.postgresql import ARRAY

from retrieval.catalog.heard.contours import unpacked
from retrieval.catalog.records import (
    HeardMusic,
    HighlightSpan,
    LoopSpan,
    SectionSpan,
    TrackForm,
    TrackMelody,
    TrackRhythm,
)
from retrieval.catalog.tables import analyses, highlights, loops, melodies, rhythm, sections
from retrieval.errors import NotAnalysedError

RHYTHM_STAGE = "rhythm"
STRUCTURE_STAGE = "structure"
MELODY_STAGE = "melody"
ACCENTS_STAGE = "accents"
MUSIC_STAGES = (RHYTHM_STAGE, STRUCTURE_STAGE, MELODY_STAGE)

PARTS, PHRASES = 1, 2
"""Levels of sections."""


def heard_music(engine: Engine, track_id: int, stages: Collection[str] = MUSIC_STAGES) -> HeardMusic:
    """What these stages made of a track; what is not asked for is not read, and none."""
    with engine.connect() as connection:
        ran = select(analyses).where(analyses.c.track_id == track_id, analyses.c.stage.in_(stages))
        versions = {row.stage: row.version for row in connection.execute(ran)}
        return HeardMusic(
            _rhythm(connection, track_id) if RHYTHM_STAGE in stages else None,
            _form(connection, track_id) if STRUCTURE_STAGE in stages else None,
            _melody(connection, track_id) if MELODY_STAGE in stages else None,
            versions,
        )


def not_known(key: str, what: str, stage: str) -> NotAnalysedError:
    """The error of a track, by its key, that this stage has not run for."""
    command = f"soundalike analyze {shlex.quote(key)} --stage {stage}"
    return NotAnalysedError(f"the {what} of track {key!r} is not known yet: run `{command}`")


def sections_of(engine: Engine, track_ids: Sequence[int]) -> dict[int, list[SectionSpan]]:
    """Sections by track, by level and time; tracks of which none are known are absent."""
    statement = select(sections).where(sections.c.track_id == func.any(list(track_ids)))
    found: dict[int, list[SectionSpan]] = {}
    with engine.connect() as connection:
        for row in connection.execute(statement.order_by(sections.c.track_id, sections.c.level, sections.c.section_no)):
            found.setdefault(row.track_id, []).append(_section(row))
    return found


def highlights_of(engine: Engine, track_ids: Sequence[int]) -> dict[int, list[HighlightSpan]]:
    """Highlights by track, the best first; tracks of which none are known are absent."""
    statement = select(highlights).where(highlights.c.track_id == func.any(list(track_ids)))
    found: dict[int, list[HighlightSpan]] = {}
    with engine.connect() as connection:
        for row in connection.execute(statement.order_by(highlights.c.track_id, highlights.c.highlight_no)):
            found.setdefault(row.track_id, []).append(HighlightSpan(row.start_s, row.end_s, row.score))
    return found


def parts_at(engine: Engine, moments: Mapping[int, float]) -> dict[int, SectionSpan]:
    """The part that plays at a moment of each track, seconds by id; tracks of which it is not known are absent."""
    ids, times_s = cast(list(moments), ARRAY(BigInteger)), cast(list(moments.values()), ARRAY(Double))
    asked = func.unnest(ids, times_s).table_valued("track_id", "time_s").render_derived("asked")
    playing = (sections.c.start_s <= asked.c.time_s) & (asked.c.time_s < sections.c.end_s)
    statement = select(sections).join(asked, (asked.c.track_id == sections.c.track_id) & playing)
    with engine.connect() as connection:
        rows = connection.execute(statement.where(sections.c.level == PARTS))
        return {row.track_id: _section(row) for row in rows}


def _rhythm(connection: Connection, track_id: int) -> TrackRhythm | None:
    row = connection.execute(select(rhythm).where(rhythm.c.track_id == track_id)).first()
    if row is None:
        return None
    beats_s, positions = np.array(row.beats_s, np.float64), np.array(row.positions, np.int64)
    return TrackRhythm(row.tempo, row.meter, row.confidence, beats_s, positions, row.key, row.mode, row.key_confidence)


def _form(connection: Connection, track_id: int) -> TrackForm | None:
    parts, best, looped = (
        connection.execute(select(table).where(table.c.track_id == track_id).order_by(*order)).all()
        for table, order in (
            (sections, (sections.c.level, sections.c.section_no)),
            (highlights, (highlights.c.highlight_no,)),
            (loops, (loops.c.loop_no,)),
        )
    )
    if not parts:  # whatever has a form has sections: the whole of it is one
        return None
    return TrackForm(
        tuple(map(_section, parts)),
        tuple(HighlightSpan(row.start_s, row.end_s, row.score) for row in best),
        tuple(LoopSpan(row.start_s, row.end_s, row.similarity) for row in looped),
    )


def _melody(connection: Connection, track_id: int) -> TrackMelody | None:
    row = connection.execute(select(melodies).where(melodies.c.track_id == track_id)).first()
    return None if row is None else TrackMelody(row.step_s, *unpacked(row.pitches), row.confidence)


def _section(row: Row[Any]) -> SectionSpan:
    return SectionSpan(row.start_s, row.end_s, row.level, row.label, row.section_group, row.confidence)
