"""What lies beside the music and names it, where the audio files say nothing of themselves.

- ``album.json`` (Warzone 2100): an album's title, author and date; each track's filename, title and author.
- ``song.ini`` (Frets on Fire and the games after it): name and artist of the one song whose stems share the folder.
- ``*.music`` (SuperTuxKart, XML): a track's title, composer and file.

A damaged file, and one of another kind under such a name, is as good as none.
"""

from __future__ import annotations

import json
import logging
from configparser import ConfigParser
from configparser import Error as IniError
from functools import lru_cache
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from indexer.file_tags import FileTags, read_file_tags, tags_from

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

logger = logging.getLogger(__name__)

_MAX_BYTES = 2**20
_EVERY_FILE = ""


def read_track_tags(path: Path, container: Callable[[], FileTags] = FileTags) -> FileTags:
    """A file's own tags; what they leave open is taken from the files beside it.

    Parameters
    ----------
    container : what else says what the file's container does, where no title, artist or album is found in it
    """
    file_tags = read_file_tags(path)
    if not (file_tags.title or file_tags.artist or file_tags.album):
        file_tags = file_tags.or_else(container())
    try:
        named = _names_in(path.parent, path.parent.stat().st_mtime_ns)
    except OSError as error:
        logger.debug("%s: cannot be listed: %s", path.parent, error)
        return file_tags
    return file_tags.or_else(named.get(path.name) or named.get(_EVERY_FILE) or FileTags())


def sidecars_in(folder: Path) -> list[Path]:
    """The files of a folder that may name its music, ordered by name."""
    return sorted(path for path in folder.iterdir() if _reader(path) and path.is_file())


@lru_cache(maxsize=64)
def _names_in(folder: Path, modified_ns: int) -> Mapping[str, FileTags]:
    """Tags by file name, read once for as long as the folder stays as it was at `modified_ns`."""
    named: dict[str, FileTags] = {}
    for sidecar in sidecars_in(folder):
        reader = _reader(sidecar)
        try:
            named |= reader(_text(sidecar)) if reader else {}
        except (OSError, ValueError, RecursionError, ElementTree.ParseError, IniError) as error:
            logger.debug("%s: names no music: %s", sidecar, error)
    return named


def _reader(sidecar: Path) -> Callable[[str], dict[str, FileTags]] | None:
    if sidecar.suffix.lower() == ".music":
        return _track_of_music
    return {"album.json": _tracks_of_album, "song.ini": _song_of_ini}.get(sidecar.name.lower())


def _text(sidecar: Path) -> str:
    with sidecar.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"more than {_MAX_BYTES} bytes")
    return content.decode("utf-8-sig")


def _tracks_of_album(text: str) -> dict[str, FileTags]:
    album = json.loads(text)
    if not isinstance(album, dict) or not isinstance(tracks := album.get("tracks"), list):
        raise ValueError("no object with a list of tracks")
    return {
        track["filename"]: tags_from(
            {
                "title": track.get("title"),
                "artist": track.get("author") or album.get("author"),
                "album": album.get("title"),
                "date": album.get("date"),
            }
        )
        for track in tracks
        if isinstance(track, dict) and isinstance(track.get("filename"), str)
    }


def _song_of_ini(text: str) -> dict[str, FileTags]:
    parser = ConfigParser(interpolation=None, strict=False)
    parser.read_string(text)
    sections = {name.lower(): parser[name] for name in parser.sections()}
    if "song" not in sections:
        raise ValueError("no section [song]")
    song = sections["song"]
    return {_EVERY_FILE: tags_from({**song, "title": song.get("name"), "date": song.get("year")})}


def _track_of_music(text: str) -> dict[str, FileTags]:
    # Entities are declared in a document type, and they can grow without bound.
    if "<!DOCTYPE" in text:
        raise ValueError("a document type is not accepted")
    music = ElementTree.fromstring(text)
    file = music.get("file")
    if music.tag != "music" or not file:
        raise ValueError("no <music file=…>")
    return {file: tags_from({"title": music.get("title"), "artist": music.get("composer")})}
