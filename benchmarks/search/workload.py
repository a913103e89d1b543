"""What every engine is asked: queries, filters and the true answers, in files that all processes share.

A filter is a set of rows. For each share of all rows there are three kinds:

- random: rows drawn at random; asked with queries from everywhere.
- near: the rows with the highest cosine to an anchor, a held-out vector; asked with the held-out vectors nearest to the
  anchor, so the filter wants the region that the query is in ("jazz" for a jazz track).
- far: the rows with the lowest cosine to the same anchor, asked with the same queries ("jazz" for a metal track).

The truth is a scan of the matching rows. A result counts when it matches the filter and its cosine is at least that of
the true tenth less `TIE`, so engines that order equal cosines differently, or store float16, are judged alike.

A workload stays in its folder and serves whoever asks for the same vectors; one with filters serves without as well.
"""

import json
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from benchmarks.search.vectors import CHUNK, Vectors

K = 10
QUERIES = 1_000
TIE = 1e-4
SAME = 1e-3  # values that differ by less are the same vector, rounded on another machine
SHARES = (0.001, 0.01, 0.1, 0.5)
KINDS = ("random", "near", "far")


@dataclass(frozen=True)
class Case:
    """Queries with one filter, or with none.

    Attributes
    ----------
    label : row of the workload's labels that the filter asks for; none without a filter
    queries : which of the two sets of queries is asked
    """

    kind: str
    share: float
    label: int | None
    queries: str

    def __str__(self) -> str:
        return self.kind if self.label is None else f"{self.kind}, {self.share * 100:g} %"


def cases() -> list[Case]:
    """No filter, then every kind and share."""
    pairs = [(kind, share) for kind in KINDS for share in SHARES]
    filtered = [
        Case(kind, share, label, "everywhere" if kind == "random" else "region")
        for label, (kind, share) in enumerate(pairs)
    ]
    return [Case("no filter", 1.0, None, "everywhere"), *filtered]


@dataclass(frozen=True)
class Workload:
    """The files in `folder`: vectors float16 [n, dim], labels bool [filters, n], queries float32 [1000, dim].

    Attributes
    ----------
    filters : whether it has them; without, there are no labels
    prepared : when, which tells two workloads of one size apart
    """

    folder: Path
    n: int
    dim: int
    filters: bool
    prepared: str

    def __str__(self) -> str:
        return f"{self.n:,} × {self.dim}, {'with' if self.filters else 'without'} filters, of {self.prepared}"

    def cases(self) -> list[Case]:
        """What can be asked."""
        return [case for case in cases() if self.filters or case.label is None]

    def chunks(self) -> Iterator[NDArray[np.float32]]:
        """The vectors in pieces, float32 [≤ CHUNK, dim]; nothing of them stays mapped."""
        for start in range(0, self.n, CHUNK):
            rows = np.load(self.folder / "vectors.npy", mmap_mode="r")
            yield rows[start : start + CHUNK].astype(np.float32)

    def all(self) -> NDArray[np.float32]:
        """Every vector, float32 [n, dim]."""
        every = np.empty((self.n, self.dim), np.float32)
        for start, chunk in zip(range(0, self.n, CHUNK), self.chunks(), strict=True):
            every[start : start + len(chunk)] = chunk
        return every

    def sample(self, size: int) -> NDArray[np.float32]:
        """Rows to train on, drawn at random: float32 [≤ size, dim]."""
        rows = np.sort(np.random.default_rng(0).choice(self.n, size=min(size, self.n), replace=False))
        return np.load(self.folder / "vectors.npy", mmap_mode="r")[rows].astype(np.float32)

    def labels(self) -> NDArray[np.bool_]:
        """Whether rows match, bool [filters, n]."""
        labels: NDArray[np.bool_] = np.load(self.folder / "labels.npy")
        return labels

    def queries(self, case: Case) -> NDArray[np.float32]:
        """The queries of a case, float32 [1000, dim]."""
        queries: NDArray[np.float32] = np.load(self.folder / f"{case.queries}.npy")
        return queries

    def recall(self, case: Case, found: NDArray[np.int64]) -> tuple[float, bool]:
        """Recall@10 of the answers, int64 [≤ 1000, 10] with −1 for none, and whether any is shorter than need be."""
        asked = len(found)
        truth = np.load(self.folder / f"truth {case}.npy")[:asked]
        vectors = np.load(self.folder / "vectors.npy", mmap_mode="r")
        wanted = np.isfinite(truth).sum(axis=1)
        threshold = truth[np.arange(asked), wanted - 1] - TIE
        rows = np.where(found >= 0, found, 0)
        gathered = vectors[rows.ravel()].astype(np.float32).reshape(*rows.shape, -1)
        cosines = np.einsum("qkd,qd->qk", gathered, self.queries(case)[:asked])
        good = (found >= 0) & (cosines >= threshold[:, np.newaxis])
        if case.label is not None:
            good &= np.load(self.folder / "labels.npy", mmap_mode="r")[case.label][rows]
        # An engine that names a row twice gets it once.
        hits = [len(np.unique(row[ok])) for row, ok in zip(found, good, strict=True)]
        short = (found >= 0).sum(axis=1) < wanted
        return float(np.sum(np.minimum(hits, wanted)) / wanted.sum()), bool(short.any())


