"""One loudness for every track, so that a quiet master of a song is the same song to an encoder.

Loudness is the power of the blocks that are loud for this track, as in ITU-R BS.1770-4, but relative alone: with its
absolute gate, the result would depend on the level. Silence around music, and rests, do not count. Neither does a
constant offset of the samples, which nobody hears, and which is taken out.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from encoders.errors import ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOUDNESS_DBFS = -15.0
"""Root mean square of the loud blocks, as of an average pop master."""
_BLOCK_S = 0.4
_GATE_DB = -10.0  # below the mean of all blocks that are not silent for this track
_SILENT_DB = -40.0  # below the loudest block


def normalised(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """A waveform float32 [samples] at :data:`LOUDNESS_DBFS`; silence stays as it is.

    Raises
    ------
    ShapeError
        If the waveform is not one-dimensional.
    """
    if waveform.ndim != 1:
        raise ShapeError(f"a mono waveform has shape [samples], not {list(waveform.shape)}")
    offset, power = _loud_part(waveform, sample_rate)
    if power == 0:
        return waveform
    louder = waveform - np.float32(offset)
    louder *= np.float32(10 ** (LOUDNESS_DBFS / 20) / np.sqrt(power))  # in place: an hour takes 300 MB
    return louder


def _loud_part(waveform: NDArray[np.float32], sample_rate: int) -> tuple[float, float]:
    """Mean and variance of the blocks of 0.4 s that are loud for this waveform; 0 for silence, or for no samples."""
    length = max(1, min(round(_BLOCK_S * sample_rate), waveform.size))
    full = waveform.size // length * length
    # What is left over is heard in a block that ends with the waveform: it may be all the sound there is.
    parts = [waveform[:full], waveform[-length:]] if full < waveform.size else [waveform]
    means, powers = (np.concatenate(values) for values in zip(*(_moments(part, length) for part in parts), strict=True))
    heard = powers > powers.max(initial=0.0) * 10 ** (_SILENT_DB / 10)
    if not heard.any():
        return 0.0, 0.0
    means, powers = means[heard], powers[heard]
    loud = powers >= powers.mean() * 10 ** (_GATE_DB / 10)
    return float(means[loud].mean()), float(powers[loud].mean())


def _moments(waveform: NDArray[np.float32], length: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and variance of each block of a waveform [n * length], float64 [n]."""
    blocks = waveform.reshape(-1, length)
    means = blocks.mean(axis=1).astype(np.float64)
    squares = np.einsum("ij,ij->i", blocks, blocks).astype(np.float64) / length
    # Rounding leaves of a block that is constant one part in a million at most, and below zero even.
    variances = squares - means**2
    return means, np.where(variances > 1e-6 * squares, variances, 0.0)
