"""Hubs are tracks that are near everything: they crowd others out of every answer. CSLS scores them down.

In many dimensions some points become near neighbours of very many others (Radovanović et al., Hubs in space, JMLR 11,
2010); music similarity is where it was noticed first. CSLS (Conneau et al., Word translation without parallel data,
ICLR 2018, section 2.3) judges a cosine by how near a candidate is to anything: 2 cos(q, x) − r(x), with r(x) the mean
cosine of x to its k nearest others. The term r(q) of the paper is left out: it changes no ranking.

It needs one number a candidate, and re-scores the candidates of a search.
"""

import numpy as np
from numpy.typing import NDArray

K = 10


def density_of(neighbor_cosines: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean cosine to the neighbours that an index found already.

    Parameters
    ----------
    neighbor_cosines : float32 [n, k], −inf where fewer were found; without the vector itself

    Returns
    -------
    float32 [n], in [−1, 1]; 0 where none was found
    """
    present = np.isfinite(neighbor_cosines)
    total = np.where(present, neighbor_cosines, 0).sum(axis=1, dtype=np.float64)
    density: NDArray[np.float32] = np.clip(total / np.maximum(present.sum(axis=1), 1), -1, 1).astype(np.float32)
    return density


def csls(cosines: NDArray[np.float32], density: NDArray[np.float32]) -> NDArray[np.float64]:
    """Score candidates by CSLS: (3 + 2 cos(q, x) − r(x)) / 6.

    Parameters
    ----------
    cosines : float32 [..., n], of the query to the candidates
    density : float32 [n], the candidates' `density_of`

    Returns
    -------
    float64 [..., n], in [0, 1]
    """
    score: NDArray[np.float64] = np.clip((3 + 2 * cosines.astype(np.float64) - density) / 6, 0, 1)
    return score
