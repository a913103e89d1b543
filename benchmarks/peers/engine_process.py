"""One engine in a process of its own, so that its memory and its threads are its own; asked over a pipe.

One process builds the index and saves it with what it cost, another opens it, at once or in a later run. Processor
seconds stand beside those of the clock, for a machine that was busy with something else while building.

Memory is what the resident set of the engine's processes grew by in opening, after a first batch of queries has touched
what is mapped; the peak is the kernel's high-water mark while building. Neither counts what the page cache holds.
"""

import ctypes
import gc
import json
import multiprocessing
import shutil
import sys
import time
import traceback
from collections.abc import Hashable, Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.peers.protocol import Peer
from benchmarks.search.workload import Case, K, Workload, cases

WARM_UP = 8
GROWTH = 5
LEAST_BATCH_S = 0.3
RECORD = "built.json"


@dataclass(frozen=True)
class Setting:
    """How to search: a case, a variant of the engine, its effort."""

    case: Case
    variant: str
    effort: Hashable


@dataclass(frozen=True)
class Built:
    """What building the index cost, by the clock and in processor time; the peak is 0 where a server built it."""

    version: str
    build_s: float
    cpu_s: float
    peak_bytes: int


@dataclass(frozen=True)
class Opened:
    """The engine's version and what its index holds in memory."""

    version: str
    memory_bytes: int


@dataclass(frozen=True)
class Measured:
    """One measurement: speeds, latencies in seconds, and the rows found, int64 [asked, k]."""

    batch_qps: float
    single_s: NDArray[np.float64]
    found: NDArray[np.int64]


class EngineError(Exception):
    """An engine failed; the message is its own."""


class NotInstalledError(EngineError):
    """There is no such engine here."""


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

    def build(self) -> Built:
        """Build the index and save it."""
        built: Built = self._ask("build")
        return built

    def open(self) -> Opened:
        """Make ready to search what was saved."""
        opened: Opened = self._ask("open")
        return opened

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
        try:
            self._pipe.send(command)
            answer = self._pipe.recv()
        except (EOFError, BrokenPipeError, ConnectionResetError) as error:
            self._process.join()
            raise EngineError(f"ended with exit status {self._process.exitcode}") from error
        if isinstance(answer, EngineError):
            raise answer
        return answer


def ready(name: str, peer: type[Peer], workload: Workload, folder: Path) -> tuple[Engine, Built, Opened]:
    """An engine with its index open: the one that `folder` keeps if it serves, else one built anew.

    Raises
    ------
    EngineError
        If it is not installed, or can't build its index or open what it has just built.
    """
    if peer.kept and (folder / RECORD).exists():
        try:
            return _opened(name, peer, workload, folder)
        except NotInstalledError:  # what another installation has built stays
            raise
        except EngineError as error:
            print(f"the kept index of {name} does not serve ({error}): built anew", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    engine = Engine(name, peer, workload, folder)
    try:
        built = engine.build()
    finally:
        engine.close()
    # Written last: what was interrupted is not kept.
    described = {"settings": peer.settings, "workload": str(workload), "built": asdict(built)}
    (folder / RECORD).write_text(json.dumps(described), encoding="utf-8")
    return _opened(name, peer, workload, folder)


def _opened(name: str, peer: type[Peer], workload: Workload, folder: Path) -> tuple[Engine, Built, Opened]:
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
        built = Built(**record["built"])
        known = record["settings"], record["workload"]
    except (ValueError, KeyError, TypeError) as error:
        raise EngineError(f"{RECORD} is damaged") from error
    for kept, wanted in zip(known, (peer.settings, str(workload)), strict=True):
        if kept != wanted:
            raise EngineError(f"it is of {kept}, not {wanted}")
    engine = Engine(name, peer, workload, folder)
    try:
        opened = engine.open()
        if opened.version != built.version:
            raise EngineError(f"built by version {built.version}, this is {opened.version}")
    except EngineError:
        engine.close()
        raise
    return engine, built, opened


def _serve(pipe: Connection, peer_type: type[Peer], workload: Workload, folder: Path) -> None:
    peer = peer_type(folder)
    answering = _Answering(peer, workload)
    try:
        while (command := pipe.recv()) is not None:
            name, *arguments = command
            pipe.send(getattr(answering, name)(*arguments))
    except Exception as error:  # whatever a foreign library raises ends this engine, not the others
        missing = isinstance(error, ModuleNotFoundError)
        if not missing:
            traceback.print_exc()
        first_line = next(iter(str(error).splitlines()), "")
        pipe.send((NotInstalledError if missing else EngineError)(f"{type(error).__name__}: {first_line}"))
    finally:
        peer.resources.close()


class _Answering:
    def __init__(self, peer: Peer, workload: Workload) -> None:
        self.peer = peer
        self.workload = workload

    def build(self) -> Built:
        own = psutil.Process()
        before_bytes, before_s, start = own.memory_info().rss, _cpu_s([own]), time.perf_counter()
        self.peer.build(self.workload)
        build_s = time.perf_counter() - start
        served = own not in self.peer.processes()
        cpu_s = _cpu_s({own, *self.peer.processes()}) - before_s
        built = Built(self.peer.version(), build_s, cpu_s, 0 if served else _high_water_mark() - before_bytes)
        self.peer.save()
        return built

    def open(self) -> Opened:
        own = psutil.Process()
        before_bytes = own.memory_info().rss
        self.peer.open(self.workload)
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        found = self.search(Setting(cases()[0], "", self.peer.ladders[0][0]), K, 1.0)
        if (found < 0).all():  # some open what is left of a damaged index as an empty one
            raise EngineError("its index is empty")
        processes = self.peer.processes()
        # The processes of a server share memory: proportional sizes add up, resident ones do not.
        served = own not in processes
        now_bytes = sum(p.memory_full_info().pss for p in processes) if served else own.memory_info().rss - before_bytes
        return Opened(self.peer.version(), now_bytes)

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


def _cpu_s(processes: Iterable[psutil.Process]) -> float:
    """User and system time of processes and of what they started and saw end."""
    return sum(sum(process.cpu_times()[:4]) for process in processes)
