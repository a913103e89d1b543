"""Halves become the floats that they are."""

import numpy as np

from retrieval.halves import widen


def test_every_finite_half_is_widened_exactly() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    finite = halves[np.isfinite(halves)]
    widened = widen(finite, np.empty(len(finite), np.float32))
    np.testing.assert_array_equal(widened.view(np.uint32), finite.astype(np.float32).view(np.uint32))
