"""Decode a media file or an upload to mono waveforms at the sample rates the encoders ask for.

One pass of FFmpeg (through PyAV) over the first audio stream: decode → average the channels → resample to every rate.
The few files whose channels would cancel each other (:mod:`encoders.media.polarity`) are decoded once more.
Waveforms are float32 [samples], about [-1, 1].

No torch here: :mod:`encoders.media.decoder_process` runs this in small child processes.
"""

from __future__ import annotations

import io
import logging
import math
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import av
import numpy as np

from encoders.errors import NoAudioError, SilentAudioError, TooLongError, TooShortError, UnreadableMediaError
from encoders.media.mixdown import Mixdown
from encoders.media.polarity import Polarity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

SILENCE_PEAK = 1e-4
"""Peak amplitude (-80 dBFS) below which audio counts as silent."""

# Formats that hold media themselves. Playlists (HLS, DASH, concat) would make FFmpeg open other files and addresses.
_CONTAINERS = (
    "3gp,aac,ac3,aiff,amr,ape,asf,au,avi,caf,dsf,dts,eac3,flac,flv,matroska,mov,mp3,mp4,mpc,mpc8,mpeg,mpegts,ogg,"
    "tak,tta,w64,wav,webm,wv"
)
_OPEN_OPTIONS = {"format_whitelist": _CONTAINERS, "protocol_whitelist": "file"}
# These carry no duration of their own: FFmpeg extrapolates the bit rate of the first frames, far off with VBR.
_GUESSED_DURATION = frozenset({"aac", "mp3"})


@dataclass(frozen=True)
class MediaLimits:
    """Shortest and longest audio that is accepted, in seconds."""

    min_duration_s: float = 1.0
    max_duration_s: float = 3600.0


@dataclass(frozen=True)
class DecodedAudio:
    """One file's audio: a mono waveform float32 [samples] for each sample rate (Hz), and the decoded duration."""

    waveforms: Mapping[int, NDArray[np.float32]]
    duration_s: float


DEFAULT_LIMITS = MediaLimits()


def decode(source: Path | bytes, *, sample_rates: Sequence[int], limits: MediaLimits = DEFAULT_LIMITS) -> DecodedAudio:
    """Decode the first audio stream to mono at several sample rates in one pass.

    Parameters
    ----------
    source : a file, or the bytes of one
    sample_rates : Hz, at least one
    limits : accepted durations; decoding stops as soon as the longest is exceeded

    Returns
    -------
    Waveforms keyed by sample rate, float32 [samples], all of the same duration.

    Raises
    ------
    UnreadableMediaError
        If the file is missing, empty, foreign, mostly corrupt, or holds NaN or infinite samples.
    NoAudioError, TooShortError, TooLongError, SilentAudioError
        As their names say.
    """
    if not sample_rates:
        raise ValueError("decode needs at least one sample rate")
    name = str(source) if isinstance(source, Path) else "upload"
    mixdown, polarity = Mixdown(sample_rates), Polarity()
    try:
        duration_s = _decode_into((polarity.hear, mixdown.push), source, name, limits)
        if signs := polarity.signs():
            mixdown = Mixdown(sample_rates, signs)
            _decode_into((mixdown.push,), source, name, limits)
        waveforms = mixdown.finish()
    except av.FFmpegError as error:
        raise unreadable(name, error) from error
    if duration_s < limits.min_duration_s:
        raise TooShortError(name, f"{duration_s:.2f} s of audio, at least {limits.min_duration_s:g} s are needed")
    _check_samples(waveforms, name)
    return DecodedAudio(waveforms, duration_s)


def media_input(source: Path | bytes, name: str) -> str | IO[bytes]:
    """Return what FFmpeg opens: an absolute path, which it cannot mistake for a protocol, or the bytes as a file."""
    if isinstance(source, bytes):
        size = len(source)
    else:
        try:
            status = source.stat()
        except (OSError, ValueError) as error:
            raise UnreadableMediaError(name, (getattr(error, "strerror", None) or str(error)).lower()) from error
        if not stat.S_ISREG(status.st_mode):
            reason = "is a directory" if stat.S_ISDIR(status.st_mode) else "is not a regular file"
            raise UnreadableMediaError(name, reason)
        size = status.st_size
    if size == 0:
        raise UnreadableMediaError(name, "file is empty")
    return io.BytesIO(source) if isinstance(source, bytes) else str(source.absolute())


