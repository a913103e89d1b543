"""Read a video or a picture to a `Footage`, in this process; :mod:`encoders.media.video.process` does it in a child.

Sixteen frames a second are scaled to 160 × 90 (or 90 × 160) for cuts and curves; one a second is scaled once more,
large enough that 224 pixels are left of it within black bars. No torch here.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import av
import numpy as np
from av.video.reformatter import Interpolation

from encoders.errors import TooShortError, UnreadableMediaError, called
from encoders.media.video.bars import within_bars
from encoders.media.video.curves import CurveTracer
from encoders.media.video.cuts import CutFinder
from encoders.media.video.demuxing import ACCEPTED, Tally, opened, rate_of, refused, timed_frames, video_stream
from encoders.media.video.footage import CURVE_RATE, DEFAULT_VIDEO_LIMITS, FRAME_SIDE, Footage, VideoLimits
from encoders.media.video.scaling import Scaler, glimpse, size_for, squared, upright

if TYPE_CHECKING:
    from pathlib import Path

    from av.container import InputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

_LONG, _SHORT = 160, 90
_KEPT_SIDE = 300  # the shorter side of a frame that is kept: 2.39:1 in 16:9 leaves 224 lines of it
_EVERY_S = 1.0
_MOST_RATE = 16.0  # frames a second that are looked at, where a glimpse of the others tells when a shot began
_MOST_RATE_WITHOUT = 32.0


class _Reader:
    """What is gathered while frames come by."""

    def __init__(self, pixel_aspect: float) -> None:
        self.cuts = CutFinder()
        self.curves = CurveTracer()
        self.times_s: list[float] = []
        self.kept: list[NDArray[np.uint8]] = []
        self.frames = 0
        self.latest_s = -math.inf
        self._pixel_aspect = pixel_aspect
        self._small = Scaler(Interpolation.BILINEAR)  # takes less time than AREA over so many frames
        self._large = Scaler(Interpolation.AREA)
        self._shapes: tuple[tuple[int, int], tuple[int, int], int] | None = None

    def push(self, time_s: float, frame: av.VideoFrame) -> None:
        self.frames += 1
        luma = glimpse(frame)
        if luma is not None:
            self.cuts.glimpse(time_s, luma)
        is_kept = not self.times_s or time_s + 1e-6 >= len(self.times_s) * _EVERY_S
        if not is_kept and time_s - self.latest_s < 1 / (_MOST_RATE_WITHOUT if luma is None else _MOST_RATE):
            return
        self.latest_s = time_s
        if self._shapes is None:
            small = (_LONG, _SHORT) if frame.width >= frame.height else (_SHORT, _LONG)
            # What changes its shape on the way is brought to that of its first frame.
            self._shapes = small, size_for(frame, self._pixel_aspect, _KEPT_SIDE), frame.rotation
        small, large, rotation = self._shapes
        rgb = np.ascontiguousarray(upright(self._small.scale(frame, *small), rotation))
        self.cuts.push(time_s, rgb)
        self.curves.push(time_s, rgb)
        if is_kept:
            while self.times_s and len(self.times_s) * _EVERY_S + _EVERY_S <= time_s:
                self._hold(len(self.times_s) * _EVERY_S)
            self.times_s.append(time_s)
            self.kept.append(upright(self._large.scale(frame, *large), rotation))

    def hold_until(self, end_s: float) -> None:
        """The last frame stays until the end of the clip."""
        while len(self.times_s) * _EVERY_S < end_s - 1e-6:
            self._hold(len(self.times_s) * _EVERY_S)

    def _hold(self, time_s: float) -> None:
        self.times_s.append(time_s)
        self.kept.append(self.kept[-1])


def read_footage(
    source: Path | bytes,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    limits: VideoLimits = DEFAULT_VIDEO_LIMITS,
) -> Footage:
    """Read what a video shows, or a picture.

    Parameters
    ----------
    source : a file, or the bytes of one
    start_s, end_s : the clip within the video in seconds; None is its end. Of a picture they say nothing
    limits : how much is read of it

    Raises
    ------
    UnreadableMediaError
        If the file is missing, empty, of another kind, or nothing of it can be decoded.
    NoVideoError
        If it has no video stream, or only a cover.
    TooLargeError
        If its pictures have too many pixels.
    TooShortError
        If the clip is empty or begins behind the video's end.
    """
    name = called(source)
    if not (math.isfinite(start_s) and start_s >= 0 and (end_s is None or end_s > start_s)):
        raise TooShortError(name, f"clip from {start_s} s to {end_s} s; accepted: 0 ≤ start_s < end_s")
    with opened(source, name) as container:
        stream = video_stream(container, name, limits.max_pixels)
        try:
            return _read(container, stream, name, start_s, end_s, limits)
        except av.FFmpegError as error:
            raise refused(name, error) from error


def _read(
    container: InputContainer,
    stream: VideoStream,
    name: str,
    start_s: float,
    end_s: float | None,
    limits: VideoLimits,
) -> Footage:
    is_picture = container.format.name.endswith("_pipe") and container.format.name != "yuv4mpegpipe"
    if is_picture:
        start_s, end_s = 0.0, None
    source_s = _source_s(container, stream)
    last_s = math.inf if end_s is None else end_s
    stop_s = min(last_s, start_s + limits.max_read_s)
    tally = Tally()
    reader = _Reader(float(stream.sample_aspect_ratio or 1) or 1.0)
    end_found_s, is_limited = 0.0, False
    for time_s, frame in timed_frames(container, stream, start_s, tally):
        if time_s >= stop_s - 1e-6:
            is_limited = stop_s < last_s
            end_found_s = stop_s - start_s
            break
        reader.push(time_s - start_s, frame)
        step_s = float(frame.duration * frame.time_base) if frame.duration and frame.time_base else 0.0
        end_found_s = time_s - start_s + (step_s if 0 < step_s <= 60 else 1 / rate_of(stream))
        if is_picture:
            break
    if not reader.frames:
        if tally.good + tally.damaged and tally.good:
            raise TooShortError(name, f"no picture from {start_s:g} s on")
        most = (
            f"of at most {limits.max_pixels / 1e6:g} million pixels"  # of a PNG that is known only when it is decoded
        )
        raise UnreadableMediaError(name, f"no picture in it can be decoded; {ACCEPTED} {most}")
    if tally.damaged:
        logger.warning("%s: %.0f %% of the video is damaged", name, 100 * (1 - tally.intact))
    is_still = is_picture or (reader.frames == 1 and start_s == 0 and not is_limited and end_s is None)
    duration_s = 0.0 if is_still else min(end_found_s, stop_s - start_s)
    return _footage(reader, duration_s, is_still, bool(container.streams.audio), source_s, is_limited, tally.intact)


def _source_s(container: InputContainer, stream: VideoStream) -> float | None:
    if container.duration is not None and container.duration > 0:
        return container.duration / 1e6
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    return None


def _footage(
    reader: _Reader,
    duration_s: float,
    is_still: bool,
    has_sound: bool,
    source_s: float | None,
    is_limited: bool,
    intact: float,
) -> Footage:
    reader.hold_until(duration_s)
    rows, columns = within_bars(reader.kept)
    height, width = reader.kept[0].shape[:2]
    lit = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    cuts_s = np.empty(0) if is_still else reader.cuts.finish()
    curves = reader.curves.finish(duration_s, cuts_s, lit)
    frames = np.stack([squared(frame, rows, columns, FRAME_SIDE) for frame in reader.kept])
    return Footage(
        duration_s=duration_s,
        times_s=np.array(reader.times_s),
        frames=frames,
        rate=CURVE_RATE,
        **curves,
        cuts_s=cuts_s,
        has_sound=has_sound,
        is_still=is_still,
        source_s=None if is_still else source_s,
        is_limited=is_limited,
        intact=intact,
    )
