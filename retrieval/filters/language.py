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

from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError, field_validator, model_validator

from retrieval.catalog.conditions import All, AtLeast, Between, Not, OneOf, Present, Test
from retrieval.errors import FilterError
from retrieval.filters.attributes import Attributes
from retrieval.filters.keys import MODES, read_key
from retrieval.filters.reference import Kind, documented, limits_of, unknown
from retrieval.json_values import STRICTLY, WHOLE, Listed
from retrieval.wording import reasons, shown

MAX_CONDITIONS = 1_000
MAX_DEPTH = 8

_Clause = All | AtLeast | Not | Test


class _Strict(BaseModel):
    model_config = STRICTLY


class Match(_Strict):
    """Equal to `value`, or to any of `any`."""

    value: bool | float | str | None = Field(default=None, description="a text, a number, true or false")
    any: Listed[bool | float | str] | None = Field(
        default=None, min_length=1, description="several of these, of which one will do"
    )
    exact: bool = Field(
        default=False,
        description="whether a text must be the same to the letter; otherwise case, accents and forms of writing do "
        "not count: bjork is Björk",
    )

    @field_validator("value", mode="before")
    @classmethod
    def _is_some(cls, value: Any) -> Any:
        if value is None:
            raise ValueError('is null; accepted: a text, a number, true or false; "is_empty": true finds what has none')
        return value

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
        bounds = self.bounds
        if not bounds:
            raise ValueError("at least one of gt, gte, lt, lte is needed")
        if bounds.keys() >= {"gt", "gte"} or bounds.keys() >= {"lt", "lte"}:
            raise ValueError("gt excludes gte, and lt excludes lte")
        if len(bounds) == 2:
            (least, low), (most, high) = bounds.items()
            order = "≤" if (least, most) == ("gte", "lte") else "<"
            if low > high or (low == high and order == "<"):
                nothing = f"nothing lies between: {least} is {shown(low)}, {most} is {shown(high)}"
                raise ValueError(f"{nothing}; accepted: {least} {order} {most}")
        return self

    @property
    def bounds(self) -> dict[str, float]:
        """Those that are given, the lower one first."""
        given = {"gt": self.gt, "gte": self.gte, "lt": self.lt, "lte": self.lte}
        return {name: bound for name, bound in given.items() if bound is not None}


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
    is_filter = isinstance(clause, Filter) or (
        isinstance(clause, Mapping) and not clause.keys() & Condition.model_fields
    )
    return "filter" if is_filter else "condition"


Clause = Annotated[Annotated[Condition, Tag("condition")] | Annotated["Filter", Tag("filter")], Discriminator(_kind)]


class Filter(_Strict):
    """Conditions, and filters of conditions."""

    must: Listed[Clause] = Field(default_factory=list)
    should: Listed[Clause] = Field(default_factory=list)
    must_not: Listed[Clause] = Field(default_factory=list)
    min_should: Annotated[int, Field(ge=1), WHOLE] | None = None

    @model_validator(mode="before")
    @classmethod
    def _is_no_condition(cls, given: Any) -> Any:
        if isinstance(given, Mapping) and "key" in given:
            raise ValueError('is a condition, without a list that it stands in; accepted: {"must": [condition, …]}')
        return given

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
        With the path of every field that does not fit.
    """
    if not isinstance(raw, Mapping | Filter):
        raise FilterError("filter", "is not an object of JSON", "must, should, must_not, min_should")
    try:
        return Filter.model_validate(raw)
    except ValidationError as error:
        parts = [(path, *reason.partition("; accepted: ")[::2]) for path, reason in reasons(error, Filter)]
        wrong = [FilterError(f"filter.{path}".rstrip("."), reason, accepted) for path, reason, accepted in parts]
        raise wrong[0].with_others(wrong[1:]) from error


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
        For unknown keys (with the nearest ones), values that no track can have, or a filter that is too large.
    """
    with attributes.lock:
        return _filter(filter_, attributes, "filter", MAX_DEPTH)


