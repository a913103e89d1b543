"""Every key of a filter: its type, unit and meaning, in one place that checks, errors, OpenAPI and docs all read.

Whether a key is valid does not depend on what the catalogue holds. A key without a value on any track matches nothing.
"""

from __future__ import annotations

import difflib
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from retrieval.catalog.conditions import FIXED_KEYS, SECTION_LABELS
from retrieval.catalog.languages import LANGUAGES, UNKNOWN_LANGUAGE, language_name, nearest_languages

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

Kind = Literal["text", "id", "word", "tonic", "number", "any"]
"""What values a key has: a text is compared folded (`retrieval.folding`), an id to the letter."""
SUGGESTIONS = 3
SURELY, LIKELY = 0.75, 0.6
"""How alike a key is, by `difflib`, that must be meant where there is one, and one that may be."""
KNOWN_PATHS = ("isrc", "musicbrainz.artist", "musicbrainz.recording", "musicbrainz.release")
"""What stands in `metadata` of a file's own tags."""


@dataclass(frozen=True)
class FilterKey:
    """A key, or a family of them.

    Attributes
    ----------
    name : with what varies in angle brackets
    values : of numbers their unit, or the least and the most that a track can have; of texts what they may be
    meaning : one sentence
    example : a condition, as JSON's objects
    """

    name: str
    kind: Kind
    values: str | tuple[int, int]
    meaning: str
    example: dict[str, object]

    @property
    def unit(self) -> str:
        """What its values are, as it is shown."""
        return self.values if isinstance(self.values, str) else f"{self.values[0]} to {self.values[1]}"

    @property
    def tests(self) -> tuple[str, ...]:
        """The tests that the key takes."""
        return ("match", "range", "is_empty") if self.kind in ("number", "any") else ("match", "is_empty")


def _at_least(key: str, least: float) -> dict[str, object]:
    return {"key": key, "range": {"gte": least}}


def _is(key: str, value: object) -> dict[str, object]:
    return {"key": key, "match": {"value": value}}


_SHARE = (0, 1)
KEYS: tuple[FilterKey, ...] = (
    FilterKey("track", "id", "text, to the letter", "the caller's own id", _is("track", "music/a.mp3")),
    FilterKey("title", "text", "text", "the track's title", _is("title", "vertigo")),
    FilterKey("artist", "text", "text", "any of several artists, or all as one text", _is("artist", "Björk")),
    FilterKey("album", "text", "text", "the album's title", _is("album", "1989")),
    FilterKey("genre", "text", "text", "any of several genres, or all as one text", _is("genre", "Hip-Hop")),
    FilterKey("partial", "word", "true or false", "whether the file is a part of what it was", _is("partial", False)),
    FilterKey("year", "number", (0, 9999), "the year of release", {"key": "year", "range": {"gte": 1990, "lt": 2000}}),
    FilterKey("duration_s", "number", "seconds", "the track's length", {"key": "duration_s", "range": {"lte": 240}}),
    FilterKey(
        "vocal_ratio",
        "number",
        _SHARE,
        "share of the time in which somebody sings or speaks",
        {"key": "vocal_ratio", "range": {"lt": 0.1}},
    ),
    FilterKey(
        "speech_ratio",
        "number",
        _SHARE,
        "share of the time in which somebody speaks",
        {"key": "speech_ratio", "range": {"lt": 0.1}},
    ),
    FilterKey(
        "tempo",
        "number",
        "beats a minute",
        'none without beats; with `"octaves": true` half and twice the numbers will do as well',
        {"key": "tempo", "range": {"gte": 118, "lte": 122}, "octaves": True},
    ),
    FilterKey("meter", "number", "beats a bar", "none without beats", _is("meter", 3)),
    FilterKey(
        "key",
        "tonic",
        "a tonic in any spelling, alone or with its mode",
        "the key of the music",
        _is("key", "Gb minor"),
    ),
    FilterKey("mode", "tonic", "`major` or `minor`", "the mode of the music", _is("mode", "minor")),
    FilterKey("tags.<name>", "number", _SHARE, "score of a tag of the vocabulary below", _at_least("tags.rock", 0.5)),
    FilterKey(
        "language.<code>",
        "number",
        _SHARE,
        "share of the vocal time in a language, by its ISO 639 code; `language.unknown` of what nobody could tell",
        _at_least("language.ja", 0.6),
    ),
    FilterKey(
        "sections.<label>",
        "number",
        _SHARE,
        f"share of the time in parts of this label: {', '.join(f'`{label}`' for label in SECTION_LABELS)}",
        _at_least("sections.chorus", 0.5),
    ),
    FilterKey(
        "chords.<label>",
        "number",
        _SHARE,
        "share of the time with this chord, in Harte's notation: `C:maj`, `F#:min/b3`, `N`. **No analysis hears chords "
        "yet, so no track has any**",
        _at_least("chords.C:maj", 0.2),
    ),
    FilterKey(
        "meta.<path>",
        "any",
        "number, text, true or false",
        "the caller's own JSON: the steps through its objects are joined by dots, and of a list any element will do. "
        f"From files' tags: {', '.join(f'`meta.{path}`' for path in KNOWN_PATHS)}",
        _is("meta.shop.live", True),
    ),
)
"""Every key, in the order in which it is shown."""

