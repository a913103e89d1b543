"""What several commands share: options, and how they open, read and print."""

import json
from contextlib import AbstractContextManager
from typing import Any

import click

from api.settings import read_settings
from api.wiring import Soundalike, open_soundalike
from retrieval.filters import Filter, parse_filter

FAILED_FILES = 3

json_option = click.option("--json", "as_json", is_flag=True, help="Answer in JSON.")
space_option = click.option("--space", help="The embedding to work in (default: SOUNDALIKE_SPACE, or soundalike).")
filter_option = click.option(
    "--filter",
    "condition",
    callback=lambda context, option, raw: filter_of(raw),
    help='A filter as JSON: {"must": [{"key": "year", "range": {"gte": 1990}}]}.',
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


def print_json(value: Any) -> None:
    """Print an answer for programs."""
    click.echo(json.dumps(value, indent=1, ensure_ascii=False, default=str))
