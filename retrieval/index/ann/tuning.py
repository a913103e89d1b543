"""How an approximate index is built, and how it learns what a search must look at: by asking it what is known."""

from __future__ import annotations

import itertools
import time
from copy import copy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.index.ann.ann_index import AnnIndex
from retrieval.index.ann.stopping import NO_SCREEN, RECALL_TARGET, Effort, Screen, Tuning
from retrieval.index.faiss_threads import RankedRows, every_thread, faiss
from retrieval.index.kernels import TUNING_KS
from retrieval.index.scanning import scan

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

TUNING_QUERIES = 512
LOST = (1.5, 1.0, 0.7, 0.4, 0.1)  # shares of rows that a limit may lose, in misses that the target allows
CANDIDATES_A_RESULT = (3, 4, 5, 6, 8, 12, 16, 24, 32)
MIN_ROWS_TO_TRAIN_A_LIST = 39  # below, FAISS's clustering warns
MAX_ROWS_TO_TRAIN_A_LIST = 64
MAX_TRAINING_ROWS = 256_000
DIMS_A_CODE = 2
AXES_PARTS = (2, 4)
DIRECT_ROWS = (0, 125, 500, 2_000, 8_000)
_GAP_COVERAGE = 0.98
_FAR_GAP_COVERAGE = 0.995
_FAR_SHARE = 0.5
_FAR_QUERIES = 64
_FAR_ROWS = 100_000
_SLACK_COVERAGE = 0.99
_USUAL_SHARE = 0.002
_USUAL_MARGIN = 0.5
_STRATA = (0.5, 0.1, 0.01)
_LAST_MISSES = 0.75
_LEAST_QUERIES = 128
_TIMED_QUERIES = 256
_TIMED_RUNS = 2
_ROWS_OF_COVARIANCE = 4_096
_SHARES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5)


