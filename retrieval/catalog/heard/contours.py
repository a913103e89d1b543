"""How a melody is stored: whole cents of the first step, and from each step to the next, as deflated int16.

A held note is a run of zeros, so a minute at a hundred steps a second takes about a kilobyte. A pitch where there is no
melody lies below -1, -1 itself being no pitch at all.
"""

import zlib

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import RetrievalError

CENTS = 100
HIGHEST = 127
_NONE = -1
_STEP_DTYPE = np.dtype("<i2")


def packed(pitches: NDArray[np.float32], unvoiced: NDArray[np.float32]) -> bytes:
    """Pitches [steps], MIDI numbers, to the nearest cent, NaN where there is none, and those of the rest likewise.

    Raises
    ------
    RetrievalError
        If there is a pitch outside 0 … 127, or there are more of one than of the other.
    """
    if len(pitches) != len(unvoiced):
        raise RetrievalError(f"a melody has {len(pitches)} steps, and {len(unvoiced)} of what is unvoiced")
    voiced, rest = _cents(pitches), _cents(unvoiced)
    cents = np.where(voiced != _NONE, voiced, np.where(rest != _NONE, _NONE - 1 - rest, _NONE))
    steps = np.diff(cents.astype(_STEP_DTYPE), prepend=_STEP_DTYPE.type(0))
    return zlib.compress(steps.tobytes(), level=9)


def unpacked(stored: bytes) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """What was packed: pitches and unvoiced ones, float32 [steps] each."""
    cents = np.cumsum(np.frombuffer(zlib.decompress(stored), _STEP_DTYPE), dtype=np.int32)
    voiced, rest = cents > _NONE, cents < _NONE
    return (
        np.where(voiced, cents / CENTS, np.nan).astype(np.float32),
        np.where(rest, (_NONE - 1 - cents) / CENTS, np.nan).astype(np.float32),
    )


def _cents(pitches: NDArray[np.float32]) -> NDArray[np.int64]:
    """Whole cents, and :data:`_NONE` where there is no pitch."""
    cents = np.round(np.asarray(pitches, np.float64) * CENTS)
    known = ~np.isnan(cents)
    outside = known & ~((cents >= 0) & (cents <= HIGHEST * CENTS))
    if outside.any():
        step = int(np.argmax(outside))
        raise RetrievalError(f"a melody's step {step} has pitch {pitches[step]:g}: accepted are 0 to {HIGHEST}, or NaN")
    return np.where(known, cents, _NONE).astype(np.int64)
