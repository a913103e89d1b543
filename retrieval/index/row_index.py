"""What a local view asks of the index of a snapshot: rows of unit vectors, the nearest of all or of some.

Fulfilled by the exact index (:mod:`retrieval.index.flat`), the approximate one (:mod:`retrieval.index.ann.ann_index`)
and those on a GPU (:mod:`retrieval.index.gpu.gpu_index`). Row i is the i-th vector that was added; a search gives rows
and cosines, best first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

from retrieval.errors import RetrievalError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from retrieval.index.faiss_threads import RankedRows

SelectionT = TypeVar("SelectionT")


class IndexLostError(RetrievalError):
    """The index can't be searched any more, but the snapshot has another: search again."""


class RowIndex(Protocol[SelectionT]):
    """An index of float32 [count, dim] vectors; `SelectionT` is what it needs of some rows to search them alone."""

    count: int
    dim: int

    @property
    def scan_rows(self) -> int:
        """Rows of a selection up to which their vectors are better kept and scored by the caller."""
        ...

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of these rows, float32 [len(rows), dim]."""
        ...

    def select(self, rows: NDArray[np.int64]) -> SelectionT:
        """These rows, ascending, as what a search may return."""
        ...

    def search(self, queries: NDArray[np.float32], k: int, *, bits: NDArray[np.uint8] | None = None) -> RankedRows:
        """The nearest rows; `bits` leave out a few of them (deleted ones), for a filter there is `search_selected`."""
        ...

    def search_selected(self, queries: NDArray[np.float32], k: int, selection: SelectionT) -> RankedRows:
        """The nearest rows of a selection, as many as it has."""
        ...

    def scan(self, queries: NDArray[np.float32], k: int, selection: SelectionT) -> RankedRows:
        """The nearest rows of a selection, by scoring every one."""
        ...
