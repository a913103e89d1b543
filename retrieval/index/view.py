"""One immutable view of a space: a snapshot, the rows in it that no longer count, and a delta searched beside it.

Every change makes a new view, so a search never sees half of one. A row is a track, or one of its segments; of a track
the nearest row counts. Rows of the delta come after those of the snapshot. The plan of a search, by what may match:

- ``exact``: every matching vector is scored. Always on a flat index, among few matching rows, or on demand.
- ``ivf``: the approximate index of :mod:`retrieval.index.ann.ann_index`, among a subset where a filter or a deletion
  leaves rows out.
- ``gpu``: every matching vector is scored, on a GPU; ``gpu-ivf-pq`` and ``gpu-cagra``: an approximate index there, see
  :mod:`retrieval.index.gpu.gpu_index`.

Whatever comes back short is searched for more rows, in the end for all: an answer has as many tracks as match.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.index.ascending import contained, distinct, places
from retrieval.index.delta import Delta
from retrieval.index.protocol import IndexLostError
from retrieval.index.scanning import scan

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.records import IndexChange
    from retrieval.index.faiss_threads import Found
    from retrieval.index.protocol import VectorIndex
    from retrieval.index.snapshots import Snapshot

_WIDEN = 4


@dataclass(frozen=True)
class Neighbors:
    """Neighbours of a batch of queries, best first.

    Attributes
    ----------
    track_ids : int64 [n_queries, k], −1 where fewer match
    rows : int64 [n_queries, k], the nearest row of each track
    cosines : float32 [n_queries, k], −inf where fewer match
    matching : number of tracks that the search was about
    scored : number of rows that it was about
    path : ``exact``, ``ivf``, ``gpu``, ``gpu-ivf-pq`` or ``gpu-cagra``
    """

    track_ids: NDArray[np.int64]
    rows: NDArray[np.int64]
    cosines: NDArray[np.float32]
    matching: int
    scored: int
    path: str


class Selection:
    """The rows of a view that a search may return; what a search needs of them is made once and kept."""

    def __init__(self, view: IndexView, rows: NDArray[np.int64], delta_rows: NDArray[np.int64], matching: int) -> None:
        self.rows = rows
        self.delta_rows = delta_rows
        self.matching = matching
        self._view = view
        self._subset: tuple[VectorIndex[Any], Any] | None = None

    @property
    def count(self) -> int:
        """Rows to search among."""
        return len(self.rows) + len(self.delta_rows)

    @property
    def every_row(self) -> NDArray[np.int64]:
        """Their numbers in the view, those of the delta behind those of the snapshot."""
        return np.concatenate([self.rows, self.delta_rows + self._view.snapshot_rows])

    def count_of(self, track_ids: NDArray[np.int64]) -> int:
        """How many of these tracks (ascending) are among them."""
        theirs = self._view.select(track_ids)
        rows = theirs.rows[contained(theirs.rows, self.rows)]
        delta_rows = theirs.delta_rows[contained(theirs.delta_rows, self.delta_rows)]
        return len(distinct(np.concatenate([self._view.track_ids(rows), self._view.delta.track_ids[delta_rows]])))

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """The snapshot's vectors of these rows, float32 [len(rows), dim]."""
        assert self._view.snapshot is not None  # there are rows
        return self._view.snapshot.index.vectors(self.rows)

    def subset_for(self, index: VectorIndex[Any]) -> Any:
        """These rows as the index takes them."""
        kept = self._subset
        if kept is None or kept[0] is not index:
            kept = self._subset = index, index.subset(self.rows)
        return kept[1]


