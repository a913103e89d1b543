"""How our weights are made: `train corpus`, `train clmr`."""

from dataclasses import asdict
from pathlib import Path

import click

from api import tables
from api.commands.options import FAILED_FILES, json_option, print_json
from api.settings import read_settings
from indexer.archives import music_under


@click.group()
def train() -> None:
    """Train encoders on music of your own."""


@train.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", required=True, type=click.Path(path_type=Path), help="The corpus to add to.")
@json_option
def corpus(folders: tuple[Path, ...], out: Path, as_json: bool) -> int:
    """Prepare the music in FOLDERS for training; their subfolders are the groups that splits are made by.

    Music inside .zip and .pk3 archives counts as well.
    """
    from encoders.training.corpus import prepare, read_corpus

    settings = read_settings()
    left_out: dict[str, str] = {}
    sources = [source for folder in folders for source in music_under(folder, on_error=left_out.__setitem__)]
    with tables.counted("preparing", len(sources), quiet=as_json) as done:
        prepared = prepare(sources, out, limits=settings.media_limits, threads=settings.decode_threads)
        for number, item in enumerate(prepared, start=1):
            if item.reason is not None:
                left_out[item.key] = item.reason
            done(number, f"{len(left_out)} left out")
    if not as_json:
        for key, reason in left_out.items():
            click.echo(f"{key}: {reason}", err=True)
    tracks = read_corpus(out)
    groups = sorted({track.group for track in tracks})
    hours = sum(track.duration_s for track in tracks) / 3600
    if as_json:
        print_json({"tracks": len(tracks), "hours": hours, "groups": groups, "left_out": left_out})
    else:
        click.echo(f"{out}: {len(tracks)} tracks, {hours:.1f} hours, groups: {', '.join(groups)}")
    return FAILED_FILES if left_out else 0


@train.command()
@click.option("--corpus", "corpus_dir", required=True, type=click.Path(path_type=Path), help="From `train corpus`.")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="Checkpoint, losses and weights go here.")
@click.option("--hold-out", multiple=True, help="A group to keep out of training; may be given several times.")
@click.option("--steps", default=20_000, show_default=True)
@click.option("--batch-size", default=48, show_default=True, help="Tracks in a step; each gives two windows.")
@click.option("--learning-rate", default=3e-4, show_default=True)
@click.option("--temperature", default=0.5, show_default=True)
@click.option("--max-distance-s", default=0.0, show_default=True, help="How far apart both windows of a track may lie.")
@click.option("--seed", default=0, show_default=True)
@click.option("--device", default="auto", show_default=True, help="cpu, cuda, …")
@json_option
def clmr(
    corpus_dir: Path,
    out: Path,
    hold_out: tuple[str, ...],
    steps: int,
    batch_size: int,
    learning_rate: float,
    temperature: float,
    max_distance_s: float,
    seed: int,
    device: str,
    as_json: bool,
) -> int:
    """Train CLMR's SampleCNN without labels; the same command goes on where it was stopped."""
    from encoders.spec import torch_device
    from encoders.training.contrastive import ContrastiveSettings
    from encoders.training.recipes import train_clmr

    settings = ContrastiveSettings(
        steps=steps,
        batch_size=batch_size,
        learning_rate=learning_rate,
        temperature=temperature,
        max_distance_s=max_distance_s,
        seed=seed,
    )
    with tables.counted("training", steps, quiet=as_json) as done:
        report = train_clmr(
            corpus_dir,
            out,
            settings,
            held_out=hold_out,
            device=torch_device(device),
            on_step=lambda step, loss: done(step, f"loss {loss:.3f}"),
        )
    if as_json:
        print_json(asdict(report))
    else:
        if report.recall is not None:
            before = f"untrained {report.untrained_recall:.3f}"
            click.echo(f"half-track recall@1 on what was held out: {report.recall:.3f}, {before}")
        click.echo(f"use it: soundalike weights import clmr {report.weights}")
    return 0
