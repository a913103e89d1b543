"""A filter in JSON, and the condition that it stands for.

    {"must": [{"key": "year", "range": {"gte": 1990, "lt": 2000}}],
     "should": [{"key": "tags.rock", "range": {"gte": 0.5}}, {"must_not": [...]}], "min_should": 1,
     "must_not": [{"key": "artist", "match": {"any": ["A", "B"]}}]}

Every condition of `must` holds, at least `min_should` of `should` (1 when there is any), and none of `must_not`. A
filter may stand wherever a condition may. What it means, and the keys: see :mod:`retrieval.catalog.conditions`.

A range or a match of `tempo` with ``"octaves": true`` holds also for half and for twice its numbers: which of these is
the tempo is what people disagree on. `key` takes any spelling of a tonic (``Gb`` is ``F#``), alone or with the mode.
"""

import difflib
import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError, model_validator

from retrieval.catalog.conditions import RHYTHM_TEXT_KEYS, All, AtLeast, Between, Not, OneOf, Present, Test
from retrieval.catalog.languages import language_name, nearest_languages
from retrieval.errors import FilterError
from retrieval.filters.attributes import Attributes
from retrieval.filters.keys import MODES, read_key

MAX_CONDITIONS = 1_000
MAX_DEPTH = 8
SUGGESTIONS = 3

_Clause = All | AtLeast | Not | Test


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class Match(_Strict):
    """Equal to `value`, or to any of `any`."""

    value: bool | float | str | None = None
    any: list[bool | float | str] | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.value is None) == (self.any is None):
            raise ValueError("exactly one of value, any is needed")
        return self


class Range(_Strict):
    """A number within bounds."""

    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.gt is self.gte is self.lt is self.lte is None:
            raise ValueError("at least one of gt, gte, lt, lte is needed")
        if (self.gt is not None and self.gte is not None) or (self.lt is not None and self.lte is not None):
            raise ValueError("gt excludes gte, and lt excludes lte")
        return self


class Condition(_Strict):
    """One test on one key."""

    key: str
    match: Match | None = None
    range: Range | None = None
    is_empty: bool | None = None
    octaves: bool = Field(default=False, description="of tempo: half and twice the numbers will do as well")

    @model_validator(mode="after")
    def _one(self) -> Self:
        if sum(test is not None for test in (self.match, self.range, self.is_empty)) != 1:
            raise ValueError("exactly one of match, range, is_empty is needed")
        return self


def _kind(clause: Any) -> str:
    is_condition = isinstance(clause, Condition) or (isinstance(clause, Mapping) and "key" in clause)
    return "condition" if is_condition else "filter"


Clause = Annotated[Annotated[Condition, Tag("condition")] | Annotated["Filter", Tag("filter")], Discriminator(_kind)]


class Filter(_Strict):
    """Conditions, and filters of conditions."""

    must: list[Clause] = Field(default_factory=list)
    should: list[Clause] = Field(default_factory=list)
    must_not: list[Clause] = Field(default_factory=list)
    min_should: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.min_should is not None and self.min_should > len(self.should):
            raise ValueError(f"min_should is {self.min_should} of {len(self.should)} conditions in should")
        return self


def parse_filter(raw: Any) -> Filter:
    """Read a filter from JSON's objects.

    Raises
    ------
    FilterError
        With the path of the first offending field.
    """
    if not isinstance(raw, Mapping | Filter):
        raise FilterError("filter", "is not an object of JSON", "must, should, must_not, min_should")
    try:
        return Filter.model_validate(raw)
    except ValidationError as error:
        first = error.errors()[0]
        raise FilterError(field_path(("filter", *first["loc"])), first["msg"]) from error


def field_path(location: tuple[int | str, ...]) -> str:
    """A location as ``filter.must[0].key``; the tags of the union are left out."""
    steps = [step for step in location if step not in ("condition", Filter.__name__.lower()) or step == location[0]]
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def condition_of(filter_: Filter, attributes: Attributes) -> All:
    """What a filter stands for; `attributes` as they stand, not refreshed, say which keys there are.

    Raises
    ------
    FilterError
        For an unknown key (with the nearest ones), a range over text, or a filter that is too large.
    """
    with attributes.lock:
        return _filter(filter_, attributes, "filter", MAX_DEPTH)


