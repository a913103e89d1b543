"""Black bars above, below and beside a picture: rows and columns that are black in every frame."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_BLACK = 12.0  # mean of a row's or column's brightest values over time; coding noise in bars stays below
_MOST = 0.45  # of the picture on one side: what leaves less is a dark picture
_MIXED = 2  # rows or columns


def within_bars(frames: Sequence[NDArray[np.uint8]]) -> tuple[slice, slice]:
    """Rows and columns of the picture within black bars; all of them where all is black.

    Parameters
    ----------
    frames : uint8 [height, width, 3] each, at least one, of one shape
    """
    brightest = np.zeros(frames[0].shape[:2], np.uint8)
    for frame in frames:
        np.maximum(brightest, frame.max(axis=2), out=brightest)
    return _lit(brightest.mean(axis=1)), _lit(brightest.mean(axis=0))


def _lit(levels: NDArray[np.float64]) -> slice:
    lit = np.flatnonzero(levels > _BLACK)
    size = levels.size
    if not lit.size or lit[0] > _MOST * size or size - 1 - lit[-1] > _MOST * size:
        return slice(0, size)
    first, last = int(lit[0]), int(lit[-1])
    # Where a bar meets the picture, scaling and coding have mixed them.
    first, last = first + (_MIXED if first else 0), last - (_MIXED if last < size - 1 else 0)
    return slice(first, last + 1) if first <= last else slice(0, size)
