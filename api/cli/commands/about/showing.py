"""Everything known of a track: `show`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from api.cli.options import json_option, opened, print_json
from api.cli.usage.values import Name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.documents.known import KnownOut

MOST_TAGS = 12


@click.command()
@click.argument("key", metavar="KEY_OR_FILE", type=Name())
@json_option
def show(key: str, as_json: bool) -> None:
    """Show everything known of a track: its file, what is heard in it, what is said of it, and what sounds alike."""
    from api.documents.known import known_out
    from api.naming import track_named

    with opened() as here:
        known = known_out(here, track_named(here.catalog, key))
    if as_json:
        print_json(known.model_dump())
    else:
        _print(known)


def _print(known: KnownOut) -> None:
    from api.cli.layout import table_of
    from api.cli.tables import print_corrections
    from api.cli.terminal import Screen

    console = Screen(soft_wrap=True)
    console.print(known.track)
    for name, value in _lines(known):
        console.print(f"  {name}: {value}")
    for failure in known.failures:
        console.print(f"  failed: {failure.stage}: {failure.reason}")
    if known.corrected:
        print_corrections(known)
    if known.nearest is None:
        console.print("no space holds it: `soundalike index` with its folder brings it in")
    elif known.nearest:
        rows = [(f"{one.score:.3f}", one.track, one.title or "", one.artist or "") for one in known.nearest]
        Screen().print(
            table_of(("score", "sounds alike", "title", "artist"), rows, title=f"space {known.space}", key=1)
        )


def _lines(known: KnownOut) -> Iterator[tuple[str, str]]:
    """What is known, where it is, a line each."""
    from api.cli.tables import clock

    there = "not there" if known.file.size_bytes is None else f"{known.file.size_bytes:,} bytes"
    yield "file", f"{known.file.path} ({there})"
    yield "length", clock(known.duration_s) + (", a part of what it was" if known.partial else "")
    for name in ("title", "artist", "album", "genre", "year"):
        if (value := getattr(known, name)) is not None:
            yield name, str(value)
    if known.metadata:
        yield "metadata", ", ".join(f"{name} {value}" for name, value in known.metadata.items())
    if known.tempo is not None:
        yield "tempo", f"{known.tempo:.1f} beats a minute" + (f", {known.meter} a bar" if known.meter else "")
    if known.key is not None:
        yield "key", f"{known.key} {known.mode or ''}".strip()
    if known.vocal_ratio is not None:
        yield "voice", f"{100 * known.vocal_ratio:.0f} % of it"
    if known.languages:
        yield "languages", ", ".join(f"{code} {100 * ratio:.0f} %" for code, ratio in known.languages.items())
    if known.tags:
        yield "tags", ", ".join(f"{tag} {score:.2f}" for tag, score in list(known.tags.items())[:MOST_TAGS])
    yield "spaces", ", ".join(known.spaces) or "none"
    yield "analyses", ", ".join(f"{stage} {version}" for stage, version in known.analyses.items()) or "none"
    if known.notes:
        yield "notes", "; ".join(known.notes)
    if known.missing_since is not None:
        yield "missing since", known.missing_since
    yield "indexed", known.indexed_at
