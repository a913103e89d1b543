"""What is hummed is found."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from api.cli import tables
from api.cli.options import filter_option, json_option, opened, print_json
from api.cli.usage.values import ReadableFile, Whole
from api.documents.humming import hum_answer_out
from retrieval.search.query import MAX_LIMIT

if TYPE_CHECKING:
    from pathlib import Path

    from retrieval.filters.language import Filter


@click.command()
@click.argument("file", type=ReadableFile())
@filter_option
@click.option("-n", "--limit", type=Whole(1, MAX_LIMIT), default=10, show_default=True, help="How many tracks.")
@json_option
def hum(file: Path, condition: Filter | None, limit: int, as_json: bool) -> None:
    """Find the tracks whose melody is hummed, sung or whistled in FILE, in any key and at any tempo."""
    with opened() as here:
        answer = here.hummed(file, filter_=condition, limit=limit)
    if as_json:
        print_json(hum_answer_out(answer).model_dump())
    else:
        tables.print_hummed(f"hummed in {file}", answer)
