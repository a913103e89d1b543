"""One loudness for every track, so that a quiet master of a song is the same song to an encoder.

Loudness is the power of the blocks that are loud for this track, as in ITU-R BS.1770-4, but relative alone: with its
absolute gate, the result would depend on the level. Silence around music, and rests, do not count, nor does a constant
offset of the samples. It is left in: silence would not be zero without it, and encoders hardly hear it.
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
    gain = gain_of(waveform, sample_rate)
    return waveform if gain == 1 else waveform * gain


def gain_of(waveform: NDArray[np.float32], sample_rate: int) -> np.float32:
    """What brings a waveform float32 [samples] to :data:`LOUDNESS_DBFS`, part by part as well; 1 for silence.

    Raises
    ------
    ShapeError
        If the waveform is not one-dimensional.
    """
    if waveform.ndim != 1:
        raise ShapeError(f"a mono waveform has shape [samples], not {list(waveform.shape)}")
    power = loud_power(waveform, sample_rate)
    return np.float32(10 ** (LOUDNESS_DBFS / 20) / np.sqrt(power) if power else 1)


def loud_power(waveform: NDArray[np.float32], sample_rate: int) -> float:
    """Variance of the blocks of 0.4 s that are loud for this waveform; 0 for silence, or for no samples."""
    length = max(1, min(round(_BLOCK_S * sample_rate), waveform.size))
    full = waveform.size // length * length
    # What is left over is heard in a block that ends with the waveform: it may be all the sound there is.
    parts = [waveform[:full], waveform[-length:]] if full < waveform.size else [waveform]
    powers = np.concatenate([_variances(part.reshape(-1, length)) for part in parts])
    heard = powers[powers > powers.max(initial=0.0) * 10 ** (_SILENT_DB / 10)]
    if not heard.size:
        return 0.0
    return float(heard[heard >= heard.mean() * 10 ** (_GATE_DB / 10)].mean())


def _variances(blocks: NDArray[np.float32]) -> NDArray[np.float64]:
    """Variance of each of the blocks [n, length], float64 [n], without a copy of them."""
    squares = np.einsum("ij,ij->i", blocks, blocks).astype(np.float64) / blocks.shape[1]
    variances = squares - np.square(blocks.mean(axis=1), dtype=np.float64)
    # Rounding leaves of a constant block a millionth at most, or less than nothing.
    return np.where(variances > 1e-6 * squares, variances, 0.0)
