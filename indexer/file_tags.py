"""Title, artist, album, year and genre, and what registers know a recording by, from the file's own tags.

ID3, Vorbis comments, MP4, APE and ASF through mutagen, whatever file they stand in; what other containers say comes
from who demuxes them. Of several artists and genres all are kept, joined by `retrieval.catalog.conditions.SEPARATOR`.
"""

import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import mutagen

from retrieval.catalog.conditions import MANY, SEPARATOR

logger = logging.getLogger(__name__)

# By what mutagen's easy interfaces call them; behind these, as bare ID3 frames, MP4 atoms and ASF attributes.
_NAMES = {
    "title": ("title", "TIT2", "\xa9nam", "Title"),
    "artist": ("artist", "artists", "TPE1", "\xa9ART", "Author", "WM/Author", "albumartist", "TPE2", "aART"),
    "album": ("album", "TALB", "\xa9alb", "WM/AlbumTitle"),
    "genre": ("genre", "TCON", "\xa9gen", "WM/Genre"),
    "date": (
        *("date", "year", "originaldate", "originalyear", "TDRC", "TYER", "TDRL", "TDOR", "TORY", "\xa9day"),
        *("WM/Year", "WM/OriginalReleaseYear", "Year"),
    ),
}
_IDS = {
    "isrc": ("isrc", "TSRC", "----:com.apple.iTunes:ISRC", "WM/ISRC"),
    "recording": (
        *("musicbrainz_trackid", "UFID:http://musicbrainz.org", "MusicBrainz/Track Id"),
        "----:com.apple.iTunes:MusicBrainz Track Id",
    ),
    "release": (
        *("musicbrainz_albumid", "TXXX:MusicBrainz Album Id", "MusicBrainz/Album Id"),
        "----:com.apple.iTunes:MusicBrainz Album Id",
    ),
    "artist": (
        *("musicbrainz_artistid", "TXXX:MusicBrainz Artist Id", "MusicBrainz/Artist Id"),
        "----:com.apple.iTunes:MusicBrainz Artist Id",
    ),
}
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}\d{7}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_YEAR = re.compile(r"(?<!\d)(1[89]\d\d|2[01]\d\d)(?!\d)")
_COMPACT = re.compile(r"(?<!\d)(1[89]\d\d|2[01]\d\d)(?:0[0-9]|1[0-2])(?:[0-2]\d|3[01])(?!\d)")
_MOST_VALUES = 100
_MOST_LETTERS = 4_096
_SPLIT = re.compile(r"\s*;\s+|\s*\0\s*")


@dataclass(frozen=True)
class FileTags:
    """What a file says of itself; none where it says nothing.

    Attributes
    ----------
    artist, genre : of several, all, joined by ``; ``
    metadata : ``isrc``, and under ``musicbrainz`` the ids of ``recording``, ``release`` and ``artist``: texts, or of
        several a list of these
    """

    title: str | None = None
    artist: str | None = None
    album: str | None = None
    genre: str | None = None
    year: int | None = None
    metadata: Mapping[str, Any] | None = None

    def or_else(self, others: Self) -> Self:
        """These; what they leave open is taken from the others."""
        taken = asdict(others)
        return type(self)(**{name: taken[name] if value is None else value for name, value in asdict(self).items()})


def read_file_tags(path: Path) -> FileTags:
    """Read a file's tags; damaged ones are as good as none, since the audio is what counts."""
    try:
        opened, bare = mutagen.File(path, easy=True), None
        if opened is not None and opened.tags is not None and type(opened.tags).__name__.startswith("Easy"):
            bare = mutagen.File(path).tags  # where ids stand that have no easy name
    except (mutagen.MutagenError, OSError, ValueError, KeyError, TypeError, IndexError) as error:
        logger.debug("%s: unreadable tags: %s", path, error)
        return FileTags()
    kept = [tags for tags in (None if opened is None else opened.tags, bare) if tags is not None]
    raw: dict[str, object] = {name: _first(kept, names) for name, names in _NAMES.items()}
    ids = {name: list(_values(kept, names)) for name, names in _IDS.items()}
    return tags_from(raw, _metadata(ids))


