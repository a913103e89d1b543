"""How much a file says it holds: bytes of its container, or samples of its stream, where its format has a field for it.

What was recorded live says nothing, or something that stands for it: 0, all bits set, or nearly 2 or 4 GiB.

Formats: RIFF/RF64 (EBU Tech 3306), Wave64, AIFF, AU, CAF, DSF, DSDIFF, ISO base media (ISO/IEC 14496-12), Matroska
(RFC 9559), ASF, FLV's onMetaData; the Xing, Info and VBRI headers of MP3 as their writers agree on them, FLAC's
STREAMINFO (RFC 9639), WavPack's blocks.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from encoders.media.files.content import Content

_BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
_MOST_CHUNKS = 10_000
_STANDS_FOR_NONE = 1 << 16  # below 2 and 4 GiB: what writers put down who do not know yet
_TAKEN_FROM_HEADERS = frozenset({"ape", "dsf", "mpc", "mpc8", "tak", "tta"})
_SEARCHED_FOR_FRAME = 1 << 16

Chunk = tuple[bytes, int, int]
"""Name of a chunk, where its content begins, and its size as it says."""


def declared_end(content: Content) -> int | None:
    """Where the file should end at least, in bytes, as its container says; none where it does not say."""
    head = content.at(0, 20)
    for magic, find in _ENDS.items():
        if head.startswith(magic):
            return find(content)
    return _boxes_end(content) if head[4:8] in _BOXES else None


def declared_samples(content: Content) -> int | None:
    """How many samples of each channel the stream says it has; none where it does not say."""
    head = content.at(0, 64)
    if head.startswith(b"fLaC") and head[4] & 0x7F == 0:
        return int.from_bytes(head[21:26], "big") & (1 << 36) - 1 or None
    if head.startswith(b"wvpk"):
        count = int.from_bytes(head[12:16], "little")
        return None if count == 0xFFFFFFFF else count or None
    return _mp3_samples(content)


def is_taken_from_header(container: str) -> bool:
    """Whether FFmpeg takes a stream's length from a field that the format always has."""
    return container in _TAKEN_FROM_HEADERS


def _known(size: int) -> bool:
    """Whether a size of 32 bits is one."""
    return size > 0 and not any(0 <= limit - size <= _STANDS_FOR_NONE for limit in (1 << 31, 1 << 32))


def _chunks(content: Content, place: int, order: str, *, align: int = 2) -> Iterator[Chunk]:
    """Chunks of a name of four bytes and a size of four, one behind the other."""
    for _ in range(_MOST_CHUNKS):
        head = content.at(place, 8)
        if len(head) < 8:
            return
        size = struct.unpack(order + "I", head[4:])[0]
        yield head[:4], place + 8, size
        place += 8 + size + -size % align


def _riff_end(content: Content) -> int | None:
    magic, kind = content.at(0, 4), content.at(8, 4)
    if kind == b"WAVE":
        large = None
        for name, begin, size in _chunks(content, 12, ">" if magic == b"RIFX" else "<"):
            if name == b"ds64":
                large = struct.unpack("<Q", content.at(begin + 8, 8).ljust(8, b"\0"))[0]
            if name == b"data":
                size = large if size == 0xFFFFFFFF and large else size if _known(size) else 0
                return begin + size if size else None
        return None
    end = None  # of an AVI: more than a GiB of it lies in several of these
    for name, begin, size in _chunks(content, 0, "<"):
        if name != b"RIFF" or not _known(size):
            break
        end = begin + size
    return end


def _aiff_end(content: Content) -> int | None:
    for name, begin, size in _chunks(content, 12, ">"):
        if name == b"SSND":
            return begin + size if _known(size) else None
    return None


def _au_end(content: Content) -> int | None:
    begin, size = struct.unpack(">II", content.at(4, 8).ljust(8, b"\0"))
    return begin + size if _known(size) else None


def _w64_end(content: Content) -> int | None:
    place = 40  # behind the file's own chunk, and what it is
    for _ in range(_MOST_CHUNKS):
        head = content.at(place, 24)
        if len(head) < 24:
            return None
        size = int.from_bytes(head[16:], "little")  # with these 24 bytes
        if head.startswith(b"data"):
            return place + size if 24 < size < 1 << 62 else None
        place += max(24, size + -size % 8)
    return None


def _long_chunks_end(place: int, width: int, wanted: bytes, order: str) -> Callable[[Content], int | None]:
    """Of chunks whose size takes eight bytes: CAF, DSDIFF."""

    def find(content: Content) -> int | None:
        here = place
        for _ in range(_MOST_CHUNKS):
            head = content.at(here, 12)
            if len(head) < 12:
                return None
            size = struct.unpack(order + "Q", head[4:])[0]
            if head[:4] == wanted:
                return here + 12 + size if 0 < size < 1 << 62 else None
            here += 12 + size + -size % width
        return None

    return find


def _dsf_end(content: Content) -> int | None:
    size = int.from_bytes(content.at(12, 8), "little")  # of the file; tags may have been taken off
    begin = 28 + int.from_bytes(content.at(32, 8), "little")
    data = int.from_bytes(content.at(begin + 4, 8), "little")
    return begin + data if size and content.at(begin, 4) == b"data" and 12 < data < 1 << 62 else None


def end_of_media(content: Content) -> int:
    """Where what is decoded ends, as far as the container says that something else follows, such as an index."""
    if content.at(4, 4) not in _BOXES:
        return content.size
    boxes = list(_boxes(content))
    if not boxes or boxes[-1][1] < content.size:  # the last one goes up to the end, or what follows is none
        return content.size
    return min(content.size, max((end for kind, end in boxes if kind == b"mdat"), default=content.size))


