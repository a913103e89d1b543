"""Writing snapshots: done by those that write to the catalogue, one at a time for each index.

Whoever is about to write holds the directory of the snapshots, and looks again at the current one and at the catalogue
while it does: so of several that find a merge due at once the first does it and the others see that it is done, and
what is written is never older than what is there. Readers only follow.
"""

from __future__ import annotations

import logging
import os
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.exc import SQLAlchemyError

from retrieval.catalog.changes import IndexChange, index_changes
from retrieval.errors import IndexMismatchError, RetrievalError
from retrieval.index.delta import content_of
from retrieval.index.snapshots import CURRENT, Manifest, build_snapshot, current_manifest, exclusive
from retrieval.index.space import answering_version

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from retrieval.index.delta import Content
    from retrieval.index.space import SpaceIndex
    from retrieval.index.view import LocalView

logger = logging.getLogger(__name__)

MERGE_AFTER_ROWS = 10_000
MERGE_AFTER_SHARE = 0.1
_NICENESS = 10
_IN_BACKGROUND = threading.Lock()


@dataclass(frozen=True)
class RebuildReport:
    """What a rebuild wrote, and the tracks it had to leave out for being encoded by other versions alone."""

    manifest: Manifest
    other_versions: int


def rebuild(index: SpaceIndex) -> RebuildReport:
    """Build an index anew from PostgreSQL alone and switch to it.

    The newest encoder version wins that holds every track which an older one holds; tracks of others alone are counted
    and left out until they are encoded again.
    """
    with exclusive(index.directory):
        return _rebuilt(index)


def merge_if_due(index: SpaceIndex) -> bool:
    """Write a snapshot when none is usable, its encoder changed, or much was written since; say whether it was done."""
    if _is_unusable(index):
        with exclusive(index.directory):
            if _is_unusable(index):
                _rebuilt(index)
                return True
    return _merge_if_grown(index)


def merge_soon(indexes: Sequence[SpaceIndex]) -> None:
    """Merge those that have grown, behind everything else: in one thread of this process, which does all there is."""
    # Asked here, where most writes find that there is nothing to do, rather than by a thread for each of them.
    if not any(_attempted(index, lambda index: _has_grown(index.view())) for index in indexes):
        return
    if not _IN_BACKGROUND.acquire(blocking=False):
        return

    def merge() -> None:
        try:
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICENESS)
            left = list(indexes)
            while left:  # what was merged may have grown again meanwhile, and who wrote it found this thread at work
                left = [index for index in left if _attempted(index, _merge_if_grown)]
        finally:
            _IN_BACKGROUND.release()

    threading.Thread(target=merge, name="merge", daemon=True).start()


def _attempted(index: SpaceIndex, call: Callable[[SpaceIndex], bool]) -> bool:
    try:
        return call(index)
    except (RetrievalError, SQLAlchemyError, OSError):
        logger.exception("space %s: the index could not be merged; it goes on as it is", index.space)
        return False


def _merge_if_grown(index: SpaceIndex) -> bool:
    if not _has_grown(index.newest_view()):
        return False
    with exclusive(index.directory):
        view = index.newest_view()
        if not _has_grown(view):
            return False
        # All of it is at hand. To read it from PostgreSQL once more would take the interpreter from those who search.
        rows = view.living.vector_ids
        content = view.track_ids(rows), view.vectors(rows), view.spans_s(rows)
        _write(index, view.encoder_version, view.dim, view.revision, content)
    return True


def _has_grown(view: LocalView) -> bool:
    if view.snapshot is None:
        return False
    return view.changed > max(MERGE_AFTER_ROWS, MERGE_AFTER_SHARE * view.snapshot.manifest.rows)


def _is_unusable(index: SpaceIndex) -> bool:
    try:
        view = index.newest_view()
    except IndexMismatchError as error:
        logger.warning("%s; it is built anew", error)
        return True
    return view.snapshot is None or view.encoder_version != answering_version(index.catalog, index.space)


def _rebuilt(index: SpaceIndex) -> RebuildReport:
    version = answering_version(index.catalog, index.space)
    dim = index.catalog.dim(index.space, version)
    rows, others, revision = list[IndexChange](), 0, 0
    for change in index_changes(index.catalog.engine, index.space, index.granularity, after=0, version=version):
        revision = change.revision
        if change.vectors is None:
            continue
        if change.encoder_version != version:
            others += 1
            continue
        rows.append(change)
    current = current_manifest(index.directory)
    if current is not None and current.revision > revision:
        logger.warning(
            "space %s: the index is at revision %d, the catalogue only at %d: it was restored, the index goes",
            index.space,
            current.revision,
            revision,
        )
        (index.directory / CURRENT).unlink()
    manifest = _write(index, version, dim, revision, content_of(rows, dim))
    if others:
        logger.warning(
            "space %s: %d tracks of another encoder version than %s left out; index them again",
            index.space,
            others,
            version,
        )
    return RebuildReport(manifest, others)


def _write(index: SpaceIndex, encoder_version: str, dim: int, revision: int, content: Content) -> Manifest:
    view = index.last_view
    like = view.snapshot if view is not None and view.encoder_version == encoder_version else None
    manifest = Manifest(index.space, index.granularity, encoder_version, dim, revision)
    complete = build_snapshot(index.directory, manifest, *content, like=like, recall=index.recall)
    index.look_again()
    return complete
