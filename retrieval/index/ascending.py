"""Sets of numbers as ascending arrays.

By sorting: numpy's own `unique` and `isin` hash integers, and take a hundred times as long on a million that are in
order already.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.index.jit import INTS, compiled


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The values, of any shape, each once: int64 [n_distinct] ascending."""
    ascending = np.sort(values, axis=None)
    first = np.ones(len(ascending), bool)
    first[1:] = ascending[1:] != ascending[:-1]
    return ascending[first]


def contained(some: NDArray[np.int64], among: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of `some`, of any order and shape, stand in `among`, which ascends."""
    if not len(among):
        return np.zeros(some.shape, bool)
    found: NDArray[np.bool_] = np.take(among, np.searchsorted(among, some), mode="clip") == some
    return found


@compiled()
def _place(values: NDArray[np.int64], start: int, wanted: int) -> Any:
    """The first place of a value that is no less than the one wanted; those before the start are less."""
    # Ids hardly skip any: where each stands once, that is where it stands.
    guess = start + wanted - values[start]
    if start <= guess < len(values) and values[guess] == wanted and (guess == start or values[guess - 1] < wanted):
        return guess
    step = 1
    while start + step < len(values) and values[start + step] < wanted:
        start, step = start + step, 2 * step
    end = min(start + step, len(values))
    while start < end:
        middle = (start + end) // 2
        if values[middle] < wanted:
            start = middle + 1
        else:
            end = middle
    return start


@compiled(INTS, INTS)
def places(values: NDArray[np.int64], wanted: NDArray[np.int64]) -> Any:
    """Places, int64 [n] ascending, in `values`, which ascend with repeats, of `wanted`, which ascend without."""
    firsts, count, at = np.empty(len(wanted), np.int64), 0, 0
    for i in range(len(wanted)):
        at = _place(values, at, wanted[i]) if at < len(values) else at
        firsts[i] = at
        while at < len(values) and values[at] == wanted[i]:
            at, count = at + 1, count + 1
    found, n = np.empty(count, np.int64), 0
    for i in range(len(wanted)):
        at = firsts[i]
        while at < len(values) and values[at] == wanted[i]:
            found[n] = at
            at, n = at + 1, n + 1
    return found
