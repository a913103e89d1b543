"""Conditions compiled to bitmaps of track ids, over the columns in memory; and what they leave of an index, kept."""

from __future__ import annotations

import threading
from functools import reduce
from typing import TYPE_CHECKING

import numpy as np
from cachetools import LRUCache
from pyroaring import BitMap64

from retrieval.catalog.conditions import All, AtLeast, Between, Not, OneOf
from retrieval.catalog.watch import Watch
from retrieval.filters.attributes import Attributes
from retrieval.filters.language import condition_of, keys_of
from retrieval.index.protocol import Matching

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from numpy.typing import NDArray

    from retrieval.catalog.conditions import Condition
    from retrieval.catalog.reading import Catalog
    from retrieval.filters.language import Filter
    from retrieval.index.protocol import IndexView, Selection

KEPT = 64


class Selections:
    """What a filter leaves of a view, by filter and view; safe to share between threads.

    A filter is compiled once, until the catalogue or the index change.

    Parameters
    ----------
    tags : the vocabulary of every encoder that is known
    """

    def __init__(self, catalog: Catalog, tags: Callable[[], Collection[str]] = frozenset) -> None:
        self.attributes = Attributes(catalog, tags)
        self._watch = Watch(catalog)
        self._kept: LRUCache[tuple[str, str, int, str], Selection] = LRUCache(KEPT)
        self._lock = threading.Lock()

    def followed(self) -> Attributes:
        """The columns, brought up to date."""
        self._follow()
        return self.attributes

    def condition(self, filter_: Filter) -> Condition:
        """What a filter stands for.

        Raises
        ------
        FilterError
            For a key that is none, or a filter that is malformed.
        """
        return condition_of(filter_, self.followed())

    def lacking(self, filter_: Filter) -> list[str]:
        """The keys of a filter that no track has a value of."""
        return self.followed().without_value(keys_of(filter_))

    def matching(self, filter_: Filter) -> Matching:
        """The live tracks that match a filter.

        Raises
        ------
        FilterError
            As `condition`.
        """
        condition = self.condition(filter_)
        return Matching(condition, lambda: ids_of(bitmap_of(condition, self.attributes)))

    def of(self, filter_: Filter, view: IndexView, name: str) -> Selection:
        """What a filter leaves of a view of the index called `name`.

        Raises
        ------
        FilterError
            As `condition`.
        """
        self._follow()
        key = (name, view.version, self.attributes.revision, filter_.model_dump_json(exclude_defaults=True))
        with self._lock:
            selection = self._kept.get(key)
        if selection is None:
            selection = view.select(self.matching(filter_))
            with self._lock:
                self._kept[key] = selection
        return selection

    def _follow(self) -> None:
        if self._watch.is_due(self.attributes.revision):
            self._watch.looked()
            self.attributes.refresh()


def ids_of(bitmap: BitMap64) -> NDArray[np.int64]:
    """Track ids int64, ascending."""
    return np.asarray(bitmap.to_array(), dtype=np.uint64).astype(np.int64)


def bitmap_of(condition: Condition, attributes: Attributes) -> BitMap64:
    """Ids of the live tracks that meet a condition; `attributes` as they stand, not refreshed."""
    with attributes.lock:
        return attributes.live & _bitmap(condition, attributes)


def _bitmap(condition: Condition, attributes: Attributes) -> BitMap64:
    """The live tracks that meet a condition, and maybe some that are not live."""
    match condition:
        case All(parts):
            return reduce(BitMap64.intersection, _bitmaps(parts, attributes)) if parts else attributes.live
        case AtLeast(count, parts):
            return _at_least(count, _bitmaps(parts, attributes))
        case Not(part):
            return attributes.live - _bitmap(part, attributes)
    column = attributes.column(condition.key)
    if column is None:
        return BitMap64()
    match condition:
        case OneOf(_, values):
            return column.any_of(values)
        case Between(_, low, high, low_open, high_open):
            return column.numbers.between(low, high, low_open=low_open, high_open=high_open)
        case _:
            return column.present()


def _bitmaps(conditions: Sequence[Condition], attributes: Attributes) -> list[BitMap64]:
    return [_bitmap(condition, attributes) for condition in conditions]


def _at_least(needed: int, bitmaps: list[BitMap64]) -> BitMap64:
    reached = [BitMap64() for _ in range(needed)]
    for bitmap in bitmaps:
        for count in range(needed - 1, 0, -1):
            reached[count] |= reached[count - 1] & bitmap
        reached[0] |= bitmap
    return reached[-1]