@dataclass(frozen=True)
class IndexView:
    """A space at one revision.

    Attributes
    ----------
    dead : bool [snapshot rows], rows replaced or deleted since; none when there is none
    """

    encoder_version: str
    dim: int
    revision: int
    snapshot: Snapshot | None = None
    dead: NDArray[np.bool_] | None = None
    delta: Delta = field(default_factory=lambda: Delta.empty(0))

    @cached_property
    def count(self) -> int:
        """Number of tracks that can be found."""
        in_delta = len(distinct(self.delta.track_ids[self.delta.alive]))
        if self.snapshot is None:
            return in_delta
        # A track's rows die together.
        dead = 0 if self.dead is None else int((self.dead & self.snapshot.first_rows).sum())
        return self.snapshot.manifest.count - dead + in_delta

    @property
    def version(self) -> str:
        """Names exactly what is searched: the snapshot and the revision reached by the delta."""
        return f"{self.snapshot.name if self.snapshot else 'empty'}+{self.revision}"

    @property
    def changed(self) -> int:
        """Rows by which the view differs from its snapshot."""
        return len(self.delta) + (0 if self.dead is None else int(self.dead.sum()))

    def updated(self, changes: Iterable[IndexChange]) -> IndexView:
        """The view after these changes, which are ordered by revision.

        A vector of another encoder version is left out and does not replace the old one: the two cannot be compared.
        """
        newest: dict[int, IndexChange] = {}
        revision = self.revision
        for change in changes:
            revision = change.revision
            if change.vectors is None or change.encoder_version == self.encoder_version:
                newest[change.track_id] = change
        gone = np.fromiter(newest, np.int64, len(newest))
        written = [change for change in newest.values() if change.vectors is not None and not change.deleted]
        return replace(self, revision=revision, dead=self._with_dead(gone), delta=self._with_rows(gone, written))

    def vectors_of(self, track_id: int) -> NDArray[np.float32]:
        """The track's rows, float32 [n, dim]: none when it is not in the view."""
        return self.vectors(self.select(np.array([track_id], np.int64)).every_row)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these rows, float32 [n, dim]."""
        in_delta = rows >= self.snapshot_rows
        found = np.empty((len(rows), self.dim), np.float32)
        if self.snapshot is not None and not in_delta.all():
            found[~in_delta] = self.snapshot.index.vectors(rows[~in_delta])
        found[in_delta] = self.delta.vectors[rows[in_delta] - self.snapshot_rows]
        return found

    def track_ids(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tracks of these rows; −1 for −1."""
        found: NDArray[np.int64] = self._looked_up("track_ids", rows, -1)
        return found

    def spans_s(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Start and end of these rows, float32 [..., 2]; NaN for −1."""
        found: NDArray[np.float32] = self._looked_up("spans_s", rows, np.nan)
        return found

    def all_track_ids(self) -> NDArray[np.int64]:
        """The tracks that can be found, int64 ascending."""
        return distinct(self.track_ids(self._alive.every_row))

    def living_rows(self) -> tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]:
        """Tracks int64 [n], vectors float32 [n, dim] and spans float32 [n, 2] of every row that can be found."""
        rows = self._alive.every_row
        return self.track_ids(rows), self.vectors(rows), self.spans_s(rows)

    def select(self, track_ids: NDArray[np.int64]) -> Selection:
        """The living rows of these tracks, int64 ascending."""
        rows = np.empty(0, np.int64)
        if self.snapshot is not None:
            rows = places(self.snapshot.track_ids, track_ids)
            rows = rows if self.dead is None else rows[~self.dead[rows]]
        delta_rows = self.delta.rows_of(track_ids) if len(self.delta) else np.empty(0, np.int64)
        if self._has_whole_tracks and not len(delta_rows):
            return Selection(self, rows, delta_rows, len(rows))
        tracks = np.concatenate([self.track_ids(rows), self.delta.track_ids[delta_rows]])
        return Selection(self, rows, delta_rows, len(distinct(tracks)))

    def search(
        self, queries: NDArray[np.float32], k: int, *, among: Selection | None = None, exact: bool = False
    ) -> Neighbors:
        """The `k` nearest tracks of every query.

        Parameters
        ----------
        queries : float32 [n_queries, dim], L2 norm 1
        among : rows that may be returned, selected from this view; none for all
        exact : score every matching vector, whatever it costs
        """
        try:
            return self._search(queries, k, among, exact=exact)
        except IndexLostError:
            pass  # out of here, or the traceback would hold on to the memory that ran out
        return self._search(queries, k, among, exact=exact)

    def _search(self, queries: NDArray[np.float32], k: int, among: Selection | None, *, exact: bool) -> Neighbors:
        if self._is_plain and not exact and 0 < k <= (self.count if among is None else among.count):
            plain = self._plain_search(queries, k, among)
            if plain is not None:
                return plain
        matching = self.count if among is None else among.matching
        scored = self._living_rows if among is None else among.count
        wanted, rows_a_track = min(k, matching), max(1, -(-scored // max(matching, 1)))
        n = min(wanted * (1 if rows_a_track == 1 else 2 * rows_a_track), scored)
        while True:
            rows, cosines = self._nearest_rows(queries, n, among, exact=exact)
            found = _by_track(self.track_ids(rows), rows, cosines, k)
            if n >= scored or ((found[0] >= 0).sum(axis=1) >= wanted).all():
                break
            n = min(n * _WIDEN, scored)
        track_ids, best, cosines = found
        path = "exact" if exact else self._path(among)
        return Neighbors(track_ids, best, cosines, matching, scored, path)

    @cached_property
    def _is_plain(self) -> bool:
        """Whether the view is a large snapshot of whole tracks, with no change since."""
        if self.snapshot is None or len(self.delta) or self.dead is not None:
            return False
        return self.snapshot.manifest.kind != "flat" and self._has_whole_tracks

    @cached_property
    def _has_whole_tracks(self) -> bool:
        return self.snapshot is None or self.snapshot.manifest.count == self.snapshot_rows

    def _plain_search(self, queries: NDArray[np.float32], k: int, among: Selection | None) -> Neighbors | None:
        """What `search` does, where there is nothing to merge: most queries of a large catalogue go this way.

        None where the lists that were searched hold too few rows.
        """
        assert self.snapshot is not None
        rows, cosines = (self._by_index if self._is_by_index(among) else self._scanned)(queries, k, among)
        if rows.min() < 0:
            return None
        count = self.snapshot_rows if among is None else among.count
        return Neighbors(self.snapshot.track_ids[rows], rows, cosines, count, count, self._path(among))

    def _nearest_rows(self, queries: NDArray[np.float32], n: int, among: Selection | None, *, exact: bool) -> Found:
        """The nearest n living rows, of the snapshot and of the delta, best first."""
        parts = [self.delta.search(queries, n, None if among is None else among.delta_rows)]
        parts[0] = parts[0][0] + self.snapshot_rows, parts[0][1]
        if self.snapshot is not None and n:
            if exact or not self._is_by_index(among):
                parts.append(self._scanned(queries, n, among))
            else:
                parts.append(self._by_index(queries, n, among))
        rows, cosines = (np.concatenate(arrays, axis=1) for arrays in zip(*parts, strict=True))
        order = np.argsort(-cosines, axis=1, kind="stable")[:, :n]
        return np.take_along_axis(rows, order, 1), np.take_along_axis(cosines, order, 1)

    def _is_by_index(self, among: Selection | None) -> bool:
        """Whether the index plans the search, rather than all that may match being scored here."""
        if self.snapshot is None or self.snapshot.manifest.kind == "flat":
            return False
        return among is None or len(among.rows) > self.snapshot.searched.scan_rows

    def _path(self, among: Selection | None) -> str:
        if self.snapshot is None or not self._is_by_index(among):
            return "exact"
        return self.snapshot.path_of(filtered=among is not None, deleted=self.dead is not None)

    def _scanned(self, queries: NDArray[np.float32], n: int, among: Selection | None) -> Found:
        assert self.snapshot is not None
        index = self.snapshot.searched
        if among is None and self.dead is None and self.snapshot.manifest.kind == "flat":
            return index.search(queries, n)
        selection = self._alive if among is None else among
        if len(selection.rows) > index.scan_rows:
            return index.scan(queries, n, selection.subset_for(index))  # too many to be kept decoded
        return scan(queries, selection.vectors, n, selection.rows)

    def _by_index(self, queries: NDArray[np.float32], n: int, among: Selection | None) -> Found:
        assert self.snapshot is not None
        index = self.snapshot.searched
        if among is None:
            return index.search(queries, n, bits=self._alive_bits)
        return index.search_among(queries, min(n, len(among.rows)), among.subset_for(index))

    @property
    def snapshot_rows(self) -> int:
        """Rows of the snapshot: from there on they are the delta's."""
        return 0 if self.snapshot is None else self.snapshot.manifest.rows

    @cached_property
    def _alive(self) -> Selection:
        """Every living row."""
        rows = np.arange(self.snapshot_rows)
        rows = rows if self.dead is None else rows[~self.dead]
        return Selection(self, rows, np.flatnonzero(self.delta.alive), self.count)

    @cached_property
    def _alive_bits(self) -> NDArray[np.uint8] | None:
        return None if self.dead is None else np.packbits(~self.dead, bitorder="little")

    @cached_property
    def _living_rows(self) -> int:
        dead = 0 if self.dead is None else int(self.dead.sum())
        return self.snapshot_rows - dead + self.delta.count

    def _looked_up(self, name: str, rows: NDArray[np.int64], missing: float) -> NDArray[Any]:
        of_delta = getattr(self.delta, name)
        found = np.full((*rows.shape, *of_delta.shape[1:]), missing, of_delta.dtype)
        in_delta = rows >= self.snapshot_rows
        found[in_delta] = of_delta[rows[in_delta] - self.snapshot_rows]
        if self.snapshot is not None:
            in_snapshot = (rows >= 0) & ~in_delta
            found[in_snapshot] = getattr(self.snapshot, name)[rows[in_snapshot]]
        return found

    def _with_dead(self, track_ids: NDArray[np.int64]) -> NDArray[np.bool_] | None:
        if self.snapshot is None:
            return None
        rows = places(self.snapshot.track_ids, np.sort(track_ids))
        if not len(rows):
            return self.dead
        dead = np.zeros(self.snapshot_rows, bool) if self.dead is None else self.dead.copy()
        dead[rows] = True
        return dead

    def _with_rows(self, gone: NDArray[np.int64], written: Sequence[IndexChange]) -> Delta:
        if not len(gone):
            return self.delta
        delta = self.delta if self.delta.vectors.shape[1] == self.dim else Delta.empty(self.dim)
        changes = [change for change in written if change.vectors is not None]
        if not changes:
            return delta.written(gone, *Delta.empty(self.dim).rows)
        counts = [len(change.vectors) for change in changes if change.vectors is not None]
        return delta.written(
            gone,
            np.repeat(np.array([change.track_id for change in changes], np.int64), counts),
            np.concatenate([change.vectors for change in changes if change.vectors is not None]).astype(np.float32),
            np.concatenate([change.spans_s for change in changes]).astype(np.float32),
        )


def _by_track(
    track_ids: NDArray[np.int64], rows: NDArray[np.int64], cosines: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Tracks, rows and cosines [n_queries, k] of the best row of every track; equal cosines in order of track."""
    order = np.lexsort((track_ids, -cosines), axis=1)
    track_ids = np.take_along_axis(track_ids, order, 1)
    again = _seen_before(track_ids) | (track_ids < 0)
    places = np.argsort(again, axis=1, kind="stable")[:, :k]
    found = (np.take_along_axis(array, order, 1) for array in (rows, cosines))
    missing = np.take_along_axis(again, places, 1)
    padding = ((0, 0), (0, max(0, k - places.shape[1])))

    def kept(array: NDArray[Any], without: float) -> NDArray[Any]:
        values = np.where(missing, np.array(without, array.dtype), np.take_along_axis(array, places, 1))
        return np.pad(values, padding, constant_values=without)

    best_rows, best_cosines = found
    return kept(track_ids, -1), kept(best_rows, -1), kept(best_cosines, -np.inf)


def _seen_before(values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether a value [n, m] stands further left in its row as well."""
    order = np.argsort(values, axis=1, kind="stable")
    ascending = np.take_along_axis(values, order, 1)
    same = np.zeros(values.shape, bool)
    same[:, 1:] = ascending[:, 1:] == ascending[:, :-1]
    seen = np.empty_like(same)
    np.put_along_axis(seen, order, same, axis=1)
    return seen
