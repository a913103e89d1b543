"""The index of one space as a reader has it: the current snapshot, and all that the catalogue changed since.

Readers never build a snapshot: see :mod:`retrieval.index.merging`.
"""

import threading
from dataclasses import replace
from pathlib import Path

from retrieval.catalog.changes import index_changes
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import Granularity
from retrieval.catalog.watch import Watch
from retrieval.errors import IndexMissingError
from retrieval.index.ann.stopping import RECALL_TARGET
from retrieval.index.delta import Delta
from retrieval.index.flat import FlatIndex
from retrieval.index.gpu.gpu_index import on_gpu
from retrieval.index.snapshots import current_name, open_snapshot
from retrieval.index.view import LocalView
from retrieval.suggestions import did_you_mean


class SpaceIndex:
    """The live index of one space, by track or by segment; safe to share between threads.

    Attributes
    ----------
    recall : recall@10 that an approximate index is tuned to when it is trained
    last_view : as the space was when it was looked at last; none before
    """

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
        self.recall = recall
        self.directory = index_root / space / granularity
        self.last_view: LocalView | None = None
        self._lock = threading.Lock()
        self._watch = Watch(catalog)

    def view(self) -> LocalView:
        """The space as it is: with all that this process has written, and what others had a tenth of a second ago.

        Raises
        ------
        IndexMissingError
            If no track was ever encoded in this space.
        """
        view = self.last_view
        if view is not None and not self._watch.is_due(view.revision):
            return view
        with self._lock:
            if self.last_view is None or self._watch.is_due(self.last_view.revision):
                return self._look()
            return self.last_view

    def newest_view(self) -> LocalView:
        """The space with all that anyone has written or merged until now."""
        with self._lock:
            return self._look()

    def look_again(self) -> None:
        """There is something new: the next view shall have it."""
        self._watch.forget()

    def _look(self) -> LocalView:
        self.last_view = self._followed(self.last_view)
        self._watch.looked()
        return self.last_view

    def _followed(self, view: LocalView | None) -> LocalView:
        name = current_name(self.directory)
        if view is None or name != (view.snapshot.name if view.snapshot else None):
            view = self._open(name)
        if self.catalog.revision() > view.revision:
            engine, version = self.catalog.engine, view.encoder_version
            changes = index_changes(engine, self.space, self.granularity, after=view.revision, version=version)
            view = view.updated(changes)
        return view

    def _open(self, name: str | None) -> LocalView:
        if name is None:
            version = answering_version(self.catalog, self.space)
            return LocalView(version, self.catalog.dim(self.space, version), revision=0)
        old = None if self.last_view is None else self.last_view.snapshot
        if old is not None and old.gpu is not None:
            old.gpu.release()  # there may be no room for both
        snapshot = open_snapshot(self.directory, space=self.space, granularity=self.granularity)
        manifest = snapshot.manifest
        if not isinstance(snapshot.index, FlatIndex):  # a small one is searched sooner than a GPU has been asked
            snapshot = replace(snapshot, gpu=on_gpu(snapshot.index))
        return LocalView(
            manifest.encoder_version, manifest.dim, manifest.revision, snapshot, delta=Delta.empty(manifest.dim)
        )


def answering_version(catalog: Catalog, space: str) -> str:
    """The encoder version that answers in `space`: the newest, once it holds every track that an older one holds.

    Raises
    ------
    IndexMissingError
        If the space holds no track; the spaces that do are named.
    """
    version = catalog.encoder_version(space)
    if version is None:
        raise _missing(catalog, space)
    return version


def check_holds(catalog: Catalog, space: str) -> None:
    """Refuse a space that holds no track; errors as of `answering_version`."""
    if not catalog.holds(space):
        raise _missing(catalog, space)


_NONE_YET = "none yet (`soundalike index FOLDER` brings music in)"


def _missing(catalog: Catalog, space: str) -> IndexMissingError:
    known = sorted(catalog.spaces())
    hint = did_you_mean(space, known)
    accepted = ", ".join(known) or _NONE_YET
    return IndexMissingError(space, f"space {space!r} holds no track; spaces that do: {accepted}{hint}", accepted)
