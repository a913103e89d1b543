"""Searching while the catalogue is written to: latency, and how soon an answer holds what was written.

    python -m benchmarks.search.updates [--tracks 100000] [--dim 128] [--upserts 1000] [--queries 500] [--seconds 20]

A process of its own writes to PostgreSQL at a steady rate, in transactions of a hundred tracks: half of them new, half
of them written over with another vector; and, as a server's worker does after its writes, it merges them into the index
whenever that has grown. This one only reads: it answers queries by vector at a steady rate through `Search.answer`,
as a worker does. A latency counts from when its query was due, so that a stall is charged to all that it holds
up. Now and then a query asks for what the writer has just committed, until an answer holds it: that is freshness.
"""

import argparse
import gc
import multiprocessing
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from benchmarks.machine import machine
from benchmarks.search.vectors import clustered
from retrieval.catalog.database import connected, migrate
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import SpaceEmbedding, TrackAnalysis
from retrieval.index.merging import merge_soon, rebuild
from retrieval.index.space import SpaceIndex
from retrieval.search.engine import Search
from retrieval.search.query import Query, Seed

SPACE, VERSION = "benchmark", "benchmark-1"
BATCH = 100
THREADS = 4
LIMIT = 10
PATIENCE_S = 10.0


def analysis(key: str, vector: NDArray[np.float32], *, content: str = "") -> TrackAnalysis:
    """A track of one segment."""
    span = np.array([0.0]), np.array([180.0])
    embedding = SpaceEmbedding(SPACE, VERSION, vector, vector[np.newaxis], *span)
    return TrackAnalysis(key, f"/music/{key}", content or key, 1, 1, 180.0, rows=[embedding])


def fill(catalog: Catalog, vectors: NDArray[np.float32]) -> None:
    """One track a vector."""
    for start in range(0, len(vectors), 1_000):
        rows = range(start, min(start + 1_000, len(vectors)))
        catalog.store_many([analysis(f"t{row}", vectors[row]) for row in rows])


def write(
    url: str, root: Path, vectors: NDArray[np.float32], existing: int, rate: int, seconds: float, told: Connection
) -> None:
    """Store vectors at a rate, and merge; tell the last key of every transaction, and when it was committed."""
    engine = create_engine(make_url(url))
    catalog = Catalog(engine)
    index = SpaceIndex(catalog, root, SPACE)
    rng = np.random.default_rng(0)
    start, written = time.monotonic(), 0
    while time.monotonic() - start < seconds:
        rows = range(written, written + BATCH)
        keys = [f"n{row}" if row % 2 else f"t{rng.integers(existing)}" for row in rows]
        catalog.store_many([analysis(key, vectors[row], content=f"{row}") for key, row in zip(keys, rows, strict=True)])
        written += BATCH
        told.send((keys[-1], written - 1, time.monotonic()))
        merge_soon([index])
        time.sleep(max(0.0, start + written / rate - time.monotonic()))
    told.send((None, written, time.monotonic() - start))
    engine.dispose()


class Load:
    """Queries at a steady rate, from a few threads."""

    def __init__(self, search: Search, queries: NDArray[np.float32], rate: int) -> None:
        self.latencies_s: list[float] = []
        self.snapshots: set[str] = set()
        self._search = search
        self._queries = queries
        self._rate = rate
        self._stop = threading.Event()

    def run(self, seconds: float) -> None:
        """Ask until the time is over."""
        with ThreadPoolExecutor(THREADS) as threads:
            start = time.monotonic()
            list(threads.map(lambda number: self._ask(start, number, seconds), range(THREADS)))

    def _ask(self, start: float, first: int, seconds: float) -> None:
        number = first
        while (due := start + number / self._rate) < start + seconds:
            time.sleep(max(0.0, due - time.monotonic()))
            query = Query((Seed(vector=self._queries[number % len(self._queries)]),), limit=LIMIT)
            answer = self._search.answer(query)
            self.latencies_s.append(time.monotonic() - due)
            self.snapshots.add(answer.index_version.partition("+")[0])
            number += THREADS


