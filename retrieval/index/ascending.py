"""Sets of numbers as ascending arrays.

By sorting: numpy's own `unique` and `isin` hash integers, and take a hundred times as long on a million that are in
order already.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.index.kernels.compiling import INTS, compiled


def distinct(values: NDArray[np.int64]) -> NDArray[np.int64]:
    """The values, of any shape, each once: int64 [n_distinct] ascending."""
    ascending = np.sort(values, axis=None)
    first = np.ones(len(ascending), bool)
    first[1:] = ascending[1:] != ascending[:-1]
    return ascending[first]


def contained(values: NDArray[np.int64], ascending: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which values, of any order and shape, stand in an ascending array."""
    if not len(ascending):
        return np.zeros(values.shape, bool)
    is_contained: NDArray[np.bool_] = np.take(ascending, np.searchsorted(ascending, values), mode="clip") == values
    return is_contained


@compiled()
def _place(values: NDArray[np.int64], start: int, value: int) -> Any:
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
def places(values: NDArray[np.int64], requested: NDArray[np.int64]) -> Any:
    """Places, int64 [n] ascending, in `values`, which ascend with repeats, of those requested, ascending without."""
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
