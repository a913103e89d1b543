"""What does not fit a document, in words for who sent it: pydantic's errors, of which only the kind is kept.

Its own messages speak of Python, of classes and of validators.
"""

from __future__ import annotations

import json
import re
import types
import typing
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from retrieval.counting import counted
from retrieval.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

_MOST_SHOWN, _MOST_WRITTEN = 60, 1e15
_ACCEPTED: Mapping[str, str] = {
    "multiple_of": "a multiple of {multiple_of}",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "string_pattern_mismatch": "text without NUL",
    "finite_number": "a finite number",
    "int_parsing_size": "a whole number of at most 64 bits",
    "none_required": "null",
}
"""By the kind of an error, with what pydantic says of it."""
_OF_TYPE: Mapping[str, str] = {
    "string": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "iterable": "a list",
    "dict": "an object",
    "mapping": "an object",
    "model": "an object",
    "model_attributes": "an object",
    "dataclass": "an object",
    "is_instance": "a file",
    "json": "JSON",
}
"""By the beginning of the kind: ``int_type``, ``int_parsing``, …"""
_TYPES = ("str", "int", "float", "bool", "list", "dict", "condition")
_ENDINGS = ("_type", "_parsing", "_from_float", "_invalid", "_unicode", "_of")
_NUMBERS, _TRUTH = ("a whole number", "a number"), "true or false"
_BEYOND = ("greater_than", "greater_than_equal", "less_than", "less_than_equal")
_LENGTHS: Mapping[str, str] = {
    **{"too_short": "value", "too_long": "value"},
    **{"string_too_short": "character", "string_too_long": "character"},
}
"""Of what a list or a text has too few or too many, by the kind of the error."""
_LOW = {"gt": "above", "ge": "at least", "min_length": "at least"}
_HIGH = {"lt": "below", "le": "at most", "max_length": "at most"}
"""Words for a bound, by its name in pydantic."""


_STEP = re.compile(r"[.\[]")


def reasons(error: ValidationError, model: type[BaseModel]) -> list[tuple[str, str]]:
    """Path and reason of every field that does not fit, each once; the path of the whole document is empty.

    Parameters
    ----------
    model : of the document that was read
    """
    found: dict[str, list[ErrorDetails]] = {}
    for one in error.errors():
        found.setdefault(field_path(_without_kinds(one["loc"], model)), []).append(one)
    around = {path[: step.start()] for path in found for step in _STEP.finditer(path)}
    return [
        (path, _joined(of_field, model))
        for path, of_field in found.items()
        if not (path in around and all(one["type"].endswith("_type") for one in of_field))  # said to be of another kind
    ]


