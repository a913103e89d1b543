"""Qrels and runs in JSON, ``{query: {document: value}}`` or a list of records, with the line of what is wrong."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from retrieval.evaluation.errors import EvaluationFileError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from retrieval.evaluation.inputs.pairs import Columns, Place


class _Members(list[tuple[str, Any]]):
    """An object's members as they stand: a dict would keep the last of two equal names without a word."""


def parsed(content: bytes, source: str, value_name: str) -> tuple[Columns, Place]:
    """Query, document and value of every pair, those that stand twice included, and where each stands.

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
        rows = []
        for query, judged in root:
            if not isinstance(judged, _Members):
                reason = f"query {query!r} holds no object of documents"
                raise EvaluationFileError(source, find.member(query), reason, '{"document": number}')
            rows += [(query, document, value) for document, value in judged]
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
    queries, documents = (pa.chunked_array([pa.array([str(row[n]) for row in rows], pa.string())]) for n in (0, 1))
    return (queries, documents, np.array([row[2] for row in rows], np.float64)), place


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
                kinds = ["text" if isinstance(id_, str) else "number" for id_ in (one, first)]
                reason = f"{name} is {one!r}, a {kinds[0]}, where {first!r} before it is a {kinds[1]}"
                raise EvaluationFileError(source, place(row), reason, "ids of one type")


class _Finder:
    """Lines of members and records in JSON's text; found only when there is something to say about them."""

    def __init__(self, text: str) -> None:
        self._text = text

    def member(self, query: str, document: str | None = None) -> str:
        """The line of a query's object, or of a document's last place in it."""
        at = max(self._text.find(written) for written in _spellings(query))
        if document is not None and at >= 0:
            end = self._text.find("}", at)
            at = max(at, *(self._text.rfind(one, at, end if end > 0 else None) for one in _spellings(document)))
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


def _spellings(name: str) -> tuple[str, str]:
    return json.dumps(name), json.dumps(name, ensure_ascii=False)
