"""Ogg's pages (RFC 3533): where a chained file's links begin, and whether its end is there.

A file may hold streams one after the other, links of a chain, as those of internet radio do. Each link begins with
pages that begin streams, and may have a codec, a rate and channels of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from encoders.media.files.content import Content

MAGIC = b"OggS"
_HEAD = 27  # bytes before the table of segments
_MOST_HEAD = _HEAD + 255
_BEGINS, _ENDS = 2, 4
_SEARCHED_AT_ONCE = 1 << 16
_AUDIO = (b"\x01vorbis", b"OpusHead", b"Speex   ", b"\x7fFLAC", b"fLaC")


@dataclass(frozen=True)
class Links:
    """The links of a file.

    Attributes
    ----------
    parts : first byte and end of each
    has_end : whether the last audio stream's last page marks its end; true where no such stream is known
    """

    parts: list[tuple[int, int]]
    has_end: bool


def links_of(content: Content) -> Links:
    """The links of an Ogg file, found by its pages' heads alone."""
    starts: list[int] = []
    ended: dict[bytes, bool] = {}  # whether the last page of each audio stream of the last link was its end
    is_begun = False
    place = 0
    while (place := _page_at(content, place)) < content.size:
        head = content.at(place, _MOST_HEAD + len(_AUDIO[0]) + 1)
        body = place + _HEAD + head[26]
        end = body + sum(head[_HEAD : _HEAD + head[26]])
        if end > content.size:  # the page is cut, if not by the end, by a link that begins within what it should hold
            place += len(MAGIC)
            continue
        serial = head[14:18]
        if head[5] & _BEGINS:
            if not is_begun:
                starts.append(place)
                ended.clear()
            if head[_HEAD + head[26] :].startswith(_AUDIO):
                ended[serial] = False
        if serial in ended:
            ended[serial] = bool(head[5] & _ENDS)
        is_begun = bool(head[5] & _BEGINS)
        place = end if _is_page(content.at(end, _HEAD)) else place + len(MAGIC)
    ends = [*starts[1:], content.size]
    return Links(list(zip(starts, ends, strict=True)) if starts else [], all(ended.values()))


def _page_at(content: Content, place: int) -> int:
    """Where the next page begins, here or behind what is none; the content's end where there is none."""
    if _is_page(content.at(place, _HEAD)):
        return place
    while chunk := content.at(place, _SEARCHED_AT_ONCE):
        found = chunk.find(MAGIC)
        if found < 0:
            place += max(1, len(chunk) - len(MAGIC) + 1)
        elif _is_page(content.at(place + found, _HEAD)):
            return place + found
        else:
            place += found + 1
    return content.size


def _is_page(head: bytes) -> bool:
    return len(head) == _HEAD and head.startswith(MAGIC + b"\0")
