"""What arguments and options may be: names, files and numbers, each refused with a line that says what is accepted."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from encoders.places import NO_FILE, is_replaceable
from retrieval.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence


class Name(click.ParamType[Any]):
    """A track's key, or where a file lies: any text but none."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name as it stands."""
        if not str(value).strip():
            self.fail("is empty; accepted: a track's key (`soundalike tracks` lists them) or a file", param, ctx)
        return str(value)


class Words(click.ParamType[Any]):
    """What a field of a track is to say: any text but none, which takes nothing back."""

    name = "text"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The text as it stands."""
        if not str(value).strip():
            field = param.name if param else "FIELD"
            self.fail(f"is empty; accepted: a text (--reset {field} takes a correction back)", param, ctx)
        return str(value)


class Number(click.FloatRange):
    """A number in a range, of which NaN and infinity are none."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """The number."""
        try:
            number = float(value)
        except ValueError:
            self.fail(f"{value!r} is no number; accepted: {self._describe_range()}", param, ctx)
        if not math.isfinite(number):
            self.fail(f"{value} is no finite number; accepted: {self._describe_range()}", param, ctx)
        return float(super().convert(number, param, ctx))


class Whole(click.IntRange):
    """A whole number in a range."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """The number."""
        try:
            number = int(value)
        except ValueError:
            self.fail(f"{value!r} is no whole number; accepted: {self._describe_range()}", param, ctx)
        return int(super().convert(number, param, ctx))


class Choice(click.Choice[str]):
    """One of some words; who writes another is told which was meant."""

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """What is said of another word."""
        words, word = [str(one) for one in self.choices], str(value)
        none = "is none of" if len(words) > 1 else "is not"
        return f"{word!r} {none} {', '.join(map(repr, words))}{did_you_mean(word, words)}"


class Address(click.ParamType[Any]):
    """``HOST:PORT``, as a pair; of IPv6, ``[HOST]:PORT``."""

    name = "address"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, int]:
        """Host and port."""
        if isinstance(value, tuple):
            return value
        host, _, port = str(value).rpartition(":")
        host = host.removeprefix("[").removesuffix("]")
        if not host or "/" in host or not port.isdecimal() or not 1 <= int(port) <= 65_535:
            self.fail(f"{value!r} is no address; accepted: HOST:PORT, a port from 1 to 65535", param, ctx)
        return host, int(port)


SEED = Whole(0, 2**63 - 1)
"""Of what is drawn."""


class ReadableFile(click.ParamType[Any]):
    """A file that is there and can be read, as a `Path`; what is not there could not be done, and is no wrong usage.

    Parameters
    ----------
    dash : whether ``-`` is one, for standard input
    """

    name = "file"

    def __init__(self, *, dash: bool = False) -> None:
        self._dash = dash

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The file's path."""
        if not str(value):
            self.fail("is empty; accepted: a file", param, ctx)
        path = Path(value)
        if self._dash and str(value) == "-":
            return path
        if not is_there(path):
            given = str(value).lstrip()
            if self._dash and given.startswith(("{", "[")):
                raise click.UsageError("JSON itself is no file; accepted: a file, or - and the JSON on standard input")
            raise click.ClickException(f"{path}: no such file")
        if path.is_dir():
            raise click.ClickException(f"{path}: is a folder; accepted: a file")
        if not os.access(path, os.R_OK):
            raise click.ClickException(f"{path}: cannot be read: permission denied")
        return path


class ReadableFolder(click.ParamType[Any]):
    """A folder that is there and can be read, as a `Path`."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The folder's path."""
        if not str(value):
            self.fail("is empty; accepted: a folder", param, ctx)
        path = Path(value)
        if not is_there(path):
            raise click.ClickException(f"{path}: no such folder")
        if not path.is_dir():
            raise click.ClickException(f"{path}: is a file; accepted: a folder")
        if not os.access(path, os.R_OK | os.X_OK):
            raise click.ClickException(f"{path}: cannot be read: permission denied")
        return path


