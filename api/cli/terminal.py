r"""How text gets to a terminal, a pipe or a file: all of it, in columns, and with nothing in it that a terminal obeys.

Titles and names of files are anybody's: an escape sequence in one could hide or rewrite what stands above it, a bidi
control turn a line around, a line break make two rows of one. They are shown as ``\x1b``, ``\u202e``, ``\n``; so is
what the stream's encoding does not have. That is done before columns are laid out. JSON is left as it is, but for what
it escapes itself: see `dumped`.
"""

import errno
import json
import logging
import os
import re
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

UNBOUNDED = 10_000  # columns, where nothing is to be cut
BROKEN_PIPE = 141  # as of a program that SIGPIPE ends

# Controls, bidi controls, separators of lines and paragraphs, halves of characters, what stands for no character.
_OBEYED = re.compile(
    "[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb]"
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
# Of our own words, where the encoding lacks them: they are read more easily than their numbers.
_PLAINER = str.maketrans({"–": "-", "—": "-", "×": "x", "→": "->", "…": "...", "−": "-"})


def printable(text: str, encoding: str = "utf-8") -> str:
    """The text as one line without anything that a terminal obeys, of characters that the encoding has."""
    shown = _OBEYED.sub(lambda found: _escape(found[0]), text)
    try:
        shown.encode(encoding)
    except UnicodeEncodeError:
        shown = shown.translate(_PLAINER).encode(encoding, "backslashreplace").decode(encoding)
    return shown


def cell(value: object, style: str = "") -> Text:
    """A value as a cell, a title or a line of a table on standard output."""
    return Text(printable(str(value), encoding_of(sys.stdout)), style=style)


def lines(message: str, encoding: str = "utf-8") -> str:
    """A message whose own line breaks are kept, each line of it printable."""
    return "\n".join(printable(line, encoding) for line in message.split("\n"))


def echo(message: str, *, err: bool = False, style: str | None = None) -> None:
    """Print a message; its own line breaks are kept.

    Raises
    ------
    OutputLostError
    """
    stream = sys.stderr if err else sys.stdout
    with written_to(stream):
        click.secho(lines(message, encoding_of(stream)), file=stream, fg=style)


def echo_json(value: Any) -> None:
    """Print JSON.

    Raises
    ------
    OutputLostError
    """
    with written_to(sys.stdout):
        click.echo(dumped(value, encoding_of(sys.stdout)), file=sys.stdout)


def echo_text(text: str) -> None:
    """Print text for programs as it is.

    Raises
    ------
    OutputLostError
    """
    with written_to(sys.stdout):
        click.echo(text, file=sys.stdout)


def dumped(value: Any, encoding: str = "utf-8") -> str:
    r"""JSON that this encoding can hold: where it is not UTF-8, and for what no encoding has, with ``\uXXXX``."""
    if not encoding.lower().replace("_", "-").startswith("utf"):
        return json.dumps(value, indent=1, default=_said)
    raw = json.dumps(value, indent=1, ensure_ascii=False, default=_said)
    return re.sub("[\ud800-\udfff]", lambda half: f"\\u{ord(half[0]):04x}", raw)


def _said(value: object) -> str:
    """What JSON has no form for, as text: moments in ISO 8601, as HTTP has them."""
    return value.isoformat() if isinstance(value, datetime) else str(value)


def encoding_of(stream: IO[str] | None) -> str:
    """The encoding of a stream; UTF-8 where there is none."""
    return getattr(stream, "encoding", None) or "utf-8"


class OutputLostError(Exception):
    """What is printed goes nowhere: nobody reads it any more, or the disk is full."""

    def __init__(self, cause: OSError) -> None:
        self.is_unread = cause.errno == errno.EPIPE
        self.code = BROKEN_PIPE if self.is_unread else 1
        super().__init__(f"standard output: {(cause.strerror or str(cause)).lower()}")


@contextmanager
def written_to(stream: IO[str] | None) -> Iterator[None]:
    """Tell apart that output is lost from all else that an operating system refuses.

    Raises
    ------
    OutputLostError
    """
    try:
        yield
    except OSError as error:
        _abandon(stream)
        raise OutputLostError(error) from error


class Screen(Console):
    """A console for what is given as text: no markup is read in it, nothing in it is obeyed or coloured."""

    def __init__(self, *, stderr: bool = False, soft_wrap: bool = False) -> None:
        super().__init__(stderr=stderr, soft_wrap=soft_wrap, highlight=False, markup=False, emoji=False)
        if not self.width:  # COLUMNS is 0, as where there was no terminal
            self.width = shutil.get_terminal_size().columns
        if not self.is_terminal and os.environ.get("COLUMNS", "0") in ("", "0"):  # a file or a program: nothing is cut
            self.width = UNBOUNDED

    def render_str(self, text: str, **options: Any) -> Text:
        """A text, made harmless."""
        return super().render_str(lines(text, encoding_of(self.file)), **options)

    def print(self, *objects: Any, **options: Any) -> None:
        """Print texts and what is laid out already.

        Raises
        ------
        OutputLostError
        """
        with written_to(self.file):
            for one in objects:
                if isinstance(one, Table) and one.title:  # else it is broken at the width of the table below it
                    super().print(one.title, soft_wrap=True)
                    one.title = None
            super().print(*objects, **options)

    def on_broken_pipe(self) -> None:
        """Say it as of any other lost output, rather than exit here."""
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


class HarmlessFormatter(logging.Formatter):
    """Records whose lines are harmless."""

    def format(self, record: logging.LogRecord) -> str:
        """One record; the lines of a traceback stay lines."""
        return lines(super().format(record), encoding_of(sys.stderr))


def prepare_streams() -> None:
    """Let standard output and error take any text: what they cannot encode is written as an escape."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure: Callable[..., None] | None = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def finish_output() -> None:
    """Write out what is still held.

    Raises
    ------
    OutputLostError
    """
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            with written_to(stream):
                stream.flush()


def _abandon(stream: IO[str] | None) -> None:
    """Lead a stream to nowhere: the interpreter would complain at its end of what it still holds."""
    try:
        if stream is not None:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    except (OSError, ValueError):  # no file of the system's
        return


def _escape(character: str) -> str:
    if character in _NAMED:
        return _NAMED[character]
    return f"\\x{ord(character):02x}" if ord(character) < 256 else f"\\u{ord(character):04x}"
