"""What was heard in a track, and what is said of it: `language`, `rhythm`, `structure`, …, `correct`."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click
from pydantic import BaseModel

from api.cli import music_tables, tables
from api.cli.options import json_option, opened, print_json
from api.cli.usage.values import Choice, Name, Number, Whole, Words
from api.documents import music
from api.documents.voice import corrected_track_out, language_out
from api.naming import track_named
from retrieval.catalog.corrections import FIELDS
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import Track

Shown = TypeVar("Shown", bound=BaseModel)


def _command(
    name: str, about: str, out: Callable[[Catalog, Track], Shown], show: Callable[[Shown], None]
) -> click.Command:
    """A command that shows what is known of a track."""

    @click.command(name, help=about)
    @click.argument("key", metavar="KEY_OR_FILE", type=Name())
    @json_option
    def shown(key: str, as_json: bool) -> None:
        with opened() as here:
            heard = out(here.catalog, track_named(here.catalog, key))
        if as_json:
            print_json(heard.model_dump())
        else:
            show(heard)

    return shown


language = _command(
    "language",
    "Say who sings how much in a track, when, and in which language.",
    language_out,
    tables.print_language,
)
rhythm = _command(
    "rhythm",
    "Say how fast a track is, how many beats a bar it has, where they are, and its key.",
    music.rhythm_out,
    music_tables.print_rhythm,
)
structure = _command(
    "structure", "Say of which parts a track is made.", music.structure_out, music_tables.print_structure
)
highlights = _command("highlights", "Say what represents a track.", music.highlights_out, music_tables.print_highlights)
loops = _command("loops", "Say what of a track can be looped.", music.loops_out, music_tables.print_loops)
melody = _command("melody", "Say how much melody a track has.", music.melody_out, music_tables.print_melody)


@click.command()
@click.argument("key", metavar="KEY_OR_FILE", type=Name())
@click.option(
    "--language",
    "languages",
    metavar="CODE=SHARE",
    multiple=True,
    callback=lambda context, option, given: shares_of(given),
    help="Share of the vocal time in a language, ja=0.8; may be repeated. What is left of 1 is unknown.",
)
@click.option("--no-language", is_flag=True, help="It is sung in no language at all.")
@click.option("--vocal-ratio", type=Number(0, 1), help="Share of the track in which somebody sings or speaks: 0 to 1.")
@click.option("--title", type=Words(), help="As the file's tags should have it, like the options that follow.")
@click.option("--artist", multiple=True, type=Words(), help="May be repeated, as a track may have several.")
@click.option("--album", type=Words())
@click.option("--genre", multiple=True, type=Words(), help="May be repeated.")
@click.option("--year", type=Whole(0, 9999))
@click.option(
    "--reset",
    metavar="FIELD",
    type=Choice(("all", *FIELDS)),
    multiple=True,
    help=f"Take a correction back: all, {', '.join(FIELDS)}. May be repeated.",
)
@json_option
def correct(
    key: str,
    languages: dict[str, float],
    no_language: bool,
    vocal_ratio: float | None,
    year: int | None,
    reset: Sequence[str],
    as_json: bool,
    artist: Sequence[str],
    genre: Sequence[str],
    **texts: str | None,
) -> None:
    """Say what a track is, whatever is heard of it or read in its file; without options show what was said."""
    if languages and no_language:
        raise click.UsageError("--language and --no-language exclude each other")
    said: dict[str, Any] = dict.fromkeys(FIELDS if "all" in reset else reset)
    given = {"languages": languages if languages or no_language else None, "vocal_ratio": vocal_ratio, "year": year}
    several = {"artist": list(artist) or None, "genre": list(genre) or None}
    stated = {field: value for field, value in (given | several | texts).items() if value is not None}
    both = next((field for field in stated if field in reset), None)
    if both is not None:
        raise click.UsageError(f"--reset {both} takes back what another option says: give either")
    said |= stated
    with opened() as here:
        key = track_named(here.catalog, key).key
        if said:
            here.catalog.correct(key, said)
        track = corrected_track_out(here.catalog, here.catalog.track(key))
    if as_json:
        print_json(track.model_dump())
    else:
        tables.print_corrections(track)


def shares_of(given: Sequence[str]) -> dict[str, float]:
    """The shares of `--language`, by code."""
    shares = {}
    for raw in given:
        code, _, share = raw.partition("=")
        if code in shares:
            raise click.BadParameter(f"{code!r} is given twice")
        try:
            shares[code] = float(share)
        except ValueError as error:
            raise click.BadParameter(f"{raw!r} is not CODE=SHARE, such as ja=0.8") from error
    return shares
