"""A mean over songs, and how far it might be off: the percentile bootstrap (Efron, 1979), 95 %, over songs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

RESAMPLES = 10_000
_SEED = 18


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its 95 % interval, and the number of songs."""

    mean: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self}"

    def __format__(self, sign: str) -> str:
        """With a sign before each number if `sign` is +."""
        return f"{self.mean:{sign}.3f} [{self.low:{sign}.3f}, {self.high:{sign}.3f}]"


def interval(values: Sequence[float]) -> Interval:
    """Of one value a song, at least one."""
    found = np.asarray(values, dtype=float)
    drawn = np.random.default_rng(_SEED).integers(len(found), size=(RESAMPLES, len(found)))
    low, high = np.percentile(found[drawn].mean(axis=1), [2.5, 97.5])
    return Interval(float(found.mean()), float(low), float(high), len(found))
