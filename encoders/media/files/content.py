"""The bytes of a source, wherever they lie: read at any place, or shown to FFmpeg in part."""

from __future__ import annotations

import io
import os
import stat
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from encoders.errors import UnreadableMediaError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from typing_extensions import Buffer


@dataclass(frozen=True)
class Content:
    """The bytes of a source.

    Attributes
    ----------
    size : in bytes
    at : the bytes from an offset on, so many or as many as there are
    """

    size: int
    at: Callable[[int, int], bytes]


class Window(io.RawIOBase):
    """A part of a source, as a file that begins and ends with it."""

    def __init__(self, content: Content, start: int, end: int, name: str) -> None:
        super().__init__()
        self.name = name  # by whose end FFmpeg guesses where the bytes leave it in doubt
        self._content, self._start, self._end = content, start, end
        self._place = start

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Read what fits into a buffer; return how many bytes that were."""
        view = memoryview(buffer)
        found = self._content.at(self._place, max(0, min(len(view), self._end - self._place)))
        view[: len(found)] = found
        self._place += len(found)
        return len(found)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place within the part; return it."""
        origin = {os.SEEK_SET: self._start, os.SEEK_CUR: self._place, os.SEEK_END: self._end}[whence]
        self._place = max(self._start, origin + offset)
        return self._place - self._start

    def tell(self) -> int:
        """The place within the part."""
        return self._place - self._start


def media_input(source: Path | bytes, name: str) -> str | IO[bytes]:
    """Return what FFmpeg opens: an absolute path, which it cannot mistake for a protocol, or the bytes as a file."""
    _size(source, name)
    return io.BytesIO(source) if isinstance(source, bytes) else str(source.absolute())


@contextmanager
def content_of(source: Path | bytes, name: str) -> Iterator[Content]:
    """Open the bytes of a source.

    Raises
    ------
    UnreadableMediaError
        If it is missing, empty, no file, or may not be read.
    """
    size = _size(source, name)
    if isinstance(source, bytes):
        yield Content(size, lambda offset, length: source[offset : offset + length])
        return
    try:
        file = source.open("rb", buffering=0)
    except OSError as error:
        raise UnreadableMediaError(name, (error.strerror or str(error)).lower()) from error
    with file:
        yield Content(size, lambda offset, length: _read(file.fileno(), offset, length))


def _read(file: int, offset: int, length: int) -> bytes:
    found = os.pread(file, length, offset)
    while len(found) < length and (more := os.pread(file, length - len(found), offset + len(found))):
        found += more
    return found


def _size(source: Path | bytes, name: str) -> int:
    if isinstance(source, bytes):
        size = len(source)
    else:
        try:
            status = source.stat()
        except (OSError, ValueError) as error:
            raise UnreadableMediaError(name, (getattr(error, "strerror", None) or str(error)).lower()) from error
        if not stat.S_ISREG(status.st_mode):
            reason = "is a directory" if stat.S_ISDIR(status.st_mode) else "is not a regular file"
            raise UnreadableMediaError(name, reason)
        size = status.st_size
    if size == 0:
        raise UnreadableMediaError(name, "file is empty")
    return size
