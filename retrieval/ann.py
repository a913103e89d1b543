"""The approximate index: inverted lists of 4-bit product codes to find candidates, float16 vectors to rank them.

Inverted lists of product codes are Jégou et al., "Product quantization for nearest neighbor search", TPAMI 2011; 4-bit
codes scanned by vector instructions are André et al., "Quicker ADC", TPAMI 2021; both, and the refinement by stored
vectors, are FAISS's. Unfiltered, as many lists are searched as were measured to be enough for what is like the rows of
the index. What is ours is the search among a subset, and for a query unlike all rows (music of another kind: what was
measured does not hold for it). It knows when to stop by what it has found:

- Lists. A first look at the nearest lists that hold any match gives k rows, the last of which has some cosine. A list
  can hold a better row only if its centroid's cosine is not lower than that by more than a gap, by which rows lie away
  from their centroids. The gap is measured at build time, on neighbours near their queries and on neighbours far from
  them. So a filter that lies around the query costs no more than none, and one that leaves out all that is near looks
  as far as it must.
- Codes are coarse: where many rows are nearly as near as the best, they rank them wrongly. A search measures the codes'
  error on its own candidates, and takes more of them for as long as a row left out could still belong to the best.
"""

from __future__ import annotations

import math
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.faiss_threads import Found, faiss, in_blocks, one_thread, scratch

if TYPE_CHECKING:
    from numpy.typing import NDArray

TUNING_KS = (10, 100, 1_000)
_WIDEN = 4
_MISSES_ALLOWED = 0.003
_FIRST_CANDIDATES = 2
_CANDIDATES_A_RESULT = 16
_SCAN_FROM = 32
_QUERIES_AT_ONCE = 1_024
_SCANNED_AT_ONCE = 1 << 12


@dataclass(frozen=True)
class Tuning:
    """What a search needs to reach the recall that was asked for at build time; measured on the index itself.

    Attributes
    ----------
    lists : lists that hold the neighbours, for each of `TUNING_KS`, ascending
    candidates : rows to rank by their stored vectors, for each result
    near, far : (cosine, gap): the median cosine of the k-th best row, and how much further from the query than that a
        centroid is for all but a two-hundredth of the rows that belong to the best; of all rows, and of the far half
    scan_rows : matching rows up to which all of them are scored, because that is faster
    usual : cosine of the tenth best row that nearly every held-out query reaches
    recall : recall@10 reached on held-out queries
    """

    lists: tuple[int, ...]
    candidates: int
    near: tuple[float, float] = (1.0, 0.0)
    far: tuple[float, float] = (0.0, 1.0)
    scan_rows: int = 0
    usual: float = -1.0
    recall: float = 0.0


@dataclass(frozen=True)
class Subset:
    """Some rows of an index, as a search among them needs them.

    Attributes
    ----------
    count : how many
    bits : one a row, as FAISS tests them, uint8 [rows / 8]
    lists : bool [nlist], those that hold any
    """

    count: int
    bits: NDArray[np.uint8]
    lists: NDArray[np.bool_]


