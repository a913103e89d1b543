"""Searches that wait for one another run together, in batches with an end; an error reaches all of its batch."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.index.batching import Batches
from retrieval.index.faiss_threads import RankedRows
from retrieval.index.row_index import IndexLostError

Vectors = NDArray[np.float32]


def test_those_that_wait_are_searched_together() -> None:
    batches, entered, go_on = list[tuple[Any, int]](), threading.Event(), threading.Event()

    def search(queries: Vectors, key: Any) -> RankedRows:
        batches.append((key, len(queries)))
        entered.set()
        assert go_on.wait(10)
        if key == "bad":
            raise IndexLostError("lost")
        return queries[:, :1].astype(np.int64), queries[:, 1:]

    together = Batches(search)
    asked = [(number, "a" if number < 6 else "b" if number < 9 else "bad") for number in range(11)]
    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(together, np.array([[99, 0.5]], np.float32), "a")
        assert entered.wait(10)
        futures = [pool.submit(together, np.array([[n, n / 2], [n, -n]], np.float32), key) for n, key in asked]
        while len(together._waiting) < len(asked):
            threading.Event().wait(0.001)
        go_on.set()
        assert first.result(10)[0].tolist() == [[99]]
        for (number, key), future in zip(asked, futures, strict=True):
            if key == "bad":
                with pytest.raises(IndexLostError):
                    future.result(10)
                continue
            rows, cosines = future.result(10)
            assert rows.tolist() == [[number], [number]]
            assert cosines.tolist() == [[number / 2], [-number]]
    assert sorted(batches) == sorted([("a", 1), ("a", 12), ("b", 6), ("bad", 4)])
    assert not together._waiting


def test_a_batch_has_an_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retrieval.index.batching._MAX_QUERIES", 8)
    sizes, lock = list[int](), threading.Lock()

    def search(queries: Vectors, key: Any) -> RankedRows:
        with lock:
            sizes.append(len(queries))
        return queries.astype(np.int64), queries

    together = Batches(search)
    with ThreadPoolExecutor(16) as pool:
        blocks = [np.full((5 if number % 4 else 20, 1), number, np.float32) for number in range(60)]
        for number, (rows, _) in enumerate(pool.map(lambda block: together(block, 0), blocks)):
            assert (rows == number).all()
            assert len(rows) == len(blocks[number])
    assert sum(sizes) == sum(map(len, blocks))
    assert max(size for size in sizes if size != 20) <= 8
