"""One loudness for every track, so that a quiet master of a song is the same song to an encoder.

Loudness is the power of the blocks that are loud for this track, as in ITU-R BS.1770-4, but relative alone: its
absolute gate, and with it the result, would depend on the level. Silence around music, and rests, do not count.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

LOUDNESS_DBFS = -15.0
"""Root mean square of the loud blocks, as of an average pop master."""
_BLOCK_S = 0.4
_GATE_DB = -10.0  # below the mean of all blocks that are not silent for this track
_SILENT_DB = -40.0  # below the loudest block


def normalised(waveform: NDArray[np.float32], sample_rate: int) -> NDArray[np.float32]:
    """A waveform float32 [samples] at :data:`LOUDNESS_DBFS`; silence stays as it is."""
    power = loud_power(waveform, sample_rate)
    if power == 0:
        return waveform
    gain = 10 ** (LOUDNESS_DBFS / 20) / np.sqrt(power)
    return waveform * np.float32(gain)


def loud_power(waveform: NDArray[np.float32], sample_rate: int) -> float:
    """Mean square of the blocks of 0.4 s that are loud for this waveform; 0 for silence, or for no samples."""
    length = max(1, min(round(_BLOCK_S * sample_rate), waveform.size))
    blocks = waveform[: waveform.size // length * length].reshape(-1, length)
    powers = np.einsum("ij,ij->i", blocks, blocks).astype(np.float64) / length
    heard = powers[powers > powers.max(initial=0.0) * 10 ** (_SILENT_DB / 10)]
    if not heard.size:
        return 0.0
    return float(heard[heard >= heard.mean() * 10 ** (_GATE_DB / 10)].mean())