class AnnIndex:
    """An index of float32 [count, dim] vectors of unit length; row i is the i-th vector that was added."""

    def __init__(self, index: Any, tuning: Tuning) -> None:
        self.index = index
        self.tuning = tuning
        self._kept_parameters: dict[int, Any] = {}
        self.ivf = faiss.downcast_index(index.base_index)
        self._store = faiss.downcast_index(index.refine_index)
        self.count, self.dim, self.nlist = int(index.ntotal), int(index.d), int(self.ivf.nlist)
        size = self.count * self._store.code_size
        self._codes = faiss.rev_swig_ptr(self._store.codes.data(), size).reshape(self.count, self._store.code_size)
        centroids = faiss.downcast_index(self.ivf.quantizer)
        self._centroids = faiss.rev_swig_ptr(centroids.get_xb(), self.nlist * self.dim).reshape(self.nlist, self.dim)

    def tuned(self, tuning: Tuning) -> AnnIndex:
        """The same index with another tuning."""
        other = copy(self)
        other.tuning = tuning
        other._kept_parameters = {}
        return other

    @property
    def scan_rows(self) -> int:
        """Rows of a subset up to which scoring every one is faster than `search_among`."""
        return self.tuning.scan_rows

    @cached_property
    def list_of_row(self) -> NDArray[np.int32]:
        """The list of every row, int32 [count]."""
        found = np.empty(self.count, np.int32)
        lists = self.ivf.invlists
        for number in range(self.nlist):
            found[faiss.rev_swig_ptr(lists.get_ids(number), lists.list_size(number))] = number
        return found

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of these rows, float32 [len(rows), dim]."""
        with one_thread():
            return self._decoded(rows, np.empty((len(rows), self.dim), np.float32))

    def _decoded(self, rows: NDArray[np.int64], into: NDArray[np.float32]) -> NDArray[np.float32]:
        codes = np.take(self._codes, rows, axis=0, out=scratch("codes", (len(rows), self._codes.shape[1]), np.uint8))
        # FAISS turns halves into floats sixteen times as fast as numpy.
        self._store.sq.decode_c(faiss.swig_ptr(codes), faiss.swig_ptr(into), len(rows))
        return into

    def centroid_cosines(self, queries: NDArray[np.float32]) -> NDArray[np.float32]:
        """Inner products of queries [n, dim] with the centroids of all lists, float32 [n, nlist]."""
        # Not numpy's product: its threads spin as FAISS's do, and there is no calling them off.
        with one_thread():
            products: NDArray[np.float32] = faiss.pairwise_distances(
                queries, self._centroids, metric=faiss.METRIC_INNER_PRODUCT
            )
        return products

    def subset(self, rows: NDArray[np.int64]) -> Subset:
        """These rows, ascending, to search among."""
        chosen = np.zeros(self.count, bool)
        chosen[rows] = True
        lists = np.zeros(self.nlist, bool)
        lists[self.list_of_row[rows]] = True
        return Subset(len(rows), np.packbits(chosen, bitorder="little"), lists)

    def search(self, queries: NDArray[np.float32], k: int, *, bits: NDArray[np.uint8] | None = None) -> Found:
        """The nearest rows; `bits` leave out a few of them (deleted ones), for a filter there is `search_among`."""
        n = max(k, TUNING_KS[0])
        params = self._parameters(n, bits)

        def search(block: NDArray[np.float32]) -> Found:
            cosines, rows = self.index.search(block, n, params=params)
            rows, cosines = rows[:, :k], np.where(rows >= 0, cosines, -np.inf)
            unusual = np.flatnonzero(cosines[:, TUNING_KS[0] - 1] < self.tuning.usual)
            cosines = cosines[:, :k]
            if len(unusual):
                every = self._everything(bits)
                again = self._search_block(block[unusual], min(k, every.count), every)
                rows[unusual, : again[0].shape[1]] = again[0]
                cosines[unusual, : again[1].shape[1]] = again[1]
            return rows, cosines

        # FAISS goes through a list for many queries at once.
        return in_blocks(search, queries, at_most=_QUERIES_AT_ONCE)

    def _everything(self, bits: NDArray[np.uint8] | None) -> Subset:
        """All rows but those that are left out, as a subset."""
        if bits is None:
            bits = np.full(-(-self.count // 8), 255, np.uint8)
        return Subset(self.count, bits, np.ones(self.nlist, bool))

    def _parameters(self, k: int, bits: NDArray[np.uint8] | None) -> Any:
        if bits is None and k in self._kept_parameters:
            return self._kept_parameters[k]
        nprobe = lists_for(k, self.tuning, self.nlist)
        inner = faiss.SearchParametersIVF(nprobe=nprobe, sel=self._selector(bits))
        params = faiss.IndexRefineSearchParameters(k_factor=self.tuning.candidates, base_index_params=inner)
        if bits is None:
            self._kept_parameters[k] = params  # making them takes half as long as a search
        return params

    def search_among(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        """The nearest rows of a subset, as many as it has."""
        return in_blocks(lambda block: self._search_block(block, min(k, subset.count), subset), queries)

    def _search_block(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        found = np.full((len(queries), k), -1, np.int64), np.full((len(queries), k), -np.inf, np.float32)
        centroid_cosines = np.where(subset.lists, self.centroid_cosines(queries), -np.inf)
        lists = self._lists_to_search(queries, k, subset, centroid_cosines)
        left, n = np.arange(len(queries)), k * max(_CANDIDATES_A_RESULT, self.tuning.candidates)
        # Beyond, it is cheaper to score every row of the subset.
        while len(left) and n <= max(k, subset.count // _SCAN_FROM):
            approximate, rows = self._candidates(queries[left], n, lists[left], centroid_cosines[left], subset)
            cosines = self._cosines(queries[left], rows)
            _keep_best(found, left, rows, cosines)
            left = left[expected_misses(approximate, cosines, k) > _MISSES_ALLOWED * k]
            n *= _WIDEN
        if len(left):
            _keep_best(found, left, *self._scan_block(queries[left], k, self._rows(subset)))
        return found

    def scan(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        """The nearest rows of a subset, by scoring every one."""
        rows = self._rows(subset)
        return in_blocks(lambda block: self._scan_block(block, k, rows), queries)

    def _rows(self, subset: Subset) -> NDArray[np.int64]:
        return np.flatnonzero(np.unpackbits(subset.bits, count=self.count, bitorder="little"))

    def _scan_block(self, queries: NDArray[np.float32], k: int, everything: NDArray[np.int64]) -> Found:
        parts = []
        for start in range(0, len(everything), _SCANNED_AT_ONCE):
            rows = everything[start : start + _SCANNED_AT_ONCE]
            vectors = self._decoded(rows, scratch("scanned", (len(rows), self.dim), np.float32))
            cosines, found = faiss.knn(queries, vectors, min(k, len(rows)), metric=faiss.METRIC_INNER_PRODUCT)
            parts.append((rows[found], cosines))
        return np.concatenate([rows for rows, _ in parts], 1), np.concatenate([cosines for _, cosines in parts], 1)

    def _lists_to_search(
        self,
        queries: NDArray[np.float32],
        k: int,
        subset: Subset,
        centroid_cosines: NDArray[np.float32],
    ) -> NDArray[np.int64]:
        """Lists [n_queries, n] that may hold one of the best k, padded with −1."""
        first = self._first_look(centroid_cosines, k, subset)
        _, rows = self._candidates(queries, _FIRST_CANDIDATES * k, first, centroid_cosines, subset)
        kth = -np.partition(-self._cosines(queries, rows), k - 1, axis=1)[:, k - 1 : k]
        found_k = np.isfinite(kth)
        kth = np.where(found_k, kth, 0)
        wanted = centroid_cosines >= np.where(found_k, kth - gap(kth, self.tuning), np.finfo(np.float32).min)
        np.put_along_axis(wanted, first, True, axis=1)
        return _padded(wanted)

    def _first_look(self, centroid_cosines: NDArray[np.float32], k: int, subset: Subset) -> NDArray[np.int64]:
        """The nearest lists [n_queries, n] that hold any match: as many as may be expected to hold k."""
        present = int(subset.lists.sum())
        expected = lists_for(k, self.tuning, self.nlist) + 2 * k * present / subset.count
        n = min(present, int(np.ceil(expected)))
        lists: NDArray[np.int64] = np.argpartition(-centroid_cosines, n - 1, axis=1)[:, :n]
        return lists

    def _candidates(
        self,
        queries: NDArray[np.float32],
        n: int,
        lists: NDArray[np.int64],
        centroid_cosines: NDArray[np.float32],
        subset: Subset,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosines by the product codes, float32 [n_queries, n], best first, and the rows; −1 where there are fewer."""
        near = np.take_along_axis(centroid_cosines, np.maximum(lists, 0), axis=1)
        queries, lists = np.ascontiguousarray(queries), np.ascontiguousarray(lists)
        cosines, rows = np.empty((len(queries), n), np.float32), np.empty((len(queries), n), np.int64)
        params = faiss.SearchParametersIVF(nprobe=lists.shape[1], sel=self._selector(subset.bits))
        arrays = [faiss.swig_ptr(array) for array in (lists, near, cosines, rows)]
        # The wrapper that takes arrays takes no parameters.
        self.ivf.search_preassigned_c(len(queries), faiss.swig_ptr(queries), n, *arrays, False, params, None)
        return cosines, rows

    def _cosines(self, queries: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cosines [n_queries, n] of candidates by their stored vectors; −inf where there is none."""
        into = scratch("vectors", (rows.size, self.dim), np.float32)
        vectors = self._decoded(np.maximum(rows, 0).ravel(), into).reshape(*rows.shape, self.dim)
        cosines: NDArray[np.float32] = np.where(rows >= 0, (vectors @ queries[:, :, None])[..., 0], -np.inf)
        return cosines

    def _selector(self, bits: NDArray[np.uint8] | None) -> Any:
        return None if bits is None else faiss.IDSelectorBitmap(self.count, faiss.swig_ptr(bits))


def lists_for(k: int, tuning: Tuning, nlist: int) -> int:
    """Lists that hold the nearest k rows, by a power law between (and beyond) the measured ones."""
    log_k, log_lists = np.log(TUNING_KS), np.log(tuning.lists)
    slope = max(0.5, (log_lists[-1] - log_lists[-2]) / (log_k[-1] - log_k[-2]))
    beyond = max(0.0, math.log(k) - log_k[-1]) * slope
    return min(nlist, math.ceil(math.exp(np.interp(math.log(k), log_k, log_lists) + beyond) - 1e-6))


def gap(kth: NDArray[np.float32], tuning: Tuning) -> NDArray[np.float32]:
    """How much further from a query than its k-th best row a centroid may be, and its list hold a better one."""
    (far, far_gap), (near, near_gap) = sorted((tuning.far, tuning.near))
    slope = (near_gap - far_gap) / max(near - far, 1e-6)
    return np.asarray(far_gap + (np.minimum(kth, near) - far) * slope, np.float32)


def _keep_best(found: Found, queries: NDArray[np.int64], rows: NDArray[np.int64], cosines: NDArray[np.float32]) -> None:
    """Write the best of these rows [len(queries), n] to the queries' places."""
    order = np.argsort(-cosines, axis=1, kind="stable")[:, : found[0].shape[1]]
    found[0][queries, : order.shape[1]] = np.take_along_axis(rows, order, 1)
    found[1][queries, : order.shape[1]] = np.take_along_axis(cosines, order, 1)


def _padded(wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The numbers of the wanted lists of each query, [n_queries, most], padded with −1."""
    counts = wanted.sum(axis=1)
    lists = np.full((len(wanted), int(counts.max())), -1, np.int64)
    lists[np.arange(lists.shape[1]) < counts[:, None]] = wanted.nonzero()[1]
    return lists


def expected_misses(approximate: NDArray[np.float32], cosines: NDArray[np.float32], k: int) -> NDArray[np.float64]:
    """How many rows that are no candidates belong to the best k of each query, by what its candidates show.

    Further down, rows become more numerous as they do among the candidates, by a factor of e for every `scale` that the
    codes' cosine falls; and each may be nearer than its code says, with the mean and the deviation that the candidates'
    errors have. Parameters are [n_queries, n]: cosines by the codes, best first, and by the stored vectors.
    """
    n = approximate.shape[1]
    every = np.asarray(np.isfinite(cosines).all(axis=1))
    error = np.where(every[:, None], cosines - approximate, 0)
    mean, deviation = error.mean(axis=1), error.std(axis=1) + 1e-9
    last = np.where(every, approximate[:, -1], 0)
    scale = (np.where(every, approximate[:, n // 2], 0) - last) / math.log(n / (n // 2 + 1)) + 1e-9
    kth = -np.partition(-cosines, k - 1, axis=1)[:, k - 1]
    step = 0.5 * deviation[:, None]
    below = np.arange(1, 17) * step
    z = np.maximum((kth - last - mean)[:, None] + below, 0) / deviation[:, None]
    # The normal distribution's upper tail, by an upper bound that is exact at 0 (Abramowitz & Stegun, 7.1.13).
    tail = np.sqrt(2 / np.pi) * np.exp(-z * z / 2) / (z + np.sqrt(z * z + 8 / np.pi))
    rows = n / scale[:, None] * np.exp(np.minimum(below / scale[:, None], 50)) * step
    return np.where(every, (rows * tail).sum(axis=1), 0.0)
