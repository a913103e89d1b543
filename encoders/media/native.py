"""Audio as its file holds it: at its own rate, with all its channels, for what is cut rather than heard.

Samples lie in a temporary file that is gone with them: an hour of stereo would take more than a gigabyte of memory.
"""

from __future__ import annotations

import itertools
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

import av
import numpy as np
from av.audio.resampler import AudioResampler

from encoders.errors import TooShortError, UnreadableMediaError
from encoders.media.decode import DEFAULT_LIMITS, MediaLimits, frames_of, unreadable
from encoders.media.polarity import frame_format

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path
    from typing import IO

    from numpy.typing import NDArray

_AT_ONCE = 1 << 20  # samples of each channel
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


def decode_native(source: Path, *, limits: MediaLimits = DEFAULT_LIMITS) -> NativeAudio:
    """Decode the first audio stream at its own rate, with all its channels.

    Where the stream changes its format midway, all of it comes as it begins.

    Raises
    ------
    UnreadableMediaError, NoAudioError, TooShortError, TooLongError
        As of :func:`encoders.media.decode.decode`. Silence is no error: it can be cut like anything else.
    """
    name = str(source)
    with tempfile.TemporaryFile() as file:
        try:
            first, samples = _write(frames_of(source, name, limits), file)
        except av.FFmpegError as error:
            raise unreadable(name, error) from error
        if samples < limits.min_duration_s * first.sample_rate:
            found_s = samples / first.sample_rate
            raise TooShortError(name, f"{found_s:.2f} s of audio, at least {limits.min_duration_s:g} s are needed")
        file.flush()
        mapped = np.memmap(file, np.float32, "r", shape=(samples, first.layout.nb_channels))
    if not all(np.isfinite(mapped[start : start + _AT_ONCE]).all() for start in range(0, samples, _AT_ONCE)):
        raise UnreadableMediaError(name, "holds samples that are not finite numbers")
    bits = 24 if first.format.name in _DEEP_FORMATS else 16
    return NativeAudio(mapped, first.sample_rate, first.layout.name, bits)


def samples_on_disk(samples: int, channels: int) -> NDArray[np.float32]:
    """Silence to be written to, float32 [samples, channels], in a temporary file that is gone with it."""
    if not samples * channels:
        return np.zeros((samples, channels), np.float32)
    with tempfile.TemporaryFile() as file:
        return np.memmap(file, np.float32, "w+", shape=(samples, channels))


def _write(frames: Iterator[av.AudioFrame], file: IO[bytes]) -> tuple[av.AudioFrame, int]:
    """Write frames as interleaved float32, in the rate and layout of the first; return it, and how many samples."""
    first = next(frames)  # there is one, or an error came
    current = frame_format(first)
    resampler = AudioResampler("flt", first.layout, first.sample_rate)
    samples = 0
    for frame in itertools.chain([first], frames):
        if frame_format(frame) != current:
            samples += _write_parts(resampler.resample(None), file)
            current = frame_format(frame)
            resampler = AudioResampler("flt", first.layout, first.sample_rate)
        samples += _write_parts(resampler.resample(frame), file)
    return first, samples + _write_parts(resampler.resample(None), file)


def _write_parts(parts: Iterable[av.AudioFrame], file: IO[bytes]) -> int:
    written = 0
    for part in parts:
        file.write(part.to_ndarray().tobytes())
        written += part.samples
    return written
