"""What went wrong, as an exit code, one line on standard error, and with ``--json`` a document on standard output.

2 is wrong usage: what was typed is not accepted, be it an option, a value, a filter or an encoder's name. 1 is what
could not be done: no such track, no such file, a file that cannot be read or written, no database.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import click

from api.cli.terminal import echo, echo_json
from api.documents.wellformed import DocumentError, TooDeepError, escaped
from api.settings import SettingsError
from encoders.errors import EncoderError, RetargetError, UnknownEncoderError
from indexer.errors import IndexerError, UnknownPackError
from retrieval.errors import (
    MOST_TOLD,
    CorrectionError,
    MissingLibraryError,
    NoMelodyError,
    QueryError,
    RetrievalError,
    UnknownTrackError,
)
from retrieval.evaluation.errors import MetricError

if TYPE_CHECKING:
    from collections.abc import Sequence

NOT_DONE, WRONG_USAGE, INTERRUPTED = 1, 2, 130
_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True)
class Failure:
    """What went wrong.

    Attributes
    ----------
    code : of the program's exit
    message : one line
    kind : what of, in words joined by ``-``: ``unknown-track``
    field : the option, argument or field that is wrong, or none
    shown : what people read, where it is more than the line
    """

    code: int
    message: str
    kind: str
    field: str | None = None
    shown: str | None = None

    @property
    def document(self) -> dict[str, Any]:
        """The same for programs."""
        said = {"message": self.message, "code": self.kind}
        return {"error": said if self.field is None else {**said, "field": self.field}}


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether a program reads the answer; also where the arguments are too wrong to be parsed."""
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    return "--json" in options


def told(failure: Failure, *, as_json: bool) -> int:
    """Say what went wrong, and return the exit code."""
    if as_json:
        echo_json(failure.document)
    echo(failure.shown if failure.shown and not as_json else f"soundalike: {failure.message}", err=True)
    return failure.code


def failure_of(error: BaseException, *, goes_on: bool = False) -> Failure | None:
    """What an exception comes to; none where nobody expected it.

    Parameters
    ----------
    goes_on : whether the command keeps what it has done when it is interrupted
    """
    if isinstance(error, click.exceptions.Abort | KeyboardInterrupt):
        stays = "; what was stored stays, run the same command to go on" if goes_on else ""
        return Failure(INTERRUPTED, f"interrupted{stays}", "interrupted")
    if isinstance(error, click.ClickException):
        return _of_click(error)
    if isinstance(error, NoMelodyError):  # nothing that was typed is wrong
        return Failure(NOT_DONE, str(error), _kind(error))
    if isinstance(error, QueryError):
        said = "; ".join(map(_in_options, error.every[:MOST_TOLD]))
        return Failure(WRONG_USAGE, said, _kind(error), error.field or None)
    if isinstance(error, DocumentError) and isinstance(error.cause, UnknownTrackError):
        return Failure(NOT_DONE, str(error), _kind(error.cause), error.path)
    if isinstance(error, DocumentError | TooDeepError):
        field = error.path if isinstance(error, DocumentError) else error.field
        return Failure(WRONG_USAGE, str(error), _kind(error), field)
    if isinstance(error, RetargetError) and error.field == "duration_s":
        return Failure(WRONG_USAGE, f"--duration: {error}".replace("duration_s: ", "", 1), _kind(error), "--duration")
    if isinstance(error, MetricError):
        return Failure(WRONG_USAGE, f"--metric: {error}", _kind(error), "--metric")
    if isinstance(error, UnknownEncoderError) and error.name in error.known:  # a setting says so, nobody typed it
        return Failure(NOT_DONE, str(error), _kind(error))
    if isinstance(error, UnknownEncoderError | UnknownPackError):
        return Failure(WRONG_USAGE, str(error), _kind(error))
    if isinstance(error, UnicodeEncodeError):  # names of files and settings may be no text
        said = f"{escaped(str(error.object))!r} is not UTF-8, and the catalogue holds no other text"
        return Failure(NOT_DONE, said, "not-text")
    if isinstance(error, UnknownTrackError):
        listed = "" if error.nearest or error.why else "; `soundalike tracks` lists the keys"
        return Failure(NOT_DONE, f"{error}{listed}", _kind(error))
    if isinstance(error, EncoderError | RetrievalError | IndexerError | SettingsError | MissingLibraryError):
        return Failure(NOT_DONE, str(error), _kind(error))
    return _of_database(error)


def _of_click(error: click.ClickException) -> Failure:
    shown = StringIO()
    error.show(shown)
    field, parameter = None, getattr(error, "param", None)
    if isinstance(error, click.NoSuchOption):
        field = error.option_name
    elif parameter is not None:
        field = parameter.opts[-1] if isinstance(parameter, click.Option) else parameter.human_readable_name
    elif isinstance(error, click.BadParameter) and isinstance(error.param_hint, str):
        field = error.param_hint
    if isinstance(error, click.UsageError):
        return Failure(error.exit_code, error.format_message(), "wrong-usage", field, shown.getvalue().rstrip("\n"))
    return Failure(error.exit_code, error.format_message(), "not-done")


def _of_database(error: BaseException) -> Failure | None:
    from sqlalchemy.exc import DBAPIError  # takes a fifth of a second, and not every command has a database

    from retrieval.catalog.database import is_lost, refusal

    if not isinstance(error, DBAPIError):
        return None
    lost = f"the database was lost: {str(error.orig).strip().splitlines()[0]}"
    return Failure(NOT_DONE, lost if is_lost(error) else refusal(error), "database")


def _kind(error: Exception) -> str:
    return _WORDS.sub("-", type(error).__name__.removesuffix("Error")).lower()


def _in_options(error: QueryError) -> str:
    """What is wrong with a query, by the option that said it."""
    options = {
        "start_s": "--from-s",
        "end_s": "--to-s",
        "section": "--section",
        "half_life": "--half-life",
        "mmr": "--mmr",
    }
    option = options.get(error.field)
    if isinstance(error, CorrectionError):
        field, _, code = error.field.partition(".")
        option = f"--language {code}".strip() if field == "languages" else f"--{field}"
    return f"{option}: {error.explanation}" if option else error.message
