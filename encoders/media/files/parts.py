"""Which bytes of a source are one stream of audio: the links of chained Ogg, and a file without the tags at its end.

Formats that are frames alone (MP3, ADTS, AC-3, FLAC, …) have nobody who says where they end: FFmpeg takes an APE tag,
and a cover in it, for damaged audio. So it is not shown to it.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av

from encoders.errors import NoAudioError, UnreadableMediaError
from encoders.media.files.content import Content, Window, media_input
from encoders.media.files.ogg import MAGIC, links_of
from encoders.media.kinds import CONTAINERS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import InputContainer

OPEN_OPTIONS = {"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "file"}
# Of formats that say themselves how long they are, at their begin or four bytes behind it.
_SIZED = (
    b"RIFF",
    b"RIFX",
    b"RF64",
    b"BW64",
    b"FORM",
    b"FRM8",
    b"riff",
    b"caff",
    b".snd",
    b"\x1a\x45\xdf\xa3",
    b"\x30\x26\xb2\x75",
)
_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")


@dataclass(frozen=True)
class Parts:
    """The streams of audio in a source, one behind the other.

    Attributes
    ----------
    spans : first byte and end of each, at least one
    has_end : whether the end is there, as far as the format marks it
    """

    spans: list[tuple[int, int]]
    has_end: bool = True


def parts_of(content: Content) -> Parts:
    """The parts of a source that are to be opened as files of their own."""
    whole = [(0, content.size)]
    head = content.at(0, 8)
    if head.startswith(MAGIC):
        links = links_of(content)
        return Parts(links.parts if len(links.parts) > 1 else whole, links.has_end)
    if head.startswith(_SIZED) or head.endswith(_BOXES):
        return Parts(whole)
    return Parts([(0, end_without_tags(content))])


def end_without_tags(content: Content) -> int:
    """Where the tags at the end begin: ID3v1, APE, Lyrics3 and ID3v2 with a footer, in any order."""
    end = content.size
    while taken := _tag_before(content, end):
        end -= taken
    return end


def _tag_before(content: Content, end: int) -> int:
    """How many bytes the tag takes that ends here; 0 where none does, or where nothing else would be left."""
    tail = content.at(max(0, end - 128), min(128, end))
    size = 0
    if len(tail) == 128 and tail.startswith(b"TAG"):
        is_enhanced = content.at(max(0, end - 128 - 227), 4) == b"TAG+"
        size = 128 + (227 if is_enhanced else 0)
    elif tail[-32:-24] == b"APETAGEX":
        size = int.from_bytes(tail[-20:-16], "little") + (32 if tail[-9] & 0x80 else 0)
    elif tail.endswith(b"LYRICS200") and tail[-15:-9].isdigit():
        size = int(tail[-15:-9]) + 15
    elif tail[-10:-7] == b"3DI":
        size = 20 + sum(byte << shift for byte, shift in zip(tail[-4:], (21, 14, 7, 0), strict=True))
    return size if size < end else 0


@contextmanager
def opened(
    source: Path | bytes, content: Content, span: tuple[int, int], name: str
) -> Iterator[tuple[InputContainer, AudioStream]]:
    """Open a part of a source, and its first audio stream.

    Raises
    ------
    NoAudioError
        If there is no audio stream.
    UnreadableMediaError
        If its coding is not known.
    av.FFmpegError
        If FFmpeg does not open it.
    """
    file = media_input(source, name) if span == (0, content.size) else Window(content, *span, name)
    with av.open(file, mode="r", options=OPEN_OPTIONS) as container:
        if not container.streams.audio:
            raise NoAudioError(name, f"no audio stream in this {container.format.long_name} file")
        stream = container.streams.audio[0]
        if stream.codec_context is None:
            raise UnreadableMediaError(name, "audio in a coding that cannot be decoded")
        yield container, stream


def unreadable(name: str, error: av.FFmpegError) -> UnreadableMediaError:
    """What FFmpeg's error is to a user."""
    # FFmpeg calls a format outside the whitelist an argument error, and a header cut short an end of file.
    if isinstance(error, av.InvalidDataError | av.ArgumentError | av.EOFError):
        return UnreadableMediaError(name, "not a readable audio or video file (unknown, damaged or truncated)")
    return UnreadableMediaError(name, (error.strerror or str(error)).lower())
