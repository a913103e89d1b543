"""What a container says of its music, by FFmpeg's names: for containers that nothing else reads the tags of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av

from encoders.media.files.content import media_input
from encoders.media.files.parts import OPEN_OPTIONS, unreadable

if TYPE_CHECKING:
    from pathlib import Path

_MOST = 200
_MOST_LETTERS = 4_096


def comments(source: Path | bytes) -> dict[str, str]:
    """Texts by name, in lower case, of the container and of its first stream of audio.

    Raises
    ------
    UnreadableMediaError
        If it cannot be opened.
    """
    name = str(source) if not isinstance(source, bytes) else "upload"
    try:
        with av.open(
            media_input(source, name), mode="r", options=OPEN_OPTIONS, metadata_errors="surrogateescape"
        ) as container:
            said = [container.metadata, *(stream.metadata for stream in container.streams.audio[:1])]
    except av.FFmpegError as error:
        raise unreadable(name, error) from error
    texts: dict[str, str] = {}
    for one in said:
        for key, text in list(one.items())[:_MOST]:
            texts.setdefault(_readable(key).lower(), _readable(text)[:_MOST_LETTERS])
    return texts


def _readable(text: str) -> str:
    """Text that was no UTF-8 is what old programs wrote on most machines: Windows-1252."""
    raw = text.encode(errors="surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")