def build(vectors: NDArray[np.float32], *, seed: int = 0, target: float = RECALL_TARGET) -> AnnIndex:
    """Train on a sample of the vectors, float32 [count, dim], add them all, and tune the search to the target recall.

    Queries to tune by are kept out of the training, and are not found while tuning: they are new to the index.
    """
    rng = np.random.default_rng(seed)
    held_out = np.sort(rng.choice(len(vectors), size=min(len(vectors) // 2, TUNING_QUERIES), replace=False))
    with every_thread():
        ann = _trained(vectors, np.setdiff1d(np.arange(len(vectors)), held_out), rng)
    truth = _GroundTruth(ann, vectors, np.concatenate([vectors[held_out], _strangers(vectors, rng)]), held_out)
    return ann.tuned(_tuned(_prepared(truth, len(held_out), target), len(held_out), target))


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
    index = faiss.index_factory(dim, f"IVF{nlist},PQ{codes}x4fsr,Refine(SQfp16)", faiss.METRIC_INNER_PRODUCT)
    size = min(nlist * MAX_ROWS_TO_TRAIN_A_LIST, max(MAX_TRAINING_ROWS, nlist * MIN_ROWS_TO_TRAIN_A_LIST))
    index.train(vectors[np.sort(rng.choice(training, size=min(len(training), size), replace=False))])
    index.add(vectors)
    return AnnIndex(index, Tuning((Effort(-1.0, (0.0, 0.0, 0.0), 1),)))


def _strangers(vectors: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Queries less and less like the rows: means of two and of four, and random ones with the rows' covariance."""
    mixed = [vectors[rng.choice(len(vectors), (TUNING_QUERIES // 2, size))].sum(axis=1) for size in (2, 4)]
    sample = vectors[np.sort(rng.choice(len(vectors), size=min(len(vectors), _ROWS_OF_COVARIANCE), replace=False))]
    mixed.append(rng.standard_normal((TUNING_QUERIES // 2, len(sample)), np.float32) @ (sample - sample.mean(axis=0)))
    queries = np.concatenate(mixed)
    return np.asarray(queries / np.linalg.norm(queries, axis=1, keepdims=True), np.float32)


def _prepared(truth: _GroundTruth, n_rows: int, target: float) -> _GroundTruth:
    """The same with the fastest way to compare centroids, and then rows; rows come first among the queries."""
    rows = truth.of(np.arange(n_rows))
    effort = rows.effort(-1.0, target)
    usual = replace(truth.ann.tuning, efforts=(effort,))
    screens = [Screen(axes, rows.slack(axes, effort.reaches[0])) for axes in (truth.ann.dim // p for p in AXES_PARTS)]
    tuning = rows.fastest([replace(usual, screen=screen) for screen in (NO_SCREEN, *screens)])
    return truth.tuned(rows.fastest(_by_direct_rows(tuning)))


def _tuned(truth: _GroundTruth, n_rows: int, target: float) -> Tuning:
    """The cheapest effort for each stratum of queries, by how near the nearest centroid is; rows come first."""
    rows = truth.of(np.arange(n_rows))
    efforts = []
    coverages = [1 - share * (1 - target) for share in LOST]
    limits = [*np.quantile(rows.nearest, _STRATA).tolist(), -1.0]
    for upper, lower in itertools.pairwise([1.0, *limits]):
        inside = (truth.nearest >= lower) & (truth.nearest < upper)
        # Where hardly any lie, those that lie nearest.
        outside = np.maximum(lower - truth.nearest, truth.nearest - upper)
        stratum = np.flatnonzero(inside) if inside.sum() >= _LEAST_QUERIES else np.argsort(outside)[:_LEAST_QUERIES]
        if lower == limits[-1]:  # there are stranger ones than these
            last_target = 1 - _LAST_MISSES * (1 - target)
            efforts.append(_least_effort(truth.of(stratum), lower, coverages[-2:], last_target))
        else:
            efforts.append(_least_effort(truth.of(stratum), lower, coverages, target))
    gaps = sorted([rows.far_gap(), *(rows.gap(k, _GAP_COVERAGE) for k in TUNING_KS)])
    tuning = replace(truth.ann.tuning, efforts=tuple(efforts), gaps=tuple(gaps), target=target)
    return replace(tuning, scan_rows=rows.scan_rows(tuning), recall=rows.recall(tuning))


def _least_effort(truth: _GroundTruth, nearest: float, coverages: Sequence[float], target: float) -> Effort:
    """The cheapest that reaches the target, or comes nearest to it."""
    trials = []
    direct_rows = truth.ann.tuning.efforts[0].direct_rows
    for coverage in coverages:
        effort = replace(truth.effort(nearest, coverage), direct_rows=direct_rows)
        for candidates in CANDIDATES_A_RESULT:
            trial = replace(truth.ann.tuning, efforts=(replace(effort, candidates=candidates),))
            recall, seconds = truth.recall(trial), truth.seconds(trial)
            trials.append((max(0.0, target - recall), seconds, trial))
            if recall >= target:
                break
    short_of, _, tuning = min(trials, key=lambda choice: choice[:2])
    # Once more: only now is it known what the codes cost these queries.
    enough = [trial for trial in _by_direct_rows(tuning) if truth.recall(trial) >= target - short_of]
    return replace(truth.fastest(enough or [tuning]).efforts[0], usual=truth.usual())


def _by_direct_rows(tuning: Tuning) -> list[Tuning]:
    """A tuning of one effort, once for each of `DIRECT_ROWS`."""
    return [replace(tuning, efforts=(replace(tuning.efforts[0], direct_rows=rows),)) for rows in DIRECT_ROWS]


class _GroundTruth:
    """Queries, rows held out from what they may find, and their true neighbours among the others, best first."""

    def __init__(
        self, ann: AnnIndex, vectors: NDArray[np.float32], queries: NDArray[np.float32], held_out: NDArray[np.int64]
    ) -> None:
        self.ann = ann
        self.queries = np.ascontiguousarray(queries)
        self._vectors = vectors
        others = np.setdiff1d(np.arange(ann.count), held_out)
        self._bits = ann.select(others).bits
        # More than are needed, since those held out are among them.
        most = min(TUNING_KS[-1] + len(held_out), ann.count)
        rows, cosines = scan(self.queries, vectors, most)
        order = np.argsort(np.isin(rows, held_out), axis=1, kind="stable")[:, : min(TUNING_KS[-1], len(others))]
        self._cosines = np.take_along_axis(cosines, order, 1)
        self._lists = ann.lists.of_row[np.take_along_axis(rows, order, 1)].astype(np.int64)
        self._centroid_cosines = ann.centroids.cosines(self.queries)

    def of(self, selected: NDArray[np.int64]) -> _GroundTruth:
        """Some of the queries."""
        other = copy(self)
        for name in ("queries", "_cosines", "_lists", "_centroid_cosines"):
            setattr(other, name, getattr(self, name)[selected])
        return other

    def tuned(self, tuning: Tuning) -> _GroundTruth:
        """The same, of an index with this tuning."""
        other = copy(self)
        other.ann = self.ann.tuned(tuning)
        return other

    def fastest(self, tunings: Sequence[Tuning]) -> Tuning:
        """A tenth faster in a batch is worth as much as a tenth faster alone."""
        return min(tunings, key=lambda tuning: self.seconds(tuning) * self.seconds(tuning, at_once=1))

    @property
    def nearest(self) -> NDArray[np.float32]:
        """Cosine of the nearest centroid of each query."""
        return np.asarray(self._centroid_cosines.max(axis=1), np.float32)

    def search(self, tuning: Tuning, queries: NDArray[np.float32]) -> RankedRows:
        """The ten nearest of the others."""
        return self.ann.tuned(tuning).search(queries, TUNING_KS[0], bits=self._bits)

    def seconds(self, tuning: Tuning, *, at_once: int = 32) -> float:
        """What searches cost: of so few queries at once that one thread runs them.

        Of many in all, or what they read would stay in the processor's cache, which it does not while serving.
        """
        ann, queries = self.ann.tuned(tuning), self.queries[:: max(1, len(self.queries) // _TIMED_QUERIES)]
        blocks = [queries[start : start + at_once] for start in range(0, len(queries), at_once)]
        return _seconds(lambda: [ann.search(block, TUNING_KS[0], bits=self._bits) for block in blocks])

    def effort(self, nearest: float, share: float) -> Effort:
        """One whose limits hold for this share of the best rows."""
        reaches = tuple(self.reach(k, share) for k in TUNING_KS)
        gaps = tuple(self.gap(k, share)[1] for k in TUNING_KS)
        return Effort(nearest, reaches, CANDIDATES_A_RESULT[2], gaps=gaps)

    def reach(self, k: int, share: float) -> float:
        """How much further than a query's nearest centroid are those of this share of its k nearest rows."""
        return float(np.quantile(self._behind(self._centroid_cosines, k), share))

    def slack(self, axes: int, reach: float) -> float:
        """How much further behind the nearest seem those lists of the ten nearest rows that lie within a reach."""
        seen, *_ = self.ann.centroids.screened(Screen(axes)).coarse(self.queries, usual=-1.0)
        seems, lies = (self._behind(cosines) for cosines in (seen, self._centroid_cosines))
        return max(0.0, float(np.quantile((seems - lies)[lies <= reach], _SLACK_COVERAGE)))

    def _behind(self, cosines: NDArray[np.float32], k: int = TUNING_KS[0]) -> NDArray[np.float32]:
        """How much further than a query's nearest centroid are those of its k nearest rows [n_queries, k]."""
        behind = cosines.max(axis=1, keepdims=True) - np.take_along_axis(cosines, self._lists[:, :k], 1)
        return np.asarray(behind, np.float32)

    def recall(self, tuning: Tuning) -> float:
        """Recall@10: rows that are as near as the true ones count, so that equal ones may stand for each other."""
        k = min(TUNING_KS[0], self._cosines.shape[1])
        _, cosines = self.search(tuning, self.queries)
        return float((cosines[:, :k] >= self._cosines[:, k - 1 : k] - 1e-4).mean())

    def gap(self, k: int, share: float) -> tuple[float, float]:
        """The median cosine of the k-th best row, and how much further from the query the centroids of the best are."""
        kth = self._cosines[:, :k][:, -1:]
        gaps = kth - np.take_along_axis(self._centroid_cosines, self._lists[:, :k], 1)
        return float(np.median(kth)), float(np.quantile(gaps, share))

    def usual(self) -> float:
        """`Effort.usual`: a little below what nearly every query reaches, for a second look costs as much as many."""
        tenth = self._cosines[:, min(TUNING_KS[0], self._cosines.shape[1]) - 1]
        least, median = np.quantile(tenth, (_USUAL_SHARE, 0.5))
        return float(least - _USUAL_MARGIN * (median - least))

    def far_gap(self) -> tuple[float, float]:
        """The same among the rows of the lists that lie in a query's far half."""
        sample = np.arange(0, self.ann.count, max(1, self.ann.count // _FAR_ROWS))
        vectors, lists = self._vectors[sample], self.ann.lists.of_row[sample]
        kths, gaps = [], []
        for query, near in zip(self.queries[:_FAR_QUERIES], self._centroid_cosines, strict=False):
            rows = np.flatnonzero((near <= np.quantile(near, _FAR_SHARE))[lists])
            cosines = vectors[rows] @ query
            best = np.argsort(-cosines)[: TUNING_KS[0]]
            if len(best):
                kths.append(cosines[best[-1]])
                gaps.append(cosines[best[-1]] - near[lists[rows[best]]])
        return float(np.median(kths)), float(np.quantile(np.concatenate(gaps), _FAR_GAP_COVERAGE))

    def scan_rows(self, tuning: Tuning) -> int:
        """The largest selection of which all rows are scored faster than it is searched."""
        ann, queries, k = self.ann.tuned(tuning), self.queries[:32], TUNING_KS[0]
        largest = 0
        for share in _SHARES:
            rows = np.arange(0, ann.count, round(1 / share))
            selection, vectors = ann.select(rows), np.ascontiguousarray(self._vectors[rows])
            scanned = _seconds(lambda v=vectors: scan(queries, v, k))  # type: ignore[misc]
            searched = _seconds(lambda s=selection: ann.search_selected(queries, k, s))  # type: ignore[misc]
            if scanned > searched:
                break
            largest = len(rows)
        return largest


def _seconds(function: Callable[[], object]) -> float:
    """Processor time of this thread, the least of a few calls, after one to warm up."""
    function()
    times = []
    for _ in range(_TIMED_RUNS):
        start = time.thread_time()
        function()
        times.append(time.thread_time() - start)
    return min(times)
