"""How well a network under training finds the other half of a track that it has not been trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from torch import Tensor, nn

    from encoders.training.corpus import Waveforms

WINDOWS_A_HALF = 8
_BATCH = 32


def half_track_recall(network: nn.Module, waveforms: Waveforms, *, window_length: int) -> float | None:
    """Share of tracks whose second half has their own first half as its nearest.

    Each half is the mean embedding of windows spread evenly over it; tracks shorter than two windows are left out.

    Returns
    -------
    Recall at 1 in [0, 1]; none when no track is long enough.
    """
    device = next(network.parameters()).device
    lengths = waveforms.lengths()
    tracks = np.flatnonzero(lengths >= 2 * window_length)
    if not len(tracks):
        return None
    half = lengths[tracks] // 2
    within = np.outer(half - window_length, np.linspace(0, 1, WINDOWS_A_HALF))
    offsets = np.stack([within, half[:, None] + within], axis=1)  # [track, half, window]
    owners = np.broadcast_to(tracks[:, None, None], offsets.shape).ravel()
    was_training = network.training
    network.eval()
    with torch.inference_mode():
        starts = offsets.ravel().astype(np.int64)
        embeddings = torch.cat(
            [
                network(waveforms.crops(owners[i : i + _BATCH], starts[i : i + _BATCH], window_length).to(device))[0]
                for i in range(0, len(owners), _BATCH)
            ]
        )
    network.train(was_training)
    first, second = _halves(embeddings, len(tracks))
    nearest = (second @ first.T).argmax(dim=1)
    return float((nearest == torch.arange(len(tracks), device=device)).float().mean())


def _halves(embeddings: Tensor, n_tracks: int) -> tuple[Tensor, Tensor]:
    pooled = F.normalize(embeddings.view(n_tracks, 2, WINDOWS_A_HALF, -1).mean(dim=2), dim=2)
    return pooled[:, 0], pooled[:, 1]
