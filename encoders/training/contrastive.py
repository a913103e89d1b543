"""Contrastive training of an encoder on unlabelled music: two views of a track are drawn together, all others apart.

Spijkervet & Burgoyne, "Contrastive Learning of Musical Representations", ISMIR 2021: two augmentations of one window, a
projector of two layers, NT-Xent at temperature 0.5, Adam at 3e-4. Two settings go beyond it. `max_distance_s` lets the
second window lie that far from the first, so that a track's sound is learnt rather than a moment; 0 is the paper.
`windows_a_view` makes a view of several windows: as a track is searched by the mean of its windows, that mean is what
the loss then sees; the two views come from before and after a random cut, so that they share nothing but the track.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from encoders.acceleration import half_precision
from encoders.training.loop import Schedule, Training, TrainingError

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from encoders.training.corpus import Crops

PROJECTION_DIM = 64
_CUT = (0.35, 0.65)

Augment = Callable[[Tensor, Generator], Tensor]
"""Crops [batch, …] → augmented crops of the same shape; all chance comes from the generator."""

Forward = Callable[[Tensor], tuple[Tensor, Tensor]]
"""Crops [batch, …] → embeddings [batch, dim] and whatever else the network tells."""


@dataclass(frozen=True, kw_only=True)
class ContrastiveSettings(Schedule):
    """What a contrastive training does.

    Attributes
    ----------
    temperature : of NT-Xent
    max_distance_s : how far from the first window the second may lie; of no effect with several windows a view
    windows_a_view : windows whose mean is a view; with more than one, a random cut of the track lies between the views
    """

    temperature: float = 0.5
    max_distance_s: float = 0.0
    windows_a_view: int = 1


class Projector(nn.Sequential):
    """Embedding [batch, dim] → projection [batch, 64]; only the loss sees it."""

    def __init__(self, dim: int) -> None:
        super().__init__(nn.Linear(dim, dim, bias=False), nn.ReLU(), nn.Linear(dim, PROJECTION_DIM, bias=False))


def nt_xent(first: Tensor, second: Tensor, tracks: Tensor, temperature: float) -> Tensor:
    """Normalised-temperature cross entropy (Chen et al., SimCLR, 2020, eq. 1), mean over both directions.

    Parameters
    ----------
    first, second : float32 [batch, dim], row i of both from one track
    tracks : int64 [batch]; rows of one track are no negatives of each other
    """
    batch = len(first)
    both = F.normalize(torch.cat([first, second]).float(), dim=1)
    similarity = both @ both.T / temperature
    owner = torch.cat([tracks, tracks])
    partner = torch.arange(2 * batch, device=both.device).roll(batch)
    ignored = owner[:, None] == owner
    ignored[torch.arange(2 * batch), partner] = False
    return F.cross_entropy(similarity.masked_fill(ignored, -torch.inf), partner)


class ContrastiveTraining(Training):
    """NT-Xent on a network's embeddings, through a projector or as they are.

    Parameters
    ----------
    network : what is trained
    forward : the network, or the part of it that takes such crops as `tracks` gives
    projector : between embedding and loss
    window_length : of a crop, in the units of `tracks`
    """

    def __init__(
        self,
        network: nn.Module,
        forward: Forward,
        projector: nn.Module,
        tracks: Crops,
        settings: ContrastiveSettings,
        directory: Path,
        *,
        window_length: int,
        augment: Augment,
        device: torch.device,
    ) -> None:
        super().__init__(
            nn.ModuleDict({"encoder": network, "projector": projector}), settings, directory, device=device
        )
        self.network = network
        self._forward = forward
        self._projector = projector
        self._tracks = tracks
        self._contrast = settings
        self._window_length = window_length
        self._augment = augment

    def loss(self, rng: np.random.Generator, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """NT-Xent of one batch: tracks, each as likely as it is long, and two views of each."""
        settings = self._contrast
        tracks = draw_tracks(rng, self._tracks, self._window_length, settings.batch_size)
        views = [
            torch.cat([self._tracks.crops(tracks, offsets, self._window_length) for offsets in view]).to(self.device)
            for view in draw_offsets(rng, self._tracks, tracks, self._window_length, settings)
        ]
        windows = torch.cat([self._augment(view, generator) for view in views])
        with half_precision(self.device):
            projected = self._projector(self._forward(windows)[0])
        first, second = projected.float().view(2, settings.windows_a_view, len(tracks), -1).mean(dim=1)
        owners = torch.from_numpy(tracks).to(self.device)
        batch = {"views": torch.stack(views), "windows": windows, "tracks": owners}
        return nt_xent(first, second, owners, settings.temperature), batch


def draw_tracks(rng: np.random.Generator, tracks: Crops, window_length: int, number: int) -> NDArray[np.int64]:
    """Tracks int64 [number], each as likely as it is long.

    Raises
    ------
    TrainingError
        If none is as long as a window.
    """
    lengths = tracks.lengths()
    usable = np.flatnonzero(lengths >= window_length)
    if not len(usable):
        raise TrainingError(f"no track is as long as a crop of {window_length}")
    weights = lengths[usable] / lengths[usable].sum()
    chosen: NDArray[np.int64] = rng.choice(usable, size=number, p=weights)
    return chosen


def draw_offsets(
    rng: np.random.Generator,
    tracks: Crops,
    chosen: NDArray[np.int64],
    window_length: int,
    settings: ContrastiveSettings,
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Two views of each chosen track, each a list of int64 [batch]."""
    room = tracks.lengths()[chosen] - window_length
    if settings.windows_a_view > 1:
        return _either_side_of_a_cut(rng, room, window_length, settings.windows_a_view)
    first = rng.integers(0, room + 1)
    reach = round(settings.max_distance_s * tracks.per_second)
    second = np.clip(first + rng.integers(-reach, reach + 1, size=len(first)), 0, room)
    return [first], [second]


def _either_side_of_a_cut(
    rng: np.random.Generator, room: NDArray[np.int64], window_length: int, number: int
) -> tuple[list[NDArray[np.int64]], list[NDArray[np.int64]]]:
    """Windows of a track shorter than four overlap the cut: better that than a track that is never heard."""
    cut = rng.uniform(*_CUT, size=len(room)) * (room + window_length)
    last_before = np.clip(cut - window_length, 0, room).astype(np.int64)
    first_after = np.minimum(cut, room).astype(np.int64)
    before = [rng.integers(0, last_before + 1) for _ in range(number)]
    after = [rng.integers(first_after, room + 1) for _ in range(number)]
    return before, after
