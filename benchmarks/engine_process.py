"""One engine in a process of its own, so that its memory and its threads are its own; asked over a pipe.

Memory is what the resident set of the engine's processes grew by, after a first batch of queries has touched what is
mapped; the peak is the kernel's high-water mark while building. Neither counts what the page cache holds beside it.
"""

import ctypes
import gc
import multiprocessing
import time
import traceback
from collections.abc import Hashable
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.peers import Peer
from benchmarks.workload import Case, K, Workload

WARM_UP = 8
GROWTH = 5
LEAST_BATCH_S = 0.3


@dataclass(frozen=True)
class Setting:
    """How to search: a case, a variant of the engine, its effort."""

    case: Case
    variant: str
    effort: Hashable


@dataclass(frozen=True)
class Built:
    """What the index cost."""

    version: str
    build_s: float
    memory_bytes: int
    peak_bytes: int


@dataclass(frozen=True)
class Measured:
    """One measurement: speeds, latencies in seconds, and the rows found, int64 [asked, k]."""

    batch_qps: float
    single_s: NDArray[np.float64]
    found: NDArray[np.int64]


class EngineError(Exception):
    """An engine failed; the message is its own."""


class Engine:
    """A peer in another process."""

    def __init__(self, name: str, peer: type[Peer], workload: Workload, folder: Path) -> None:
        self.name = name
        self.peer = peer
        context = multiprocessing.get_context("spawn")
        self._pipe, there = context.Pipe()
        self._process = context.Process(target=_serve, args=(there, peer, workload, folder))
        self._process.start()
        there.close()

    def built(self) -> Built:
        """Wait for the index."""
        built: Built = self._answer()
        return built

    def search(self, setting: Setting, k: int, seconds: float) -> NDArray[np.int64]:
        """Rows found for as many queries as `seconds` suffice for."""
        found: NDArray[np.int64] = self._ask("search", setting, k, seconds)
        return found

    def measure(self, setting: Setting, k: int, seconds: float) -> Measured:
        """Speed in batches and one by one, each for about `seconds` at most."""
        measured: Measured = self._ask("measure", setting, k, seconds)
        return measured

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):  # it may have ended
            self._pipe.send(None)
        self._process.join()

    def _ask(self, *command: Any) -> Any:
        self._pipe.send(command)
        return self._answer()

    def _answer(self) -> Any:
        try:
            answer = self._pipe.recv()
        except EOFError as error:
            self._process.join()
            raise EngineError(f"ended with exit status {self._process.exitcode}") from error
        if isinstance(answer, EngineError):
            raise answer
        return answer


def _serve(pipe: Connection, peer_type: type[Peer], workload: Workload, folder: Path) -> None:
    peer = peer_type(folder)
    answering = _Answering(peer, workload)
    try:
        pipe.send(answering.build())
        while (command := pipe.recv()) is not None:
            name, *arguments = command
            pipe.send(getattr(answering, name)(*arguments))
    except Exception as error:  # whatever a foreign library raises ends this engine, not the others
        if not isinstance(error, ModuleNotFoundError):
            traceback.print_exc()
        first_line = next(iter(str(error).splitlines()), "")
        pipe.send(EngineError(f"{type(error).__name__}: {first_line}"))
    finally:
        peer.resources.close()


class _Answering:
    def __init__(self, peer: Peer, workload: Workload) -> None:
        self.peer = peer
        self.workload = workload

    def build(self) -> Built:
        before = psutil.Process().memory_info().rss
        start = time.perf_counter()
        self.peer.build(self.workload)
        build_s = time.perf_counter() - start
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        setting = Setting(Case("no filter", 1.0, None, "everywhere"), "", self.peer.ladders[0][0])
        self.search(setting, K, 1.0)
        processes = self.peer.processes()
        own = processes[0].pid == psutil.Process().pid
        # The processes of a server share memory: proportional sizes add up, resident ones do not.
        now = processes[0].memory_info().rss - before if own else sum(p.memory_full_info().pss for p in processes)
        peak = _high_water_mark() - before if own else 0
        return Built(self.peer.version(), build_s, now, peak)

    def search(self, setting: Setting, k: int, seconds: float) -> NDArray[np.int64]:
        label = self._choose(setting)
        queries = self.workload.queries(setting.case)
        asked = WARM_UP
        while True:
            start = time.perf_counter()
            found = self.peer.search(queries[:asked], k, label)
            took_s = time.perf_counter() - start
            if asked >= len(queries) or took_s * GROWTH > seconds:
                return found
            asked = min(asked * GROWTH, len(queries))

    def measure(self, setting: Setting, k: int, seconds: float) -> Measured:
        found = self.search(setting, k, seconds)
        label = self._choose(setting)
        queries = self.workload.queries(setting.case)
        asked, searched = queries[: len(found)], 0
        start = time.perf_counter()
        while searched == 0 or time.perf_counter() - start < LEAST_BATCH_S:
            self.peer.search(asked, k, label)
            searched += len(asked)
        batch_qps = searched / (time.perf_counter() - start)
        single_s: list[float] = []
        begin = time.perf_counter()
        for query in queries:
            start = time.perf_counter()
            self.peer.one(query, k, label)
            single_s.append(time.perf_counter() - start)
            if time.perf_counter() - begin > seconds:
                break
        return Measured(batch_qps, np.array(single_s), found)

    def _choose(self, setting: Setting) -> int | None:
        self.peer.effort, self.peer.variant = setting.effort, setting.variant
        return setting.case.label


def _high_water_mark() -> int:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM"))