LANGUAGE_KEYS = tuple(f"language.{code}" for code in (*LANGUAGES, UNKNOWN_LANGUAGE))
SECTION_KEYS = tuple(f"sections.{label}" for label in SECTION_LABELS)
ALWAYS = (*FIXED_KEYS, *LANGUAGE_KEYS, *SECTION_KEYS)
"""Keys that every catalogue has columns of."""

_DEGREE = r"[b#]*(?:1[0-3]|[1-9])"
_DEGREES = rf"\(\*?{_DEGREE}(?:,\*?{_DEGREE})*\)"
_SHORTHAND = "(?:(?:maj|min)(?:6|7|9|11|13)?|minmaj7|aug|dim7?|hdim7|sus[24]|1|5|6|7|9|11|13)"
CHORD = rf"(?:N|X|[A-G][b#]*(?::(?:{_SHORTHAND}(?:{_DEGREES})?|{_DEGREES}))?(?:/{_DEGREE})?)"
"""A chord's label in the notation of Harte et al., Symbolic representation of musical chords, ISMIR 2005, with the
shorthands of the collections that have grown since (``7``, ``sus2``, ``min11``, ``maj13``, …).
"""
_CHORD = re.compile(CHORD)
_EVERYWHERE = frozenset(ALWAYS)
_BY_NAME = {key.name: key for key in KEYS}
_BY_FAMILY = {key.name.partition(".")[0]: key for key in KEYS if "." in key.name}
_MEANT = {"bpm": "tempo", "length": "duration_s", "id": "track", "tonality": "key", "time_signature": "meter"}
"""What others call a key."""


def documented(key: str) -> FilterKey | None:
    """The line of :data:`KEYS` that a key stands in; none where it is of no family."""
    family, dot, _ = key.partition(".")
    return _BY_FAMILY.get(family) if dot else _BY_NAME.get(key)


def is_always_valid(key: str) -> bool:
    """Whether a key is one whatever tags there are, and whatever the catalogue holds."""
    family, dot, name = key.partition(".")
    if not dot:
        return key in FIXED_KEYS
    return family == "meta" or (family == "chords" and bool(_CHORD.fullmatch(name))) or key in _EVERYWHERE


def limits_of(key: str) -> tuple[float, float]:
    """The least and the most that a track can have of a key; without end where nothing says so."""
    line = documented(key)
    return line.values if line is not None and isinstance(line.values, tuple) else (-math.inf, math.inf)


def is_number(key: str) -> bool:
    """Whether a key holds numbers alone."""
    line = documented(key)
    return line is not None and line.kind == "number"


def unknown(key: str, tags: Iterable[str], known: Collection[str]) -> tuple[str, str]:
    """What is wrong with a key that is none, with what may be meant; and what would be accepted, where that is unclear.

    Parameters
    ----------
    tags : of the vocabulary
    known : what else this catalogue has values of
    """
    wrong = f"unknown key {key!r}"
    family, dot, name = key.partition(".")
    if dot and family == "language":
        near = [f"language.{code} ({language_name(code)})" for code in nearest_languages(name)]
        return f"{wrong}: {name!r} is not an ISO 639 code of a language", ", ".join(near)
    if dot and family == "chords":
        return f"{wrong}: {name!r} is not a chord", "a label in Harte's notation: C:maj, F#:min/b3, N"
    every = sorted({*known, *ALWAYS, *(f"tags.{tag}" for tag in tags)})
    if not dot and key in _BY_FAMILY:
        line = _BY_FAMILY[key]
        return f"{wrong}: did you mean {line.name}, such as {line.example['key']!r}?", ""
    siblings = [one for one in every if dot and one.startswith(f"{family}.")]
    if family == "sections" and dot:
        return wrong, ", ".join(siblings)
    meant = _meant(key, siblings or every)
    if meant:
        return f"{wrong}: did you mean {' or '.join(map(repr, meant))}?", ""
    if siblings:
        return wrong, ", ".join(difflib.get_close_matches(key, siblings, n=SUGGESTIONS, cutoff=0))
    return wrong, ", ".join((*FIXED_KEYS, *(line.name for line in _BY_FAMILY.values())))


def _meant(key: str, known: Iterable[str]) -> list[str]:
    """The keys that may be meant by one that is none, the likeliest first: spelt like it in any case, or a bare tag."""
    lower = key.lower()
    spelt = {one.lower(): one for one in known}
    certain = _MEANT.get(lower) or spelt.get(lower) or spelt.get(f"tags.{lower}")
    if certain:
        return [certain]
    bare = [one for one in spelt if "." not in one] if "." not in key else []
    for cutoff in (SURELY, LIKELY):
        for among in (bare, list(spelt)):
            if near := difflib.get_close_matches(lower, among, n=SUGGESTIONS, cutoff=cutoff):
                return [spelt[one] for one in near]
    return []
