"""How an approximate index is built, and how it learns what a search must look at: by asking it what is known."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.ann import TUNING_KS, AnnIndex, Tuning
from retrieval.faiss_threads import Found, every_thread, faiss
from retrieval.flat import scan

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

RECALL_TARGET = 0.99
TUNING_QUERIES = 256
COVERAGES = (0.992, 0.995, 0.998)
CANDIDATES_A_RESULT = (2, 4, 8, 16, 32)
MIN_ROWS_TO_TRAIN_A_LIST = 39  # below, FAISS's clustering warns
MAX_ROWS_TO_TRAIN_A_LIST = 64
MAX_TRAINING_ROWS = 256_000
DIMS_A_CODE = 2
_GAP_COVERAGE = 0.995
_FAR_SHARE = 0.5
_FAR_QUERIES = 64
_USUAL_SHARE = 0.004
_SHARES = (0.5, 0.25, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002)


def build(vectors: NDArray[np.float32], *, seed: int = 0, target: float = RECALL_TARGET) -> AnnIndex:
    """Train on a sample of the vectors, float32 [count, dim], add them all, and tune the search to the target recall.

    Queries to tune by are kept out of the training, and are not found while tuning: they are new to the index.
    """
    rng = np.random.default_rng(seed)
    held_out = np.sort(rng.choice(len(vectors), size=min(len(vectors) // 2, TUNING_QUERIES), replace=False))
    with every_thread():
        ann = _trained(vectors, np.setdiff1d(np.arange(len(vectors)), held_out), rng)
    return ann.tuned(_tuned(_HeldOut(ann, vectors, held_out), target))


def refill(index: Any, tuning: Tuning, vectors: NDArray[np.float32]) -> AnnIndex:
    """Put other vectors, most of them the same, into an index of FAISS with memory of its own; nothing is learnt."""
    index.reset()
    with every_thread():
        index.add(vectors)
    return AnnIndex(index, tuning)


def _trained(vectors: NDArray[np.float32], training: NDArray[np.int64], rng: np.random.Generator) -> AnnIndex:
    count, dim = vectors.shape
    nlist = max(1, min(int(4 * np.sqrt(count)), len(training) // MIN_ROWS_TO_TRAIN_A_LIST))
    codes = next(size for size in range(-(-dim // DIMS_A_CODE), dim + 1) if dim % size == 0)
    index = faiss.index_factory(dim, f"IVF{nlist},PQ{codes}x4fs,Refine(SQfp16)", faiss.METRIC_INNER_PRODUCT)
    size = min(nlist * MAX_ROWS_TO_TRAIN_A_LIST, max(MAX_TRAINING_ROWS, nlist * MIN_ROWS_TO_TRAIN_A_LIST))
    index.train(vectors[np.sort(rng.choice(training, size=min(len(training), size), replace=False))])
    index.add(vectors)
    return AnnIndex(index, Tuning((1, 1, 1), 1))


def _tuned(held_out: _HeldOut, target: float) -> Tuning:
    found = []
    for coverage in COVERAGES:
        lists = tuple(held_out.lists_that_hold(k, coverage) for k in TUNING_KS)
        for candidates in CANDIDATES_A_RESULT:
            tuning = Tuning(lists, candidates)
            recall = held_out.recall(tuning)
            seconds = held_out.seconds(tuning)
            found.append((max(0.0, target - recall), seconds, replace(tuning, recall=recall)))
            if recall >= target:
                break
    tuning = min(found, key=lambda choice: choice[:2])[2]
    tuning = replace(tuning, near=held_out.gap(), far=held_out.far_gap(), usual=held_out.usual())
    return replace(tuning, scan_rows=held_out.scan_rows(tuning))


class _HeldOut:
    """Queries that are left out of what they search, and their true neighbours, best first."""

    def __init__(self, ann: AnnIndex, vectors: NDArray[np.float32], rows: NDArray[np.int64]) -> None:
        self.ann = ann
        self.queries = np.ascontiguousarray(vectors[rows])
        self._vectors = vectors
        others = np.setdiff1d(np.arange(ann.count), rows)
        self._bits = ann.subset(others).bits
        # Among more than are wanted, since the queries are among them.
        most = min(TUNING_KS[-1] + len(rows), ann.count)
        with every_thread():
            cosines, found = faiss.knn(self.queries, vectors, most, metric=faiss.METRIC_INNER_PRODUCT)
        order = np.argsort(np.isin(found, rows), axis=1, kind="stable")[:, : min(TUNING_KS[-1], len(others))]
        self._cosines = np.take_along_axis(cosines, order, 1)
        self._lists = ann.list_of_row[np.take_along_axis(found, order, 1)].astype(np.int64)
        self._centroid_cosines = ann.centroid_cosines(self.queries)
        place = np.argsort(np.argsort(-self._centroid_cosines, axis=1), axis=1)
        self._places = np.take_along_axis(place, self._lists, 1)

    def search(self, tuning: Tuning) -> Found:
        """The ten nearest of the others."""
        return self.ann.tuned(tuning).search(self.queries, TUNING_KS[0], bits=self._bits)

    def seconds(self, tuning: Tuning) -> float:
        """What a search costs: of so few queries that one thread runs it."""
        ann, some = self.ann.tuned(tuning), self.queries[:32]
        return _seconds(lambda: ann.search(some, TUNING_KS[0], bits=self._bits))

    def lists_that_hold(self, k: int, share: float) -> int:
        """How many of a query's nearest lists hold this share of its k nearest rows, over all queries."""
        return int(np.ceil(np.quantile(self._places[:, :k], share))) + 1

    def recall(self, tuning: Tuning) -> float:
        """Recall@10: rows that are as near as the true ones count, so that equal ones may stand for each other."""
        k = min(TUNING_KS[0], self._cosines.shape[1])
        _, cosines = self.search(tuning)
        return float((cosines[:, :k] >= self._cosines[:, k - 1 : k] - 1e-4).mean())

    def gap(self) -> tuple[float, float]:
        """`Tuning.near`."""
        k = min(TUNING_KS[0], self._cosines.shape[1])
        kth = self._cosines[:, k - 1 : k]
        gaps = kth - np.take_along_axis(self._centroid_cosines, self._lists[:, :k], 1)
        return float(np.median(kth)), float(np.quantile(gaps, _GAP_COVERAGE))

    def usual(self) -> float:
        """`Tuning.usual`."""
        return float(np.quantile(self._cosines[:, min(TUNING_KS[0], self._cosines.shape[1]) - 1], _USUAL_SHARE))

    def far_gap(self) -> tuple[float, float]:
        """`Tuning.far`: the same among the rows of the lists that lie in a query's far half."""
        kths, gaps = [], []
        for query, near in zip(self.queries[:_FAR_QUERIES], self._centroid_cosines, strict=False):
            far = near <= np.quantile(near, _FAR_SHARE)
            rows = np.flatnonzero(far[self.ann.list_of_row])
            cosines = self._vectors[rows] @ query
            best = np.argsort(-cosines)[: TUNING_KS[0]]
            if len(best):
                kths.append(cosines[best[-1]])
                gaps.append(cosines[best[-1]] - near[self.ann.list_of_row[rows[best]]])
        return float(np.median(kths)), float(np.quantile(np.concatenate(gaps), _GAP_COVERAGE))

    def scan_rows(self, tuning: Tuning) -> int:
        """The largest subset of which all rows are scored faster than some are searched."""
        ann, queries, k = self.ann.tuned(tuning), self.queries[:32], TUNING_KS[0]
        for share in _SHARES:
            rows = np.arange(0, ann.count, round(1 / share))
            subset, vectors = ann.subset(rows), np.ascontiguousarray(self._vectors[rows])
            every = _seconds(lambda v=vectors: scan(queries, v, k))  # type: ignore[misc]
            some = _seconds(lambda s=subset: ann.search_among(queries, k, s))  # type: ignore[misc]
            if every <= some:
                return len(rows)
        return 0


def _seconds(function: Callable[[], object]) -> float:
    """Processor time of this thread, the least of five calls, after one to warm up."""
    function()
    times = []
    for _ in range(5):
        start = time.thread_time()
        function()
        times.append(time.thread_time() - start)
    return min(times)
