"""Tags of Matroska and WebM (RFC 9559, section 5.1.8): FFmpeg keeps the last of several values of a name, here are all.

An element is an id, a length, both of one to eight bytes, and as many bytes. Tags stand before or behind the clusters,
which are passed over; a file that does not say how long its clusters are was recorded live, and has none behind them.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

_EBML, _SEGMENT, _TAGS = 0x1A45DFA3, 0x18538067, 0x1254C367
_TAG, _TARGETS, _LEVEL, _SIMPLE, _NAME, _TEXT = 0x7373, 0x63C0, 0x68CA, 0x67C8, 0x45A3, 0x4487
_OF_OTHERS = (0x63C4, 0x63C6, 0x63C9)  # of a chapter, an attachment, an edition
_ALBUM = 50  # TargetTypeValue: of the album, and what a file says that names no other
_OF_ALBUM = {"title": "album", "artist": "albumartist"}
_MOST_BYTES = 1 << 20
_LONGEST = 1 << 48
_MOST_ELEMENTS = 100_000


def values(file: BinaryIO) -> dict[str, list[str]]:
    """Texts by name, in lower case, in their order; none of what is no Matroska, or is damaged."""
    found: dict[str, list[str]] = {}
    for content in _tags(file):
        for tag in _children(content, _TAG):
            of_album = any(
                int.from_bytes(level, "big") == _ALBUM
                for targets in _children(tag, _TARGETS)
                for level in _children(targets, _LEVEL)
            )
            if any(
                True for targets in _children(tag, _TARGETS) for other in _OF_OTHERS for _ in _children(targets, other)
            ):
                continue
            for simple in _children(tag, _SIMPLE):
                for name in _children(simple, _NAME):
                    key = name.decode(errors="replace").strip("\0").lower()
                    key = _OF_ALBUM.get(key, key) if of_album else key
                    found.setdefault(key, []).extend(
                        text.decode(errors="replace").strip("\0") for text in _children(simple, _TEXT)
                    )
    return found


def _tags(file: BinaryIO) -> Iterator[bytes]:
    """The content of each `Tags` of the first segment."""
    file.seek(0)
    if (head := _element(file)) is None or head[0] != _EBML or head[1] is None:
        return
    file.seek(head[1], 1)
    if (segment := _element(file)) is None or segment[0] != _SEGMENT:
        return
    for _ in range(_MOST_ELEMENTS):
        if (element := _element(file)) is None or (length := element[1]) is None:
            return
        if element[0] == _TAGS and length <= _MOST_BYTES:
            yield file.read(length)
        else:
            file.seek(length, 1)


def _element(file: BinaryIO) -> tuple[int, int | None] | None:
    """The id, and the length, none where it is not said, of what begins here; none where nothing does."""
    kind, length = _number(file, keep=True), _number(file, keep=False)
    if kind is None or length is None:
        return None
    if length[0] != (1 << 7 * length[1]) - 1 and length[0] > _LONGEST:
        return None
    return kind[0], None if length[0] == (1 << 7 * length[1]) - 1 else length[0]


def _number(file: BinaryIO, *, keep: bool) -> tuple[int, int] | None:
    """A number and how many bytes it took; the bit that tells these is kept in ids."""
    first = file.read(1)
    if not first or not first[0]:
        return None
    size = 9 - first[0].bit_length()
    rest = file.read(size - 1)
    if len(rest) < size - 1:
        return None
    return int.from_bytes((first if keep else bytes([first[0] & 0xFF >> size])) + rest, "big"), size


def _children(content: bytes, kind: int) -> Iterator[bytes]:
    """What elements of one kind hold."""
    file = BytesIO(content)
    while (element := _element(file)) is not None and element[1] is not None:
        inner = file.read(element[1])
        if element[0] == kind:
            yield inner
