"""Writing what was heard of the voice, and settling what a track has of it.

What a stage hears has tables of its own. `languages`, and the ratios in `tracks`, hold what is true of a track as far
as anybody knows, and are what filters follow: a correction, or else what was heard. They are settled anew whenever one
of these changes.
"""

import json
from collections.abc import Collection, Sequence, Set
from typing import Any

from sqlalchemy import Connection, text

from retrieval.catalog.records import LanguageRatios, TrackAnalysis, VocalActivity
from retrieval.catalog.tables import language_spans, languages, vocal_spans
from retrieval.catalog.writing.statements import clear, execute, insert_of

_VOCAL_TYPES = {
    "track_id": "bigint",
    "vocal_ratio": "double precision",
    "speech_ratio": "double precision",
    "confidence": "double precision",
}
_LANGUAGE_TYPES = {"track_id": "bigint", "ratios": "jsonb", "confidence": "double precision", "evidence": "jsonb"}
_SPAN_TYPES = {
    "track_id": "bigint",
    "span_no": "integer",
    "start_s": "double precision",
    "end_s": "double precision",
    "label": "text",
    "confidence": "double precision",
}
_VOCAL_SPAN_TYPES = {"kind" if name == "label" else name: kind for name, kind in _SPAN_TYPES.items()}
_LANGUAGE_SPAN_TYPES = {"language" if name == "label" else name: kind for name, kind in _SPAN_TYPES.items()}

_SET_VOCALS = text(f"""
    {insert_of("heard_vocals", _VOCAL_TYPES)} ON CONFLICT (track_id) DO UPDATE
    SET vocal_ratio = EXCLUDED.vocal_ratio, speech_ratio = EXCLUDED.speech_ratio, confidence = EXCLUDED.confidence
""")
_SET_LANGUAGES = text(f"""
    {insert_of("heard_languages", _LANGUAGE_TYPES)} ON CONFLICT (track_id) DO UPDATE
    SET ratios = EXCLUDED.ratios, confidence = EXCLUDED.confidence, evidence = EXCLUDED.evidence
""")
_INSERT_VOCAL_SPANS = text(insert_of("vocal_spans", _VOCAL_SPAN_TYPES))
_INSERT_LANGUAGE_SPANS = text(insert_of("language_spans", _LANGUAGE_SPAN_TYPES))

# Nobody can speak for longer than there is a voice, also where it is a curator who says how long that is.
_SETTLE_RATIOS = text("""
    UPDATE tracks SET vocal_ratio = settled.vocal_ratio,
        speech_ratio = CASE WHEN settled.heard IS NOT NULL THEN least(settled.heard, settled.vocal_ratio) END
    FROM (
        SELECT asked.id, coalesce(CAST(said.value AS double precision), heard_vocals.vocal_ratio) AS vocal_ratio,
            heard_vocals.speech_ratio AS heard
        FROM unnest(CAST(:ids AS bigint[])) AS asked (id)
        LEFT JOIN heard_vocals ON heard_vocals.track_id = asked.id
        LEFT JOIN corrections AS said ON said.track_id = asked.id AND said.field = 'vocal_ratio'
    ) AS settled WHERE tracks.id = settled.id
""")
# Where a curator says that there is no voice, and no more than that, what was heard as its language is none.
_SETTLE_LANGUAGES = text("""
    INSERT INTO languages (track_id, language, ratio)
    SELECT asked.id, settled.key, CAST(settled.value AS double precision)
    FROM unnest(CAST(:ids AS bigint[])) AS asked (id)
    LEFT JOIN heard_languages ON heard_languages.track_id = asked.id
    LEFT JOIN corrections AS said ON said.track_id = asked.id AND said.field = 'languages'
    LEFT JOIN corrections AS voiceless ON voiceless.track_id = asked.id
        AND voiceless.field = 'vocal_ratio' AND CAST(voiceless.value AS double precision) = 0
    CROSS JOIN jsonb_each_text(
        coalesce(said.value, CASE WHEN voiceless.value IS NULL THEN heard_languages.ratios END)
    ) AS settled
""")

Identified = Sequence[tuple[int, TrackAnalysis]]
"""Analyses with the ids of their tracks."""


def replace_vocals(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    """Write vocal activity in the place of what was stored of it; `unchanged` are the tracks that may have some."""
    made = {track_id: row for track_id, analysis in identified for row in analysis.of(VocalActivity)}
    heard = [
        (track_id, float(row.vocal_ratio), float(min(row.speech_ratio, row.vocal_ratio)), float(row.confidence))
        for track_id, row in made.items()
    ]
    spans = [
        (track_id, number, float(span.start_s), float(span.end_s), span.kind, float(span.confidence))
        for track_id, row in made.items()
        for number, span in enumerate(row.spans)
    ]
    execute(connection, _SET_VOCALS, _VOCAL_TYPES, heard)
    clear(connection, vocal_spans, made.keys() & unchanged)
    execute(connection, _INSERT_VOCAL_SPANS, _VOCAL_SPAN_TYPES, spans)


def replace_languages(connection: Connection, identified: Identified, unchanged: Set[int]) -> None:
    """Write what languages were heard in the place of what was stored of them."""
    made = {track_id: row for track_id, analysis in identified for row in analysis.of(LanguageRatios)}
    heard = [
        (
            track_id,
            _shares(row.ratios),
            float(row.confidence),
            json.dumps({k: dict(v) for k, v in row.evidence.items()}),
        )
        for track_id, row in made.items()
    ]
    spans = [
        (track_id, number, float(span.start_s), float(span.end_s), span.language, float(span.confidence))
        for track_id, row in made.items()
        for number, span in enumerate(row.spans)
    ]
    execute(connection, _SET_LANGUAGES, _LANGUAGE_TYPES, heard)
    clear(connection, language_spans, made.keys() & unchanged)
    execute(connection, _INSERT_LANGUAGE_SPANS, _LANGUAGE_SPAN_TYPES, spans)


def settle_voice(connection: Connection, track_ids: Collection[int]) -> None:
    """Bring ratios and languages of tracks in line with what was heard and what was corrected."""
    if not track_ids:
        return
    ids = {"ids": list(track_ids)}
    connection.execute(_SETTLE_RATIOS, ids)
    clear(connection, languages, track_ids)
    connection.execute(_SETTLE_LANGUAGES, ids)


def _shares(ratios: Any) -> str:
    return json.dumps({str(language): float(ratio) for language, ratio in ratios.items()})
