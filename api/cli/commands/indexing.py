"""A catalogue comes in, from folders and packs: `index`, `demo`, `packs`, `delete`, `rebuild`."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, get_args

import click

from api.cli import ingest_tables, tables
from api.cli.commands.reencoding import Reencoding, announce_analyses, say
from api.cli.options import FAILED_FILES, json_option, opened, print_json, space_option
from api.cli.terminal import echo
from api.cli.usage.values import Choice, FileOrFolder, Name
from api.naming import track_named
from api.settings import read_settings
from api.wiring import Soundalike
from encoders.registry import encoder_spec
from indexer.packs.fetch import check_pack, default_pack, fetch_pack
from indexer.packs.known import PACKS
from indexer.scan import UNDECODABLE
from indexer.track import Outcome
from retrieval.catalog.records import Granularity
from retrieval.counting import counted
from retrieval.index import merging
from retrieval.search.query import Diversity, similar


@click.command()
@click.argument("path", required=False, type=FileOrFolder(there=False))
@click.option("--pack", help=f"Fetch and index free music: {', '.join(PACKS)}.")
@click.option("--space", "spaces", multiple=True, help="Encoder to index with; may be given several times.")
@click.option("--key-prefix", help="What keys begin with (default: the folder's name). What is in keeps its key.")
@click.option("--rescan", is_flag=True, help="Read every file, also where size and times say that it is as it was.")
@click.option("--list-skipped", is_flag=True, help="Name the files that are left out, and why.")
@json_option
def index(path: Path | None, pack: str | None, spaces: tuple[str, ...], as_json: bool, **options: Any) -> int:
    """Bring a folder of music, a file, or a pack of free music into the catalogue.

    Tracks of the folder whose files are not there any more are left out of answers until they are back.
    """
    if (path is None) == (pack is None):
        raise click.UsageError("give either a PATH or --pack NAME")
    settings = read_settings()
    for name in spaces:  # before anything is fetched
        encoder_spec(name, settings.encoders)
    if pack is not None:
        check_pack(pack)
    with opened() as here:
        return _index(here, path, pack, spaces, _Options(**options), as_json=as_json)


@click.command()
@click.argument("music", required=False, type=FileOrFolder())
def demo(music: Path | None) -> int:
    """Go from nothing to an answer: weights, free music (or the folder MUSIC), index, one query."""
    from encoders.loading import fetch_weights

    with opened() as here:
        settings = here.settings
        spec = encoder_spec(settings.space, settings.encoders)
        if spec.fetch is not None and len(settings.succession) == 1:  # it was named: there is nothing to fall back to
            path = fetch_weights(spec, settings.weights_dir)
            echo(f"weights: {path}\n  {spec.reference}\n  licence: {spec.license}")
        pack = None if music else default_pack()
        code = _index(here, music, pack, (), _Options(), as_json=False)
        folder = music.resolve() if music else here.settings.packs_dir
        tracks = here.catalog.list_tracks(after_id=0, limit=here.catalog.count())
        seed = next((track.key for track in tracks if Path(track.uri).is_relative_to(folder)), None)
        if seed is None:
            return code
        asked = similar(seed, limit=5, explain=True, diversity=Diversity(fold_duplicates="sure"))
        tables.print_answer(f"sounds like {seed}", here.search.answer(asked), asked)
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
@click.argument("keys", metavar="KEY_OR_FILE...", nargs=-1, required=True, type=Name())
@click.option("--ignore", is_flag=True, help="Keep their files out, too; `index FILE` by its own name takes it back.")
@json_option
def delete(keys: tuple[str, ...], ignore: bool, as_json: bool) -> None:
    """Take tracks out of the catalogue; their audio files stay."""
    with opened() as here:
        # All or none: an unknown key is found before anything is deleted.
        tracks = list({track.key: track for track in (track_named(here.catalog, key) for key in keys)}.values())
        for track in tracks:
            here.catalog.delete(track.key, ignore=ignore)
    remain = [track.uri for track in tracks if Path(track.uri).exists()]
    if as_json:
        print_json({"deleted": [track.key for track in tracks], "files_remain": remain, "ignored": ignore})
        return
    echo(f"deleted {counted(len(tracks), 'track')}")
    if remain:
        what = f"{remain[0]} is" if len(remain) == 1 else f"their {len(remain)} files are"
        then = (
            "it is ignored from now on" if ignore else "the next `index` brings it back (delete --ignore keeps it out)"
        )
        echo(f"{what} still there; {then if len(remain) == 1 else then.replace('it is', 'they are')}")


@click.command(name="prune")
@click.option("--dry-run", is_flag=True, help="Only say which tracks would go.")
@json_option
def prune_missing(dry_run: bool, as_json: bool) -> None:
    """Take tracks out of the catalogue whose files are gone: those that `tracks --missing` lists.

    Tracks stay whose root, as it was indexed, is empty or not there: a drive may be unplugged.
    """
    with opened() as here:
        pruning = here.prune(dry_run=dry_run)
    if as_json:
        kept = [{"track": track.key, "uri": track.uri, "reason": reason} for track, reason in pruning.kept]
        print_json({"pruned": [track.key for track in pruning.pruned], "kept": kept, "dry_run": dry_run})
    else:
        ingest_tables.print_pruned(pruning.pruned, pruning.kept, dry_run=dry_run)


@click.command()
@space_option
@click.option(
    "--granularity",
    type=Choice(get_args(Granularity)),
    help="Only this index (default: that of tracks and that of segments).",
)
@json_option
def rebuild(space: str | None, granularity: Granularity | None, as_json: bool) -> None:
    """Build the index anew from PostgreSQL alone."""
    with opened() as here:
        names = [here.search.space_name(space)] if space else sorted(here.catalog.spaces())
        granularities = get_args(Granularity) if granularity is None else (granularity,)
        reports = [merging.rebuild(here.search.space(name, one)) for name in names for one in granularities]
    if as_json:
        print_json([asdict(report) for report in reports])
    else:
        for report in reports:
            built = report.manifest
            rows = f", {counted(built.rows, 'segment')}" if built.granularity == "segment" else ""
            echo(f"{built.space}: {counted(built.count, 'track')}{rows}, {built.kind}")


@dataclass(frozen=True)
class _Options:
    key_prefix: str | None = None
    rescan: bool = False
    list_skipped: bool = False


def _index(
    here: Soundalike, path: Path | None, pack: str | None, spaces: tuple[str, ...], options: _Options, *, as_json: bool
) -> int:
    key_prefix = options.key_prefix
    if pack is not None:
        fetched = fetch_pack(pack, here.settings.packs_dir)
        echo(f"{pack}: {counted(fetched.track_count, 'track')}; licence: {fetched.licence}", err=True)
        path, key_prefix = fetched.music, key_prefix or ""  # a pack's folders name its packages
    assert path is not None  # one of the two was given
    from indexer.roots import check_root

    check_root(path, here.catalog)
    encoders = here.indexing_encoders(spaces, fetch=True, on_note=say)
    again = Reencoding(here, encoders.every[0])
    again.announce(path)
    announce_analyses(here, encoders.analyses, path)
    with tables.progress("indexing", quiet=as_json) as show:
        shown = ingest_tables.IngestProgress(show, quiet=as_json)

        def advance(outcome: Outcome) -> None:
            shown.advance(outcome)
            again.advance(outcome)

        report = here.index_folder(
            path,
            encoders.every,
            of_new=encoders.of_new,
            analyses=encoders.analyses,
            key_prefix=key_prefix,
            rescan=options.rescan,
            on_start=shown.start,
            on_outcome=advance,
        )
    again.conclude()
    failures = here.ledger.failures(job_id=report.job_id)
    if as_json:
        print_json(asdict(report) | {"failures": [asdict(failure) for failure in failures]})
    else:
        ingest_tables.print_report(report, failures, list_skipped=options.list_skipped)
    return FAILED_FILES if failures or UNDECODABLE in report.skipped else 0