def field_path(location: tuple[int | str, ...]) -> str:
    """A location as ``filter.must[0].key``."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in location).lstrip(".")


def _joined(errors: Sequence[ErrorDetails], model: type[BaseModel]) -> str:
    """What is wrong with a field that may be of several kinds: as what it is nearest to, or what all of them accept."""
    nearest = [one for one in errors if not one["type"].endswith("_type")] or errors
    first, *others = (_reason(one, model) for one in nearest)
    also = [other.partition("; accepted: ")[2] for other in others]
    return first + "".join(f", or {accepted}" for accepted in dict.fromkeys(also) if accepted and accepted not in first)


def _without_kinds(location: tuple[int | str, ...], model: type[BaseModel]) -> tuple[int | str, ...]:
    """A location without the kinds among which pydantic looked: tags of unions, and names of types."""
    here, kept = {model}, list[int | str]()
    for step in location:
        inside = _models_at((step,), *here)
        is_field = isinstance(step, int) or any(_field(one, step) for one in here)
        is_kind = isinstance(step, str) and (
            "[" in step or step in _TYPES or any(step.lower() == one.__name__.lower() for one in here)
        )
        if is_field or not is_kind:
            kept.append(step)
        here = inside
    return tuple(kept)


def _reason(error: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = error["type"], error.get("ctx", {})
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return _unknown(error["loc"], model)
    if error["msg"].endswith("Not a valid file."):
        is_there = "is missing" if error["input"] is None else "is no file"
        return f"{is_there}; accepted: a file, as a part of multipart/form-data"
    if kind in ("value_error", "assertion_error"):
        return str(context.get("error") or error["msg"].partition(", ")[2])
    bounds = _bounds(error, model)
    if kind in _LENGTHS:
        return _of_length(error["input"], _LENGTHS[kind], bounds)
    if kind in _BEYOND:
        return f"is {error['input']}; accepted: {bounds}"
    by_type = (words for name, words in _OF_TYPE.items() if kind.removeprefix(name) in _ENDINGS and kind != name)
    accepted = _ACCEPTED.get(kind) or next(by_type, "another value")
    in_json = accepted.format(**context).replace("True", "true").replace("False", "false").replace("'", '"')
    within = f", {bounds}" if bounds and accepted in _NUMBERS else ""
    if kind.startswith("model"):
        inside = dict.fromkeys(name for one in _models_at(error["loc"], model) for name in _names(one))
        within = f" with {', '.join(inside)}"
    is_json = model.model_config.get("strict", False)  # else all of it is text, as in an address
    is_quoted = (
        is_json and accepted in (*_NUMBERS, _TRUTH) and isinstance(error["input"], str) and _is_json(error["input"])
    )
    return f"is {'the text ' if is_quoted else ''}{shown(error['input'])}; accepted: {in_json}{within}"


def _of_length(value: Any, noun: str, bounds: str) -> str:
    """What is wrong with a list or a text that has too few or too many of something."""
    nouns = noun if bounds.endswith(" 1") else f"{noun}s"
    if isinstance(value, str):
        return f"is {shown(value)}; accepted: text of {bounds} {nouns}"
    return f"{f'has {counted(len(value), noun)}' if value else 'is empty'}; accepted: {bounds} {nouns}"


def _bounds(error: ErrorDetails, model: type[BaseModel]) -> str:
    """Between what a field's number or length lies: ``1 to 1000``, ``at least 1``, ``above 0``; or nothing."""
    *before, name = error["loc"] or ("",)
    fields = (one.model_fields[found] for one in _models_at(tuple(before), model) if (found := _field(one, name)))
    known = {
        bound: getattr(one, bound)
        for field in fields
        for one in (*field.metadata, *_constraints(field.annotation))
        for bound in (*_LOW, *_HIGH)
        if getattr(one, bound, None) is not None
    } | dict(error.get("ctx", {}))
    low = next(((words, known[bound]) for bound, words in _LOW.items() if bound in known), None)
    high = next(((words, known[bound]) for bound, words in _HIGH.items() if bound in known), None)
    if low and high and (low[0], high[0]) == ("at least", "at most"):
        return f"{_plain(low[1])} to {_plain(high[1])}"
    return ", ".join(f"{words} {_plain(value)}" for words, value in filter(None, (low, high)))


def _constraints(annotation: Any) -> Iterator[Any]:
    """What stands beside the kinds of a field that may be of several, or null."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        for kind in typing.get_args(annotation):
            for said in getattr(kind, "__metadata__", ()):
                yield from getattr(said, "metadata", ())


def _is_json(text: str) -> bool:
    """Whether the quotes alone make a text of what was meant: a number, or true or false."""
    try:
        return isinstance(json.loads(text.lower()), int | float)
    except ValueError:
        return False


def shown(value: Any) -> str:
    """A value as it was sent, or of what kind it is where it is long."""
    if isinstance(value, float) and value.is_integer() and abs(value) < _MOST_WRITTEN:
        return _plain(value)
    if isinstance(value, str | int | float | bool) or value is None:
        text = json.dumps(value, ensure_ascii=False)
        return text if len(text) <= _MOST_SHOWN else f"{text[:_MOST_SHOWN]}… ({len(text)} characters)"
    return "an object" if isinstance(value, dict) else "a list" if isinstance(value, list | tuple) else "another thing"


def _plain(number: float) -> str:
    """A number as people write it: 2, not 2.0."""
    return str(int(number)) if float(number).is_integer() and abs(number) < _MOST_WRITTEN else f"{number:g}"


def _unknown(location: tuple[int | str, ...], model: type[BaseModel]) -> str:
    """What to say of a field that is none of its object's."""
    known = sorted({name for one in _models_at(location[:-1], model) for name in _names(one)})
    return unknown_field(str(location[-1]), known)


def unknown_field(name: str, known: Iterable[str]) -> str:
    """That there is no field of this name, and which may be meant, or which there are."""
    known = list(known)
    hint = did_you_mean(name, known).replace("; ", ": ", 1)
    return f"unknown field {name!r}" + (hint or f"; accepted: {', '.join(known) or 'none'}")


def _models_at(location: tuple[int | str, ...], *models: type[BaseModel]) -> set[type[BaseModel]]:
    """The models that an object there may be of; tags of unions lead no further."""
    here = set(models)
    for step in location:
        fields = [one.model_fields[found] for one in here if (found := _field(one, step)) is not None]
        tagged = {one for one in here if str(step).lower() == one.__name__.lower()}
        if fields:
            here = {inner for field in fields for inner in _models_in(field.annotation)}
        elif tagged:
            here = tagged
    return here


def _field(model: type[BaseModel], step: int | str) -> str | None:
    return next((name for name, field in model.model_fields.items() if step in (name, field.alias)), None)


def _names(model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield field.alias or name


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in typing.get_args(annotation):
        yield from _models_in(part)
