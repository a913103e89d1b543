"""Search on a GPU beside the CPU's index and FAISS's own flat index: queries a second, and recall@10 beside each.

    python -m benchmarks.search.gpu_search [--rows 500000] [--dim 256]

Through `LocalView.search`, as the product does. Made vectors (see `benchmarks.search.vectors`), held-out queries,
filters that let a random share of the rows through. ``single`` is one query after the other, ``threads`` sixteen
threads of these, ``batch`` all queries at once. An export asks for every row's 100 nearest others.
"""

import argparse
import itertools
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch  # before FAISS, which finds CUDA's libraries by it
from numpy.typing import NDArray

from benchmarks.machine import machine
from benchmarks.search.vectors import clustered
from retrieval.index.delta import Delta
from retrieval.index.faiss_threads import faiss
from retrieval.index.gpu import faiss_search as gpu_faiss
from retrieval.index.gpu import matrix as gpu_scan
from retrieval.index.gpu.gpu_index import GpuCodes, GpuIndex
from retrieval.index.protocol import Selection
from retrieval.index.snapshots import Manifest, build_snapshot, open_snapshot
from retrieval.index.view import LocalView
from retrieval.search.neighbors import neighbor_blocks

K = 10
SHARES = (0.001, 0.01, 0.1, 0.5)
QUERIES = 1_000
THREADS = 16
SECONDS = 0.5
EXPORTED = 100

Vectors = NDArray[np.float32]
Ask = Callable[[Vectors], NDArray[np.int64]]


def cpu_view(vectors: Vectors, directory: Path) -> LocalView:
    """A catalogue of these vectors, row i being track i + 1."""
    count, dim = vectors.shape
    track_ids, spans_s = np.arange(count) + 1, np.zeros((count, 2), np.float32)
    build_snapshot(directory, Manifest("made", "track", "made-1", dim, revision=1), track_ids, vectors, spans_s)
    return LocalView("made-1", dim, 1, open_snapshot(directory, space="made"), delta=Delta.empty(dim))


def gpu_views(cpu: LocalView) -> Iterator[tuple[str, LocalView, float]]:
    """The same on a GPU, by every kind that this FAISS has, and the seconds to place it."""
    assert cpu.snapshot is not None
    stored = cpu.snapshot.index

    def flat() -> GpuIndex:
        matrix = gpu_scan.Matrix(gpu_scan.uploaded(stored, "cuda"))
        return GpuIndex(stored, matrix, gpu_faiss.brute_force(matrix, gpu_faiss.resources()))

    def scan() -> GpuIndex:
        matrix = gpu_scan.Matrix(gpu_scan.uploaded(stored, "cuda"))
        return GpuIndex(stored, matrix, matrix.scan)

    def codes() -> GpuCodes:
        return GpuCodes(stored, gpu_faiss.coded(stored, gpu_faiss.resources()))

    def graph() -> GpuIndex:
        matrix = gpu_scan.Matrix(gpu_scan.uploaded(stored, "cuda"))
        return GpuIndex(stored, matrix, gpu_faiss.graph_walk(matrix, gpu_faiss.resources()), path="gpu-cagra")

    kinds: dict[str, Callable[[], GpuIndex | GpuCodes]] = {"flat": flat, "torch's scan": scan, "IVF-PQ": codes}
    if hasattr(faiss, "GpuIndexCagra"):
        kinds["CAGRA"] = graph
    for name, place in kinds.items():
        start = time.perf_counter()
        index = place()
        torch.cuda.synchronize()
        placed_s = time.perf_counter() - start
        # A new view: what one keeps of its rows is made for one index.
        yield f"GPU {name}", replace(cpu, snapshot=replace(cpu.snapshot, gpu=index)), placed_s
        if index.is_lost:
            raise SystemExit(f"GPU {name}: the GPU failed, see above")
        index.release()


def raw_flat(vectors: Vectors) -> Ask:
    """FAISS's own float16 index, with nothing around it but a lock: its resources are not safe to share."""
    config = faiss.GpuIndexFlatConfig()
    config.useFloat16 = True
    index = faiss.GpuIndexFlatIP(gpu_faiss.resources(), vectors.shape[1], config)
    index.add(vectors)
    lock = threading.Lock()

    def ask(queries: Vectors) -> NDArray[np.int64]:
        with lock:
            rows: NDArray[np.int64] = index.search(queries, K)[1]
        return rows

    return ask


def of_view(view: LocalView, among: Selection | None) -> Ask:
    """The rows that a view finds."""
    return lambda queries: view.search(queries, K, selection=among).vector_ids


