"""What a curator may say of a track, and what was said.

===========================================  ==================================================================
`languages`                                  shares of the vocal time by code (:mod:`retrieval.catalog.languages`) and
                                             ``unknown``; what they lack of 1 is ``unknown``, and nothing at all is a
                                             track without language
`vocal_ratio`                                share of the track's time in which somebody sings or speaks
`title` `artist` `album` `genre` `year`      as a file's tags have them; of several artists or genres a list, too
`metadata`                                   the caller's own JSON, as a whole
===========================================  ==================================================================

What was said stands above what is heard and read, also what is heard and read later, until it is taken back or the
track is deleted.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Engine, select

from retrieval.catalog.conditions import MANY, joined
from retrieval.catalog.languages import LANGUAGES, UNKNOWN_LANGUAGE, is_language, nearest_languages
from retrieval.catalog.records import Correction
from retrieval.catalog.tables import corrections, heard_languages, heard_vocals
from retrieval.errors import CorrectionError
from retrieval.wording import shown

TOLERANCE = 1e-3  # of shares that are meant to add up to 1
DECIMALS = 6
MAX_TEXT_LENGTH = 4_096
MAX_DEPTH = 32
"""Of a caller's JSON: deeper ones exhaust the stack of whoever reads them."""
TEXT_FIELDS = ("title", "artist", "album", "genre")
FIELDS = ("languages", "vocal_ratio", *TEXT_FIELDS, "year", "metadata")


def checked(said: Mapping[str, Any]) -> dict[str, Any]:
    """What was said as it is stored; none, which takes it back, stays none.

    Raises
    ------
    CorrectionError
        With every field that is wrong, and what would be accepted.
    """
    if not said:
        raise CorrectionError("", "nothing is said", f"at least one of {', '.join(FIELDS)}")
    return _each(said, _corrected)


def wrongly_said(said: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Each field that cannot be so, and why."""
    try:
        _each(said, _corrected)
    except CorrectionError as error:
        return [(one.field, one.explanation) for one in error.every]
    return []


def _corrected(field: str, value: Any) -> Any:
    return None if value is None else _checked(field, value)


def _each(said: Mapping[str, Any], check: Callable[[str, Any], Any]) -> dict[str, Any]:
    """Each value as `check` leaves it; what is wrong with any of them is told together."""
    checked, wrong = dict[str, Any](), list[CorrectionError]()
    for field, value in said.items():
        try:
            checked[field] = check(field, value)
        except CorrectionError as error:
            wrong.extend(error.every)
    if wrong:
        raise wrong[0].with_others(wrong[1:])
    return checked


def corrections_of(engine: Engine, track_id: int) -> dict[str, Correction]:
    """What was said of a track, by field."""
    statement = (
        select(corrections, heard_vocals.c.vocal_ratio, heard_languages.c.ratios)
        .outerjoin(heard_vocals, heard_vocals.c.track_id == corrections.c.track_id)
        .outerjoin(heard_languages, heard_languages.c.track_id == corrections.c.track_id)
        .where(corrections.c.track_id == track_id)
        .order_by(corrections.c.field)
    )
    with engine.connect() as connection:
        rows = connection.execute(statement).all()
    heard = {
        row.field: {"languages": row.ratios, "vocal_ratio": row.vocal_ratio}.get(row.field, row.read) for row in rows
    }
    return {row.field: Correction(row.field, row.value, heard[row.field], row.corrected_at) for row in rows}


def _checked(field: str, value: Any) -> Any:
    if field == "languages":
        return _shares(value)
    if field == "vocal_ratio":
        return _share(field, value)
    if field in MANY and isinstance(value, list):
        if not value or not all(isinstance(one, str) and one.strip("; ") for one in value):
            raise CorrectionError(field, f"is {shown(value)}", "texts in a list, or null to take the correction back")
        value = joined(value)
    if field in TEXT_FIELDS:
        if isinstance(value, str) and len(value) > MAX_TEXT_LENGTH:
            raise CorrectionError(field, f"has {len(value)} characters", f"at most {MAX_TEXT_LENGTH}")
        if not isinstance(value, str) or not value.strip() or not _is_storable(value):
            raise CorrectionError(field, f"is {shown(value)}", "a text, or null to take the correction back")
        return value
    if field == "year":
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= 9999:
            raise CorrectionError(field, f"is {shown(value)}", "a year from 0 to 9999")
        return value
    if field == "metadata":
        if _is_deeper(value, MAX_DEPTH):
            raise CorrectionError(field, "is nested too deeply", f"at most {MAX_DEPTH} levels")
        if not isinstance(value, Mapping) or not _is_json(value):
            raise CorrectionError(field, f"is {shown(value)}", "an object of JSON, without NUL")
        return dict(value)
    raise CorrectionError(field, "cannot be corrected", ", ".join(FIELDS))


def _shares(given: Any) -> dict[str, float]:
    if not isinstance(given, Mapping):
        raise CorrectionError(
            "languages", f"is {shown(given)}", 'shares by language, such as {"ja": 0.8, "unknown": 0.2}'
        )
    shares = _each({str(code): ratio for code, ratio in given.items()}, _language_share)
    total = math.fsum(shares.values())
    if total > 1 + TOLERANCE:
        raise CorrectionError("languages", f"adds up to {total:.4g}", "shares of the vocal time that add up to 1")
    if not shares:
        return {}
    if total >= 1 - TOLERANCE:
        shares = {code: share / total for code, share in shares.items()}
    else:
        shares[UNKNOWN_LANGUAGE] = shares.get(UNKNOWN_LANGUAGE, 0.0) + 1 - total
    return {code: round(share, DECIMALS) for code, share in shares.items() if share}


def _language_share(code: str, ratio: Any) -> float:
    if not is_language(code):
        near = ", ".join(f"{near} ({LANGUAGES.get(near, near)})" for near in nearest_languages(code))
        raise CorrectionError(f"languages.{code}", f"{code!r} is not a language", f"ISO 639 codes, maybe {near}")
    return _share(f"languages.{code}", ratio)


def _share(field: str, value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise CorrectionError(field, f"is {shown(value)}", "a number from 0 to 1")
    return float(value)


def _is_json(value: Any) -> bool:
    """Whether PostgreSQL can hold a value as JSON."""
    if isinstance(value, Mapping):
        return all(isinstance(name, str) and _is_storable(name) and _is_json(one) for name, one in value.items())
    if isinstance(value, list):
        return all(map(_is_json, value))
    if isinstance(value, str):
        return _is_storable(value)
    return value is None or isinstance(value, int) or (isinstance(value, float) and math.isfinite(value))


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, Mapping | list):
        return False
    inner = value.values() if isinstance(value, Mapping) else value
    return levels == 0 or any(_is_deeper(one, levels - 1) for one in inner)


def _is_storable(text: str) -> bool:
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)