def _filter(clauses: Filter, attributes: Attributes, path: str, depth: int) -> All:
    if depth == 0:
        raise FilterError(path, "is nested too deeply", f"at most {MAX_DEPTH} levels")
    for name in ("must", "should", "must_not"):
        if len(getattr(clauses, name)) > MAX_CONDITIONS:
            raise FilterError(f"{path}.{name}", "has too many conditions", f"at most {MAX_CONDITIONS}")

    def read(name: str) -> list[_Clause]:
        return [
            _filter(clause, attributes, f"{path}.{name}[{number}]", depth - 1)
            if isinstance(clause, Filter)
            else _test(clause, attributes, f"{path}.{name}[{number}]")
            for number, clause in enumerate(getattr(clauses, name))
        ]

    must, should = read("must"), tuple(read("should"))
    least = [AtLeast(clauses.min_should or 1, should)] if should else []
    return All((*must, *least, *map(Not, read("must_not"))))


def _test(condition: Condition, attributes: Attributes, path: str) -> _Clause:
    key = condition.key
    column = attributes.column(key)
    if column is None:
        raise FilterError(f"{path}.key", *_unknown(key, attributes.keys()))
    if condition.octaves and (key != "tempo" or condition.is_empty is not None):
        raise FilterError(f"{path}.octaves", f"key {key!r} has none here", "with a range or a match of key 'tempo'")
    if condition.range is not None:
        if key in RHYTHM_TEXT_KEYS or (not len(column.numbers) and len(column.texts)):
            raise FilterError(f"{path}.range", f"key {key!r} holds text", "match, is_empty")
        between = _between(key, condition.range)
        return _with_octaves(between) if condition.octaves else between
    if condition.match is not None:
        values = [condition.match.value] if condition.match.any is None else condition.match.any
        if key in RHYTHM_TEXT_KEYS:
            return AtLeast(1, tuple(_of_music(key, value, f"{path}.match") for value in values))
        equal = OneOf(key, tuple(map(_stored, values)))
        return _with_octaves(equal) if condition.octaves else equal
    return Not(Present(key)) if condition.is_empty else Present(key)


def _of_music(key: str, value: object, path: str) -> All:
    """A tonic with or without its mode, or a mode, as they are stored."""
    if key == "mode":
        if value not in MODES:
            raise FilterError(path, f"{value!r} is not a mode", ", ".join(MODES))
        return All((OneOf("mode", (str(value),)),))
    try:
        tonic, mode = read_key(value)
    except ValueError as error:
        raise FilterError(path, str(error), "a tonic, such as A, F# or Gb, alone or with its mode: A minor") from error
    return All((OneOf("key", (tonic,)), *([OneOf("mode", (mode,))] if mode else [])))


def _with_octaves(test: Between | OneOf) -> AtLeast:
    """The test, and the same of half and of twice its numbers."""

    def times(factor: float) -> Between | OneOf:
        if isinstance(test, Between):
            return replace(test, low=factor * test.low, high=factor * test.high)
        return replace(test, values=tuple(one if isinstance(one, str) else factor * one for one in test.values))

    return AtLeast(1, (test, times(0.5), times(2.0)))


def _between(key: str, bounds: Range) -> Between:
    low = next((bound for bound in (bounds.gt, bounds.gte) if bound is not None), -math.inf)
    high = next((bound for bound in (bounds.lt, bounds.lte) if bound is not None), math.inf)
    return Between(key, low, high, low_open=bounds.gt is not None, high_open=bounds.lt is not None)


def _unknown(key: str, known: list[str]) -> tuple[str, str]:
    """What is wrong with a key that is not known, and what would be accepted."""
    family, _, code = key.partition(".")
    if family == "language":
        near = [f"language.{near} ({language_name(near)})" for near in nearest_languages(code)]
        return f"unknown key {key!r}: {code!r} is not an ISO 639 code of a language", ", ".join(near)
    if family == "sections":
        return f"unknown key {key!r}", ", ".join(one for one in known if one.startswith("sections."))
    return f"unknown key {key!r}", ", ".join(_nearest(key, known))


def _nearest(key: str, known: list[str]) -> list[str]:
    """Known keys to suggest: those of the same family (`tags.…`) where there is one, otherwise the fixed ones."""
    family, dot, _ = key.partition(".")
    siblings = [one for one in known if dot and one.startswith(family + dot)]
    if siblings:
        return difflib.get_close_matches(key, siblings, n=SUGGESTIONS, cutoff=0)
    return difflib.get_close_matches(key, known, n=SUGGESTIONS) or [one for one in known if "." not in one]


def _stored(value: bool | float | str | None) -> float | str:
    # A caller's own true and false are stored as words.
    return str(value).lower() if isinstance(value, bool) or value is None else value
