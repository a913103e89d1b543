"""Accents of a track, and how they are stored: one byte a value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = 255


@dataclass(frozen=True, eq=False)
class TrackAccents:
    """What of a track meets what is seen, `rate` values a second.

    Attributes
    ----------
    onsets, loudness : float32 [n] each, 0 … 1, stored in 255 steps
    """

    rate: float
    onsets: NDArray[np.float32]
    loudness: NDArray[np.float32]


def packed(shares: NDArray[np.float32]) -> bytes:
    """Numbers of 0 … 1 to the nearest step."""
    return np.rint(_STEPS * np.clip(shares, 0, 1)).astype(np.uint8).tobytes()


def unpacked(stored: bytes) -> NDArray[np.float32]:
    """What was packed, float32 [n]."""
    shares: NDArray[np.float32] = np.frombuffer(stored, np.uint8).astype(np.float32) / np.float32(_STEPS)
    return shares
