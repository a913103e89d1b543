"""One page on evaluations, from the folders that `soundalike evaluate` writes: a single file that needs no other.

All text of the results is escaped by the template, and characters that no page may hold are replaced.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from jinja2 import Environment, PackageLoader, StrictUndefined

from retrieval.evaluation.errors import EvaluationFileError
from retrieval.evaluation.html.evaluation_parts import Result
from retrieval.evaluation.html.evaluation_sections import KINDS, section
from retrieval.evaluation.results.files import PER_QUERY, RESULTS, write_text
from retrieval.evaluation.results.report import FORMAT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

PAGE = "report.html"
_NOT_IN_PAGES = re.compile("[^\t\n\r\x20-\x7e\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write_page(folders: Sequence[Path], out: Path) -> str:
    """Write the page on these results, whole or not at all; the name of the file.

    Raises
    ------
    EvaluationFileError
        For a folder without results, and for results of another format or kind.
    OSError
    """
    write_text(out, page([read_result(folder) for folder in folders]))
    return out.name


def read_result(folder: Path) -> Result:
    """Read what an evaluation left in a folder.

    Raises
    ------
    EvaluationFileError
    """
    path, accepted = folder / RESULTS, f"what `soundalike evaluate` writes with --out: {', '.join(KINDS)}"
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EvaluationFileError(str(path), "", "is not there", accepted) from error
    except ValueError as error:
        raise EvaluationFileError(str(path), "", f"is not JSON: {error}", accepted) from error
    kind, version = (found.get(name) if isinstance(found, dict) else None for name in ("kind", "format"))
    if kind not in KINDS or version != FORMAT:
        raise EvaluationFileError(str(path), "", f"is of kind {kind!r}, format {version!r}", f"{accepted}; {FORMAT}")
    if not (folder / PER_QUERY).exists():
        return Result(str(path), found)
    try:
        table = pq.read_table(folder / PER_QUERY)
    except pa.ArrowInvalid as error:
        raise EvaluationFileError(str(folder / PER_QUERY), "", f"is not Parquet: {error}", accepted) from error
    columns = {
        name: table[name].cast(pa.float64()).to_numpy().astype(np.float64)
        for name in table.column_names
        if name != "query_id"
    }
    return Result(str(path), found, table["query_id"].to_pylist(), columns)


def page(results: Sequence[Result]) -> str:
    """The page as HTML."""
    templates = Environment(
        loader=PackageLoader("retrieval.evaluation", "html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [section(result, number) for number, result in enumerate(results, start=1)]
    html = templates.get_template("evaluation.html").render(sections=sections)
    return _NOT_IN_PAGES.sub("\N{REPLACEMENT CHARACTER}", html)
