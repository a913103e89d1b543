"""Where a waveform is like itself, to the part of a sample: normalised cross-correlation around two places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy import fft

if TYPE_CHECKING:
    from numpy.typing import NDArray

_SILENT = 1e-8
"""Mean square below which there is nothing to align (-80 dBFS)."""
_SINC_REACH = 32  # samples on either side
_PARTS = np.linspace(-1, 1, 33)
"""Where, between the neighbours of the highest correlation, its top is looked for."""


@dataclass(frozen=True)
class Alignment:
    """How far one place must be moved to be most like another, in samples, and how like it then is, -1 … 1."""

    shift: float
    correlation: float


def aligned(
    here: tuple[NDArray[np.float32], int],
    there: tuple[NDArray[np.float32], int],
    *,
    reach: int,
    half_length: int,
    lag_cost: float = 0.0,
) -> Alignment:
    """Move a place there until what is around it is most like what is around a place here.

    Parameters
    ----------
    here, there : a waveform, float32 [samples], and a place in it; both may be the same waveform
    reach : how far it may be moved, samples
    half_length : how much is compared on either side, samples; less where a waveform begins or ends
    lag_cost : correlation that a move of the whole reach must gain

    Returns
    -------
    The move, to the part of a sample; none, and no correlation, where nothing is heard.
    """
    (waveform, place), (other_waveform, other) = here, there
    left = min(half_length, place, other - reach)
    right = min(half_length, len(waveform) - place, len(other_waveform) - other - reach)
    if left < 0 or right < 0 or left + right < 2:
        return Alignment(0.0, 0.0)
    template = waveform[place - left : place + right]
    searched = other_waveform[other - left - reach : other + right + reach]
    if np.mean(np.square(template)) < _SILENT or np.mean(np.square(searched)) < _SILENT:
        return Alignment(0.0, 0.0)
    curve = _correlations(template, searched)
    weighted = curve - lag_cost * np.abs(np.arange(-reach, reach + 1)) / max(reach, 1)
    best = int(weighted.argmax())
    part, top = _peak(curve, best)
    return Alignment(best + part - reach, min(1.0, top))


def _correlations(template: NDArray[np.float32], searched: NDArray[np.float32]) -> NDArray[np.float64]:
    """Normalised correlation of a template with every stretch of its length, float64 [stretches]."""
    template = template - template.mean()
    size = fft.next_fast_len(len(searched), real=True)
    spectrum = fft.rfft(searched, size) * np.conj(fft.rfft(template, size))
    count = len(searched) - len(template) + 1
    products = fft.irfft(spectrum, size)[:count].astype(np.float64)
    sums = np.concatenate([[0.0], np.cumsum(searched, dtype=np.float64)])
    squares = np.concatenate([[0.0], np.cumsum(np.square(searched, dtype=np.float64))])
    length = len(template)
    sums, squares = sums[length:] - sums[:-length], squares[length:] - squares[:-length]
    power = np.maximum(squares - sums**2 / length, _SILENT * length)
    # A template that does not move is like nothing: it has no shape to be found again.
    energy = max(float(np.square(template, dtype=np.float64).sum()), _SILENT * length)
    return np.asarray(products / np.sqrt(power * energy))


def _peak(curve: NDArray[np.float64], best: int) -> tuple[float, float]:
    """The top of the curve between the neighbours of its highest value: where, relative to it, and how high.

    Between samples the correlation is that of band-limited sound: a sinc, windowed, goes through it. The parabola
    through three values would lie too low where the top is between two of them, and the more so the wider the band.
    """
    reach = min(_SINC_REACH, best, len(curve) - 1 - best)
    if reach < 1:
        return 0.0, float(curve[best])
    apart = _PARTS[:, None] - np.arange(-reach, reach + 1)
    window = np.cos(np.pi / 2 * np.clip(apart / (reach + 1), -1, 1)) ** 2
    between = (np.sinc(apart) * window) @ curve[best - reach : best + reach + 1]
    top = int(between[1:-1].argmax()) + 1
    before, at, after = between[top - 1 : top + 2]
    bend = before - 2 * at + after
    part = float(np.clip((before - after) / (2 * bend), -0.5, 0.5)) if bend < 0 else 0.0
    return float(_PARTS[top] + part * (_PARTS[1] - _PARTS[0])), float(at - (before - after) * part / 4)
