"""What sounds like this: `similar`, `query`, `path`."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from api.cli import tables
from api.cli.options import (
    SearchOptions,
    checked_space,
    granularity_option,
    json_option,
    opened,
    print_json,
    search_options,
    space_option,
)
from api.cli.usage.values import Choice, Name, Number, ReadableFile, Whole
from api.documents.wellformed import parse_json
from api.naming import seed_of
from retrieval.catalog.conditions import SECTION_LABELS
from retrieval.search.query import MAX_STEPS
from retrieval.search.recommend import Strategy

if TYPE_CHECKING:
    from collections.abc import Sequence

    from api.wiring import Soundalike
    from retrieval.catalog.records import Granularity
    from retrieval.search.query import Answer, Query


@dataclass(frozen=True, kw_only=True)
class SimilarOptions(SearchOptions):
    """What `similar` was given."""

    keys_or_files: Sequence[str]
    unlike: Sequence[str]
    strategy: Strategy
    from_s: float | None
    to_s: float | None
    section: str | None
    granularity: Granularity
    exact: bool

    @property
    def span_s(self) -> tuple[float, float] | None:
        """The part of the only example that is meant."""
        if self.section and (len(self.keys_or_files) > 1 or self.from_s is not None or self.to_s is not None):
            raise click.UsageError("--section needs a single KEY, and no --from-s or --to-s")
        if self.from_s is None and self.to_s is None:
            return None
        if self.from_s is None or self.to_s is None:
            raise click.UsageError("a span needs both --from-s and --to-s")
        if len(self.keys_or_files) > 1:
            raise click.UsageError("--from-s and --to-s need a single KEY_OR_FILE")
        if not 0 <= self.from_s < self.to_s:
            raise click.UsageError(f"--from-s is {self.from_s:g}, --to-s is {self.to_s:g}: they begin at 0 and ascend")
        return self.from_s, self.to_s

    @property
    def title(self) -> str:
        """What a table of the answer is called."""
        unlike = f", unlike {', '.join(self.unlike)}" if self.unlike else ""
        return f"sounds like {', '.join(self.keys_or_files)}{unlike}"

    def asked(self, here: Soundalike) -> Query:
        """The query that was asked for."""
        span_s = self.span_s
        asked = self.resolved(here)
        space = asked.space
        positive = [seed_of(here, name, Path(name), space, span_s) for name in self.keys_or_files]
        if self.section:
            if positive[0].track is None:
                raise click.UsageError("--section needs a track of the catalogue: it knows no parts of other files")
            positive = [replace(positive[0], section=self.section)]
        negative = [seed_of(here, name, Path(name), space) for name in self.unlike]
        return asked.query(positive, negative, strategy=self.strategy, granularity=self.granularity, exact=self.exact)


@click.command()
@click.argument("keys_or_files", metavar="KEY_OR_FILE...", nargs=-1, required=True, type=Name())
@click.option("--unlike", metavar="KEY_OR_FILE", multiple=True, type=Name(), help="What to be unlike; may be repeated.")
@click.option(
    "--strategy",
    type=Choice(get_args(Strategy)),
    default="average_vector",
    show_default=True,
    help="How several examples become one score.",
)
@click.option("--from-s", type=Number(0), help="With --to-s: the part of a single example that is meant, in seconds.")
@click.option("--to-s", type=Number(0))
@click.option(
    "--section", type=Choice(SECTION_LABELS), help="The section of a single KEY that is meant, instead of a part."
)
@granularity_option
@click.option("--exact", is_flag=True, help="Score everything that matches.")
@search_options
def similar(**given: Any) -> None:
    """Find what sounds like tracks of the catalogue, or like any audio files."""
    options = SimilarOptions(**given)
    with opened() as here:
        asked = options.asked(here)
        answer = here.search.answer(asked)
    show_answer(answer, options.title, asked, as_json=options.as_json)


@click.command()
@click.argument("body", type=ReadableFile(dash=True))
@json_option
def query(body: Path, as_json: bool) -> None:
    """Run a search that stands in a file (- for standard input) as JSON: the body of POST /v1/query."""
    is_piped = str(body) == "-"
    what = "standard input" if is_piped else str(body)
    raw = sys.stdin.buffer.read() if is_piped else body.read_bytes()
    try:
        given = parse_json(raw)
    except ValueError as error:
        raise click.UsageError(f"{what} is not JSON: {error}") from error
    from api.documents.search import SearchIn, read

    search = read(SearchIn, given)
    with opened() as here, search.naming_fields():
        asked = search.as_query()
        answer = here.search.answer(asked)
    show_answer(answer, what, asked, as_json=as_json)


@click.command()
@click.argument("start", metavar="KEY_OR_FILE", type=Name())
@click.argument("end", metavar="KEY_OR_FILE", type=Name())
@click.option("-n", "--steps", type=Whole(2, MAX_STEPS), default=10, show_default=True, help="How many tracks.")
@space_option
@json_option
def path(start: str, end: str, steps: int, space: str | None, as_json: bool) -> None:
    """Lead from one track or audio file to another by tracks that lie between them."""
    from retrieval.search.playlists import playlist

    with opened() as here:
        chosen = checked_space(here, space)
        ends = [seed_of(here, name, Path(name), chosen) for name in (start, end)]
        way = playlist(here.search, ends[0], ends[1], steps, space=chosen)
    outside = (start if way.starts_outside else None, end if way.ends_outside else None)
    if as_json:
        from api.documents.paths import path_out

        print_json(path_out(way, outside).model_dump())
    else:
        tables.print_playlist(way, outside)


def show_answer(answer: Answer, title: str, asked: Query, *, as_json: bool) -> None:
    """Print an answer, for people or for programs."""
    if as_json:
        from api.documents.answer import answer_out

        print_json(answer_out(answer).model_dump())
    else:
        tables.print_answer(title, answer, asked)
