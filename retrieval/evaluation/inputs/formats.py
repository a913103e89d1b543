"""Qrels and runs in the formats that researchers have them in.

=============  ==============================================  ====================================================
format         qrels                                           run
=============  ==============================================  ====================================================
TREC (, .gz)   ``query iteration document relevance``          ``query Q0 document rank score tag``
``.json``      ``{query: {document: relevance}}``              ``{query: {document: score}}``
``.json``      ``[{"query_id", "doc_id", "relevance"}, …]``    ``[{"query_id", "doc_id", "score"}, …]``
``.parquet``   columns query_id, doc_id, relevance             columns query_id, doc_id, score
a frame        the same columns (pandas, Polars, Arrow)        the same columns
=============  ==============================================  ====================================================

The names of the columns are those of ir_measures (MacAvaney, Macdonald & Ounis, Streamlining evaluation with
ir-measures, ECIR 2022). Fields of TREC lines are parted by blanks or tabs; where tabs alone give the right number of
fields, they part them, so keys may hold blanks. Empty lines and lines that begin with # are skipped, as by trec_eval. A
run's order is that of its scores; its ranks are not read, again as by trec_eval.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from retrieval.evaluation.errors import EvaluationFileError
from retrieval.evaluation.inputs import json_pairs, trec_lines
from retrieval.evaluation.inputs.pairs import Pairs, paired

if TYPE_CHECKING:
    from retrieval.evaluation.inputs.pairs import Columns
    from retrieval.evaluation.inputs.trec_lines import Layout


def read_qrels(path: Path) -> Pairs:
    """Judgments, their relevance as `values`: above 0 relevant, 0 judged and not, below 0 not judged.

    Raises
    ------
    EvaluationFileError
        With the line, for anything that is not what the format takes.
    """
    return _read(path, trec_lines.QRELS)


def read_run(path: Path) -> Pairs:
    """A run, its scores as `values`.

    Raises
    ------
    EvaluationFileError
        With the line, for anything that is not what the format takes.
    """
    return _read(path, trec_lines.RUN)


def qrels_from(frame: Any, *, source: str = "qrels") -> Pairs:
    """Judgments from a frame or an Arrow table with columns query_id, doc_id, relevance."""
    return _from_table(pa.table(frame), source, trec_lines.QRELS)


def run_from(frame: Any, *, source: str = "run") -> Pairs:
    """A run from a frame or an Arrow table with columns query_id, doc_id, score."""
    return _from_table(pa.table(frame), source, trec_lines.RUN)


def read_bytes(path: Path) -> bytes:
    """A file's content, unpacked where its name ends in .gz.

    Raises
    ------
    EvaluationFileError
        If it is not there, cannot be read, or is damaged.
    """
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if path.suffix == ".gz" else content
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise EvaluationFileError(str(path), "", f"cannot be unpacked: {error}", "a whole gzip file") from error
    except OSError as error:
        raise EvaluationFileError(str(path), "", error.strerror or str(error)) from error


def read_table(path: Path) -> pa.Table:
    """A Parquet file.

    Raises
    ------
    EvaluationFileError
        If it is not there, or is none.
    """
    try:
        return pq.read_table(pa.BufferReader(read_bytes(path)))
    except pa.ArrowInvalid as error:
        raise EvaluationFileError(str(path), "", f"is no Parquet file: {error}") from error


def column_of(table: pa.Table, name: str, source: str) -> pa.ChunkedArray:
    """A column by name.

    Raises
    ------
    EvaluationFileError
        If there is none of that name; those that there are are named.
    """
    if name not in table.column_names:
        raise EvaluationFileError(source, "", f"has no column {name}: it has {', '.join(table.column_names)}")
    return table.column(name)


def _read(path: Path, layout: Layout) -> Pairs:
    suffix = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    if suffix == ".parquet":
        return _from_table(read_table(path), str(path), layout)
    content, source = read_bytes(path), str(path)
    if suffix == ".json":
        columns, place = json_pairs.parsed(content, source, layout.value)
    else:
        columns = _quickly(content, layout) or trec_lines.parsed(content, source, layout)

        def place(row: int) -> str:
            return f"line {trec_lines.line_of(content, row)}"

    return paired(source, columns, place, what=layout.value)


def _from_table(table: pa.Table, source: str, layout: Layout) -> Pairs:
    raw = column_of(table, layout.value, source)
    if not (pa.types.is_integer(raw.type) or pa.types.is_floating(raw.type)):
        raise EvaluationFileError(source, "", f"column {layout.value} holds {raw.type}", "numbers")
    values = raw.cast(pa.float64()).to_numpy()
    columns = column_of(table, "query_id", source), column_of(table, "doc_id", source), values
    return paired(source, columns, lambda row: f"row {row + 1}", what=layout.value)


def _quickly(content: bytes, layout: Layout) -> Columns | None:
    """Query, document and value of every line, where all lines have one blank or tab between fields; otherwise none."""
    first = content.lstrip()[:10_000].split(b"\n", 1)[0]
    ids = pa.dictionary(pa.int32(), pa.string())
    types = {"query": ids, "document": ids, "value": pa.float64()}
    try:
        table = pc_csv.read_csv(
            pa.BufferReader(content),
            pc_csv.ReadOptions(column_names=layout.fields),
            pc_csv.ParseOptions(delimiter="\t" if b"\t" in first else " ", quote_char=False, double_quote=False),
            pc_csv.ConvertOptions(column_types=types, include_columns=list(types)),
        )
    except pa.ArrowInvalid:
        return None
    queries, documents, values = (table.column(name) for name in types)
    # What is no number, and what may be a comment or a stray blank, is left to the reader that can say where it is.
    if values.null_count or any(
        (not key) or key[0] == "#" or key != key.strip()
        for column in (queries, documents)
        for chunk in column.chunks
        for key in chunk.dictionary.to_pylist()
    ):
        return None
    values = values.to_numpy()
    whole = layout.value != "relevance" or bool(np.all(values == np.round(values)))
    return (queries, documents, values) if whole else None
