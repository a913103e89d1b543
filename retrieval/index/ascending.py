"""Sets of numbers as ascending arrays.

By sorting: numpy's own `unique` and `isin` hash integers, and take a hundred times as long on a million that are in
order already.
"""

import numpy as np
from numpy.typing import NDArray

from retrieval.index import loading


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


def places(values: NDArray[np.int64], requested: NDArray[np.int64]) -> NDArray[np.int64]:
    """Places, int64 [n] ascending, in `values`, which ascend with repeats, of those requested, ascending without."""
    if not loading.are_worth_it(len(values)):
        return np.flatnonzero(contained(values, requested))
    from retrieval.index import kernels

    found: NDArray[np.int64] = kernels.places(values, requested)
    return found
