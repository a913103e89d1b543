"""One immutable view of a space: a snapshot, the rows in it that no longer count, and a delta searched beside it.

Every change makes a new view, so a search never sees half of one. The plan of a search, by what may match:

- ``exact``: every matching vector is scored. Always for fewer than `SCAN_LIMIT`, always on a flat index, or on demand.
- ``ivf``: the nearest lists only, with a bitmap where a filter or a deletion leaves rows out, and with more lists the
  fewer rows match. Whatever still comes back short is searched again with more lists, in the end with all of them.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

import faiss
import numpy as np
from numpy.typing import NDArray

from retrieval.records import IndexChange
from retrieval.snapshots import Snapshot

SCAN_LIMIT = 20_000
WIDEN = 4


@dataclass(frozen=True)
class Neighbors:
    """Neighbours of a batch of queries, best first.

    Attributes
    ----------
    track_ids : int64 [n_queries, k], −1 where fewer match
    cosines : float32 [n_queries, k], −inf where fewer match
    matching : number of tracks that the search was about
    path : ``exact`` or ``ivf``
    """

    track_ids: NDArray[np.int64]
    cosines: NDArray[np.float32]
    matching: int
    path: str


@dataclass(frozen=True)
class IndexView:
    """A space at one revision.

    Attributes
    ----------
    dead_rows : bool [snapshot rows], rows replaced or deleted since; none when there is none
    delta_ids : int64 [n], tracks written since the snapshot
    delta_vectors : float32 [n, dim]
    """

    encoder_version: str
    dim: int
    revision: int
    snapshot: Snapshot | None = None
    dead_rows: NDArray[np.bool_] | None = None
    delta_ids: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    delta_vectors: NDArray[np.float32] = field(default_factory=lambda: np.empty((0, 0), np.float32))

    @property
    def count(self) -> int:
        """Number of tracks that can be found."""
        return self._snapshot_count() + len(self.delta_ids)

    @property
    def version(self) -> str:
        """Names exactly what is searched: the snapshot and the revision reached by the delta."""
        return f"{self.snapshot.name if self.snapshot else 'empty'}+{self.revision}"

    def updated(self, changes: Iterable[IndexChange]) -> "IndexView":
        """The view after these changes, which are ordered by revision.

        A vector of another encoder version is left out and does not replace the old one: the two cannot be compared.
        """
        delta = dict(zip(self.delta_ids.tolist(), self.delta_vectors, strict=True))
        dead: list[int] = []
        revision = self.revision
        for change in changes:
            revision = change.revision
            if change.vector is not None and change.encoder_version != self.encoder_version:
                continue
            dead.append(change.track_id)
            delta.pop(change.track_id, None)
            if change.vector is not None and not change.deleted:
                delta[change.track_id] = change.vector.astype(np.float32)
        vectors = np.stack(list(delta.values())) if delta else np.empty((0, self.dim), np.float32)
        return replace(
            self,
            revision=revision,
            dead_rows=self._with_dead(dead),
            delta_ids=np.fromiter(delta, np.int64, len(delta)),
            delta_vectors=vectors,
        )

    def vector(self, track_id: int) -> NDArray[np.float32] | None:
        """The track's vector, float32 [dim], or none when it is not in the view."""
        in_delta = np.flatnonzero(self.delta_ids == track_id)
        if len(in_delta):
            newest: NDArray[np.float32] = self.delta_vectors[in_delta[0]]
            return newest
        rows = self._rows_of(np.array([track_id], np.int64))
        if self.snapshot is None or not len(rows):
            return None
        stored: NDArray[np.float32] = self.snapshot.vectors(rows)[0]
        return stored

    def count_of(self, track_ids: NDArray[np.int64]) -> int:
        """How many of these tracks can be found."""
        return len(self._rows_of(track_ids)) + int(np.isin(self.delta_ids, track_ids).sum())

    def search(
        self, queries: NDArray[np.float32], k: int, *, allowed: NDArray[np.int64] | None = None, exact: bool = False
    ) -> Neighbors:
        """The `k` nearest tracks of every query.

        Parameters
        ----------
        queries : float32 [n_queries, dim], L2 norm 1
        allowed : int64 [n], ascending track ids that may be returned; none for all
        exact : scan every matching vector, whatever it costs
        """
        rows, matching_rows = self._matching_rows(allowed)
        in_delta = slice(None) if allowed is None else np.isin(self.delta_ids, allowed)
        delta_ids, delta_vectors = self.delta_ids[in_delta], self.delta_vectors[in_delta]
        approximate = False
        parts = [_scan(queries, delta_vectors, delta_ids, k)]
        if self.snapshot is not None and matching_rows:
            flat = self.snapshot.manifest.kind == "flat"
            approximate = not (flat or exact or matching_rows <= SCAN_LIMIT)
            if rows is not None and (flat or matching_rows <= SCAN_LIMIT):
                selected = np.flatnonzero(rows)
                parts.append(_scan(queries, self.snapshot.vectors(selected), self.snapshot.track_ids[selected], k))
            elif flat:
                cosines, found = self.snapshot.index.search(queries, min(k, matching_rows))
                parts.append((self.snapshot.track_ids[found], cosines))
            else:
                parts.append(_probe(self.snapshot, queries, k, rows, matching_rows, every_list=not approximate))
        track_ids, cosines = _merge(parts, k)
        return Neighbors(track_ids, cosines, matching_rows + len(delta_ids), "ivf" if approximate else "exact")

    def _snapshot_count(self) -> int:
        if self.snapshot is None:
            return 0
        return self.snapshot.manifest.count - (0 if self.dead_rows is None else int(self.dead_rows.sum()))

    def _rows_of(self, track_ids: NDArray[np.int64]) -> NDArray[np.int64]:
        if self.snapshot is None or not self.snapshot.manifest.count:
            return np.empty(0, np.int64)
        rows: NDArray[np.int64] = np.searchsorted(self.snapshot.track_ids, track_ids)
        rows = rows[np.take(self.snapshot.track_ids, rows, mode="clip") == track_ids]
        return rows if self.dead_rows is None else rows[~self.dead_rows[rows]]

    def _with_dead(self, track_ids: list[int]) -> NDArray[np.bool_] | None:
        rows = self._rows_of(np.array(sorted(set(track_ids)), np.int64))
        if self.snapshot is None or not len(rows):
            return self.dead_rows
        dead = np.zeros(self.snapshot.manifest.count, bool) if self.dead_rows is None else self.dead_rows.copy()
        dead[rows] = True
        return dead

    def _matching_rows(self, allowed: NDArray[np.int64] | None) -> tuple[NDArray[np.bool_] | None, int]:
        """Snapshot rows that may be returned (none: all of them), and how many they are."""
        if self.snapshot is None:
            return None, 0
        if allowed is None:
            return (None if self.dead_rows is None else ~self.dead_rows), self._snapshot_count()
        rows = np.zeros(self.snapshot.manifest.count, bool)
        selected = self._rows_of(allowed)
        rows[selected] = True
        return rows, len(selected)


