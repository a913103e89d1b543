"""What evaluations left behind, as one page: `evaluate report`."""

from collections.abc import Sequence
from pathlib import Path

import click

from api.cli.terminal import echo
from api.cli.usage.values import NewFile, ReadableFolder
from retrieval.counting import counted


@click.command()
@click.argument("folders", metavar="DIR…", nargs=-1, required=True, type=ReadableFolder())
@click.option(
    "--out",
    type=NewFile(),
    default=Path("report.html"),
    show_default=True,
    help="The page.",
)
def report(folders: Sequence[Path], out: Path) -> None:
    """Show what `evaluate` wrote into folders as one page, which needs no other file."""
    from retrieval.evaluation.html.page import (
        write_page,  # pyarrow and the templates: no other command waits for them
    )

    try:
        write_page(folders, out)
    except OSError as error:
        raise click.ClickException(f"{out}: {error.strerror or error}") from error
    echo(f"{out}: {counted(len(folders), 'evaluation')}")
