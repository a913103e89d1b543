"""The index of one space, following the catalogue by revision: read the changes, and now and then merge them."""

import logging
import os
import threading
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy.exc import SQLAlchemyError

from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import Granularity, IndexChange
from retrieval.catalog.watch import Watch
from retrieval.errors import IndexMismatchError, IndexMissingError, RetrievalError
from retrieval.index.ann.ann_index import AnnIndex
from retrieval.index.ann.tuning import RECALL_TARGET
from retrieval.index.delta import Delta
from retrieval.index.gpu.gpu_index import on_gpu
from retrieval.index.snapshots import Manifest, Snapshot, build_snapshot, current_name, open_snapshot
from retrieval.index.view import IndexView

logger = logging.getLogger(__name__)

MERGE_AFTER_ROWS = 10_000
MERGE_AFTER_SHARE = 0.1
_MERGE_NICENESS = 10


@dataclass(frozen=True)
class RebuildReport:
    """What a rebuild wrote, and the tracks it had to leave out for being encoded by another version."""

    manifest: Manifest
    other_versions: int


class SpaceIndex:
    """The live index of one space, by track or by segment; safe to share between threads."""

    def __init__(
        self,
        catalog: Catalog,
        index_root: Path,
        space: str,
        granularity: Granularity = "track",
        *,
        recall: float = RECALL_TARGET,
    ) -> None:
        self.catalog = catalog
        self.space = space
        self.granularity: Granularity = granularity
        self._recall = recall
        self.directory = index_root / space / granularity
        self._lock = threading.Lock()
        self._merging = threading.Lock()
        self._view: IndexView | None = None
        self._watch = Watch(catalog)

    def view(self) -> IndexView:
        """The space as it is: with all that this process has written, and what others had a tenth of a second ago.

        Raises
        ------
        IndexMissingError
            If no track was ever encoded in this space.
        """
        view = self._view
        if view is not None and not self._watch.is_due(view.revision):
            return view
        with self._lock:
            if self._view is None or self._watch.is_due(self._view.revision):
                self._view = self._followed(self._view)
                self._watch.looked()
                self._merge_in_background(self._view)
            return self._view

    def rebuild(self) -> RebuildReport:
        """Build the index anew from PostgreSQL alone and switch to it.

        The newest encoder version wins; tracks of others are counted and left out until they are encoded again.
        """
        version = newest_encoder_version(self.catalog, self.space)
        dim = self.catalog.dim(self.space, version)
        rows, others, revision = list[IndexChange](), 0, 0
        for change in self.catalog.index_changes(self.space, self.granularity, after=0):
            revision = change.revision
            if change.vectors is None:
                continue
            if change.encoder_version != version:
                others += 1
                continue
            rows.append(change)
        counts = [len(change.spans_s) for change in rows]
        track_ids = np.repeat(np.array([change.track_id for change in rows], np.int64), counts)
        vectors, spans_s = np.empty((len(track_ids), dim), np.float32), np.empty((len(track_ids), 2), np.float32)
        for change, end in zip(rows, np.cumsum(counts), strict=True):
            vectors[end - len(change.spans_s) : end] = change.vectors
            spans_s[end - len(change.spans_s) : end] = change.spans_s
        like = self._snapshot(version)
        complete = self._write(version, dim, revision, track_ids, vectors, spans_s, like=like)
        if others:
            logger.warning(
                "space %s: %d tracks of another encoder version than %s left out; index them again",
                self.space,
                others,
                version,
            )
        return RebuildReport(complete, others)

    def _write(
        self,
        encoder_version: str,
        dim: int,
        revision: int,
        track_ids: NDArray[np.int64],
        vectors: NDArray[np.float32],
        spans_s: NDArray[np.float32],
        *,
        like: Snapshot | None,
    ) -> Manifest:
        manifest = Manifest(self.space, self.granularity, encoder_version, dim, revision)
        complete = build_snapshot(self.directory, manifest, track_ids, vectors, spans_s, like=like, recall=self._recall)
        self._watch.forget()
        return complete

    def merge_if_due(self) -> bool:
        """Rebuild when no snapshot is usable, its encoder changed, or the delta has grown; say whether it was done."""
        try:
            view = self.view()
        except IndexMismatchError as error:
            logger.warning("%s; it is built anew", error)
            self.rebuild()
            return True
        newest = newest_encoder_version(self.catalog, self.space)
        if view.snapshot is not None and view.encoder_version == newest and not self._has_grown(view):
            return False
        self.rebuild()
        return True

    def _snapshot(self, encoder_version: str) -> Snapshot | None:
        """The snapshot that is open, if this version encoded it."""
        view = self._view
        return view.snapshot if view is not None and view.encoder_version == encoder_version else None

    def _merge_in_background(self, view: IndexView) -> None:
        """Write a snapshot of a view whose delta has grown: one at a time, and behind everything else.

        All of it is at hand. Reading it from PostgreSQL once more would take the interpreter from those who search.
        """
        if view.snapshot is None or not self._has_grown(view) or not self._merging.acquire(blocking=False):
            return

        def merge() -> None:
            try:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _MERGE_NICENESS)
                self._write(view.encoder_version, view.dim, view.revision, *view.living_rows(), like=view.snapshot)
            except (RetrievalError, SQLAlchemyError, OSError):
                logger.exception("space %s: the index could not be merged; it goes on as it is", self.space)
            finally:
                self._merging.release()

        threading.Thread(target=merge, name=f"merge {self.space}", daemon=True).start()

    @staticmethod
    def _has_grown(view: IndexView) -> bool:
        rows = view.snapshot.manifest.rows if view.snapshot else 0
        return view.changed > max(MERGE_AFTER_ROWS, MERGE_AFTER_SHARE * rows)

    def _followed(self, view: IndexView | None) -> IndexView:
        name = current_name(self.directory)
        if view is None or name != (view.snapshot.name if view.snapshot else None):
            view = self._open(name)
        if self.catalog.revision() > view.revision:
            view = view.updated(self.catalog.index_changes(self.space, self.granularity, after=view.revision))
        return view

    def _open(self, name: str | None) -> IndexView:
        if name is None:
            version = newest_encoder_version(self.catalog, self.space)
            return IndexView(version, self.catalog.dim(self.space, version), revision=0)
        if self._view is not None and self._view.snapshot is not None and self._view.snapshot.gpu is not None:
            self._view.snapshot.gpu.release()  # there may be no room for both
        snapshot = open_snapshot(self.directory, space=self.space, granularity=self.granularity)
        manifest = snapshot.manifest
        if isinstance(snapshot.index, AnnIndex):  # a small one is searched sooner than a GPU has been asked
            snapshot = replace(snapshot, gpu=on_gpu(snapshot.index))
        return IndexView(
            manifest.encoder_version, manifest.dim, manifest.revision, snapshot, delta=Delta.empty(manifest.dim)
        )


def newest_encoder_version(catalog: Catalog, space: str) -> str:
    """The encoder version that wrote to `space` last.

    Raises
    ------
    IndexMissingError
        If none did; the spaces that hold tracks are named.
    """
    version = catalog.encoder_version(space)
    if version is None:
        known = ", ".join(sorted(catalog.spaces())) or "none yet"
        raise IndexMissingError(f"space {space!r} holds no track; spaces that do: {known}")
    return version
