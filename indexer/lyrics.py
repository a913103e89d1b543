"""Lyrics and the language that a file states: from its tags, or from a text of the same name beside it.

- Tags: ID3 (USLT, SYLT), Vorbis comments (LYRICS, UNSYNCEDLYRICS, SYNCEDLYRICS), MP4 (©lyr), APE and ASF.
- ``NAME.lrc``: lyrics with times (https://en.wikipedia.org/wiki/LRC_(file_format)): several stamps a line, stamps of
  words, `offset` in milliseconds (positive: earlier) and `la`. Of lines with one time only the first is sung; those
  after it are translations.
- ``NAME.txt``, where it looks like lyrics: short lines of words, and no statement of a licence.

Lyrics with times are taken before those without. A damaged source is as good as none.
"""

from __future__ import annotations

import hashlib
import logging
import re
from typing import TYPE_CHECKING, Any, Final

import mutagen
from charset_normalizer import from_bytes
from mutagen.id3 import ID3

from encoders.models.language.codes import CODES
from encoders.models.language.identifier import identify
from encoders.models.language.lines import Lyrics, LyricsLine, sung_words

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

logger = logging.getLogger(__name__)

MAX_BYTES: Final = 256 * 2**10
_MAX_LINES: Final = 2000
_TEXT_KEYS: Final = (
    "syncedlyrics", "lyrics", "unsyncedlyrics", "unsynced lyrics", "\xa9lyr", "wm/lyrics", "wm/lyrics_synchronised",
    "----:com.apple.itunes:lyrics", "----:com.apple.itunes:unsyncedlyrics", "txxx:lyrics", "txxx:unsyncedlyrics",
)  # fmt: skip
_LANGUAGE_KEYS: Final = ("language", "tlan", "wm/language", "----:com.apple.itunes:language", "txxx:language")
_CODEPAGES: Final = ["cp1252", "cp1250", "cp1251", "cp1253", "cp1254", "cp932", "cp949", "gb18030", "big5", "euc_jp"]
_LIKE_WESTERN: Final = {
    "cp1250": ["pl", "cs", "sk", "hu", "ro", "hr", "bs", "sr", "sl", "sq"],
    "cp1254": ["tr", "az", "ku"],
}

_STAMP: Final = r"(?:(\d{1,2}):)?(\d{1,3}):(\d{1,2})(?:[.:,](\d{1,3}))?"
_STAMPS: Final = re.compile(rf"\s*\[{_STAMP}\]")
_WORD_STAMP: Final = re.compile(rf"[<\[]{_STAMP}[>\]]")
_LRC_TAG: Final = re.compile(r"\s*\[([A-Za-z#_]+):(.*)\]\s*$")
_SYLT_MILLISECONDS: Final = 2

_FEWEST_LINES: Final = 4
_LONG_LINE: Final = 90
_FIELD: Final = re.compile(r"\s*[\w ]{2,20}[:=]\s*\S")
_NO_LYRICS: Final = re.compile(
    r"licen[cs]e|copyright|creative ?commons|https?://|\b(?:mp3|ogg|flac|wav|kbps|bpm)\b", re.I
)


def read_lyrics(path: Path) -> Lyrics | None:
    """The lyrics of an audio file; none where it has none that can be read."""
    found = [lyrics for lyrics in _sources(path) if any(line.text.strip() for line in lyrics.lines)]
    timed = [lyrics for lyrics in found if any(line.start_s is not None for line in lyrics.lines)]
    return next(iter(timed or found), None)


def read_language(path: Path) -> str | None:
    """The language that a file states of itself, as it is written there; none where it states none."""
    for key, value in _tags(path):
        if key in _LANGUAGE_KEYS:
            stated = str(value).split("\0")[0].strip()
            if stated:
                return stated[:40]
    return None


def lyrics_digest(path: Path) -> str:
    """What tells one content of the files of lyrics beside an audio file from another; empty where there are none.

    A scan sees an audio file's own changes, but not those of a file beside it.
    """
    contents = [content for suffix in (".lrc", ".txt") if (content := _content(path, suffix))]
    return hashlib.sha256(b"\0".join(contents)).hexdigest()[:16] if contents else ""


def parse_lrc(text: str, language: str | None = None) -> Lyrics:
    """Lyrics from LRC; text without any stamps is taken line by line, without times."""
    timed: dict[float, str] = {}
    plain: list[str] = []
    offset_s = 0.0
    for line in text.splitlines()[:_MAX_LINES]:
        tag = _LRC_TAG.match(line)
        if tag and not _STAMPS.match(line):
            key, value = tag[1].lower(), tag[2].strip()
            if key == "offset" and re.fullmatch(r"[+-]?\d{1,6}", value):
                offset_s = int(value) / 1000
            language = value or language if key in {"la", "lang", "language"} else language
            continue
        starts, rest = _leading_stamps(line)
        words = _WORD_STAMP.sub(" ", rest).strip()
        plain.append(words)
        for start in starts:
            timed[start] = timed.get(start) or words
    if not timed:
        return Lyrics(tuple(LyricsLine(line) for line in plain), language)
    lines = sorted((max(start - offset_s, 0.0), words) for start, words in timed.items())
    return Lyrics(tuple(LyricsLine(words, start) for start, words in lines), language)


