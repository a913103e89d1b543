"""The exact index: every vector in memory, every one scored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.index.faiss_threads import RankedRows, faiss
from retrieval.index.scanning import scan

if TYPE_CHECKING:
    from numpy.typing import NDArray


class FlatIndex:
    """An index of float32 [count, dim] vectors of unit length; row i is the i-th vector that was added."""

    def __init__(self, index: Any) -> None:
        self.index = index
        self.count, self.dim = int(index.ntotal), int(index.d)
        self._vectors = faiss.rev_swig_ptr(index.get_xb(), self.count * self.dim).reshape(self.count, self.dim)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these rows, float32 [len(rows), dim]."""
        vectors: NDArray[np.float32] = self._vectors[rows]
        return vectors

    @property
    def scan_rows(self) -> int:
        """All: there is no faster way than to keep the vectors of a selection and score them."""
        return self.count

    def select(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """These rows, ascending, as what a search may return."""
        return rows

    def search(self, queries: NDArray[np.float32], k: int, *, bits: NDArray[np.uint8] | None = None) -> RankedRows:
        """The nearest rows; `bits` leave out a few of them."""
        if bits is None:
            return scan(queries, self._vectors, k)
        return self.scan(queries, k, np.flatnonzero(np.unpackbits(bits, count=self.count, bitorder="little")))

    def scan(self, queries: NDArray[np.float32], k: int, selection: NDArray[np.int64]) -> RankedRows:
        """The nearest rows of a selection, by scoring every one."""
        return scan(queries, self._vectors[selection], k, selection)

    search_selected = scan


def build_flat(vectors: NDArray[np.float32]) -> FlatIndex:
    """An index of these vectors."""
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    return FlatIndex(index)
