"""A track of another length: `retarget`."""

import json
import os
from pathlib import Path
from typing import Any

import click

from api.cli.options import json_option, opened, print_json
from api.cli.terminal import echo
from api.cli.usage.values import Choice, Name, NewFile, Number, check_not_itself
from api.naming import meant_by
from api.wiring import Soundalike
from retrieval.counting import counted


@click.command()
@click.argument("key_or_file", type=Name())
@click.option("--duration", "duration_s", type=Number(1, 3600), required=True, help="How long it is to be, in seconds.")
@click.option("--keep", type=Choice(["highlight"]), help="What has to be in as a whole.")
@click.option(
    "--out", type=NewFile((".wav", ".flac")), required=True, help="The file to write: its name ends in .wav or .flac."
)
@click.option("--plan", "plan_file", type=NewFile(), help="Also write what was done, as JSON.")
@json_option
def retarget(key_or_file: str, duration_s: float, keep: Any, out: Path, plan_file: Path | None, as_json: bool) -> None:
    """Make a track of the catalogue, or any audio file, as long as you like.

    It begins and ends as the track does, and jumps from beat to beat between, where that is heard least.
    """
    from api.editing import retarget as made_of_length  # numba: no other command waits for it
    from encoders.media.writing import write_audio

    with opened() as here:
        path, track_id = _meant(here, key_or_file)
        if not path.is_file():
            raise click.ClickException(f"{key_or_file}: its file is no longer at {path}")
        check_not_itself(out, path, "--out")
        made = made_of_length(here, path, duration_s, keep=keep, track_id=track_id)
    write_audio(made.audio, out)
    if plan_file is not None:
        _write_plan(plan_file, made.plan.document())
    if as_json:
        print_json(made.plan.document())
    else:
        _print(out, made.plan.document())


def _meant(here: Soundalike, name: str) -> tuple[Path, int | None]:
    """The file that a name means, and which track of the catalogue it is."""
    meant = meant_by(here.catalog, name)
    return (meant, None) if isinstance(meant, Path) else (Path(meant.uri), meant.id)


def _write_plan(path: Path, document: dict[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        partial.write_text(json.dumps(document, indent=1), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        raise click.ClickException(f"{path}: cannot be written: {error.strerror or error}") from error


def _print(out: Path, document: dict[str, Any]) -> None:
    echo(f"{out}: {document['reached_s']:.3f} s, {counted(len(document['jumps']), 'jump')} between {document['unit']}")
    for jump in document["jumps"]:
        echo(
            f"  at {jump['output_s']:8.2f} s: {jump['from_s']:8.2f} → {jump['to_s']:8.2f}   cost {jump['cost']:.2f}   "
            f"flux below {100 - jump['flux_percentile']:.0f} % of the track's own"
        )
    end = document["end"]
    if end["trimmed_s"] or end["padded_s"]:
        echo(f"  at the end {end['trimmed_s']:.2f} s left out, {end['padded_s']:.2f} s of silence put")
