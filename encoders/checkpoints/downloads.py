"""Who waits for a download is told of it from its first second: what it is, and how much of it is here.

The tools that download say nothing that can be relied on, so what they have written so far is looked at.
"""

from __future__ import annotations

import os
import re
import subprocess
from contextlib import contextmanager
from contextvars import ContextVar
from tempfile import TemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path
    from typing import IO

    OnDownload = Callable[[str, int, int | None], None]

EVERY_S = 0.5

_listener: ContextVar[OnDownload | None] = ContextVar("listener", default=None)
_expected: ContextVar[int | None] = ContextVar("expected", default=None)
_SIZE = re.compile(r"\((\d+(?:\.\d+)?) ([kMG]B)\)")
_UNITS = {"kB": 10**3, "MB": 10**6, "GB": 10**9}


@contextmanager
def told_of_downloads(on_download: OnDownload) -> Iterator[None]:
    """Call with the name, the bytes that are here and those of all of it, if known: at once, and while it comes in."""
    token = _listener.set(on_download)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def expecting(total_bytes: int) -> Iterator[None]:
    """Say how many bytes are downloaded within, where the tools do not."""
    token = _expected.set(total_bytes)
    try:
        yield
    finally:
        _expected.reset(token)


def run_downloading(
    command: Sequence[str], name: str, folder: Path, *, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a program that downloads into a folder, or into the system's temporary one, and say how far it is.

    Parameters
    ----------
    name : of what is downloaded, for who is told

    Returns
    -------
    What it printed, decoded leniently, and its exit code.
    """
    told = _listener.get()
    environment = {**os.environ, "TMPDIR": str(folder)}  # pip writes there before it moves a wheel
    before, total_bytes = _bytes_in(folder), _expected.get()
    with TemporaryFile() as printed, TemporaryFile() as complained:
        started = subprocess.Popen(
            list(command), cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=printed, stderr=complained
        )
        try:
            while True:
                if told is not None:
                    here, total = max(0, _bytes_in(folder) - before), total_bytes or _announced(_text(printed))
                    told(name, here if total is None else min(here, total), total)  # pip copies what it has
                try:
                    started.wait(timeout=EVERY_S)
                except subprocess.TimeoutExpired:
                    continue
                break
        except BaseException:
            started.kill()
            started.wait()
            raise
        output, complaints = _text(printed), _text(complained)
    if told is not None and started.returncode == 0:
        here = total_bytes or _announced(output) or max(0, _bytes_in(folder) - before)
        told(name, here, here)
    return subprocess.CompletedProcess(list(command), started.returncode, output, complaints)


def _text(file: IO[bytes]) -> str:
    """All that was written so far, without moving the place where the program writes."""
    return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")


def _announced(printed: str) -> int | None:
    """How large pip says that it is."""
    found = _SIZE.search(printed)
    return None if found is None else round(float(found[1]) * _UNITS[found[2]])


def _bytes_in(folder: Path) -> int:
    """Of all files under a folder, which may come and go meanwhile."""
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(parent, name)).st_size
            except OSError:
                continue
    return total