def recall(ask: Ask, vectors: Vectors, queries: Vectors, allowed: NDArray[np.int64]) -> float:
    """Recall@10, by cosines, so that equal rows may stand for each other."""
    cosines, _ = faiss.knn(queries, vectors[allowed], K, metric=faiss.METRIC_INNER_PRODUCT)
    rows = ask(queries)
    assert np.isin(rows, allowed).all()
    found = np.einsum("qkd,qd->qk", vectors[rows], queries)
    return float((found >= cosines[:, -1:] - 1e-5).mean())


def rate(ask: Ask, blocks: list[Vectors], threads: int = 1) -> float:
    """Queries a second, for a second or two."""
    ask(blocks[0])
    end = time.perf_counter() + SECONDS
    start = time.perf_counter()

    def work(first: int) -> int:
        done = 0
        while time.perf_counter() < end:
            block = blocks[(first + done) % len(blocks)]
            ask(block)
            done += 1
        return done * len(blocks[0])

    with ThreadPoolExecutor(threads) as pool:
        answered = sum(pool.map(work, range(0, threads * 37, 37)))
    return answered / (time.perf_counter() - start)


def row_of(name: str, what: str, ask: Ask, vectors: Vectors, queries: Vectors, allowed: NDArray[np.int64]) -> str:
    """One line of the table."""
    single = [query[np.newaxis] for query in queries]
    rates = rate(ask, single), rate(ask, single, THREADS), rate(ask, [queries])
    figures = " | ".join(f"{value:,.0f}" for value in rates)
    return f"| {name} | {what} | {recall(ask, vectors, queries[:200], allowed):.4f} | {figures} |"


def export_rate(view: LocalView, vectors: Vectors) -> str:
    """Tracks a second whose neighbours are written, and recall of some of them."""
    blocks = neighbor_blocks(view, np.arange(len(vectors)) + 1, EXPORTED)
    first = next(blocks)
    some, done, start = np.arange(0, len(first.track_ids), 97), 0, time.perf_counter()
    for block in blocks:
        done += len(block.track_ids)
        if time.perf_counter() - start > 5 * SECONDS:
            break
    seconds = time.perf_counter() - start
    queries = vectors[first.track_ids[some] - 1]
    cosines, _ = faiss.knn(queries, vectors, EXPORTED + 1, metric=faiss.METRIC_INNER_PRODUCT)
    found = np.einsum("qkd,qd->qk", vectors[first.neighbor_ids[some] - 1], queries)
    hits = float((found >= cosines[:, -1:] - 1e-5).mean())
    return f"{done / max(seconds, 1e-9):,.0f} tracks/s, recall@{EXPORTED} {hits:.4f}"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=500_000)
    parser.add_argument("--dim", type=int, default=256)
    arguments = parser.parse_args()
    if not (torch.cuda.is_available() and faiss.get_num_gpus()):
        raise SystemExit("no GPU, or no FAISS for it")
    rng = np.random.default_rng(0)
    made = clustered(arguments.rows, arguments.dim)
    vectors = np.concatenate(list(made.chunks())).astype(np.float32)
    queries = next(made.held_out())[:QUERIES].astype(np.float32)
    # As an encoder gives them, of which no float16 holds the mean.
    queries = (queries + 1e-4 * rng.standard_normal(queries.shape)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    everything = np.arange(len(vectors))
    filters = {share: np.flatnonzero(rng.random(len(vectors)) < share) for share in SHARES}
    print(machine(), torch.cuda.get_device_name(), f"{arguments.rows:,} × {arguments.dim}", "FAISS", faiss.__version__)
    exports = []
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        cpu = cpu_view(vectors, Path(folder))
        built_s = time.perf_counter() - start
        head = "| index | filter | recall@10 | single, q/s | 16 threads, q/s | batch, q/s |"
        print(head, "|---|---|---|---|---|---|", sep="\n")
        print(row_of("FAISS GPU flat fp16", "all", raw_flat(vectors), vectors, queries, everything), flush=True)
        for name, view, ready_s in itertools.chain([("CPU", cpu, built_s)], gpu_views(cpu)):
            print(row_of(name, "all", of_view(view, None), vectors, queries, everything), flush=True)
            for share, allowed in filters.items():
                ask = of_view(view, view.select(allowed + 1))
                print(row_of(name, f"{share:.1%}", ask, vectors, queries, allowed), flush=True)
            exports.append(f"{name}: ready in {ready_s:.1f} s; export of all neighbours {export_rate(view, vectors)}")
    print("", *exports, sep="\n", flush=True)


if __name__ == "__main__":
    main()
