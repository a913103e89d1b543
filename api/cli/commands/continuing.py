"""Going on where a playlist ends."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import click

from api.cli.commands.searching import seed_of, show_answer
from api.cli.options import SearchOptions, opened, search_options
from api.cli.playlist_files import Entry, PlaylistFileError, entries
from api.wiring import Soundalike
from encoders.errors import MediaError
from retrieval.errors import UnknownTrackError
from retrieval.search.query import HALF_LIFE, MAX_GAP, MAX_PLAYLIST, Query, QueueContext, Seed


@dataclass(frozen=True, kw_only=True)
class ContinueOptions(SearchOptions):
    """What `continue` was given."""

    playlist: Sequence[str]
    half_life: float
    artist_gap: int
    album_gap: int

    @property
    def entries(self) -> list[Entry]:
        """The tracks to go on after, oldest first."""
        try:
            tracks = entries(list(self.playlist))
        except PlaylistFileError as error:
            raise click.ClickException(str(error)) from error
        if len(tracks) > MAX_PLAYLIST:  # before the files among them are encoded
            raise click.ClickException(
                f"the playlist has {len(tracks)} tracks; accepted: the last {MAX_PLAYLIST} of it"
            )
        return tracks

    def asked(self, here: Soundalike, tracks: Sequence[Entry]) -> Query:
        """The query that was asked for."""
        gaps = QueueContext((), self.artist_gap, self.album_gap) if self.artist_gap or self.album_gap else None
        space = here.search.space_name(self.space)
        seeds = [_seed(here, entry, space) for entry in tracks]
        return replace(self, space=space).query(seeds, half_life=self.half_life, context=gaps)


@click.command("continue")
@click.argument("playlist", metavar="PLAYLIST_OR_TRACK...", nargs=-1, required=True)
@click.option(
    "--half-life",
    type=click.FloatRange(min=0, min_open=True),
    default=HALF_LIFE,
    show_default=True,
    help="A track that stands so many before the last counts half as much.",
)
@click.option("--artist-gap", type=click.IntRange(0, MAX_GAP), default=0, help="Tracks between two of an artist.")
@click.option("--album-gap", type=click.IntRange(0, MAX_GAP), default=0, help="Tracks between two of an album.")
@search_options
def continue_playlist(**given: Any) -> None:
    """Go on where a playlist ends: .m3u8 files, keys of the catalogue, or audio files, oldest first."""
    options = ContinueOptions(**given)
    tracks = options.entries
    with opened() as here:
        answer = here.search.answer(options.asked(here, tracks))
    show_answer(answer, f"goes on after {tracks[-1].name}", as_json=options.as_json)


def _seed(here: Soundalike, entry: Entry, space: str) -> Seed:
    try:
        return seed_of(here, entry.name, entry.path, space)
    except (UnknownTrackError, MediaError) as error:
        if not entry.place:
            raise
        raise click.ClickException(f"{entry.place}: {error}") from error
