"""From what a search has found to a page of results: scored, without what must not come back, and picked from.

Where results are picked, by diversity or for a queue, the nearest ones are not simply the best.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from retrieval.index.ascending import distinct
from retrieval.search import recommend
from retrieval.search.cursors import ROUNDING
from retrieval.search.diversity import at_most_each, mmr, queue
from retrieval.search.hubness import K as NEIGHBOURS
from retrieval.search.hubness import csls, density_of
from retrieval.search.plan import FEW_EXCLUDED
from retrieval.search.query import MAX_CANDIDATES
from retrieval.search.versions import SURE_COSINE, fold_duplicates

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import Track
    from retrieval.catalog.tracks import TrackCache
    from retrieval.index.protocol import IndexView, Neighbors
    from retrieval.search.cursors import Position
    from retrieval.search.plan import Plan
    from retrieval.search.query import Query, Rescoring

_MORE = 4


@dataclass(frozen=True, eq=False)
class Candidates:
    """Tracks that may become results, best first: ids int64 [n], scores float64 [n], and each one's nearest vector."""

    track_ids: NDArray[np.int64]
    scores: NDArray[np.float64]
    vector_ids: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.track_ids)

    def at(self, places: NDArray[np.bool_] | NDArray[np.int64] | slice) -> Candidates:
        """Those at these places."""
        return Candidates(self.track_ids[places], self.scores[places], self.vector_ids[places])

    def without(self, track_ids: frozenset[int]) -> Candidates:
        """All but these tracks."""
        return self.at(~np.isin(self.track_ids, list(track_ids))) if track_ids else self


@dataclass(frozen=True, eq=False)
class Page:
    """What a page shows, what was dropped and why, and the tracks by id.

    Attributes
    ----------
    dropped : of the tracks that were looked at for this page and those before
    is_below : whether all that was not looked at lies below the threshold
    """

    shown: Candidates
    dropped: Mapping[str, int]
    tracks: Mapping[int, Track]
    is_below: bool


