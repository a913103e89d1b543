"""One page on evaluations, from the folders that `soundalike evaluate` writes: a single file that needs no other.

All text of the results is escaped by the template, and characters that no page may hold are replaced. A part that a
result does not have, or that is NaN, leaves out what would be drawn of it.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from jinja2 import Environment, PackageLoader, StrictUndefined

from retrieval.evaluation.errors import EvaluationFileError
from retrieval.evaluation.html.drawing import showable
from retrieval.evaluation.html.parts import Result
from retrieval.evaluation.html.sections.ann import ann_section
from retrieval.evaluation.html.sections.comparison import runs_section, spaces_section
from retrieval.evaluation.html.sections.run import run_section
from retrieval.evaluation.html.sections.space import space_section
from retrieval.evaluation.results.files import PER_QUERY, RESULTS, write_text
from retrieval.evaluation.results.runs import FORMAT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from retrieval.evaluation.html.parts import Section

PAGE = "report.html"
KINDS = {
    "run": run_section,
    "comparison": runs_section,
    "ann": ann_section,
    "catalogue": space_section,
    "models": spaces_section,
}


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
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise EvaluationFileError(str(path), "", "is not there", accepted) from error
    except ValueError as error:
        raise EvaluationFileError(str(path), "", f"is not JSON: {error}", accepted) from error
    kind, version = (content.get(name) if isinstance(content, dict) else None for name in ("kind", "format"))
    if kind not in KINDS or version != FORMAT:
        raise EvaluationFileError(str(path), "", f"is of kind {kind!r}, format {version!r}", f"{accepted}; {FORMAT}")
    if not (folder / PER_QUERY).exists():
        return Result(str(path), content)
    try:
        table = pq.read_table(folder / PER_QUERY)
    except pa.ArrowInvalid as error:
        raise EvaluationFileError(str(folder / PER_QUERY), "", f"is not Parquet: {error}", accepted) from error
    query_ids, columns = table["query_id"].to_pylist(), table.drop_columns("query_id")
    values = {name: columns[name].cast(pa.float64()).to_numpy() for name in columns.column_names}
    return Result(str(path), content, query_ids, values)


def page(results: Sequence[Result]) -> str:
    """The page as HTML."""
    templates = Environment(
        loader=PackageLoader("retrieval.evaluation", "html"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    sections = [_section(result, number) for number, result in enumerate(results, start=1)]
    html = templates.get_template("page.html").render(sections=sections)
    return showable(html)


def _section(result: Result, place: int) -> Section:
    """What the page shows of a result; its plots are named by its place.

    Raises
    ------
    EvaluationFileError
        If something is missing that every result of its kind has.
    """
    try:
        section = KINDS[result.content["kind"]](result, f"s{place}")
    except (KeyError, TypeError, AttributeError) as error:
        raise EvaluationFileError(
            result.name, "", f"is not whole: {error!r}", "what `soundalike evaluate` wrote"
        ) from error
    content = result.content
    return replace(section, created=str(content.get("created", "")), warnings=content.get("warnings", ()))
