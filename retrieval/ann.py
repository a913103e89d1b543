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

from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.ann_stopping import TUNING_KS, Effort, Tuning, candidates_needed, gap, reach, reach_of
from retrieval.centroids import Centroids, Lists
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
_VALUES_AT_ONCE = 1 << 18
# FAISS's ways through the lists of a query: this one goes query by query and keeps candidates without a heap.
_QUERY_BY_QUERY = 11
_ONE = np.zeros(1, np.int64)


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

    def of(self, queries: NDArray[np.int64]) -> _Look:
        """Of some of the queries."""
        return _Look(self.approximate[queries], self.rows[queries], self.cosines[queries])


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

    def tuned(self, tuning: Tuning) -> AnnIndex:
        """The same index with another tuning."""
        other = copy(self)
        other.tuning = tuning
        other._centroids = self._centroids.screened(tuning.screen)
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
        lists = self.ivf.invlists
        for number in range(self.nlist):
            found[faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number))] = number
        return found

    @cached_property
    def _list_sizes(self) -> NDArray[np.float32]:
        return np.array([self.ivf.invlists.list_size(number) for number in range(self.nlist)], np.float32)

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
        rows, cosines = in_blocks(lambda block: self._search_block(block, n, subset), queries, at_most=_QUERIES_AT_ONCE)
        return rows[:, :k], cosines[:, :k]

    def _search_block(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        if subset.in_list is not None:
            return self._search_filtered(queries, k, subset)
        seen = self._centroids.seen(queries, self.tuning.usual_nearest)
        reaches, efforts = np.empty(len(queries), np.float32), list(self._by_effort(seen.nearest))
        for some, effort in efforts:
            reaches[some] = reach_of(k, effort)
        lists = self._centroids.within(queries, seen, reaches)
        rows, cosines = np.empty((len(queries), k), np.int64), np.empty((len(queries), k), np.float32)
        for some, effort in efforts:
            its_lists = lists.of(some, len(queries))
            rows[some], cosines[some] = self._search_all(queries[some], k, effort, its_lists, subset)
        return rows, cosines

    def _by_effort(self, nearest: NDArray[np.float32]) -> Iterator[tuple[NDArray[np.int64], Effort]]:
        """The queries of each effort that any needs, by the cosine of the nearest centroid [n_queries]."""
        numbers = self.tuning.effort_of(nearest)
        if len(numbers) == 1:
            yield _ONE, self.tuning.efforts[numbers[0]]
            return
        for number, effort in enumerate(self.tuning.efforts):
            some = np.flatnonzero(numbers == number)
            if len(some):
                yield some, effort

    def _search_all(self, queries: NDArray[np.float32], k: int, effort: Effort, lists: Lists, subset: Subset) -> Found:
        """The nearest of all rows, or of nearly all."""
        look = self._look(queries, k * effort.candidates, lists, subset)
        rows, cosines = _best(look.rows, look.cosines, k)
        unsure = np.flatnonzero((cosines[:, min(k, TUNING_KS[0]) - 1] < effort.usual) | (rows[:, -1] < 0))
        if len(unsure):
            near = lists.mask((len(queries), self.nlist))[unsure]
            centroid_cosines = self.centroid_cosines(queries[unsure])
            again = self._second_look(queries[unsure], k, centroid_cosines, near, look.of(unsure), subset)
            rows[unsure], cosines[unsure] = again
        return rows, cosines

    def _search_filtered(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        assert subset.in_list is not None
        centroid_cosines = self.centroid_cosines(queries)
        centroid_cosines[:, subset.in_list == 0] = -np.inf
        near = np.empty(centroid_cosines.shape, bool)
        for some, effort in self._by_effort(centroid_cosines.max(axis=1)):
            nearest = centroid_cosines[some].max(axis=1, keepdims=True)
            first = centroid_cosines[some] >= nearest - reach_of(k, effort)
            # Where a third of the rows match, the k-th best match is about the 3k-th best row.
            query, number = first.nonzero()
            of_all, matching = (np.bincount(query, sizes[number]) for sizes in (self._list_sizes, subset.in_list))
            near[some] = centroid_cosines[some] >= nearest - reach(k * of_all / matching, effort)[:, None]
        lists = Lists.marked(near, centroid_cosines)
        look = self._look(queries, self._candidates(k, lists, len(queries)), lists, subset)
        return self._second_look(queries, k, centroid_cosines, near, look, subset)

    def _second_look(
        self,
        queries: NDArray[np.float32],
        k: int,
        centroid_cosines: NDArray[np.float32],
        near: NDArray[np.bool_],
        first: _Look,
        subset: Subset,
    ) -> Found:
        """What is found in the lists that may hold better rows, and among as many candidates as may be better."""
        found = _best(first.rows, first.cosines, k)
        n = first.rows.shape[1]
        lists = centroid_cosines >= _limit(found[1][:, -1], self.tuning)[:, None]
        needed = np.zeros(len(queries))
        more = np.flatnonzero((lists & ~near).any(axis=1))
        if len(more):
            further = (lists & ~near)[more]
            its_lists = Lists.marked(further, centroid_cosines[more])
            beyond = self._look(queries[more], self._candidates(k, its_lists, len(more)), its_lists, subset)
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

    def _candidates(self, k: int, lists: Lists, n_queries: int) -> int:
        """So many that to look once more for others would cost more than they do."""
        rows = float(self._list_sizes[lists.number].sum()) / n_queries
        return max(k * self.tuning.efforts[0].candidates, round(rows / _ROWS_A_CANDIDATE))

    def _look(self, queries: NDArray[np.float32], n: int, lists: Lists, subset: Subset) -> _Look:
        """The nearest n rows by their codes, of these lists."""
        numbers, near = lists.padded(len(queries))
        queries = np.ascontiguousarray(queries)
        approximate, rows = np.empty((len(queries), n), np.float32), np.empty((len(queries), n), np.int64)
        params = subset.parameters(numbers.shape[1])
        arrays = [faiss.swig_ptr(array) for array in (numbers, near, approximate, rows)]
        # The wrapper that takes arrays takes no parameters.
        self.ivf.search_preassigned_c(len(queries), faiss.swig_ptr(queries), n, *arrays, False, params, None)
        return _Look(approximate, rows, self._cosines(queries, rows))

    def _cosines(self, queries: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosines [n_queries, n] of candidates by their stored vectors; −inf where there is none."""
        cosines = np.empty(rows.shape, np.float32)
        # As many at once as stay in a core's cache until they are multiplied.
        step = max(1, _VALUES_AT_ONCE // (rows.shape[1] * self.dim))
        for start in range(0, len(rows), step):
            some = rows[start : start + step]
            into = scratch("vectors", (some.size, self.dim), np.float32)
            vectors = self._decoded(some.ravel(), into).reshape(*some.shape, self.dim)
            np.matmul(vectors, queries[start : start + step, :, None], out=cosines[start : start + step, :, None])
        cosines[rows < 0] = -np.inf
        return cosines


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
