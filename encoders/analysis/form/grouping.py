"""Which sections of a track sound alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_FARTHEST = 0.4
_APART = 4.0
_ALPHABET = 26


def grouped(sounds: NDArray[np.float64], kinds: Sequence[int | bool], *, farthest: float = _FARTHEST) -> list[str]:
    """A letter for each section; those that sound alike have the same.

    Average linkage of the cosine distances of what they sound like.

    Parameters
    ----------
    sounds : float64 [sections, dim], of any norm
    kinds : sections of different kinds are never alike
    farthest : distance up to which two groups become one
    """
    if len(sounds) < 2:
        return ["A"] * len(sounds)
    directions = sounds / np.linalg.norm(sounds, axis=1, keepdims=True).clip(1e-9)
    distances = (1 - directions @ directions.T).clip(0)
    kind = np.asarray(kinds)
    distances[kind[:, None] != kind] = _APART
    condensed = distances[np.triu_indices(len(sounds), 1)]
    numbers = fcluster(linkage(condensed, "average"), farthest, "distance")
    order: dict[int, int] = {}
    return [_letter(order.setdefault(int(number), len(order))) for number in numbers]


def _letter(number: int) -> str:
    """0 → A, 25 → Z, 26 → AA, as columns of a table are named."""
    more, own = divmod(number, _ALPHABET)
    return (_letter(more - 1) if more else "") + chr(ord("A") + own)
