"""A playlist from one track to another: the path of :mod:`retrieval.search.recommend` over the index of a space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.errors import OutOfRangeError
from retrieval.search import recommend
from retrieval.search.plan import vectors_of
from retrieval.search.query import MAX_STEPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.records import Track
    from retrieval.index.protocol import IndexView
    from retrieval.search.engine import Search


@dataclass(frozen=True)
class Playlist:
    """Tracks in the order in which they play.

    Attributes
    ----------
    cosines : of each track to the one after it: how smooth the steps are, one fewer than tracks
    reason : why it is shorter than asked for, or none
    """

    tracks: Sequence[Track]
    cosines: Sequence[float]
    space: str
    index_version: str
    reason: str | None


def playlist(search: Search, start: str, end: str, steps: int, *, space: str | None = None) -> Playlist:
    """Lead from one track to another, by their keys.

    Parameters
    ----------
    steps : tracks, both ends included, 2 to `MAX_STEPS`

    Raises
    ------
    UnknownTrackError, MissingEmbeddingError, IndexMissingError, IndexMismatchError, QueryError
    """
    if not 2 <= steps <= MAX_STEPS:
        raise OutOfRangeError("steps", f"is {steps}", f"2 to {MAX_STEPS}")
    index = search.space(space)
    view = index.view()
    ends = [search.catalog.track(key) for key in (start, end)]
    known = {track.id: track for track in ends}

    def neighbors(points: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        nearest = view.search(points, k)
        known.update(search.catalog.tracks_by_id(np.unique(nearest.track_ids).tolist()))
        # What was deleted a moment ago is no stop.
        track_ids = np.where(np.isin(nearest.track_ids, list(known)), nearest.track_ids, -1)
        vectors = np.zeros((*nearest.vector_ids.shape, view.dim), np.float32)
        vectors[nearest.vector_ids >= 0] = view.vectors(nearest.vector_ids[nearest.vector_ids >= 0])
        return track_ids, vectors

    path = recommend.path(_stop(ends[0], view), _stop(ends[1], view), steps, neighbors)
    tracks = [known[track_id] for track_id in path.track_ids.tolist()]
    return Playlist(tracks, path.cosines.tolist(), index.space, view.version, path.reason)


def _stop(track: Track, view: IndexView) -> recommend.Stop:
    return recommend.Stop(track.id, vectors_of(track, view)[0])
