"""What bridges pictures and music by words alone."""

from pathlib import Path

import click

from api.cli.terminal import echo
from api.cli.usage.values import NewFile


@click.command("words")
@click.option("--out", required=True, type=NewFile(makes_folder=True), help="Gets the weights.")
def train_words(out: Path) -> None:
    """Make `video-words`: which tags of music go with what is seen, by a sentence encoder that is fetched for it."""
    from encoders.training.videos.words import make_words

    matrices = make_words(out)
    echo(f"{out}: {len(matrices['classes'])} classes and {len(matrices['moods'])} moods")
