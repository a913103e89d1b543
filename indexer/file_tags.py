"""Title, artist, album, year and genre, from the file's own tags (ID3, Vorbis comments, MP4, APE)."""

import logging
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import mutagen

logger = logging.getLogger(__name__)

# WAV and AIFF carry bare ID3 frames, which mutagen does not give easy names.
_NAMES = {
    "title": ("title", "TIT2"),
    "artist": ("artist", "TPE1"),
    "album": ("album", "TALB"),
    "genre": ("genre", "TCON"),
    "date": ("date", "year", "TDRC", "TYER"),
}


@dataclass(frozen=True)
class FileTags:
    """What a file says of itself; none where it says nothing."""

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    genre: str | None = None
    year: int | None = None

    def or_else(self, others: Self) -> Self:
        """These; what they leave open is taken from the others."""
        taken = asdict(others)
        return type(self)(**{name: taken[name] if value is None else value for name, value in asdict(self).items()})


def read_file_tags(path: Path) -> FileTags:
    """Read a file's tags; damaged ones are as good as none, since the audio is what counts."""
    try:
        opened = mutagen.File(path, easy=True)
    except (mutagen.MutagenError, OSError, ValueError) as error:
        logger.debug("%s: unreadable tags: %s", path, error)
        return FileTags()
    tags = {} if opened is None or opened.tags is None else opened.tags
    return tags_from({name: _first(tags, names) for name, names in _NAMES.items()})


def tags_from(raw: Mapping[str, object]) -> FileTags:
    """Tags from the text (or numbers) under `title`, `artist`, `album`, `genre` and `date`, whatever else is there."""
    text = {name: _clean(raw.get(name)) for name in _NAMES}
    year = re.search(r"\b(1[89]|2[01])\d\d\b", text.pop("date") or "")
    return FileTags(**text, year=int(year.group()) if year else None)


def _first(tags: Mapping[str, Any], names: tuple[str, ...]) -> str | None:
    for name in names:
        try:
            values = tags.get(name)
        except (KeyError, ValueError):  # a container that refuses foreign names
            continue
        if values and (value := _clean(str(values[0] if isinstance(values, list) else values))):
            return value
    return None


def _clean(value: object) -> str | None:
    if not isinstance(value, str | int):
        return None
    # PostgreSQL's text holds no NUL, and what lies behind one is padding.
    return str(value).split("\0")[0].strip().encode(errors="replace").decode() or None
