"""The rules of :mod:`retrieval.index.ann.stopping`, as they are evaluated for every query."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.index.kernels.compiling import FLOAT, FLOATS, FLOATS_2D, INTS, compiled

if TYPE_CHECKING:
    from retrieval.index.kernels.compiling import Floats, Ints

TUNING_KS = (10, 100, 1_000)
_LOG_KS = tuple(math.log(k) for k in TUNING_KS)
_STEPS = 16


@compiled()
def effort_for(cosine: Any, bounds: Floats) -> int:
    """Which effort a query needs whose nearest centroid has this cosine: the first with such a bound, or the last."""
    number = 0
    while number < len(bounds) and cosine < bounds[number]:
        number += 1
    return number


@compiled(FLOAT, FLOATS)
def for_k(k: float, measured: Floats) -> Any:
    """What was measured for `TUNING_KS`, for another k: a line in log k between (and beyond) them."""
    log_k, part = math.log(k), 1
    if log_k <= _LOG_KS[0]:
        return measured[0]
    while part + 1 < len(measured) and log_k > _LOG_KS[part]:
        part += 1
    slope = (measured[part] - measured[part - 1]) / (_LOG_KS[part] - _LOG_KS[part - 1])
    return measured[part] + slope * (log_k - _LOG_KS[part])


@compiled(FLOAT, FLOATS)
def reach_for(k: float, reaches: Floats) -> Any:
    """The same of a reach: the nearest list is always within it."""
    return max(for_k(k, reaches), 0.0)


@compiled(FLOATS_2D, INTS, FLOATS)
def unsure(cosines: Floats, efforts: Ints, usual: Floats) -> Ints:
    """The queries with fewer than k rows, or whose tenth is further than usual for the effort that they need.

    Parameters
    ----------
    cosines : float32 [n, k], best first
    efforts : int64 [n]
    usual : float32 [n_efforts]
    """
    queries, n, k = np.empty(len(cosines), np.int64), 0, cosines.shape[1]
    for query in range(len(cosines)):
        if cosines[query, min(k, TUNING_KS[0]) - 1] < usual[efforts[query]] or cosines[query, k - 1] == -np.inf:
            queries[n] = query
            n += 1
    return queries[:n]


@compiled(FLOATS_2D, FLOATS, FLOATS, FLOAT, FLOATS, FLOATS_2D)
def reach_of_matching(
    cosines: Floats, matching: Floats, sizes: Floats, k: Any, bounds: Floats, reaches: Floats
) -> tuple[Floats, Ints]:
    """Down to which cosine those lists go that hold the k nearest of the matching rows.

    Where a third of the rows match, the k-th best match is about the 3k-th best row.

    Parameters
    ----------
    cosines : float32 [n_queries, nlist], of the centroids
    matching, sizes : float32 [nlist], rows of each list that match, and all
    bounds, reaches : of `Tuning`

    Returns
    -------
    floors : float32 [n_queries]
    efforts : int64 [n_queries], which each query needs
    """
    floors, efforts = np.empty(len(cosines), np.float32), np.empty(len(cosines), np.int64)
    for query in range(len(cosines)):
        nearest = np.float32(-np.inf)
        for number in range(len(matching)):
            nearest = max(nearest, cosines[query, number] if matching[number] > 0 else np.float32(-np.inf))
        efforts[query] = effort_for(nearest, bounds)
        its_reaches = reaches[efforts[query]]
        floor, rows, matches = nearest - reach_for(k, its_reaches), np.float32(0), np.float32(0)
        for number in range(len(matching)):
            inside = cosines[query, number] >= floor and matching[number] > 0
            rows += sizes[number] if inside else np.float32(0)
            matches += matching[number] if inside else np.float32(0)
        floors[query] = nearest - reach_for(k * rows / matches, its_reaches)
    return floors, efforts


@compiled(FLOATS_2D, FLOATS_2D, FLOATS, FLOAT)
def candidates_needed(approximate: Floats, cosines: Floats, kth: Floats, misses: float) -> Any:
    """How many candidates there must be for no more misses to be expected, by what those that there are show.

    A miss is a row of the same lists that is better than the k-th best known, and no candidate. Further down, rows
    become more numerous as they do among the candidates, by a factor of e for every `scale` that the codes' cosine
    falls; and each may be nearer than its code says, with the mean and the deviation that the candidates' errors have.

    Parameters
    ----------
    approximate : float32 [n_queries, n], cosines of the candidates by the codes, best first
    cosines : float32 [n_queries, n], by the stored vectors; −inf where there is no candidate, and so no miss
    kth : float32 [n_queries]
    misses : what may be missed, in rows a query

    Returns
    -------
    float64 [n_queries], n where those that there are will do
    """
    n = approximate.shape[1]
    needed = np.full(len(cosines), float(n))
    for query in range(len(cosines)):
        if cosines[query, n - 1] == -np.inf:
            continue
        total = squares = np.float32(0)
        for i in range(n):
            error = cosines[query, i] - approximate[query, i]
            total += error
            squares += error * error
        mean = total / n
        deviation = math.sqrt(max(squares / n - mean * mean, 0.0)) + 1e-6
        last = approximate[query, n - 1]
        scale = (approximate[query, n // 2] - last) / math.log(n / (n // 2 + 1)) + 1e-9
        missed, step = 0.0, 0.5 * deviation
        for steps in range(_STEPS, 0, -1):  # from below, for what is missed further down is missed as well
            z = max(kth[query] - last - mean + steps * step, 0.0) / deviation
            # The normal distribution's upper tail, by an upper bound that is exact at 0 (Abramowitz & Stegun, 7.1.13).
            tail = math.sqrt(2 / math.pi) * math.exp(-z * z / 2) / (z + math.sqrt(z * z + 8 / math.pi))
            growth = math.exp(min(steps * step / scale, 50.0))
            missed += n / scale * growth * step * tail
            if missed > misses:
                needed[query] = n * growth
                break
    return needed
