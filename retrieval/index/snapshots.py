"""Index snapshots on disk: a directory that is written once, checksummed, and switched to by one rename.

    <root>/<space>/<granularity>/CURRENT -> r000000000042-1a2b3c4d
    <root>/<space>/<granularity>/r000000000042-1a2b3c4d/manifest.json, index.faiss, track_ids.npy, spans_s.npy

A row is a track, or one of its segments. `track_ids` ascend, so the rows of a track are found by binary search. Inner
product on unit vectors is the cosine. Up to `FLAT_LIMIT` rows stand as float32 in a flat index; more stand as float16
in the approximate index of :mod:`retrieval.index.ann.ann_index`, whose servers share the memory-mapped file.
"""

import fcntl
import hashlib
import json
import logging
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from retrieval.errors import IndexMismatchError
from retrieval.index.ann.stopping import RECALL_TARGET, Tuning
from retrieval.index.ascending import distinct
from retrieval.index.faiss_threads import faiss
from retrieval.index.flat import FlatIndex, build_flat
from retrieval.index.gpu.gpu_index import GpuCodes, GpuIndex
from retrieval.index.row_index import RowIndex

if TYPE_CHECKING:
    from retrieval.index.ann.ann_index import AnnIndex

logger = logging.getLogger(__name__)

FORMAT = 3
FLAT_LIMIT = 20_000
RETRAIN_AFTER_GROWTH = 2
CURRENT = "CURRENT"
_FILES = ("index.faiss", "track_ids.npy", "spans_s.npy")


@dataclass(frozen=True)
class Manifest:
    """What a snapshot holds.

    Attributes
    ----------
    revision : the catalogue's revision up to which the snapshot follows it
    rows, count : rows, and tracks that they belong to
    trained_rows : rows that there were when the lists of an approximate index were trained
    tuning : of an approximate index, from when it was trained; its recall@10 was measured on held-out queries
    sha256 : of every other file, by name
    """

    space: str
    granularity: str
    encoder_version: str
    dim: int
    revision: int
    rows: int = 0
    count: int = 0
    metric: str = "cosine"
    kind: str = "flat"
    trained_rows: int = 0
    tuning: Tuning | None = None
    format: int = FORMAT
    created: str = ""
    sha256: dict[str, str] | None = None

    @property
    def recall(self) -> float:
        """Recall@10 that an unfiltered search reaches."""
        return 1.0 if self.tuning is None else self.tuning.recall


@dataclass(frozen=True)
class Snapshot:
    """An opened snapshot.

    Attributes
    ----------
    index : as it is stored, the truth about the vectors
    track_ids : int64 [rows], ascending: the track of every row
    spans_s : float32 [rows, 2], from where to where it lasts
    gpu : what searches in place of `index`, as long as the GPU lasts; none without one
    """

    path: Path
    manifest: Manifest
    index: "FlatIndex | AnnIndex"
    track_ids: NDArray[np.int64]
    spans_s: NDArray[np.float32]
    gpu: GpuIndex | GpuCodes | None = None

    @property
    def name(self) -> str:
        """What `CURRENT` points to, while it is the current one."""
        return self.path.name

    @property
    def searched(self) -> RowIndex[Any]:
        """The index to search: not always the same."""
        return self.index if self.gpu is None or self.gpu.is_lost else self.gpu

    def path_of(self, *, filtered: bool, deleted: bool) -> str:
        """How the index that is searched goes about it: `Neighbors.path`."""
        if self.gpu is None or self.gpu.is_lost:
            return "exact" if self.manifest.kind == "flat" else self.manifest.kind
        return self.gpu.path_of(filtered=filtered, deleted=deleted)

    @cached_property
    def first_rows(self) -> NDArray[np.bool_]:
        """The first row of every track, bool [rows]."""
        first: NDArray[np.bool_] = np.diff(self.track_ids, prepend=-1) != 0
        return first


def build_snapshot(
    directory: Path,
    manifest: Manifest,
    track_ids: NDArray[np.int64],
    vectors: NDArray[np.float32],
    spans_s: NDArray[np.float32],
    *,
    like: Snapshot | None = None,
    recall: float = RECALL_TARGET,
) -> Manifest:
    """Write a snapshot beside the current one, switch to it, and return its complete manifest.

    Nothing is written where the current one is of the same encoder version and a later revision; its manifest is
    returned then.

    Parameters
    ----------
    directory : the snapshots of one space and granularity; who shares it with others holds it by `exclusive`
    manifest : space, granularity, encoder version, dim and revision; the rest is filled in here
    track_ids : int64 [rows]
    vectors : float32 [rows, dim], L2 norm 1
    spans_s : float32 [rows, 2], start and end
    like : the snapshot before, whose training is good enough for up to twice the rows that it was made on
    recall : recall@10 that an approximate index is tuned to when it is trained
    """
    current = current_manifest(directory)
    if current is not None and _is_newer(current, manifest):
        logger.info("%s: revision %d is there already, not %d", directory, current.revision, manifest.revision)
        return current
    if (np.diff(track_ids) < 0).any():  # else a copy of everything is spared
        order = np.argsort(track_ids, kind="stable")
        track_ids, vectors, spans_s = track_ids[order], vectors[order], spans_s[order]
    vectors = np.ascontiguousarray(vectors, dtype=np.float32)
    for leftover in directory.glob(".building-*"):
        shutil.rmtree(leftover)
    name = f"r{manifest.revision:012d}-{uuid.uuid4().hex[:8]}"
    building = directory / f".building-{name}"
    building.mkdir(parents=True)
    index, trained_rows = _built(vectors, like, recall)
    faiss.write_index(index.index, str(building / "index.faiss"))
    np.save(building / "track_ids.npy", track_ids)
    np.save(building / "spans_s.npy", spans_s.astype(np.float32))
    complete = replace(
        manifest,
        rows=len(track_ids),
        count=len(distinct(track_ids)),
        kind="flat" if isinstance(index, FlatIndex) else "ivf",
        trained_rows=trained_rows,
        tuning=None if isinstance(index, FlatIndex) else index.tuning,
        created=datetime.now(UTC).isoformat(),
        sha256={file: _sha256(building / file) for file in _FILES},
    )
    for file in _FILES:
        _fsync(building / file)
    _write_manifest(building / "manifest.json", asdict(complete))
    building.rename(directory / name)
    _switch(directory, name)
    return complete


