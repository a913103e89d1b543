"""A filter in JSON, and the condition that it stands for.

    {"must": [{"key": "year", "range": {"gte": 1990, "lt": 2000}}],
     "should": [{"key": "tags.rock", "range": {"gte": 0.5}}, {"must_not": [...]}], "min_should": 1,
     "must_not": [{"key": "artist", "match": {"any": ["A", "B"]}}]}

Every condition of `must` holds, at least `min_should` of `should` (1 when there is any), and none of `must_not`. A
filter may stand wherever a condition may. The keys: :mod:`retrieval.filters.reference`.

A match of text is folded (`retrieval.folding`) unless it is ``exact``. The condition holds the spellings that
the catalogue has, so whoever answers compares to the letter, and all of them alike.

A range or a match of `tempo` with ``"octaves": true`` holds also for half and for twice its numbers: which of these is
the tempo is what people disagree on. `key` takes any spelling of a tonic (``Gb`` is ``F#``), alone or with the mode.
"""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Self

from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError, model_validator

from retrieval.catalog.conditions import All, AtLeast, Between, Not, OneOf, Present, Test
from retrieval.errors import FilterError
from retrieval.filters.attributes import Attributes
from retrieval.filters.keys import MODES, read_key
from retrieval.filters.reference import Kind, documented, unknown
from retrieval.json_values import STRICTLY, WHOLE, Listed
from retrieval.wording import reasons

MAX_CONDITIONS = 1_000
MAX_DEPTH = 8

_Clause = All | AtLeast | Not | Test


class _Strict(BaseModel):
    model_config = STRICTLY


class Match(_Strict):
    """Equal to `value`, or to any of `any`."""

    value: bool | float | str | None = Field(default=None, description="a text, a number, true or false")
    any: Listed[bool | float | str] | None = Field(default=None, description="several of these, of which one will do")
    exact: bool = Field(
        default=False,
        description="whether a text must be the same to the letter; otherwise case, accents and forms of writing do "
        "not count: bjork is Björk",
    )

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

    must: Listed[Clause] = Field(default_factory=list)
    should: Listed[Clause] = Field(default_factory=list)
    must_not: Listed[Clause] = Field(default_factory=list)
    min_should: Annotated[int, Field(ge=1), WHOLE] | None = None

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
        (path, reason), *_ = reasons(error, Filter)
        raise FilterError(f"filter.{path}".rstrip("."), reason) from error


def keys_of(filter_: Filter) -> list[str]:
    """The keys that a filter names, each once, in order."""
    keys = dict[str, None]()
    for clause in (*filter_.must, *filter_.should, *filter_.must_not):
        keys |= dict.fromkeys(keys_of(clause) if isinstance(clause, Filter) else [clause.key])
    return list(keys)


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
    if not attributes.is_key(key):
        raise FilterError(f"{path}.key", *unknown(key, attributes.tags(), attributes.keys()))
    line = documented(key)
    kind = "any" if line is None else line.kind
    if condition.octaves and (key != "tempo" or condition.is_empty is not None):
        raise FilterError(f"{path}.octaves", f"key {key!r} has none here", "with a range or a match of key 'tempo'")
    if condition.range is not None:
        if kind not in ("number", "any"):
            raise FilterError(f"{path}.range", f"key {key!r} holds text", "match, is_empty")
        between = _between(key, condition.range)
        return _with_octaves(between) if condition.octaves else between
    if condition.match is not None:
        return _match(key, kind, condition, attributes, f"{path}.match")
    return Not(Present(key)) if condition.is_empty else Present(key)


def _match(key: str, kind: Kind, condition: Condition, attributes: Attributes, path: str) -> _Clause:
    match = condition.match
    assert match is not None  # _test
    values, places = ([match.value], ["value"]) if match.any is None else (match.any, [])
    for number, value in enumerate(values):
        _check_kind(key, kind, value, f"{path}.{places[0] if places else f'any[{number}]'}")
    if kind == "tonic":
        return AtLeast(1, tuple(_of_music(key, value, path) for value in values))
    wanted = [_stored(value) for value in values]
    if kind in ("text", "word", "any") and not match.exact:
        numbers = [value for value in wanted if not isinstance(value, str)]
        spelt = attributes.spellings(key, [value for value in wanted if isinstance(value, str)])
        return OneOf(key, (*numbers, *spelt))
    equal = OneOf(key, tuple(wanted))
    return _with_octaves(equal) if condition.octaves else equal


def _check_kind(key: str, kind: Kind, value: bool | float | str | None, path: str) -> None:
    """Refuse a value that no track can have of the key: it would match nothing, and nobody would know why."""
    if kind == "number" and (isinstance(value, bool | str) or value is None):
        raise FilterError(path, f"is {value!r}, and key {key!r} holds numbers", "a number")
    if kind == "word" and str(value).strip().lower() not in ("true", "false"):
        raise FilterError(path, f"is {value!r}, and key {key!r} holds true or false", "true, false")
    if kind in ("text", "id") and not isinstance(value, str):
        example = f"{value:g}" if isinstance(value, float) else str(value).lower()
        raise FilterError(path, f"is {example}, and key {key!r} holds text", f'text, such as "{example}"')


def _of_music(key: str, value: object, path: str) -> All:
    """A tonic with or without its mode, or a mode, as they are stored."""
    if key == "mode":
        named = str(value).strip().lower()
        if named not in MODES:
            raise FilterError(path, f"{value!r} is not a mode", ", ".join(MODES))
        return All((OneOf("mode", (named,)),))
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


def _stored(value: bool | float | str | None) -> float | str:
    # A caller's own true and false are stored as words.
    return str(value).lower() if isinstance(value, bool) or value is None else value
