"""The places of some numbers among many that ascend, found in steps that double."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.index.kernels.compiling import INTS, compiled

if TYPE_CHECKING:
    from retrieval.index.kernels.compiling import Ints


@compiled()
def _place(values: Ints, start: int, value: int) -> Any:
    """The first place of a value that is no less than this one; those before the start are less."""
    # Ids hardly skip any: where each stands once, that is where it stands.
    guess = start + value - values[start]
    if start <= guess < len(values) and values[guess] == value and (guess == start or values[guess - 1] < value):
        return guess
    step = 1
    while start + step < len(values) and values[start + step] < value:
        start, step = start + step, 2 * step
    end = min(start + step, len(values))
    while start < end:
        middle = (start + end) // 2
        if values[middle] < value:
            start = middle + 1
        else:
            end = middle
    return start


@compiled(INTS, INTS)
def places(values: Ints, requested: Ints) -> Any:
    """See `retrieval.index.ascending.places`."""
    firsts, count, at = np.empty(len(requested), np.int64), 0, 0
    for i in range(len(requested)):
        at = _place(values, at, requested[i]) if at < len(values) else at
        firsts[i] = at
        while at < len(values) and values[at] == requested[i]:
            at, count = at + 1, count + 1
    every_place, n = np.empty(count, np.int64), 0
    for i in range(len(requested)):
        at = firsts[i]
        while at < len(values) and values[at] == requested[i]:
            every_place[n] = at
            at, n = at + 1, n + 1
    return every_place
