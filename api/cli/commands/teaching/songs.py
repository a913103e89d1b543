"""From annotated scores to networks that hear how music is made.

`train songs` (recorded by a band) → `train rhythm`, `train key`, `train form`, `train melody`
"""

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli import tables
from api.cli.options import json_option, print_json
from api.cli.terminal import echo
from api.cli.usage.values import SEED, NewFile, NewFolder, ReadableFile, ReadableFolder, Whole

if TYPE_CHECKING:
    from encoders.training.songs.recipes import SongReport

_FOLDER = ReadableFolder()
_FILE = ReadableFile()
_out = click.option("--out", required=True, type=NewFile(makes_folder=True), help="Gets the weights.")
_seed = click.option("--seed", type=SEED, default=0, show_default=True)


def _steps(default: int) -> Callable[[Any], Any]:
    return click.option("--steps", type=Whole(1), default=default, show_default=True)


@click.command("songs")
@click.argument("scores", type=_FOLDER)
@click.option("--structure", required=True, type=_FILE, help="Sections in seconds, `pop909_structure_seconds.json`.")
@click.option("--soundfont", "soundfonts", required=True, multiple=True, type=_FILE, help="May be given several times.")
@click.option("--to", "folder", required=True, type=NewFolder(), help="To add to.")
@click.option("--first", type=Whole(1), default=1, show_default=True, help="Number of a song.")
@click.option("--last", type=Whole(1), default=800, show_default=True, help="Number of a song.")
@_seed
@json_option
def record_songs(
    scores: Path, structure: Path, soundfonts: tuple[Path, ...], folder: Path, first: int, last: int, seed: int,
    as_json: bool,
) -> None:  # fmt: skip
    """Record the songs of POP909 in SCORES, a folder a song, each by another band; goes on where it was stopped.

    Beside each recording stands what is true of it: beats, bars, key, chords, sections and melody.
    """
    from encoders.training.songs.playing.recording import record_all

    songs = sorted(path for path in scores.iterdir() if path.name.isdigit() and first <= int(path.name) <= last)
    if not songs:
        raise click.BadParameter(f"{scores}: no song from {first} to {last}", param_hint="SCORES")
    new = 0
    with tables.progress("recording", quiet=as_json) as done:
        for number, (name, recorded) in enumerate(record_all(songs, structure, soundfonts, folder, seed=seed), start=1):
            new += recorded
            done(number, len(songs), name)
    if as_json:
        print_json({"songs": len(songs), "new": new})
    else:
        echo(f"{folder}: {len(songs)} songs, {new} of them new")


@click.command("rhythm")
@click.argument("songs", type=_FOLDER)
@click.option("--taught", type=_FOLDER, help="Beats that a teacher told of other music (benchmarks.music.beatnet).")
@_out
@_steps(3000)
@_seed
@json_option
def train_rhythm(songs: Path, taught: Path | None, out: Path, steps: int, seed: int, as_json: bool) -> None:
    """Train `rhythm` on the recorded SONGS; goes on where it was stopped."""
    from encoders.training.songs import recipes
    from encoders.training.songs.rhythm import RhythmSettings

    with tables.progress("training", quiet=as_json) as done:
        report = recipes.train_rhythm(
            songs, out, RhythmSettings(steps=steps, seed=seed), taught=taught, on_step=_told(done, steps)
        )
    _show(report, as_json)


@click.command("key")
@click.argument("songs", type=_FOLDER)
@_out
@_steps(1500)
@_seed
@json_option
def train_key(songs: Path, out: Path, steps: int, seed: int, as_json: bool) -> None:
    """Train `key` on the recorded SONGS; goes on where it was stopped."""
    from encoders.training.songs import recipes
    from encoders.training.songs.key import KeySettings

    with tables.progress("training", quiet=as_json) as done:
        report = recipes.train_key(songs, out, KeySettings(steps=steps, seed=seed), on_step=_told(done, steps))
    _show(report, as_json)


@click.command("form")
@click.argument("songs", type=_FOLDER)
@_out
@click.option("--music", type=_FOLDER, help="That nobody annotated.")
@_steps(1150)
@click.option("--further", type=Whole(0), default=0, show_default=True, help="Steps with music beside songs.")
@click.option("--batch-size", type=Whole(1), default=2, show_default=True, help="Songs in a step.")
@_seed
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
            on_step=_told(done, steps),
        )
    if as_json:
        print_json(report)
    else:
        echo(f"learnt from {report['songs']:.0f} songs and {report['music']:.0f} tracks of other music")
        echo(f"right function, of the time of songs that were not learnt from: {report['function']:.3f}")


@click.command("melody")
@click.argument("songs", type=_FOLDER)
@click.option("--scores", required=True, type=_FOLDER, help="POP909.")
@_out
@click.option("--alone", type=Whole(0), default=400, show_default=True, help="Voices without a band.")
@_steps(5000)
@_seed
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
            on_step=_told(done, steps),
        )
        written = recipe.train_melody(task, out, MelodySettings(steps=steps, seed=seed))
    echo(f"{written}: as encoders/weights/{written.name} it goes to everyone")


def _told(done: Callable[[int, int, str], None], steps: int) -> Callable[[int, float], None]:
    return lambda step, loss: done(step, steps, f"loss {loss:.3f}")


def _show(report: "SongReport", as_json: bool) -> None:
    if as_json:
        print_json(asdict(report))
    else:
        echo(f"{report.weights}: {report.measure} {report.figure:.3f} on songs that choices are made by")
