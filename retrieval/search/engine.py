"""A query's way: resolve the examples, compile the filter, search the index, rank, pick, explain, answer.

A score lies in [0, 1], higher is better; for one example it is (1 + cos) / 2, for several see
:mod:`retrieval.search.recommend`. An answer holds ``min(limit, matching)`` tracks, or its `Stats` say what became of
the others: they add up.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING

from retrieval.catalog.heard.music import parts_at
from retrieval.catalog.succession import Succession
from retrieval.catalog.tracks import TrackCache
from retrieval.counting import counted
from retrieval.filters.compiled import Selections
from retrieval.index.ann.stopping import RECALL_TARGET
from retrieval.index.space import SpaceIndex, check_holds
from retrieval.search import cursors, recommend
from retrieval.search.explain import explanations
from retrieval.search.laps import Laps
from retrieval.search.picking import PageMaker
from retrieval.search.plan import resolve, with_filter
from retrieval.search.query import MAX_CANDIDATES, Answer, Query, Result, Stats

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence
    from pathlib import Path

    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import Granularity
    from retrieval.index.protocol import Neighbors
    from retrieval.search.picking import Page
    from retrieval.search.plan import Plan


class Search:
    """Answers queries over every space of one catalogue; safe to share between threads.

    Parameters
    ----------
    tags : the vocabulary of every encoder that is known; a filter may name these, also where no track has them

    Attributes
    ----------
    defaults : the spaces that answer where none is named: one, or of several the newest that holds all tracks
    """

    def __init__(
        self,
        catalog: Catalog,
        index_root: Path,
        *,
        default_space: str | Sequence[str],
        renamed: Mapping[str, str] = MappingProxyType({}),
        recall: float = RECALL_TARGET,
        tags: Callable[[], Collection[str]] = frozenset,
    ) -> None:
        self.catalog = catalog
        self.tracks = TrackCache(catalog)
        self.selections = Selections(catalog, tags)
        self._renamed = renamed
        spaces = [default_space] if isinstance(default_space, str) else default_space
        self.defaults = Succession(catalog, [renamed.get(space, space) for space in spaces])
        self._index_root, self._recall = index_root, recall
        self._spaces: dict[tuple[str, Granularity], SpaceIndex] = {}

    def space(self, name: str | None = None, granularity: Granularity = "track") -> SpaceIndex:
        """The index of a space, by default of the default space that answers.

        Raises
        ------
        IndexMissingError
            If no track was ever encoded in it: callers name spaces, and only real ones are kept and looked for on disk.
        """
        name = self.space_name(name)
        if (name, granularity) not in self._spaces:
            check_holds(self.catalog, name)
            index = SpaceIndex(self.catalog, self._index_root, name, granularity, recall=self._recall)
            self._spaces.setdefault((name, granularity), index)
        return self._spaces[name, granularity]

    def space_name(self, name: str | None = None) -> str:
        """The default space that answers, or the space of this name, which may be one that it had before."""
        name = name or self.defaults.answering()
        return self._renamed.get(name, name)

    @property
    def opened(self) -> Sequence[SpaceIndex]:
        """The indexes that were asked for until now."""
        return list(self._spaces.values())

    def check(self, query: Query) -> None:
        """Refuse what cannot be run, before what it is like is decoded or fetched: ranges, the space, the filter.

        Raises
        ------
        FilterError, QueryError, IndexMissingError
        """
        query.check()
        self.space(query.space, query.granularity)
        if query.filter is not None:
            self.selections.condition(query.filter)

    def answer(self, query: Query, *, default_space: str | None = None) -> Answer:
        """Run a query.

        Parameters
        ----------
        default_space : where the query names none; given for what belongs together, as the default may change between

        Raises
        ------
        UnknownTrackError, MissingEmbeddingError, NotAnalysedError, IndexMissingError, IndexMismatchError
        FilterError, QueryError
        StaleCursorError
            If the index has changed since the page before.
        """
        query.check()
        laps = Laps(seed.spent_s for seed in (*query.positive, *query.negative))
        index = self.space(query.space or default_space, query.granularity)
        view = index.view()
        version = view.version
        position = cursors.read(query, version)
        plan = resolve(query, index, view, self.catalog, self.tracks)
        laps.finish("resolve")
        plan = with_filter(plan, self.selections, f"{index.space}/{index.granularity}")
        laps.finish("filter")
        maker = PageMaker(plan, position, self.catalog, self.tracks, laps.finish)
        vectors = recommend.queries(plan.positive, plan.negative, query.strategy)
        neighbors = view.search(
            vectors, maker.first_k, selection=plan.selection, exact=query.exact, enough=maker.is_filled
        )
        laps.finish("search")
        page = maker.page()
        # Beyond a few, what must not come back was kept from the search, which does not count it.
        matching = neighbors.matching - plan.matching_left_out + plan.dropped
        stats = _stats(position, page, neighbors, matching)
        more = stats.remaining > 0 and len(page.shown) == query.limit
        results = self._results(plan, page, first_rank=position.returned + 1)
        laps.finish("rank")
        return Answer(
            results,
            cursors.written(_after(position, query, page), query, version) if more else None,
            index.space,
            version,
            view.encoder_version,
            replace(stats, reason=self._reason(plan, stats), unknown=plan.unknown),
            laps.timing_ms(),
        )

    def _results(self, plan: Plan, page: Page, *, first_rank: int) -> list[Result]:
        query, shown = plan.query, page.shown
        track_ids = shown.track_ids.tolist()
        by_segment = query.granularity == "segment" and track_ids
        spans = plan.view.spans_s(shown.vector_ids).tolist() if by_segment else [None] * len(shown)
        moments = {track_id: sum(span) / 2 for track_id, span in zip(track_ids, spans, strict=True) if span}
        parts = parts_at(self.catalog.engine, moments) if moments else {}
        reasons = explanations(plan, shown, page.tracks, self.catalog) if query.explain else [None] * len(shown)
        return [
            Result(
                page.tracks[track_id],
                score,
                rank,
                None if span is None else (span[0], span[1]),
                parts.get(track_id),
                reason,
            )
            for rank, (track_id, score, span, reason) in enumerate(
                zip(track_ids, shown.scores.tolist(), spans, reasons, strict=True), start=first_rank
            )
        ]

    def _reason(self, plan: Plan, stats: Stats) -> str | None:
        """Why a page is not full, where it is not."""
        query = plan.query
        if stats.returned >= query.limit:
            return None
        if stats.remaining and "deleted_meanwhile" not in stats.dropped:
            return f"only the nearest {MAX_CANDIDATES} were looked at, of {stats.matching} that match"
        if set(stats.dropped) - {"exclude"}:
            return "fewer tracks than asked for are left: see dropped"
        count = stats.matching - stats.dropped.get("exclude", 0)
        examples = plan.matching_left_out - plan.dropped
        beside = f" beside {'the example' if examples == 1 else f'the {examples:,} examples'}" if examples > 0 else ""
        found = (f"only {counted(count, 'track')}" if count else "no track") + beside
        if query.filter is None:
            return f"{found} can be found in this space"
        lacking = [] if stats.matching else self.selections.lacking(query.filter)
        nowhere = f"; no track has a value of {', '.join(lacking)}" if lacking else ""
        return f"{found} {'match' if count > 1 else 'matches'} the filter{nowhere}"


def _after(position: cursors.Position, query: Query, page: Page) -> cursors.Position:
    if query.picks:
        return cursors.Position(position.returned + len(page.shown))
    return position.after(list(zip(page.shown.track_ids.tolist(), page.shown.scores.tolist(), strict=True)))


def _stats(position: cursors.Position, page: Page, neighbors: Neighbors, matching: int) -> Stats:
    """What became of every track that matches; the reason is left to be said."""
    returned, dropped = len(page.shown), dict(page.dropped)
    remaining = matching - position.returned - returned - sum(dropped.values())
    if page.is_below and remaining > 0:  # what was not looked at lies below the threshold as well
        dropped["score_threshold"] = dropped.get("score_threshold", 0) + remaining
        remaining = 0
    return Stats(matching, neighbors.scored, position.returned, returned, remaining, neighbors.path, dropped, None)
