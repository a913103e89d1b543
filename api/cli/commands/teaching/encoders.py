"""How our weights are made: `train corpus`, perhaps of what `train render` played, then `train NAME`."""

from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from api.cli import tables
from api.cli.lazy import Group
from api.cli.options import FAILED_FILES, json_option, print_json
from api.cli.terminal import echo
from api.cli.usage.values import SEED, Choice, FileOrFolder, NewFolder, Number, ReadableFile, ReadableFolder, Whole
from api.settings import read_settings
from indexer.errors import ScanError
from indexer.packs.archives import music_under
from indexer.packs.fetch import fetch_pack
from indexer.scan import find_files
from retrieval.counting import counted

if TYPE_CHECKING:
    from encoders.training.split import TrainingReport


@click.group(cls=Group)
def train() -> None:
    """Train encoders on music of your own."""


@train.command()
@click.argument("folders", nargs=-1, type=ReadableFolder())
@click.option("--pack", "packs", multiple=True, help="Free music to fetch; may be given several times.")
@click.option("--out", required=True, type=NewFolder(), help="The corpus to add to.")
@json_option
def corpus(folders: tuple[Path, ...], packs: tuple[str, ...], out: Path, as_json: bool) -> int:
    """Prepare the music in FOLDERS and packs for training; their subfolders are the groups that splits are made by.

    Music inside .zip and .pk3 archives counts as well.
    """
    from encoders.training.corpus import prepare, read_corpus

    if not folders and not packs:
        raise click.UsageError("nothing to prepare: name folders, or packs by --pack (`soundalike packs` lists them)")
    settings = read_settings()
    left_out: dict[str, str] = {}
    folders = (*folders, *(fetch_pack(pack, settings.packs_dir).music for pack in packs))
    sources = [source for folder in folders for source in music_under(folder, on_error=left_out.__setitem__)]
    with tables.progress("preparing", quiet=as_json) as done:
        prepared = prepare(sources, out, limits=settings.media_limits, threads=settings.decode_threads)
        for number, item in enumerate(prepared, start=1):
            if item.reason is not None:
                left_out[item.key] = item.reason
            done(number, len(sources), f"{len(left_out)} left out")
    if not as_json:
        for key, reason in left_out.items():
            echo(f"{key}: {reason}", err=True)
    tracks = read_corpus(out)
    groups = sorted({track.group for track in tracks})
    hours = sum(track.duration_s for track in tracks) / 3600
    if as_json:
        print_json({"tracks": len(tracks), "hours": hours, "groups": groups, "left_out": left_out})
    else:
        echo(f"{out}: {counted(len(tracks), 'track')}, {hours:.1f} hours, groups: {', '.join(groups)}")
    return FAILED_FILES if left_out else 0


@train.command("render")
@click.argument("folder", type=ReadableFolder())
@click.option(
    "--soundfont",
    "soundfonts",
    required=True,
    multiple=True,
    type=ReadableFile(),
    help="What plays (SF2, SF3); of several, chance takes one for each song.",
)
@click.option("--out", required=True, type=NewFolder(), help="Where OUT/NAME_OF_FOLDER goes.")
@click.option("--seconds", type=Number(1), default=60.0, show_default=True, help="How much of every song.")
@click.option("--seed", type=SEED, default=0, show_default=True, help="Another seed gives every song another band.")
@json_option
def render_midi(folder: Path, soundfonts: tuple[Path, ...], out: Path, seconds: float, seed: int, as_json: bool) -> int:
    """Play the MIDI files in FOLDER, by fluidsynth, to FLAC that `train corpus OUT` takes, FOLDER's name as its group.

    What is there is not played again. Each song gets instruments, drums, a pitch and a tempo by chance.
    """
    from encoders.training.rendering import Rendering, render_all

    failed: dict[str, str] = {}
    files = find_files(folder, {".mid"}, key_prefix=None, on_error=failed.__setitem__)
    if not files:
        refused = "".join(f"; {path}: {reason}" for path, reason in list(failed.items())[:1])
        raise ScanError(f"{folder}: no MIDI file in it (accepted: .mid){refused}")
    counts = {"rendered": 0, "unchanged": 0}
    with tables.progress("rendering", quiet=as_json) as done:
        songs = [(file.key, file.path) for file in files]
        for number, song in enumerate(render_all(songs, out, Rendering(soundfonts, seconds, seed)), start=1):
            if song.reason is not None:
                failed[song.key] = song.reason
            else:
                counts["rendered" if song.new else "unchanged"] += 1
            done(number, len(songs), f"{len(failed)} failed")
    if as_json:
        print_json({**counts, "failed": failed})
    else:
        for key, reason in failed.items():
            echo(f"{key}: {reason}", err=True)
        echo(f"{out}: {counts['rendered']} rendered, {counts['unchanged']} unchanged, {len(failed)} failed")
    return FAILED_FILES if failed else 0