def kept_or_prepared(vectors: Vectors, folder: Path, *, filters: bool) -> Workload:
    """The workload that `folder` keeps, if it is over these vectors and has the filters; else one prepared anew."""
    record = folder / "workload.json"
    if record.exists():
        kept = Workload(folder, **json.loads(record.read_text(encoding="utf-8")))
        if _serves(kept, vectors, filters=filters):
            return kept
        print(f"the kept workload ({kept}) is another than asked for: prepared anew", file=sys.stderr)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    workload = Workload(folder, vectors.n, vectors.dim, filters, datetime.now(UTC).isoformat())
    _prepare(workload, vectors)
    # Written last: what was interrupted is not kept.
    described = {name: value for name, value in asdict(workload).items() if name != "folder"}
    record.write_text(json.dumps(described), encoding="utf-8")
    return workload


def _serves(kept: Workload, vectors: Vectors, *, filters: bool) -> bool:
    if (kept.n, kept.dim) != (vectors.n, vectors.dim) or (filters and not kept.filters):
        return False
    return np.allclose(next(kept.chunks()), next(vectors.chunks()), atol=SAME)


def _prepare(workload: Workload, vectors: Vectors) -> None:
    folder = workload.folder
    stored = np.lib.format.open_memmap(folder / "vectors.npy", "w+", np.float16, (vectors.n, vectors.dim))
    for start, chunk in zip(range(0, vectors.n, CHUNK), vectors.chunks(), strict=True):
        stored[start : start + len(chunk)] = chunk
    stored.flush()
    everywhere, region, anchor = _queries(vectors)
    np.save(folder / "everywhere.npy", everywhere)
    np.save(folder / "region.npy", region)
    np.save(folder / "labels.npy", _labels(workload, anchor))
    _write_truth(workload)


def _queries(vectors: Vectors) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    """Held-out vectors from everywhere, those nearest to an anchor, and the anchor."""
    pool = np.concatenate([piece.astype(np.float32) for piece in vectors.held_out()])
    rng = np.random.default_rng(0)
    drawn = rng.permutation(len(pool))
    anchor = pool[drawn[0]]
    nearest = np.argsort(-(pool @ anchor), kind="stable")[1 : QUERIES + 1]
    region = pool[rng.permutation(nearest)]
    return _unit(pool[drawn[1 : QUERIES + 1]]), _unit(region), anchor


def _labels(workload: Workload, anchor: NDArray[np.float32]) -> NDArray[np.bool_]:
    if not workload.filters:
        return np.zeros((0, workload.n), bool)
    rng = np.random.default_rng(1)
    order = {
        "random": rng.permutation(workload.n),
        "near": np.argsort(-np.concatenate([chunk @ anchor for chunk in workload.chunks()]), kind="stable"),
    }
    order["far"] = order["near"][::-1]
    labels = np.zeros((len(KINDS) * len(SHARES), workload.n), bool)
    for case in cases():
        if case.label is not None:
            labels[case.label, order[case.kind][: max(1, round(case.share * workload.n))]] = True
    return labels


def _write_truth(workload: Workload) -> None:
    """The cosines of the ten nearest matching rows, best first and −inf where fewer match, for every case."""
    labels = workload.labels()
    best = {case: np.full((len(workload.queries(case)), K), -np.inf, np.float32) for case in workload.cases()}
    for start, chunk in zip(range(0, workload.n, CHUNK), workload.chunks(), strict=True):
        for case, known in best.items():
            rows = chunk if case.label is None else chunk[labels[case.label, start : start + len(chunk)]]
            if len(rows):
                metric = faiss.METRIC_INNER_PRODUCT
                cosines, _ = faiss.knn(workload.queries(case), rows, min(K, len(rows)), metric=metric)
                best[case] = -np.sort(-np.concatenate([known, cosines], axis=1), axis=1)[:, :K]
    for case, cosines in best.items():
        np.save(workload.folder / f"truth {case}.npy", cosines)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit
