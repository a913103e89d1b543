"""Index snapshots on disk: a directory that is written once, checksummed, and switched to by one rename.

    <root>/<space>/track/CURRENT -> r000000000042-1a2b3c4d
    <root>/<space>/track/r000000000042-1a2b3c4d/manifest.json, index.faiss, track_ids.npy

`track_ids` ascend, so a row of the FAISS index is found from a track by binary search. Inner product on unit vectors is
the cosine. Vectors stand as float32 in a flat index up to `FLAT_LIMIT` rows, beyond it as float16 in an IVF whose
`nprobe` is the smallest power of two that reaches `RECALL_TARGET` on rows of the index itself.
"""

import fcntl
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.errors import IndexMismatchError

try:
    import faiss
except ModuleNotFoundError as error:
    raise ImportError("FAISS is missing: install soundalike[cpu] or soundalike[gpu], never both") from error

FORMAT = 1
FLAT_LIMIT = 50_000
RECALL_TARGET = 0.99
TUNING_QUERIES = 256
TUNING_K = 10
MIN_ROWS_TO_TRAIN_A_LIST = 39  # below, FAISS's clustering warns
MAX_ROWS_TO_TRAIN_A_LIST = 64
CURRENT = "CURRENT"
_FILES = ("index.faiss", "track_ids.npy")


@dataclass(frozen=True)
class Manifest:
    """What a snapshot holds.

    Attributes
    ----------
    revision : the catalogue's revision up to which the snapshot follows it
    nprobe, recall : lists searched by default and recall@10 measured with it; 0 and 1.0 for a flat index
    sha256 : of every other file, by name
    """

    space: str
    granularity: str
    encoder_version: str
    dim: int
    count: int
    revision: int
    metric: str = "cosine"
    kind: str = "flat"
    nprobe: int = 0
    recall: float = 1.0
    format: int = FORMAT
    created: str = ""
    sha256: dict[str, str] | None = None


