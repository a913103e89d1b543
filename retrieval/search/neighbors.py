"""The neighbours of every track of a space, block by block: what a catalogue's owner joins with tables of their own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.search.recommend import score_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from retrieval.index.protocol import IndexView

BLOCK_TRACKS = 4_096


@dataclass(frozen=True, eq=False)
class NeighborBlock:
    """Some tracks and their neighbours, best first; a track is no neighbour of its own.

    Attributes
    ----------
    number : of the block, from 0
    track_ids : int64 [n], ascending
    neighbor_ids : int64 [n, k], −1 where the space holds fewer
    scores : float32 [n, k], in [0, 1]; 0 where the space holds fewer
    """

    number: int
    track_ids: NDArray[np.int64]
    neighbor_ids: NDArray[np.int64]
    scores: NDArray[np.float32]


def block_count(n_tracks: int, block_tracks: int = BLOCK_TRACKS) -> int:
    """Number of blocks that these tracks make."""
    return -(-n_tracks // block_tracks)


def neighbor_blocks(
    view: IndexView, track_ids: NDArray[np.int64], k: int, *, first: int = 0, block_tracks: int = BLOCK_TRACKS
) -> Iterator[NeighborBlock]:
    """The `k` nearest of these tracks to every one of them.

    Parameters
    ----------
    view : of an index by track
    track_ids : int64, ascending; those that the view does not hold are left out
    k : at least 1
    first : block to begin with
    """
    vector_ids = view.vector_ids(track_ids)
    vector_ids = vector_ids[np.argsort(view.track_ids(vector_ids))]
    # A search among all needs no selection.
    selection = None if len(vector_ids) == view.count else view.select(track_ids)
    for number in range(first, block_count(len(vector_ids), block_tracks)):
        block = vector_ids[number * block_tracks : (number + 1) * block_tracks]
        asking = view.track_ids(block)
        neighbors = view.search(view.vectors(block), k + 1, selection=selection)
        others = _others(neighbors.track_ids, asking)
        neighbor_ids = neighbors.track_ids[others].reshape(len(asking), k)
        cosines = neighbors.cosines[others].reshape(len(asking), k)
        scores = np.where(neighbor_ids >= 0, score_of(cosines), 0).astype(np.float32)
        yield NeighborBlock(number, asking, neighbor_ids, scores)


def _others(neighbor_ids: NDArray[np.int64], asking: NDArray[np.int64]) -> NDArray[np.bool_]:
    """All [n, k + 1] but the track itself: k in every row."""
    itself: NDArray[np.bool_] = neighbor_ids == asking[:, np.newaxis]
    # More than k equal vectors, or an approximate search, may have kept a track from itself: then the last one goes.
    itself[~itself.any(axis=1), -1] = True
    return ~itself
