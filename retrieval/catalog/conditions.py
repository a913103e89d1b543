"""What tracks are asked to be like, as a tree: made of a filter, and compiled to the language of whoever answers.

A test is about one key, and holds if any of the values that a track has of it meets it; a number and a text are never
equal, and true and false are words. The keys, with their types and units: `retrieval/filters/reference.py`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

# Keys by the column that holds them. The caller's id is `track` everywhere outside the tables.
TEXT_KEYS = {
    **{"track": "key", "title": "title", "artist": "artist", "album": "album", "genre": "genre"},
    "partial": "partial",
}
MANY = ("artist", "genre")
"""Of these, those whose text may hold several values, of which any meets a test, as does the text as a whole."""
SEPARATOR = "; "
"""What stands between several values, as in what taggers show of several."""
NUMBER_KEYS = ("year", "duration_s", "vocal_ratio", "speech_ratio")
RHYTHM_NUMBER_KEYS = ("tempo", "meter")
RHYTHM_TEXT_KEYS = ("key", "mode")
SECTION_LABELS = ("intro", "verse", "chorus", "bridge", "inst", "outro", "silence")
FIXED_KEYS = (*TEXT_KEYS, *NUMBER_KEYS, *RHYTHM_NUMBER_KEYS, *RHYTHM_TEXT_KEYS)


def joined(values: Iterable[str]) -> str:
    """Several values as one text, each once; one that holds the separator is several."""
    parts = (part.strip() for value in values for part in parts_of(value))
    return SEPARATOR.join(part for part in dict.fromkeys(parts) if part)


def parts_of(text: str | None) -> list[str]:
    """The values of a text that may hold several; of none, none."""
    return [] if text is None else text.split(SEPARATOR)


@dataclass(frozen=True)
class All:
    """Every part holds; true without parts."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class AtLeast:
    """So many of the parts hold."""

    count: int
    parts: tuple[Condition, ...]


@dataclass(frozen=True)
class Not:
    """The part does not hold."""

    part: Condition


@dataclass(frozen=True)
class OneOf:
    """A value equals one of these."""

    key: str
    values: tuple[float | str, ...]


@dataclass(frozen=True)
class Between:
    """A number lies in an interval, whose ends may be infinite; an open end does not belong to it."""

    key: str
    low: float
    high: float
    low_open: bool = False
    high_open: bool = False


@dataclass(frozen=True)
class Present:
    """There is a value."""

    key: str


Test = OneOf | Between | Present
Condition = All | AtLeast | Not | Test
