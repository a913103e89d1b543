"""Which candidates become results, where the nearest ones are not simply the best: diversity, and a queue's context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.search.diversity import Context, at_most_each, mmr, queue
from retrieval.search.hubness import K as NEIGHBOURS
from retrieval.search.hubness import csls, density_of
from retrieval.search.versions import fold_duplicates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import Track
    from retrieval.index.view import IndexView
    from retrieval.search.plan import Plan
    from retrieval.search.query import Query


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
    candidates: Candidates, tracks: Mapping[int, Track], plan: Plan, catalog: Catalog, *, wanted: int
) -> tuple[Candidates, dict[str, int]]:
    """The candidates in the order in which they shall stand, the first `wanted` at least, and what each rule dropped.

    In turn: hubs step back, then other versions of a track that is in already or was an example, too many of one artist
    or album, likeness to what is picked, and last the gaps of a queue. Candidates that are added behind the last block
    change nothing before them, so that pages follow each other.
    """
    query, view, dropped = plan.query, plan.view, dict[str, int]()
    candidates = candidates.at(np.array([track_id in tracks for track_id in candidates.track_ids.tolist()], bool))
    diversity = query.diversity
    places = np.arange(len(candidates))
    if diversity is not None and diversity.csls:
        candidates = _hubs_behind(candidates, places // diversity.candidates, view)
    if diversity is not None and diversity.fold_duplicates:
        originals = _originals(candidates, tracks, plan, catalog)
        dropped["duplicate"] = int((~originals).sum())
        candidates, places = candidates.at(originals), places[originals]
    if diversity is not None and diversity.max_per:
        listed = [tracks[track_id] for track_id in candidates.track_ids.tolist()]
        groups = {"artist": [track.artist for track in listed], "album": [track.album for track in listed]}
        kept, counts = at_most_each(groups, diversity.max_per)
        dropped |= {f"max_per.{name}": count for name, count in counts.items()}
        candidates, places = candidates.at(kept), places[kept]
    if diversity is not None and diversity.mmr:
        # The gaps of a queue may need any of them.
        enough = len(candidates) if query.context is not None else wanted
        candidates = candidates.at(_mixed(candidates, places // diversity.candidates, view, diversity.mmr, enough))
    if query.context is not None:
        candidates, gaps = _queued(candidates, tracks, query, catalog)
        dropped |= gaps
    return candidates, dropped


def _originals(candidates: Candidates, tracks: Mapping[int, Track], plan: Plan, catalog: Catalog) -> NDArray[np.bool_]:
    """Which candidates are versions of none before them, nor of an example that is left out: bool [n]."""
    examples = {} if plan.query.include_seed else {seed.id: seed for seed in plan.seeds.values()}
    of_examples = plan.view.select(np.array(sorted(examples), np.int64)).every_row
    rows = np.concatenate([of_examples, candidates.rows])
    track_ids = np.concatenate([plan.view.track_ids(of_examples), candidates.track_ids])
    known = {**tracks, **examples}
    durations_s = np.array([known[track_id].duration_s for track_id in track_ids.tolist()])

    def fingerprints(positions: NDArray[np.int64]) -> list[NDArray[np.int32] | None]:
        asked = track_ids[positions].tolist()
        found = catalog.fingerprints_of(list(dict.fromkeys(asked)))
        return [found.get(track_id) for track_id in asked]

    first = fold_duplicates(plan.view.vectors(rows), durations_s, fingerprints)
    originals: NDArray[np.bool_] = (first == np.arange(len(first)))[len(of_examples) :]
    return originals


def _mixed(
    candidates: Candidates, blocks: NDArray[np.int64], view: IndexView, trade_off: float, wanted: int
) -> NDArray[np.int64]:
    """The order of MMR, within each block (ascending numbers) for itself: the first `wanted` positions, int64."""
    order = np.empty(0, np.int64)
    for block in np.unique(blocks):
        if len(order) >= wanted:
            break
        inside = np.flatnonzero(blocks == block)
        vectors = view.vectors(candidates.rows[inside])
        picked = mmr(vectors, candidates.scores[inside], trade_off=trade_off, limit=wanted - len(order))
        order = np.concatenate([order, inside[picked]])
    return order


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
    ids = catalog.ids_by_key(query.played)
    known = catalog.tracks_by_id(list(ids.values()))
    previous = [known[ids[key]] for key in query.played if key in ids]
    context = Context(
        [(track.artist, track.album) for track in previous], query.context.artist_gap, query.context.album_gap
    )
    unplayed = candidates.without(frozenset(ids.values()))
    listed = [tracks[track_id] for track_id in unplayed.track_ids.tolist()]
    played = queue([(track.artist, track.album) for track in listed], context, limit=len(unplayed))
    dropped = {"previous": len(candidates) - len(unplayed), **played.left_out}
    return unplayed.at(played.positions), dropped
