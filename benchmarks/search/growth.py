"""How the index grows: build time, size, memory and query time by number of vectors, and a plot of them.

    python -m benchmarks.search.growth PLOT.png [--sizes 10000 100000 1000000 10000000] [--dim 128] [--queries 1000]

Each size is built and opened in a process of its own, as `soundalike rebuild` and a server do. Memory: what opening the
snapshot and answering the queries adds to the process; a large index is memory-mapped, so this counts pages that other
servers share. Recall@10 is measured against exact search on held-out queries.
"""

import argparse
import multiprocessing
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib as mpl
import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.machine import machine
from benchmarks.search.vectors import clustered
from retrieval.index.delta import Delta
from retrieval.index.faiss_threads import every_thread, faiss
from retrieval.index.snapshots import Manifest, build_snapshot, open_snapshot
from retrieval.index.view import LocalView

mpl.use("Agg")
from matplotlib import pyplot as plt

K = 10
BATCHES = 9


@dataclass(frozen=True)
class Grown:
    """What one size costs."""

    vectors: int
    kind: str
    build_s: float
    disk_mb: float
    memory_mb: float
    single_ms: float
    batch_per_s: float
    recall: float


def build(folder: Path, n: int, dim: int) -> float:
    """Write a snapshot of n vectors; returns seconds, without those of making the vectors."""
    vectors = np.empty((n, dim), np.float32)
    start = 0
    for chunk in clustered(n, dim).chunks():
        vectors[start : start + len(chunk)] = chunk
        start += len(chunk)
    began = time.perf_counter()
    manifest = Manifest("benchmark", "track", "benchmark", dim, revision=1)
    build_snapshot(folder, manifest, np.arange(n, dtype=np.int64), vectors, np.zeros((n, 2), np.float32))
    return time.perf_counter() - began


def truth(n: int, dim: int, queries: NDArray[np.float32]) -> NDArray[np.float32]:
    """The cosine of each query's K-th neighbour, float32 [n_queries, 1], chunk by chunk."""
    best = np.full((len(queries), K), -np.inf, np.float32)
    with every_thread():
        for chunk in clustered(n, dim).chunks():
            found, _ = faiss.knn(queries, chunk.astype(np.float32), K, metric=faiss.METRIC_INNER_PRODUCT)
            best = -np.sort(-np.concatenate([best, found], axis=1), axis=1)[:, :K]
    return best[:, -1:]


def search(folder: Path, n: int, dim: int, n_queries: int, build_s: float) -> Grown:
    """Open the snapshot and measure."""
    queries = np.concatenate(list(clustered(n, dim).held_out()))[:n_queries].astype(np.float32)
    kth = truth(n, dim, queries)
    process = psutil.Process()
    before = process.memory_info().rss
    snapshot = open_snapshot(folder, space="benchmark")
    view = LocalView("benchmark", dim, 1, snapshot, delta=Delta.empty(dim))
    cosines = view.search(queries, K).cosines
    batches = []
    for _ in range(BATCHES):
        started = time.perf_counter()
        view.search(queries, K)
        batches.append(time.perf_counter() - started)
    singles = []
    for query in queries[:300]:
        started = time.perf_counter()
        view.search(query[np.newaxis], K)
        singles.append(time.perf_counter() - started)
    return Grown(
        vectors=n,
        kind=snapshot.manifest.kind,
        build_s=build_s,
        disk_mb=sum(file.stat().st_size for file in (folder / "CURRENT").iterdir()) / 1e6,
        memory_mb=(process.memory_info().rss - before) / 1e6,
        single_ms=1_000 * float(np.median(singles)),
        batch_per_s=len(queries) / float(np.median(batches)),
        recall=float((cosines >= kth - 1e-4).mean()),
    )


def plot(grown: list[Grown], path: Path) -> None:
    """Four lines against the number of vectors."""
    figure, axes = plt.subplots(1, 4, figsize=(15, 3), layout="constrained")
    panels = ("build_s", "memory_mb", "single_ms", "batch_per_s")
    titles = ("build, s", "memory, MB", "one query, ms", "batch, queries/s")
    for axis, name, title in zip(axes, panels, titles, strict=True):
        axis.loglog([point.vectors for point in grown], [getattr(point, name) for point in grown], marker="o")
        axis.set(title=title, xlabel="vectors")
        axis.grid(alpha=0.3, which="both")
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print and plot."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("plot", type=Path)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000, 10_000_000])
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=1_000)
    arguments = parser.parse_args()
    print(machine())
    print("| vectors | index | build, s | disk, MB | memory, MB | one query, ms | batch, queries/s | recall@10 |")
    print("|---|---|---|---|---|---|---|---|")
    grown = []
    for n in arguments.sizes:
        with tempfile.TemporaryDirectory(prefix="soundalike-bench-") as name:
            folder = Path(name)
            seconds = _alone(build, folder, n, arguments.dim)
            point = _alone(search, folder, n, arguments.dim, arguments.queries, seconds)
        grown.append(point)
        cells = [f"{value:,.3g}" if isinstance(value, float) else f"{value}" for value in asdict(point).values()]
        print(f"| {' | '.join(cells)} |", flush=True)
    plot(grown, arguments.plot)


def _alone(function, *arguments):  # type: ignore[no-untyped-def]
    """Call in a fresh process."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


if __name__ == "__main__":
    main()
