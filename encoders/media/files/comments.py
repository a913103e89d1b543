"""What a container says of its music, by FFmpeg's names: for containers that nothing else reads the tags of."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import av

from encoders.errors import called
from encoders.media.files import matroska
from encoders.media.files.content import media_input
from encoders.media.files.parts import OPEN_OPTIONS, unreadable

if TYPE_CHECKING:
    from pathlib import Path

# Words stand in what a demuxer reads anyway; the sound need not be looked at to find out what it is.
_OPTIONS = OPEN_OPTIONS | {"probesize": str(1 << 17), "analyzeduration": "1000"}
_MOST = 200
_MOST_LETTERS = 4_096


def comments(source: Path | bytes) -> dict[str, str]:
    """Texts by name, in lower case, of the container and of its first stream of audio; NUL stands between several.

    Raises
    ------
    UnreadableMediaError
        If it cannot be opened.
    """
    name = called(source)
    try:
        with av.open(
            media_input(source, name), mode="r", options=_OPTIONS, metadata_errors="surrogateescape"
        ) as container:
            said = [container.metadata, *(stream.metadata for stream in container.streams.audio[:1])]
            several = _of_matroska(source) if container.format.name.startswith("matroska") else {}
    except av.FFmpegError as error:
        raise unreadable(name, error) from error
    texts = {name: "\0".join(values)[:_MOST_LETTERS] for name, values in several.items()}
    for one in said:
        for key, text in list(one.items())[:_MOST]:
            texts.setdefault(_readable(key).lower(), _readable(text)[:_MOST_LETTERS])
    return texts


def _of_matroska(source: Path | bytes) -> dict[str, list[str]]:
    if isinstance(source, bytes):
        return matroska.values(io.BytesIO(source))
    with source.open("rb") as file:
        return matroska.values(file)


def _readable(text: str) -> str:
    """Text that was no UTF-8 is what old programs wrote on most machines: Windows-1252."""
    raw = text.encode(errors="surrogateescape")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")
