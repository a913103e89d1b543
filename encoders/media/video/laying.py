"""Music laid under a clip, to an MP4: the pictures as they are wherever that can be, the sound as AAC.

It reads a file in the process that calls it: for a user's own files, from the command line, and no uploads.

H.264, HEVC and AV1 are copied packet by packet where the clip starts at a key frame; all else is encoded anew, upright,
in ordinary colours, at most 1920 pixels long, by x264 where FFmpeg brings it, else as MPEG-4 part 2.
"""

from __future__ import annotations

import math
import os
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, cast

import av
import numpy as np
from av.codec import codecs_available
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from encoders.errors import AudioWriteError, NoAudioError, TooLongError, TooShortError, UnreadableMediaError
from encoders.media.video.demuxing import ACCEPTED, Tally, opened, rate_of, refused, timed_frames, video_stream
from encoders.media.video.footage import DEFAULT_VIDEO_LIMITS
from encoders.media.video.mixing import mixed, original_sound
from encoders.media.video.scaling import Scaler, size_for, upright
from encoders.media.writing import check_place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from av.audio.stream import AudioStream
    from av.container import InputContainer, OutputContainer
    from av.video.stream import VideoStream
    from numpy.typing import NDArray

_COPIED = frozenset({"h264", "hevc", "av1"})
_LONGEST_S = 3600.0
_MOST_SIDE = 1920
_STILL_RATE = 5  # frames a second of a picture that stays
_CLOCK = 90_000  # ticks a second: frames come at their own times
_SAMPLES_AT_ONCE = 1024


@dataclass(frozen=True)
class _Clip:
    """Where a clip lies in its file, and whether its packets can be copied."""

    duration_s: float
    is_copied: bool
    is_still: bool = False


def lay_under(
    source: Path,
    music: NDArray[np.float32],
    sample_rate: int,
    out: Path,
    *,
    start_s: float = 0.0,
    end_s: float | None = None,
    speech_s: NDArray[np.float64] | None = None,
) -> None:
    """Write a clip with music under it; what was at `out` is replaced, once the new file is whole.

    Parameters
    ----------
    source : a video or a picture, which is shown as long as the music sounds
    music : float32 [channels, samples], 1 or 2 channels, from the start of the clip on; longer music is cut off and
        shorter music ends before the clip does, both with a fade
    sample_rate : Hz, one that AAC has
    out : a name that ends in .mp4
    start_s, end_s : the clip within the video in seconds; None is its end
    speech_s : float64 [n, 2], begin and end in seconds of the clip: there its own sound is kept, over quieter music

    Raises
    ------
    UnreadableMediaError, NoVideoError, TooLargeError
        As of :func:`encoders.media.video.reading.read_footage`.
    TooShortError, TooLongError
        If nothing is between `start_s` and `end_s`, or more than an hour; if there is no music.
    NoAudioError
        If `speech_s` names spans of a source without sound.
    AudioWriteError
        If `out` cannot be written.
    """
    name = str(source)
    if out.suffix.lower() != ".mp4":
        raise AudioWriteError(str(out), f"ends in {out.suffix or 'nothing'}; accepted: .mp4")
    check_place(out)
    if not (math.isfinite(start_s) and start_s >= 0 and (end_s is None or end_s > start_s)):
        raise TooShortError(name, f"clip from {start_s} s to {end_s} s; accepted: 0 ≤ start_s < end_s")
    if music.ndim != 2 or music.shape[0] not in (1, 2) or not music.shape[1]:
        raise TooShortError(name, f"music of shape {list(music.shape)}; accepted: [1 or 2 channels, samples]")
    spans = np.empty((0, 2)) if speech_s is None else np.asarray(speech_s, np.float64).reshape(-1, 2)
    music_s = music.shape[1] / sample_rate
    try:
        clip = _found(source, name, start_s, end_s, music_s)
        speech = None
        if spans.size and not clip.is_still:
            speech = original_sound(source, name, start_s, clip.duration_s, sample_rate, music.shape[0])
            if speech is None:
                raise NoAudioError(name, "no audio stream to keep speech of")
        sound = mixed(music, sample_rate, clip.duration_s, speech, spans)
    except av.FFmpegError as error:
        raise refused(name, error) from error
    partial = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        _write(source, name, clip, start_s, sound, sample_rate, partial)
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        partial.replace(out)
    except (OSError, av.FFmpegError) as error:
        raise AudioWriteError(str(out), (error.strerror or str(error)).lower()) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def _found(source: Path, name: str, start_s: float, end_s: float | None, music_s: float) -> _Clip:
    """How long the clip is, by its packets."""
    with opened(source, name) as container:
        stream = video_stream(container, name, DEFAULT_VIDEO_LIMITS.max_pixels)
        if _is_picture(container):
            return _Clip(music_s, is_copied=False, is_still=True)
        last_s, copied, key = 0.0, stream.codec_context.name in _COPIED, False
        stop_s = math.inf if end_s is None else end_s
        _seek(container, stream, start_s)
        step_s, count = 1 / rate_of(stream), 0
        for packet in container.demux(stream):
            if not packet.size:
                continue
            time_s = _time_s(packet, stream)
            if time_s is None or packet.dts is None or packet.pts is None:
                copied = False
                time_s = count * step_s if time_s is None else time_s
            count += 1
            if packet.is_keyframe and abs(time_s - start_s) <= step_s / 2:
                key = True
            span_s = float(packet.duration * packet.time_base) if packet.duration else step_s
            last_s = max(last_s, time_s + span_s)
            if packet.dts is not None and float(packet.dts * packet.time_base) - _first_s(stream) >= stop_s:
                break
    duration_s = min(last_s, stop_s) - start_s
    if duration_s <= 0:
        raise TooShortError(name, f"no picture from {start_s:g} s on; accepted: a start_s before the video's end")
    if duration_s > _LONGEST_S:
        raise TooLongError(name, f"a clip of {duration_s:.0f} s; accepted: start_s and end_s an hour apart at most")
    return _Clip(duration_s, copied and key)


