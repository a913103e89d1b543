"""From annotated songs to the networks that hear rhythm, key, form and melody."""

from pathlib import Path

import click

from api.cli import tables
from api.cli.options import json_option, print_json


@click.command("form")
@click.argument("songs", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(dir_okay=False, path_type=Path), help="Gets the weights.")
@click.option("--music", type=click.Path(exists=True, file_okay=False, path_type=Path), help="That nobody annotated.")
@click.option("--steps", type=click.IntRange(1), default=1150, show_default=True)
@click.option("--further", type=click.IntRange(0), default=0, show_default=True, help="Steps with music beside songs.")
@click.option("--batch-size", type=click.IntRange(1), default=2, show_default=True, help="Songs in a step.")
@click.option("--seed", default=0, show_default=True)
@json_option
def train_form(
    songs: Path, out: Path, music: Path | None, steps: int, further: int, batch_size: int, seed: int, as_json: bool
) -> None:
    """Train `structure` on the recorded songs in SONGS; goes on where it was stopped."""
    from encoders.training.songs import form_recipe
    from encoders.training.songs.form import FormSettings

    settings = FormSettings(steps=steps, batch_size=batch_size, seed=seed)
    with tables.progress("training", quiet=as_json) as done:
        report = form_recipe.train_form(
            form_recipe.FormSources(songs, music),
            out,
            settings,
            further=further,
            on_step=lambda step, loss: done(step, steps, f"loss {loss:.3f}"),
        )
    if as_json:
        print_json(report)
    else:
        click.echo(f"learnt from {report['songs']:.0f} songs and {report['music']:.0f} tracks of other music")
        click.echo(f"right function, of the time of songs that were not learnt from: {report['function']:.3f}")