Part = tuple[NDArray[np.int64], NDArray[np.float32]]


def _scan(queries: NDArray[np.float32], vectors: NDArray[np.float32], track_ids: NDArray[np.int64], k: int) -> Part:
    if not len(track_ids):
        return np.empty((len(queries), 0), np.int64), np.empty((len(queries), 0), np.float32)
    cosines, found = faiss.knn(queries, vectors, min(k, len(track_ids)), metric=faiss.METRIC_INNER_PRODUCT)
    return track_ids[found], cosines


def _probe(
    snapshot: Snapshot,
    queries: NDArray[np.float32],
    k: int,
    rows: NDArray[np.bool_] | None,
    matching: int,
    *,
    every_list: bool,
) -> Part:
    """Search the nearest lists, then more of them for as long as any query stays short."""
    count, nlist = snapshot.manifest.count, snapshot.index.nlist
    bitmap = None if rows is None else np.packbits(rows, bitorder="little")
    selector = None if bitmap is None else faiss.IDSelectorBitmap(count, faiss.swig_ptr(bitmap))
    # Fewer matching rows a list: as many lists more, so that as many candidates are looked at.
    nprobe = nlist if every_list else min(nlist, int(np.ceil(snapshot.manifest.nprobe * count / matching)))
    while True:
        params = faiss.SearchParametersIVF(nprobe=nprobe, sel=selector)
        cosines, found = snapshot.index.search(queries, min(k, matching), params=params)
        if nprobe >= nlist or (found >= 0).all():
            break
        nprobe = min(nlist, nprobe * WIDEN)
    return np.where(found >= 0, snapshot.track_ids[found], -1), np.where(found >= 0, cosines, -np.inf)


def _merge(parts: list[Part], k: int) -> Part:
    """The best k of all parts, equal cosines in order of track id; padded with −1 and −inf."""
    track_ids = np.concatenate([ids for ids, _ in parts], axis=1)
    cosines = np.concatenate([values for _, values in parts], axis=1)
    order = np.lexsort((track_ids, -cosines), axis=1)[:, :k]
    track_ids, cosines = np.take_along_axis(track_ids, order, 1), np.take_along_axis(cosines, order, 1)
    missing = k - track_ids.shape[1]
    padding = ((0, 0), (0, max(missing, 0)))
    return (
        np.pad(track_ids, padding, constant_values=-1),
        np.pad(cosines, padding, constant_values=-np.inf).astype(np.float32, copy=False),
    )
