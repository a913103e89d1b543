"""Frames out of a video file: which stream, how it is decoded, and what can be decoded of a damaged one."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import av
from av.stream import Disposition

from encoders.errors import NoVideoError, TooLargeError, UnreadableMediaError
from encoders.media.files.content import media_input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from av.container import InputContainer
    from av.video.stream import VideoStream

ACCEPTED = "accepted: video (MP4, MOV, WebM, MKV, AVI, MPEG, GIF and others) and pictures (PNG, JPEG, WebP, BMP, TIFF)"

# Formats that hold media themselves: playlists and patterns of names would make FFmpeg open other files and addresses.
_CONTAINERS = "3gp,asf,avi,flv,matroska,mov,mp4,mpeg,mpegts,mpegvideo,h264,hevc,ogg,webm,y4m,yuv4mpegpipe,gif,apng"
_AUDIO_ALONE = "aac,ac3,aiff,amr,ape,au,caf,dsf,dts,eac3,flac,mp3,mpc,mpc8,tak,tta,w64,wav,wv"
_PICTURES = "png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe"
_OPEN_OPTIONS = {"format_whitelist": f"{_CONTAINERS},{_AUDIO_ALONE},{_PICTURES}", "protocol_whitelist": "file"}
_PICTURE_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"RIFF", b"BM", b"II*\0", b"MM\0*")
_MOST_PICTURE_BYTES = 256 << 20
_LONGEST_SEEK_BACK_S = 1.0
_THREADS = 6  # frames in the making: with as many as cores, these wait for whoever looks at the last one
_THIN_ABOVE = 35.0  # frames a second: faster ones are read without the frames that no other refers to
_THIN_ABOVE_PIXELS = 40e6  # a second, 1080p at 24 and more: so are larger ones, whose decoding takes most of the time
_WIDEST_GAP_S = 0.085  # between frames that are left: two at 24 a second, so that a shot begins one late at most


@dataclass
class Tally:
    """What became of the packets and frames so far."""

    good: int = 0
    damaged: int = 0

    @property
    def intact(self) -> float:
        """Share that is whole; 0 before anything was read."""
        return self.good / max(1, self.good + self.damaged)


def opened(source: Path | bytes, name: str) -> InputContainer:
    """Open a video or picture.

    Raises
    ------
    UnreadableMediaError
        If the file is missing, empty, or of another kind.
    """
    try:
        return av.open(_input(source, name), mode="r", options=_OPEN_OPTIONS)
    except av.FFmpegError as error:
        raise refused(name, error) from error


def refused(name: str, error: av.FFmpegError) -> UnreadableMediaError:
    """What FFmpeg's error is to a user."""
    if isinstance(error, av.InvalidDataError | av.ArgumentError | av.EOFError):
        return UnreadableMediaError(
            name, f"not a readable video or picture (unknown, damaged or truncated); {ACCEPTED}"
        )
    return UnreadableMediaError(name, (error.strerror or str(error)).lower())


def _input(source: Path | bytes, name: str) -> str | IO[bytes]:
    """As that of :mod:`encoders.media.files.content`; pictures as bytes, in whose names FFmpeg would see patterns."""
    found = media_input(source, name)
    if isinstance(source, Path):
        with source.open("rb") as file:
            if file.read(4).startswith(_PICTURE_MAGIC) and source.stat().st_size <= _MOST_PICTURE_BYTES:
                file.seek(0)
                return io.BytesIO(file.read())
    return found


def video_stream(container: InputContainer, name: str, max_pixels: int) -> VideoStream:
    """The first video stream, set to be decoded fast on two cores.

    Raises
    ------
    NoVideoError
        If there is none, or only covers.
    TooLargeError
        If a frame has more than `max_pixels`.
    """
    streams = [one for one in container.streams.video if not one.disposition & Disposition.attached_pic]
    if not streams:
        what = "only a cover" if container.streams.video else "no video stream"
        raise NoVideoError(name, f"{what} in this {container.format.long_name} file; {ACCEPTED}")
    stream = streams[0]
    codec = stream.codec_context
    if codec is None:
        raise UnreadableMediaError(name, f"video in a coding that cannot be decoded; {ACCEPTED}")
    if codec.width * codec.height > max_pixels:
        raise TooLargeError(
            name, f"{codec.width} × {codec.height} pixels; accepted: at most {max_pixels / 1e6:g} million pixels"
        )
    # Deblocking is a fifth of the work, and is not seen in a picture a twelfth as large. The limit on pixels holds for
    # what the decoder finds as well, where that is not what the container says.
    codec.options = {"skip_loop_filter": "all", "max_pixels": str(max_pixels)}
    codec.thread_type = "AUTO"
    codec.thread_count = _THREADS
    rate = rate_of(stream)
    # Not without every B frame: others may refer to some of them, and what is decoded without is another picture.
    if rate > _THIN_ABOVE or rate * codec.width * codec.height > _THIN_ABOVE_PIXELS:
        codec.skip_frame = "NONREF"
    return stream


def rate_of(stream: VideoStream) -> float:
    """Frames a second as the file says, 25 where it says nothing of use."""
    rate = float(stream.average_rate or stream.base_rate or 0)
    return rate if math.isfinite(rate) and 0 < rate <= 1000 else 25.0


def timed_frames(
    container: InputContainer, stream: VideoStream, start_s: float, tally: Tally
) -> Iterator[tuple[float, av.VideoFrame]]:
    """Yield the frames from `start_s` on, with their times in the file; a damaged packet costs its own frames only."""
    first_s = float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0
    if start_s > _LONGEST_SEEK_BACK_S and stream.time_base:
        try:
            container.seek(int((first_s + start_s) / stream.time_base), stream=stream)
        except av.FFmpegError:
            container.seek(0)  # no index: everything before is decoded and left
    codec = stream.codec_context
    step_s = 1 / rate_of(stream)
    latest_s = -math.inf
    for frame in _decoded(container, stream, tally):
        time_s = frame.time - first_s if frame.time is not None else max(latest_s + step_s, 0.0)
        if time_s <= latest_s:
            continue
        if _WIDEST_GAP_S < time_s - latest_s < math.inf:
            codec.skip_frame = "DEFAULT"
        latest_s = time_s
        if time_s + 1e-6 >= start_s:
            yield time_s, frame


def _decoded(container: InputContainer, stream: VideoStream, tally: Tally) -> Iterator[av.VideoFrame]:
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                return
            frames = packet.decode()
        except av.EOFError:
            return
        except (av.InvalidDataError, av.ArgumentError):
            tally.damaged += 1
            continue
        for frame in frames:
            if isinstance(frame, av.VideoFrame):
                if frame.is_corrupt:
                    tally.damaged += 1
                else:
                    tally.good += 1
                yield frame
