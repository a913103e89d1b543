"""Music for training, wherever it lies under a folder: audio files, and those inside ``.zip`` and ``.pk3`` archives.

A member of an archive is unpacked to a temporary file when its turn comes and for as long as it is read, so the disk
never holds more of them than threads prepare. Nothing is written under a name that an archive gives. Archives inside
archives stay closed.
"""

from __future__ import annotations

import lzma
import shutil
import struct
import zipfile
import zlib
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from encoders.errors import UnreadableMediaError
from encoders.media.kinds import AUDIO_SUFFIXES
from indexer.errors import ScanError
from indexer.scan import ScannedFile, find_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from encoders.training.corpus import Source

ARCHIVE_SUFFIXES = frozenset({".pk3", ".zip"})
MAX_MEMBER_BYTES = 512 * 2**20

_ENCRYPTED = 0x1
# What zipfile, and what it unpacks with, raise on a damaged or foreign archive.
_UNREADABLE = (
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error),
    *(OSError, EOFError, ValueError, NotImplementedError),
)


def music_under(root: Path, *, on_error: Callable[[str, str], None]) -> list[tuple[str, Source]]:
    """All music under a folder, ordered by key: ``Artist/01 Song.mp3``, ``game/music.pk3/themes/intro.ogg``.

    Parameters
    ----------
    on_error : called with (path, reason) for whatever cannot be listed or is refused

    Raises
    ------
    ScanError
        If the folder does not exist or holds no music.
    """
    reasons: dict[str, str] = {}
    files = find_files(root, AUDIO_SUFFIXES, key_prefix="", on_error=reasons.__setitem__)
    archives = find_files(root, ARCHIVE_SUFFIXES, key_prefix="", on_error=reasons.__setitem__)
    sources: list[tuple[str, Source]] = [(file.key, file.path) for file in files]
    for archive in archives:
        sources += _music_in(archive, reasons.__setitem__)
    for path, reason in reasons.items():
        on_error(path, reason)
    if not sources:
        refused = "".join(f"; {path}: {reason}" for path, reason in list(reasons.items())[:1])
        accepted = f"accepted: {' '.join(sorted(AUDIO_SUFFIXES))}, also inside {' '.join(sorted(ARCHIVE_SUFFIXES))}"
        raise ScanError(f"{root.absolute()}: no audio file in it ({accepted}){refused}")
    return sorted(sources, key=lambda source: source[0])


def _music_in(archive: ScannedFile, on_error: Callable[[str, str], None]) -> Iterator[tuple[str, Source]]:
    try:
        with zipfile.ZipFile(archive.path) as opened:
            members = opened.infolist()
    except _UNREADABLE as error:
        on_error(archive.uri, f"not a readable zip archive: {error}")
        return
    for member in members:
        name = PurePosixPath(member.filename.replace("\\", "/"))
        hidden = any(part.startswith(".") and part != ".." for part in name.parts)
        if member.is_dir() or hidden or name.suffix.lower() not in AUDIO_SUFFIXES:
            continue
        if reason := _refusal(member, name):
            on_error(f"{archive.uri}/{name}", reason)
        else:
            yield f"{archive.key}/{name}", partial(_unpacked, archive.path, member, name.suffix)


def _refusal(member: zipfile.ZipInfo, name: PurePosixPath) -> str | None:
    if name.is_absolute() or ".." in name.parts:
        return "its path leads out of the archive"
    if member.flag_bits & _ENCRYPTED:
        return "encrypted: unpack the archive to train on it"
    if member.file_size > MAX_MEMBER_BYTES:
        size, limit = (n / 2**20 for n in (member.file_size, MAX_MEMBER_BYTES))
        return f"{size:,.0f} MiB unpacked; {limit:,.0f} are accepted"
    return None


@contextmanager
def _unpacked(archive: Path, member: zipfile.ZipInfo, suffix: str) -> Iterator[Path]:
    """A member as a file of its own, while the context lasts.

    Raises
    ------
    UnreadableMediaError
        If it cannot be unpacked.
    """
    with TemporaryDirectory(prefix="soundalike-") as folder:
        path = Path(folder, f"member{suffix}")
        try:
            with zipfile.ZipFile(archive) as opened, opened.open(member) as packed, path.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked)
        except _UNREADABLE as error:
            raise UnreadableMediaError(f"{archive}/{member.filename}", f"cannot be unpacked: {error}") from error
        yield path
