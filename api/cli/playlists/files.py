"""Playlist files, oldest track first: M3U, PLS, XSPF, and the FILE lines of cue sheets.

Nothing of what a player may have written makes the whole list unreadable: text is UTF-8, UTF-16 or UTF-32 where it says
so, else what each line can be; lines end as on any system. XML is read without its entities, so that no list can grow
by them or name other files.

References
----------
XSPF version 1, https://www.xspf.org/spec. M3U and PLS have none that players keep to.
"""

import codecs
import os
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin
from xml.parsers import expat

MAX_BYTES = 16 * 2**20
# Of a line that is not UTF-8, most common first; one is taken only where what it reads is found.
CODE_PAGES = ("cp1252", "latin-1", "cp1251", "cp1250", "shift_jis", "gb18030", "euc_kr", "cp850", "mac_roman")

# Longest first: the mark of UTF-16 begins that of UTF-32.
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DIRECTIVE = re.compile(
    r"#(EXTM3U(\s|$)|(EXT[A-Z0-9-]*|PLAYLIST|KODIPROP|CURTRACK|UTF-?8|ENCODING)(:|\s*$))", re.IGNORECASE
)
_PLS_FILE = re.compile(r"\s*File(\d{1,9})\s*=(.*)", re.IGNORECASE)
_CUE_FILE = re.compile(r'\s*FILE\s+(?:"(.*)"|(\S.*?))(?:\s+[A-Z0-9]+)?\s*$', re.IGNORECASE)


class PlaylistFileError(Exception):
    """A playlist that cannot be read; names the file and the reason."""


@dataclass(frozen=True)
class Line:
    """One track of a playlist.

    Attributes
    ----------
    number : of the line, from 1
    texts : what it says, first as it is shown; several where its encoding is not known, or a track has several places
    may_be_comment : it begins with ``#``, and is a track only where there is one of that name
    """

    number: int
    texts: tuple[str, ...]
    may_be_comment: bool = False


@dataclass(frozen=True)
class PlaylistFile:
    """A playlist, and what it lists."""

    path: Path
    lines: tuple[Line, ...]


def is_playlist(path: Path) -> bool:
    """Whether a name is that of a playlist."""
    return path.suffix.lower() in _READERS


def read_playlist(path: Path) -> PlaylistFile:
    """Read what a playlist lists.

    Raises
    ------
    PlaylistFileError
        If it cannot be read, or lists nothing.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise PlaylistFileError(f"{path}: {(error.strerror or str(error)).lower()}") from error
    if len(raw) > MAX_BYTES:
        raise PlaylistFileError(f"{path}: is larger than {MAX_BYTES // 2**20} MB, which no playlist is")
    lines = tuple(_READERS[path.suffix.lower()](raw, path))
    if not lines:
        raise PlaylistFileError(f"{path}: lists no track")
    return PlaylistFile(path, lines)


def _m3u(raw: bytes, path: Path) -> Iterator[Line]:
    for number, texts in _lines(raw):
        if texts[0].strip() and not _DIRECTIVE.match(texts[0].strip()):
            yield Line(number, texts, may_be_comment=texts[0].lstrip().startswith("#"))


def _pls(raw: bytes, path: Path) -> Iterator[Line]:
    """In order of the files' numbers, which need not be that of the lines."""
    listed: list[tuple[int, Line]] = []
    for number, texts in _lines(raw):
        matches = [match for match in map(_PLS_FILE.match, texts) if match]
        if matches and matches[0][2].strip():
            listed.append((int(matches[0][1]), Line(number, tuple(match[2] for match in matches))))
    return iter([line for _, line in sorted(listed, key=lambda one: one[0])])


def _cue(raw: bytes, path: Path) -> Iterator[Line]:
    """The files of a cue sheet; of one file with many tracks, the file."""
    for number, texts in _lines(raw):
        matches = [match for match in map(_CUE_FILE.match, texts) if match]
        if matches:
            yield Line(number, tuple(match[1] or match[2] for match in matches))


def _xspf(raw: bytes, path: Path) -> Iterator[Line]:
    reader = _Xspf()
    try:
        reader.parser.Parse(raw, True)
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise PlaylistFileError(f"{path}, line {error.lineno}: is not XML: {reason}") from error
    except (LookupError, ValueError) as error:  # encodings that are none
        raise PlaylistFileError(f"{path}: is not XML: {error}") from error
    except _EntityError as error:
        raise PlaylistFileError(f"{path}, line {error}: declares an entity; accepted: XSPF without entities") from error
    return iter(reader.lines)


class _EntityError(Exception):
    """XML declares an entity."""


class _Xspf:
    """The places of each track, in the order of the list; one without any is named by its title."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self._bases, self._texts = [""], [""]
        self._number, self._title = 0, ""
        self._places: list[str] = []
        self.parser = expat.ParserCreate(namespace_separator=" ")
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self.parser.EntityDeclHandler = self._entity

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        base = attributes.get("http://www.w3.org/XML/1998/namespace base", "")
        self._bases.append(_joined(self._bases[-1], base))
        self._texts.append("")
        if _local(name) == "track":
            self._number, self._places, self._title = self.parser.CurrentLineNumber, [], ""

    def _text(self, text: str) -> None:
        self._texts[-1] += text

    def _end(self, name: str) -> None:
        base, text = self._bases.pop(), self._texts.pop().strip()
        if _local(name) == "location" and text:
            self._places += dict.fromkeys((_joined(base, text), text))
        elif _local(name) == "title":
            self._title = self._title or text
        elif _local(name) == "track":
            self.lines.append(Line(self._number, tuple(self._places) or (self._title,)))

    def _entity(self, *declared: object) -> None:
        raise _EntityError(str(self.parser.CurrentLineNumber))


def _local(name: str) -> str:
    return name.rpartition(" ")[2]


def _joined(base: str, place: str) -> str:
    try:
        return urljoin(base, place) if base else place
    except ValueError:
        return place


_READERS: dict[str, Callable[[bytes, Path], Iterator[Line]]] = {
    ".m3u": _m3u,
    ".m3u8": _m3u,
    ".pls": _pls,
    ".xspf": _xspf,
    ".cue": _cue,
}
SUFFIXES = tuple(_READERS)


def _lines(raw: bytes) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Lines from 1, each as all that it may say.

    Only CR, LF or both end one: names may hold what `str.splitlines` takes for an end as well.
    """
    encoding = _encoding(raw)
    if encoding is not None:
        text = raw.decode(encoding, "replace").removeprefix("\ufeff")
        yield from ((number, (line,)) for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1))
        return
    for number, line in enumerate(re.split(rb"\r\n|\r|\n", raw.removeprefix(codecs.BOM_UTF8)), start=1):
        yield number, _readings(line)


def _encoding(raw: bytes) -> str | None:
    """The encoding of whole text whose characters are of several bytes; none where lines can be read apart."""
    for mark, encoding in _MARKS:
        if raw.startswith(mark):
            return encoding
    head = raw[:256]
    if b"\0" in head:  # without a mark: ASCII characters, which any list has, are half zeros
        return "utf-16-le" if head[1::2].count(0) >= head[::2].count(0) else "utf-16-be"
    return None


def _readings(line: bytes) -> tuple[str, ...]:
    try:
        return (line.decode(),)
    except UnicodeDecodeError:
        pass
    readings = []
    for page in CODE_PAGES:
        try:
            readings.append(line.decode(page))
        except UnicodeDecodeError:
            continue
    return tuple(dict.fromkeys((*readings, os.fsdecode(line))))  # the last: a name on disk, of these very bytes