def _is_picture(container: InputContainer) -> bool:
    return container.format.name.endswith("_pipe") and container.format.name != "yuv4mpegpipe"


def _first_s(stream: VideoStream) -> float:
    return float(stream.start_time * stream.time_base) if stream.start_time and stream.time_base else 0.0


def _time_s(packet: av.Packet[VideoStream], stream: VideoStream) -> float | None:
    stamp = packet.pts if packet.pts is not None else packet.dts
    return None if stamp is None else float(stamp * packet.time_base) - _first_s(stream)


def _seek(container: InputContainer, stream: VideoStream, start_s: float) -> None:
    if start_s > 0 and stream.time_base:
        with suppress(av.FFmpegError):
            # Rounded up: a seek that is a tick short would land a key frame earlier.
            container.seek(math.ceil((_first_s(stream) + start_s) / stream.time_base), stream=stream)


def _write(
    source: Path, name: str, clip: _Clip, start_s: float, sound: NDArray[np.float32], sample_rate: int, partial: Path
) -> None:
    with (
        opened(source, name) as container,
        av.open(str(partial), "w", format="mp4", options={"movflags": "faststart"}) as output,
    ):
        stream = video_stream(container, name, DEFAULT_VIDEO_LIMITS.max_pixels)
        if clip.is_copied:
            packets = _copied(container, stream, output, clip, start_s)
        else:
            stream.codec_context.skip_frame = "DEFAULT"
            packets = _encoded(container, stream, output, clip, start_s)
        first = next(packets, None)  # the video's stream is made with it
        if first is None:
            raise UnreadableMediaError(name, f"no picture in it can be decoded; {ACCEPTED}")
        audio = output.add_stream("aac", rate=sample_rate, layout="mono" if len(sound) == 1 else "stereo")
        audio.bit_rate = 192_000
        sounds = _sounds(audio, sound, sample_rate)
        heard_s = 0.0
        while first is not None:
            output.mux(first)
            shown_s = float((first.dts or 0) * first.time_base)
            while heard_s <= shown_s and (part := next(sounds, None)):
                heard_s, packets_of_sound = part
                output.mux(packets_of_sound)
            first = next(packets, None)
        for _, packets_of_sound in sounds:
            output.mux(packets_of_sound)


