"""The inverted lists of an approximate index: FAISS's, of codes, and the vectors behind the codes.

Inverted lists of product codes of residuals are Jégou et al., "Product quantization for nearest neighbor search", TPAMI
2011; 4-bit codes scanned by vector instructions are André et al., "Quicker ADC", TPAMI 2021.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.index.ann import kernels
from retrieval.index.faiss_threads import Found, faiss, in_blocks, scratch
from retrieval.index.scanning import FEW_QUERIES, QUERIES_AT_ONCE, ROWS_AT_ONCE, best_of_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

    from retrieval.index.ann.centroids import Lists

# FAISS's ways through the lists of a query: this one goes query by query and keeps candidates without a heap.
_QUERY_BY_QUERY = 11
_EVERY_ROW, _EVERY_LIST = np.zeros(0, np.uint8), np.zeros(0, np.float32)


@dataclass(frozen=True)
class Subset:
    """Some rows of an index, as a search among them needs them.

    Attributes
    ----------
    count : how many
    bits : one a row, as FAISS tests them, uint8 [rows / 8]; none for all
    in_list : float32 [nlist], how many each list holds; none where all hold about what they hold of all rows
    numbers : int64 [count], the rows' own, ascending; none where the bits alone tell them
    """

    count: int
    bits: NDArray[np.uint8] | None
    in_list: NDArray[np.float32] | None = None
    numbers: NDArray[np.int64] | None = None

    @property
    def matching(self) -> NDArray[np.float32]:
        """`in_list`, as the inner loops take it: empty where there is none."""
        return _EVERY_LIST if self.in_list is None else self.in_list

    @property
    def tested_bits(self) -> NDArray[np.uint8]:
        """The bits, as the inner loops take them: empty where all rows may be found."""
        return _EVERY_ROW if self.bits is None else self.bits

    @property
    def rows(self) -> NDArray[np.int64]:
        """Their numbers, int64 [count]."""
        if self.numbers is not None:
            return self.numbers
        if self.bits is None:
            return np.arange(self.count)
        return np.flatnonzero(np.unpackbits(self.bits, bitorder="little"))

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


class InvertedLists:
    """Lists of codes of float32 [count, dim] vectors, and these as halves; row i is the i-th vector that was added."""

    def __init__(self, index: Any) -> None:
        self.index = index
        self._ivf = faiss.downcast_index(index.base_index)
        self._ivf.implem = _QUERY_BY_QUERY
        stored = faiss.downcast_index(index.refine_index)
        self.count, self.dim, self.nlist = int(index.ntotal), int(index.d), int(self._ivf.nlist)
        # As bytes: in a mapped file numbers need not lie where numpy wants them, and each use would copy them all.
        codes = faiss.rev_swig_ptr(stored.codes.data(), self.count * stored.code_size)
        self._codes = codes.reshape(self.count, stored.code_size)

    def centroids(self) -> NDArray[np.float32]:
        """A copy of those of all lists, float32 [nlist, dim]."""
        centroids: NDArray[np.float32] = self._ivf.quantizer.reconstruct_n(0, self.nlist)
        return centroids

    @cached_property
    def of_row(self) -> NDArray[np.int32]:
        """The list of every row, int32 [count]."""
        found = np.empty(self.count, np.int32)
        found[self._members] = np.repeat(np.arange(self.nlist, dtype=np.int32), np.diff(self._starts))
        return found

    @cached_property
    def sizes(self) -> NDArray[np.float32]:
        """Rows in every list, float32 [nlist]."""
        return np.diff(self._starts).astype(np.float32)

    @cached_property
    def halves(self) -> NDArray[np.uint16]:
        """The bits of the stored vectors, uint16 [count, dim]."""
        halves: NDArray[np.uint16] = self._codes.view(np.uint16)
        return halves

    @property
    def stored(self) -> tuple[NDArray[np.uint16], NDArray[np.int64], NDArray[np.int32]]:
        """As the inner loops take them: halves, where each list begins, and the rows of one list after the other."""
        return self.halves, self._starts, self._members

    @cached_property
    def _starts(self) -> NDArray[np.int64]:
        sizes = [self._ivf.invlists.list_size(number) for number in range(self.nlist)]
        return np.cumsum([0, *sizes], dtype=np.int64)

    @cached_property
    def _members(self) -> NDArray[np.int32]:
        found = np.empty(self.count, np.int32)
        for number, (start, end) in enumerate(itertools.pairwise(self._starts.tolist())):
            found[start:end] = faiss.rev_swig_ptr(self._ivf.invlists.get_ids(number), end - start)
        return found

    @cached_property
    def everything(self) -> Subset:
        """All rows."""
        return Subset(self.count, None)

    def subset(self, rows: NDArray[np.int64]) -> Subset:
        """These rows, ascending, to search among."""
        chosen = np.zeros(self.count, bool)
        chosen[rows] = True
        in_list = np.bincount(self.of_row[rows], minlength=self.nlist).astype(np.float32)
        return Subset(len(rows), np.packbits(chosen, bitorder="little"), in_list, rows)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of these rows, float32 [len(rows), dim]."""
        return self._decoded(rows, np.empty((len(rows), self.dim), np.float32))

    def _decoded(self, rows: NDArray[np.int64], into: NDArray[np.float32]) -> NDArray[np.float32]:
        kernels.write_vectors(self.halves, rows, into)
        return into

    def candidates(
        self, queries: NDArray[np.float32], n: int, lists: Lists, some: NDArray[np.int64], subset: Subset
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The best n rows by their codes of the lists of some queries, and these [n_some, dim].

        Returns cosines by the codes and rows [n_some, n], best first.
        """
        numbers, near = lists.padded(some)
        approximate, rows = np.empty((len(queries), n), np.float32), np.empty((len(queries), n), np.int64)
        params = subset.parameters(numbers.shape[1])
        arrays = [faiss.swig_ptr(array) for array in (numbers, near, approximate, rows)]
        # The wrapper that takes arrays takes no parameters.
        self._ivf.search_preassigned_c(len(queries), faiss.swig_ptr(queries), n, *arrays, False, params, None)
        return approximate, rows

    def scan(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        """The nearest rows of a subset, by scoring every one."""
        rows = subset.rows
        return in_blocks(lambda block: self._scan_block(block, k, rows), queries, at_most=QUERIES_AT_ONCE)

    def scan_block(self, queries: NDArray[np.float32], k: int, subset: Subset) -> Found:
        """The same within the calling thread."""
        return self._scan_block(queries, k, subset.rows)

    def _scan_block(self, queries: NDArray[np.float32], k: int, rows: NDArray[np.int64]) -> Found:
        if len(queries) <= FEW_QUERIES:
            found: Found = kernels.best_of_same(queries, self.halves, rows, k)
            return found
        return best_of_parts(queries, self._decoded_parts(rows), k)

    def _decoded_parts(self, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[start : start + ROWS_AT_ONCE]
            yield part, self._decoded(part, scratch("scanned", (len(part), self.dim), np.float32))
