"""One search at a time, and those that wait for it together: many queries cost a GPU hardly more than one."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from numpy.typing import NDArray

    from retrieval.index.faiss_threads import RankedRows

_MAX_QUERIES = 1_024


@dataclass(eq=False)
class _Call:
    key: Hashable
    queries: NDArray[np.float32]
    results: list[RankedRows] = field(default_factory=list)
    error: BaseException | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.results) or self.error is not None


class Batches:
    """Runs searches one by one; calls that wait with the same key become one search.

    Parameters
    ----------
    search : of queries float32 [n, dim] and a key; it is never called by two threads at once
    """

    def __init__(self, search: Callable[[NDArray[np.float32], Hashable], RankedRows]) -> None:
        self._search = search
        self._waiting: list[_Call] = []
        self._is_running = False
        self._changed = threading.Condition()

    def __call__(self, queries: NDArray[np.float32], key: Hashable) -> RankedRows:
        """The rows and cosines of these queries; what the search raises, every call of its batch raises."""
        call = _Call(key, queries)
        with self._changed:
            self._waiting.append(call)
            while self._is_running and not call.is_done:
                self._changed.wait()
            batch = [] if call.is_done else self._taken(call)
            self._is_running |= bool(batch)
        if batch:
            try:
                self._run(batch)
            finally:
                with self._changed:
                    self._is_running = False
                    self._changed.notify_all()
        if call.error is not None:
            raise call.error
        return call.results[0]

    def _taken(self, first: _Call) -> list[_Call]:
        """The first call, and of those that wait as many as fit beside it."""
        self._waiting.remove(first)
        batch, size = [first], len(first.queries)
        for call in [waiting for waiting in self._waiting if waiting.key == first.key]:
            if size + len(call.queries) <= _MAX_QUERIES:
                self._waiting.remove(call)
                batch.append(call)
                size += len(call.queries)
        return batch

    def _run(self, batch: list[_Call]) -> None:
        queries = batch[0].queries if len(batch) == 1 else np.concatenate([call.queries for call in batch])
        try:
            rows, cosines = self._search(queries, batch[0].key)
        except BaseException as error:
            for call in batch:
                call.error = error
            return
        ends = np.cumsum([len(call.queries) for call in batch])[:-1]
        for call, its_rows, its_cosines in zip(batch, np.split(rows, ends), np.split(cosines, ends), strict=True):
            call.results.append((its_rows, its_cosines))
