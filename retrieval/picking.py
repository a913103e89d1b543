"""Which candidates become results, where the nearest ones are not simply the best: diversity, and a queue's context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.fingerprints import fold_duplicates
from retrieval.hubness import K as NEIGHBOURS
from retrieval.hubness import csls, density_of
from retrieval.rerank import Context, at_most_each, mmr, queue

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from retrieval.catalog import Catalog
    from retrieval.query import Query
    from retrieval.records import Track
    from retrieval.vector_index import IndexView


@dataclass(frozen=True, eq=False)
class Candidates:
    """Tracks that may become results, best first: ids int64 [n], scores float64 [n], and the index row of each."""

    track_ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    rows: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.track_ids)

    def at(self, places: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Candidates:
        """Those at these places."""
        return Candidates(self.track_ids[places], self.scores[places], self.rows[places])

    def without(self, track_ids: frozenset[int]) -> Candidates:
        """All but these tracks."""
        return self.at(~np.isin(self.track_ids, list(track_ids))) if track_ids else self


def pick(
    candidates: Candidates, tracks: Mapping[int, Track], view: IndexView, query: Query, catalog: Catalog
) -> tuple[Candidates, dict[str, int]]:
    """The candidates in the order in which they shall stand, and how many were dropped by which rule.

    In turn: hubs step back, then other versions of a track that is in already, too many of one artist or album,
    likeness to what is picked, and last the gaps of a queue. Candidates that are added behind the last block change
    nothing before them, so that pages follow each other.
    """
    dropped: dict[str, int] = {}
    candidates = candidates.at(np.array([track_id in tracks for track_id in candidates.track_ids.tolist()], bool))
    diversity = query.diversity
    places = np.arange(len(candidates))
    if diversity is not None and diversity.csls:
        candidates = _hubs_behind(candidates, places // diversity.candidates, view)
    if diversity is not None and diversity.fold_duplicates:
        durations = np.array([tracks[track_id].duration_s for track_id in candidates.track_ids.tolist()])
        first = fold_duplicates(view.vectors(candidates.rows), durations)
        originals = first == np.arange(len(first))
        dropped["duplicate"] = int((~originals).sum())
        candidates, places = candidates.at(originals), places[originals]
    if diversity is not None and diversity.max_per:
        listed = [tracks[track_id] for track_id in candidates.track_ids.tolist()]
        groups = {"artist": [track.artist for track in listed], "album": [track.album for track in listed]}
        kept, counts = at_most_each(groups, diversity.max_per)
        dropped |= {f"max_per.{name}": count for name, count in counts.items()}
        candidates, places = candidates.at(kept), places[kept]
    if diversity is not None and diversity.mmr:
        candidates = candidates.at(_mixed(candidates, places // diversity.candidates, view, diversity.mmr))
    if query.context is not None:
        candidates, gaps = _queued(candidates, tracks, query, catalog)
        dropped |= gaps
    return candidates, dropped


def _mixed(candidates: Candidates, blocks: NDArray[np.int64], view: IndexView, trade_off: float) -> NDArray[np.int64]:
    """The order of MMR, within each block (ascending numbers) for itself: positions, int64 [n]."""
    order = [np.empty(0, np.int64)]
    for block in np.unique(blocks):
        inside = np.flatnonzero(blocks == block)
        vectors = view.vectors(candidates.rows[inside])
        order.append(inside[mmr(vectors, candidates.scores[inside], trade_off=trade_off, limit=len(inside))])
    return np.concatenate(order)


def _hubs_behind(candidates: Candidates, blocks: NDArray[np.int64], view: IndexView) -> Candidates:
    """The candidates of each block by their scores less how near they are to their own nearest tracks."""
    if not len(candidates):
        return candidates
    found = view.search(view.vectors(candidates.rows), NEIGHBOURS + 1)
    own = found.track_ids == candidates.track_ids[:, np.newaxis]
    density = density_of(np.where(own, -np.inf, found.cosines))
    scores = csls((2 * candidates.scores - 1).astype(np.float32), density)
    order = np.lexsort((candidates.track_ids, -scores, blocks))
    return Candidates(candidates.track_ids[order], scores[order], candidates.rows[order])


def _queued(
    candidates: Candidates, tracks: Mapping[int, Track], query: Query, catalog: Catalog
) -> tuple[Candidates, dict[str, int]]:
    assert query.context is not None  # pick
    ids = catalog.ids_by_key(query.context.previous)
    known = catalog.tracks_by_id(list(ids.values()))
    previous = [known[ids[key]] for key in query.context.previous if key in ids]
    context = Context(
        [(track.artist, track.album) for track in previous], query.context.artist_gap, query.context.album_gap
    )
    unplayed = candidates.without(frozenset(ids.values()))
    listed = [tracks[track_id] for track_id in unplayed.track_ids.tolist()]
    played = queue([(track.artist, track.album) for track in listed], context, limit=len(unplayed))
    dropped = {"previous": len(candidates) - len(unplayed), **played.left_out}
    return unplayed.at(played.positions), dropped
