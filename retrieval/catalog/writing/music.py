"""Writing what was found of rhythm, form, melody and accents, in the place of what was stored of it."""

from collections.abc import Iterable, Set
from typing import Any

from sqlalchemy import Connection, text

from retrieval.catalog.heard import accents
from retrieval.catalog.heard.contours import packed
from retrieval.catalog.records import (
    HighlightSpan,
    LoopSpan,
    SectionSpan,
    TrackAccents,
    TrackForm,
    TrackMelody,
    TrackRhythm,
)
from retrieval.catalog.tables import highlights, loops, sections
from retrieval.catalog.writing.statements import clear, execute, insert_of, unnested
from retrieval.catalog.writing.voice import Identified

# Arrays come as the texts of arrays: PostgreSQL has no array of arrays of different lengths.
_RHYTHM_TYPES = {
    "track_id": "bigint",
    "tempo": "double precision",
    "meter": "smallint",
    "confidence": "double precision",
    "beats_s": "text",
    "positions": "text",
    "key": "text",
    "mode": "text",
    "key_confidence": "double precision",
}
_ARRAYS = {"beats_s": "double precision[]", "positions": "smallint[]"}
_SPAN_TYPES = {"start_s": "double precision", "end_s": "double precision"}
_SECTION_TYPES = {
    "track_id": "bigint",
    "level": "smallint",
    "section_no": "integer",
    **_SPAN_TYPES,
    "label": "text",
    "section_group": "text",
    "confidence": "double precision",
}
_HIGHLIGHT_TYPES = {"track_id": "bigint", "highlight_no": "integer", **_SPAN_TYPES, "score": "double precision"}
_LOOP_TYPES = {"track_id": "bigint", "loop_no": "integer", **_SPAN_TYPES, "similarity": "double precision"}
_MELODY_TYPES = {
    "track_id": "bigint",
    "step_s": "double precision",
    "pitches": "bytea",
    "confidence": "double precision",
}

_ACCENT_TYPES = {"track_id": "bigint", "rate": "double precision", "onsets": "bytea", "loudness": "bytea"}


def _or_update(types: Iterable[str]) -> str:
    named = ", ".join(f"{name} = EXCLUDED.{name}" for name in types if name != "track_id")
    return f"ON CONFLICT (track_id) DO UPDATE SET {named}"


_SELECTED = ", ".join(f"CAST({name} AS {_ARRAYS[name]})" if name in _ARRAYS else name for name in _RHYTHM_TYPES)
_SET_RHYTHM = text(f"""
    INSERT INTO rhythm ({", ".join(_RHYTHM_TYPES)}) SELECT {_SELECTED} FROM {unnested(_RHYTHM_TYPES)}
    {_or_update(_RHYTHM_TYPES)}
""")
_INSERT_SECTIONS = text(insert_of("sections", _SECTION_TYPES))
_INSERT_HIGHLIGHTS = text(insert_of("highlights", _HIGHLIGHT_TYPES))
_INSERT_LOOPS = text(insert_of("loops", _LOOP_TYPES))
_SET_MELODIES = text(f"{insert_of('melodies', _MELODY_TYPES)} {_or_update(_MELODY_TYPES)}")
_SET_ACCENTS = text(f"{insert_of('accents', _ACCENT_TYPES)} {_or_update(_ACCENT_TYPES)}")


def set_rhythm(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    """Write tempo, beats and keys."""
    made = {track_id: row for track_id, analysis in identified for row in analysis.of(TrackRhythm)}
    execute(connection, _SET_RHYTHM, _RHYTHM_TYPES, [_rhythm_row(*one) for one in made.items()])


def replace_form(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    """Write sections, highlights and loops; `unchanged` are the tracks that may have some."""
    made = {track_id: row for track_id, analysis in identified for row in analysis.of(TrackForm)}
    for table in (sections, highlights, loops):
        clear(connection, table, made.keys() & unchanged)
    of_sections, of_highlights, of_loops = [], [], []
    for track_id, form in made.items():
        of_sections += _section_rows(track_id, form.sections)
        of_highlights += [
            (track_id, number, *_span(one), float(one.score)) for number, one in enumerate(form.highlights)
        ]
        of_loops += [(track_id, number, *_span(one), float(one.similarity)) for number, one in enumerate(form.loops)]
    execute(connection, _INSERT_SECTIONS, _SECTION_TYPES, of_sections)
    execute(connection, _INSERT_HIGHLIGHTS, _HIGHLIGHT_TYPES, of_highlights)
    execute(connection, _INSERT_LOOPS, _LOOP_TYPES, of_loops)


def set_melodies(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    """Write melodies, packed."""
    made = {track_id: row for track_id, analysis in identified for row in analysis.of(TrackMelody)}
    rows = [
        (track_id, float(row.step_s), packed(row.pitches, row.unvoiced), float(row.confidence))
        for track_id, row in made.items()
    ]
    execute(connection, _SET_MELODIES, _MELODY_TYPES, rows)


def set_accents(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    """Write onset strength and loudness."""
    made = {track_id: row for track_id, analysis in identified for row in analysis.of(TrackAccents)}
    rows = [
        (track_id, float(row.rate), accents.packed(row.onsets), accents.packed(row.loudness))
        for track_id, row in made.items()
    ]
    execute(connection, _SET_ACCENTS, _ACCENT_TYPES, rows)


def _rhythm_row(track_id: int, row: TrackRhythm) -> tuple[Any, ...]:
    return (
        track_id,
        None if row.tempo_bpm is None else float(row.tempo_bpm),
        None if row.meter is None else int(row.meter),
        float(row.confidence),
        _array(map(float, row.beats_s)),
        _array(map(int, row.positions)),
        row.key,
        row.mode,
        float(row.key_confidence),
    )


def _section_rows(track_id: int, spans: Iterable[SectionSpan]) -> list[tuple[Any, ...]]:
    by_time = sorted(spans, key=lambda span: (span.level, span.start_s))
    return [
        (track_id, span.level, number, *_span(span), span.label, span.group, float(span.confidence))
        for number, span in enumerate(by_time)
    ]


def _span(one: SectionSpan | HighlightSpan | LoopSpan) -> tuple[float, float]:
    return float(one.start_s), float(one.end_s)


def _array(numbers: Iterable[float]) -> str:
    """The text of an array; a float's own text is all of it."""
    return "{" + ",".join(map(repr, numbers)) + "}"
