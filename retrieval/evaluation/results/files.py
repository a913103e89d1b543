"""What an evaluation leaves behind: results.json, per_query.parquet, and the run itself.

Every file is written beside its place and renamed into it once it is on the disk. results.json comes last: where it
stands, the others belong to it.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.csv as pc_csv
import pyarrow.parquet as pq

from retrieval.evaluation.results.runs import as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from _typeshed import DataclassInstance
    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog
    from retrieval.evaluation.ranking import Ranking
    from retrieval.evaluation.results.runs import Evaluation, RunComparison

RESULTS = "results.json"
PER_QUERY = "per_query.parquet"
RUN = "run.trec"
RUN_PARQUET = "run.parquet"
TAG = "soundalike"


@dataclass(frozen=True, eq=False)
class EvaluatedRun:
    """An evaluation with what it was made from.

    Attributes
    ----------
    query_ids : of the n queries
    per_query : float64 [n] by metric, those of `listwise` among them; NaN where a query has no value
    ranking : the answers
    """

    evaluation: Evaluation
    query_ids: Sequence[str]
    per_query: Mapping[str, NDArray[np.float64]]
    relevant: NDArray[np.int64]
    ranking: Ranking


@dataclass(frozen=True, eq=False)
class ComparedRuns:
    """A comparison with its values: float64 [n] by metric, of the first run and of the second."""

    comparison: RunComparison
    query_ids: Sequence[str]
    first: Mapping[str, NDArray[np.float64]]
    second: Mapping[str, NDArray[np.float64]]


def write_run(folder: Path, outcome: EvaluatedRun, catalog: Catalog) -> list[str]:
    """Write an evaluation, its values by query and its run; the names of the files.

    Raises
    ------
    OSError
        If the disk is full, or the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    columns = {"relevant": outcome.relevant, **outcome.per_query}
    run = _write_run(folder, outcome, catalog)
    _write_table(folder / PER_QUERY, outcome.query_ids, columns)
    write_results(folder, outcome.evaluation)
    return [run, PER_QUERY, RESULTS]


def write_comparison(folder: Path, compared: ComparedRuns) -> list[str]:
    """Write a comparison and its values by query; the names of the files."""
    folder.mkdir(parents=True, exist_ok=True)
    columns = {f"{name} first": values for name, values in compared.first.items()}
    columns |= {f"{name} second": values for name, values in compared.second.items()}
    _write_table(folder / PER_QUERY, compared.query_ids, columns)
    write_results(folder, compared.comparison)
    return [PER_QUERY, RESULTS]


def write_results(folder: Path, result: DataclassInstance) -> list[str]:
    """Write a result alone; the name of the file."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(as_json(result), indent=1, ensure_ascii=False, allow_nan=False)
    write_text(folder / RESULTS, text + "\n")
    return [RESULTS]


def write_text(path: Path, text: str) -> None:
    """Write a text in UTF-8, whole or not at all."""
    _put(path, lambda beside: beside.write_text(text, encoding="utf-8"))


def descending(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores [n, depth] that fall at every rank: trec_eval orders equal ones by id, and we do not.

    What is not below the score before it is put one float32 below.
    """
    falling = scores.astype(np.float32, copy=True)
    for rank in range(1, falling.shape[1]):
        below = np.nextafter(falling[:, rank - 1], np.float32(-np.inf))
        falling[:, rank] = np.minimum(falling[:, rank], below)
    return falling


def _write_run(folder: Path, outcome: EvaluatedRun, catalog: Catalog) -> str:
    track_ids = outcome.ranking.track_ids
    queries, ranks = np.nonzero(track_ids >= 0)
    distinct, numbers = np.unique(track_ids[queries, ranks], return_inverse=True)
    labels = catalog.labels(distinct)
    keys = [labels[track_id].key if track_id in labels else f"deleted:{track_id}" for track_id in distinct.tolist()]
    query_ids = list(outcome.query_ids)
    scores = descending(outcome.ranking.scores)[queries, ranks]
    table = pa.table(
        {
            "query_id": pa.array(query_ids, pa.string()).take(pa.array(queries)),
            "q0": pa.repeat("Q0", len(queries)),
            "doc_id": pa.array(keys, pa.string()).take(pa.array(numbers.ravel())),
            "rank": pa.array((ranks + 1).astype(np.int32)),
            "score": pa.array(scores),
            "tag": pa.repeat(TAG, len(queries)),
        }
    )
    if any(len(key.split()) != 1 for key in (*query_ids, *keys)):  # a TREC line cannot hold such keys
        _put(folder / RUN_PARQUET, lambda path: pq.write_table(table.drop_columns(["q0", "tag"]), path))
        (folder / RUN).unlink(missing_ok=True)
        return RUN_PARQUET
    options = pc_csv.WriteOptions(include_header=False, delimiter=" ", quoting_style="none")
    _put(folder / RUN, lambda path: pc_csv.write_csv(table, path, options))
    (folder / RUN_PARQUET).unlink(missing_ok=True)
    return RUN


def _write_table(path: Path, query_ids: Sequence[str], columns: Mapping[str, NDArray[np.generic]]) -> None:
    arrays = {name: pa.array(values, from_pandas=True) for name, values in columns.items()}  # NaN is null there
    table = pa.table({"query_id": pa.array(list(query_ids), pa.string()), **arrays})
    _put(path, lambda beside: pq.write_table(table, beside))


def _put(path: Path, write: Callable[[Path], object]) -> None:
    """Write beside and rename, only once it is on the disk: what has its name is complete."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        write(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
