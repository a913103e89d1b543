"""What several commands share: options, and how they open, read and print."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, Self, get_args

import click

from api.cli.terminal import echo, echo_json
from api.cli.usage.values import Choice, Name, Number, Whole
from api.documents.wellformed import check, escaped, is_text, parse_json
from api.settings import SettingsError, read_settings
from encoders.registry import RENAMED, encoder_names
from retrieval.catalog.records import Granularity
from retrieval.errors import IndexMissingError
from retrieval.search.query import MAX_LIMIT, Diversity, Query
from retrieval.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from api.wiring import Soundalike
    from retrieval.filters.language import Filter
    from retrieval.search.query import Seed

FAILED_FILES = 3

json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
space_option = click.option(
    "--space", help="The embedding to work in (default: SOUNDALIKE_SPACE, or the newest that holds all tracks)."
)
filter_option = click.option(
    "--filter",
    "condition",
    multiple=True,
    callback=lambda context, option, given: only_filter(given),
    help='A filter as JSON: {"must": [{"key": "year", "range": {"gte": 1990}}]}.',
)
granularity_option = click.option(
    "--granularity", type=Choice(get_args(Granularity)), default="track", help="segment: by the nearest part."
)
_search_options = (
    click.option("-n", "--limit", type=Whole(1, MAX_LIMIT), default=10, show_default=True, help="How many."),
    filter_option,
    click.option(
        "--exclude",
        metavar="KEY_OR_FILE",
        multiple=True,
        type=Name(),
        help="A track that must not come; may be repeated.",
    ),
    click.option(
        "--max-per",
        metavar="artist=N",
        multiple=True,
        callback=lambda context, option, given: max_per_of(given),
        help="At most N of an artist or album.",
    ),
    click.option("--mmr", type=Number(0, 1), default=0.0, help="Prefer what is unlike those before: 0 to 1."),
    click.option(
        "--fold-duplicates/--no-fold-duplicates",
        default=None,
        help="Leave out other versions of a recording, or none (default: those that surely are).",
    ),
    space_option,
    json_option,
)


def search_options(command: Callable[..., int | None]) -> Callable[..., int | None]:
    """The options that every search takes: those of `SearchOptions`."""
    for option in reversed(_search_options):
        command = option(command)
    return command


@dataclass(frozen=True, kw_only=True)
class SearchOptions:
    """What a search was given."""

    limit: int
    condition: Filter | None
    exclude: Sequence[str]
    max_per: dict[str, int]
    mmr: float
    fold_duplicates: bool | None
    space: str | None
    as_json: bool

    def resolved(self, here: Soundalike) -> Self:
        """The same with its space, and what is excluded by its key: what is wrong is found before any file is heard.

        Raises
        ------
        IndexMissingError, FilterError, UnknownTrackError
        """
        from api.naming import track_named

        check_filter(here, self.condition)
        excluded = [track_named(here.catalog, name).key for name in self.exclude]
        return replace(self, space=checked_space(here, self.space), exclude=excluded)

    def query(self, positive: Sequence[Seed], negative: Sequence[Seed] = (), **particulars: Any) -> Query:
        """The query by these examples, with what is particular to one command."""
        folded: bool | Literal["sure"] = "sure" if self.fold_duplicates is None else self.fold_duplicates
        rules = Diversity(self.mmr, max_per=self.max_per, fold_duplicates=folded)
        return Query(
            positive,
            negative,
            space=self.space,
            filter=self.condition,
            exclude=self.exclude,
            diversity=rules if self.mmr or self.max_per or folded else None,
            limit=self.limit,
            explain=True,
            **particulars,
        )


def checked_space(here: Soundalike, name: str | None) -> str:
    """The space of this name, or the default one.

    Raises
    ------
    IndexMissingError
        If it holds no track.
    """
    space = here.search.space_name(name)
    here.search.space(space)
    return space


def check_filter(here: Soundalike, condition: Filter | None) -> None:
    """Refuse a filter that no search of this catalogue could run.

    Raises
    ------
    FilterError
    """
    if condition is not None:
        here.search.selections.condition(condition)


@contextmanager
def opened() -> Iterator[Soundalike]:
    """The catalogue that the environment names."""
    from retrieval.catalog.database import start_early

    settings = read_settings()
    if settings.database_url is None:
        if not settings.postgres_dir.exists():  # also where a name was misspelt
            echo(
                f"{settings.home}: no catalogue yet, a new one is made (SOUNDALIKE_HOME names another folder)", err=True
            )
        start_early(settings.postgres_dir)  # it takes as long as the imports that follow
    from api.wiring import open_soundalike

    with open_soundalike(settings) as here:
        check_space_setting(here)
        try:
            yield here
        except IndexMissingError as error:
            if error.space == settings.space and len(settings.succession) == 1:
                raise SettingsError(f"SOUNDALIKE_SPACE is {error.space!r}: {error}") from error
            if not _is_encoder(here, error.space):  # it is wrong as it is typed, whatever is indexed
                raise click.UsageError(str(error)) from error
            raise


def check_space_setting(here: Soundalike) -> None:
    """Refuse a default space that is none: every command would answer as if it were there.

    Raises
    ------
    SettingsError
    """
    name = here.settings.space
    if not _is_encoder(here, name) and not here.catalog.holds(name):
        held = sorted(here.catalog.spaces())
        accepted = f"a space that holds tracks ({', '.join(held) or 'none yet'}), or an encoder"
        hint = did_you_mean(name, {*encoder_names(here.settings.encoders), *held})
        raise SettingsError(
            f"SOUNDALIKE_SPACE is {name!r}; accepted: {accepted} (`soundalike weights list` has them){hint}"
        )


def _is_encoder(here: Soundalike, name: str) -> bool:
    return ":" in name or name in RENAMED or name in encoder_names(here.settings.encoders)


def only_filter(given: Sequence[str]) -> Filter | None:
    """The filter of `filter_option`; of two, only one would hold."""
    if len(given) > 1:
        raise click.BadParameter('is given twice; accepted: one filter, {"must": [the first, the second]}')
    return filter_of(given[0]) if given else None


def filter_of(raw: str | None) -> Filter | None:
    """The filter that stands in an argument."""
    if raw is None:
        return None
    try:
        given = parse_json(raw, "filter")
    except ValueError as error:
        accepted = """accepted: '{"must": [{"key": "year", "range": {"gte": 1990}}]}'"""
        what = str(error).partition("; accepted: ")[0]
        raise click.BadParameter(f"{raw!r} is not JSON: {what}; {accepted}", param_hint="--filter") from error
    check(given, "filter")
    from retrieval.filters.language import parse_filter

    return parse_filter(given)


def max_per_of(given: Sequence[str]) -> dict[str, int]:
    """The limits of `--max-per`, by group."""
    limits = {}
    for raw in given:
        group, _, limit = raw.partition("=")
        if group not in ("artist", "album") or not limit.isdecimal() or int(limit) < 1:
            raise click.BadParameter(f"{raw!r} is not artist=N or album=N, with N at least 1")
        if group in limits:
            raise click.BadParameter(f"{group} is given twice")
        limits[group] = int(limit)
    return limits


def as_text(arguments: Sequence[str]) -> list[str]:
    """Arguments as UTF-8, whatever the locale took them for; those that name files that are there stay as they are.

    Raises
    ------
    UsageError
        For what is neither.
    """
    return [_as_text(number, argument) for number, argument in enumerate(arguments, start=1)]


def _as_text(number: int, argument: str) -> str:
    value = argument.partition("=")[2] if argument.startswith("--") and "=" in argument else argument
    if is_text(argument) or os.path.lexists(value):
        return argument
    try:
        return os.fsencode(argument).decode()
    except UnicodeError as error:
        shown = escaped(argument)
        raise click.UsageError(
            f"argument {number}, {shown}, is not UTF-8 and names no file; accepted: UTF-8"
        ) from error


def print_json(value: Any) -> None:
    """Print an answer for programs."""
    echo_json(value)
