"""Libraries that hold an index in this process, behind the interface of `benchmarks.peers.protocol`.

One that is not installed is no error here: its import stands in `build` and `open`, and the harness reports it.
"""

from pathlib import Path

import numpy as np

from benchmarks.peers.protocol import EF_CONSTRUCTION, NPROBES, THREADS, Ids, M, Peer, Queries
from benchmarks.search.workload import Workload


class Scann(Peer):
    """ScaNN: a tree of partitions, anisotropic codes, the best compared again in float32."""

    package = "scann-core"
    settings = "tree 2√n, score_ah(2, 0.2), reorder in float32"
    ladders = tuple(tuple((leaves, reorder) for leaves in NPROBES) for reorder in (30, 60, 120, 300))
    no_filter = "no filter in its Python interface"
    at_our_recall = True

    def build(self, workload: Workload) -> None:
        """Settings of its documentation for this many rows."""
        from scann import scann_ops_pybind

        leaves = int(2 * np.sqrt(workload.n))
        builder = scann_ops_pybind.builder(workload.all(), 10, "dot_product").set_n_training_threads(THREADS)
        builder = builder.tree(leaves, leaves // 10, training_sample_size=min(workload.n, 250_000))
        self._searcher = builder.score_ah(2, anisotropic_quantization_threshold=0.2).reorder(100).build()

    def save(self) -> None:
        """A folder of files."""
        Path(self.file).mkdir()
        self._searcher.serialize(self.file, relative_path=True)

    def open(self, workload: Workload) -> None:
        """Read them."""
        from scann import scann_ops_pybind

        self._searcher = scann_ops_pybind.load_searcher(self.file)
        self._searcher.set_num_threads(THREADS)

    def search(self, queries: Queries, k: int, label: int | None) -> Ids:
        """In parallel over pieces of the batch."""
        leaves, reorder = self.effort
        found, distances = self._searcher.search_batched_parallel(queries, k, reorder, leaves)
        # Its padding is row 0 with a distance that is not a number.
        return np.where(np.isnan(distances), -1, found.astype(np.int64))

    def one(self, query: Queries, k: int, label: int | None) -> Ids:
        """Its call for one query."""
        leaves, reorder = self.effort
        return self._searcher.search(query, k, reorder, leaves)[0].astype(np.int64)


class Hnswlib(Peer):
    """The original HNSW; its filter asks Python about every candidate."""

    package = "hnswlib"
    settings = f"M {M}, ef_construction {EF_CONSTRUCTION}, float32; filter: Python callback"

    def build(self, workload: Workload) -> None:
        """Add in pieces."""
        import hnswlib

        self._index = hnswlib.Index(space="ip", dim=workload.dim)
        self._index.init_index(max_elements=workload.n, M=M, ef_construction=EF_CONSTRUCTION)
        for chunk in workload.chunks():
            self._index.add_items(chunk, num_threads=THREADS)

    def save(self) -> None:
        """One file."""
        self._index.save_index(self.file)

    def open(self, workload: Workload) -> None:
        """Read it, and keep the labels for the callback."""
        import hnswlib

        self._index = hnswlib.Index(space="ip", dim=workload.dim)
        self._index.load_index(self.file, max_elements=workload.n)
        self._labels = workload.labels()
        self._matching = self._labels.sum(axis=1).tolist()

    def search(self, queries: Queries, k: int, label: int | None) -> Ids:
        """In parallel; with a filter on one thread, as its documentation asks, for the lock of the interpreter."""
        self._index.set_ef(self.effort)
        if label is not None:
            found = np.full((len(queries), k), -1, np.int64)
            for row, query in zip(found, queries, strict=True):
                answer = self.one(query, k, label)
                row[: len(answer)] = answer
            return found
        return self._index.knn_query(queries, k, num_threads=THREADS)[0].astype(np.int64)

    def one(self, query: Queries, k: int, label: int | None) -> Ids:
        """One query; it raises where it finds fewer than `k`, which is answered with none."""
        if label is None:
            return self._index.knn_query(query, k, num_threads=1)[0][0].astype(np.int64)
        k = min(k, self._matching[label])
        try:
            found = self._index.knn_query(query, k, num_threads=1, filter=self._labels[label].item)[0][0]
        except RuntimeError:
            return np.full(k, -1, np.int64)
        return found.astype(np.int64)


class Usearch(Peer):
    """HNSW over float16."""

    package = "usearch"
    settings = f"M {M}, expansion_add {EF_CONSTRUCTION}, float16"
    no_filter = "no filter in its Python interface"

    def build(self, workload: Workload) -> None:
        """Add in pieces."""
        from usearch.index import Index

        self._index = Index(ndim=workload.dim, metric="ip", dtype="f16", connectivity=M, expansion_add=EF_CONSTRUCTION)
        start = 0
        for chunk in workload.chunks():
            self._index.add(np.arange(start, start + len(chunk)), chunk, threads=THREADS)
            start += len(chunk)

    def save(self) -> None:
        """One file."""
        self._index.save(self.file)

    def open(self, workload: Workload) -> None:
        """Read it into memory."""
        from usearch.index import Index

        self._index = Index.restore(self.file)

    def search(self, queries: Queries, k: int, label: int | None) -> Ids:
        """In parallel over the batch."""
        self._index.expansion_search = self.effort
        matches = self._index.search(queries, k, threads=THREADS)
        found = matches.keys.astype(np.int64)
        return np.where(np.arange(k) < np.asarray(matches.counts)[:, np.newaxis], found, -1)

    def one(self, query: Queries, k: int, label: int | None) -> Ids:
        """Its call for one query."""
        self._index.expansion_search = self.effort
        return self._index.search(query, k, threads=1).keys.astype(np.int64)


class Voyager(Peer):
    """Spotify's HNSW."""

    package = "voyager"
    settings = f"M {M}, ef_construction {EF_CONSTRUCTION}, float32"
    no_filter = "no filter"

    def build(self, workload: Workload) -> None:
        """Add in pieces."""
        from voyager import Index, Space

        self._index = Index(
            Space.InnerProduct, workload.dim, M=M, ef_construction=EF_CONSTRUCTION, max_elements=workload.n
        )
        for chunk in workload.chunks():
            self._index.add_items(chunk, num_threads=THREADS)

    def save(self) -> None:
        """One file."""
        self._index.save(self.file)

    def open(self, workload: Workload) -> None:
        """Read it into memory."""
        from voyager import Index

        self._index = Index.load(self.file)

    def search(self, queries: Queries, k: int, label: int | None) -> Ids:
        """In parallel over the batch."""
        return self._index.query(queries, k, num_threads=THREADS, query_ef=self.effort)[0].astype(np.int64)

    def one(self, query: Queries, k: int, label: int | None) -> Ids:
        """Its call for one query."""
        return self._index.query(query, k, query_ef=self.effort)[0].astype(np.int64)
