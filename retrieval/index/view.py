"""One immutable view of a space on this machine: a snapshot, and what was written since, searched beside it.

It fulfils :class:`retrieval.index.protocol.IndexView`; the name of a vector is the number of its row, see
:mod:`retrieval.index.rows`. The plan of a search, by what may match:

- ``exact``: every matching vector is scored. Always on a flat index, among few matching rows, or on demand.
- ``ivf``: the approximate index of :mod:`retrieval.index.ann.ann_index`, among a selection where a filter or a deletion
  leaves rows out.
- ``gpu``: every matching vector is scored, on a GPU; ``gpu-ivf-pq`` and ``gpu-cagra``: an approximate index there, see
  :mod:`retrieval.index.gpu.gpu_index`.

Whatever comes back short, of rows, of tracks or of what the caller can use, is searched for more, in the end for all:
an answer has as many tracks as match. That is decided here and nowhere else.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from retrieval.index.protocol import Neighbors
from retrieval.index.row_index import IndexLostError
from retrieval.index.rows import Rows, ViewSelection
from retrieval.index.scanning import scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from retrieval.index.faiss_threads import RankedRows
    from retrieval.index.protocol import Selection

    Enough = Callable[[Neighbors], bool] | None

_WIDEN = 4


class LocalView(Rows):
    """A space at one revision, and the search in it."""

    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        selection: Selection | None = None,
        exact: bool = False,
        enough: Enough = None,
    ) -> Neighbors:
        """The `k` nearest tracks of every query, or as many as are enough: see `IndexView.search`."""
        rows = cast("ViewSelection | None", selection)
        try:
            return self._widened(queries, k, rows, exact=exact, enough=enough)
        except IndexLostError:
            pass  # out of here, or the traceback would hold on to the memory that ran out
        return self._widened(queries, k, rows, exact=exact, enough=enough)

    def _widened(
        self, queries: NDArray[np.float32], k: int, selection: ViewSelection | None, *, exact: bool, enough: Enough
    ) -> Neighbors:
        if selection is None:
            matching, scored = self.count, self.living_count
        else:
            matching, scored = selection.matching, selection.count
        rows_a_track = 1 if scored == matching else 2 * -(-scored // matching)
        is_plain, by_index, n = self._is_plain and not exact, not exact and self._is_by_index(selection), 0
        while True:
            last = min(k, matching)
            n = min(max(n, rows_a_track * last), scored)
            search = self._of_snapshot if is_plain else self._nearest_rows
            rows, cosines = search(queries, n, selection, by_index)
            if is_plain and 0 < n == k and rows.min() >= 0:  # most queries of a large catalogue: nothing to merge
                track_ids = self.snapshot.track_ids[rows]  # type: ignore[union-attr]
            else:
                track_ids, rows, cosines = _by_track(self.track_ids(rows), rows, cosines, k)
                if n < scored and last and (track_ids[:, last - 1] < 0).any():
                    n *= _WIDEN
                    continue
            neighbors = Neighbors(track_ids, rows, cosines, matching, scored, self._path(selection, by_index))
            if enough is None or enough(neighbors) or k >= matching:
                return neighbors
            k *= _WIDEN

    @cached_property
    def _is_plain(self) -> bool:
        """Whether the view is a large snapshot of whole tracks, with no change since."""
        if self.snapshot is None or len(self.delta) or self.dead is not None:
            return False
        return self.snapshot.manifest.kind != "flat" and self.has_whole_tracks

    def _nearest_rows(
        self, queries: NDArray[np.float32], n: int, selection: ViewSelection | None, by_index: bool
    ) -> RankedRows:
        """The nearest n living rows, of the snapshot and of the delta, best first."""
        parts = [self.delta.search(queries, n, None if selection is None else selection.delta_rows)]
        parts[0] = parts[0][0] + self.snapshot_rows, parts[0][1]
        if self.snapshot is not None and n:
            parts.append(self._of_snapshot(queries, n, selection, by_index))
        rows, cosines = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :n]
        return np.take_along_axis(rows, order, 1), np.take_along_axis(cosines, order, 1)

    def _of_snapshot(
        self, queries: NDArray[np.float32], n: int, selection: ViewSelection | None, by_index: bool
    ) -> RankedRows:
        """The nearest n living rows of the snapshot: by its index, or by scoring them all here."""
        assert self.snapshot is not None
        index = self.snapshot.searched
        if by_index and selection is None:
            return index.search(queries, n, bits=self._living_bits)
        if by_index and selection is not None:
            return index.search_selected(queries, min(n, len(selection.rows)), selection.selected_in(index))
        if selection is None and self.dead is None and self.snapshot.manifest.kind == "flat":
            return index.search(queries, n)
        scored = self.living if selection is None else selection
        if len(scored.rows) > index.scan_rows:
            return index.scan(queries, n, scored.selected_in(index))  # too many to be kept decoded
        return scan(queries, scored.vectors, n, scored.rows)

    def _is_by_index(self, selection: ViewSelection | None) -> bool:
        """Whether the index plans the search, rather than all that may match being scored here."""
        if self.snapshot is None or self.snapshot.manifest.kind == "flat":
            return False
        return selection is None or len(selection.rows) > self.snapshot.searched.scan_rows

    def _path(self, selection: ViewSelection | None, by_index: bool) -> str:
        if self.snapshot is None or not by_index:
            return "exact"
        return self.snapshot.path_of(filtered=selection is not None, deleted=self.dead is not None)

    @cached_property
    def _living_bits(self) -> NDArray[np.uint8] | None:
        return None if self.dead is None else np.packbits(~self.dead, bitorder="little")


def _by_track(
    track_ids: NDArray[np.int64], rows: NDArray[np.int64], cosines: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Tracks, rows and cosines [n_queries, k] of the best row of every track; equal cosines in order of track."""
    order = np.lexsort((track_ids, -cosines), axis=1)
    track_ids = np.take_along_axis(track_ids, order, 1)
    again = _seen_before(track_ids) | (track_ids < 0)
    places = np.argsort(again, axis=1, kind="stable")[:, :k]
    rows, cosines = np.take_along_axis(rows, order, 1), np.take_along_axis(cosines, order, 1)
    missing = np.take_along_axis(again, places, 1)
    padding = ((0, 0), (0, max(0, k - places.shape[1])))

    def best(array: NDArray[Any], without: float) -> NDArray[Any]:
        values = np.where(missing, np.array(without, array.dtype), np.take_along_axis(array, places, 1))
        return np.pad(values, padding, constant_values=without)

    return best(track_ids, -1), best(rows, -1), best(cosines, -np.inf)


def _seen_before(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a value [n, m] stands further left in its row as well."""
    order = np.argsort(values, axis=1, kind="stable")
    ascending = np.take_along_axis(values, order, 1)
    same = np.zeros(values.shape, bool)
    same[:, 1:] = ascending[:, 1:] == ascending[:, :-1]
    seen = np.empty_like(same)
    np.put_along_axis(seen, order, same, axis=1)
    return seen
