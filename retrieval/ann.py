"""The approximate index: inverted lists of 4-bit product codes to find candidates, float16 vectors to rank them.

Inverted lists of product codes of residuals are Jégou et al., "Product quantization for nearest neighbor search", TPAMI
2011; 4-bit codes scanned by vector instructions are André et al., "Quicker ADC", TPAMI 2021. Both are FAISS's; which
lists to search, how many candidates to take, and when to stop is ours, by the rules of :mod:`retrieval.ann_stopping`.

A search has two looks. The first takes the lists within a reach of the nearest. Nearly every unfiltered query ends
there, since the reach was measured for what is like the rows of the index. A filter may leave out what is near, and a
query may be unlike all rows (music of another kind), so then there is a second look, at the lists that the gap behind
the k-th best row leaves, and it takes more candidates as long as the codes' error says that some are missed; in the
end all rows are scored. So a filter that lies around the query costs no more than none, and one that leaves out all
that is near looks as far as it must.
"""

from __future__ import annotations

import itertools
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval import kernels
from retrieval.ann_stopping import TUNING_KS, Effort, Tuning, candidates_needed, for_k, gap
from retrieval.centroids import Centroids, Lists, Seen
from retrieval.faiss_threads import Found, faiss, in_blocks, one_thread, scratch
from retrieval.halves import widen

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

_LEAP = 8
_ROWS_A_CANDIDATE = 256
_MISSES_ALLOWED = 0.003
_SCAN_FROM = 8
_QUERIES_AT_ONCE = 256
_SCANNED_AT_ONCE = 1 << 12
_SORTED_AT_ONCE = 256
# FAISS's ways through the lists of a query: this one goes query by query and keeps candidates without a heap.
_QUERY_BY_QUERY = 11
_ALL = np.zeros(0, np.uint8)


@dataclass(frozen=True)
class Subset:
    """Some rows of an index, as a search among them needs them.

    Attributes
    ----------
    count : how many
    bits : one a row, as FAISS tests them, uint8 [rows / 8]; none for all
    in_list : float32 [nlist], how many each list holds; none where all hold about what they hold of all rows
    """

    count: int
    bits: NDArray[np.uint8] | None
    in_list: NDArray[np.float32] | None = None

    @property
    def bits_or_none(self) -> NDArray[np.uint8]:
        """The bits, none at all where all rows may be found."""
        return _ALL if self.bits is None else self.bits

    def parameters(self, nprobe: int) -> Any:
        """FAISS's, for a search of so many lists; kept, for making them takes as long as half a search."""
        if nprobe not in self._kept_parameters:
            self._kept_parameters[nprobe] = faiss.SearchParametersIVF(nprobe=nprobe, sel=self._selector)
        return self._kept_parameters[nprobe]

    @cached_property
    def _kept_parameters(self) -> dict[int, Any]:
        return {}

    @cached_property
    def _selector(self) -> Any:
        return None if self.bits is None else faiss.IDSelectorBitmap(len(self.bits), faiss.swig_ptr(self.bits))


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
    """What the efforts of a tuning come to for one k, float32 [n_efforts] each; see `Effort`."""

    reaches: NDArray[np.float32]
    gaps: NDArray[np.float32]
    usual: NDArray[np.float32]


