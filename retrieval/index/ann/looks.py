"""A search that looks further: at lists beyond the reach, at more candidates, and in the end at all selected rows.

The first look takes the lists within a reach of the nearest. Where what it brings is further than usual, a second one
takes the lists beyond that the gap behind the k-th best row leaves. Then the codes' error tells how many candidates
there should have been: where that are more, one more look takes them. Each is a single look at what is known to be
needed; where it would hold so many rows that to score all the selected ones takes less time, that is done instead.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from retrieval.index import kernels

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrieval.index.ann.inverted_lists import InvertedLists, RowSelection
    from retrieval.index.ann.stopping import Tuning
    from retrieval.index.faiss_threads import RankedRows

# What few candidates show is uncertain: more are taken than they show, but no more than by a leap.
_MARGIN, _LEAP = 2, 32
_ROWS_A_CANDIDATE = 256
_MISSES_ALLOWED = 0.003
_SCAN_FROM = 8
# To score a selected row: each query by itself, or for many the row once and then each query; in units of what it takes
# to look at a row of a list by its code, whether it is selected or not.
_SCORED_ALONE = 3.0
_SCORED_ONCE, _SCORED_BY_EACH = 6.0, 0.6


@dataclass(frozen=True)
class _Candidates:
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

    def needed(self, kth: NDArray[np.float32], k: int) -> NDArray[np.float64]:
        """How many there should be, where the k-th best rows have these cosines [n_queries]."""
        needed = kernels.candidates_needed(self.approximate, self.cosines, kth.copy(), _MISSES_ALLOWED * k)
        return np.asarray(needed, np.float64)


@dataclass
class Looks:
    """A block of queries, how far its first look goes, and what the looks have brought so far.

    Attributes
    ----------
    queries : float32 [n_queries, dim]
    k : rows to find for each
    centroid_cosines : float32 [n_queries, nlist]
    floors : float32 [n_queries], the cosine down to which lists are probed at first
    enough : float32 [n_queries], the cosine of a tenth best row with which no list beyond is probed
    direct_rows : int64 [n_queries], see `Effort`
    rows, cosines : [n_queries, k], best first
    least : float32 [n_queries], the cosine down to which a list may hold better rows; inf where none does
    needed : float64 [n_queries], candidates that there should be of the lists that are probed
    """

    lists: InvertedLists
    tuning: Tuning
    selection: RowSelection
    queries: NDArray[np.float32]
    k: int
    centroid_cosines: NDArray[np.float32]
    floors: NDArray[np.float32]
    enough: NDArray[np.float32]
    direct_rows: NDArray[np.int64]
    rows: NDArray[np.int64] = field(init=False)
    cosines: NDArray[np.float32] = field(init=False)

    def __post_init__(self) -> None:
        self.every_query = np.arange(len(self.queries))
        self.least, self.needed = np.full(len(self.queries), np.inf, np.float32), np.zeros(len(self.queries))

    def search(self, n: int) -> RankedRows:
        """Rows and cosines [n_queries, k], best first; from n candidates of each query."""
        first = self._look(slice(None), n, self.first_probes)
        self.rows, self.cosines = kernels.best(first.rows, first.cosines, self.k)
        short = kernels.unsure(self.cosines, self.every_query, self.enough)
        if len(short):
            self.least[short] = self.tuning.least_needed(self.cosines[short, -1])
            self._look_beyond()
        self.needed += first.needed(self.cosines[:, -1], self.k)
        self._take_more(n)
        return self.rows, self.cosines

    @cached_property
    def first_probes(self) -> kernels.Probes:
        """The lists of every query, within its reach."""
        return self._probes(self.floors, np.full(len(self.floors), np.inf, np.float32), self.every_query)[1]

    def enough_candidates(self, probes: kernels.Probes) -> int:
        """So many that to look once more for others would cost more than they do."""
        starts, lists, _ = probes
        rows = float(self.lists.sizes[lists].sum()) / (len(starts) - 1)
        return max(self.k * self.tuning.efforts[0].candidates, round(rows / _ROWS_A_CANDIDATE))

    def _probes(
        self, least: NDArray[np.float32], below: NDArray[np.float32], selected: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], kernels.Probes]:
        """Which of the selected queries have lists between these cosines [n_queries], and these lists."""
        return kernels.probes_between(self.centroid_cosines, self.selection.matching, least, below, selected)

    def _look_beyond(self) -> None:
        """Look at the lists beyond the reach that may hold better rows, or score all that match if that is sooner."""
        further, probes = self._probes(self.least, self.floors, self.every_query)
        scanned = further[sooner_scanned(self.lists.sizes, probes, self.selection.count)]
        if len(scanned):
            self._scan(scanned)
            further, probes = self._probes(self.least, self.floors, self.every_query)
        if len(further):
            beyond = self._look(further, self.enough_candidates(probes), probes)
            rows = np.hstack([self.rows[further], beyond.rows])
            cosines = np.hstack([self.cosines[further], beyond.cosines])
            self.rows[further], self.cosines[further] = kernels.best(rows, cosines, self.k)
            self.needed[further] = beyond.needed(self.cosines[further, -1], self.k) - beyond.rows.shape[1]

    def _take_more(self, n: int) -> None:
        """Take more than n candidates of the queries that need them, or score all that match if these are many."""
        more = np.flatnonzero(self.needed > n)
        if not len(more):
            return
        leaps = np.minimum(_MARGIN * self.needed[more] / n, _LEAP)
        sizes = n * 2 ** np.ceil(np.log2(leaps)).astype(np.int64)  # so that many queries share one
        is_scanned = sizes > max(self.k, self.selection.count // _SCAN_FROM)
        if is_scanned.any():
            self._scan(more[is_scanned])
        for size in set(sizes[~is_scanned].tolist()):
            alike = more[sizes == size]
            _, probes = self._probes(np.minimum(self.least, self.floors), np.full_like(self.floors, np.inf), alike)
            look = self._look(alike, size, probes)
            self.rows[alike], self.cosines[alike] = kernels.best(look.rows, look.cosines, self.k)

    def _scan(self, selected: NDArray[np.int64]) -> None:
        """Of these queries, score all rows that match: then there is nothing more to look at."""
        rows, cosines = self.lists.scan_block(self.queries[selected], self.k, self.selection.rows)
        self.rows[selected], self.cosines[selected] = rows, cosines
        self.least[selected], self.needed[selected] = np.inf, -np.inf

    def _look(self, selected: NDArray[np.int64] | slice, n: int, probes: kernels.Probes) -> _Candidates:
        """The best n rows of the lists that these queries probe: of few by their vectors, of many by their codes."""
        queries, direct_rows, bits = self.queries[selected], self.direct_rows[selected], self.selection.tested_bits
        rows, cosines, remaining = kernels.search_probes(queries, self.lists.stored, probes, direct_rows, bits, n)
        approximate = cosines.copy()
        if len(remaining):
            queries = queries[remaining]
            by_codes = self.lists.candidates(queries, n, probes, remaining, self.selection)
            approximate[remaining], rows[remaining] = by_codes
            cosines[remaining] = kernels.candidate_cosines(queries, self.lists.halves, rows[remaining])
        return _Candidates(approximate, rows, cosines)


def sooner_scanned(sizes: NDArray[np.float32], probes: kernels.Probes, matching: int) -> NDArray[np.int64]:
    """The queries whose lists, of these sizes, hold so many rows that to score all that match takes less time."""
    starts, lists, _ = probes
    rows = np.add.reduceat(sizes[lists], starts[:-1])
    saved = rows - _SCORED_BY_EACH * matching
    many = np.flatnonzero(saved > 0)
    if saved[many].sum() > _SCORED_ONCE * matching:
        return many
    return np.flatnonzero(rows > _SCORED_ALONE * matching)
