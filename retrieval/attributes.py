"""What tracks can be filtered by, in memory: sorted columns that follow the catalogue by revision.

A key is `artist`, `year`, …, `tags.<name>` or `meta.<path>`. Numbers stand as float64; strings are coded by dictionary,
so that a match is a range over codes. A column is folded anew only when it is asked for after a change.
"""

import threading
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
from pyroaring import BitMap64

from retrieval.catalog import Catalog

TEXT_KEYS = ("key", "title", "artist", "album", "genre")
NUMBER_KEYS = ("year", "duration_s", "vocal_ratio")
FIXED_KEYS = TEXT_KEYS + NUMBER_KEYS

Value = float | str


class SortedNumbers:
    """One number a track: ascending, beside the track ids."""

    def __init__(self) -> None:
        self._values = np.empty(0, np.float64)
        self._track_ids = np.empty(0, np.int64)
        self._pending: dict[int, float | None] = {}

    def put(self, track_id: int, value: float | None) -> None:
        """Set, or with none remove, the track's number."""
        self._pending[track_id] = value

    def between(self, low: float, high: float, *, low_open: bool = False, high_open: bool = False) -> BitMap64:
        """Tracks whose number lies in the interval."""
        self._fold()
        start = np.searchsorted(self._values, low, side="right" if low_open else "left")
        stop = np.searchsorted(self._values, high, side="left" if high_open else "right")
        return BitMap64(self._track_ids[start:stop].astype(np.uint64))

    def present(self) -> BitMap64:
        """Tracks that have a number."""
        return self.between(-np.inf, np.inf)

    def _fold(self) -> None:
        if not self._pending:
            return
        changed = np.fromiter(self._pending, np.int64, len(self._pending))
        kept = ~np.isin(self._track_ids, changed)
        added = {track_id: value for track_id, value in self._pending.items() if value is not None}
        track_ids = np.concatenate([self._track_ids[kept], np.fromiter(added, np.int64, len(added))])
        values = np.concatenate([self._values[kept], np.fromiter(added.values(), np.float64, len(added))])
        order = np.lexsort((track_ids, values))
        self._track_ids, self._values = track_ids[order], values[order]
        self._pending = {}


class Column:
    """Values of one key by track. A caller's own key may hold numbers for some tracks and strings for others."""

    def __init__(self) -> None:
        self.numbers = SortedNumbers()
        self._texts = SortedNumbers()
        self._codes: dict[str, int] = {}

    def put(self, track_id: int, value: Value | None) -> None:
        """Set, or with none remove, the track's value."""
        if isinstance(value, str):
            self.numbers.put(track_id, None)
            self._texts.put(track_id, self._codes.setdefault(value, len(self._codes)))
        else:
            self.numbers.put(track_id, value)
            self._texts.put(track_id, None)

    def equal(self, value: Value) -> BitMap64:
        """Tracks with exactly this value; a number and a string are never equal."""
        if not isinstance(value, str):
            return self.numbers.between(value, value)
        code = self._codes.get(value, -1)
        return self._texts.between(code, code)

    def present(self) -> BitMap64:
        """Tracks that have a value."""
        return self.numbers.present() | self._texts.present()


class Attributes:
    """Every filterable column of the live catalogue; safe to share between threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self.lock = threading.RLock()
        self.revision = 0
        self._columns: dict[str, Column] = {key: Column() for key in FIXED_KEYS}
        self._live = BitMap64()

    def refresh(self) -> None:
        """Read what changed in the catalogue since the last time."""
        with self.lock:
            until = self._catalog.revision()
            if until <= self.revision:
                return
            for row in self._catalog.attribute_changes(after=self.revision):
                self._apply(row)
                until = max(until, row.revision)
            for row in self._catalog.tag_changes(after=self.revision, until=until):
                self._put_derived(row.track_id, f"tags.{row.tag}", row.score)
            self.revision = until

    def keys(self) -> list[str]:
        """Every key that a filter may name."""
        return sorted(self._columns)

    def column(self, key: str) -> Column | None:
        """The column of a key, or none when the key is unknown."""
        return self._columns.get(key)

    @property
    def live(self) -> BitMap64:
        """Ids of all live tracks."""
        return self._live

    def _apply(self, row: Any) -> None:
        if row.id in self._live:
            for column in self._columns.values():
                column.put(row.id, None)
        for key in FIXED_KEYS:
            self._columns[key].put(row.id, None if row.deleted else getattr(row, key))
        if row.deleted:
            self._live.discard(row.id)
            return
        self._live.add(row.id)
        for path, value in _leaves(row.metadata):
            self._put_derived(row.id, f"meta.{path}", value)

    def _put_derived(self, track_id: int, key: str, value: Value) -> None:
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = Column()
        column.put(track_id, value)


def _leaves(metadata: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, Value]]:
    for name, value in metadata.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        elif isinstance(value, bool):
            yield prefix + name, str(value).lower()
        elif isinstance(value, int | float | str):
            yield prefix + name, value