def _boxes_end(content: Content) -> int | None:
    """The end of the last box that is not left free."""
    return max((end for kind, end in _boxes(content) if kind not in (b"free", b"skip", b"wide")), default=None)


def _boxes(content: Content) -> Iterator[tuple[bytes, int]]:
    """Boxes of ISO base media, the outermost: the name and the end of each."""
    place = 0
    for _ in range(_MOST_CHUNKS):
        head = content.at(place, 16)
        if len(head) < 8:
            return
        size, kind = int.from_bytes(head[:4], "big"), head[4:8]
        if size == 1:
            size = int.from_bytes(head[8:], "big")
        if size < 8 or not kind.isascii():  # 0: up to the end
            return
        place += size
        yield kind, place


def _voc_end(content: Content) -> int | None:
    """The end of the last block; the file ends with a byte that says so."""
    place = int.from_bytes(content.at(20, 2), "little")
    for _ in range(_MOST_CHUNKS):
        head = content.at(place, 4)
        if len(head) < 4 or not head[0]:
            break
        place += 4 + int.from_bytes(head[1:], "little")
    return place or None


def _rm_end(content: Content) -> int | None:
    place = 0
    for _ in range(_MOST_CHUNKS):
        head = content.at(place, 8)
        size = int.from_bytes(head[4:], "big")  # with these 8 bytes
        if len(head) < 8 or size < 8:
            return None
        if head.startswith(b"DATA"):
            return place + size if size > 18 and _known(size) else None
        place += size
    return None


def _number(raw: bytes) -> tuple[int, int]:
    """A number of EBML: its width in bytes and its value, -1 for one that is not known."""
    if not raw or not raw[0]:
        return 0, 0
    width = 9 - raw[0].bit_length()
    value = int.from_bytes(raw[:width], "big") & (1 << 7 * width) - 1
    return width, -1 if value == (1 << 7 * width) - 1 else value


def _matroska_end(content: Content) -> int | None:
    width, size = _number(content.at(4, 8))
    place = 4 + width + size
    if content.at(place, 4) != b"\x18\x53\x80\x67":
        return None
    width, size = _number(content.at(place + 4, 8))
    return place + 4 + width + size if width and size > 0 else None


def _asf_end(content: Content) -> int | None:
    """The end of the data, unless the file says that it was broadcast."""
    place, live = int.from_bytes(content.at(16, 8), "little"), False
    inner = 30
    for _ in range(_MOST_CHUNKS):
        head = content.at(inner, 92)
        if inner >= place or len(head) < 24:
            break
        if head.startswith(b"\xa1\xdc\xab\x8c"):  # file properties
            live = bool(int.from_bytes(head[88:92], "little") & 1)
        inner += max(24, int.from_bytes(head[16:24], "little"))
    head = content.at(place, 24)
    size = int.from_bytes(head[16:], "little")
    return place + size if head.startswith(b"\x36\x26\xb2\x75") and not live and 50 < size < 1 << 62 else None


def _flv_end(content: Content) -> int | None:
    head = content.at(0, 1 << 13)
    found = head.find(b"\0\x08filesize\0")
    raw = head[found + 11 : found + 19]
    size = struct.unpack(">d", raw)[0] if found >= 0 and len(raw) == 8 else 0.0
    return int(size) if 0 < size < 1 << 62 else None


_ENDS: dict[bytes, Callable[[Content], int | None]] = {
    b"RIFF": _riff_end,
    b"RIFX": _riff_end,
    b"RF64": _riff_end,
    b"BW64": _riff_end,
    b"FORM": _aiff_end,
    b".snd": _au_end,
    b"riff": _w64_end,
    b"caff": _long_chunks_end(8, 1, b"data", ">"),
    b"FRM8": _long_chunks_end(16, 2, b"DSD ", ">"),
    b"DSD ": _dsf_end,
    b"\x1a\x45\xdf\xa3": _matroska_end,
    b"\x30\x26\xb2\x75": _asf_end,
    b"FLV": _flv_end,
    b"Creative Voice File": _voc_end,
    b".RMF": _rm_end,
}


def _mp3_samples(content: Content) -> int | None:
    """By the frames that the header of Xing, Info or VBRI counts."""
    place = 0
    while (head := content.at(place, 10)).startswith(b"ID3") and len(head) == 10:
        place += 10 + sum(byte << shift for byte, shift in zip(head[6:], (21, 14, 7, 0), strict=True))
        place += 10 if head[5] & 0x10 else 0
    area = content.at(place, _SEARCHED_FOR_FRAME)
    start = next((at for at in range(len(area) - 200) if area[at] == 0xFF and area[at + 1] & 0xE6 == 0xE2), None)
    if start is None:
        return None
    frame = area[start : start + 200]
    samples = 1152 if frame[1] & 0x08 else 576
    side = ((17 if frame[3] >> 6 == 3 else 32) if frame[1] & 0x08 else (9 if frame[3] >> 6 == 3 else 17)) + 4
    if frame[side : side + 4] in (b"Xing", b"Info") and frame[side + 7] & 1:
        count = int.from_bytes(frame[side + 8 : side + 12], "big")
    elif frame[36:40] == b"VBRI":
        count = int.from_bytes(frame[50:54], "big")
    else:
        return None
    return count * samples if 0 < count < 1 << 31 else None
