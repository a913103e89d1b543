"""Write audio as WAV or FLAC, whole or not at all: a file gets its name once it is complete."""

from __future__ import annotations

import os
import wave
from contextlib import suppress
from typing import TYPE_CHECKING

import av
import numpy as np

from encoders.errors import AudioWriteError
from encoders.places import NO_FILE, is_replaceable

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import IO

    from encoders.media.native import NativeAudio

FORMATS = (".wav", ".flac")
_AT_ONCE = 1 << 16  # samples of each channel
_MOST_WAV_BYTES = (1 << 32) - 1024
_MOST_FLAC_CHANNELS = 8


def write_audio(audio: NativeAudio, path: Path) -> None:
    """Write audio to a file, in the format that the end of its name says; what was there is replaced.

    Raises
    ------
    AudioWriteError
        If the name says no format of :data:`FORMATS`, the format cannot hold the audio, or the file cannot be written.
    """
    check_writable(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            (write_wav if path.suffix.lower() == ".wav" else _write_flac)(audio, file, str(path))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except (OSError, av.FFmpegError) as error:
        raise AudioWriteError(str(path), (error.strerror or str(error)).lower()) from error
    finally:
        with suppress(OSError):
            partial.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Refuse what could not be written, before work is done for it.

    Raises
    ------
    AudioWriteError
        As of :func:`write_audio`.
    """
    if path.suffix.lower() not in FORMATS:
        raise AudioWriteError(str(path), f"ends in {path.suffix or 'nothing'}; accepted: {', '.join(FORMATS)}")
    check_place(path)


def check_place(path: Path) -> None:
    """Refuse a file that could not be written where it is to be, whatever is in it.

    Raises
    ------
    AudioWriteError
        If it is a directory, a device, a pipe or an open stream, or its folder is none or cannot be written to.
    """
    if path.is_dir():
        raise AudioWriteError(str(path), "is a directory")
    if not is_replaceable(path):
        raise AudioWriteError(str(path), NO_FILE)
    if not path.absolute().parent.is_dir():
        raise AudioWriteError(str(path), f"there is no folder {path.absolute().parent}")
    if not os.access(path.absolute().parent, os.W_OK):
        raise AudioWriteError(str(path), f"the folder {path.absolute().parent} cannot be written to")


def write_wav(audio: NativeAudio, file: IO[bytes], name: str = "audio") -> None:
    """Write audio to an open file as WAV; `name` is for errors.

    Raises
    ------
    AudioWriteError
        If it takes more than the 4 GiB that the format holds.
    """
    samples, channels = audio.samples.shape
    if samples * channels * audio.bits // 8 > _MOST_WAV_BYTES:
        raise AudioWriteError(name, "takes more than the 4 GiB that WAV holds; accepted: a name that ends in .flac")
    with wave.open(file, "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(audio.bits // 8)
        out.setframerate(audio.sample_rate)
        out.setnframes(samples)
        for part in _integers(audio):
            little = part.astype("<i4").view(np.uint8).reshape(-1, 4)
            out.writeframesraw(little[:, : audio.bits // 8].tobytes())


def _write_flac(audio: NativeAudio, file: IO[bytes], name: str) -> None:
    channels = audio.samples.shape[1]
    if channels > _MOST_FLAC_CHANNELS:
        raise AudioWriteError(name, f"has {channels} channels, FLAC holds {_MOST_FLAC_CHANNELS}; accepted: .wav")
    with av.open(file, "w", format="flac") as container:
        stream = container.add_stream("flac", rate=audio.sample_rate)
        stream.layout = audio.layout
        stream.format = "s32" if audio.bits == 24 else "s16"
        if audio.bits == 24:
            stream.codec_context.options = {"bits_per_raw_sample": "24"}
        for part in _integers(audio):
            values = part << 8 if audio.bits == 24 else part.astype(np.int16)
            frame = av.AudioFrame.from_ndarray(values.reshape(1, -1), format=stream.format.name, layout=audio.layout)
            frame.sample_rate = audio.sample_rate
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))


def _integers(audio: NativeAudio) -> Iterator[np.ndarray[tuple[int, int], np.dtype[np.int32]]]:
    """Samples as whole numbers of their width, int32 [samples, channels], part by part; clipped at full scale."""
    scale = 1 << (audio.bits - 1)
    for start in range(0, len(audio.samples), _AT_ONCE):
        part = audio.samples[start : start + _AT_ONCE].astype(np.float64) * scale
        yield np.clip(np.rint(part), -scale, scale - 1).astype(np.int32)
