"""Going on where a playlist ends."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import click

from api.cli import tables
from api.cli.options import FAILED_FILES, SearchOptions, opened, print_json, search_options
from api.cli.playlists.files import PlaylistFile, PlaylistFileError
from api.cli.playlists.finding import Entry, Found, find, read_all, without
from api.cli.terminal import echo
from api.cli.usage.values import Name, Number, Whole
from api.documents.answer import answer_out
from api.naming import seed_of
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
    def given(self) -> list[Entry | PlaylistFile]:
        """Tracks and playlists to go on after, oldest first."""
        try:
            return read_all(self.playlist)
        except PlaylistFileError as error:
            raise click.ClickException(str(error)) from error

    def asked(self, seeds: Sequence[Seed]) -> Query:
        """The query that was asked for."""
        gaps = QueueContext((), self.artist_gap, self.album_gap) if self.artist_gap or self.album_gap else None
        return self.query(seeds, half_life=self.half_life, context=gaps)


@click.command("continue")
@click.argument("playlist", metavar="PLAYLIST_OR_TRACK...", nargs=-1, required=True, type=Name())
@click.option(
    "--half-life",
    type=Number(0, min_open=True),
    default=HALF_LIFE,
    show_default=True,
    help="A track that stands so many before the last counts half as much.",
)
@click.option("--artist-gap", type=Whole(0, MAX_GAP), default=0, help="Tracks between two of an artist.")
@click.option("--album-gap", type=Whole(0, MAX_GAP), default=0, help="Tracks between two of an album.")
@search_options
def continue_playlist(**given: Any) -> int:
    """Go on where a playlist ends: a playlist file, keys of the catalogue, or audio files, oldest first.

    What a playlist lists and is not found is named, and the rest goes on.
    """
    options = ContinueOptions(**given)
    listed = options.given
    with opened() as here:
        options = options.resolved(here)
        space = options.space
        found, seeds = _heard(here, _found(here, listed), space)
        for line in (*found.taken_for, *found.left_out):
            echo(str(line), err=True)
        if not seeds:
            raise click.ClickException(f"{', '.join(options.playlist)}: nothing of it is found")
        asked = options.asked(seeds)
        answer = here.search.answer(asked)
    if options.as_json:
        told = {
            "left_out": [asdict(one) for one in found.left_out],
            "taken_for": [asdict(one) for one in found.taken_for],
        }
        print_json(answer_out(answer).model_dump() | told)
    else:
        tables.print_answer(f"goes on after {found.tracks[-1].shown}", answer, asked)
    return FAILED_FILES if found.left_out else 0


def _found(here: Soundalike, listed: Sequence[Entry | PlaylistFile]) -> Found:
    found = find(listed, here.catalog)
    if len(found.tracks) > MAX_PLAYLIST:  # before the files among them are encoded
        tracks = len(found.tracks)
        raise click.ClickException(f"the playlist has {tracks} tracks; accepted: the last {MAX_PLAYLIST} of it")
    return found


def _heard(here: Soundalike, found: Found, space: str | None) -> tuple[Found, list[Seed]]:
    """The examples; what a playlist names and cannot be decoded is left out, what was named itself is refused."""
    seeds = []
    for entry in found.tracks:
        try:
            seeds.append(seed_of(here, entry.name, entry.path, space))
        except (UnknownTrackError, MediaError) as error:
            if entry.line is None and entry.path.is_dir():
                accepted = "a playlist, a track's key, or an audio file"
                raise click.ClickException(f"{entry.path}: is a folder; accepted: {accepted}") from error
            if entry.line is None:
                raise
            found = without(found, entry, str(error))
    return found, seeds
