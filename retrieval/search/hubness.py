"""Hubs are tracks that are near everything: they crowd others out of every answer. Two ways to score them down.

In many dimensions some points become near neighbours of very many others (Radovanović et al., Hubs in space, JMLR 11,
2010); music similarity is where it was noticed first. Both ways judge a cosine by how near a candidate is to anything:

- CSLS (Conneau et al., Word translation without parallel data, ICLR 2018, section 2.3): 2 cos(q, x) − r(x), with r(x)
  the mean cosine of x to its k nearest others. The term r(q) of the paper is left out: it changes no ranking.
- Mutual proximity (Schnitzer et al., Local and global scaling reduce hubs in space, JMLR 13, 2012, section 3.2),
  Gaussian and as if independent: the probability that a random track is less near to q than x is, times the same of a
  random track and x.

Both need one or two numbers a track, computed when an index is built, and re-score the candidates of a search.
"""

import math

import numpy as np
from numpy.typing import NDArray

from retrieval.index.scanning import scan

K = 10
MIN_STD = 1e-6


def local_density(vectors: NDArray[np.float32], k: int = K) -> NDArray[np.float32]:
    """Mean cosine of every vector to its `k` nearest others, by comparing all pairs.

    Parameters
    ----------
    vectors : float32 [n, dim], L2 norm 1

    Returns
    -------
    float32 [n], in [−1, 1]; 0 for a single vector
    """
    n = len(vectors)
    if n < 2:
        return np.zeros(n, np.float32)
    rows, cosines = scan(vectors, vectors, min(k + 1, n))
    own = rows == np.arange(n)[:, np.newaxis]
    # More than k equal vectors may hold a row's own back; then any one of them is as good to leave out.
    own[~own.any(axis=1), -1] = True
    return density_of(cosines[~own].reshape(n, -1))


def density_of(neighbor_cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean cosine to the neighbours that an index found already.

    Parameters
    ----------
    neighbor_cosines : float32 [n, k], −inf where fewer were found; without the vector itself

    Returns
    -------
    float32 [n], in [−1, 1]; 0 where none was found
    """
    found = np.isfinite(neighbor_cosines)
    total = np.where(found, neighbor_cosines, 0).sum(axis=1, dtype=np.float64)
    density: NDArray[np.float32] = np.clip(total / np.maximum(found.sum(axis=1), 1), -1, 1).astype(np.float32)
    return density


def sample_moments(
    vectors: NDArray[np.float32], sample: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and standard deviation of every vector's cosines to a random sample of the catalogue.

    The cosines themselves are never formed: their mean is x · m and their variance xᵀ C x, with m and C the sample's
    mean and covariance, so the sample may be as large as it likes.

    Parameters
    ----------
    vectors : float32 [n, dim], L2 norm 1
    sample : float32 [n_sample, dim], L2 norm 1, at least one

    Returns
    -------
    float32 [n] and float32 [n]
    """
    mean = sample.mean(axis=0, dtype=np.float64)
    centred = sample - mean
    covariance = centred.T @ centred / len(sample)
    variance = np.einsum("nd,nd->n", vectors @ covariance, vectors)
    std: NDArray[np.float32] = np.sqrt(np.maximum(variance, 0)).astype(np.float32)
    return (vectors @ mean).astype(np.float32), std


def csls(cosines: NDArray[np.float32], density: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score candidates by CSLS: (3 + 2 cos(q, x) − r(x)) / 6.

    Parameters
    ----------
    cosines : float32 [..., n], of the query to the candidates
    density : float32 [n], the candidates' `local_density`

    Returns
    -------
    float64 [..., n], in [0, 1]
    """
    score: NDArray[np.float64] = np.clip((3 + 2 * cosines.astype(np.float64) - density) / 6, 0, 1)
    return score


def mutual_proximity(
    cosines: NDArray[np.float32],
    query_moments: tuple[NDArray[np.float32], NDArray[np.float32]],
    moments: tuple[NDArray[np.float32], NDArray[np.float32]],
) -> NDArray[np.float64]:
    """Score candidates by mutual proximity: Φ((c − m_q) / s_q) Φ((c − m_x) / s_x), with c the cosine.

    Parameters
    ----------
    cosines : float32 [n_queries, n], of the queries to the candidates
    query_moments : float32 [n_queries] each, the queries' `sample_moments`
    moments : float32 [n] each, the candidates'

    Returns
    -------
    float64 [n_queries, n], in [0, 1]
    """
    mean, std = (values[:, np.newaxis] for values in query_moments)
    return _below(cosines, mean, std) * _below(cosines, *moments)


def _below(cosines: NDArray[np.float32], mean: NDArray[np.float32], std: NDArray[np.float32]) -> NDArray[np.float64]:
    """Probability that a normal variable lies below each cosine."""
    z = (cosines.astype(np.float64) - mean) / np.maximum(std, MIN_STD)
    return 0.5 * _erfc(-z / math.sqrt(2))


def _erfc(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Complementary error function. Unlike 1 + erf it keeps the digits of a small probability."""
    return np.fromiter(map(math.erfc, values.ravel().tolist()), np.float64, values.size).reshape(values.shape)
