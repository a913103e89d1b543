"""How accents are stored: one byte a value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_STEPS = 255


def packed(shares: NDArray[np.float32]) -> bytes:
    """Numbers of 0 … 1 to the nearest step."""
    return np.rint(_STEPS * np.clip(shares, 0, 1)).astype(np.uint8).tobytes()


def unpacked(stored: bytes) -> NDArray[np.float32]:
    """What was packed, float32 [n]."""
    shares: NDArray[np.float32] = np.frombuffer(stored, np.uint8).astype(np.float32) / np.float32(_STEPS)
    return shares
