"""Lines of TREC files, one by one: slow, and able to say which line is wrong and why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from retrieval.evaluation.errors import EvaluationFileError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retrieval.evaluation.inputs.pairs import Columns


@dataclass(frozen=True)
class Layout:
    """The fields of a line; one of them is called ``query``, one ``document``, and one ``value``.

    Attributes
    ----------
    value : what the value is: ``relevance`` or ``score``
    example : a line that is right
    """

    fields: tuple[str, ...]
    value: str
    example: str


QRELS = Layout(("query", "iteration", "document", "value"), "relevance", "query 0 document 1")
RUN = Layout(("query", "q0", "document", "rank", "value", "tag"), "score", "query Q0 document 1 0.93 tag")

_TABS = ", between tabs where an id has blanks in it"


def parsed(content: bytes, source: str, layout: Layout) -> Columns:
    """Query, document and value of every line.

    Raises
    ------
    EvaluationFileError
        With the line, for bytes that are no UTF-8, another number of fields, and values that are no number.
    """
    queries, documents, values = list[str](), list[str](), list[float]()
    at = {name: layout.fields.index(name) for name in ("query", "document", "value")}
    for number, line in _lines(content):
        try:
            fields = _fields(line.decode("utf-8"), len(layout.fields))
        except UnicodeDecodeError as error:
            raise EvaluationFileError(source, f"line {number}", f"is not UTF-8 ({error.reason})") from error
        if len(fields) != len(layout.fields):
            reason = f"has {len(fields)} fields, not {len(layout.fields)}"
            raise EvaluationFileError(source, f"line {number}", reason, f"{layout.example}{_TABS}")
        queries.append(fields[at["query"]])
        documents.append(fields[at["document"]])
        values.append(_value(fields[at["value"]], source, number, layout))
    query_ids, document_ids = (pa.chunked_array([pa.array(ids, pa.string())]) for ids in (queries, documents))
    return query_ids, document_ids, np.array(values, np.float64)


def line_of(content: bytes, row: int) -> int:
    """The number of the line, from 1, that holds this row, from 0."""
    return next(number for place, (number, _) in enumerate(_lines(content)) if place == row)


def _lines(content: bytes) -> Iterator[tuple[int, bytes]]:
    for number, line in enumerate(content.split(b"\n"), start=1):
        if line.strip() and not line.startswith(b"#"):
            yield number, line


def _fields(line: str, expected: int) -> list[str]:
    by_tabs = [field.strip() for field in line.strip().split("\t")]
    return by_tabs if len(by_tabs) == expected else line.split()


def _value(text: str, source: str, number: int, layout: Layout) -> float:
    whole = layout.value == "relevance"
    try:
        value = float(int(text) if whole else float(text))
    except ValueError as error:
        accepted = "a whole number" if whole else "a finite number"
        raise EvaluationFileError(source, f"line {number}", f"{layout.value} is {text!r}", accepted) from error
    if not math.isfinite(value):
        raise EvaluationFileError(source, f"line {number}", f"{layout.value} is {text}", "a finite number")
    return value
