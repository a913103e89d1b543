"""Clips made for tests: what is in them is known."""

from __future__ import annotations

import io
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray


def texture(seed: int, *, height: int = 120, width: int = 160) -> NDArray[np.uint8]:
    """A picture of coarse coloured blocks."""
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 256, (height // 20, width // 20, 3), np.uint8), np.ones((20, 20, 1), np.uint8))


def plain(*rgb: int, height: int = 120, width: int = 160) -> NDArray[np.uint8]:
    """A picture of one colour."""
    return np.full((height, width, 3), rgb, np.uint8)


def clip(
    pictures: Iterable[NDArray[Any]],
    *,
    rate: int = 25,
    codec: str = "libx264",
    container: str = "mp4",
    pixels: str = "yuv420p",
    source_pixels: str = "rgb24",
    ticks: Sequence[int] | None = None,
    sound: bool = False,
    tags: dict[str, int] | None = None,
    options: dict[str, str] | None = None,
) -> bytes:
    """Encode pictures, [height, width, 3] each, at `rate`; `ticks` are their times in frames where they are uneven."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as output:
        stream = output.add_stream(
            codec, rate=rate, options=({"preset": "ultrafast"} if "x26" in codec else {}) | (options or {})
        )
        audio = output.add_stream("aac", rate=16_000) if sound else None
        stream.pix_fmt = pixels
        stream.codec_context.thread_count = 1
        for key, value in (tags or {}).items():
            setattr(stream.codec_context, key, value)
        for index, picture in enumerate(pictures):
            if not index:
                stream.height, stream.width = picture.shape[:2]
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), source_pixels)
            if pixels != source_pixels:
                frame = frame.reformat(format=pixels, threads=1)
            frame.pts = ticks[index] if ticks else index
            frame.time_base = Fraction(1, rate)
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
        if audio:
            silence = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), "fltp", "mono")
            silence.sample_rate = 16_000
            output.mux(audio.encode(silence))
            output.mux(audio.encode(None))
    return buffer.getvalue()


def picture(pixels: NDArray[np.uint8], codec: str = "png", pixel_format: str = "rgb24") -> bytes:
    """Encode one picture as a file of its own."""
    coder = av.CodecContext.create(codec, "w")
    coder.height, coder.width = pixels.shape[:2]
    coder.pix_fmt, coder.time_base = pixel_format, Fraction(1, 25)
    frame = av.VideoFrame.from_ndarray(pixels, "rgb24").reformat(format=pixel_format)
    frame.pts = 0
    return b"".join(bytes(packet) for packet in [*coder.encode(frame), *coder.encode(None)])


def turned(mp4: bytes) -> bytes:
    """The same MP4 with the display matrix of a telephone held upright: shown turned clockwise by 90°."""
    matrix = mp4.index(b"tkhd") + 4 + 40
    numbers = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    return mp4[:matrix] + b"".join(number.to_bytes(4, "big", signed=True) for number in numbers) + mp4[matrix + 36 :]