def unreadable(name: str, error: av.FFmpegError) -> UnreadableMediaError:
    """What FFmpeg's error is to a user."""
    # FFmpeg calls a format outside the whitelist an argument error, and a header cut short an end of file.
    if isinstance(error, av.InvalidDataError | av.ArgumentError | av.EOFError):
        return UnreadableMediaError(name, "not a readable audio or video file (unknown, damaged or truncated)")
    return UnreadableMediaError(name, (error.strerror or str(error)).lower())


def _audio_stream(container: InputContainer, name: str, limits: MediaLimits) -> AudioStream:
    if not container.streams.audio:
        raise NoAudioError(name, f"no audio stream in this {container.format.long_name} file")
    stream = container.streams.audio[0]
    declared_s = 0.0
    if container.format.name not in _GUESSED_DURATION:
        if stream.duration is not None and stream.time_base is not None:
            declared_s = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            declared_s = container.duration / 1e6
    if declared_s > limits.max_duration_s:
        raise TooLongError(name, f"{declared_s:.0f} s of audio, at most {limits.max_duration_s:g} s are accepted")
    # Files are decoded side by side; threads inside one decoder would only contend, and reserve memory each.
    stream.codec_context.thread_count = 1
    return stream


def _decode_into(
    takers: Sequence[Callable[[av.AudioFrame], None]], source: Path | bytes, name: str, limits: MediaLimits
) -> float:
    """Give every frame of a source to the takers, and return its duration in seconds."""
    duration_s = 0.0
    for frame in frames_of(source, name, limits):
        duration_s += frame.samples / frame.sample_rate
        for take in takers:
            take(frame)
    return duration_s


def frames_of(source: Path | bytes, name: str, limits: MediaLimits) -> Iterator[av.AudioFrame]:
    """Yield every frame of the first audio stream, as it was decoded; `name` is for errors.

    Raises
    ------
    UnreadableMediaError, NoAudioError, TooLongError
        As of :func:`decode`.
    av.FFmpegError
        What :func:`unreadable` turns into an UnreadableMediaError.
    """
    duration_s = 0.0
    with av.open(media_input(source, name), mode="r", options=_OPEN_OPTIONS) as container:
        for frame in _frames(container, _audio_stream(container, name, limits), name):
            duration_s += frame.samples / frame.sample_rate
            if duration_s > limits.max_duration_s:
                raise TooLongError(name, f"more than the accepted {limits.max_duration_s:g} s of audio")
            yield frame


def _frames(container: InputContainer, stream: AudioStream, name: str) -> Iterator[av.AudioFrame]:
    """Yield decoded frames; an isolated corrupt packet costs only its own audio."""
    packets = container.demux(stream)
    decoded = corrupt = 0
    while True:
        try:
            packet = next(packets, None)
            if packet is None:
                break
            frames = packet.decode()
        except (av.InvalidDataError, av.ArgumentError):  # the latter for an empty packet, which Ogg files may hold
            corrupt += 1
            continue
        for frame in frames:
            if isinstance(frame, av.AudioFrame):
                decoded += 1
                yield frame
    if corrupt > decoded:
        raise UnreadableMediaError(name, f"{corrupt} corrupt audio packets, {decoded} decodable")
    if decoded == 0:
        raise UnreadableMediaError(name, "the audio stream is empty")
    if corrupt:
        logger.warning("%s: skipped %d corrupt audio packets", name, corrupt)


def _check_samples(waveforms: Mapping[int, NDArray[np.float32]], name: str) -> None:
    peaks = np.array([np.maximum(waveform.max(), -waveform.min()) for waveform in waveforms.values() if waveform.size])
    if not np.isfinite(peaks).all():
        raise UnreadableMediaError(name, "holds samples that are not finite numbers")
    if peaks.max(initial=0.0) < SILENCE_PEAK:
        raise SilentAudioError(name, f"silent: no sample above {20 * math.log10(SILENCE_PEAK):.0f} dBFS")
