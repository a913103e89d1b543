"""Linear discriminant analysis between tracks: the map in which tracks lie furthest apart for how far they spread.

Fisher, "The use of multiple measurements in taxonomic problems", 1936; as the last layer after statistics pooling:
Snyder et al., "X-vectors", ICASSP 2018. What differs between two halves of one track is not what tells tracks apart, so
directions are scaled down by how much they do.
"""

from __future__ import annotations

import numpy as np
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
    halves = torch.stack([first, second]).double()
    tracks = halves.mean(dim=0)
    centre = tracks.mean(dim=0)
    apart = (halves[0] - halves[1]) / np.sqrt(2)
    within = apart.T @ apart / len(apart)
    within += shrinkage * within.trace() / len(within) * torch.eye(len(within), dtype=within.dtype)
    spread, axes = torch.linalg.eigh(within)
    whitening = axes / spread.sqrt()
    between = (tracks - centre) @ whitening
    _, directions = torch.linalg.eigh(between.T @ between)
    weight = (whitening @ directions.flip(1)[:, :dim]).T
    return weight.float(), -(weight @ centre).float()
