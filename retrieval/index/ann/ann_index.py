"""The approximate index: inverted lists of codes to find candidates by, float16 vectors to rank them.

Which lists to probe, how many candidates to take, and when to stop is told by the rules of
:mod:`retrieval.index.ann.stopping`, by figures that were measured on the index itself, see
:mod:`retrieval.index.ann.tuning`.

A search takes the lists within a reach of the nearest. Where they hold few rows, these are compared by their vectors at
once, list by list from the nearest, which tells how far to go; where they hold many, the codes choose candidates.
Nearly every unfiltered query ends there, since the reach was measured for what is like the rows of the index. A filter
may leave out what is near, and a query may be unlike all rows (music of another kind), so where what is found is
further than usual :mod:`retrieval.index.ann.looks` goes on. So a filter that lies around the query costs no more than
none, and one that leaves out all that is near looks as far as it must.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.index import kernels
from retrieval.index.ann.centroids import Centroids
from retrieval.index.ann.inverted_lists import InvertedLists, RowSelection
from retrieval.index.ann.looks import Looks
from retrieval.index.faiss_threads import RankedRows, in_blocks

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrieval.index.ann.stopping import Tuning

_QUERIES_AT_ONCE = 256


class AnnIndex:
    """An index of float32 [count, dim] vectors of unit length; row i is the i-th vector that was added."""

    def __init__(self, index: Any, tuning: Tuning) -> None:
        self.index, self.tuning = index, tuning
        self.lists = InvertedLists(index)
        self.count, self.dim = self.lists.count, self.lists.dim
        self.centroids = Centroids(self.lists.centroids(), tuning.screen)
        self._kept_limits: dict[int, kernels.Limits] = {}

    def tuned(self, tuning: Tuning) -> AnnIndex:
        """The same index with another tuning."""
        other = copy(self)
        other.tuning = tuning
        other.centroids = self.centroids.screened(tuning.screen)
        other._kept_limits = {}
        return other

    def fits(self, dim: int, recall: float) -> bool:
        """Whether its training serves vectors of this dimension, and its tuning this recall."""
        return self.dim == dim and self.tuning.target == recall

    @property
    def scan_rows(self) -> int:
        """Rows of a selection up to which scoring every one is faster than `search_selected`."""
        return self.tuning.scan_rows

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of these rows, float32 [len(rows), dim]."""
        return self.lists.vectors(rows)

    def select(self, rows: NDArray[np.int64]) -> RowSelection:
        """These rows, ascending, as what a search may return."""
        return self.lists.select(rows)

    def search(self, queries: NDArray[np.float32], k: int, *, bits: NDArray[np.uint8] | None = None) -> RankedRows:
        """The nearest rows; `bits` leave out a few of them (deleted ones), for a filter there is `search_selected`."""
        return self.search_selected(
            queries, k, self.lists.everything if bits is None else RowSelection(self.count, bits)
        )

    def search_selected(self, queries: NDArray[np.float32], k: int, selection: RowSelection) -> RankedRows:
        """The nearest rows of a selection, as many as it has."""
        # Ten at least, by which a query is known to be like others.
        n = min(max(k, kernels.TUNING_KS[0]), selection.count)
        queries = np.ascontiguousarray(queries, np.float32)
        rows, cosines = in_blocks(
            lambda block: self._search_block(block, n, selection), queries, at_most=_QUERIES_AT_ONCE
        )
        return rows[:, :k], cosines[:, :k]

    def scan(self, queries: NDArray[np.float32], k: int, selection: RowSelection) -> RankedRows:
        """The nearest rows of a selection, by scoring every one."""
        return self.lists.scan(queries, k, selection)

    def ranked(self, queries: NDArray[np.float32], candidates: NDArray[np.int64], k: int) -> RankedRows:
        """The best k of the candidates [n_queries, n] by their stored vectors; −1 is no candidate."""
        return in_blocks(lambda block, rows: self._reranked(block, rows, k), queries, candidates)

    def _reranked(self, queries: NDArray[np.float32], candidates: NDArray[np.int64], k: int) -> RankedRows:
        return kernels.best(candidates, kernels.candidate_cosines(queries, self.lists.halves, candidates), k)

    def _search_block(self, queries: NDArray[np.float32], k: int, selection: RowSelection) -> RankedRows:
        if selection.in_list is not None:
            return self._search_filtered(queries, k, selection)
        coarse, limits = self.centroids.coarse(queries, self.tuning.usual_nearest), self._limits(k)
        _, reaches, _, usual, direct_rows = limits
        rows, cosines, efforts, remaining = kernels.search_within(
            queries, self.lists.stored, coarse, limits, selection.tested_bits, k
        )
        if len(remaining):
            probes = kernels.probes_within(queries, coarse, reaches[efforts], remaining)
            for effort in set(efforts[remaining].tolist()):
                alike = np.flatnonzero(efforts[remaining] == effort)
                at, n = remaining[alike], k * self.tuning.efforts[effort].candidates
                _, candidates = self.lists.candidates(queries[at], n, probes, alike, selection)
                rows[at], cosines[at] = self._reranked(queries[at], candidates, k)
        unsure = kernels.unsure(cosines, efforts, usual)
        if len(unsure):
            centroid_cosines, efforts = self.centroids.cosines(queries[unsure]), efforts[unsure]
            floors, never = centroid_cosines.max(axis=1) - reaches[efforts], np.full(len(unsure), np.inf, np.float32)
            reach = centroid_cosines, floors, never, direct_rows[efforts]
            n = k * max(self.tuning.efforts[effort].candidates for effort in efforts)
            looks = Looks(self.lists, self.tuning, selection, queries[unsure], k, *reach)
            rows[unsure], cosines[unsure] = looks.search(n)
        return rows, cosines

    def _search_filtered(self, queries: NDArray[np.float32], k: int, selection: RowSelection) -> RankedRows:
        tuning, matching, centroid_cosines = self.tuning, selection.matching, self.centroids.cosines(queries)
        floors, efforts = kernels.reach_of_matching(
            centroid_cosines, matching, self.lists.sizes, k, tuning.bounds, tuning.reaches
        )
        _, _, _, usual, direct_rows = self._limits(k)
        # Where the filter leaves nothing in the nearest list, what is usual tells nothing.
        enough = np.where(matching[centroid_cosines.argmax(axis=1)] > 0, usual[efforts], np.float32(np.inf))
        reach = centroid_cosines, floors, enough, direct_rows[efforts]
        looks = Looks(self.lists, tuning, selection, queries, k, *reach)
        return looks.search(looks.enough_candidates(looks.first_probes))

    def _limits(self, k: int) -> kernels.Limits:
        """Those for this k, kept: to interpolate takes as long as a search."""
        if k not in self._kept_limits:
            efforts = self.tuning.efforts
            reaches = np.array([kernels.reach_for(k, measured) for measured in self.tuning.reaches], np.float32)
            gaps = np.array([kernels.for_k(k, np.array(effort.gaps, np.float32)) for effort in efforts], np.float32)
            usual = np.array([effort.usual for effort in efforts], np.float32)
            direct_rows = np.array([effort.direct_rows for effort in efforts], np.int64)
            self._kept_limits[k] = self.tuning.bounds, reaches, gaps, usual, direct_rows
        return self._kept_limits[k]