def freshness_s(search: Search, key: str, vector: NDArray[np.float32], committed: float) -> float:
    """Seconds from the commit of a track to the first answer that holds it."""
    query = Query((Seed(vector=vector),), limit=LIMIT)
    while time.monotonic() - committed < PATIENCE_S:
        if key in [result.track.key for result in search.answer(query).results]:
            return time.monotonic() - committed
        time.sleep(0.02)
    return float("inf")


def measure(engine: Engine, folder: Path, arguments: argparse.Namespace) -> None:
    """Fill, build, then write and search at once, and print."""
    total = arguments.tracks + int(arguments.upserts * arguments.seconds * 1.5) + 1_000
    vectors = np.concatenate(list(clustered(total, arguments.dim).chunks())).astype(np.float32)
    catalog = Catalog(engine)
    fill(catalog, vectors[: arguments.tracks])
    search = Search(catalog, folder / "index", default_space=SPACE)
    manifest = rebuild(search.space()).manifest
    search.answer(Query((Seed(vector=vectors[0]),)))
    gc.collect()
    gc.freeze()  # as a worker of the server does
    print(f"{arguments.tracks:,} × {arguments.dim}, {manifest.kind}, recall@10 {manifest.recall:.3f}", flush=True)
    print(
        "| load | queries/s | p50, ms | p99, ms | slowest, ms | upserts/s | merges | freshness, median s | longest s |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    queries = np.concatenate(list(clustered(1_000, arguments.dim).held_out()))[:1_000].astype(np.float32)
    quiet = Load(search, queries, arguments.queries)
    quiet.run(arguments.seconds / 2)
    _row("queries alone", quiet, arguments.seconds / 2, "– | – | – | –")

    ours, theirs = multiprocessing.Pipe(duplex=False)
    new = vectors[arguments.tracks :]
    url = engine.url.render_as_string(hide_password=False)
    work = (url, folder / "index", new, arguments.tracks, arguments.upserts, arguments.seconds, theirs)
    writer = multiprocessing.get_context("spawn").Process(target=write, args=work)
    writer.start()
    ours.poll(60)
    load = Load(search, queries, arguments.queries)
    asking = threading.Thread(target=load.run, args=(arguments.seconds,))
    asking.start()
    ages = []
    while (told := ours.recv())[0] is not None:
        while ours.poll():  # the newest
            if (told := ours.recv())[0] is None:
                break
        if told[0] is None:
            break
        ages.append(freshness_s(search, told[0], new[told[1]], told[2]))
    asking.join()
    writer.join()
    rate = told[1] / told[2]
    written = f"{rate:.0f} | {len(load.snapshots) - 1} | {np.median(ages):.2f} | {np.max(ages):.2f}"
    _row("with upserts", load, arguments.seconds, written)


def _row(name: str, load: Load, seconds: float, rest: str) -> None:
    latencies_ms = 1_000 * np.array(load.latencies_s)
    p50, p99 = np.percentile(latencies_ms, [50, 99])
    rate = len(latencies_ms) / seconds
    print(f"| {name} | {rate:.0f} | {p50:.1f} | {p99:.1f} | {latencies_ms.max():.0f} | {rest} |", flush=True)


def main() -> None:
    """Measure on a PostgreSQL of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tracks", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--upserts", type=int, default=1_000, help="a second")
    parser.add_argument("--queries", type=int, default=500, help="a second")
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    print(machine())
    with (
        tempfile.TemporaryDirectory(prefix="soundalike-bench-") as name,
        connected(None, embedded_dir=Path(name) / "postgres") as engine,
    ):
        migrate(engine)
        measure(engine, Path(name), arguments)


if __name__ == "__main__":
    main()
