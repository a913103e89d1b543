"""Title, artist, album, year and genre, and what registers know a recording by, from the file's own tags.

ID3, Vorbis comments, MP4, APE and ASF through mutagen, whatever file they stand in; what other containers say comes
from who demuxes them. Of several artists and genres all are kept, joined by `retrieval.catalog.conditions.SEPARATOR`.
"""

import logging
import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import mutagen
from mutagen.apev2 import APEv2
from mutagen.id3 import ID3, TCON

from retrieval.catalog.conditions import MANY, SEPARATOR

logger = logging.getLogger(__name__)

# By what mutagen's easy interfaces call them; behind these, as bare ID3 frames, MP4 atoms and ASF attributes.
_NAMES = {
    "title": ("title", "TIT2", "\xa9nam", "Title"),
    "artist": (
        *("artist", "TPE1", "\xa9ART", "Author", "WM/Author"),
        *("albumartist", "album_artist", "TPE2", "aART", "WM/AlbumArtist"),
    ),
    "album": ("album", "TALB", "\xa9alb", "WM/AlbumTitle", "product"),
    "genre": ("genre", "TCON", "\xa9gen", "WM/Genre"),
    "date": (
        *("date", "year", "originaldate", "originalyear", "TDRC", "TYER", "TDRL", "TDOR", "TORY", "\xa9day"),
        *("WM/Year", "WM/OriginalReleaseYear", "date_released", "date_recorded", "recorded date"),
    ),
}
_ARTISTS = ("artists", "TXXX:ARTISTS", "TXXX:Artists", "----:com.apple.iTunes:ARTISTS", "WM/ARTISTS")
_IDS = {
    "isrc": ("isrc", "TSRC", "----:com.apple.iTunes:ISRC", "WM/ISRC"),
    "recording": (
        *("musicbrainz_trackid", "UFID:http://musicbrainz.org", "MusicBrainz/Track Id"),
        *("----:com.apple.iTunes:MusicBrainz Track Id", "MusicBrainz Track Id"),
    ),
    "release": (
        *("musicbrainz_albumid", "TXXX:MusicBrainz Album Id", "MusicBrainz/Album Id"),
        *("----:com.apple.iTunes:MusicBrainz Album Id", "MusicBrainz Album Id"),
    ),
    "artist": (
        *("musicbrainz_artistid", "TXXX:MusicBrainz Artist Id", "MusicBrainz/Artist Id"),
        *("----:com.apple.iTunes:MusicBrainz Artist Id", "MusicBrainz Artist Id"),
    ),
}
_ISRC = re.compile(r"[A-Z]{2}[A-Z0-9]{3}\d{7}")
_UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_YEAR = re.compile(r"(?<!\d)(1[89]\d\d|2[01]\d\d)(?!\d|[ip]\b)")  # 2160p is no year
_COMPACT = re.compile(r"(?<!\d)(1[89]\d\d|2[01]\d\d)(?:0[0-9]|1[0-2])(?:[0-2]\d|3[01])(?:[0-2]\d[0-5]\d[0-5]\d)?(?!\d)")
_MOST_VALUES = 100
_MOST_LETTERS = 4_096
_SPLIT = re.compile(r";\s|;$|\0")
_GENRES = frozenset(name.casefold() for name in TCON.GENRES)
_NUMBERED = re.compile(r"(?:\(\d+\))+.*|\d{1,3}", re.DOTALL)
# What readers of tags stumble over where these are damaged.
_DAMAGED = (
    *(mutagen.MutagenError, OSError, EOFError, MemoryError, struct.error, zlib.error),
    *(ValueError, LookupError, TypeError, AttributeError, ArithmeticError, AssertionError),
)


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
    kept: list[Mapping[str, Any]] = []
    for reader in _READERS:
        try:
            tags = reader(path)
        except _DAMAGED as error:
            logger.debug("%s: unreadable tags: %s", path, error)
            continue
        kept += [] if tags is None else [tags]
        # Where a file's format has no tags of its own, or empty ones, programs put others before or behind it.
        if reader is _bare and any(_first(kept, _NAMES[name]) for name in ("title", "artist", "album")):
            break
    raw: dict[str, object] = {name: _first(kept, names) for name, names in _NAMES.items()}
    raw["date"] = tuple(_values(kept, _NAMES["date"]))
    raw["artists"] = _first(kept, _ARTISTS)
    ids = {name: list(_values(kept, names)) for name, names in _IDS.items()}
    return tags_from(raw, _metadata(ids))