def tags_from(raw: Mapping[str, object], metadata: Mapping[str, Any] | None = None) -> FileTags:
    """Tags from what stands under `title`, `artist`, `album`, `genre` and `date`, whatever else is there.

    Parameters
    ----------
    raw : texts or numbers, or tuples of texts
    """
    text = {name: _joined(raw.get(name), several=name in MANY) for name in _NAMES}
    year = None if (date := text.pop("date")) is None else year_of(date)
    return FileTags(**text, year=year, metadata=metadata)


def tags_of_comments(comments: Mapping[str, str]) -> FileTags:
    """Tags from what a container says, by FFmpeg's names in lower case."""
    raw = {
        name: next((text for one in names if (text := comments.get(one.lower()))), None)
        for name, names in _NAMES.items()
    }
    found = {name: [text for one in names if (text := comments.get(one.lower()))] for name, names in _IDS.items()}
    return tags_from(raw, _metadata(found))


def year_of(date: str) -> int | None:
    """The first year, 1800 to 2199, that a date of any form names; also of ``20200131``."""
    found = _YEAR.search(date) or _COMPACT.search(date)
    return int(found[1]) if found else None


def _joined(value: object, *, several: bool) -> str | None:
    given = value if isinstance(value, tuple) else (value,)
    texts = [text for one in given if (text := _clean(one))]
    if not several:
        return texts[0].split("\0")[0].strip() or None if texts else None  # behind a NUL lies padding
    parts = [part for text in texts for part in _SPLIT.split(text) if part]
    joined, length = list[str](), 0
    for part in dict.fromkeys(parts):
        length += len(part) + len(SEPARATOR)
        if len(joined) == _MOST_VALUES or (joined and length > _MOST_LETTERS):
            break
        joined.append(part)
    return SEPARATOR.join(joined) or None


def _metadata(ids: Mapping[str, Iterable[str]]) -> dict[str, Any] | None:
    """What of the ids is well-formed, as it is stored; none where nothing is."""
    codes = [code for text in ids["isrc"] if _ISRC.fullmatch(code := re.sub(r"[\s-]", "", text).upper())]
    musicbrainz = {}
    for kind in ("recording", "release", "artist"):
        named = [name.lower() for text in ids[kind] for name in re.split(r"[\s;/,\0]+", text)]
        if found := list(dict.fromkeys(name for name in named if _UUID.fullmatch(name))):
            musicbrainz[kind] = found[0] if len(found) == 1 else found[:_MOST_VALUES]
    kept: dict[str, Any] = {"isrc": codes[0]} if codes else {}
    return (kept | ({"musicbrainz": musicbrainz} if musicbrainz else {})) or None


def _first(kept: Iterable[Mapping[str, Any]], names: tuple[str, ...]) -> tuple[str, ...]:
    """The values under the first of the names that holds any."""
    for tags in kept:
        for name in names:
            if found := tuple(_values([tags], (name,))):
                return found
    return ()


def _values(kept: Iterable[Mapping[str, Any]], names: tuple[str, ...]) -> Iterator[str]:
    """All texts under any of the names."""
    for tags in kept:
        for name in names:
            try:
                found = tags.get(name)
            except (KeyError, ValueError, TypeError):  # a container that refuses foreign names
                continue
            yield from (text for one in _listed(found) if (text := _text_of(one)))


def _listed(found: Any) -> list[Any]:
    """The values of a tag: of a list, of a frame of ID3, or itself."""
    if found is None:
        return []
    if isinstance(found, list | tuple):
        return list(found)[:_MOST_VALUES]
    for name in ("genres", "text", "data"):  # genres: frames hold numbers, too, which it names
        value = getattr(found, name, None)
        if isinstance(value, list):
            return value[:_MOST_VALUES]
        if isinstance(value, bytes):
            return [value]
    return [found]


def _text_of(value: Any) -> str:
    if isinstance(value, bytes):
        return bytes(value).decode(errors="replace").strip("\0 ")
    return str(getattr(value, "value", value))[: _MOST_LETTERS * 2]


def _clean(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    # PostgreSQL's text holds no NUL, and half a pair is no character.
    text = str(value).strip("\0\ufeff ").strip()
    return text.encode(errors="replace").decode()[:_MOST_LETTERS] or None
