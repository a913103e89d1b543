"""The approximate index: inverted lists of codes to find candidates by, float16 vectors to rank them.

Which lists to search, how many candidates to take, and when to stop is told by the rules of
:mod:`retrieval.ann_stopping`, by figures that were measured on the index itself, see :mod:`retrieval.ann_tuning`.

A search has two looks. The first takes the lists within a reach of the nearest. Where they hold few rows, these are
compared by their vectors at once, list by list from the nearest, which tells how far to go; where they hold many, the
codes choose candidates. Nearly every unfiltered query ends there, since the reach was measured for what is like the
rows of the index. A filter may leave out what is near, and a query may be unlike all rows (music of another kind), so
then there is a second look, at the lists that the gap behind the k-th best row leaves, and it takes more candidates as
long as the codes' error says that some are missed; in the end all rows are scored. So a filter that lies around the
query costs no more than none, and one that leaves out all that is near looks as far as it must.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval import kernels
from retrieval.ann_stopping import TUNING_KS, Effort, Tuning, candidates_needed, for_k, gap
from retrieval.centroids import Centroids, Lists, Seen
from retrieval.faiss_threads import Found, in_blocks
from retrieval.inverted_lists import InvertedLists, Subset, best

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_LEAP = 8
_ROWS_A_CANDIDATE = 256
_MISSES_ALLOWED = 0.003
_SCAN_FROM = 8
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

    @property
    def codes(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """What shows the error of the codes."""
        return self.approximate, self.cosines


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
class _FirstLists:
    """What the first look of queries takes, and what the second needs to know.

    Attributes
    ----------
    near : the lists
    centroid_cosines : of all lists, float32 [n_queries, nlist]
    direct_rows : int64 [n_queries], see `Effort`
    """

    near: Lists
    centroid_cosines: NDArray[np.float32]
    direct_rows: NDArray[np.int64]


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
        """Rows of a subset up to which scoring every one is faster than `search_among`."""
        return self.tuning.scan_rows

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of these rows, float32 [len(rows), dim]."""
        return self.lists.vectors(rows)

    def subset(self, rows: NDArray[np.int64]) -> Subset:
        """These rows, ascending, to search among."""
        return self.lists.subset(rows)

    def centroid_cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner products of queries [n, dim] with the centroids of all lists, float32 [n, nlist]."""
        return self._centroids.cosines(queries)

    def seen_cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same as a search first sees them."""
        return self._centroids.seen(queries, usual=-1.0).cosines

    def search(self, queries: NDArray[np.float32], k: int, *, bits: NDArray[np.uint8] | None = None) -> Found:
        """The nearest rows; `bits` leave out a few of them (deleted ones), for a filter there is `search_among`."""
        return self.search_among(queries, k, self.lists.everything if bits is None else Subset(self.count, bits))

    def search_among(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        """The nearest rows of a subset, as many as it has."""
        # Ten at least, by which a query is known to be like others.
        n = min(max(k, TUNING_KS[0]), subset.count)
        queries = np.ascontiguousarray(queries, np.float32)
        rows, cosines = in_blocks(lambda block: self._search_block(block, n, subset), queries, at_most=_QUERIES_AT_ONCE)
        return rows[:, :k], cosines[:, :k]

    def scan(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        """The nearest rows of a subset, by scoring every one."""
        return self.lists.scan(queries, k, subset)

    def _search_block(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        if subset.in_list is not None:
            return self._search_filtered(queries, k, subset)
        seen = self._centroids.seen(queries, self.tuning.usual_nearest)
        efforts = self.tuning.effort_of(seen.nearest)
        limits = self._limits(k).of(efforts)
        rows, cosines, left = self._best_within(queries, k, seen, limits, subset)
        if len(left):
            lists = self._centroids.within(queries, seen, limits.reaches, left)
            for some, effort in self._by_effort(efforts[left]):
                its_queries = queries[left[some]]
                _, candidates = self.lists.candidates(its_queries, k * effort.candidates, lists.of(some), subset)
                rows[left[some]], cosines[left[some]] = kernels.best_of(its_queries, self.lists.halves, candidates, k)
        tenth = cosines[:, min(k, TUNING_KS[0]) - 1]
        unsure = np.flatnonzero((tenth < limits.usual) | (rows[:, -1] < 0))
        if len(unsure):
            n = k * max(self.tuning.efforts[effort].candidates for effort in efforts[unsure])
            near = self._centroids.within(queries, seen, limits.reaches, unsure)
            first = _FirstLists(near, self.centroid_cosines(queries[unsure]), limits.direct_rows[unsure])
            again = self._search_on(queries[unsure], k, n, first, subset)
            rows[unsure], cosines[unsure] = again
        return rows, cosines

    def _best_within(
        self, queries: NDArray[np.float32], k: int, seen: Seen, limits: _Limits, subset: Subset
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Rows and cosines [n_queries, k], and which queries have lists of too many rows to compare all of these."""
        found: tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]] = kernels.best_within(
            queries,
            *self.lists.stored,
            self._centroids.vectors,
            seen.cosines,
            seen.first,
            seen.nearest,
            seen.exact,
            limits.reaches,
            limits.gaps,
            self.tuning.screen.slack,
            subset.tested_bits,
            k,
            limits.direct_rows,
        )
        return found

    def _limits(self, k: int) -> _Limits:
        """Those for this k, kept: to interpolate takes as long as a search."""
        if k not in self._kept_limits:
            efforts, at = self.tuning.efforts, np.array(float(k))
            reaches = np.array([for_k(at, effort.reaches) for effort in efforts], np.float32)
            gaps = np.array([for_k(at, effort.gaps) for effort in efforts], np.float32)
            usual = np.array([effort.usual for effort in efforts], np.float32)
            direct_rows = np.array([effort.direct_rows for effort in efforts], np.int64)
            self._kept_limits[k] = _Limits(reaches, gaps, usual, direct_rows)
        return self._kept_limits[k]

    def _by_effort(self, efforts: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], Effort]]:
        """Which queries need each effort [n_queries] that any does."""
        for number, effort in enumerate(self.tuning.efforts):
            some = np.flatnonzero(efforts == number)
            if len(some):
                yield some, effort

    def _search_filtered(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        assert subset.in_list is not None
        centroid_cosines = self.centroid_cosines(queries)
        centroid_cosines[:, subset.in_list == 0] = -np.inf
        near = np.empty(centroid_cosines.shape, bool)
        efforts = self.tuning.effort_of(centroid_cosines.max(axis=1))
        for some, effort in self._by_effort(efforts):
            nearest = centroid_cosines[some].max(axis=1, keepdims=True)
            first = centroid_cosines[some] >= nearest - for_k(np.array(float(k)), effort.reaches)
            # Where a third of the rows match, the k-th best match is about the 3k-th best row.
            query, number = first.nonzero()
            of_all, matching = (np.bincount(query, sizes[number]) for sizes in (self.lists.sizes, subset.in_list))
            near[some] = centroid_cosines[some] >= nearest - for_k(k * of_all / matching, effort.reaches)[:, None]
        lists = Lists.marked(near, centroid_cosines)
        first_lists = _FirstLists(lists, centroid_cosines, self._limits(k).direct_rows[efforts])
        return self._search_on(queries, k, self._enough(k, lists, len(queries)), first_lists, subset)

    def _search_on(
        self, queries: NDArray[np.float32], k: int, n: int, first_lists: _FirstLists, subset: Subset
    ) -> Found:
        """A first look at these lists, for n candidates, and then at all that may hold better rows."""
        centroid_cosines, direct_rows = first_lists.centroid_cosines, first_lists.direct_rows
        first = self._look(queries, n, first_lists.near, direct_rows, subset)
        found = best(first.rows, first.cosines, k)
        near = first_lists.near.mask(self.lists.nlist)
        lists = centroid_cosines >= _limit(found[1][:, -1], self.tuning)[:, None]
        needed = np.zeros(len(queries))
        more = np.flatnonzero((lists & ~near).any(axis=1))
        if len(more):
            its_lists = Lists.marked((lists & ~near)[more], centroid_cosines[more])
            enough = self._enough(k, its_lists, len(more))
            beyond = self._look(queries[more], enough, its_lists, direct_rows[more], subset)
            _keep_best(found, more, beyond)
            needed[more] = candidates_needed(*beyond.codes, found[1][more, -1], _MISSES_ALLOWED * k)
            needed[more] -= beyond.rows.shape[1]
        needed += candidates_needed(*first.codes, found[1][:, -1], _MISSES_ALLOWED * k)
        due = np.minimum(needed, _LEAP * n)  # what few candidates show is uncertain
        while (due > n).any():
            n *= 2
            if n > max(k, subset.count // _SCAN_FROM):  # it is cheaper to score every row of the subset
                left = np.flatnonzero(due > n // 2)
                found[0][left], found[1][left] = self.lists.scan_block(queries[left], k, subset)
                break
            at = np.flatnonzero((due > n // 2) & (due <= n))
            if len(at):
                both = Lists.marked((lists | near)[at], centroid_cosines[at])
                look = self._look(queries[at], n, both, direct_rows[at], subset)
                found[0][at], found[1][at] = best(look.rows, look.cosines, k)
                due[at] = np.minimum(candidates_needed(*look.codes, found[1][at, -1], _MISSES_ALLOWED * k), _LEAP * n)
        return found

    def _enough(self, k: int, lists: Lists, n_queries: int) -> int:
        """So many candidates that to look once more for others would cost more than they do."""
        rows = float(self.lists.sizes[lists.numbers].sum()) / n_queries
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
            approximate[left], rows[left] = self.lists.candidates(queries[left], n, lists.of(left), subset)
            cosines[left] = kernels.cosines_of(queries[left], self.lists.halves, rows[left])
        return _Look(approximate, rows, cosines)


def _limit(kth: NDArray[np.float32], tuning: Tuning) -> NDArray[np.float32]:
    """The cosine that a centroid must have for its list to be needed; −inf where fewer than k rows are found."""
    found = np.isfinite(kth)
    known = np.where(found, kth, 0)
    return np.where(found, known - gap(known, tuning), np.finfo(np.float32).min)


def _keep_best(found: Found, queries: NDArray[np.int64], look: _Look) -> None:
    """Put what is better than what was found for these queries in its place."""
    rows = np.concatenate([found[0][queries], look.rows], axis=1)
    cosines = np.concatenate([found[1][queries], look.cosines], axis=1)
    found[0][queries], found[1][queries] = best(rows, cosines, found[0].shape[1])
