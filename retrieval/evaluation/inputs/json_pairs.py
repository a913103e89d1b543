"""Qrels and runs in JSON, ``{query: {document: value}}`` or a list of records, with the line of what is wrong."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from retrieval.evaluation.errors import EvaluationFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(frozen=True)
class Records:
    """Queries, documents and values, one each a pair, and where a pair stands."""

    queries: Sequence[str]
    documents: Sequence[str]
    values: Sequence[float]
    place: Callable[[int], str]


class _Members(list[tuple[str, Any]]):
    """An object's members as they stand: a dict would keep the last of two equal names without a word."""


def json_records(content: bytes, source: str, value_name: str) -> Records:
    """Every pair, those that stand twice included.

    Raises
    ------
    EvaluationFileError
        With the line, for what is no JSON, another shape, ids of mixed types, and values that are no finite number.
    """
    try:
        text = content.decode("utf-8")
        root = json.loads(text, object_pairs_hook=_Members)
    except UnicodeDecodeError as error:
        raise EvaluationFileError(source, "", f"is not UTF-8 ({error.reason})") from error
    except json.JSONDecodeError as error:
        raise EvaluationFileError(source, f"line {error.lineno}", f"is not JSON: {error.msg}") from error
    find = _Finder(text)
    accepted = f'{{"query": {{"document": {value_name}}}}}, or a list of records'
    if isinstance(root, _Members):
        rows = [(query, document, value) for query, own in root for document, value in _own(own, query, source, find)]
    elif isinstance(root, list):
        rows = [_record(record, number, source, value_name, find) for number, record in enumerate(root)]
    else:
        raise EvaluationFileError(source, "line 1", f"holds a {type(root).__name__}", accepted)

    def place(row: int) -> str:
        return find.member(rows[row][0], rows[row][1]) if isinstance(root, _Members) else find.record(row)

    _check_types(rows, source, place)
    for row, (query, document, value) in enumerate(rows):
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            reason = f"{value_name} of {document!r} for query {query!r} is {value!r}"
            raise EvaluationFileError(source, place(row), reason, "a finite number")
    queries, documents = ([str(row[column]) for row in rows] for column in (0, 1))
    return Records(queries, documents, [float(row[2]) for row in rows], place)


def _own(own: Any, query: str, source: str, find: _Finder) -> _Members:
    if not isinstance(own, _Members):
        reason = f"query {query!r} holds no object of documents"
        raise EvaluationFileError(source, find.member(query), reason, '{"document": number}')
    return own


def _record(record: Any, number: int, source: str, value_name: str, find: _Finder) -> tuple[Any, Any, Any]:
    names = ("query_id", "doc_id", value_name)
    members = dict(record) if isinstance(record, _Members) else {}
    missing = [name for name in names if name not in members]
    if missing:
        raise EvaluationFileError(source, find.record(number), f"has no {', '.join(missing)}", ", ".join(names))
    return members["query_id"], members["doc_id"], members[value_name]


def _check_types(rows: Sequence[tuple[Any, Any, Any]], source: str, place: Callable[[int], str]) -> None:
    """Refuse ids of which some are text and some are numbers: 1 and "1" would be one, or two."""
    for column, name in enumerate(("query_id", "doc_id")):
        for row, ids in enumerate(rows):
            one, first = ids[column], rows[0][column]
            if isinstance(one, bool) or not isinstance(one, str | int):
                raise EvaluationFileError(source, place(row), f"{name} is {one!r}", "text or whole numbers")
            if type(one) is not type(first):
                reason = f"{name} is {one!r}, a {_kind(one)}, where {first!r} before it is a {_kind(first)}"
                raise EvaluationFileError(source, place(row), reason, "ids of one type")


def _kind(value: Any) -> str:
    return "text" if isinstance(value, str) else "number"


class _Finder:
    """Lines of members and records in JSON's text; found only when there is something to say about them."""

    def __init__(self, text: str) -> None:
        self._text = text

    def member(self, query: str, document: str | None = None) -> str:
        """The line of a query's object, or of a document's last place in it."""
        at = self._after(query, 0)
        if document is not None and at >= 0:
            end = self._text.find("}", at)
            places = [
                self._text.rfind(written, at, end if end > 0 else None)
                for written in (json.dumps(document), json.dumps(document, ensure_ascii=False))
            ]
            at = max(at, *places)
        return f"line {self._text.count(chr(10), 0, max(at, 0)) + 1}"

    def record(self, number: int) -> str:
        """The line of a record of the list, and its number from 1."""
        decoder, at = json.JSONDecoder(), self._text.index("[") + 1
        for _ in range(number + 1):
            while self._text[at] in " \t\r\n,":
                at += 1
            start = at
            at = decoder.raw_decode(self._text, at)[1]
        return f"line {self._text.count(chr(10), 0, start) + 1} (record {number + 1})"

    def _after(self, name: str, start: int) -> int:
        places = (
            self._text.find(written, start) for written in (json.dumps(name), json.dumps(name, ensure_ascii=False))
        )
        return max(places)
