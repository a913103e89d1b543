"""How great a change of sound there is at a place: a seam is heard where it is greater than the track's own.

Spectral flux: the sum over frequencies of what rises of ``log(1 + 100 · magnitude)`` from one frame to the next (after
Böck & Widmer, "Maximum filter vibrato suppression for onset detection", DAFx 2013, without the filter); at a place, the
greatest of the frames that reach it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy.signal import get_window

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WINDOW_S, _HOP_S, _LAG_S = 0.046, 0.01, 0.02
_AROUND_S = 0.03
_GAMMA = 100.0
REACH_S = 0.1
"""How far from a place its flux may hear, at most."""


def flux(samples: NDArray[np.float32], sample_rate: int, place: int) -> float:
    """Greatest spectral flux of the frames around a place.

    Parameters
    ----------
    samples : float32 [samples, channels]
    place : a sample
    """
    size, hop, lag = (max(1, round(length_s * sample_rate)) for length_s in (_WINDOW_S, _HOP_S, _LAG_S))
    size = max(size, 16)
    frames = 2 * round(_AROUND_S / _HOP_S) + 1 + round(lag / hop)
    first = place - frames // 2 * hop - size // 2 - lag // 2
    wanted = size + (frames - 1) * hop
    part = samples[max(0, first) : max(0, first + wanted)].mean(axis=1, dtype=np.float32)
    part = np.pad(part, (max(0, -first), max(0, wanted - len(part) - max(0, -first))))
    windows = sliding_window_view(part, size)[::hop] * _window(size)
    magnitudes = np.log1p(_GAMMA * np.abs(fft.rfft(windows)))
    apart = max(1, round(lag / hop))
    return float(np.maximum(magnitudes[apart:] - magnitudes[:-apart], 0).sum(axis=1).max())


def fluxes(samples: NDArray[np.float32], sample_rate: int, places: NDArray[np.int64]) -> NDArray[np.float64]:
    """The flux at each of several places, float64 [places]."""
    return np.array([flux(samples, sample_rate, int(place)) for place in places], np.float64)


def _window(size: int) -> NDArray[np.float32]:
    window = get_window("hann", size).astype(np.float32)
    return np.asarray(window * np.float32(2 / window.sum()))
