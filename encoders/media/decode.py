"""Decode a media file or an upload to mono waveforms at the sample rates the encoders ask for.

One pass of FFmpeg (through PyAV) over the first audio stream: decode → average the channels → resample to every rate.
Waveforms are float32 [samples], about [-1, 1].

Run as a module, this file is the child process of :func:`decode_untrusted`; hence no torch here.
"""

from __future__ import annotations

import io
import json
import logging
import math
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

import av
import numpy as np

from encoders.errors import (
    MediaError,
    NoAudioError,
    SilentAudioError,
    TooLongError,
    TooShortError,
    UnreadableMediaError,
)
from encoders.media.mixdown import Mixdown

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

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
_REFUSED = 3
_REFUSALS: dict[str, type[MediaError]] = {
    error.__name__: error
    for error in (UnreadableMediaError, NoAudioError, TooShortError, TooLongError, SilentAudioError)
}


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


_DEFAULT_LIMITS = MediaLimits()


def decode(source: Path | bytes, *, sample_rates: Sequence[int], limits: MediaLimits = _DEFAULT_LIMITS) -> DecodedAudio:
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
    mixdown = Mixdown(sample_rates)
    try:
        with av.open(_input(source, name), mode="r", options=_OPEN_OPTIONS) as container:
            stream = _audio_stream(container, name, limits)
            duration_s = _decode_stream(container, stream, mixdown, name, limits)
        waveforms = mixdown.finish()
    except av.FFmpegError as error:
        raise UnreadableMediaError(name, _ffmpeg_reason(error)) from error
    if duration_s < limits.min_duration_s:
        raise TooShortError(name, f"{duration_s:.2f} s of audio, at least {limits.min_duration_s:g} s are needed")
    _check_samples(waveforms, name)
    return DecodedAudio(waveforms, duration_s)


def _input(source: Path | bytes, name: str) -> str | IO[bytes]:
    """Return what FFmpeg opens: an absolute path, which it cannot mistake for a protocol, or the bytes as a file."""
    if isinstance(source, bytes):
        size = len(source)
    else:
        try:
            status = source.stat()
        except (OSError, ValueError) as error:
            reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
            raise UnreadableMediaError(name, reason.lower()) from error
        if not stat.S_ISREG(status.st_mode):
            reason = "is a directory" if stat.S_ISDIR(status.st_mode) else "is not a regular file"
            raise UnreadableMediaError(name, reason)
        size = status.st_size
    if size == 0:
        raise UnreadableMediaError(name, "file is empty")
    return io.BytesIO(source) if isinstance(source, bytes) else str(source.absolute())


def _ffmpeg_reason(error: av.FFmpegError) -> str:
    # FFmpeg calls a format outside the whitelist an argument error, and a header cut short an end of file.
    if isinstance(error, av.InvalidDataError | av.ArgumentError | av.EOFError):
        return "not a readable audio or video file (unknown, damaged or truncated)"
    return (error.strerror or str(error)).lower()


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


def _decode_stream(
    container: InputContainer, stream: AudioStream, mixdown: Mixdown, name: str, limits: MediaLimits
) -> float:
    duration_s = 0.0
    for frame in _frames(container, stream, name):
        duration_s += frame.samples / frame.sample_rate
        if duration_s > limits.max_duration_s:
            raise TooLongError(name, f"more than the accepted {limits.max_duration_s:g} s of audio")
        mixdown.push(frame)
    return duration_s


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


def decode_untrusted(
    data: bytes,
    *,
    sample_rates: Sequence[int],
    limits: MediaLimits = _DEFAULT_LIMITS,
    timeout_s: float = 30.0,
    memory_bytes: int = 2 << 30,
) -> DecodedAudio:
    """Decode an upload in a child process with limits on its time and memory.

    Parameters
    ----------
    data : the bytes of the uploaded file
    sample_rates, limits : as for :func:`decode`
    timeout_s : wall clock and CPU seconds the child may take
    memory_bytes : address space the child may take

    Raises
    ------
    MediaError
        The same subclass as :func:`decode`; UnreadableMediaError also for a timeout or a crash of the decoder.
    """
    request = {
        "sample_rates": list(sample_rates),
        "limits": asdict(limits),
        "cpu_s": math.ceil(timeout_s) + 1,
        "memory_bytes": memory_bytes,
    }
    command = [sys.executable, "-m", "encoders.media.decode", json.dumps(request)]
    # Every BLAS thread reserves address space, on a machine with many cores more than the limit.
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryFile() as answer:
        try:
            child = subprocess.run(
                command,
                input=data,
                stdout=answer,
                stderr=subprocess.PIPE,
                timeout=timeout_s,
                env=environment,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise UnreadableMediaError("upload", f"decoding took more than {timeout_s:g} s") from error
        answer.seek(0)
        if child.returncode == _REFUSED:
            refusal = json.load(answer)
            raise _REFUSALS[refusal["error"]]("upload", refusal["reason"])
        if child.returncode != 0:
            raise UnreadableMediaError("upload", _crash_reason(child.returncode, child.stderr))
        duration_s = float(np.load(answer, allow_pickle=False))
        waveforms = {rate: np.load(answer, allow_pickle=False) for rate in dict.fromkeys(sample_rates)}
    return DecodedAudio(waveforms, duration_s)


def _crash_reason(returncode: int, stderr: bytes) -> str:
    if returncode < 0:
        return f"the decoder was stopped by {signal.Signals(-returncode).name}"
    lines = stderr.decode(errors="replace").strip().splitlines() or ["no message"]
    return f"the decoder failed: {lines[-1][:200]}"


def _answer(request: str) -> int:
    """Child side of :func:`decode_untrusted`: the upload on stdin, .npy arrays or a refusal in JSON on stdout."""
    asked = json.loads(request)
    for limit, value in (
        (resource.RLIMIT_AS, asked["memory_bytes"]),
        (resource.RLIMIT_CPU, asked["cpu_s"]),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    try:
        data = sys.stdin.buffer.read()
        audio = decode(data, sample_rates=asked["sample_rates"], limits=MediaLimits(**asked["limits"]))
    except MediaError as error:
        json.dump({"error": type(error).__name__, "reason": error.reason}, sys.stdout)
        return _REFUSED
    except MemoryError:
        reason = f"decoding needs more than {asked['memory_bytes'] >> 20} MiB of memory"
        json.dump({"error": UnreadableMediaError.__name__, "reason": reason}, sys.stdout)
        return _REFUSED
    np.save(sys.stdout.buffer, np.float64(audio.duration_s), allow_pickle=False)
    for waveform in audio.waveforms.values():
        np.save(sys.stdout.buffer, waveform, allow_pickle=False)
    return 0


if __name__ == "__main__":
    sys.exit(_answer(sys.argv[1]))
