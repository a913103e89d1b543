"""How alike two rankings of the same tracks are.

- overlap@k: share of the first k that both have.
- Rank-biased overlap (Webber, Moffat & Zobel, A similarity measure for indefinite rankings, TOIS 28, 2010),
  extrapolated from lists of depth k (equation 32, for lists of one length without ties): with X_d tracks in common
  among the first d, X_k/k p^k + (1 − p)/p Σ_{d ≤ k} X_d/d p^d. The first ranks count most: at p = 0.9 the first ten
  hold 86 % of the weight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

PERSISTENCE = 0.9
_QUERIES_AT_ONCE = 1_024


def common_by_depth(first: NDArray[np.int64], second: NDArray[np.int64]) -> NDArray[np.int64]:
    """How many tracks the first d of two lists share, for d from 1 to k.

    Parameters
    ----------
    first, second : int64 [n, k], tracks, each once in a list

    Returns
    -------
    int64 [n, k]
    """
    n, k = first.shape
    common = np.zeros((n, k), np.int64)
    deeper = np.maximum(np.arange(k)[:, np.newaxis], np.arange(k))
    for start in range(0, n, _QUERIES_AT_ONCE):
        rows = slice(start, start + _QUERIES_AT_ONCE)
        query, one, other = np.nonzero(first[rows, :, np.newaxis] == second[rows, np.newaxis, :])
        np.add.at(common[rows], (query, deeper[one, other]), 1)
    return np.cumsum(common, axis=1)


def overlap_at(k: int, common: NDArray[np.int64]) -> NDArray[np.float64]:
    """Share of the first k that both have, float64 [n], from `common_by_depth` [n, ≥ 1]; of shorter lists, of all."""
    depth = min(k, common.shape[1])
    share: NDArray[np.float64] = common[:, depth - 1] / depth
    return share


def rank_biased_overlap(common: NDArray[np.int64], *, p: float = PERSISTENCE) -> NDArray[np.float64]:
    """Extrapolated rank-biased overlap, float64 [n], 0 to 1, from `common_by_depth` [n, k]."""
    depth = np.arange(1, common.shape[1] + 1)
    agreement = common / depth
    overlap: NDArray[np.float64] = agreement[:, -1] * p ** depth[-1] + (1 - p) / p * (agreement * p**depth).sum(axis=1)
    return overlap
