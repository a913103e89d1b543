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

from retrieval.index import kernels
from retrieval.index.faiss_threads import RankedRows, faiss, in_blocks, scratch
from retrieval.index.scanning import FEW_QUERIES, QUERIES_AT_ONCE, ROWS_AT_ONCE, best_of_parts

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

# FAISS's ways through the lists of a query: this one goes query by query and keeps candidates without a heap.
_QUERY_BY_QUERY = 11
_EVERY_ROW, _EVERY_LIST = np.zeros(0, np.uint8), np.zeros(0, np.float32)


@dataclass(frozen=True)
class RowSelection:
    """The rows of an index that a search may return.

    Attributes
    ----------
    count : how many
    bits : one a row, set for the selected, as FAISS tests them, uint8 [rows / 8]; none for all
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
        """The bits, as the inner loops take them: empty where all rows are selected."""
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
        self.halves: NDArray[np.uint16] = codes.reshape(self.count, stored.code_size).view(np.uint16)

    def centroids(self) -> NDArray[np.float32]:
        """A copy of those of all lists, float32 [nlist, dim]."""
        centroids: NDArray[np.float32] = self._ivf.quantizer.reconstruct_n(0, self.nlist)
        return centroids

    @cached_property
    def of_row(self) -> NDArray[np.int32]:
        """The list of every row, int32 [count]."""
        _, starts, members = self.stored
        lists = np.empty(self.count, np.int32)
        lists[members] = np.repeat(np.arange(self.nlist, dtype=np.int32), np.diff(starts))
        return lists

    @cached_property
    def sizes(self) -> NDArray[np.float32]:
        """Rows in every list, float32 [nlist]."""
        return np.diff(self.stored[1]).astype(np.float32)

    @cached_property
    def stored(self) -> kernels.StoredLists:
        """Vectors and lists, as the inner loops take them."""
        sizes = [self._ivf.invlists.list_size(number) for number in range(self.nlist)]
        starts = np.cumsum([0, *sizes], dtype=np.int64)
        members = np.empty(self.count, np.int32)
        for number, (start, end) in enumerate(itertools.pairwise(starts.tolist())):
            members[start:end] = faiss.rev_swig_ptr(self._ivf.invlists.get_ids(number), end - start)
        return self.halves, starts, members

    @cached_property
    def everything(self) -> RowSelection:
        """All rows."""
        return RowSelection(self.count, None)

    def select(self, rows: NDArray[np.int64]) -> RowSelection:
        """These rows, ascending."""
        selected = np.zeros(self.count, bool)
        selected[rows] = True
        in_list = np.bincount(self.of_row[rows], minlength=self.nlist).astype(np.float32)
        return RowSelection(len(rows), np.packbits(selected, bitorder="little"), in_list, rows)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of these rows, float32 [len(rows), dim]."""
        return self._decoded(rows, np.empty((len(rows), self.dim), np.float32))

    def _decoded(self, rows: NDArray[np.int64], into: NDArray[np.float32]) -> NDArray[np.float32]:
        kernels.decode(self.halves, rows, into)
        return into

    def candidates(
        self,
        queries: NDArray[np.float32],
        n: int,
        probes: kernels.Probes,
        probing: NDArray[np.int64],
        selection: RowSelection,
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """The best n rows by their codes.

        Parameters
        ----------
        queries : float32 [n_queries, dim]
        probing : int64 [n_queries], which of those that `probes` tells the lists of they are

        Returns
        -------
        cosines by the codes and rows [n_queries, n], best first
        """
        lists, near = kernels.padded(probes, probing)
        approximate, rows = np.empty((len(queries), n), np.float32), np.empty((len(queries), n), np.int64)
        params = selection.parameters(lists.shape[1])
        arrays = [faiss.swig_ptr(array) for array in (lists, near, approximate, rows)]
        # The wrapper that takes arrays takes no parameters.
        self._ivf.search_preassigned_c(len(queries), faiss.swig_ptr(queries), n, *arrays, False, params, None)
        return approximate, rows

    def scan(self, queries: NDArray[np.float32], k: int, selection: RowSelection) -> RankedRows:
        """The nearest selected rows, by scoring every one."""
        rows = selection.rows
        return in_blocks(lambda block: self.scan_block(block, k, rows), queries, at_most=QUERIES_AT_ONCE)

    def scan_block(self, queries: NDArray[np.float32], k: int, rows: NDArray[np.int64]) -> RankedRows:
        """The nearest of these rows, within the calling thread."""
        if len(queries) <= FEW_QUERIES:
            return kernels.best_of_halves(queries, self.halves, rows, k)
        return best_of_parts(queries, self._decoded_parts(rows), k)

    def _decoded_parts(self, rows: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        for start in range(0, len(rows), ROWS_AT_ONCE):
            part = rows[start : start + ROWS_AT_ONCE]
            yield part, self._decoded(part, scratch("scanned", (len(part), self.dim), np.float32))
