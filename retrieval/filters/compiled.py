"""Filters that were compiled before: equal ones are compiled once, until the catalogue or the index change."""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np

from retrieval.catalog.watch import Watch
from retrieval.filters.attributes import Attributes
from retrieval.filters.language import compile_filter

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from pyroaring import BitMap64

    from retrieval.catalog.reading import Catalog
    from retrieval.filters.language import Filter
    from retrieval.index.view import IndexView, Selection

KEPT = 64


class Selections:
    """The rows that a filter lets through, by filter and view; safe to share between threads."""

    def __init__(self, catalog: Catalog) -> None:
        self.attributes = Attributes(catalog)
        self._watch = Watch(catalog)
        self._kept: OrderedDict[tuple[str, str, int, str], Selection] = OrderedDict()
        self._lock = threading.Lock()

    def matching(self, condition: Filter) -> BitMap64:
        """Ids of the live tracks that match."""
        self._follow()
        return compile_filter(condition, self.attributes)

    def of(self, condition: Filter, view: IndexView, name: str) -> Selection:
        """What a filter leaves of a view of the index called `name`."""
        self._follow()
        key = (name, view.version, self.attributes.revision, condition.model_dump_json(exclude_defaults=True))
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        selection = view.select(ids_of(compile_filter(condition, self.attributes)))
        with self._lock:
            self._kept[key] = selection
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return selection

    def _follow(self) -> None:
        if self._watch.is_due(self.attributes.revision):
            self._watch.looked()
            self.attributes.refresh()


def ids_of(bitmap: BitMap64) -> NDArray[np.int64]:
    """Track ids int64, ascending."""
    return np.asarray(bitmap.to_array(), dtype=np.uint64).astype(np.int64)
