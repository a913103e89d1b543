"""One tempo and one metre for a whole track: those of most of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PHRASE = 8
"""Beats over which a tempo is measured, so that no single one counts."""
_ALIKE = 0.04
_GAP = 2.5
"""Beats further apart than so many of the usual distance have others missing between them."""


def tempo_of(beats_s: NDArray[np.float64]) -> float | None:
    """Beats a minute that most of a track keeps to within 4 %; none of fewer than two beats.

    Parameters
    ----------
    beats_s : float64 [n], ascending
    """
    gaps_s = np.diff(beats_s)
    if not len(gaps_s):
        return None
    n_beats = min(_PHRASE, len(gaps_s))
    spans_s = beats_s[n_beats:] - beats_s[:-n_beats]
    usual = np.median(spans_s)
    lengths_s = spans_s[spans_s < _GAP * usual] / n_beats
    alike = np.abs(np.log(lengths_s[:, None] / lengths_s[None, :: max(1, len(lengths_s) // 200)])) < _ALIKE
    best = alike[:, (alike * lengths_s[:, None]).sum(axis=0).argmax()]
    return float(60 / lengths_s[best].mean())


def meter_of(meters: NDArray[np.int64]) -> int | None:
    """The metre of most beats, given the length of each beat's bar; none of no beats."""
    return int(np.bincount(meters).argmax()) if len(meters) else None
