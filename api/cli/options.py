"""What several commands share: options, and how they open, read and print."""

import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import click

from api.settings import read_settings
from api.wiring import Soundalike, open_soundalike
from retrieval.errors import QueryError
from retrieval.filters.language import Filter, parse_filter
from retrieval.search.query import MAX_LIMIT, Diversity

FAILED_FILES = 3

json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
space_option = click.option("--space", help="The embedding to work in (default: SOUNDALIKE_SPACE, or soundalike).")
filter_option = click.option(
    "--filter",
    "condition",
    callback=lambda context, option, raw: filter_of(raw),
    help='A filter as JSON: {"must": [{"key": "year", "range": {"gte": 1990}}]}.',
)
limit_option = click.option(
    "-n", "--limit", type=click.IntRange(1, MAX_LIMIT), default=10, show_default=True, help="How many."
)
exclude_option = click.option(
    "--exclude", metavar="KEY", multiple=True, help="A track that must not come; may be repeated."
)
max_per_option = click.option(
    "--max-per",
    metavar="artist=N",
    multiple=True,
    callback=lambda context, option, given: max_per_of(given),
    help="At most N of an artist or album.",
)
mmr_option = click.option(
    "--mmr", type=click.FloatRange(0, 1), default=0.0, help="Prefer what is unlike the results before: 0 to 1."
)
fold_duplicates_option = click.option(
    "--fold-duplicates", is_flag=True, help="Leave out other versions of the same recording."
)


def opened() -> AbstractContextManager[Soundalike]:
    """The catalogue that the environment names."""
    return open_soundalike(read_settings())


def filter_of(raw: str | None) -> Filter | None:
    """The filter of `filter_option`."""
    if raw is None:
        return None
    try:
        return parse_filter(json.loads(raw))
    except ValueError as error:
        raise click.BadParameter(f"not JSON: {error}", param_hint="--filter") from error


def max_per_of(given: Sequence[str]) -> dict[str, int]:
    """The limits of `max_per_option`, by group."""
    limits = {}
    for raw in given:
        group, _, limit = raw.partition("=")
        if group not in ("artist", "album") or not limit.isdecimal() or int(limit) < 1:
            raise click.BadParameter(f"{raw!r} is not artist=N or album=N, with N at least 1")
        limits[group] = int(limit)
    return limits


def diversity_of(mmr: float, max_per: Mapping[str, int], *, fold_duplicates: bool) -> Diversity | None:
    """How unlike each other the results shall be."""
    if not (mmr or max_per or fold_duplicates):
        return None
    return Diversity(mmr=mmr, max_per=max_per, fold_duplicates=fold_duplicates)


def in_options(error: QueryError) -> str:
    """What is wrong with a query, by the option that said it."""
    option = {"start_s": "--from-s", "end_s": "--to-s", "half_life": "--half-life", "mmr": "--mmr"}.get(error.field)
    return f"{option}: {error.explanation}" if option else str(error)


def print_json(value: Any) -> None:
    """Print an answer for programs."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))