def _is_newer(current: Manifest, other: Manifest) -> bool:
    return current.encoder_version == other.encoder_version and current.revision > other.revision


def _built(vectors: NDArray[np.float32], like: Snapshot | None, recall: float) -> "tuple[FlatIndex | AnnIndex, int]":
    if len(vectors) <= FLAT_LIMIT:
        return build_flat(vectors), 0
    from retrieval.index.ann.tuning import build, refill

    if like is not None and not isinstance(like.index, FlatIndex) and like.index.fits(vectors.shape[1], recall):
        trained = like.manifest.trained_rows
        if trained / RETRAIN_AFTER_GROWTH <= len(vectors) <= trained * RETRAIN_AFTER_GROWTH:
            index = faiss.read_index(str(like.path / "index.faiss"))
            return refill(index, like.index.tuning, vectors), trained
    return build(vectors, target=recall), len(vectors)


def current_name(directory: Path) -> str | None:
    """The name of the current snapshot, or none."""
    try:
        return os.readlink(directory / CURRENT)
    except FileNotFoundError:
        return None


def current_manifest(directory: Path) -> Manifest | None:
    """What the current snapshot says of itself; none where there is none, or none that this version reads."""
    name = current_name(directory)
    try:
        return None if name is None else _read_manifest(directory / name)
    except IndexMismatchError:
        return None


def open_snapshot(directory: Path, *, space: str, granularity: str = "track") -> Snapshot:
    """Open the current snapshot, memory-mapped, after checking it against its manifest.

    Raises
    ------
    IndexMismatchError
        If a file is missing, truncated or foreign, or the manifest is of another space or format.
    """
    path = directory / str(current_name(directory))
    manifest = _read_manifest(path)
    for what, found, expected in (("space", manifest.space, space), ("granularity", manifest.granularity, granularity)):
        if found != expected:
            raise IndexMismatchError(f"{path}: of {what} {found!r}, expected {expected!r}")
    for file, expected in (manifest.sha256 or {}).items():
        actual = _sha256(path / file) if (path / file).exists() else "no file"
        if actual != expected:
            raise IndexMismatchError(
                f"{path / file}: sha256 {actual}, the manifest says {expected}: run `soundalike rebuild`"
            )
    flat = manifest.tuning is None
    index = faiss.read_index(str(path / "index.faiss"), 0 if flat else faiss.IO_FLAG_MMAP_IFC)
    if (index.d, index.ntotal) != (manifest.dim, manifest.rows):
        raise IndexMismatchError(
            f"{path}: index of {index.ntotal} × {index.d}, the manifest says {manifest.rows} × {manifest.dim}"
        )
    rows = [np.load(path / file, allow_pickle=False) for file in _FILES[1:]]
    return Snapshot(path, manifest, _searchable(index, manifest.tuning), *rows)


def _searchable(index: Any, tuning: Tuning | None) -> "FlatIndex | AnnIndex":
    if tuning is None:
        return FlatIndex(index)
    from retrieval.index.ann.ann_index import AnnIndex  # compiled loops, which a small catalogue does not wait for

    return AnnIndex(index, tuning)


def rename_space(index_root: Path, old: str, new: str) -> None:
    """Make a space's snapshots those of its new name; nothing happens where there are none, or some of the new name.

    Their files stay as they are. The manifests are rewritten first, each in one step, and the folder is renamed last:
    whoever is stopped between leaves `old` in its place, and the next to come goes on. Several may come at once.
    """
    if not (index_root / old).is_dir():
        return
    with exclusive(index_root):
        if not (index_root / old).is_dir() or (index_root / new).exists():
            return
        for path in (index_root / old).glob("*/r*/manifest.json"):
            # A damaged one is told of when it is opened.
            with suppress(ValueError, TypeError, LookupError, AttributeError):
                manifest = json.loads(path.read_text(encoding="utf-8"))
                version = re.sub(f"^{old}-", f"{new}-", manifest["encoder_version"])
                _write_manifest(path, manifest | {"space": new, "encoder_version": version})
        (index_root / old).rename(index_root / new)
        _fsync(index_root)


def _write_manifest(path: Path, manifest: dict[str, Any]) -> None:
    beside = path.with_name(".manifest.json")
    beside.write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    _fsync(beside)
    beside.rename(path)
    _fsync(path.parent)


@contextmanager
def exclusive(directory: Path) -> Iterator[None]:
    """Hold the snapshots of a directory against all other processes and threads that would write there; they wait."""
    directory.mkdir(parents=True, exist_ok=True)
    with (directory / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _read_manifest(path: Path) -> Manifest:
    try:
        raw = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
        found = raw.get("format")
        if found != FORMAT:
            raise IndexMismatchError(f"{path}: format {found}, this version reads {FORMAT}: run `soundalike rebuild`")
        return TypeAdapter(Manifest).validate_python(raw)
    except (OSError, ValueError, KeyError, AttributeError) as error:
        raise IndexMismatchError(
            f"{path}: the manifest cannot be read ({error!r}): run `soundalike rebuild`"
        ) from error


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
