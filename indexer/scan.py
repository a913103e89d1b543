"""Find the audio files under a folder, in a fixed order, each with the key it will have in the catalogue.

Links are followed. What is reached by several names comes in once, by the one that is no link if it has one here.
"""

import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG

from encoders.media.kinds import AUDIO_SUFFIXES, HEAD_BYTES, looks_like_media
from indexer.errors import ScanError
from indexer.file_tags import FileTags

OnSkip = Callable[[str, str], None]
OnLink = Callable[[Path], None]

NOT_MUSIC = "not music"
UNDECODABLE = "music that cannot be decoded (notes or samples for a player of its own)"
THROWN_AWAY = "thrown away, or a system's own"
COMPANION = "what macOS keeps beside a file"
REACHED_BEFORE = "reached by another name"
NO_FILE = "no file: a device, a pipe or a socket"

_UNDECODABLE = frozenset(
    (
        *(".mid", ".midi", ".kar", ".mod", ".xm", ".s3m", ".it", ".sid", ".nsf", ".spc", ".vgm", ".gbs"),
        *(".musicxml", ".mxl", ".m4p", ".aax", ".aa"),
    )
)
# Programs, plans and documents have these as well.
_AMBIGUOUS = frozenset((".ts", ".mts", ".mpp", ".mac", ".mlp", ".voc", ".ra", ".rm", ".omg", ".qt", ".snd"))
_SYSTEM_FOLDERS = frozenset(
    (
        *(".trash", ".trashes", "$recycle.bin", "#recycle", "@eadir", "__macosx", "lost+found"),
        *(".appledouble", ".spotlight-v100", ".fseventsd", "system volume information"),
    )
)
_KERNELS = frozenset(("/proc", "/sys", "/dev"))  # a link to / leads here; some of these files never end
_LARGEST = 2**63 - 1


@dataclass(frozen=True)
class ScannedFile:
    """One audio file; an unchanged (`size_bytes`, `modified_ns`, `changed_ns`) means unchanged audio.

    Attributes
    ----------
    path : absolute, without links
    changed_ns : when the file, or its name, rights or place, changed; none where nobody looked
    said : tags that stand above those of the file
    content_hash : of what has to be in it, where nothing else will do
    named : whether it was asked for by its own name
    """

    path: Path
    key: str
    size_bytes: int
    modified_ns: int
    changed_ns: int | None = None
    said: FileTags = field(default_factory=FileTags)
    content_hash: str | None = None
    named: bool = False

    @property
    def uri(self) -> str:
        """The absolute path, as it is stored."""
        return str(self.path)


def scan(
    root: Path,
    *,
    key_prefix: str | None = None,
    on_error: Callable[[str, str], None],
    on_skip: OnSkip = lambda uri, reason: None,
    on_link: OnLink = lambda folder: None,
) -> list[ScannedFile]:
    """All audio files under `root`, ordered by path.

    Files with other suffixes, or none, are looked into.

    Parameters
    ----------
    root : a folder, or one audio file
    key_prefix : what keys begin with, by default the folder's own name, ``Music/Artist/01 Song.mp3``, and of one file
        nothing
    on_error : called with (uri, reason) for whatever cannot be listed
    on_skip : called with (uri, reason) for whatever is left out
    on_link : called with every folder that a link leads to

    Raises
    ------
    ScanError
        If `root` does not exist or holds no audio file.
    """
    files = find_files(
        root,
        AUDIO_SUFFIXES,
        key_prefix=key_prefix,
        on_error=on_error,
        on_skip=on_skip,
        on_link=on_link,
        probe=True,
    )
    if not files:
        raise ScanError(f"{absolute(root)}: no audio file in it (accepted: {' '.join(sorted(AUDIO_SUFFIXES))})")
    return files