def _training_options(function: Callable[..., None]) -> Callable[..., None]:
    """Options that every training takes."""
    for option in (
        json_option,
        click.option("--device", default="auto", show_default=True, help="cpu, cuda, …"),
        click.option("--seed", type=SEED, default=0, show_default=True),
        click.option("--hold-out", multiple=True, help="A group to keep out of training; may be given several times."),
        click.option("--out", required=True, type=NewFolder(), help="Where everything goes."),
        click.option("--corpus", "corpus_dir", required=True, type=ReadableFolder(), help="To learn from."),
    ):
        function = option(function)
    return function


@train.command()
@_training_options
@click.option("--steps", type=Whole(1), default=20_000, show_default=True)
@click.option(
    "--batch-size",
    type=Whole(1),
    default=48,
    show_default=True,
    help="Tracks in a step; each gives two windows.",
)
@click.option("--learning-rate", type=Number(0, min_open=True), default=3e-4, show_default=True)
@click.option("--temperature", type=Number(0, min_open=True), default=0.5, show_default=True)
@click.option(
    "--max-distance-s",
    type=Number(0),
    default=0.0,
    show_default=True,
    help="How far apart both windows of a track may lie.",
)
def samplecnn(corpus_dir: Path, out: Path, hold_out: tuple[str, ...], device: str, as_json: bool, **given: Any) -> None:
    """Train CLMR as published, on waveforms; the same command goes on where it was stopped."""
    from encoders.loading import torch_device
    from encoders.training.contrastive import ContrastiveSettings
    from encoders.training.recipes import train_samplecnn
    from encoders.training.split import split

    settings = ContrastiveSettings(**given)
    training = partial(train_samplecnn, split(corpus_dir, hold_out), out, settings, device=torch_device(device))
    _run(training, "clmr-samplecnn", settings.steps, as_json=as_json)


@train.command()
@_training_options
@click.option("--steps", type=Whole(1), default=150, show_default=True)
@click.option("--batch-size", type=Whole(1), default=96, show_default=True, help="Tracks in a step.")
@click.option(
    "--windows-a-view",
    type=Whole(1),
    default=2,
    show_default=True,
    help="A track gives two views of so many windows.",
)
@click.option("--learning-rate", type=Number(0, min_open=True), default=1e-4, show_default=True)
@click.option("--temperature", type=Number(0, min_open=True), default=0.1, show_default=True)
def timbre(corpus_dir: Path, out: Path, hold_out: tuple[str, ...], device: str, as_json: bool, **given: Any) -> None:
    """Train `timbre`, on spectrograms; the same command goes on where it was stopped."""
    from encoders.loading import torch_device
    from encoders.training.contrastive import ContrastiveSettings
    from encoders.training.recipes import train_timbre
    from encoders.training.split import split

    settings = ContrastiveSettings(warmup_steps=20, weight_decay=0.01, **given)
    training = partial(train_timbre, split(corpus_dir, hold_out), out, settings, device=torch_device(device))
    _run(training, "timbre", settings.steps, as_json=as_json)


@train.command()
@_training_options
@click.option("--steps", type=Whole(1), default=8_000, show_default=True)
@click.option(
    "--batch-size",
    type=Whole(1),
    default=64,
    show_default=True,
    help="Tracks in a step; each gives two windows.",
)
@click.option("--learning-rate", type=Number(0, min_open=True), default=1e-3, show_default=True)
@click.option("--temperature", type=Number(0, min_open=True), default=0.2, show_default=True)
@click.option(
    "--contrast",
    type=Number(0),
    default=0.3,
    show_default=True,
    help="Weight of the contrastive loss beside the teacher's.",
)
@click.option(
    "--max-distance-s",
    type=Number(0),
    default=30.0,
    show_default=True,
    help="How far apart both windows of a track may lie.",
)
def melcnn(corpus_dir: Path, out: Path, hold_out: tuple[str, ...], device: str, as_json: bool, **given: Any) -> None:
    """Train `melcnn`, MusiCNN's pupil, on spectrograms; the same command goes on where it was stopped."""
    from encoders.loading import torch_device
    from encoders.training.distillation import DistillationSettings
    from encoders.training.recipes import train_melcnn
    from encoders.training.split import split

    settings = DistillationSettings(warmup_steps=100, weight_decay=0.02, checkpoint_every=250, **given)
    training = partial(
        train_melcnn,
        split(corpus_dir, hold_out),
        out,
        settings,
        weights_dir=read_settings().weights_dir,
        device=torch_device(device),
    )
    _run(training, "melcnn", settings.steps, as_json=as_json)


