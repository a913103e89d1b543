"""What sounds like this, and what is there: `similar`, `tracks`, `status`."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click

from api import tables
from api.commands.options import filter_of, filter_option, json_option, opened, print_json, space_option
from api.schemas import answer_out, track_out
from api.wiring import Soundalike
from encoders.media import decode
from retrieval.errors import UnknownTrackError
from retrieval.search import Query
from retrieval.snapshots import current_name


@click.command()
@click.argument("key_or_file")
@click.option("-n", "--limit", default=10, show_default=True, help="How many neighbours.")
@filter_option
@click.option("--exact", is_flag=True, help="Scan everything that matches.")
@space_option
@json_option
def similar(key_or_file: str, limit: int, raw_filter: str | None, exact: bool, space: str | None, as_json: bool) -> int:
    """Find what sounds like a track of the catalogue, or like any audio file."""
    condition = filter_of(raw_filter)
    with opened() as here:
        query = replace(_seed(here, key_or_file, space), limit=limit, filter=condition, exact=exact, explain=True)
        answer = here.search.answer(query)
        if as_json:
            print_json(answer_out(answer).model_dump())
        else:
            tables.print_answer(key_or_file, answer)
    return 0


@click.command()
@click.option("-n", "--limit", default=100, show_default=True, help="How many.")
@filter_option
@json_option
def tracks(limit: int, raw_filter: str | None, as_json: bool) -> int:
    """List the catalogue, in the order in which it came in."""
    condition = filter_of(raw_filter)
    with opened() as here:
        only = None if condition is None else list(here.search.matching(condition))
        found = here.catalog.list_tracks(after_id=0, limit=limit, only=only)
    if as_json:
        print_json([track_out(track).model_dump() for track in found])
    else:
        tables.print_tracks(found)
    return 0


@click.command()
@click.option("--failures", is_flag=True, help="List the files that are not in the catalogue, and why.")
@json_option
def status(failures: bool, as_json: bool) -> int:
    """Say what the catalogue holds."""
    with opened() as here:
        failed = here.ledger.failures()
        state = {
            "home": str(here.settings.home),
            "database": here.engine.url.render_as_string(hide_password=True),
            "tracks": here.catalog.count(),
            "spaces": [_space_state(here, name, versions) for name, versions in here.catalog.spaces().items()],
            "failures": [asdict(failure) for failure in failed] if failures else len(failed),
        }
    if as_json:
        print_json(state)
    else:
        tables.print_status(state, failed if failures else None)
    return 0


def _seed(here: Soundalike, key_or_file: str, space: str | None) -> Query:
    path = Path(key_or_file).expanduser().absolute()
    try:
        return Query(track=here.catalog.track(key_or_file).key, space=space)
    except UnknownTrackError:
        if not path.is_file():
            raise
    stored = here.catalog.track_at(str(path))
    if stored is not None:
        return Query(track=stored.key, space=space)
    encoder = here.encoder(space or here.settings.space)
    audio = decode(path, sample_rates=[encoder.spec.sample_rate], limits=here.settings.media_limits)
    return here.query_of(audio, encoder)


def _space_state(here: Soundalike, name: str, versions: dict[str, int]) -> dict[str, Any]:
    index = here.search.space(name)
    view = index.view()
    manifest = view.snapshot.manifest if view.snapshot else None
    return {
        "space": name,
        "tracks_by_version": versions,
        "dim": view.dim,
        "searchable": view.count,
        "kind": manifest.kind if manifest else "delta only",
        "recall_at_10": manifest.recall if manifest else 1.0,
        "snapshot": current_name(index.directory),
    }
