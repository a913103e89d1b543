"""Cut a waveform into encoder windows, and pool their embeddings into one vector for the track.

Windows do not overlap; the first begins where the sound does, so that silence before or after it changes nothing. Sound
shorter than one window is repeated until it fills one. What is left after the last full window becomes one more window,
ending with the sound, if at least half of that window is new audio; a shorter rest is dropped, as it would count the
audio before it twice. Silent windows are left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from encoders.errors import NonFiniteError, ShapeError, SilentAudioError, ZeroEmbeddingError
from encoders.media.loudness import LOUDNESS_DBFS

if TYPE_CHECKING:
    from numpy.typing import NDArray

SILENCE_DB = -50.0
"""Peak of a window below which it is silent, relative to the loudness of the track: below it lie the noise of a quiet
16-bit file and the rests of a lossy codec, which are not the same in all copies of a track."""
SILENCE_PEAK = 10 ** ((LOUDNESS_DBFS + SILENCE_DB) / 20)
"""The same as an amplitude, in a waveform at :data:`encoders.media.loudness.LOUDNESS_DBFS`."""

_AT_ONCE = 1 << 16  # samples: silence is short, as a rule, and the rest need not be looked at


@dataclass(frozen=True)
class Segments:
    """Windows float32 [n, window_length] of a waveform, and where each starts, float64 [n], in seconds."""

    windows: NDArray[np.float32]
    starts_s: NDArray[np.float64]


def segment(waveform: NDArray[np.float32], *, sample_rate: int, window_length: int) -> Segments:
    """Cut a waveform into the windows that are worth encoding.

    Parameters
    ----------
    waveform : float32 [samples], mono, as loud as :mod:`encoders.media.loudness` makes it
    sample_rate : Hz
    window_length : samples

    Returns
    -------
    At least one window. The windows are a read-only view of the waveform where none had to be moved or left out.

    Raises
    ------
    ShapeError
        If the waveform is not one-dimensional.
    SilentAudioError
        If no window rises above :data:`SILENCE_PEAK`.
    """
    if waveform.ndim != 1:
        raise ShapeError(f"a mono waveform has shape [samples], not {list(waveform.shape)}")
    silence = _silence_before(waveform)
    waveform = waveform[silence : waveform.size - _silence_before(waveform[::-1])]
    if 0 < waveform.size < window_length:
        waveform = np.resize(waveform, window_length)
    starts = _window_starts(waveform.size, window_length)
    if starts.size:
        every_window = sliding_window_view(waveform, window_length)
        regular = every_window[::window_length]
        windows = regular if len(regular) == len(starts) else every_window[starts]
        # From peak to peak, so that a constant offset in a rest is no sound.
        loud = windows.max(axis=1) - windows.min(axis=1) >= 2 * SILENCE_PEAK
        if loud.all():
            return Segments(windows, (silence + starts) / sample_rate)
        if loud.any():
            return Segments(windows[loud], (silence + starts[loud]) / sample_rate)
    raise SilentAudioError("waveform", f"silent in every window of {window_length / sample_rate:.2f} s")


def _silence_before(waveform: NDArray[np.float32]) -> int:
    """How many samples come before the first that is not silent; all, if none is."""
    for start in range(0, waveform.size, _AT_ONCE):
        loud = np.abs(waveform[start : start + _AT_ONCE]) >= SILENCE_PEAK
        if loud.any():
            return start + int(loud.argmax())
    return waveform.size


def _window_starts(samples: int, window_length: int) -> NDArray[np.int64]:
    full, rest = divmod(samples, window_length)
    starts = np.arange(full, dtype=np.int64) * window_length
    return np.append(starts, samples - window_length) if full and 2 * rest >= window_length else starts


def pool(embeddings: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average segment embeddings into one unit-length track embedding.

    Parameters
    ----------
    embeddings : float32 [n, dim], n at least 1, any norm

    Returns
    -------
    float32 [dim], L2 norm 1

    Raises
    ------
    ShapeError
        If there is no embedding to average.
    NonFiniteError
        If an embedding holds NaN or infinity.
    ZeroEmbeddingError
        If the mean has zero norm.
    """
    if embeddings.ndim != 2 or not len(embeddings):
        raise ShapeError(f"embeddings have shape [n, dim] with n at least 1, not {list(embeddings.shape)}")
    if not np.isfinite(embeddings).all():
        raise NonFiniteError("a segment embedding holds NaN or infinity")
    mean = embeddings.mean(axis=0, dtype=np.float64)
    norm = float(np.linalg.norm(mean))
    if norm == 0:
        raise ZeroEmbeddingError(f"the mean of {len(embeddings)} segment embeddings has zero norm")
    track_embedding: NDArray[np.float32] = (mean / norm).astype(np.float32)
    return track_embedding