def _filter(clauses: Filter, attributes: Attributes, path: str, depth: int) -> All:
    if depth == 0:
        raise FilterError(path, "is nested too deeply", f"at most {MAX_DEPTH} levels")
    for name in ("must", "should", "must_not"):
        if len(getattr(clauses, name)) > MAX_CONDITIONS:
            raise FilterError(f"{path}.{name}", "has too many conditions", f"at most {MAX_CONDITIONS}")

    wrong = list[FilterError]()

    def read(name: str) -> list[_Clause]:
        conditions = list[_Clause]()
        for number, clause in enumerate(getattr(clauses, name)):
            place = f"{path}.{name}[{number}]"
            try:
                is_filter = isinstance(clause, Filter)
                conditions.append(
                    _filter(clause, attributes, place, depth - 1) if is_filter else _test(clause, attributes, place)
                )
            except FilterError as error:
                wrong.extend(error.every)
        return conditions

    must, should, must_not = read("must"), tuple(read("should")), read("must_not")
    if wrong:
        raise wrong[0].with_others(wrong[1:])
    least = [AtLeast(clauses.min_should or 1, should)] if should else []
    return All((*must, *least, *map(Not, must_not)))


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
        _check_range(key, condition.range.bounds, f"{path}.range")
        between = _between(key, condition.range)
        return _with_octaves(between) if condition.octaves else between
    if condition.match is not None:
        return _match(key, kind, condition, attributes, f"{path}.match")
    return Not(Present(key)) if condition.is_empty else Present(key)


def _match(key: str, kind: Kind, condition: Condition, attributes: Attributes, path: str) -> _Clause:
    match = condition.match
    assert match is not None  # _test
    given = {"value": match.value} if match.any is None else {f"any[{n}]": one for n, one in enumerate(match.any)}
    values = [value for value in given.values() if value is not None]
    for name, value in zip(given, values, strict=True):
        _check_kind(key, kind, value, f"{path}.{name}")
    if kind == "tonic":
        return AtLeast(
            1, tuple(_of_music(key, value, f"{path}.{name}") for name, value in zip(given, values, strict=True))
        )
    wanted = [_stored(value) for value in values]
    if kind in ("text", "word", "any") and not match.exact:
        numbers = [value for value in wanted if not isinstance(value, str)]
        spelt = attributes.spellings(key, [value for value in wanted if isinstance(value, str)])
        return OneOf(key, (*numbers, *spelt))
    equal = OneOf(key, tuple(wanted))
    return _with_octaves(equal) if condition.octaves else equal


def _check_range(key: str, bounds: Mapping[str, float], path: str) -> None:
    """Refuse bounds that no track can have of the key, and those that leave nothing of what it can have."""
    for name, bound in bounds.items():
        _check_number(key, bound, f"{path}.{name}")
        least, most = limits_of(key)
        if (name, bound) in (("lt", least), ("gt", most)):
            beyond = f"nothing is {'below' if name == 'lt' else 'above'} {shown(bound)}"
            raise FilterError(
                f"{path}.{name}", f"{beyond}, as key {key!r} holds {least} to {most}", f"{least} to {most}"
            )


def _check_number(key: str, value: float, path: str) -> None:
    """Refuse a number that no track can have of the key."""
    least, most = limits_of(key)
    if not least <= value <= most:
        raise FilterError(path, f"is {shown(value)}, and key {key!r} holds {least} to {most}", f"{least} to {most}")


def _check_kind(key: str, kind: Kind, value: bool | float | str, path: str) -> None:
    """Refuse a value that no track can have of the key: it would match nothing, and nobody would know why."""
    if kind == "number":
        if isinstance(value, bool | str):
            raise FilterError(path, f"is {shown(value)}, and key {key!r} holds numbers", "a number")
        _check_number(key, value, path)
    if kind == "word" and not isinstance(value, bool):
        said = f"{'the text ' if isinstance(value, str) else ''}{shown(value)}"
        raise FilterError(path, f"is {said}, and key {key!r} holds true or false", "true, false")
    if kind in ("text", "id") and not isinstance(value, str):
        raise FilterError(path, f"is {shown(value)}, and key {key!r} holds text", f'text, such as "{shown(value)}"')


def _of_music(key: str, value: bool | float | str, path: str) -> All:
    """A tonic with or without its mode, or a mode, as they are stored."""
    if key == "mode":
        named = str(value).strip().lower()
        if named not in MODES:
            raise FilterError(path, f"{shown(value)} is not a mode", ", ".join(MODES))
        return All((OneOf("mode", (named,)),))
    try:
        tonic, mode = read_key(value)
    except ValueError as error:
        raise FilterError(
            path,
            f"{shown(value)} is not the name of a key",
            "a tonic, such as A, F# or Gb, alone or with its mode: A minor",
        ) from error
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


def _stored(value: bool | float | str) -> float | str:
    # A caller's own true and false are stored as words.
    return str(value).lower() if isinstance(value, bool) else value
