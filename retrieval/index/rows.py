"""The rows of a space at one revision: those of a snapshot, less what was written over since, and those of a delta.

A row is a track, or one of its segments; the delta's are numbered on behind the snapshot's. Every change makes new
rows, so a search never sees half of one.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from retrieval.index.ascending import contained, distinct, places
from retrieval.index.delta import Delta, content_of
from retrieval.index.protocol import Matching

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.changes import IndexChange
    from retrieval.index.row_index import RowIndex
    from retrieval.index.snapshots import Snapshot


@dataclass(frozen=True)
class Rows:
    """What there is to find, and whose it is.

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
    def version(self) -> str:
        """Names exactly what is searched: the snapshot and the revision reached by the delta."""
        return f"{self.snapshot.name if self.snapshot else f'empty-{self.encoder_version}'}+{self.revision}"

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
    def changed(self) -> int:
        """Rows by which this differs from its snapshot."""
        return len(self.delta) + (0 if self.dead is None else int(self.dead.sum()))

    @cached_property
    def snapshot_rows(self) -> int:
        """Rows of the snapshot: from there on they are the delta's."""
        return 0 if self.snapshot is None else self.snapshot.manifest.rows

    @cached_property
    def has_whole_tracks(self) -> bool:
        """Whether each row of the snapshot is a track."""
        return self.snapshot is None or self.snapshot.manifest.count == self.snapshot_rows

    def updated(self, changes: Iterable[IndexChange]) -> Self:
        """The rows after these changes, which are ordered by revision.

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

    def all_track_ids(self) -> NDArray[np.int64]:
        """The tracks that can be found, int64 ascending."""
        return distinct(self.track_ids(self.living.vector_ids))

    def vector_ids(self, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The living rows of these tracks, int64 ascending."""
        return self._rows_of(track_ids).vector_ids

    def vectors(self, vector_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these rows, float32 [n, dim]."""
        in_delta = vector_ids >= self.snapshot_rows
        vectors = np.empty((len(vector_ids), self.dim), np.float32)
        if self.snapshot is not None and not in_delta.all():
            vectors[~in_delta] = self.snapshot.index.vectors(vector_ids[~in_delta])
        vectors[in_delta] = self.delta.vectors[vector_ids[in_delta] - self.snapshot_rows]
        return vectors

    def track_ids(self, vector_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The tracks of these rows; −1 for −1."""
        track_ids: NDArray[np.int64] = self._looked_up("track_ids", vector_ids, -1)
        return track_ids

    def spans_s(self, vector_ids: NDArray[np.int64]) -> NDArray[np.float32]:
        """Start and end of these rows, float32 [..., 2]; NaN for −1."""
        spans_s: NDArray[np.float32] = self._looked_up("spans_s", vector_ids, np.nan)
        return spans_s

    def select(
        self, tracks: Matching | NDArray[np.int64] | None = None, *, without: NDArray[np.int64] | None = None
    ) -> ViewSelection:
        """The living rows of these tracks, by default of all, but for those of some others."""
        if tracks is None and without is None:
            return self.living
        if isinstance(tracks, Matching):
            track_ids = tracks.track_ids()
        else:
            track_ids = self.all_track_ids() if tracks is None else tracks
        return self._rows_of(track_ids if without is None else np.setdiff1d(track_ids, without))

    @cached_property
    def living(self) -> ViewSelection:
        """Every living row."""
        rows = np.arange(self.snapshot_rows)
        rows = rows if self.dead is None else rows[~self.dead]
        return ViewSelection(self, rows, np.flatnonzero(self.delta.alive), self.count)

    @cached_property
    def living_count(self) -> int:
        """How many rows can be found."""
        dead = 0 if self.dead is None else int(self.dead.sum())
        return self.snapshot_rows - dead + self.delta.count

    def _rows_of(self, track_ids: NDArray[np.int64]) -> ViewSelection:
        rows = np.empty(0, np.int64)
        if self.snapshot is not None:
            rows = places(self.snapshot.track_ids, track_ids)
            rows = rows if self.dead is None else rows[~self.dead[rows]]
        delta_rows = self.delta.rows_of(track_ids) if len(self.delta) else np.empty(0, np.int64)
        if self.has_whole_tracks and not len(delta_rows):
            return ViewSelection(self, rows, delta_rows, len(rows))
        tracks = np.concatenate([self.track_ids(rows), self.delta.track_ids[delta_rows]])
        return ViewSelection(self, rows, delta_rows, len(distinct(tracks)))

    def _looked_up(self, name: str, rows: NDArray[np.int64], missing: float) -> NDArray[Any]:
        of_delta = getattr(self.delta, name)
        values = np.full((*rows.shape, *of_delta.shape[1:]), missing, of_delta.dtype)
        in_delta = rows >= self.snapshot_rows
        values[in_delta] = of_delta[rows[in_delta] - self.snapshot_rows]
        if self.snapshot is not None:
            in_snapshot = (rows >= 0) & ~in_delta
            values[in_snapshot] = getattr(self.snapshot, name)[rows[in_snapshot]]
        return values

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
        return delta.written(gone, *content_of(written, self.dim))


class ViewSelection:
    """The rows that a search may return; what a search needs of them is made once and kept.

    Attributes
    ----------
    rows, delta_rows : int64 ascending, of the snapshot and of the delta
    count, matching : number of rows, and of tracks
    """

    def __init__(self, of: Rows, rows: NDArray[np.int64], delta_rows: NDArray[np.int64], matching: int) -> None:
        self.rows = rows
        self.delta_rows = delta_rows
        self.count = len(rows) + len(delta_rows)
        self.matching = matching
        self._of = of
        self._selected: tuple[RowIndex[Any], Any] | None = None

    @property
    def vector_ids(self) -> NDArray[np.int64]:
        """Their numbers, those of the delta behind those of the snapshot."""
        return np.concatenate([self.rows, self.delta_rows + self._of.snapshot_rows])

    def count_of(self, track_ids: NDArray[np.int64]) -> int:
        """How many of these tracks (ascending) are among them."""
        others = self._of.select(track_ids)
        rows = others.rows[contained(others.rows, self.rows)]
        delta_rows = others.delta_rows[contained(others.delta_rows, self.delta_rows)]
        return len(distinct(np.concatenate([self._of.track_ids(rows), self._of.delta.track_ids[delta_rows]])))

    @cached_property
    def vectors(self) -> NDArray[np.float32]:
        """The snapshot's vectors of these rows, float32 [len(rows), dim]."""
        assert self._of.snapshot is not None  # there are rows
        return self._of.snapshot.index.vectors(self.rows)

    def selected_in(self, index: RowIndex[Any]) -> Any:
        """The snapshot's rows as its index takes them."""
        kept = self._selected
        if kept is None or kept[0] is not index:
            kept = self._selected = index, index.select(self.rows)
        return kept[1]
