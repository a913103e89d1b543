"""Which of the default spaces answers, as the catalogue changes: by the rule of :mod:`retrieval.catalog.holdings`."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from pyroaring import BitMap64
from sqlalchemy import func, select

from retrieval.catalog.holdings import answering, filled, held_by
from retrieval.catalog.tables import embeddings, tracks
from retrieval.catalog.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from retrieval.catalog.reading import Catalog


class Succession:
    """Default spaces of one catalogue, followed by revision; safe to share between threads.

    Attributes
    ----------
    spaces : newest first
    """

    def __init__(self, catalog: Catalog, spaces: Sequence[str]) -> None:
        self.spaces = tuple(spaces)
        self._catalog = catalog
        self._watch = Watch(catalog)
        self._lock = threading.Lock()
        self._revision = 0
        self._held: dict[str, BitMap64] = {}  # of every space, once two hold tracks: before, their ids are not read
        self._answering = self.spaces[0]

    def answering(self) -> str:
        """The space that answers where none is named."""
        if len(self.spaces) > 1 and self._watch.is_due(self._revision):
            with self._lock:
                if self._watch.is_due(self._revision):
                    self._follow()
                    self._watch.looked()
        return self._answering

    def counts(self) -> dict[str, int]:
        """Tracks by space, newest first; nothing where at most one of them holds any."""
        self.answering()
        return {space: len(held) for space, held in self._held.items()}

    def _follow(self) -> None:
        with self._catalog.snapshot() as connection:
            revision = int(connection.execute(select(func.coalesce(func.max(tracks.c.revision), 0))).scalar_one())
            if revision == self._revision:
                return
            if self._held and revision > self._revision:
                self._update(connection)
            else:  # at first, and when an older catalogue was restored
                self._held = {}
                holding = filled(connection, self.spaces)
                self._answering = holding[0] if holding else self.spaces[0]
                if len(holding) > 1:
                    self._held = {space: held_by(connection, space) for space in self.spaces}
        if self._held:
            self._answering = self.spaces[answering(list(self._held.values()))]
        self._revision = revision

    def _update(self, connection: Connection) -> None:
        changed = list(connection.execute(select(tracks.c.id).where(tracks.c.revision > self._revision)).scalars())
        gone, of_these = BitMap64(changed), embeddings.c.track_id == func.any(changed)
        self._held = {
            space: (before - gone) | held_by(connection, space, of_these) for space, before in self._held.items()
        }
