"""Find the audio files under a folder, in a fixed order, each with the key it will have in the catalogue."""

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from indexer.errors import ScanError
from indexer.file_tags import FileTags

AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("aac", "aif", "aifc", "aiff", "flac", "m4a", "m4b", "mka", "mp2", "mp3", "mp4", "mpc"),
        *("oga", "ogg", "opus", "wav", "webm", "wma", "wv"),
    )
)


@dataclass(frozen=True)
class ScannedFile:
    """One audio file; an unchanged (`size_bytes`, `modified_ns`) means unchanged audio.

    Attributes
    ----------
    said : tags that stand above those of the file
    content_hash : of what has to be in it, where nothing else will do
    """

    path: Path
    key: str
    size_bytes: int
    modified_ns: int
    said: FileTags = field(default_factory=FileTags)
    content_hash: str | None = None

    @property
    def uri(self) -> str:
        """The absolute path, as it is stored."""
        return str(self.path)


def scan(root: Path, *, key_prefix: str | None = None, on_error: Callable[[str, str], None]) -> list[ScannedFile]:
    """All audio files under `root`, ordered by path. Hidden files and folders are left out.

    Parameters
    ----------
    root : a folder, or one audio file
    key_prefix : what keys begin with, by default the folder's own name: ``Music/Artist/01 Song.mp3``
    on_error : called with (uri, reason) for whatever cannot be listed

    Raises
    ------
    ScanError
        If `root` does not exist or holds no audio file.
    """
    files = find_files(root, AUDIO_SUFFIXES, key_prefix=key_prefix, on_error=on_error)
    if not files:
        raise ScanError(f"{root.absolute()}: no audio file in it (accepted: {' '.join(sorted(AUDIO_SUFFIXES))})")
    return files


def find_files(
    root: Path, suffixes: Collection[str], *, key_prefix: str | None, on_error: Callable[[str, str], None]
) -> list[ScannedFile]:
    """As :func:`scan`, for other suffixes (in lower case), and nothing found is no error."""
    root = root.expanduser().absolute()
    if not root.exists():
        raise ScanError(f"{root}: no such file or folder")
    prefix = root.name if key_prefix is None else key_prefix.strip("/")
    files = []
    for path in [root] if root.is_file() else _walk(root, suffixes, on_error):
        relative = path.name if path == root else f"{prefix}/{path.relative_to(root).as_posix()}"
        try:
            relative.encode()
            stat = path.stat()
        except UnicodeEncodeError:
            on_error(os.fsencode(path).decode(errors="backslashreplace"), "the file's name is not UTF-8: rename it")
        except OSError as error:
            on_error(str(path), str(error.strerror))
        else:
            files.append(ScannedFile(path, relative.lstrip("/"), stat.st_size, stat.st_mtime_ns))
    return files


def _walk(root: Path, suffixes: Collection[str], on_error: Callable[[str, str], None]) -> Iterator[Path]:
    def failed(error: OSError) -> None:
        on_error(str(error.filename), str(error.strerror))

    for folder, subfolders, names in os.walk(root, onerror=failed):
        subfolders[:] = sorted(name for name in subfolders if not name.startswith("."))
        for name in sorted(names):
            path = Path(folder, name)
            if path.suffix.lower() in suffixes and not name.startswith("."):
                yield path
