"""How a melody is stored: whole cents of the first step, and from each step to the next, as deflated int16.

A held note is a run of zeros, so a minute at a hundred steps a second takes about a kilobyte.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import RetrievalError

CENTS = 100
HIGHEST = 127
_UNVOICED = -1
_STEP_DTYPE = np.dtype("<i2")


def packed(pitches: NDArray[np.float32]) -> bytes:
    """Pitches [steps], MIDI numbers, NaN where there is none, to the nearest cent.

    Raises
    ------
    RetrievalError
        If there is a pitch outside 0 … 127.
    """
    cents = np.round(np.asarray(pitches, np.float64) * CENTS)
    is_voiced = ~np.isnan(cents)
    outside = is_voiced & ~((cents >= 0) & (cents <= HIGHEST * CENTS))
    if outside.any():
        step = int(np.argmax(outside))
        raise RetrievalError(f"a melody's step {step} has pitch {pitches[step]:g}: accepted are 0 to {HIGHEST}, or NaN")
    steps = np.diff(np.where(is_voiced, cents, _UNVOICED).astype(_STEP_DTYPE), prepend=_STEP_DTYPE.type(0))
    return zlib.compress(steps.tobytes(), level=9)


def unpacked(stored: bytes) -> NDArray[np.float32]:
    """The pitches that were packed, float32 [steps]."""
    cents = np.cumsum(np.frombuffer(zlib.decompress(stored), _STEP_DTYPE), dtype=np.int32)
    return np.where(cents == _UNVOICED, np.nan, cents / CENTS).astype(np.float32)
