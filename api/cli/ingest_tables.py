"""What an ingest shows: how far it is, what it came to, and which files are not there; how long a list is."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import PurePath
from typing import TYPE_CHECKING

import click

from api.cli.layout import table_of
from api.cli.tables import failures_table
from api.cli.terminal import Screen, echo
from retrieval.counting import counted

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from indexer.jobs import IngestReport
    from indexer.track import Outcome
    from retrieval.catalog.files.presence import Placed
    from retrieval.catalog.ledger import Failure

_ALSO = {
    "moved": "moved",
    "updated": "with new tags",
    "copy": "copies of what is in",
    "ignored": "ignored",
    "missing": "missing (left out of answers until they are back; soundalike tracks --missing lists them)",
}


def since_began() -> float:
    """Seconds since the command was called, with all that it had to load."""
    began: float = click.get_current_context().obj
    return time.monotonic() - began


class IngestProgress:
    """Files done, tracks a second and failures, and why a file failed."""

    def __init__(self, show: Callable[..., None], *, quiet: bool) -> None:
        self._show, self._quiet = show, quiet
        self._start = time.monotonic()
        self._done = self._failed = self._total = 0

    def start(self, total: int) -> None:
        """Begin with this many files."""
        self._start, self._total = time.monotonic(), total
        self._show(0, total)

    def advance(self, outcome: Outcome) -> None:
        """One file is done."""
        self._done += 1
        self._failed += outcome.status == "failed"
        if outcome.reason is not None and not self._quiet:
            reason = f"{outcome.file.key}: {outcome.stage}: {outcome.reason}"
            echo(reason, err=True, style="yellow")  # the bar's own stream while it is shown: a line above it
        rate = self._done / max(time.monotonic() - self._start, 1e-6)
        self._show(self._done, self._total, f"{rate:.2f} tracks/s, {self._failed} failed")


def print_report(
    report: IngestReport,
    failures: Sequence[Failure],
    *,
    done: str = "indexed",
    list_skipped: bool = False,
) -> None:
    """What a job came to."""
    counts = report.counts
    console = Screen(soft_wrap=True)
    also = "".join(f", {counts[name]} {what}" for name, what in _ALSO.items() if counts.get(name))
    heard = f"; what was read is {report.audio_s / 60:.1f} minutes long" if report.audio_s else ""
    console.print(
        f"{counts['indexed']} {done}, {counts['unchanged']} unchanged, {counts['failed']} failed{also} "
        f"in {since_began():.1f} s{heard}"
    )
    if report.skipped:
        left_out = ", ".join(f"{len(uris)} {reason}" for reason, uris in sorted(report.skipped.items()))
        console.print(f"left out: {left_out}" + ("" if list_skipped else " (--list-skipped names them)"))
    if list_skipped and report.skipped:
        rows = [(uri, reason) for reason, uris in sorted(report.skipped.items()) for uri in uris]
        console.print(table_of(("left out", "why"), rows, key=0))
    if report.partial:
        console.print(table_of(("part of a track", "how that is known"), list(report.partial.items()), key=0))
    for stage, keys in report.dropped.items():
        have = "has" if len(keys) == 1 else "have"
        console.print(f"{len(keys)} changed and {have} nothing of {stage} any more: {_again(stage)}")
    if failures:
        console.print(failures_table(failures))


def print_missing(tracks: Sequence[Placed], *, since: str = "missing since") -> None:
    """Tracks whose files are not there."""
    rows = [
        (one.key, one.uri, one.missing_since.isoformat(" ", "minutes") if one.missing_since else "") for one in tracks
    ]
    if rows:
        Screen(soft_wrap=True).print(table_of(("track", "file", since), rows, key=0))
    else:
        echo(f"no track is {since.removesuffix(' since')}")


def print_shown(n: int, matching: int, *, as_json: bool) -> None:
    """Below a list, of how many tracks it has how many; beside JSON, which is a list alone, where it is cut short."""
    more = f" (-n {matching} lists them all)" if n < matching else ""
    if more or (n and not as_json):
        Screen(stderr=as_json, soft_wrap=True).print(f"{n:,} of {counted(matching, 'track')}{more}")


def print_pruned(pruned: Sequence[Placed], kept: Sequence[tuple[Placed, str]], *, dry_run: bool) -> None:
    """What was taken out of the catalogue because its files are gone, and what was not."""
    would = "would be " if dry_run else ""
    echo(f"{counted(len(pruned), 'track')} {would}taken out")
    if dry_run:
        for one in pruned:
            echo(f"  {one.key}")
    for folder, n in sorted(Counter(str(PurePath(one.uri).parent) for one in pruned).items()):
        echo(f"  {n} of {folder}")
    for reason, n in sorted(Counter(reason for _, reason in kept).items()):
        echo(f"{n} left: {reason}")


def _again(stage: str) -> str:
    """How to get back what a stage makes."""
    space = stage.removeprefix("embedding/")
    return f"soundalike index PATH --space {space}" if space != stage else f"soundalike analyze --stage {stage}"
