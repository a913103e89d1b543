"""The approximate index: inverted lists of codes to find candidates by, float16 vectors to rank them.

Which lists to search, how many candidates to take, and when to stop is told by the rules of
:mod:`retrieval.index.ann.stopping`, by figures that were measured on the index itself, see
:mod:`retrieval.index.ann.tuning`.

A search has two looks. The first takes the lists within a reach of the nearest. Where they hold few rows, these are
compared by their vectors at once, list by list from the nearest, which tells how far to go; where they hold many, the
codes choose candidates. Nearly every unfiltered query ends there, since the reach was measured for what is like the
rows of the index. A filter may leave out what is near, and a query may be unlike all rows (music of another kind), so
where what is found is further than usual there is a second look, at the lists that the gap behind the k-th best row
leaves, and it takes more candidates as long as the codes' error says that some are missed; in the end all rows are
scored, at once where these lists hold more. So a filter that lies around the query costs no more than none, and one
that leaves out all that is near looks as far as it must.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.index.ann import kernels
from retrieval.index.ann.centroids import Centroids, Lists, Seen
from retrieval.index.ann.inverted_lists import InvertedLists, Subset
from retrieval.index.ann.stopping import (
    TUNING_KS,
    Effort,
    Tuning,
    candidates_needed,
    for_k,
    reach_for,
    reach_of_matching,
    unsure,
)
from retrieval.index.faiss_threads import Found, in_blocks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_LEAP = 8
_ROWS_A_CANDIDATE = 256
_MISSES_ALLOWED = 0.003
_SCAN_FROM = 8
# To score a row of a subset: each query by itself, or for many the row once and then each query; in units of what it
# takes to look at a row of a list by its code, whether it matches or not.
_SCORED_ALONE = 3.0
_SCORED_ONCE, _SCORED_BY_EACH = 6.0, 0.6
_QUERIES_AT_ONCE = 256


@dataclass(frozen=True)
class _Look:
    """Candidates of queries [n_queries, n], best first by their codes.

    Attributes
    ----------
    approximate : cosines by the codes
    rows : −1 where there are fewer
    cosines : by the stored vectors; −inf where there is none
    """

    approximate: NDArray[np.float32]
    rows: NDArray[np.int64]
    cosines: NDArray[np.float32]

    def needed(self, kth: NDArray[np.float32], k: int) -> NDArray[np.float64]:
        """How many candidates there should be, where the k-th best rows have these cosines [n_queries]."""
        needed = candidates_needed(self.approximate, self.cosines, np.ascontiguousarray(kth), _MISSES_ALLOWED * k)
        return np.asarray(needed, np.float64)


@dataclass(frozen=True)
class _Best:
    """What was found of queries so far, and what more there is to look at.

    Attributes
    ----------
    rows, cosines : [n_queries, k], best first
    least : float32 [n_queries], the cosine down to which a list may hold better rows; inf where none does
    needed : float64 [n_queries], candidates that there should be of the lists that are looked at
    """

    rows: NDArray[np.int64]
    cosines: NDArray[np.float32]
    least: NDArray[np.float32]
    needed: NDArray[np.float64]

    @property
    def kth(self) -> NDArray[np.float32]:
        """The cosines of the last."""
        return self.cosines[:, -1]

    def scanned(self, some: NDArray[np.int64], rows: NDArray[np.int64], cosines: NDArray[np.float32]) -> None:
        """Of some queries these are the best of all, with nothing more to look at."""
        self.rows[some], self.cosines[some] = rows, cosines
        self.least[some], self.needed[some] = np.inf, -np.inf


@dataclass(frozen=True)
class _Limits:
    """What the efforts of a tuning come to for one k, [n_efforts] each; see `Effort`."""

    reaches: NDArray[np.float32]
    gaps: NDArray[np.float32]
    usual: NDArray[np.float32]
    direct_rows: NDArray[np.int64]

    def of(self, efforts: NDArray[np.int64]) -> _Limits:
        """Those of queries, by the effort that each needs."""
        return _Limits(self.reaches[efforts], self.gaps[efforts], self.usual[efforts], self.direct_rows[efforts])


@dataclass(frozen=True)
class _Reach:
    """How far the first look of queries goes, and what lies beyond.

    Attributes
    ----------
    centroid_cosines : of all lists, float32 [n_queries, nlist]
    matching : see `Subset`
    floors : float32 [n_queries], the cosine down to which lists are looked at
    enough : float32 [n_queries], the cosine of a tenth best row with which nothing beyond is looked at
    direct_rows : int64 [n_queries], see `Effort`
    """

    centroid_cosines: NDArray[np.float32]
    matching: NDArray[np.float32]
    floors: NDArray[np.float32]
    enough: NDArray[np.float32]
    direct_rows: NDArray[np.int64]

    @cached_property
    def lists(self) -> Lists:
        """Those of every query."""
        return self.down_to(self.floors, np.arange(len(self.floors)))

    def down_to(self, least: NDArray[np.float32], some: NDArray[np.int64]) -> Lists:
        """Those of some queries down to other cosines [n_queries], no higher than the floors."""
        return self._between(least, np.full(len(least), np.inf, np.float32), some)[1]

    def beyond(self, least: NDArray[np.float32]) -> tuple[NDArray[np.int64], Lists]:
        """Which queries have more lists down to these cosines [n_queries], and those alone."""
        return self._between(least, self.floors, np.arange(len(least)))

    def _between(
        self, least: NDArray[np.float32], below: NDArray[np.float32], some: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], Lists]:
        found = kernels.lists_between(self.centroid_cosines, self.matching, least, below, some)
        queries, starts, numbers, cosines = found
        return queries, Lists(starts, numbers, cosines)


class AnnIndex:
    """An index of float32 [count, dim] vectors of unit length; row i is the i-th vector that was added."""

    def __init__(self, index: Any, tuning: Tuning) -> None:
        self.index, self.tuning = index, tuning
        self.lists = InvertedLists(index)
        self.count, self.dim = self.lists.count, self.lists.dim
        self._centroids = Centroids(self.lists.centroids(), tuning.screen)
        self._kept_limits: dict[int, _Limits] = {}

    def tuned(self, tuning: Tuning) -> AnnIndex:
        """The same index with another tuning."""
        other = copy(self)
        other.tuning = tuning
        other._centroids = self._centroids.screened(tuning.screen)
        other._kept_limits = {}
        return other

    def fits(self, dim: int, recall: float) -> bool:
        """Whether its training serves vectors of this dimension, and its tuning this recall."""
        return self.dim == dim and self.tuning.target == recall

    @property
    def scan_rows(self) -> int:
        """Rows of a subset up to which scoring every one is faster than `search_selected`."""
        return self.tuning.scan_rows

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of these rows, float32 [len(rows), dim]."""
        return self.lists.vectors(rows)

    def select(self, rows: NDArray[np.int64]) -> Subset:
        """These rows, ascending, as what a search may return."""
        return self.lists.subset(rows)

    def centroid_cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner products of queries [n, dim] with the centroids of all lists, float32 [n, nlist]."""
        return self._centroids.cosines(queries)

    def seen_cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same as a search first sees them."""
        return self._centroids.seen(queries, usual=-1.0).cosines

    def search(self, queries: NDArray[np.float32], k: int, *, bits: NDArray[np.uint8] | None = None) -> Found:
        """The nearest rows; `bits` leave out a few of them (deleted ones), for a filter there is `search_selected`."""
        return self.search_selected(queries, k, self.lists.everything if bits is None else Subset(self.count, bits))

    def search_selected(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        """The nearest rows of a subset, as many as it has."""
        # Ten at least, by which a query is known to be like others.
        n = min(max(k, TUNING_KS[0]), subset.count)
        queries = np.ascontiguousarray(queries, np.float32)
        rows, cosines = in_blocks(lambda block: self._search_block(block, n, subset), queries, at_most=_QUERIES_AT_ONCE)
        return rows[:, :k], cosines[:, :k]

    def scan(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        """The nearest rows of a subset, by scoring every one."""
        return self.lists.scan(queries, k, subset)

    def ranked(self, queries: NDArray[np.float32], candidates: NDArray[np.int64], k: int) -> Found:
        """The best k of the candidates [n_queries, n] by their stored vectors; −1 is no candidate."""
        return in_blocks(lambda some, rows: self._ranked_block(some, rows, k), queries, candidates)

    def _ranked_block(self, queries: NDArray[np.float32], candidates: NDArray[np.int64], k: int) -> Found:
        found: Found = kernels.best_of(queries, self.lists.halves, candidates, k)
        return found

    def _search_block(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        if subset.in_list is not None:
            return self._search_filtered(queries, k, subset)
        seen, limits = self._centroids.seen(queries, self.tuning.usual_nearest), self._limits(k)
        rows, cosines, efforts, left = self._best_within(queries, k, seen, limits, subset)
        if len(left):
            lists = self._centroids.within(queries, seen, limits.reaches[efforts], left)
            for some, effort in self._by_effort(efforts[left]):
                its_queries = queries[left[some]]
                _, candidates = self.lists.candidates(its_queries, k * effort.candidates, lists, some, subset)
                rows[left[some]], cosines[left[some]] = self._ranked_block(its_queries, candidates, k)
        again = unsure(cosines, efforts, limits.usual)
        if len(again):
            limits = limits.of(efforts[again])
            n = k * max(self.tuning.efforts[effort].candidates for effort in efforts[again])
            centroid_cosines = self.centroid_cosines(queries[again])
            floors = centroid_cosines.max(axis=1) - limits.reaches
            never = np.full(len(again), np.inf, np.float32)
            reach = _Reach(centroid_cosines, subset.matching, floors, never, limits.direct_rows)
            rows[again], cosines[again] = self._search_on(queries[again], k, n, reach, subset)
        return rows, cosines

    def _best_within(
        self, queries: NDArray[np.float32], k: int, seen: Seen, limits: _Limits, subset: Subset
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]:
        """Rows and cosines [n_queries, k], efforts, and which queries have lists of too many rows to compare all."""
        found: tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64], NDArray[np.int64]]
        found = kernels.best_within(
            queries,
            *self.lists.stored,
            self._centroids.vectors,
            seen.cosines,
            seen.first,
            seen.nearest,
            seen.exact,
            self.tuning.nearest,
            limits.reaches,
            limits.gaps,
            limits.direct_rows,
            self.tuning.screen.slack,
            subset.tested_bits,
            k,
        )
        return found

    def _limits(self, k: int) -> _Limits:
        """Those for this k, kept: to interpolate takes as long as a search."""
        if k not in self._kept_limits:
            efforts = self.tuning.efforts
            reaches = np.array([reach_for(k, measured) for measured in self.tuning.reaches], np.float32)
            gaps = np.array([for_k(k, np.array(effort.gaps, np.float32)) for effort in efforts], np.float32)
            usual = np.array([effort.usual for effort in efforts], np.float32)
            direct_rows = np.array([effort.direct_rows for effort in efforts], np.int64)
            self._kept_limits[k] = _Limits(reaches, gaps, usual, direct_rows)
        return self._kept_limits[k]

    def _by_effort(self, efforts: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Effort]]:
        """Which queries need each effort [n_queries] that any does."""
        for number in set(efforts.tolist()):
            yield np.flatnonzero(efforts == number), self.tuning.efforts[number]

    def _search_filtered(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        tuning, centroid_cosines = self.tuning, self.centroid_cosines(queries)
        floors, efforts = reach_of_matching(
            centroid_cosines, subset.matching, self.lists.sizes, k, tuning.nearest, tuning.reaches
        )
        limits = self._limits(k).of(efforts)
        # Where the filter leaves nothing in the nearest list, what is usual tells nothing.
        is_left = subset.matching[centroid_cosines.argmax(axis=1)] > 0
        enough = np.where(is_left, limits.usual, np.float32(np.inf))
        reach = _Reach(centroid_cosines, subset.matching, floors, enough, limits.direct_rows)
        return self._search_on(queries, k, self._enough(k, reach.lists), reach, subset)

    def _search_on(self, queries: NDArray[np.float32], k: int, n: int, reach: _Reach, subset: Subset) -> Found:
        """A first look, for n candidates, then one at all lists that may hold better rows, and at more candidates."""
        look = self._look(queries, n, reach.lists, reach.direct_rows, subset)
        nothing_more = np.full(len(queries), np.inf, np.float32), np.zeros(len(queries))
        best = _Best(*kernels.best(look.rows, look.cosines, k), *nothing_more)
        short = unsure(best.cosines, np.arange(len(queries)), reach.enough)
        if len(short):
            best.least[short] = self.tuning.least_needed(best.kth[short])
            self._look_beyond(queries, k, reach, subset, best)
        best.needed[:] += look.needed(best.kth, k)
        self._take_more(queries, k, n, reach, subset, best)
        return best.rows, best.cosines

    def _look_beyond(self, queries: NDArray[np.float32], k: int, reach: _Reach, subset: Subset, best: _Best) -> None:
        """Look at the lists beyond the reach that may hold better rows, or score all that match if that is sooner."""
        more, lists = reach.beyond(best.least)
        scanned = more[self._sooner_scanned(lists, subset.count)]
        if len(scanned):
            best.scanned(scanned, *self.lists.scan_block(queries[scanned], k, subset))
            more, lists = reach.beyond(best.least)
        if len(more):
            look = self._look(queries[more], self._enough(k, lists), lists, reach.direct_rows[more], subset)
            both = np.hstack([best.rows[more], look.rows]), np.hstack([best.cosines[more], look.cosines])
            best.rows[more], best.cosines[more] = kernels.best(*both, k)
            best.needed[more] = look.needed(best.kth[more], k) - look.rows.shape[1]

    def _take_more(
        self, queries: NDArray[np.float32], k: int, n: int, reach: _Reach, subset: Subset, best: _Best
    ) -> None:
        """Take more than n candidates of the queries that need them, in the end all rows of the subset."""
        due = np.minimum(best.needed, _LEAP * n)  # what few candidates show is uncertain
        while (due > n).any():
            n *= 2
            if n > max(k, subset.count // _SCAN_FROM):  # it is cheaper to score every row of the subset
                left = np.flatnonzero(due > n // 2)
                best.scanned(left, *self.lists.scan_block(queries[left], k, subset))
                break
            at = np.flatnonzero((due > n // 2) & (due <= n))
            if len(at):
                lists = reach.down_to(np.minimum(best.least, reach.floors), at)
                look = self._look(queries[at], n, lists, reach.direct_rows[at], subset)
                best.rows[at], best.cosines[at] = kernels.best(look.rows, look.cosines, k)
                due[at] = np.minimum(look.needed(best.kth[at], k), _LEAP * n)

    def _sooner_scanned(self, lists: Lists, matching: int) -> NDArray[np.int64]:
        """The queries whose lists hold so many rows that to score all that match takes less time."""
        rows = np.add.reduceat(self.lists.sizes[lists.numbers], lists.starts[:-1])
        saved = rows - _SCORED_BY_EACH * matching
        many = np.flatnonzero(saved > 0)
        if saved[many].sum() > _SCORED_ONCE * matching:
            return many
        return np.flatnonzero(rows > _SCORED_ALONE * matching)

    def _enough(self, k: int, lists: Lists) -> int:
        """So many candidates that to look once more for others would cost more than they do."""
        rows = float(self.lists.sizes[lists.numbers].sum()) / lists.n_queries
        return max(k * self.tuning.efforts[0].candidates, round(rows / _ROWS_A_CANDIDATE))

    def _look(
        self, queries: NDArray[np.float32], n: int, lists: Lists, direct_rows: NDArray[np.int64], subset: Subset
    ) -> _Look:
        """The best n rows of these lists: of few by their vectors, of many by their codes."""
        rows, cosines, left = kernels.best_of_lists(
            queries, *self.lists.stored, lists.starts, lists.numbers, subset.tested_bits, n, direct_rows
        )
        approximate = cosines.copy()
        if len(left):
            approximate[left], rows[left] = self.lists.candidates(queries[left], n, lists, left, subset)
            cosines[left] = kernels.cosines_of(queries[left], self.lists.halves, rows[left])
        return _Look(approximate, rows, cosines)
