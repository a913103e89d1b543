"""The index of one space, following the catalogue by revision: read the changes, and now and then merge them."""

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from retrieval.catalog import Catalog
from retrieval.errors import IndexMissingError
from retrieval.snapshots import Manifest, build_snapshot, current_name, open_snapshot
from retrieval.vector_index import IndexView

logger = logging.getLogger(__name__)

GRANULARITY = "track"
MERGE_AFTER_ROWS = 1_000
MERGE_AFTER_SHARE = 0.1


@dataclass(frozen=True)
class RebuildReport:
    """What a rebuild wrote, and the tracks it had to leave out for being encoded by another version."""

    manifest: Manifest
    other_versions: int


class SpaceIndex:
    """The live index of one space; safe to share between threads."""

    def __init__(self, catalog: Catalog, index_root: Path, space: str) -> None:
        self.catalog = catalog
        self.space = space
        self.directory = index_root / space / GRANULARITY
        self._lock = threading.Lock()
        self._view: IndexView | None = None

    def view(self) -> IndexView:
        """The space as of the newest committed revision.

        Raises
        ------
        IndexMissingError
            If no track was ever encoded in this space.
        """
        with self._lock:
            name = current_name(self.directory)
            if self._view is None or name != (self._view.snapshot.name if self._view.snapshot else None):
                self._view = self._open(name)
            if self.catalog.revision() > self._view.revision:
                changes = self.catalog.index_changes(self.space, after=self._view.revision)
                self._view = self._view.updated(changes)
            return self._view

    def rebuild(self) -> RebuildReport:
        """Build the index anew from PostgreSQL alone and switch to it.

        The newest encoder version wins; tracks of others are counted and left out until they are encoded again.
        """
        version = newest_encoder_version(self.catalog, self.space)
        track_ids, vectors, others, revision = [], [], 0, 0
        for change in self.catalog.index_changes(self.space, after=0):
            revision = change.revision
            if change.vector is None:
                continue
            if change.encoder_version != version:
                others += 1
                continue
            track_ids.append(change.track_id)
            vectors.append(change.vector)
        matrix = np.stack(vectors).astype(np.float32)
        manifest = Manifest(self.space, GRANULARITY, version, matrix.shape[1], len(track_ids), revision)
        complete = build_snapshot(self.directory, manifest, np.array(track_ids, np.int64), matrix)
        if others:
            logger.warning(
                "space %s: %d tracks of another encoder version than %s left out; index them again",
                self.space,
                others,
                version,
            )
        return RebuildReport(complete, others)

    def merge_if_due(self) -> bool:
        """Rebuild when there is no snapshot, its encoder changed, or the delta has grown; say whether it was done."""
        view = self.view()
        if view.snapshot is not None and view.encoder_version == newest_encoder_version(self.catalog, self.space):
            changed = len(view.delta_ids) + (0 if view.dead_rows is None else int(view.dead_rows.sum()))
            if changed <= max(MERGE_AFTER_ROWS, MERGE_AFTER_SHARE * view.snapshot.manifest.count):
                return False
        self.rebuild()
        return True

    def _open(self, name: str | None) -> IndexView:
        if name is None:
            version = newest_encoder_version(self.catalog, self.space)
            return IndexView(version, self.catalog.dim(self.space, version), revision=0)
        snapshot = open_snapshot(self.directory, space=self.space)
        manifest = snapshot.manifest
        return IndexView(
            manifest.encoder_version,
            manifest.dim,
            manifest.revision,
            snapshot,
            delta_vectors=np.empty((0, manifest.dim), np.float32),
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
