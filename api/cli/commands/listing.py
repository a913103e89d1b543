"""What is there: `tracks`, `facets`, `status`."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import click

from api.cli import ingest_tables, tables
from api.cli.options import filter_option, json_option, opened, print_json
from api.cli.usage.values import Whole
from api.documents.answer import track_out
from api.documents.facets import facets_out
from api.documents.spaces import SpaceOut, spaces_out
from api.wiring import Soundalike
from retrieval.catalog.files.presence import ignored_files, missing_tracks
from retrieval.filters.facets import facets as count_facets
from retrieval.filters.language import Filter


@click.command()
@click.option("-n", "--limit", type=Whole(1, 2**31 - 1), default=100, show_default=True, help="How many.")
@filter_option
@click.option("--missing", is_flag=True, help="Those whose files are not there any more, which answers leave out.")
@click.option("--ignored", is_flag=True, help="Files that were deleted with --ignore, and stay out.")
@json_option
def tracks(limit: int, condition: Filter | None, missing: bool, ignored: bool, as_json: bool) -> None:
    """List the catalogue, in the order in which it came in."""
    if missing or ignored:
        if (missing and ignored) or condition is not None:
            raise click.UsageError("--missing, --ignored and --filter do not go together")
        with opened() as here:
            every = (missing_tracks if missing else ignored_files)(here.engine)
        placed = every[:limit]
        since = "missing since" if missing else "ignored since"
        if as_json:
            fields = [(one.key, one.uri, one.missing_since) for one in placed]
            print_json([{"track": key, "uri": uri, since.replace(" ", "_"): at} for key, uri, at in fields])
        else:
            ingest_tables.print_missing(placed, since=since)
        ingest_tables.print_shown(len(placed), len(every), as_json=as_json)
        return
    with opened() as here:
        only = None if condition is None else here.search.selections.condition(condition)
        listed = here.catalog.list_tracks(after_id=0, limit=limit, condition=only)
        matching = here.catalog.count(only)
    if as_json:
        print_json([track_out(track).model_dump() for track in listed])
    else:
        none_yet = f"no tracks yet in {here.settings.home}: `soundalike index FOLDER` brings music in"
        tables.print_tracks(listed, none=none_yet if only is None else "no track matches")
    ingest_tables.print_shown(len(listed), matching, as_json=as_json)


@click.command()
@filter_option
@json_option
def facets(condition: Filter | None, as_json: bool) -> None:
    """Count tracks by tag, by language, by how much voice is in them, by tempo, metre and key."""
    with opened() as here:
        counted = facets_out(count_facets(here.search.selections, condition))
    if as_json:
        print_json(counted.model_dump())
    else:
        tables.print_facets(counted)


@click.command()
@click.option("--failures", is_flag=True, help="List the files that are missing, or not fully analysed, and why.")
@json_option
def status(failures: bool, as_json: bool) -> None:
    """Say what the catalogue holds."""
    with opened() as here:
        failed = here.ledger.failures()
        spaces = spaces_out(here).spaces
        state = {
            "home": str(here.settings.home),
            "database": here.database,
            "tracks": here.catalog.count(),
            "missing": len(missing_tracks(here.engine)),
            "defaults": _defaults(here, spaces),
            "spaces": [space.model_dump() for space in spaces],
            "failures": [asdict(failure) for failure in failed] if failures else len(failed),
        }
    if as_json:
        print_json(state)
    else:
        tables.print_status(state, failed if failures else None)


def _defaults(here: Soundalike, spaces: Sequence[SpaceOut]) -> list[dict[str, Any]]:
    """The default spaces that hold tracks, newest first."""
    answers = here.search.space_name()
    counts = here.search.defaults.counts()  # where there are several
    counts = counts or {space.space: space.searchable for space in spaces if space.default}
    return [{"space": space, "tracks": n, "answers": space == answers} for space, n in counts.items()]
