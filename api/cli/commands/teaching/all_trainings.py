"""`train` with all that it trains."""

from api.cli.commands.teaching.encoders import train
from api.cli.commands.teaching.songs import record_songs, train_form, train_key, train_melody, train_rhythm
from api.cli.commands.teaching.videos import make_clips, train_video
from api.cli.commands.teaching.voices import gather_voices, sing_voices, train_vocals
from api.cli.commands.teaching.words import train_words

__all__ = ["train"]

for command in (
    *(gather_voices, sing_voices, train_vocals),
    *(record_songs, train_rhythm, train_key, train_form, train_melody),
    *(make_clips, train_video, train_words),
):
    train.add_command(command)
