"""A catalogue comes in, from folders and packs: `index`, `demo`, `packs`, `delete`, `rebuild`."""

from dataclasses import asdict
from pathlib import Path
from typing import get_args

import click

from api.cli import tables
from api.cli.commands.reencoding import Reencoding, announce_analyses, say
from api.cli.options import FAILED_FILES, json_option, opened, print_json, space_option
from api.settings import read_settings
from api.wiring import Soundalike
from indexer.packs.fetch import default_pack, fetch_pack
from indexer.packs.known import PACKS
from indexer.pipeline import Outcome
from retrieval.catalog.records import Granularity
from retrieval.index import merging
from retrieval.search.query import similar


@click.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--pack", help=f"Fetch and index free music: {', '.join(PACKS)}.")
@click.option("--space", "spaces", multiple=True, help="Encoder to index with; may be given several times.")
@click.option("--key-prefix", help="What keys begin with (default: the folder's name).")
@json_option
def index(path: Path | None, pack: str | None, spaces: tuple[str, ...], key_prefix: str | None, as_json: bool) -> int:
    """Bring a folder of music, a file, or a pack of free music into the catalogue."""
    if (path is None) == (pack is None):
        raise click.UsageError("give either a PATH or --pack NAME")
    with opened() as here:
        return _index(here, path, pack, spaces, key_prefix=key_prefix, as_json=as_json)


@click.command()
@click.argument("music", required=False, type=click.Path(exists=True, path_type=Path))
def demo(music: Path | None) -> int:
    """Go from nothing to an answer: weights, free music (or the folder MUSIC), index, one query."""
    from encoders.loading import fetch_weights
    from encoders.registry import encoder_spec

    settings = read_settings()
    spec = encoder_spec(settings.space, settings.encoders)
    if spec.fetch is not None and len(settings.succession) == 1:  # it was named: there is nothing to fall back to
        path = fetch_weights(spec, settings.weights_dir)
        click.echo(f"weights: {path}\n  {spec.reference}\n  licence: {spec.license}")
    with opened() as here:
        pack = None if music else default_pack()
        code = _index(here, music, pack, (), key_prefix=None, as_json=False)
        tracks = here.catalog.list_tracks(after_id=0, limit=1)
        if not tracks:
            return code
        seed = tracks[0].key
        tables.print_answer(f"sounds like {seed}", here.search.answer(similar(seed, limit=5, explain=True)))
    tables.print_next_steps(settings.home, seed)
    return 0


@click.command()
@json_option
def packs(as_json: bool) -> None:
    """List the free music that `index --pack` fetches."""
    if as_json:
        print_json([asdict(pack) for pack in PACKS.values()])
    else:
        tables.print_packs(list(PACKS.values()))


@click.command()
@click.argument("keys", nargs=-1, required=True)
@json_option
def delete(keys: tuple[str, ...], as_json: bool) -> None:
    """Take tracks out of the catalogue; their audio files stay."""
    with opened() as here:
        for key in keys:
            here.catalog.track(key)  # all or none: an unknown key is found before anything is deleted
        for key in keys:
            here.catalog.delete(key)
    if as_json:
        print_json({"deleted": list(keys)})
    else:
        click.echo(f"deleted {len(keys)} tracks")


@click.command()
@space_option
@click.option(
    "--granularity",
    type=click.Choice(get_args(Granularity)),
    help="Only this index (default: that of tracks and that of segments).",
)
@json_option
def rebuild(space: str | None, granularity: Granularity | None, as_json: bool) -> None:
    """Build the index anew from PostgreSQL alone."""
    with opened() as here:
        names = [space] if space else sorted(here.catalog.spaces())
        granularities = get_args(Granularity) if granularity is None else (granularity,)
        reports = [merging.rebuild(here.search.space(name, one)) for name in names for one in granularities]
    if as_json:
        print_json([asdict(report) for report in reports])
    else:
        for report in reports:
            built = report.manifest
            rows = f", {built.rows} segments" if built.granularity == "segment" else ""
            click.echo(f"{built.space}: {built.count} tracks{rows}, {built.kind}")


def _index(
    here: Soundalike,
    path: Path | None,
    pack: str | None,
    spaces: tuple[str, ...],
    *,
    key_prefix: str | None,
    as_json: bool,
) -> int:
    if pack is not None:
        fetched = fetch_pack(pack, here.settings.packs_dir)
        click.echo(f"{pack}: {fetched.track_count} tracks; licence: {fetched.licence}", err=True)
        path, key_prefix = fetched.music, key_prefix or ""  # a pack's folders name its packages
    assert path is not None  # one of the two was given
    encoders = here.indexing_encoders(spaces, fetch=True, on_note=say)
    again = Reencoding(here, encoders.every[0])
    again.announce(path)
    announce_analyses(here, encoders.analyses, path)
    with tables.progress("indexing", quiet=as_json) as show:
        shown = tables.IngestProgress(show, quiet=as_json)

        def advance(outcome: Outcome) -> None:
            shown.advance(outcome)
            again.advance(outcome)

        report = here.index_folder(
            path,
            encoders.every,
            of_new=encoders.of_new,
            analyses=encoders.analyses,
            key_prefix=key_prefix,
            on_start=shown.start,
            on_outcome=advance,
        )
    again.conclude()
    failures = here.ledger.failures(job_id=report.job_id)
    if as_json:
        print_json(asdict(report) | {"failures": [asdict(failure) for failure in failures]})
    else:
        tables.print_report(report, failures, shown.elapsed_s)
    return FAILED_FILES if failures else 0
