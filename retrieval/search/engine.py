"""A query's way: resolve the examples, compile the filter, search the index, rank, pick, explain, answer.

A score lies in [0, 1], higher is better; for one example it is that of :mod:`retrieval.search.scores`, for several see
:mod:`retrieval.search.recommend`. An answer holds ``min(limit, matching)`` tracks, or its `Stats` say what was dropped.
"""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from retrieval.catalog.tracks import TrackCache
from retrieval.filters.compiled import Selections
from retrieval.index.ann.tuning import RECALL_TARGET
from retrieval.index.ascending import distinct
from retrieval.index.space import SpaceIndex, newest_encoder_version
from retrieval.search import cursors, recommend
from retrieval.search.explain import explanations
from retrieval.search.picking import Candidates, pick
from retrieval.search.plan import FEW_EXCLUDED, resolve, with_filter
from retrieval.search.query import MAX_CANDIDATES, Answer, Query, Result, Stats
from retrieval.search.scores import score_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from pyroaring import BitMap64

    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import Granularity, Track
    from retrieval.filters.language import Filter
    from retrieval.index.view import Neighbors
    from retrieval.search.plan import Plan

_WIDEN = 4


class Search:
    """Answers queries over every space of one catalogue; safe to share between threads."""

    def __init__(
        self,
        catalog: Catalog,
        index_root: Path,
        *,
        default_space: str,
        renamed: Mapping[str, str] = MappingProxyType({}),
        recall: float = RECALL_TARGET,
    ) -> None:
        self.catalog = catalog
        self.tracks = TrackCache(catalog)
        self.selections = Selections(catalog)
        self.default_space = default_space
        self._renamed = renamed
        self._index_root, self._recall = index_root, recall
        self._spaces: dict[tuple[str, Granularity], SpaceIndex] = {}

    def space(self, name: str | None = None, granularity: Granularity = "track") -> SpaceIndex:
        """The index of a space, by default of the default space.

        Raises
        ------
        IndexMissingError
            If no track was ever encoded in it: callers name spaces, and only real ones are kept and looked for on disk.
        """
        name = self.space_name(name)
        if (name, granularity) not in self._spaces:
            newest_encoder_version(self.catalog, name)
            index = SpaceIndex(self.catalog, self._index_root, name, granularity, recall=self._recall)
            self._spaces.setdefault((name, granularity), index)
        return self._spaces[name, granularity]

    def space_name(self, name: str | None = None) -> str:
        """The default space, or the space of this name, which may be one that it had before."""
        name = name or self.default_space
        return self._renamed.get(name, name)

    def matching(self, condition: Filter) -> BitMap64:
        """Ids of the live tracks that match a filter.

        Raises
        ------
        FilterError
            For an unknown key, or a filter that is malformed.
        """
        return self.selections.matching(condition)

    def answer(self, query: Query) -> Answer:
        """Run a query.

        Raises
        ------
        UnknownTrackError, MissingEmbeddingError, IndexMissingError, IndexMismatchError, FilterError, QueryError
        StaleCursorError
            If the index has changed since the page before.
        """
        clock = _Clock()
        query.check()
        index = self.space(query.space, query.granularity)
        view = index.view()
        position = cursors.read(query, view.version)
        plan = resolve(query, index, view, self.catalog, self.tracks)
        clock.lap("resolve")
        plan = with_filter(plan, self.selections, f"{index.space}/{index.granularity}")
        clock.lap("filter")
        wanted = position.returned + query.limit
        while True:
            candidates, found = self._candidates(plan, position, wanted)
            clock.lap("search")
            page, dropped, tracks = self._page(plan, candidates, position)
            # What is picked may fall short though more would match. Without an end to this, all tracks might be read.
            if not query.picks or len(page) == query.limit or len(candidates) < wanted or wanted >= MAX_CANDIDATES:
                break
            clock.lap("rank")
            wanted *= _WIDEN
        matching = found.matching - plan.matching_left_out
        more = position.returned + len(page) < matching and len(page) == query.limit
        results = self._results(plan, page, tracks, first_rank=position.returned + 1)
        clock.lap("rank")
        return Answer(
            results,
            cursors.written(self._next(query, position, page), query, view.version) if more else None,
            index.space,
            view.version,
            view.encoder_version,
            Stats(matching, found.scored, len(results), found.path, dropped, _reason(page, matching, query, dropped)),
            clock.timing_ms(),
        )

    # Search --------------------------------------------------------------------------------------------------------

    def _candidates(self, plan: Plan, position: cursors.Position, wanted: int) -> tuple[Candidates, Neighbors]:
        """The best tracks for this page, best first; where they are picked, this many at least, or all."""
        query = plan.query
        vectors = recommend.queries(plan.positive, plan.negative, query.strategy)
        if query.picks:
            # Whole blocks: what stands on a page must not depend on where it ends.
            block = query.diversity.candidates if query.diversity else 10 * query.limit
            wanted = -(-wanted // block) * block
        n = wanted + (len(plan.left_out) if len(plan.left_out) <= FEW_EXCLUDED else 0)
        while True:
            found = plan.view.search(vectors, n, among=plan.among, exact=query.exact)
            candidates = self._scored(plan, found)
            kept = candidates.without(plan.left_out)
            usable = kept.scores >= 0.5 if query.strategy == "best_score" and plan.negative else kept.scores >= 0
            below = (kept.scores < position.below + cursors.ROUNDING) & ~np.isin(kept.track_ids, position.seen)
            enough = (usable & (below | query.picks)).sum() >= (wanted if query.picks else query.limit)
            if enough or n >= found.matching:
                # Behind those, several searches may have left out better ones than they found.
                return kept.at(slice(wanted)) if query.picks else kept, found
            n *= _WIDEN

    def _scored(self, plan: Plan, found: Neighbors) -> Candidates:
        """All that any of the searches found, by the strategy's score; equal ones in order of track."""
        query = plan.query
        if len(found.track_ids) == 1 and query.strategy == "average_vector":
            kept = found.track_ids[0] >= 0
            return Candidates(found.track_ids[0][kept], score_of(found.cosines[0][kept]), found.rows[0][kept])
        rows = distinct(found.rows[found.rows >= 0])
        scores = recommend.scores(plan.view.vectors(rows), plan.positive, plan.negative, query.strategy)
        track_ids = plan.view.track_ids(rows)
        order = np.lexsort((track_ids, -scores))
        _, first = np.unique(track_ids[order], return_index=True)
        order = order[np.sort(first)]
        return Candidates(track_ids[order], scores[order], rows[order])

    # Rank ----------------------------------------------------------------------------------------------------------

    def _page(
        self, plan: Plan, candidates: Candidates, position: cursors.Position
    ) -> tuple[Candidates, dict[str, int], dict[int, Track]]:
        """What this page shows, what was dropped and why, and the tracks."""
        query, dropped = plan.query, {"exclude": plan.dropped}
        above = candidates.scores >= (query.score_threshold or 0)
        dropped["score_threshold"] = int((~above)[: query.limit].sum())
        candidates = candidates.at(above)
        if query.picks:
            tracks = self.tracks.tracks(candidates.track_ids.tolist())
            end = position.returned + query.limit
            candidates, reasons = pick(candidates, tracks, plan, self.catalog, wanted=end)
            page = candidates.at(slice(position.returned, end))
            dropped |= reasons
        else:
            below = candidates.scores < position.below + cursors.ROUNDING
            page = candidates.at(below & ~np.isin(candidates.track_ids, position.seen)).at(slice(query.limit))
            tracks = self.tracks.tracks(page.track_ids.tolist())
        live = np.array([track_id in tracks for track_id in page.track_ids.tolist()], bool)
        dropped["deleted_meanwhile"] = int((~live).sum())
        return page.at(live), {name: count for name, count in dropped.items() if count}, tracks

    def _next(self, query: Query, position: cursors.Position, page: Candidates) -> cursors.Position:
        if query.picks:
            return cursors.Position(position.returned + len(page))
        return position.after(list(zip(page.track_ids.tolist(), page.scores.tolist(), strict=True)))

    def _results(self, plan: Plan, page: Candidates, tracks: Mapping[int, Track], *, first_rank: int) -> list[Result]:
        query = plan.query
        spans = plan.view.spans_s(page.rows).tolist() if query.granularity == "segment" else [None] * len(page)
        reasons = explanations(plan, page, self.catalog) if query.explain else [None] * len(page)
        return [
            Result(tracks[track_id], score, rank, None if span is None else (span[0], span[1]), reason)
            for rank, (track_id, score, span, reason) in enumerate(
                zip(page.track_ids.tolist(), page.scores.tolist(), spans, reasons, strict=True), start=first_rank
            )
        ]


class _Clock:
    def __init__(self) -> None:
        self._start = self._last = time.perf_counter()
        self._laps: dict[str, float] = {}

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self._laps[name] = self._laps.get(name, 0.0) + now - self._last
        self._last = now

    def timing_ms(self) -> dict[str, float]:
        laps = self._laps | {"total": self._last - self._start}
        return {name: round(1000 * seconds, 3) for name, seconds in laps.items()}


def _reason(page: Candidates, matching: int, query: Query, dropped: Mapping[str, int]) -> str | None:
    if len(page) >= query.limit:
        return None
    if set(dropped) - {"exclude"}:
        return "fewer tracks than asked for are left: see dropped"
    what = "match the filter" if query.filter else "can be found in this space"
    return f"only {matching} tracks {what}"
