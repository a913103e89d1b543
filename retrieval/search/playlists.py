"""A playlist from one track to another: the path of :mod:`retrieval.search.recommend` over the index of a space."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.counting import counted
from retrieval.errors import QueryError
from retrieval.search import recommend
from retrieval.search.checks import check_range
from retrieval.search.plan import vectors_of
from retrieval.search.query import MAX_STEPS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.records import Track
    from retrieval.index.protocol import IndexView
    from retrieval.search.engine import Search
    from retrieval.search.query import Seed


_START_ID, _END_ID = -2, -3  # of sounds that the catalogue does not hold; -1 is no track's either


@dataclass(frozen=True)
class Playlist:
    """Tracks in the order in which they play.

    Attributes
    ----------
    cosines : of each track to the one after it: how smooth the steps are, one fewer than tracks
    reason : why it is shorter than asked for, or none
    starts_outside, ends_outside : whether it leads from, or to, a sound that is none of the catalogue's; it is not
        among the tracks, but its cosine to the next, or of the last to it, is among the cosines
    """

    tracks: Sequence[Track]
    cosines: Sequence[float]
    space: str
    index_version: str
    reason: str | None
    starts_outside: bool = False
    ends_outside: bool = False


def playlist(search: Search, start: str | Seed, end: str | Seed, steps: int, *, space: str | None = None) -> Playlist:
    """Lead from one track to another, by their keys, or from or to other sounds, by their vectors.

    Parameters
    ----------
    start, end : a key, or an example that has a key or a vector
    steps : tracks, both ends included, 2 to `MAX_STEPS`

    Raises
    ------
    UnknownTrackError, MissingEmbeddingError, IndexMissingError, IndexMismatchError, QueryError
    """
    check_range("steps", steps, 2, MAX_STEPS)
    index = search.space(space)
    view = index.view()
    known: dict[int, Track] = {}
    stops: list[recommend.Stop] = []
    for outside_id, one in ((_START_ID, start), (_END_ID, end)):
        key = one if isinstance(one, str) else one.track
        if key is not None:
            track = search.catalog.track(key)
            known[track.id] = track
            stops.append(recommend.Stop(track.id, vectors_of(track, view)[0]))
        else:
            assert not isinstance(one, str)
            stops.append(recommend.Stop(outside_id, _checked(one, view)))

    def neighbors(points: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        nearest = view.search(points, k)
        known.update(search.catalog.tracks_by_id(np.unique(nearest.track_ids).tolist()))
        # What was deleted a moment ago is no stop.
        track_ids = np.where(np.isin(nearest.track_ids, list(known)), nearest.track_ids, -1)
        vectors = np.zeros((*nearest.vector_ids.shape, view.dim), np.float32)
        vectors[nearest.vector_ids >= 0] = view.vectors(nearest.vector_ids[nearest.vector_ids >= 0])
        return track_ids, vectors

    path = recommend.path(stops[0], stops[1], steps, neighbors)
    ids = path.track_ids.tolist()
    outside = _START_ID in ids, _END_ID in ids
    tracks = [known[track_id] for track_id in ids if track_id in known]
    return Playlist(tracks, path.cosines.tolist(), index.space, view.version, path.reason, *outside)


def _checked(seed: Seed, view: IndexView) -> NDArray[np.float32]:
    """The vector of a sound, float32 [dim], L2 norm 1.

    Raises
    ------
    QueryError
        If it is of another encoder or size than the index, or has no direction.
    """
    vector = np.zeros(0, np.float32) if seed.vector is None else seed.vector
    if seed.encoder_version not in (None, view.encoder_version):
        raise QueryError("vector", f"is of {seed.encoder_version}", view.encoder_version)
    accepted = f"{view.dim} numbers, not all 0"
    if vector.shape != (view.dim,):
        raise QueryError("vector", f"has {counted(vector.size, 'value')}", accepted)
    if not (norm := float(np.linalg.norm(vector))) > 0:
        raise QueryError("vector", "is all 0, and has no direction", accepted)
    return np.asarray(vector / norm, np.float32)
