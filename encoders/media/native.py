"""Audio as its file holds it: at its own rate, with all its channels, for what is cut rather than heard.

Samples lie in a temporary file that is gone with them: an hour of stereo would take more than a gigabyte of memory.
"""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import numpy as np
from av.audio.resampler import AudioResampler

from encoders.errors import TooLongError, TooShortError
from encoders.media.decode import ailing_of, frames_of
from encoders.media.decoded import DEFAULT_LIMITS, MediaLimits
from encoders.media.files.parts import unreadable
from encoders.media.healing import cured, is_suspicious
from encoders.media.polarity import frame_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray

MOST_BYTES = 6 << 30
"""Of samples on disk: an hour of 5.1 at 48 kHz takes four, what would take more is refused."""
_DEEP_FORMATS = frozenset({"s32", "s32p", "s64", "s64p", "flt", "dbl"})
"""Of PCM and lossless codecs; lossy ones give ``fltp``."""


@dataclass(frozen=True, eq=False)
class NativeAudio:
    """One file's audio, as it is.

    Attributes
    ----------
    samples : float32 [samples, channels], about -1 … 1
    sample_rate : Hz
    layout : FFmpeg's name of the channels: ``mono``, ``stereo``, ``5.1``
    bits : 24 where the file holds more than 16 bits a sample, else 16
    """

    samples: NDArray[np.float32]
    sample_rate: int
    layout: str
    bits: int

    @property
    def duration_s(self) -> float:
        """How long it is."""
        return len(self.samples) / self.sample_rate


@dataclass(frozen=True)
class Written:
    """What lies in a file of samples; attributes as of :class:`NativeAudio`."""

    samples: int
    channels: int
    sample_rate: int
    layout: str
    bits: int


def decode_native(source: Path, *, limits: MediaLimits = DEFAULT_LIMITS) -> NativeAudio:
    """Decode the first audio stream at its own rate, with all its channels.

    Where the stream changes its format midway, all of it comes as it begins.

    Raises
    ------
    UnreadableMediaError, NoAudioError, TooShortError, TooLongError
        As of :func:`encoders.media.decode.decode`. Silence is no error: it can be cut like anything else.
    """
    with tempfile.TemporaryFile() as file:
        written = write_samples(source, file, limits=limits)
        file.flush()
        return mapped(file, written)


def write_samples(source: Path, file: IO[bytes], *, limits: MediaLimits = DEFAULT_LIMITS) -> Written:
    """Decode as :func:`decode_native` does, into an open file: interleaved float32.

    Raises
    ------
    UnreadableMediaError, NoAudioError, TooShortError, TooLongError
        As of :func:`decode_native`.
    """
    name = str(source)
    try:
        first, samples, is_sound = _write(frames_of(source, name, limits), file, name)
        if not is_sound and (ailing := ailing_of(frames_of(source, name, limits), name)):
            file.seek(0)
            file.truncate()
            first, samples, _ = _write(cured(frames_of(source, name, limits), ailing), file, name)
    except av.FFmpegError as error:
        raise unreadable(name, error) from error
    if samples < limits.min_duration_s * first.sample_rate:
        found_s = samples / first.sample_rate
        raise TooShortError(name, f"{found_s:.2f} s of audio, at least {limits.min_duration_s:g} s are needed")
    bits = 24 if first.format.name in _DEEP_FORMATS else 16
    return Written(samples, first.layout.nb_channels, first.sample_rate, first.layout.name, bits)


def mapped(file: IO[bytes], written: Written) -> NativeAudio:
    """What was written to a file, which may be closed and gone from then on."""
    samples = np.memmap(file, np.float32, "r", shape=(written.samples, written.channels))
    return NativeAudio(samples, written.sample_rate, written.layout, written.bits)


def samples_on_disk(samples: int, channels: int) -> NDArray[np.float32]:
    """Silence to be written to, float32 [samples, channels], in a temporary file that is gone with it."""
    if not samples * channels:
        return np.zeros((samples, channels), np.float32)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, "w+", shape=(samples, channels))


def _write(frames: Iterator[av.AudioFrame], file: IO[bytes], name: str) -> tuple[av.AudioFrame, int, bool]:
    """Write frames as interleaved float32, in the rate and layout of the first.

    Returns
    -------
    The first frame, how many samples of each channel were written, and whether nothing is suspicious about them.
    """
    is_sound = True

    def write(parts: Iterable[av.AudioFrame]) -> int:
        nonlocal is_sound
        written = 0
        for part in parts:
            values: NDArray[Any] = part.to_ndarray()
            is_sound = is_sound and not is_suspicious(values)
            if file.tell() + values.nbytes > MOST_BYTES:
                raise TooLongError(
                    name, f"takes more than {MOST_BYTES >> 30} GiB with all its channels at its own rate"
                )
            file.write(values.tobytes())
            written += part.samples
        return written

    first = next(frames)  # there is one, or an error came
    current = frame_format(first)
    resampler = AudioResampler("flt", first.layout, first.sample_rate)
    samples = 0
    for frame in itertools.chain([first], frames):
        if frame_format(frame) != current:
            samples += write(resampler.resample(None))
            current = frame_format(frame)
            resampler = AudioResampler("flt", first.layout, first.sample_rate)
        samples += write(resampler.resample(frame))
    samples += write(resampler.resample(None))
    return first, samples, is_sound