class ReadableRun(ReadableFile):
    """A run for an evaluation, or the folder into which `evaluate run --out` wrote one, as the file's `Path`."""

    name = "run"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The run's path."""
        from retrieval.evaluation.results.files import RUN, RUN_PARQUET  # pyarrow: no other value waits for it

        path = Path(value)
        if str(value) and path.is_dir():
            held = [path / name for name in (RUN, RUN_PARQUET) if is_there(path / name)]
            if not held:
                accepted = f"a run, or a folder with one ({RUN}, {RUN_PARQUET}), as `evaluate run --out` writes it"
                raise click.ClickException(f"{path}: holds no run; accepted: {accepted}")
            return super().convert(held[0], param, ctx)
        instead = path.with_name(RUN_PARQUET) if path.name == RUN else path
        if not is_there(path) and is_there(instead):
            raise click.ClickException(f"{path}: no such file; the run beside it, whose keys have blanks, is {instead}")
        return super().convert(value, param, ctx)


class FileOrFolder(click.ParamType[Any]):
    """A file or folder, as a `Path`.

    Parameters
    ----------
    there : whether it has to be there
    """

    name = "path"

    def __init__(self, *, there: bool = True) -> None:
        self._there = there

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The path."""
        if not str(value).strip():
            self.fail("is empty; accepted: a folder or a file (. for this one)", param, ctx)
        path = Path(value).expanduser()
        if self._there and not is_there(path):
            raise click.ClickException(f"{path.absolute()}: no such file or folder")
        return path


class NewFile(click.ParamType[Any]):
    """A file to write, as a `Path`: where it is to lie is looked at before anything is done for it.

    Parameters
    ----------
    suffixes : how its name may end; none given, as it likes
    dash : whether ``-`` is one, for standard output
    makes_folder : whether the folder is made where it is not there
    """

    name = "file"

    def __init__(self, suffixes: Sequence[str] = (), *, dash: bool = False, makes_folder: bool = False) -> None:
        self._suffixes, self._dash, self._makes_folder = suffixes, dash, makes_folder

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The file's path."""
        if not str(value):
            self.fail("is empty; accepted: a file to write", param, ctx)
        path = Path(value)
        if self._dash and str(value) == "-":
            return path
        if self._suffixes and path.suffix.lower() not in self._suffixes:
            what = "is a folder" if path.is_dir() else f"ends in {path.suffix or 'nothing'}"
            self.fail(f"{path} {what}; accepted: a file that ends in {' or '.join(self._suffixes)}", param, ctx)
        folder = path.absolute().parent
        if path.is_dir():
            raise click.ClickException(f"{path}: cannot be written: is a folder")
        if not is_replaceable(path):
            hint = ", or - for standard output" if self._dash else ""
            raise click.ClickException(f"{path}: {NO_FILE}{hint}")
        if self._makes_folder and not is_there(folder):
            NewFolder().convert(folder, param, ctx)
            return path
        if not folder.is_dir():
            raise click.ClickException(f"{path}: cannot be written: there is no folder {folder}")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise click.ClickException(f"{path}: cannot be written: permission denied")
        return path


class NewFolder(click.ParamType[Any]):
    """A folder to write into, as a `Path`; it is made where it is not there, with those above it."""

    name = "folder"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """The folder's path."""
        if not str(value):
            self.fail("is empty; accepted: a folder to write into", param, ctx)
        path = Path(value)
        there = next(one for one in (path.absolute(), *path.absolute().parents) if is_there(one))
        if not there.is_dir():
            raise click.ClickException(f"{path}: cannot be written: {there} is a file")
        if not os.access(there, os.W_OK | os.X_OK):
            raise click.ClickException(f"{path}: cannot be written: permission denied in {there}")
        return path


def check_not_itself(path: Path, source: Path, option: str) -> None:
    """Refuse to write over what is read.

    Raises
    ------
    BadParameter
    """
    if is_there(path) and path.samefile(source):
        raise click.BadParameter(
            f"{path} is what is read, and would be lost; accepted: another file", param_hint=option
        )


def is_there(path: Path) -> bool:
    """Whether there is such a path; a name that no file can have is none."""
    try:
        return path.exists()
    except (OSError, ValueError):
        return False
