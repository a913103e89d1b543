"""M3U playlists: a track a line, oldest first; lines that begin with # are comments, as in the extended format.

Read as UTF-8, which `.m3u8` promises. A line is a key of the catalogue, a ``file:`` address, or a path, which counts
from the playlist's own folder.
"""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

SUFFIXES = (".m3u", ".m3u8")


class PlaylistFileError(Exception):
    """A playlist that cannot be read; names the file and the reason."""


@dataclass(frozen=True)
class Entry:
    """One track of a playlist.

    Attributes
    ----------
    name : as it was given: a key, or where a file lies
    path : where the file would lie
    place : where it was given, for errors; empty on the command line itself
    """

    name: str
    path: Path
    place: str = ""


def entries(names: list[str]) -> list[Entry]:
    """The tracks that these names mean: each itself, but a playlist the ones that it lists.

    Raises
    ------
    PlaylistFileError
        If a playlist cannot be read, or lists nothing.
    """
    tracks: list[Entry] = []
    for name in names:
        path = Path(name).expanduser().absolute()
        tracks += _listed(path) if path.suffix.lower() in SUFFIXES else [Entry(name, path)]
    return tracks


def _listed(playlist: Path) -> list[Entry]:
    try:
        lines = playlist.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise PlaylistFileError(f"{playlist}: {(error.strerror or str(error)).lower()}") from error
    except UnicodeDecodeError as error:
        raise PlaylistFileError(f"{playlist}: is not UTF-8 (byte {error.start}): save it as .m3u8") from error
    named = [(number, line.strip()) for number, line in enumerate(lines, start=1)]
    tracks = [(number, name) for number, name in named if name and not name.startswith("#")]
    if not tracks:
        raise PlaylistFileError(f"{playlist}: lists no track")
    return [Entry(name, playlist.parent / _path(name), f"{playlist.name}, line {number}") for number, name in tracks]


def _path(name: str) -> str:
    return unquote(urlsplit(name).path) if name.startswith("file:") else name
