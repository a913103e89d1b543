"""Tracks as callers see them, kept in memory until they change: reading them anew would cost more than a search."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from retrieval.catalog.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import Track

KEPT = 100_000


class TrackCache:
    """Live tracks by id and by key, following the catalogue by revision; safe to share between threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._watch = Watch(catalog)
        self._lock = threading.Lock()
        self._revision = 0
        self._tracks: dict[int, Track] = {}
        self._ids: dict[str, int] = {}

    def by_key(self, keys: Sequence[str]) -> dict[str, Track]:
        """Live tracks by key; keys that are unknown are absent."""
        revision = self._follow()
        kept = {key: track for key in keys if (track := self._tracks.get(self._ids.get(key, -1))) is not None}
        missing = [key for key in keys if key not in kept]
        if missing:
            ids = self._catalog.ids_by_key(missing)
            read = self._catalog.tracks_by_id(list(ids.values()))
            self._keep(list(read.values()), revision)
            kept |= {track.key: track for track in read.values()}
        return kept

    def tracks(self, track_ids: Sequence[int]) -> dict[int, Track]:
        """Live tracks by id; ids that are unknown or deleted are absent."""
        revision = self._follow()
        kept = {track_id: track for track_id in track_ids if (track := self._tracks.get(track_id)) is not None}
        missing = [track_id for track_id in track_ids if track_id not in kept]
        if missing:
            read = self._catalog.tracks_by_id(missing)
            self._keep(list(read.values()), revision)
            kept |= read
        return kept

    def _follow(self) -> int:
        """Forget what has changed, and return the revision up to which what is kept is true."""
        if self._watch.is_due(self._revision):
            with self._lock:
                self._watch.looked()
                if self._tracks:
                    newest, changed = self._catalog.changed_ids(after=self._revision)
                    self._forget(changed)
                else:  # at first all is new to it: to read what changed would take as long as the catalogue is large
                    newest = self._catalog.revision()
                self._revision = newest
        return self._revision

    def _forget(self, changed: Sequence[int]) -> None:
        for track_id in changed if len(changed) < len(self._tracks) else list(self._tracks):
            track = self._tracks.pop(track_id, None)
            if track is not None:
                self._ids.pop(track.key, None)

    def _keep(self, tracks: Sequence[Track], revision: int) -> None:
        with self._lock:
            if revision != self._revision:
                return  # what was read meanwhile may be older than what has been forgotten
            if len(self._tracks) + len(tracks) > KEPT:
                self._tracks.clear()
                self._ids.clear()
            self._tracks |= {track.id: track for track in tracks}
            self._ids |= {track.key: track.id for track in tracks}
