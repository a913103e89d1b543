"""The catalogue's database and its doors: `migrate`, `serve`."""

import click

from api.cli.options import json_option, print_json
from api.cli.terminal import echo
from api.settings import read_settings
from api.wiring import open_soundalike


@click.command()
@json_option
def migrate(as_json: bool) -> None:
    """Create the database's schema, or bring it up to date."""
    with open_soundalike(read_settings(), create=True) as here:
        address = here.engine.url.render_as_string(hide_password=True)
    if as_json:
        print_json({"database": address, "schema": "current"})
    else:
        echo(f"the schema is current: {address}")


@click.command()
@click.option("--bind", default="127.0.0.1:8000", show_default=True, help="Address to listen on.")
@click.option("--workers", default=1, show_default=True, help="Processes.")
@click.option("--threads", default=8, show_default=True, help="Threads of each process.")
def serve(bind: str, workers: int, threads: int) -> None:
    """Serve the HTTP API with gunicorn."""
    from api.http.server import Server

    settings = read_settings()
    with open_soundalike(settings):  # one clear line now, rather than a worker's traceback; keeps the database up
        echo(f"http://{bind}/docs", err=True)
        Server(settings, bind=bind, workers=workers, threads=threads).run()
