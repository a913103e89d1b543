"""Vectors to search: made ones in clusters, or embeddings from a file; each with held-out queries of the same kind.

Vectors are float16 with L2 norm 1 (up to that rounding), as the product stores them, in pieces of `CHUNK` rows, so that
ten million never stand in memory at once. A row of the made ones depends on the seed and its position only: the first
100,000 of a million are the hundred thousand.

Made vectors are hierarchical: a super-cluster, a cluster in it, a point in that. Every level is Gaussian with a falling
spectrum, because embeddings fill few of their dimensions; a rotation keeps the spectrum off the axes.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

CHUNK = 65_536
SUPER_CLUSTERS = 1_000
CLUSTERS_EACH = 20
CLUSTER_SPREAD = 0.7
POINT_SPREAD = 0.6
SPECTRUM = 0.5
HELD_OUT_SHARE = 0.1
MAX_HELD_OUT = 100_000


class Vectors(Protocol):
    """A data set of `n` rows with `dim` columns."""

    n: int
    dim: int

    def chunks(self) -> Iterator[NDArray[np.float16]]:
        """The rows in order, in pieces of at most `CHUNK`."""
        ...

    def held_out(self) -> Iterator[NDArray[np.float16]]:
        """Rows of the same kind that are not among these, in pieces."""
        ...


@dataclass(frozen=True)
class Clustered:
    """Made vectors, see above."""

    n: int
    dim: int
    seed: int = 0

    def chunks(self) -> Iterator[NDArray[np.float16]]:
        """The rows in order, in pieces of at most `CHUNK`."""
        return self._drawn(self.n, stream=1)

    def held_out(self) -> Iterator[NDArray[np.float16]]:
        """Rows of the same kind that are not among these, in pieces."""
        return self._drawn(MAX_HELD_OUT, stream=2)

    def _drawn(self, count: int, *, stream: int) -> Iterator[NDArray[np.float16]]:
        rng = np.random.default_rng([self.seed, 0])
        scale = np.arange(1, self.dim + 1, dtype=np.float32) ** -SPECTRUM
        scale /= np.linalg.norm(scale)
        rotation = np.linalg.qr(rng.standard_normal((self.dim, self.dim)))[0].astype(np.float32)
        shape = (SUPER_CLUSTERS, CLUSTERS_EACH, self.dim)
        centres = rng.standard_normal((SUPER_CLUSTERS, 1, self.dim), dtype=np.float32) * scale
        centres = (centres + CLUSTER_SPREAD * rng.standard_normal(shape, dtype=np.float32) * scale).reshape(
            -1, self.dim
        )
        # Sizes of super-clusters differ as those of genres do.
        share = np.repeat(rng.gamma(1.0, size=SUPER_CLUSTERS), CLUSTERS_EACH)
        share /= share.sum()
        for number, start in enumerate(range(0, count, CHUNK)):
            rng = np.random.default_rng([self.seed, stream, number])
            cluster = rng.choice(len(centres), size=CHUNK, p=share)[: count - start]
            points = rng.standard_normal((len(cluster), self.dim), dtype=np.float32) * (POINT_SPREAD * scale)
            yield _unit((centres[cluster] + points) @ rotation)


@dataclass(frozen=True)
class FileVectors:
    """`n` rows of a file of embeddings, float16 [rows, dim], in the file's order.

    Attributes
    ----------
    strangers : whether the last tenth of the file is held out, music of which no row is, rather than a tenth drawn from
        all over the file, music of which most is among the rows
    """

    path: Path
    n: int
    strangers: bool = False

    def __post_init__(self) -> None:
        rows, held_out = len(np.load(self.path, mmap_mode="r")), self._held_out.sum()
        if self.n > rows - held_out:
            raise ValueError(f"{self.path}: {rows} rows, less {held_out} held out, are fewer than {self.n}")

    @property
    def dim(self) -> int:
        """Columns of the file."""
        return int(np.load(self.path, mmap_mode="r").shape[1])

    def chunks(self) -> Iterator[NDArray[np.float16]]:
        """The rows in order, in pieces of at most `CHUNK`."""
        return self._read(np.flatnonzero(~self._held_out)[: self.n])

    def held_out(self) -> Iterator[NDArray[np.float16]]:
        """Rows of the same kind that are not among these, in pieces."""
        return self._read(np.flatnonzero(self._held_out))

    @property
    def _held_out(self) -> NDArray[np.bool_]:
        rows = len(np.load(self.path, mmap_mode="r"))
        order = np.arange(rows) if self.strangers else np.random.default_rng(0).permutation(rows)
        held_out = np.zeros(rows, bool)
        held_out[order[rows - min(int(rows * HELD_OUT_SHARE), MAX_HELD_OUT) :]] = True
        return held_out

    def _read(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.float16]]:
        every = np.load(self.path, mmap_mode="r")
        for start in range(0, len(rows), CHUNK):
            yield _unit(every[rows[start : start + CHUNK]].astype(np.float32))


def clustered(n: int, dim: int, seed: int = 0) -> Clustered:
    """`n` made vectors of `dim` dimensions."""
    return Clustered(n, dim, seed)


def segments(path: Path, n: int, *, strangers: bool = False) -> FileVectors:
    """`n` embeddings of a file that numpy reads; as strangers, its queries are of other music."""
    return FileVectors(path, n, strangers)


def _unit(vectors: NDArray[np.float32]) -> NDArray[np.float16]:
    unit: NDArray[np.float16] = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16)
    return unit