def _sounds(
    stream: AudioStream, sound: NDArray[np.float32], sample_rate: int
) -> Iterator[tuple[float, list[av.Packet[AudioStream]]]]:
    for begin in range(0, sound.shape[1], _SAMPLES_AT_ONCE):
        part = np.ascontiguousarray(sound[:, begin : begin + _SAMPLES_AT_ONCE])
        frame = av.AudioFrame.from_ndarray(part, "fltp", stream.layout.name)
        frame.sample_rate, frame.pts, frame.time_base = sample_rate, begin, Fraction(1, sample_rate)
        yield begin / sample_rate, stream.encode(frame)
    yield math.inf, stream.encode(None)


def _copied(
    container: InputContainer, stream: VideoStream, output: OutputContainer, clip: _Clip, start_s: float
) -> Iterator[av.Packet[VideoStream]]:
    copy = output.add_stream_from_template(stream, opaque=True)
    _seek(container, stream, start_s)
    begin: int | None = None
    held: list[av.Packet[VideoStream]] = []  # shown behind the end, but what comes before it may refer to them
    stop_s = start_s + clip.duration_s
    for packet in container.demux(stream):
        if packet.pts is None or packet.dts is None or not packet.size:
            continue
        time_s = cast("float", _time_s(packet, stream))
        if float(packet.dts * packet.time_base) - _first_s(stream) >= stop_s:
            return
        if begin is None:
            if not packet.is_keyframe or time_s < start_s - 0.5 / rate_of(stream):
                continue
            begin = packet.pts
        if packet.pts < begin:  # refers to what is before the clip
            continue
        packet.pts, packet.dts, packet.stream = packet.pts - begin, packet.dts - begin, copy
        held.append(packet)
        if time_s < stop_s - 1e-6:
            yield from held
            held.clear()


def _encoded(
    container: InputContainer, stream: VideoStream, output: OutputContainer, clip: _Clip, start_s: float
) -> Iterator[av.Packet[VideoStream]]:
    has_x264 = "libx264" in codecs_available
    coded: VideoStream | None = None
    scaler, latest = Scaler(Interpolation.BILINEAR), -1
    for time_s, rgb in _pictures(container, stream, clip, start_s, scaler):
        if coded is None:
            options = {"preset": "veryfast", "crf": "20"} if has_x264 else {"qscale": "3"}
            coded = output.add_stream("libx264" if has_x264 else "mpeg4", rate=30, options=options)
            coded.height, coded.width = rgb.shape[:2]
            coded.pix_fmt = "yuv420p"
            coded.codec_context.time_base = Fraction(1, _CLOCK if has_x264 else 1000)
            context = coded.codec_context
            context.colorspace, context.color_primaries, context.color_trc = 1, 1, 1
            context.color_range = int(ColorRange.MPEG)
        frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24").reformat(
            format="yuv420p", dst_colorspace=Colorspace.ITU709, threads=1
        )
        clock = coded.codec_context.time_base
        frame.pts, frame.time_base = max(latest + 1, round(time_s / clock)), clock
        latest = frame.pts
        yield from coded.encode(frame)
    if coded is not None:
        yield from coded.encode(None)


def _pictures(
    container: InputContainer, stream: VideoStream, clip: _Clip, start_s: float, scaler: Scaler
) -> Iterator[tuple[float, NDArray[np.uint8]]]:
    """Upright pictures of even sides with their times in the clip; the last stays until the end."""
    size: tuple[int, int] | None = None
    rgb: NDArray[np.uint8] | None = None
    step_s, shown_s = 1 / (_STILL_RATE if clip.is_still else rate_of(stream)), 0.0
    for time_s, frame in timed_frames(container, stream, 0.0 if clip.is_still else start_s, Tally()):
        if time_s - start_s >= clip.duration_s - 1e-6 and not clip.is_still:
            break
        if size is None:
            width, height = size_for(frame, float(stream.sample_aspect_ratio or 1) or 1.0, _short_side(frame))
            size = max(16, width // 2 * 2), max(16, height // 2 * 2)
        rgb = upright(scaler.scale(frame, *size), frame.rotation)
        shown_s = 0.0 if clip.is_still else max(0.0, time_s - start_s)
        yield shown_s, rgb
        if clip.is_still:
            break
    while rgb is not None and shown_s + step_s < clip.duration_s - step_s / 2:
        shown_s += step_s
        yield shown_s, rgb


def _short_side(frame: av.VideoFrame) -> int:
    long, short = max(frame.width, frame.height), min(frame.width, frame.height)
    return max(1, short if long <= _MOST_SIDE else round(short * _MOST_SIDE / long))
