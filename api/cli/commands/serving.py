"""The catalogue's database and its doors: `migrate`, `serve`."""

import errno
import socket
import threading

import click

from api.cli.options import check_space_setting, json_option, print_json
from api.cli.terminal import echo
from api.cli.usage.values import Address, Whole
from api.settings import read_settings
from api.wiring import open_soundalike

PATIENCE_S = 3.0


@click.command()
@json_option
def migrate(as_json: bool) -> None:
    """Create the database's schema, or bring it up to date."""
    with open_soundalike(read_settings(), create=True) as here:
        database = here.database
    if as_json:
        print_json({"database": database, "schema": "current"})
    else:
        echo(f"the schema is current; database: {database}")


@click.command()
@click.option(
    "--bind", type=Address(), default="127.0.0.1:8000", show_default=True, help="Address to listen on: HOST:PORT."
)
@click.option("--workers", type=Whole(1, 256), default=1, show_default=True, help="Processes.")
@click.option("--threads", type=Whole(1, 1024), default=8, show_default=True, help="Threads of each process.")
@click.option(
    "--access-log/--no-access-log", default=True, show_default=True, help="A line on standard output for every request."
)
def serve(bind: tuple[str, int], workers: int, threads: int, access_log: bool) -> None:
    """Serve the HTTP API with gunicorn."""
    _check_free(*bind)
    from api.http.server import Server

    host, port = bind
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    settings = read_settings()
    with open_soundalike(settings) as here:  # one clear line now, not a worker's traceback; keeps the database up
        check_space_setting(here)
        _load_loops()
        server = Server(settings, bind=shown, workers=workers, threads=threads, access_log=access_log)
        server.run_then(lambda: echo(f"http://{shown}/docs", err=True))


def _load_loops() -> None:
    """Load what searches before the address is told; on a machine that has not compiled it yet it takes a while."""
    from retrieval.index import loading

    note = "compiling the loops of the search, once on this machine: half a minute"
    patience = threading.Timer(PATIENCE_S, echo, [note], {"err": True})
    patience.start()
    try:
        loading.load()
    finally:
        patience.cancel()


def _check_free(host: str, port: int) -> None:
    """Refuse an address that nobody could listen on, before anything is loaded."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind(address)
    except (OSError, UnicodeError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        other = f"; another port: --bind {host}:{port + 1}" if getattr(error, "errno", 0) == errno.EADDRINUSE else ""
        raise click.ClickException(f"--bind {host}:{port}: cannot be listened on: {reason}{other}") from error
