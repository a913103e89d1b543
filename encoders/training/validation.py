"""How well a network under training does on tracks that it has not been trained on.

An encoder finds the other half of a track; a tagger ranks windows as its teachers do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from sklearn.metrics import roc_auc_score
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from encoders.training.corpus import Crops

WINDOWS_A_HALF = 8
MIN_EITHER = 10
_BATCH = 32


def half_track_recall(embed: Callable[[Tensor], Tensor], tracks: Crops, *, window_length: int) -> float | None:
    """Share of tracks whose second half has their own first half as its nearest.

    Parameters
    ----------
    embed : crops [batch, …] → embeddings [batch, dim], in evaluation mode, on whatever device

    Returns
    -------
    Recall at 1 in [0, 1]; none when no track is as long as two windows.
    """
    found = halves(embed, tracks, window_length=window_length)
    if found is None:
        return None
    first, second = (F.normalize(half, dim=1) for half in found)
    nearest = (second @ first.T).argmax(dim=1)
    return float((nearest == torch.arange(len(first))).float().mean())


def halves(embed: Callable[[Tensor], Tensor], tracks: Crops, *, window_length: int) -> tuple[Tensor, Tensor] | None:
    """Mean embedding float32 [tracks, dim] of both halves of every track, from windows spread evenly over each.

    Tracks shorter than two windows are left out; none when all are.
    """
    lengths = tracks.lengths()
    rows = np.flatnonzero(lengths >= 2 * window_length)
    if not len(rows):
        return None
    half = lengths[rows] // 2
    within = np.outer(half - window_length, np.linspace(0, 1, WINDOWS_A_HALF))
    offsets = np.stack([within, half[:, None] + within], axis=1)  # [track, half, window]
    owners = np.broadcast_to(rows[:, None, None], offsets.shape).ravel()
    starts = offsets.ravel().astype(np.int64)
    with torch.inference_mode():
        embeddings = torch.cat(
            [
                embed(tracks.crops(owners[i : i + _BATCH], starts[i : i + _BATCH], window_length)).float().cpu()
                for i in range(0, len(owners), _BATCH)
            ]
        )
    means = embeddings.view(len(rows), 2, WINDOWS_A_HALF, -1).mean(dim=2)
    return means[:, 0], means[:, 1]


def roc_auc(scores: NDArray[np.float32], given: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Area under the ROC curve of every tag: how likely a window that has it scores higher than one that has not.

    Equal scores count half.

    Parameters
    ----------
    scores : float32 [n, tags]
    given : bool [n, tags]

    Returns
    -------
    float64 [tags], NaN where fewer than ten windows have the tag, or have it not: that would be a matter of luck.
    """
    areas = np.full(scores.shape[1], np.nan)
    for tag in np.flatnonzero(np.minimum(given.sum(axis=0), (~given).sum(axis=0)) >= MIN_EITHER):
        areas[tag] = roc_auc_score(given[:, tag], scores[:, tag])
    return areas
