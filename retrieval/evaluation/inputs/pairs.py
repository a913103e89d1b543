"""Judgments and runs as columns: a query, a document, and a number for each pair.

Ids are text, as keys of the catalogue are. Whole numbers are read as their digits; a column of other numbers is
refused, since 1.0 and 1 would become two ids. A pair stands once: twice would count twice.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from retrieval.evaluation.errors import EvaluationFileError

Place = Callable[[int], str]
"""Where a pair, counted from 0, stands in its file: ``line 7``."""
Columns = tuple[pa.ChunkedArray, pa.ChunkedArray, NDArray[np.float64]]
"""Ids of queries, ids of documents, and values."""


@dataclass(frozen=True, eq=False)
class Pairs:
    """Distinct pairs of a query and a document.

    Attributes
    ----------
    source : the file, as it was named
    query_ids, document_ids : distinct, in order of appearance
    query_no, document_no : int64 [n], into these
    values : float64 [n]: relevance (whole numbers), or scores, higher is better
    place : where a pair stands in its file
    """

    source: str
    query_ids: Sequence[str]
    document_ids: Sequence[str]
    query_no: NDArray[np.int64]
    document_no: NDArray[np.int64]
    values: NDArray[np.float64]
    place: Place

    def __len__(self) -> int:
        return len(self.values)


def paired(source: str, columns: Columns, place: Place, *, what: str) -> Pairs:
    """Check two columns of ids and one of values, and number the ids.

    Parameters
    ----------
    what : ``relevance``, which holds whole numbers, or ``score``

    Raises
    ------
    EvaluationFileError
        For no pair at all, ids that are neither text nor whole numbers, values that are no numbers (NaN), and pairs
        that stand twice: with the first place of it.
    """
    queries, documents, values = columns
    if not len(values):
        raise EvaluationFileError(source, "", "holds no pair of a query and a document", f"one {what} a line")
    query_ids, query_no = numbered(source, queries, place, column="query_id")
    document_ids, document_no = numbered(source, documents, place, column="doc_id")
    bad = ~np.isfinite(values) if what == "score" else ~(np.isfinite(values) & (values == np.round(values)))
    if bad.any():
        row = int(np.argmax(bad))
        accepted = "a finite number" if what == "score" else "a whole number"
        raise EvaluationFileError(source, place(row), f"{what} is {values[row]}", accepted)
    pairs = Pairs(source, query_ids, document_ids, query_no, document_no, values, place)
    _check_distinct(pairs, what)
    return pairs


def numbered(source: str, ids: pa.ChunkedArray, place: Place, *, column: str) -> tuple[list[str], NDArray[np.int64]]:
    """Distinct ids as text, in order of appearance, and for every row its number among them.

    Raises
    ------
    EvaluationFileError
        For ids that are neither text nor whole numbers, and for missing or empty ones.
    """
    plain = ids.type.value_type if pa.types.is_dictionary(ids.type) else ids.type
    if not (pa.types.is_string(plain) or pa.types.is_large_string(plain) or pa.types.is_integer(plain)):
        raise EvaluationFileError(source, "", f"column {column} holds {plain}", "text or whole numbers")
    encoded = ids if pa.types.is_dictionary(ids.type) else ids.dictionary_encode()
    encoded = encoded.unify_dictionaries().combine_chunks()
    distinct = encoded.dictionary.cast(pa.string()).to_pylist()
    if encoded.null_count or "" in distinct:
        missing = pc.is_null(encoded) if encoded.null_count else pc.equal(encoded.cast(pa.string()), "")
        row = pc.index(missing, True).as_py()
        raise EvaluationFileError(source, place(row), f"{column} is empty", "text or whole numbers")
    return distinct, encoded.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _check_distinct(pairs: Pairs, what: str) -> None:
    codes = pairs.query_no * len(pairs.document_ids) + pairs.document_no
    order = np.argsort(codes, kind="stable")
    again = np.flatnonzero(codes[order][1:] == codes[order][:-1])
    if not len(again):
        return
    row = int(order[again + 1].min())
    before = int(np.argmax(codes == codes[row]))
    query, document = pairs.query_ids[pairs.query_no[row]], pairs.document_ids[pairs.document_no[row]]
    raise EvaluationFileError(
        pairs.source,
        pairs.place(row),
        f"query {query!r} and document {document!r} stand there again ({what} {pairs.values[row]:g}), "
        f"after {pairs.place(before)} ({what} {pairs.values[before]:g}); {len(again)} pairs stand more than once",
        "every pair once",
    )
