"""Half-track retrieval: no label is needed to know that both halves of a track belong together.

A half is the direction of the mean of a track's segments that lie in it wholly; the middle is half of where the last
segment ends. The second half of a track is the query, the first halves of all tracks are ranked by cosine, equal ones
in the order of tracks, and the track's own is the one that is relevant: so recall@k is the share of queries with a rank
of at most k, and MRR the mean of 1 / rank.

A level by chance is that of a random ranking of n first halves: k / n, and for MRR Σ 1/r / n over the ranks r.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Iterator

    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import TrackSegments

TRACKS_A_READ = 1_000
COSINES_AT_ONCE = 16_000_000


@dataclass(frozen=True)
class WithoutHalves:
    """How many tracks half-track retrieval leaves out.

    Attributes
    ----------
    without_segments, of_one_segment : they cannot have two halves
    without_a_whole_half : of more segments, none of which lies wholly in one of the halves
    """

    without_segments: int = 0
    of_one_segment: int = 0
    without_a_whole_half: int = 0


@dataclass(frozen=True, eq=False)
class HalfTracks:
    """The halves of n tracks, and how many tracks have none.

    Attributes
    ----------
    track_ids : int64 [n], ascending
    first, second : float32 [n, dim], L2 norm 1
    """

    track_ids: NDArray[np.int64]
    first: NDArray[np.float32]
    second: NDArray[np.float32]
    without: WithoutHalves = field(default_factory=WithoutHalves)

    def of_tracks(self, track_ids: NDArray[np.int64]) -> HalfTracks:
        """Those of these tracks; who has none is counted no more."""
        kept = np.isin(self.track_ids, track_ids)
        return HalfTracks(self.track_ids[kept], self.first[kept], self.second[kept])


def read_halves(catalog: Catalog, space: str, encoder_version: str, track_ids: NDArray[np.int64]) -> HalfTracks:
    """The halves of these tracks, int64 ascending, from the segments that this version stored in `space`."""
    ids, means = list[int](), list[NDArray[np.float64]]()
    missing = single = uneven = 0
    for start in range(0, len(track_ids), TRACKS_A_READ):
        batch = track_ids[start : start + TRACKS_A_READ].tolist()
        segments = catalog.segments_of(batch, space, encoder_version)
        missing += len(batch) - len(segments)
        for track_id in sorted(segments):
            first, second = in_halves(segments[track_id])
            if len(segments[track_id].vectors) < 2:
                single += 1
            elif not (first.any() and second.any()):
                uneven += 1
            else:
                vectors = segments[track_id].vectors
                ids.append(track_id)
                means.append(np.stack([vectors[half].mean(axis=0, dtype=np.float64) for half in (first, second)]))
    halves = np.stack(means) if means else np.empty((0, 2, 0))
    norms = np.linalg.norm(halves, axis=2, keepdims=True)
    has_direction = (np.isfinite(norms) & (norms > 0)).all(axis=(1, 2))  # a mean of nothing points nowhere
    unit = (halves[has_direction] / norms[has_direction]).astype(np.float32)
    without = WithoutHalves(missing, single, uneven + int((~has_direction).sum()))
    return HalfTracks(np.array(ids, np.int64)[has_direction], unit[:, 0], unit[:, 1], without)


def in_halves(segments: TrackSegments) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which segments lie wholly in the first half of a track, and which in the second: bool [n] each."""
    middle_s = segments.ends_s[-1] / 2
    return segments.ends_s <= middle_s, segments.starts_s >= middle_s


def ranks_of_own_half(
    first: NDArray[np.float32], second: NDArray[np.float32], queries: NDArray[np.int64] | None = None
) -> NDArray[np.int64]:
    """Rank, from 1, of a track's own first half for its second half.

    Parameters
    ----------
    first, second : float32 [n, dim], L2 norm 1
    queries : int64 [m], rows of those that are queries; by default all

    Returns
    -------
    int64 [m]
    """
    queries = np.arange(len(first)) if queries is None else queries
    ranks = np.empty(len(queries), np.int64)
    for block in blocks(len(queries), len(first)):
        rows = queries[block]
        cosines = second[rows] @ first.T
        own_cosines = np.take_along_axis(cosines, rows[:, np.newaxis], 1)
        before = np.arange(len(first)) < rows[:, np.newaxis]
        ranks[block] = 1 + (cosines > own_cosines).sum(axis=1) + ((cosines == own_cosines) & before).sum(axis=1)
    return ranks


def blocks(n_queries: int, n_ranked: int) -> Iterator[slice]:
    """Slices of the queries, so many at once that their cosines to all that is ranked fit into memory."""
    size = max(1, COSINES_AT_ONCE // max(n_ranked, 1))
    for start in range(0, n_queries, size):
        yield slice(start, min(start + size, n_queries))


def recall_by_chance(k: int, n: int) -> float:
    """Recall@k of a random ranking of n, one of them relevant; NaN without any."""
    return min(k / n, 1.0) if n else float("nan")


def reciprocal_rank_by_chance(n: int) -> float:
    """MRR of a random ranking of n, one of them relevant; NaN without any."""
    return float((1 / np.arange(1, n + 1)).mean()) if n else float("nan")
