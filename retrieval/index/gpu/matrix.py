"""The nearest of all or of some rows of a matrix that lies on a GPU: every one is scored, so the answer is exact.

The rows stand there once, as the float16 that the catalogue stores. Products of halves are summed in float32. A query
is a float32, so it is taken as two halves, the second being what the first leaves over: their scores add up to what
float32 would give. The best by these, and a few more, are scored once more in float32 proper.

FAISS's selectors have no effect on its GPU indexes, so a filter is applied here: few rows are gathered before the
product, of many the others' scores are masked. Queries come in blocks and rows in pieces, such that what is made on the
way fits into `work_bytes`. All of it runs on any device that torch has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray
    from torch import Tensor

    from retrieval.index.faiss_threads import RankedRows
    from retrieval.index.row_index import RowIndex

Best = tuple["Tensor", "Tensor"]
"""Rows int64 [n, k], −1 where there are fewer, and their cosines float32 [n, k], −inf there; best first."""

WORK_BYTES = 1 << 30
MORE = 16
_QUERIES_AT_ONCE = 1_024
_UPLOADED_AT_ONCE = 1 << 16
_GATHERED_SHARE = 0.25
_REST_SCALE = 2.0**11  # what half a float16's last place leaves over, brought back to its range
_LARGEST_NORM = 1.001  # of a unit vector that was rounded to float16
_SUM_ERROR = 1e-5


@dataclass(frozen=True, eq=False)
class MatrixSelection:
    """Some rows of a matrix.

    Attributes
    ----------
    rows : int64 [count], their numbers, where they are few
    mask : bool [rows of the matrix], where they are many
    """

    count: int
    rows: Tensor | None = None
    mask: Tensor | None = None


class Matrix:
    """Float16 [rows, dim] on some device; the rows are unit vectors."""

    def __init__(self, vectors: Tensor, *, work_bytes: int = WORK_BYTES) -> None:
        self.vectors = vectors
        self._work_bytes = work_bytes

    def select(self, rows: NDArray[np.int64]) -> MatrixSelection:
        """These rows, ascending."""
        if len(rows) <= _GATHERED_SHARE * len(self.vectors):
            return MatrixSelection(len(rows), rows=self._here(rows))
        mask = np.zeros(len(self.vectors), bool)
        mask[rows] = True
        return MatrixSelection(len(rows), mask=self._here(mask))

    def _here(self, values: NDArray[Any]) -> Tensor:
        return torch.from_numpy(values).to(self.vectors.device)

    def ranked(self, queries: NDArray[np.float32], search: Callable[[Tensor], Best]) -> RankedRows:
        """What a search on the device finds, as rows int64 and cosines float32 in numpy."""
        rows, cosines = search(self._here(np.ascontiguousarray(queries)))
        return rows.cpu().numpy(), cosines.cpu().numpy()

    def scan(self, queries: Tensor, k: int, selection: MatrixSelection | None = None) -> Best:
        """The `k` nearest rows of queries float32 [n, dim], or as many as there are."""
        count = len(self.vectors) if selection is None else selection.count
        k = min(k, count)
        if not k or not len(queries):
            empty = queries.new_empty((len(queries), k))
            return empty.to(torch.int64), empty
        parts = []
        for block in torch.split(queries, _QUERIES_AT_ONCE):
            rows = self._candidates(block, min(k + MORE, count), selection)
            parts.append(self.rescored(block, rows, k))
        return torch.cat([rows for rows, _ in parts]), torch.cat([cosines for _, cosines in parts])

    def _candidates(self, queries: Tensor, n: int, selection: MatrixSelection | None) -> Tensor:
        """The best n rows by the products of halves, in no order, int64 [n_queries, n]."""
        numbers = None if selection is None else selection.rows
        end = len(self.vectors) if numbers is None else len(numbers)
        halves = _halves(queries)
        is_copied = numbers is not None or not halves.is_cuda
        bytes_a_row = 16 * len(halves) + (4 * self.vectors.shape[1] if is_copied else 0)
        piece = max(1, self._work_bytes // bytes_a_row)
        best, places = queries.new_empty((len(queries), 0)), queries.new_empty((len(queries), 0), dtype=torch.int64)
        for start in range(0, end, piece):
            stop = min(start + piece, end)
            rows = self.vectors[start:stop] if numbers is None else self.vectors.index_select(0, numbers[start:stop])
            scores = _scores(halves, rows, len(queries))
            if selection is not None and selection.mask is not None:
                scores.masked_fill_(~selection.mask[start:stop], -torch.inf)
            top, at = scores.topk(min(n, stop - start), dim=1, sorted=False)
            del scores
            best, places = torch.cat([best, top], 1), torch.cat([places, at + start], 1)
            if best.shape[1] > n:
                best, at = best.topk(n, dim=1, sorted=False)
                places = places.gather(1, at)
        if numbers is not None:
            places = numbers[places]
        return places.masked_fill(best == -torch.inf, -1)

    def rescored(self, queries: Tensor, rows: Tensor, k: int) -> Best:
        """The best k of these rows int64 [n, m] by products in float32; equal ones in order of row."""
        block = max(1, self._work_bytes // (16 * rows.shape[1] * queries.shape[1]))
        rows = rows.sort(dim=1).values
        blocks = zip(torch.split(queries, block), torch.split(rows, block), strict=True)
        cosines = torch.cat([self._cosines(*some) for some in blocks])
        cosines, order = cosines.sort(dim=1, descending=True, stable=True)
        return rows.gather(1, order[:, :k]), cosines[:, :k].contiguous()

    def _cosines(self, queries: Tensor, rows: Tensor) -> Tensor:
        vectors = self.vectors.index_select(0, rows.clamp(min=0).reshape(-1)).reshape(*rows.shape, -1)
        # Not a matrix product: whether that may round to less than float32 is a setting of the whole process.
        cosines = (vectors.float() * queries[:, None]).sum(dim=2)
        return cosines.masked_fill(rows < 0, -torch.inf)

    def confirmed(self, queries: Tensor, k: int, by_halves: Callable[[Tensor, int], Best]) -> Best:
        """The `k` nearest rows, by a search that takes queries float16 [n, dim] and gives its best m, in any order.

        A row that it leaves out is no better than its last, but for what rounding a query loses. Queries whose k-th row
        is no better than that are scanned for.
        """
        halves, m = queries.half(), min(k + MORE, len(self.vectors))
        rows, scores = by_halves(halves, m)
        ranked = self.rescored(queries, rows, k)
        if m == len(self.vectors):
            return ranked
        lost = (queries - halves.float()).norm(dim=1) * _LARGEST_NORM + _SUM_ERROR
        unsure = (ranked[1][:, -1] < scores.amin(dim=1) + lost).nonzero()[:, 0]
        if len(unsure):
            again = self.scan(queries[unsure], k)
            ranked[0][unsure], ranked[1][unsure] = again
        return ranked


def uploaded(index: RowIndex[Any], device: str) -> Tensor:
    """The index's vectors as float16 [count, dim] on the device."""
    vectors = torch.empty((index.count, index.dim), dtype=torch.float16, device=device)
    for start in range(0, index.count, _UPLOADED_AT_ONCE):
        stop = min(start + _UPLOADED_AT_ONCE, index.count)
        vectors[start:stop] = torch.from_numpy(index.vectors(np.arange(start, stop))).half()
    return vectors


def _halves(queries: Tensor) -> Tensor:
    """Queries float32 [n, dim] as float16: themselves, and where anything was lost, [2 n, dim] with the scaled rest."""
    halves = queries.half()
    rest = queries - halves.float()
    return torch.cat([halves, (rest * _REST_SCALE).half()]) if rest.any() else halves


def _scores(halves: Tensor, rows: Tensor, n: int) -> Tensor:
    """Inner products of n queries with rows float16 [m, dim], float32 [n, m]."""
    scores = _products(halves, rows)
    return scores if len(halves) == n else scores[:n].add_(scores[n:], alpha=1 / _REST_SCALE)


def _products(halves: Tensor, rows: Tensor) -> Tensor:
    if halves.is_cuda:
        return torch.mm(halves, rows.T, out_dtype=torch.float32)
    return halves.float() @ rows.float().T