def _leading_stamps(line: str) -> tuple[list[float], str]:
    starts = []
    while stamp := _STAMPS.match(line):
        hours, minutes, seconds, fraction = stamp.groups()
        starts.append(
            int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds) + (float(f"0.{fraction}") if fraction else 0.0)
        )
        line = line[stamp.end() :]
    return starts, line


def _sources(path: Path) -> Iterator[Lyrics]:
    if content := _content(path, ".lrc"):
        yield parse_lrc(_decoded(content))
    yield from _embedded(path)
    if (content := _content(path, ".txt")) and _looks_like_lyrics(text := _decoded(content)):
        yield parse_lrc(text)


def _embedded(path: Path) -> Iterator[Lyrics]:
    # Of several texts the longest is the one that is sung; others are excerpts and remarks.
    texts: list[tuple[str, str | None]] = []
    for key, value in _tags(path):
        language = _language_of_frame(value)
        if key == "sylt":
            yield Lyrics(_synchronised(value), language)
        elif key == "uslt" or key in _TEXT_KEYS:
            texts.append((str(value)[:MAX_BYTES].replace("\0", "\n"), language))
    for text, language in sorted(texts, key=lambda entry: -len(entry[0])):
        yield parse_lrc(text, language)


def _synchronised(frame: Any) -> tuple[LyricsLine, ...]:
    """Lines of a SYLT frame, whose pieces are lines or syllables; a new line starts with a line break."""
    lines: list[tuple[str, float | None]] = []
    breaks = any("\n" in text for text, _ in frame.text)
    for text, time in frame.text[: 20 * _MAX_LINES]:
        if lines and breaks and not text.startswith(("\n", "\r")):
            lines[-1] = (lines[-1][0] + text, lines[-1][1])
        else:
            lines.append((text, time / 1000 if frame.format == _SYLT_MILLISECONDS else None))
    return tuple(LyricsLine(" ".join(text.split()), start) for text, start in lines[:_MAX_LINES])


def _language_of_frame(frame: object) -> str | None:
    language = getattr(frame, "lang", None)
    return language.strip("\0 ") or None if isinstance(language, str) else None


def _tags(path: Path) -> Iterator[tuple[str, Any]]:
    """Every value of a file's tags with its key in lower case; of ID3, frames with their four letters."""
    try:
        opened = mutagen.File(path)
        tags = None if opened is None else opened.tags
        if tags is None:
            return
        entries = list(tags.items())
    except Exception as error:  # a damaged file may break mutagen anywhere; the sound is what counts
        logger.debug("%s: unreadable tags: %s", path, error)
        return
    for key, values in entries:
        name = str(key).lower()
        if isinstance(tags, ID3) and not name.startswith("txxx:"):
            name = name.split(":")[0]
        if name in {"sylt", "uslt"}:
            yield name, values
        else:
            for value in values if isinstance(values, list) else [values]:
                yield name, value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _content(path: Path, suffix: str) -> bytes:
    """What is in the file of the same name with another ending; empty where there is none, or too much."""
    for ending in (suffix, suffix.upper()):
        try:
            with path.with_suffix(ending).open("rb") as file:
                content = file.read(MAX_BYTES + 1)
        except (OSError, ValueError):
            continue
        if len(content) <= MAX_BYTES:
            return content
        logger.debug("%s: more than %d bytes are no lyrics", path.with_suffix(ending), MAX_BYTES)
    return b""


def _decoded(content: bytes) -> str:
    """Text in UTF-8, in UTF-16 with its mark, or in the code page that it is likeliest written in."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"", "utf-8-sig")):
        if content.startswith(mark):
            try:
                return content.decode(encoding)
            except UnicodeDecodeError:
                continue
    guess = from_bytes(content, cp_isolation=_CODEPAGES).best()
    if guess is None:
        return ""
    if guess.encoding in _LIKE_WESTERN:
        # The pages differ in few letters; that the text is in a language of theirs tells more.
        western = content.decode("cp1252", "replace")
        if CODES[int(identify(western).argmax())] not in _LIKE_WESTERN[guess.encoding]:
            return western
    return str(guess)


def _looks_like_lyrics(text: str) -> bool:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) < _FEWEST_LINES or _NO_LYRICS.search(text):
        return False
    long = sum(len(line) > _LONG_LINE for line in lines)
    fields = sum(bool(_FIELD.match(line)) for line in lines)
    worded = sum(bool(sung_words(line)) for line in lines)
    return long * 10 <= len(lines) and fields * 3 <= len(lines) and worded * 2 >= len(lines)
