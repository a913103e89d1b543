"""Keep freed memory for the next window, instead of giving it back to the system and faulting it in again.

A window's activations are megabytes; glibc maps blocks of that size anew for every tensor, and every page then faults
at its first touch. That took a third of the time of small networks (benchmarks/RESULTS.md).
"""

from __future__ import annotations

import ctypes
from functools import cache

_M_TRIM_THRESHOLD = -1
_M_TOP_PAD = -2
_M_MMAP_THRESHOLD = -3
_LARGEST_KEPT = 32 * 2**20  # glibc takes no more


@cache
def keep_freed_memory() -> bool:
    """Tell glibc to reuse blocks of up to 32 MiB; false where the C library is another one, and nothing changes."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    options = ((_M_MMAP_THRESHOLD, _LARGEST_KEPT), (_M_TRIM_THRESHOLD, 16 * _LARGEST_KEPT), (_M_TOP_PAD, _LARGEST_KEPT))
    return all(mallopt(option, value) for option, value in options)