class AnnIndex:
    """An index of float32 [count, dim] vectors of unit length; row i is the i-th vector that was added."""

    def __init__(self, index: Any, tuning: Tuning) -> None:
        self.index = index
        self.tuning = tuning
        self.ivf = faiss.downcast_index(index.base_index)
        self.ivf.implem = _QUERY_BY_QUERY
        stored = faiss.downcast_index(index.refine_index)
        self.count, self.dim, self.nlist = int(index.ntotal), int(index.d), int(self.ivf.nlist)
        # As bytes, and the centroids as a copy: in a mapped file numbers need not lie where numpy and FAISS want them,
        # and each use would copy them all.
        codes = faiss.rev_swig_ptr(stored.codes.data(), self.count * stored.code_size)
        self._codes = codes.reshape(self.count, stored.code_size)
        self._centroids = Centroids(self.ivf.quantizer.reconstruct_n(0, self.nlist), tuning.screen)
        self._kept_limits: dict[int, _Limits] = {}

    def tuned(self, tuning: Tuning) -> AnnIndex:
        """The same index with another tuning."""
        other = copy(self)
        other.tuning = tuning
        other._centroids = self._centroids.screened(tuning.screen)
        other._kept_limits = {}
        return other

    @property
    def scan_rows(self) -> int:
        """Rows of a subset up to which scoring every one is faster than `search_among`."""
        return self.tuning.scan_rows

    @cached_property
    def _everything(self) -> Subset:
        return Subset(self.count, None)

    @cached_property
    def list_of_row(self) -> NDArray[np.int32]:
        """The list of every row, int32 [count]."""
        found = np.empty(self.count, np.int32)
        found[self._members] = np.repeat(np.arange(self.nlist, dtype=np.int32), np.diff(self._list_starts))
        return found

    @cached_property
    def _list_starts(self) -> NDArray[np.int64]:
        sizes = [self.ivf.invlists.list_size(number) for number in range(self.nlist)]
        return np.cumsum([0, *sizes], dtype=np.int64)

    @cached_property
    def _list_sizes(self) -> NDArray[np.float32]:
        return np.diff(self._list_starts).astype(np.float32)

    @cached_property
    def _members(self) -> NDArray[np.int32]:
        """The rows of one list after the other, int32 [count]."""
        found = np.empty(self.count, np.int32)
        for number, (start, end) in enumerate(itertools.pairwise(self._list_starts.tolist())):
            found[start:end] = faiss.rev_swig_ptr(self.ivf.invlists.get_ids(number), end - start)
        return found

    @cached_property
    def _halves(self) -> NDArray[np.uint16]:
        halves: NDArray[np.uint16] = self._codes.view(np.uint16)
        return halves

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of these rows, float32 [len(rows), dim]."""
        return self._decoded(rows, np.empty((len(rows), self.dim), np.float32))

    def _decoded(self, rows: NDArray[np.int64], into: NDArray[np.float32]) -> NDArray[np.float32]:
        codes = scratch("codes", (len(rows), self._codes.shape[1]), np.uint8)
        # To clip is faster than to check, and gives candidates that are none some row.
        np.take(self._codes, rows, axis=0, out=codes, mode="clip")
        return widen(codes.view(np.float16), into)

    def centroid_cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner products of queries [n, dim] with the centroids of all lists, float32 [n, nlist]."""
        with one_thread():
            return self._centroids.cosines(queries)

    def seen_cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """The same as a search first sees them."""
        with one_thread():
            return self._centroids.seen(queries, usual=-1.0).cosines

    def subset(self, rows: NDArray[np.int64]) -> Subset:
        """These rows, ascending, to search among."""
        chosen = np.zeros(self.count, bool)
        chosen[rows] = True
        in_list = np.bincount(self.list_of_row[rows], minlength=self.nlist).astype(np.float32)
        return Subset(len(rows), np.packbits(chosen, bitorder="little"), in_list)

    def search(self, queries: NDArray[np.float32], k: int, *, bits: NDArray[np.uint8] | None = None) -> Found:
        """The nearest rows; `bits` leave out a few of them (deleted ones), for a filter there is `search_among`."""
        return self.search_among(queries, k, self._everything if bits is None else Subset(self.count, bits))

    def search_among(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        """The nearest rows of a subset, as many as it has."""
        # Ten at least, by which a query is known to be like others.
        n = min(max(k, TUNING_KS[0]), subset.count)
        queries = np.ascontiguousarray(queries, np.float32)
        rows, cosines = in_blocks(lambda block: self._search_block(block, n, subset), queries, at_most=_QUERIES_AT_ONCE)
        return rows[:, :k], cosines[:, :k]

    def _search_block(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        if subset.in_list is not None:
            return self._search_filtered(queries, k, subset)
        seen = self._centroids.seen(queries, self.tuning.usual_nearest)
        efforts = self.tuning.effort_of(seen.nearest)
        limits = self._limits(k)
        reaches, gaps = limits.reaches[efforts], limits.gaps[efforts]
        rows, cosines, left = self._best_within(queries, k, seen, reaches, gaps, subset)
        if len(left):
            lists = self._centroids.within(queries[left], seen.of(left), reaches[left])
            for some, effort in self._by_effort(efforts[left]):
                its_queries = queries[left[some]]
                _, candidates = self._candidates(its_queries, k * effort.candidates, lists.of(some), subset)
                rows[left[some]], cosines[left[some]] = kernels.best_of(its_queries, self._halves, candidates, k)
        tenth = cosines[:, min(k, TUNING_KS[0]) - 1]
        unsure = np.flatnonzero((tenth < limits.usual[efforts]) | (rows[:, -1] < 0))
        if len(unsure):
            n = k * max(self.tuning.efforts[effort].candidates for effort in efforts[unsure])
            near = self._centroids.within(queries[unsure], seen.of(unsure), reaches[unsure])
            again = self._search_on(queries[unsure], k, n, near, self.centroid_cosines(queries[unsure]), subset)
            rows[unsure], cosines[unsure] = again
        return rows, cosines

    def _best_within(
        self,
        queries: NDArray[np.float32],
        k: int,
        seen: Seen,
        reaches: NDArray[np.float32],
        gaps: NDArray[np.float32],
        subset: Subset,
    ) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]]:
        """Rows and cosines [n_queries, k], and which queries have lists of too many rows to compare all of these."""
        if not self.tuning.direct_rows:
            return (*_nothing(len(queries), k), np.arange(len(queries)))
        found: tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.int64]] = kernels.best_within(
            queries,
            self._halves,
            self._list_starts,
            self._members,
            self._centroids.vectors,
            seen.cosines,
            seen.first,
            seen.nearest,
            seen.exact,
            reaches,
            gaps,
            self.tuning.screen.slack,
            subset.bits_or_none,
            k,
            self.tuning.direct_rows,
        )
        return found

    def _limits(self, k: int) -> _Limits:
        """Those for this k, kept: to interpolate takes as long as a search."""
        if k not in self._kept_limits:
            efforts, at = self.tuning.efforts, np.array(float(k))
            reaches = np.array([for_k(at, effort.reaches) for effort in efforts], np.float32)
            gaps = np.array([for_k(at, effort.gaps) for effort in efforts], np.float32)
            usual = np.array([effort.usual for effort in efforts], np.float32)
            self._kept_limits[k] = _Limits(reaches, gaps, usual)
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
            of_all, matching = (np.bincount(query, sizes[number]) for sizes in (self._list_sizes, subset.in_list))
            near[some] = centroid_cosines[some] >= nearest - for_k(k * of_all / matching, effort.reaches)[:, None]
        lists = Lists.marked(near, centroid_cosines)
        n = self._enough(k, lists, len(queries))
        return self._search_on(queries, k, n, lists, centroid_cosines, subset)

    def _search_on(
        self,
        queries: NDArray[np.float32],
        k: int,
        n: int,
        first_lists: Lists,
        centroid_cosines: NDArray[np.float32],
        subset: Subset,
    ) -> Found:
        """A first look at these lists, for n candidates, and then at all that may hold better rows."""
        first = self._look(queries, n, first_lists, subset)
        found = _best(first.rows, first.cosines, k)
        near = first_lists.mask(self.nlist)
        lists = centroid_cosines >= _limit(found[1][:, -1], self.tuning)[:, None]
        needed = np.zeros(len(queries))
        more = np.flatnonzero((lists & ~near).any(axis=1))
        if len(more):
            its_lists = Lists.marked((lists & ~near)[more], centroid_cosines[more])
            beyond = self._look(queries[more], self._enough(k, its_lists, len(more)), its_lists, subset)
            _keep_best(found, more, beyond)
            needed[more] = candidates_needed(*beyond.codes, found[1][more, -1], _MISSES_ALLOWED * k)
            needed[more] -= beyond.rows.shape[1]
        needed += candidates_needed(*first.codes, found[1][:, -1], _MISSES_ALLOWED * k)
        due = np.minimum(needed, _LEAP * n)  # what few candidates show is uncertain
        while (due > n).any():
            n *= 2
            if n > max(k, subset.count // _SCAN_FROM):  # it is cheaper to score every row of the subset
                left = np.flatnonzero(due > n // 2)
                found[0][left], found[1][left] = self._scan_block(queries[left], k, self._rows(subset))
                break
            at = np.flatnonzero((due > n // 2) & (due <= n))
            if len(at):
                look = self._look(queries[at], n, Lists.marked((lists | near)[at], centroid_cosines[at]), subset)
                found[0][at], found[1][at] = _best(look.rows, look.cosines, k)
                due[at] = np.minimum(candidates_needed(*look.codes, found[1][at, -1], _MISSES_ALLOWED * k), _LEAP * n)
        return found

    def scan(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        """The nearest rows of a subset, by scoring every one."""
        rows = self._rows(subset)
        return in_blocks(lambda block: self._scan_block(block, k, rows), queries)

    def _rows(self, subset: Subset) -> NDArray[np.int64]:
        if subset.bits is None:
            return np.arange(self.count)
        return np.flatnonzero(np.unpackbits(subset.bits, count=self.count, bitorder="little"))

    def _scan_block(self, queries: NDArray[np.float32], k: int, everything: NDArray[np.int64]) -> Found:
        parts = []
        for start in range(0, len(everything), _SCANNED_AT_ONCE):
            rows = everything[start : start + _SCANNED_AT_ONCE]
            vectors = self._decoded(rows, scratch("scanned", (len(rows), self.dim), np.float32))
            cosines, found = faiss.knn(queries, vectors, min(k, len(rows)), metric=faiss.METRIC_INNER_PRODUCT)
            parts.append((rows[found], cosines))
        rows, cosines = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
        return _best(rows, cosines, k)

    def _enough(self, k: int, lists: Lists, n_queries: int) -> int:
        """So many candidates that to look once more for others would cost more than they do."""
        rows = float(self._list_sizes[lists.numbers].sum()) / n_queries
        return max(k * self.tuning.efforts[0].candidates, round(rows / _ROWS_A_CANDIDATE))

    def _look(self, queries: NDArray[np.float32], n: int, lists: Lists, subset: Subset) -> _Look:
        """The best n rows of these lists: of few by their vectors, of many by their codes."""
        if self.tuning.direct_rows:
            stored = self._halves, self._list_starts, self._members
            rows, cosines, left = kernels.best_of_lists(
                queries, *stored, lists.starts, lists.numbers, subset.bits_or_none, n, self.tuning.direct_rows
            )
        else:
            rows, cosines, left = *_nothing(len(queries), n), np.arange(len(queries))
        approximate = cosines.copy()
        if len(left):
            approximate[left], rows[left] = self._candidates(queries[left], n, lists.of(left), subset)
            cosines[left] = kernels.cosines_of(queries[left], self._halves, rows[left])
        return _Look(approximate, rows, cosines)

    def _candidates(
        self, queries: NDArray[np.float32], n: int, lists: Lists, subset: Subset
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The best n rows of these lists by their codes: cosines by these and rows [n_queries, n], best first."""
        numbers, near = lists.padded()
        approximate, rows = np.empty((len(queries), n), np.float32), np.empty((len(queries), n), np.int64)
        params = subset.parameters(numbers.shape[1])
        arrays = [faiss.swig_ptr(array) for array in (numbers, near, approximate, rows)]
        # The wrapper that takes arrays takes no parameters.
        self.ivf.search_preassigned_c(len(queries), faiss.swig_ptr(queries), n, *arrays, False, params, None)
        return approximate, rows


def _nothing(n_queries: int, k: int) -> Found:
    return np.empty((n_queries, k), np.int64), np.empty((n_queries, k), np.float32)


def _limit(kth: NDArray[np.float32], tuning: Tuning) -> NDArray[np.float32]:
    """The cosine that a centroid must have for its list to be needed; −inf where fewer than k rows are found."""
    found = np.isfinite(kth)
    known = np.where(found, kth, 0)
    return np.where(found, known - gap(known, tuning), np.finfo(np.float32).min)


def _best(rows: NDArray[np.int64], cosines: NDArray[np.float32], k: int) -> Found:
    """The k nearest of these rows [n_queries, n], best first."""
    if rows.shape[1] > _SORTED_AT_ONCE:
        among = np.argpartition(-cosines, k - 1, axis=1)[:, :k]
        rows, cosines = np.take_along_axis(rows, among, 1), np.take_along_axis(cosines, among, 1)
    order = np.argsort(-cosines, axis=1, kind="stable")[:, :k]
    order += np.arange(len(rows))[:, None] * rows.shape[1]
    return rows.take(order), cosines.take(order)


def _keep_best(found: Found, queries: NDArray[np.int64], look: _Look) -> None:
    """Put what is better than what was found for these queries in its place."""
    rows = np.concatenate([found[0][queries], look.rows], axis=1)
    cosines = np.concatenate([found[1][queries], look.cosines], axis=1)
    found[0][queries], found[1][queries] = _best(rows, cosines, found[0].shape[1])
