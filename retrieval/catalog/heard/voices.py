"""What was heard of the voice in a track: who sings or speaks when, in which language, and how sure that is."""

from sqlalchemy import Engine, func, literal_column, select

from retrieval.catalog.records import HeardVoice, LanguageRatios, LanguageSpan, VocalActivity, VocalSpan
from retrieval.catalog.tables import (
    analyses,
    heard_languages,
    heard_vocals,
    language_spans,
    languages,
    tracks,
    vocal_spans,
)

VOCALS_STAGE = "vocals"
LANGUAGE_STAGE = "language"

LANGUAGES_OF_TRACK = (
    select(func.coalesce(func.jsonb_object_agg(languages.c.language, languages.c.ratio), literal_column("'{}'::jsonb")))
    .where(languages.c.track_id == tracks.c.id)
    .scalar_subquery()
)
"""Shares by language, an object, of the row of `tracks` of the statement that it stands in."""


def heard_voice(engine: Engine, track_id: int) -> HeardVoice:
    """What the stages `vocals` and `language` made of a track."""
    stages = analyses.c.stage.in_((VOCALS_STAGE, LANGUAGE_STAGE))
    with engine.connect() as connection:
        vocal, language = (
            connection.execute(select(table).where(table.c.track_id == track_id)).first()
            for table in (heard_vocals, heard_languages)
        )
        sung, spoken_in = (
            connection.execute(select(table).where(table.c.track_id == track_id).order_by(table.c.span_no)).all()
            for table in (vocal_spans, language_spans)
        )
        versions = connection.execute(select(analyses).where(analyses.c.track_id == track_id, stages)).all()
    vocal_rows = tuple(VocalSpan(row.start_s, row.end_s, row.kind, row.confidence) for row in sung)
    language_rows = tuple(LanguageSpan(row.start_s, row.end_s, row.language, row.confidence) for row in spoken_in)
    vocals = ratios = None
    if vocal is not None:
        vocals = VocalActivity(vocal.vocal_ratio, vocal.speech_ratio, vocal.confidence, vocal_rows)
    if language is not None:
        ratios = LanguageRatios(language.ratios, language.confidence, language_rows, language.evidence)
    return HeardVoice(vocals, ratios, {row.stage: row.version for row in versions})
