"""Linear discriminant analysis between tracks: the map in which tracks lie furthest apart for how far they spread.

Fisher, "The use of multiple measurements in taxonomic problems", 1936; as the last layer after statistics pooling:
Snyder et al., "X-vectors", ICASSP 2018. What differs between two halves of one track is not what tells tracks apart, so
directions are scaled down by how much they do.

Without shrinkage these are the directions of scikit-learn's LinearDiscriminantAnalysis. With it they are not: that one
also shrinks the variance of all tracks together, and so adds to what is between them.
"""

from __future__ import annotations

import numpy as np
import scipy
import torch
from torch import Tensor


def linear_discriminant(first: Tensor, second: Tensor, dim: int, *, shrinkage: float) -> tuple[Tensor, Tensor]:
    """Find the map.

    Parameters
    ----------
    first, second : float32 [tracks, features], both halves of every track
    dim : of the result, at most the number of features
    shrinkage : isotropic variance added within tracks, as a share of the mean variance there

    Returns
    -------
    weight float32 [dim, features], bias float32 [dim] : x → weight @ x + bias, centred on the tracks
    """
    halves = torch.stack([first, second]).double().numpy()
    tracks, apart = halves.mean(axis=0), (halves[0] - halves[1]) / np.sqrt(2)
    centre = tracks.mean(axis=0)
    within = apart.T @ apart / len(apart)
    within += shrinkage * np.trace(within) / len(within) * np.eye(len(within))
    between = (tracks - centre).T @ (tracks - centre)
    _, directions = scipy.linalg.eigh(between, within)  # the most telling last, white within tracks
    weight = torch.from_numpy(directions[:, ::-1][:, :dim].T.copy())
    return weight.float(), -(weight @ torch.from_numpy(centre)).float()