@dataclass(frozen=True)
class Snapshot:
    """An opened snapshot: `index` row i belongs to `track_ids[i]` (int64 [count], ascending)."""

    name: str
    manifest: Manifest
    index: Any
    track_ids: NDArray[np.int64]

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors of these rows, float32 [len(rows), dim]."""
        if self.manifest.kind == "flat":
            matrix = faiss.rev_swig_ptr(self.index.get_xb(), self.manifest.count * self.manifest.dim)
            selected: NDArray[np.float32] = matrix.reshape(self.manifest.count, self.manifest.dim)[rows]
        else:
            selected = self.index.reconstruct_batch(rows)
        return selected


def build_snapshot(
    directory: Path, manifest: Manifest, track_ids: NDArray[np.int64], vectors: NDArray[np.float32]
) -> Manifest:
    """Write a snapshot beside the current one, switch to it, and return its complete manifest.

    Parameters
    ----------
    directory : the space's directory of snapshots
    manifest : space, granularity, encoder version, dim and revision; the rest is filled in here
    track_ids : int64 [count], unique
    vectors : float32 [count, dim], L2 norm 1
    """
    order = np.argsort(track_ids)
    track_ids, vectors = track_ids[order], np.ascontiguousarray(vectors[order], dtype=np.float32)
    with _exclusive(directory):
        _remove_unfinished(directory)
        name = f"r{manifest.revision:012d}-{uuid.uuid4().hex[:8]}"
        building = directory / f".building-{name}"
        building.mkdir()
        index, tuned = _build_index(vectors, manifest)
        faiss.write_index(index, str(building / "index.faiss"))
        np.save(building / "track_ids.npy", track_ids)
        checksums = {file: _sha256(building / file) for file in _FILES}
        complete = replace(tuned, count=len(track_ids), created=datetime.now(UTC).isoformat(), sha256=checksums)
        (building / "manifest.json").write_text(json.dumps(asdict(complete), indent=1) + "\n", encoding="utf-8")
        for file in (*_FILES, "manifest.json"):
            _fsync(building / file)
        _fsync(building)
        building.rename(directory / name)
        _switch(directory, name)
    return complete


def current_name(directory: Path) -> str | None:
    """The name of the current snapshot, or none."""
    try:
        return os.readlink(directory / CURRENT)
    except FileNotFoundError:
        return None


def open_snapshot(directory: Path, *, space: str) -> Snapshot:
    """Open the current snapshot, memory-mapped, after checking it against its manifest.

    Raises
    ------
    IndexMismatchError
        If a file is missing, truncated or foreign, or the manifest is of another space or format.
    """
    name = current_name(directory)
    path = directory / str(name)
    try:
        raw = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        found = raw.get("format")
        if found != FORMAT:
            raise IndexMismatchError(f"{path}: format {found}, this version reads {FORMAT}")
        manifest = Manifest(**{field.name: raw[field.name] for field in fields(Manifest)})
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise IndexMismatchError(
            f"{path}: the manifest cannot be read ({error!r}): run `soundalike rebuild`"
        ) from error
    if manifest.space != space:
        raise IndexMismatchError(f"{path}: of space {manifest.space!r}, expected {space!r}")
    for file, expected in (manifest.sha256 or {}).items():
        actual = _sha256(path / file) if (path / file).exists() else "no file"
        if actual != expected:
            raise IndexMismatchError(
                f"{path / file}: sha256 {actual}, the manifest says {expected}: run `soundalike rebuild`"
            )
    index = faiss.read_index(str(path / "index.faiss"), faiss.IO_FLAG_MMAP if manifest.kind == "ivf" else 0)
    if (index.d, index.ntotal) != (manifest.dim, manifest.count):
        raise IndexMismatchError(
            f"{path}: index of {index.ntotal} × {index.d}, the manifest says {manifest.count} × {manifest.dim}"
        )
    return Snapshot(str(name), manifest, index, np.load(path / "track_ids.npy", allow_pickle=False))


def _build_index(vectors: NDArray[np.float32], manifest: Manifest) -> tuple[Any, Manifest]:
    count, dim = vectors.shape
    if count <= FLAT_LIMIT:
        flat = faiss.IndexFlatIP(dim)
        flat.add(vectors)
        return flat, replace(manifest, kind="flat", nprobe=0, recall=1.0)
    nlist = max(1, min(int(4 * np.sqrt(count)), count // MIN_ROWS_TO_TRAIN_A_LIST))
    index = faiss.index_factory(dim, f"IVF{nlist},SQfp16", faiss.METRIC_INNER_PRODUCT)
    index.by_residual = False  # so that a row is exactly the float16 that PostgreSQL holds
    rng = np.random.default_rng(0)
    rows = rng.choice(count, size=min(count, nlist * MAX_ROWS_TO_TRAIN_A_LIST), replace=False)
    index.train(vectors[rows])
    index.set_direct_map_type(faiss.DirectMap.Array)
    index.add(vectors)
    nprobe, recall = _tune(index, vectors, rng)
    return index, replace(manifest, kind="ivf", nprobe=nprobe, recall=recall)


def _tune(index: Any, vectors: NDArray[np.float32], rng: np.random.Generator) -> tuple[int, float]:
    queries = vectors[rng.choice(len(vectors), size=min(len(vectors), TUNING_QUERIES), replace=False)]
    _, truth = faiss.knn(queries, vectors, TUNING_K, metric=faiss.METRIC_INNER_PRODUCT)
    nprobe, recall = 1, 0.0
    while True:
        _, found = index.search(queries, TUNING_K, params=faiss.SearchParametersIVF(nprobe=nprobe))
        hits = sum(len(np.intersect1d(a, b)) for a, b in zip(found, truth, strict=True))
        recall = hits / truth.size
        if recall >= RECALL_TARGET or nprobe >= index.nlist:
            return min(nprobe, index.nlist), recall
        nprobe *= 2


@contextmanager
def _exclusive(directory: Path) -> Iterator[None]:
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _remove_unfinished(directory: Path) -> None:
    for leftover in directory.glob(".building-*"):
        shutil.rmtree(leftover)


def _switch(directory: Path, name: str) -> None:
    previous = current_name(directory)
    link = directory / f".{CURRENT}"
    link.unlink(missing_ok=True)
    link.symlink_to(name)
    link.rename(directory / CURRENT)
    _fsync(directory)
    # The previous snapshot stays: a reader may be between reading the link and opening the files.
    for old in directory.glob("r*"):
        if old.name not in (name, previous):
            shutil.rmtree(old)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