def _of_format(path: Path) -> Any:
    opened = mutagen.File(path, easy=True)
    return None if opened is None else opened.tags


def _bare(path: Path) -> Any:
    """Where that stands which has no easy name."""
    opened = mutagen.File(path)
    return None if opened is None else opened.tags


_READERS: tuple[Callable[[Path], Any], ...] = (_of_format, _bare, ID3, APEv2)


def tags_from(raw: Mapping[str, object], metadata: Mapping[str, Any] | None = None) -> FileTags:
    """Tags from what stands under `title`, `artist`, `album`, `genre` and `date`, whatever else is there.

    Parameters
    ----------
    raw : texts or numbers, or tuples of texts; of several ``artists`` the list stands for what ``artist`` has as words
    """
    text = {name: _joined(raw.get(name), several=name in MANY) for name in _NAMES if name not in ("date", "genre")}
    text["genre"] = _joined(tuple(_genres(raw.get("genre"))), several=True)
    listed = _joined(raw.get("artists"), several=True)
    if listed is not None and (text["artist"] is None or SEPARATOR in listed):
        text["artist"] = listed
    years = (year_of(date) for one in _each(raw.get("date")) if (date := _clean(one)))
    return FileTags(**text, year=next((year for year in years if year is not None), None), metadata=metadata)


def tags_of_comments(comments: Mapping[str, str]) -> FileTags:
    """Tags from what a container says, by FFmpeg's names in lower case."""

    def said(names: Iterable[str]) -> tuple[str, ...]:
        return tuple(text for one in names if (text := comments.get(one.lower())))

    raw: dict[str, object] = {name: said(names)[:1] for name, names in _NAMES.items()}
    raw |= {"date": said(_NAMES["date"]), "artists": said(_ARTISTS)[:1]}
    return tags_from(raw, _metadata({name: said(names) for name, names in _IDS.items()}))


def year_of(date: str) -> int | None:
    """The first year, 1800 to 2199, that a date of any form names; also of ``20200131``."""
    found = _YEAR.search(date) or _COMPACT.search(date)
    return int(found[1]) if found else None


def _each(value: object) -> tuple[object, ...]:
    return value if isinstance(value, tuple) else (value,)


def _joined(value: object, *, several: bool) -> str | None:
    texts = [text for one in _each(value) if (text := _clean(one))]
    if not several:
        return _clean(texts[0].split("\0")[0]) if texts else None  # behind a NUL lies padding
    parts = [part for text in texts for one in _SPLIT.split(text) if (part := _clean(one))]
    joined, length = list[str](), 0
    for part in dict.fromkeys(parts):
        length += len(part) + len(SEPARATOR)
        if len(joined) == _MOST_VALUES or (joined and length > _MOST_LETTERS):
            break
        joined.append(part)
    return SEPARATOR.join(joined) or None


def _genres(value: object) -> Iterator[str]:
    """Genres by their names, which ID3 has numbers for: ``17``, ``(17)(9)``; of ``Rock/Pop`` both."""
    for one in _each(value):
        for part in _SPLIT.split(_clean(one) or ""):
            named = part.split("/")
            if _NUMBERED.fullmatch(part):
                yield from (name for name in _of_number(part) if name != "Unknown")
            elif part.casefold() not in _GENRES and all(name.strip().casefold() in _GENRES for name in named):
                yield from named
            else:
                yield part


def _of_number(genre: str) -> list[str]:
    return list(TCON(text=[genre]).genres)  # type: ignore[no-untyped-call]


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
            except _DAMAGED:  # a container that refuses foreign names, a frame that is none
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
    inner = value if isinstance(value, bytes) else getattr(value, "value", value)
    text = inner.decode(errors="replace") if isinstance(inner, bytes) else str(inner)
    return text[: _MOST_LETTERS * 2].strip("\0 ")


def _clean(value: object) -> str | None:
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    # PostgreSQL's text holds no NUL, and half a pair is no character.
    text = str(value).strip("\0\ufeff ").strip()
    return text[:_MOST_LETTERS].encode(errors="replace").decode().strip() or None
