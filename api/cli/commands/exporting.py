"""What leaves the catalogue as a file: `export-neighbors`, `export-jams`."""

import json
from dataclasses import asdict
from pathlib import Path

import click

from api.cli import tables
from api.cli.options import filter_option, json_option, opened, print_json, space_option
from api.cli.terminal import echo, echo_text
from api.cli.usage.values import Name, NewFile, Whole
from api.documents.jams import found_in, jams_of
from api.naming import track_named
from retrieval.catalog.heard.music import heard_music
from retrieval.counting import counted
from retrieval.filters.language import Filter
from retrieval.search.query import MAX_LIMIT


@click.command()
@click.argument("out", type=NewFile((".parquet",)))
@click.option("-k", "--k", "k", type=Whole(1, MAX_LIMIT), default=100, show_default=True, help="How many each.")
@filter_option
@space_option
@json_option
def export_neighbors(out: Path, k: int, condition: Filter | None, space: str | None, as_json: bool) -> None:
    """Write the neighbours of every track to the Parquet file OUT; a run that was stopped goes on with the next one."""
    from api.cli.neighbor_files import export_neighbors as export  # pyarrow: no other command waits for it
    from api.cli.neighbor_files import parts_of

    def note(line: str) -> None:
        echo(line, err=True)

    with opened() as here, tables.progress("tracks", quiet=as_json) as done:
        try:
            report = export(here.search, out, k=k, space=space, condition=condition, on_note=note, on_tracks=done)
        except OSError as error:
            stays = "; the parts stay, run the same command to go on" if parts_of(out).exists() else ""
            raise click.ClickException(f"{out}: {error.strerror or error}{stays}") from error
    if as_json:
        print_json(asdict(report))
    else:
        rows, tracks = counted(report.rows, "neighbour"), counted(report.tracks, "track")
        echo(f"{report.out}: {rows} of {tracks}, space {report.space}")


@click.command()
@click.argument("key", metavar="KEY_OR_FILE", type=Name())
@click.argument("out", type=NewFile(dash=True), default="-")
def export_jams(key: str, out: Path) -> None:
    """Write rhythm, key, form and melody of the track KEY to the JAMS file OUT, or to standard output."""
    with opened() as here:
        track = track_named(here.catalog, key)
        heard = heard_music(here.engine, track.id)
    jams = jams_of(track, heard)
    document = json.dumps(jams, indent=1, ensure_ascii=False, allow_nan=False)
    if str(out) == "-":
        echo_text(document)
        return
    try:
        with click.open_file(out, "w", encoding="utf-8", atomic=True) as file:
            file.write(document + "\n")
    except OSError as error:
        raise click.ClickException(f"{out}: cannot be written: {(error.strerror or str(error)).lower()}") from error
    found = found_in(jams)
    there = ", ".join(name for name, is_there in found.items() if is_there) or "nothing"
    absent = ", ".join(f"no {name}" for name, is_there in found.items() if not is_there)
    echo(f"{out}: {there} of {track.key}{absent and f'; {absent}'}", err=True)
