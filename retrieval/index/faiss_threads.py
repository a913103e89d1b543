"""FAISS, and how searches share a machine: a thread a core, each with a block of queries and memory of its own.

FAISS's own threads, and those of the linear algebra below it and below numpy, wait for each other by spinning. As soon
as something else wants a core too, which on a server is always, a search of half a millisecond takes ten. So each
search has one thread, and a batch is cut into blocks. Building an index takes all threads, by `every_thread`.
"""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import ThreadpoolController

from retrieval.errors import MissingLibraryError

try:
    import faiss
except ModuleNotFoundError:
    raise MissingLibraryError("FAISS is missing: install soundalike[cpu] or soundalike[gpu], never both") from None

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

__all__ = ["RankedRows", "every_thread", "faiss", "in_blocks", "one_thread", "scratch"]

RankedRows = tuple["NDArray[np.int64]", "NDArray[np.float32]"]
"""Rows int64 [n_queries, k], −1 where there are fewer, and their cosines float32 [n_queries, k], −inf there."""

_BLOCK = 32
_MAX_SCRATCH_VALUES = 1 << 23


def in_blocks(search: Callable[..., RankedRows], *arrays: NDArray[Any], at_most: int = _BLOCK) -> RankedRows:
    """Search in blocks on all cores; returns rows and cosines [n, k], as `search` for a block.

    Parameters
    ----------
    search : takes a block of each array
    arrays : [n, …], first the queries
    """
    n = len(arrays[0])
    if n <= _BLOCK:
        with one_thread():
            return search(*arrays)
    size = min(at_most, -(-n // _cores()))
    blocks = [[array[start : start + size] for array in arrays] for start in range(0, n, size)]
    parts = list(_threads().map(lambda block: search(*block), blocks))
    return np.concatenate([rows for rows, _ in parts]), np.concatenate([values for _, values in parts])


class one_thread:  # noqa: N801 - a context manager, as those of contextlib; a generator takes longer than it saves
    """Keep FAISS within the calling thread."""

    def __enter__(self) -> None:
        _one_blas_thread()
        self._before = faiss.omp_get_max_threads()
        if self._before != 1:
            faiss.omp_set_num_threads(1)

    def __exit__(self, *_: object) -> None:
        if self._before != 1:
            faiss.omp_set_num_threads(self._before)


@contextmanager
def every_thread() -> Iterator[None]:
    """Let FAISS have all cores."""
    cores = _cores()
    before = faiss.omp_get_max_threads()
    with _pools().limit(limits=cores, user_api="blas"):
        faiss.omp_set_num_threads(cores)
        try:
            yield
        finally:
            faiss.omp_set_num_threads(before)


def scratch(name: str, shape: tuple[int, int], dtype: type) -> NDArray[Any]:
    """Memory of this thread's own for what is read at once: fresh pages would cost more than what is done with them."""
    size = shape[0] * shape[1]
    if size > _MAX_SCRATCH_VALUES:
        return np.empty(shape, dtype)
    kept = _SCRATCH.arrays.get(name)
    if kept is None or kept.size < size:
        kept = _SCRATCH.arrays[name] = np.empty(size, dtype)
    return kept[:size].reshape(shape)


class _Scratch(threading.local):
    def __init__(self) -> None:
        self.arrays: dict[str, NDArray[Any]] = {}


_SCRATCH = _Scratch()


@cache
def _cores() -> int:
    return len(os.sched_getaffinity(0))


@cache
def _pools() -> ThreadpoolController:
    return ThreadpoolController()


@cache
def _one_blas_thread() -> Any:
    """Linear algebra in one thread from now on. It has one setting for the whole process, so there is no going back."""
    return _pools().limit(limits=1, user_api="blas")


@cache
def _threads() -> ThreadPoolExecutor:
    _one_blas_thread()
    return ThreadPoolExecutor(_cores(), "search", faiss.omp_set_num_threads, (1,))
