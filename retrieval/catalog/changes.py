"""What a filter can ask of tracks that changed after a revision: one statement a table.

A share of time is the summed length of the spans with one label over the track's duration, at most 1. It is rounded to
a billionth, so that the order in which PostgreSQL adds the spans up does not show.
"""

from typing import Any

from sqlalchemy import ColumnElement, Double, Numeric, Select, Table, cast, func, select

from retrieval.catalog.tables import chords, languages, rhythm, sections, tags, tracks

SHARE_DECIMALS = 9


def tracks_changed(after: int) -> Select[Any]:
    """The catalogue's own columns, oldest revision first; deleted tracks are flagged."""
    names = ("id", "revision", "key", "title", "artist", "album", "genre", "year", "duration_s", "vocal_ratio")
    return (
        select(*(tracks.c[name] for name in names), tracks.c.metadata)
        .add_columns(tracks.c.deleted_at.is_not(None).label("deleted"))
        .where(tracks.c.revision > after)
        .order_by(tracks.c.revision)
    )


def tags_changed(after: int, until: int) -> Select[Any]:
    """Rows of (tag, track_id, score)."""
    return _of_changed(select(tags.c.tag, tags.c.track_id, tags.c.score), tags, after, until)


def languages_changed(after: int, until: int) -> Select[Any]:
    """Rows of (language, track_id, ratio)."""
    statement = select(languages.c.language, languages.c.track_id, languages.c.ratio)
    return _of_changed(statement, languages, after, until)


def chords_changed(after: int, until: int) -> Select[Any]:
    """Rows of (label, track_id, share)."""
    return _shares_changed(chords, after, until)


def sections_changed(after: int, until: int) -> Select[Any]:
    """Rows of (label, track_id, share)."""
    return _shares_changed(sections, after, until)


def rhythm_changed(after: int, until: int) -> Select[Any]:
    """Rows of (track_id, tempo, key, mode)."""
    return _of_changed(select(rhythm.c.track_id, rhythm.c.tempo, rhythm.c.key, rhythm.c.mode), rhythm, after, until)


def _shares_changed(spans: Table, after: int, until: int) -> Select[Any]:
    share = func.least(func.sum(spans.c.end_s - spans.c.start_s) / tracks.c.duration_s, 1.0)
    statement = (
        select(spans.c.label, spans.c.track_id, _rounded(share).label("share"))
        .where(tracks.c.duration_s > 0)
        .group_by(spans.c.track_id, spans.c.label, tracks.c.duration_s)
    )
    return _of_changed(statement, spans, after, until)


def _rounded(number: ColumnElement[float]) -> ColumnElement[float]:
    return cast(func.round(cast(number, Numeric), SHARE_DECIMALS), Double)


def _of_changed(statement: Select[Any], table: Table, after: int, until: int) -> Select[Any]:
    return statement.join(tracks, tracks.c.id == table.c.track_id).where(
        tracks.c.revision > after, tracks.c.revision <= until
    )
