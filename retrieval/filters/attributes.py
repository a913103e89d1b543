"""What tracks can be filtered by, in memory: columns that follow the catalogue by revision.

The keys are those of :mod:`retrieval.catalog.conditions`. Memory and cost: see `retrieval.filters.columns`.
"""

import math
import threading
from array import array
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap64

from retrieval.catalog import changes
from retrieval.catalog.conditions import (
    MANY,
    NUMBER_KEYS,
    RHYTHM_NUMBER_KEYS,
    RHYTHM_TEXT_KEYS,
    TEXT_KEYS,
    parts_of,
)
from retrieval.catalog.reading import Catalog
from retrieval.filters.columns import Column, SortedValues, TrackIds, TrackVersions, as_track_ids, bitmap
from retrieval.filters.reference import ALWAYS, is_always_valid

ROWS_A_CHUNK = 1_000
NUMBERS_A_CHUNK = 100_000

# Entries that were read, and the values they belong to: they are added once everything is read.
_Addition = tuple[SortedValues, TrackIds, NDArray[np.float64 | np.uint32]]
_Item = TypeVar("_Item")


class Attributes:
    """Every filterable column of the live catalogue; safe to share between threads.

    Parameters
    ----------
    tags : the vocabulary; asked where a tag is named that no track has
    """

    def __init__(self, catalog: Catalog, tags: Callable[[], Collection[str]] = frozenset) -> None:
        self._catalog = catalog
        self.tags = tags
        self.lock = threading.RLock()
        self.revision = 0
        self._versions = TrackVersions()
        self._columns: dict[str, Column] = {key: Column(self._versions) for key in ALWAYS}
        self._live = BitMap64()

    def refresh(self) -> None:
        """Read what changed in the catalogue since the last time; when reading fails, nothing changes here."""
        with self.lock:
            if self._catalog.revision() <= self.revision:
                return
            changed, deleted, additions, until = [], [], list[_Addition](), self.revision
            with self._catalog.snapshot() as connection:
                for rows in _chunks(changes.track_changes(connection=connection, after=self.revision)):
                    changed.append(as_track_ids([row.id for row in rows]))
                    deleted.append(as_track_ids([row.id for row in rows if row.deleted]))
                    additions += self._of_tracks([row for row in rows if not row.deleted])
                    until = rows[-1].revision
                additions += self._derived(connection=connection, after=self.revision, until=until)
            self._apply(np.concatenate(changed), np.concatenate(deleted), additions)
            self.revision = until

    def keys(self) -> list[str]:
        """Every key that there is a column of: a filter may name more of them (`is_key`)."""
        return sorted(self._columns)

    def is_key(self, key: str) -> bool:
        """Whether a filter may name a key; of what a catalogue has none, nothing matches."""
        if key in self._columns or is_always_valid(key):
            return True
        family, _, name = key.partition(".")
        return family == "tags" and name in self.tags()

    def column(self, key: str) -> Column | None:
        """The column of a key, or none when no track has a value of it."""
        return self._columns.get(key)

    def spellings(self, key: str, texts: Sequence[str]) -> list[str]:
        """The texts that the catalogue has of a key and that are, folded, one of these."""
        column = self._columns.get(key)
        return [] if column is None else column.spellings(texts)

    def without_value(self, keys: Iterable[str]) -> list[str]:
        """Which of the keys no track has a value of."""
        with self.lock:
            columns = {key: self._columns.get(key) for key in keys}
            return [key for key, column in columns.items() if column is None or not column.present() & self._live]

    def fixed(self, key: str) -> Column:
        """The column of a key that every catalogue has."""
        return self._columns[key]

    def family(self, name: str) -> dict[str, Column]:
        """Columns of the keys that begin with a name and a dot, by what follows."""
        return {key[len(name) + 1 :]: column for key, column in self._columns.items() if key.startswith(f"{name}.")}

    @property
    def live(self) -> BitMap64:
        """Ids of all live tracks."""
        return self._live

    def _apply(self, changed: TrackIds, deleted: TrackIds, additions: Iterable[_Addition]) -> None:
        self._versions.advance(changed)
        for values, track_ids, added in additions:
            values.add(track_ids, added)
        # A new bitmap: whoever still holds the old one has a set that does not change under way.
        self._live = (self._live | bitmap(changed)) - bitmap(deleted)

    def _of_tracks(self, rows: Sequence[Any]) -> Iterator[_Addition]:
        track_ids = as_track_ids([row.id for row in rows])
        for key, name in TEXT_KEYS.items():
            texts = [getattr(row, name) for row in rows]
            yield self._texts(key, track_ids, texts)
            if key in MANY:
                several = [(row.id, part) for row, text in zip(rows, texts, strict=True) for part in _several(text)]
                yield self._texts(key, as_track_ids([of for of, _ in several]), [part for _, part in several])
        for key in NUMBER_KEYS:
            yield self._numbers(key, track_ids, [getattr(row, key) for row in rows])
        own: dict[tuple[str, bool], list[tuple[int, Any]]] = {}
        for row in rows:
            for path, value in leaves(row.metadata):
                own.setdefault((path, isinstance(value, str)), []).append((row.id, value))
        for (path, is_text), entries in own.items():
            ids = as_track_ids([track_id for track_id, _ in entries])
            add = self._texts if is_text else self._numbers
            yield add(f"meta.{path}", ids, [value for _, value in entries])

    def _derived(self, **changed: Any) -> Iterator[_Addition]:
        for family in ("tags", "language", "chords", "sections"):
            yield from self._by_name(family, changes.named_changes(family, **changed))
        for rows in _chunks(changes.rhythm_changes(**changed)):
            track_ids = as_track_ids([row.track_id for row in rows])
            for key in RHYTHM_NUMBER_KEYS:
                yield self._numbers(key, track_ids, [getattr(row, key) for row in rows])
            for key in RHYTHM_TEXT_KEYS:
                yield self._texts(key, track_ids, [getattr(row, key) for row in rows])

    def _by_name(self, family: str, rows: Iterator[Sequence[Any]]) -> Iterator[_Addition]:
        """The numbers of rows (name, track id, number), by name."""
        while True:
            codes: dict[str, int] = {}
            coded, ids, values = array("q"), array("q"), array("d")
            # Row by row into arrays: to keep the rows themselves costs more in garbage collection than all the rest.
            for name, track_id, number in islice(rows, NUMBERS_A_CHUNK):
                coded.append(codes.setdefault(name, len(codes)))
                ids.append(track_id)
                values.append(number)
            if not ids:
                return
            track_ids, numbers, code_of = as_track_ids(ids), np.array(values), np.array(coded)
            by_name = np.split(np.argsort(code_of, kind="stable"), np.cumsum(np.bincount(code_of))[:-1])
            for name, chosen in zip(codes, by_name, strict=True):
                yield self._column(f"{family}.{name}").numbers, track_ids[chosen], numbers[chosen]

    def _numbers(self, key: str, track_ids: TrackIds, values: Sequence[float | None]) -> _Addition:
        # None becomes NaN, which the column takes for no value.
        return self._column(key).numbers, track_ids, np.array(values, np.float64)

    def _texts(self, key: str, track_ids: TrackIds, values: Sequence[str | None]) -> _Addition:
        column = self._column(key)
        given = np.fromiter((value is not None for value in values), np.bool_, len(values))
        return column.texts, track_ids[given], column.codes([value for value in values if value is not None])

    def _column(self, key: str) -> Column:
        column = self._columns.get(key)
        if column is None:
            column = self._columns[key] = Column(self._versions)
        return column


def _several(text: str | None) -> list[str]:
    """The values of a text that holds more than one."""
    parts = parts_of(text)
    return parts if len(parts) > 1 else []


def leaves(metadata: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float | str]]:
    """What of a caller's JSON can be filtered by, as (path, value); the steps of a path are joined by dots.

    Numbers and strings stand as they are, true and false as words. A list of these gives one value an element: the
    track matches if any element does, and an empty list counts as no value. Null, and lists and objects within a list,
    are left out. A whole number beyond the doubles is infinite.
    """
    for name, value in metadata.items():
        if isinstance(value, dict):
            yield from leaves(value, f"{prefix}{name}.")
            continue
        for element in value if isinstance(value, list) else [value]:
            if isinstance(element, bool):
                yield prefix + name, str(element).lower()
            elif isinstance(element, str):
                yield prefix + name, element
            elif isinstance(element, int | float):
                yield prefix + name, _double(element)


def _double(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return math.inf if number > 0 else -math.inf


def _chunks(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    iterator = iter(items)
    while chunk := list(islice(iterator, ROWS_A_CHUNK)):
        yield chunk
