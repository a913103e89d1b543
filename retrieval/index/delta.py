"""What was written since the last snapshot: rows that are searched beside it, and hidden when they are written over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from retrieval.index.ascending import contained
from retrieval.index.scanning import scan

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.changes import IndexChange
    from retrieval.index.faiss_threads import RankedRows

    Content = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[np.float32]]
    """Tracks int64 [n], vectors float32 [n, dim] and spans float32 [n, 2], a row each."""


@dataclass(frozen=True)
class Delta:
    """Rows written since the snapshot.

    Attributes
    ----------
    track_ids : int64 [n]
    vectors : float32 [n, dim]
    spans_s : float32 [n, 2], start and end
    alive : bool [n], not written over since
    """

    track_ids: NDArray[np.int64]
    vectors: NDArray[np.float32]
    spans_s: NDArray[np.float32]
    alive: NDArray[np.bool_]

    @classmethod
    def empty(cls, dim: int) -> Delta:
        """No rows."""
        return cls(
            np.empty(0, np.int64), np.empty((0, dim), np.float32), np.empty((0, 2), np.float32), np.ones(0, bool)
        )

    def __len__(self) -> int:
        return len(self.track_ids)

    @cached_property
    def count(self) -> int:
        """Rows that can be found."""
        return int(self.alive.sum())

    def rows_of(self, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The living rows of these tracks, which ascend."""
        return np.flatnonzero(self.alive & contained(self.track_ids, track_ids))

    def written(
        self,
        gone: NDArray[np.int64],
        track_ids: NDArray[np.int64],
        vectors: NDArray[np.float32],
        spans_s: NDArray[np.float32],
    ) -> Delta:
        """Without the rows of the tracks in `gone`, and with these."""
        alive = self.alive & ~np.isin(self.track_ids, gone)
        return replace(
            self,
            track_ids=np.concatenate([self.track_ids, track_ids]),
            vectors=np.concatenate([self.vectors, vectors]),
            spans_s=np.concatenate([self.spans_s, spans_s]),
            alive=np.concatenate([alive, np.ones(len(track_ids), bool)]),
        )

    def search(self, queries: NDArray[np.float32], k: int, rows: NDArray[np.int64] | None) -> RankedRows:
        """The nearest of these rows, by default of all that live: at most k each."""
        if rows is None:  # to copy those that live would take longer
            return scan(queries, self.vectors, min(k, self.count), self._numbers)
        return scan(queries, self.vectors[rows], k, rows)

    @cached_property
    def _numbers(self) -> NDArray[np.int64]:
        """The rows' own, −1 for those that were written over."""
        return np.where(self.alive, np.arange(len(self)), -1)


def content_of(changes: Sequence[IndexChange], dim: int) -> Content:
    """The rows of tracks that have vectors, in their order."""
    counts = [len(change.spans_s) for change in changes]
    track_ids = np.repeat(np.array([change.track_id for change in changes], np.int64), counts)
    vectors, spans_s = np.empty((len(track_ids), dim), np.float32), np.empty((len(track_ids), 2), np.float32)
    for change, end in zip(changes, np.cumsum(counts), strict=True):
        vectors[end - len(change.spans_s) : end] = change.vectors
        spans_s[end - len(change.spans_s) : end] = change.spans_s
    return track_ids, vectors, spans_s