def find_files(
    root: Path,
    suffixes: Collection[str],
    *,
    key_prefix: str | None,
    on_error: Callable[[str, str], None],
    on_skip: OnSkip = lambda uri, reason: None,
    on_link: OnLink = lambda folder: None,
    probe: bool = False,
    follow: bool = True,
) -> list[ScannedFile]:
    """As :func:`scan`, for other suffixes (in lower case), and nothing found is no error.

    Parameters
    ----------
    probe : whether a file of another suffix comes in, too, if it begins as media do
    follow : whether links to folders are followed; if not, a file may come in by several names
    """
    root = absolute(root)
    if not root.exists():
        raise ScanError(f"{root}: no such file or folder")
    prefix = root.name if key_prefix is None else key_prefix.strip("/")
    alone = f"{prefix}/{root.name}" if key_prefix is not None else root.name
    if root.is_file():
        walked = iter([root])
    else:
        walked = (
            path
            for path in _walk(root, on_error, on_skip, on_link if follow else None)
            if _is_wanted(path, suffixes, on_error, on_skip, probe)
        )
    found: dict[Path, ScannedFile] = {}
    for path in walked:
        relative = alone if path == root else f"{prefix}/{path.relative_to(root).as_posix()}"
        try:
            relative.encode()
            real = path.resolve()
            stat = real.stat()
        except UnicodeEncodeError:
            on_error(os.fsencode(path).decode(errors="backslashreplace"), "the file's name is not UTF-8: rename it")
        except (OSError, RuntimeError) as error:  # the latter of links that lead to themselves
            on_error(str(path), str(getattr(error, "strerror", None) or "the link leads to itself"))
        else:
            place = real if follow else path
            if not S_ISREG(stat.st_mode) or place in found:
                on_skip(str(path), REACHED_BEFORE if place in found else NO_FILE)
                continue
            modified_ns, changed_ns = (max(-_LARGEST, min(ns, _LARGEST)) for ns in (stat.st_mtime_ns, stat.st_ctime_ns))
            key = relative.lstrip("/")
            found[place] = ScannedFile(real, key, stat.st_size, modified_ns, changed_ns, named=path == root)
    return sorted(found.values(), key=lambda file: file.key.split("/"))


def absolute(path: Path) -> Path:
    """A path from the root on, without ``~``, ``.`` and ``..``; links stay, whose names users know."""
    return Path(os.path.normpath(path.expanduser().absolute()))


def _walk(root: Path, on_error: Callable[[str, str], None], on_skip: OnSkip, on_link: OnLink | None) -> Iterator[Path]:
    """All files under a folder; what is linked to comes after what is there, so that this has its own name."""

    def failed(error: OSError) -> None:
        on_error(str(error.filename), str(error.strerror))

    visited: set[tuple[int, int]] = set()
    links = [root]
    while links:
        top = links.pop(0)
        if top != root and on_link is not None:
            on_link(top.resolve())
        for folder, subfolders, names in os.walk(top, onerror=failed):
            if not _is_new(Path(folder), visited, on_skip):
                subfolders.clear()
                continue
            inside, linked = [], []
            for name in sorted(subfolders):
                path = Path(folder, name)
                if name.lower() in _SYSTEM_FOLDERS or name.lower().startswith(".trash-"):
                    on_skip(str(path), THROWN_AWAY)
                elif str(path.resolve()) in _KERNELS:
                    on_skip(str(path), NO_FILE)
                elif path.is_symlink():
                    linked += [path] if on_link is not None else []
                else:
                    inside.append(name)
            subfolders[:] = inside
            links += linked
            files = [Path(folder, name) for name in sorted(names)]
            yield from (path for path in files if not path.is_symlink())
            links += [path for path in files if path.is_symlink()]
        while links and not os.path.isdir(links[0]):
            yield links.pop(0)


def _is_new(folder: Path, visited: set[tuple[int, int]], on_skip: OnSkip) -> bool:
    try:
        stat = folder.stat()
    except OSError:
        return True  # to list it fails as well, and is told
    if (stat.st_dev, stat.st_ino) in visited:
        on_skip(str(folder), REACHED_BEFORE)
        return False
    visited.add((stat.st_dev, stat.st_ino))
    return True


def _is_wanted(
    path: Path, suffixes: Collection[str], on_error: Callable[[str, str], None], on_skip: OnSkip, probe: bool
) -> bool:
    suffix = path.suffix.lower()
    if path.name.startswith("._"):
        on_skip(str(path), COMPANION)
        return False
    if suffix in suffixes and not (probe and suffix in _AMBIGUOUS):
        return True
    if not probe:
        return False
    if suffix in _UNDECODABLE:
        on_skip(str(path), UNDECODABLE)
        return False
    if not path.is_file():
        on_skip(str(path), NOT_MUSIC if path.is_symlink() else NO_FILE)
        return False
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
    except OSError as error:
        on_skip(str(path), f"cannot be looked into: {(error.strerror or str(error)).lower()}")
        return False
    if looks_like_media(head):
        return True
    on_skip(str(path), NOT_MUSIC)
    return False
