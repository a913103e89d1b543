"""From music and pictures to videos with music, `train clips`, and from these to what music fits: `train video`."""

from dataclasses import asdict
from pathlib import Path

import click

from api.cli import tables
from api.cli.options import FAILED_FILES, json_option, print_json
from api.cli.terminal import echo
from api.cli.usage.values import SEED, NewFile, NewFolder, ReadableFolder, Whole
from api.settings import read_settings
from indexer.errors import ScanError
from indexer.scan import scan
from retrieval.counting import counted

_FOLDER = ReadableFolder()


@click.command("clips")
@click.argument("music", type=_FOLDER)
@click.option("--pictures", multiple=True, type=_FOLDER, help="For slideshows; may be given several times.")
@click.option("--out", required=True, type=NewFolder(), help="To add to.")
@click.option("--clips", "count", type=Whole(1), default=100, show_default=True)
@click.option("--seed", type=SEED, default=0, show_default=True)
@click.option("--style", "styles", multiple=True, help="slideshow, montage or a kind of pattern; all by default.")
@click.option("--hold-out", "held_out", multiple=True, help="A folder of MUSIC to leave out.")
@click.option("--only", multiple=True, help="A folder of MUSIC; none other is taken.")
@json_option
def make_clips(
    music: Path,
    pictures: tuple[Path, ...],
    out: Path,
    count: int,
    seed: int,
    styles: tuple[str, ...],
    held_out: tuple[str, ...],
    only: tuple[str, ...],
    as_json: bool,
) -> int:
    """Make videos to MUSIC, of pictures and patterns that follow it; goes on where it was stopped.

    Each track gets a folder in OUT; its clips are 12 to 25 seconds long, and OUT/clips.jsonl tells what is in them.
    """
    from encoders.listeners import load_rhythm_tracker
    from encoders.models.music.spectra import Listener
    from encoders.training.videos.making import ClipOptions, package_of, write_clips

    left_out: dict[str, str] = {}
    files = scan(music, key_prefix="", on_error=left_out.__setitem__)
    packages = {package_of(file.key) for file in files}
    if unknown := sorted({*held_out, *only} - packages):
        raise ScanError(f"{music}: no music in {', '.join(unknown)} (there is: {', '.join(sorted(packages - {''}))})")
    taken = [
        (file.key, file.path)
        for file in files
        if package_of(file.key) not in held_out and (not only or package_of(file.key) in only)
    ]
    tracker = load_rhythm_tracker(read_settings().weights_dir, Listener())
    there = new = 0
    with tables.progress("making clips", quiet=as_json) as done:
        for made in write_clips(taken, pictures, out, tracker, ClipOptions(count, seed, styles)):
            if made.reason is not None:
                left_out[made.source] = made.reason
            there += made.clip is not None
            new += made.is_new
            done(there, count, made.source)
    if as_json:
        print_json({"clips": there, "new": new, "left_out": left_out})
    else:
        for source, reason in left_out.items():
            echo(f"{source}: {reason}", err=True)
        echo(f"{out}: {counted(there, 'clip')}, {new} of them new")
    return FAILED_FILES if left_out else 0


@click.command("video")
@click.argument("videos", type=_FOLDER)
@click.option("--choose-by", type=_FOLDER, help="Other videos, by which choices are made; none: some of VIDEOS.")
@click.option("--out", required=True, type=NewFile(makes_folder=True), help="Gets the weights.")
@click.option("--steps", type=Whole(1), default=1500, show_default=True)
@click.option("--seed", type=SEED, default=0, show_default=True)
@json_option
def train_video(videos: Path, choose_by: Path | None, out: Path, steps: int, seed: int, as_json: bool) -> int:
    """Train `video`, the space of music and video, on VIDEOS with sound; goes on where it was stopped.

    A folder in VIDEOS holds what has one source: clips of one film, or of one track. They are never told apart.
    """
    from encoders.training.videos.joint import VideoSettings
    from encoders.training.videos.recipe import VideoTask
    from encoders.training.videos.recipe import train_video as train

    with tables.progress("watching and training", quiet=as_json) as done:
        report = train(
            VideoTask(videos, choose_by, read_settings().weights_dir, done),
            out,
            VideoSettings(steps=steps, seed=seed),
            on_step=lambda step, loss: done(step, steps, f"loss {loss:.3f}"),
        )
    if as_json:
        print_json(asdict(report))
    else:
        for name, reason in report.left_out.items():
            echo(f"{name}: {reason}", err=True)
        echo(f"{report.weights}: learnt from {counted(report.clips, 'clip')}")
        echo(
            f"of {counted(report.judged, 'clip')} that choices are made by, own music among that "
            f"of {counted(report.sources, 'source')}: "
            f"recall@10 {report.recall:.3f}, median rank {report.median_rank:.0f}"
        )
    return FAILED_FILES if report.left_out else 0
