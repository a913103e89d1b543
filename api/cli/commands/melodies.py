"""Melodies: what is hummed is found, and how the network that hears them is trained."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from api.cli import tables
from api.cli.options import filter_option, json_option, opened, print_json
from api.documents.humming import hum_answer_out
from retrieval.search.query import MAX_LIMIT

if TYPE_CHECKING:
    from retrieval.filters.language import Filter


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@filter_option
@click.option(
    "-n", "--limit", type=click.IntRange(1, MAX_LIMIT), default=10, show_default=True, help="How many tracks."
)
@json_option
def hum(file: Path, condition: Filter | None, limit: int, as_json: bool) -> None:
    """Find the tracks whose melody is hummed, sung or whistled in FILE, in any key and at any tempo."""
    with opened() as here:
        answer = here.hummed(here.melody_in(file), filter_=condition, limit=limit)
    if as_json:
        print_json(hum_answer_out(answer).model_dump())
    else:
        tables.print_hummed(f"hummed in {file}", answer)


@click.command("melody")
@click.argument("songs", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--scores", required=True, type=click.Path(exists=True, file_okay=False, path_type=Path), help="POP909.")
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Gets the weights.")
@click.option("--alone", type=click.IntRange(0), default=400, show_default=True, help="Voices without a band.")
@click.option("--steps", type=click.IntRange(1), default=6000, show_default=True)
@click.option("--seed", default=0, show_default=True)
def train_melody(songs: Path, scores: Path, out: Path, alone: int, steps: int, seed: int) -> None:
    """Train the network that hears melodies on recorded SONGS; goes on where it was stopped."""
    from encoders.training.songs import melody_recipe as recipe
    from encoders.training.songs.melody import MelodySettings

    with tables.progress("training", quiet=False) as done:
        task = recipe.MelodyTask(
            songs,
            scores,
            alone,
            on_heard=lambda number, whole: done(number, whole, "heard"),
            on_step=lambda step, loss: done(step, steps, f"loss {loss:.3f}"),
        )
        written = recipe.train_melody(task, out, MelodySettings(steps=steps, seed=seed))
    click.echo(f"{written}: as encoders/weights/{written.name} it goes to everyone")