@train.command()
@click.argument("name", type=Choice(["tagging", "tagging-student", "spectnt"]))
@_training_options
@click.option("--steps", type=Whole(1), default=3_000, show_default=True, help="In each round.")
@click.option("--rounds", type=Whole(1), default=2, show_default=True, help="Each student teaches the next.")
@click.option("--taught-by", type=FileOrFolder(), help="Weights of `tagging`: distil them.")
@click.option("--batch-size", type=Whole(1), default=32, show_default=True)
@click.option("--learning-rate", type=Number(0, min_open=True), default=1e-3, show_default=True)
def tagger(
    name: str,
    corpus_dir: Path,
    out: Path,
    hold_out: tuple[str, ...],
    rounds: int,
    taught_by: Path | None,
    device: str,
    as_json: bool,
    **given: Any,
) -> None:
    """Train the tagging encoder NAME as a noisy student of MusiCNN, whose weights must be here."""
    from encoders.loading import torch_device
    from encoders.training.noisy_student import StudentSettings
    from encoders.training.recipes import train_tagger
    from encoders.training.split import split

    settings = StudentSettings(warmup_steps=100, weight_decay=0.01, **given)
    training = partial(
        train_tagger,
        name,
        split(corpus_dir, hold_out),
        out,
        settings,
        rounds=rounds,
        taught_by=taught_by,
        weights_dir=read_settings().weights_dir,
        device=torch_device(device),
    )
    _run(training, name, settings.steps, as_json=as_json)


@train.command("soundalike")
@click.option("--corpus", "corpus_dir", required=True, type=ReadableFolder(), help="To learn from.")
@click.option("--out", required=True, type=NewFolder(), help="Where the weights go.")
@click.option("--hold-out", multiple=True, help="As in both trainings.")
@click.option("--weights", required=True, type=FileOrFolder(), help="`timbre` and `tagging-student`.")
def join_parts(corpus_dir: Path, out: Path, hold_out: tuple[str, ...], weights: Path) -> None:
    """Join trained `timbre` and `tagging-student` weights to `soundalike`."""
    from encoders.training.joining import join_soundalike
    from encoders.training.split import split

    path = join_soundalike(split(corpus_dir, hold_out), out, weights_dir=weights)
    echo(f"use it: soundalike weights import soundalike {path}")


@train.command("ear")
@click.option("--corpus", "corpus_dir", required=True, type=ReadableFolder(), help="To learn from.")
@click.option("--out", required=True, type=NewFolder(), help="Where the weights go.")
@click.option("--hold-out", multiple=True, help="A group to keep out; may be given several times.")
@click.option("--seed", type=SEED, default=0, show_default=True)
def fit_ear(corpus_dir: Path, out: Path, hold_out: tuple[str, ...], seed: int) -> None:
    """Fit what `ear` has beside MusiCNN, whose weights must be here."""
    from encoders.training.joining import join_ear
    from encoders.training.split import split

    echo(str(join_ear(split(corpus_dir, hold_out), out, seed=seed, weights_dir=read_settings().weights_dir)))


def _run(train: "Callable[..., TrainingReport]", name: str, steps: int, *, as_json: bool) -> None:
    """Train with a bar that shows the loss, then say what came of it."""
    with tables.progress("training", quiet=as_json) as done:
        report = train(on_step=lambda step, loss: done(step, steps, f"loss {loss:.3f}"))
    if as_json:
        print_json(asdict(report))
    else:
        if report.trained is not None:
            figures = f"{report.trained:.3f}, untrained {report.untrained:.3f}"
            echo(f"{report.measure} on what was held out: {figures}")
        echo(f"use it: soundalike weights import {name} {report.weights}")