class PageMaker:
    """Makes a page of what a search finds, and tells when that is enough for it.

    Parameters
    ----------
    position : where the page begins
    lap : called with the name of what was done: ``search``, ``rank``
    """

    def __init__(
        self, plan: Plan, position: Position, catalog: Catalog, cache: TrackCache, lap: Callable[[str], None]
    ) -> None:
        self._plan, self._position = plan, position
        self._catalog, self._cache, self._lap = catalog, cache, lap
        self._end = self._requested = position.returned + plan.query.limit
        self._candidates: Candidates | None = None
        self._picked: Page | None = None

    @property
    def first_k(self) -> int:
        """How many tracks to search for at first."""
        n_left_out = len(self._plan.left_out)
        return self._whole_blocks() + (n_left_out if n_left_out <= FEW_EXCLUDED else 0)

    def is_filled(self, neighbors: Neighbors) -> bool:
        """Whether the page can be made of this; what is picked may fall short though more would match."""
        plan, query = self._plan, self._plan.query
        self._candidates = candidates = _scored(plan, neighbors).without(plan.left_out)
        # Behind those, several searches may have left out better ones than they found.
        last = neighbors.cosines[:, -1] if neighbors.cosines.shape[1] else np.empty(0, np.float32)
        usable = candidates.scores >= recommend.unseen_at_most(last, plan.positive, plan.negative, query.strategy)
        if not query.picks:
            return int((usable & self._is_ahead(candidates)).sum()) >= query.limit
        self._lap("search")
        while neighbors.is_everything or usable.sum() >= self._whole_blocks():
            picked_from = candidates.at(slice(self._whole_blocks()))
            self._picked = page = self._made(picked_from)
            self._lap("rank")
            # Without an end to this, all tracks might be read.
            is_last = len(picked_from) < self._requested or self._requested >= MAX_CANDIDATES
            if is_last or len(page.shown) == query.limit:
                return True
            self._requested *= _MORE
        return False

    def page(self) -> Page:
        """The page, once the search is over."""
        assert self._candidates is not None  # the search has asked
        return self._made(self._candidates) if self._picked is None else self._picked

    def _whole_blocks(self) -> int:
        """As many candidates as are requested, and all of their block: a page must not depend on where it ends."""
        query = self._plan.query
        if not query.picks:
            return self._requested
        return -(-self._requested // self._block) * self._block

    @property
    def _block(self) -> int:
        """How many candidates are picked from together."""
        query = self._plan.query
        if query.diversity is not None:
            return query.diversity.candidates
        return 10 * query.limit if query.rescoring is None else query.rescoring.candidates

    def _made(self, candidates: Candidates) -> Page:
        query, plan, position = self._plan.query, self._plan, self._position
        dropped = {"exclude": plan.dropped}
        if query.rescoring is not None:
            candidates = _rescored(candidates, query.rescoring, self._block)
        above = candidates.scores >= (query.score_threshold or 0)
        if query.picks:
            dropped["score_threshold"] = int((~above).sum())
            candidates, places = candidates.at(above), np.flatnonzero(above)
            tracks = self._cache.tracks(candidates.track_ids.tolist())
            candidates, reasons = pick(candidates, places, tracks, plan, self._catalog, requested=self._end)
            shown = candidates.at(slice(position.returned, self._end))
            dropped |= reasons
        else:
            shown = candidates.at(above & self._is_ahead(candidates)).at(slice(query.limit))
            tracks = self._cache.tracks(shown.track_ids.tolist())
        live = np.array([track_id in tracks for track_id in shown.track_ids.tolist()], bool)
        dropped["deleted_meanwhile"] = dropped.get("deleted_meanwhile", 0) + int((~live).sum())
        # The scores fall, but where they are given anew: what was not looked at scores less than what was.
        is_below = query.rescoring is None and not above.all() and (query.picks or len(shown) < query.limit)
        return Page(shown.at(live), {name: count for name, count in dropped.items() if count}, tracks, is_below)

    def _is_ahead(self, candidates: Candidates) -> NDArray[np.bool_]:
        """Which candidates no page before has shown: bool [n]."""
        ahead: NDArray[np.bool_] = candidates.scores < self._position.below + ROUNDING
        return ahead & ~np.isin(candidates.track_ids, self._position.seen) if self._position.seen else ahead


def _scored(plan: Plan, neighbors: Neighbors) -> Candidates:
    """All that any of the searches found, by the strategy's score; equal ones in order of track."""
    query, view = plan.query, plan.view
    if len(neighbors.track_ids) == 1 and query.strategy == "average_vector":
        there = neighbors.track_ids[0] >= 0
        scores = recommend.score_of(neighbors.cosines[0][there])
        return Candidates(neighbors.track_ids[0][there], scores, neighbors.vector_ids[0][there])
    vector_ids = distinct(neighbors.vector_ids[neighbors.vector_ids >= 0])
    scores = recommend.scores(view.vectors(vector_ids), plan.positive, plan.negative, query.strategy)
    track_ids = view.track_ids(vector_ids)
    order = np.lexsort((track_ids, -scores))
    _, first = np.unique(track_ids[order], return_index=True)
    order = order[np.sort(first)]
    return Candidates(track_ids[order], scores[order], vector_ids[order])


def _rescored(candidates: Candidates, rescoring: Rescoring, block: int) -> Candidates:
    """The candidates of each block by their new scores."""
    scores = rescoring.scores(candidates.track_ids, (2 * candidates.scores - 1).astype(np.float32))
    order = np.lexsort((candidates.track_ids, -scores, np.arange(len(candidates)) // block))
    return replace(candidates, scores=scores.astype(np.float64)).at(order)


def pick(
    candidates: Candidates,
    places: NDArray[np.int64],
    tracks: Mapping[int, Track],
    plan: Plan,
    catalog: Catalog,
    *,
    requested: int,
) -> tuple[Candidates, dict[str, int]]:
    """The candidates in the order of the results, the first `requested` at least, and what each rule dropped.

    In turn: hubs step back, then other versions of a track that is in already or was an example, too many of one artist
    or album, likeness to what is picked, and last the gaps of a queue. Candidates that are added behind the last block
    change nothing before them, so that pages follow each other: `places` say where each stood before any was dropped,
    and with that in which block.
    """
    query, view = plan.query, plan.view
    there = np.array([track_id in tracks for track_id in candidates.track_ids.tolist()], bool)
    dropped = {"deleted_meanwhile": int((~there).sum())}
    candidates, places = candidates.at(there), places[there]
    diversity = query.diversity
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
        enough = len(candidates) if query.context is not None else requested
        candidates = candidates.at(_mixed(candidates, places // diversity.candidates, view, diversity.mmr, enough))
    if query.context is not None:
        candidates, gaps = _queued(candidates, tracks, query, catalog)
        dropped |= gaps
    return candidates, dropped


def _originals(candidates: Candidates, tracks: Mapping[int, Track], plan: Plan, catalog: Catalog) -> NDArray[np.bool_]:
    """Which candidates are versions of none before them, nor of an example that is left out: bool [n]."""
    examples = {} if plan.query.include_seed else {seed.id: seed for seed in plan.seeds.values()}
    of_examples = plan.view.vector_ids(np.array(sorted(examples), np.int64))
    vector_ids = np.concatenate([of_examples, candidates.vector_ids])
    track_ids = np.concatenate([plan.view.track_ids(of_examples), candidates.track_ids])
    known = {**tracks, **examples}
    durations_s = np.array([known[track_id].duration_s for track_id in track_ids.tolist()])

    def fingerprints(positions: NDArray[np.int64]) -> list[NDArray[np.int32] | None]:
        requested = track_ids[positions].tolist()
        by_track = catalog.fingerprints_of(list(dict.fromkeys(requested)))
        return [by_track.get(track_id) for track_id in requested]

    diversity = plan.query.diversity
    alone = SURE_COSINE if diversity is not None and diversity.fold_duplicates == "sure" else 0.0
    vectors = plan.view.vectors(vector_ids)
    first = fold_duplicates(vectors, durations_s, fingerprints, min_cosine_alone=alone)
    originals: NDArray[np.bool_] = (first == np.arange(len(first)))[len(of_examples) :]
    return originals


def _mixed(
    candidates: Candidates, blocks: NDArray[np.int64], view: IndexView, trade_off: float, requested: int
) -> NDArray[np.int64]:
    """The order of MMR, within each block (ascending numbers) for itself: the first `requested` positions, int64."""
    order = np.empty(0, np.int64)
    for block in np.unique(blocks):
        if len(order) >= requested:
            break
        inside = np.flatnonzero(blocks == block)
        vectors = view.vectors(candidates.vector_ids[inside])
        picked = mmr(vectors, candidates.scores[inside], trade_off=trade_off, limit=requested - len(order))
        order = np.concatenate([order, inside[picked]])
    return order


def _hubs_behind(candidates: Candidates, blocks: NDArray[np.int64], view: IndexView) -> Candidates:
    """The candidates of each block by their scores less how near they are to their own nearest tracks."""
    if not len(candidates):
        return candidates
    density = np.empty(len(candidates), np.float32)
    for block in np.unique(blocks):  # each for itself: how many are asked together shows in a cosine's last digit
        inside = np.flatnonzero(blocks == block)
        neighbors = view.search(view.vectors(candidates.vector_ids[inside]), NEIGHBOURS + 1)
        itself = neighbors.track_ids == candidates.track_ids[inside, np.newaxis]
        density[inside] = density_of(np.where(itself, -np.inf, neighbors.cosines))
    scores = csls((2 * candidates.scores - 1).astype(np.float32), density)
    order = np.lexsort((candidates.track_ids, -scores, blocks))
    return Candidates(candidates.track_ids[order], scores[order], candidates.vector_ids[order])


def _queued(
    candidates: Candidates, tracks: Mapping[int, Track], query: Query, catalog: Catalog
) -> tuple[Candidates, dict[str, int]]:
    assert query.context is not None  # pick
    ids = catalog.ids_by_key(query.played)
    known = catalog.tracks_by_id(list(ids.values()))
    played = [known[ids[key]] for key in query.played if key in ids]
    previous = [(track.artist, track.album) for track in played]
    unplayed = candidates.without(frozenset(ids.values()))
    gaps = query.context.artist_gap, query.context.album_gap
    names = [(track.artist, track.album) for track in (tracks[track_id] for track_id in unplayed.track_ids.tolist())]
    positions, left_out = queue(names, previous, gaps, limit=len(unplayed))
    return unplayed.at(positions), {"previous": len(candidates) - len(unplayed), **left_out}
