"""The index of a snapshot on a GPU, made when it is opened, where FAISS and torch both find a GPU.

What it is follows from the room there is, `SHARE` of the free memory:

- ``gpu``: all vectors as float16, every one scored: FAISS's brute force (Johnson, Douze & Jégou, "Billion-scale
  similarity search with GPUs", IEEE Transactions on Big Data 2021), and the masked scan of
  :mod:`retrieval.index.gpu.matrix` over the same matrix for a filter and for what was deleted. Exact.
- ``gpu-cagra``: the same, and where FAISS was built with cuVS, for large catalogues, a graph over that matrix for
  searches without a filter (Ootomo et al., "CAGRA", ICDE 2024).
- ``gpu-ivf-pq``: product codes in inverted lists, where the vectors do not fit. Only for searches without a filter; the
  candidates are ranked by the vectors that the stored index holds, which does everything else as well.

FAISS's resources are not safe to share between threads, so searches run one at a time, those that wait together as one.
When the GPU fails, mostly for want of memory, it is given up for this snapshot: one line in the log, and the stored
index answers from then on. FAISS and torch say all that by `RuntimeError`. Processes do not share what they hold on a
GPU: serve with threads. An empty ``CUDA_VISIBLE_DEVICES`` leaves the GPU alone.
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np

from retrieval.index.batching import Batches
from retrieval.index.faiss_threads import faiss
from retrieval.index.row_index import IndexLostError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from retrieval.index.ann.ann_index import AnnIndex
    from retrieval.index.faiss_threads import RankedRows
    from retrieval.index.gpu.faiss_search import Nearest
    from retrieval.index.gpu.matrix import Matrix, MatrixSelection
    from retrieval.index.row_index import RowIndex

logger = logging.getLogger(__name__)

SHARE = 0.7
CAGRA_ROWS = 1_000_000
_SCAN_ROWS = 1_000
_MIN_CANDIDATES, _MOST_CANDIDATES = 256, 2_048
_CANDIDATES_A_RESULT = 6

HeldT = TypeVar("HeldT")
T = TypeVar("T")


def on_gpu(index: AnnIndex) -> GpuIndex | GpuCodes | None:
    """The index on the GPU; none without a GPU, or without room on it, which is logged."""
    if not faiss.get_num_gpus():
        return None
    import torch  # takes seconds, and is of no use without a GPU

    if not torch.cuda.is_available():
        return None
    try:
        return _placed(index)
    except RuntimeError as error:
        logger.warning("no GPU for %d vectors, the CPU searches them: %s", index.count, _first_line(error))
    torch.cuda.empty_cache()
    return None


def _placed(index: AnnIndex) -> GpuIndex | GpuCodes:
    import torch

    from retrieval.index.gpu import faiss_search as gpu_faiss
    from retrieval.index.gpu import matrix as gpu_scan

    torch.cuda.empty_cache()
    room = SHARE * torch.cuda.mem_get_info()[0] - gpu_scan.WORK_BYTES - gpu_faiss.TEMPORARY_BYTES
    size = 2 * index.count * index.dim
    provider = gpu_faiss.resources()
    if size > room:
        return GpuCodes(index, gpu_faiss.coded(index, provider))
    matrix = gpu_scan.Matrix(gpu_scan.uploaded(index, "cuda"))
    has_graph = hasattr(faiss, "GpuIndexCagra") and index.count >= CAGRA_ROWS and index.dim % 8 == 0
    if has_graph and size + gpu_faiss.GRAPH_BYTES_A_ROW * index.count <= room:
        return GpuIndex(index, matrix, gpu_faiss.graph_walk(matrix, provider), path="gpu-cagra")
    return GpuIndex(index, matrix, gpu_faiss.brute_force(matrix, provider))


class _Held(Generic[HeldT]):
    """Something on the GPU, used by one thread at a time, and let go for good when the GPU fails."""

    def __init__(self, held: HeldT, count: int) -> None:
        self._held: HeldT | None = held
        self._count = count
        self._lock = threading.Lock()

    @property
    def is_lost(self) -> bool:
        return self._held is None

    def release(self) -> bool:
        with self._lock:
            held, self._held = self._held, None
        return held is not None

    def use(self, call: Callable[[HeldT], T]) -> T:
        held = self._held
        if held is not None:
            try:
                return call(held)
            except RuntimeError as error:
                reason = _first_line(error)
            if self.release():
                logger.warning("the GPU failed, the CPU searches %d vectors: %s", self._count, reason)
        # Not from the error: its traceback, and this frame, would hold on to the memory that ran out.
        del held, call
        raise IndexLostError("the index is no more on the GPU")


class GpuIndex:
    """All vectors on the GPU, by :class:`retrieval.index.gpu.matrix.Matrix`; a `RowIndex`.

    Parameters
    ----------
    stored : the index that was opened
    matrix : its vectors
    nearest : how the nearest of all rows are found
    path : what answers call that: ``gpu`` where all rows are scored
    """

    def __init__(self, stored: RowIndex[Any], matrix: Matrix, nearest: Nearest, *, path: str = "gpu") -> None:
        self.count, self.dim = stored.count, stored.dim
        self._stored = stored
        self._path = path
        self._held = _Held((matrix, nearest), self.count)
        self._batches = Batches(self._run)
        self._living: tuple[NDArray[np.uint8], MatrixSelection] | None = None

    @property
    def is_lost(self) -> bool:
        """Whether the GPU was given up."""
        return self._held.is_lost

    @property
    def scan_rows(self) -> int:
        """So few rows are scored on the CPU before a GPU has been asked."""
        return _SCAN_ROWS

    def path_of(self, *, filtered: bool, deleted: bool) -> str:
        """What an answer calls the way to it: what leaves rows out is a scan."""
        return "gpu" if filtered or deleted else self._path

    def release(self) -> None:
        """Let go of the GPU; searches from now on raise `IndexLostError`."""
        self._held.release()
        self._living = None

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """The stored vectors of these rows, float32 [len(rows), dim]."""
        return self._stored.vectors(rows)

    def select(self, rows: NDArray[np.int64]) -> MatrixSelection:
        """These rows, ascending, as what a search may return."""
        return self._held.use(lambda held: held[0].select(rows))

    def search(self, queries: NDArray[np.float32], k: int, *, bits: NDArray[np.uint8] | None = None) -> RankedRows:
        """The nearest rows; `bits` leave out some of them."""
        return self._batches(queries, (k, None if bits is None else self._living_by(bits)))

    def search_selected(self, queries: NDArray[np.float32], k: int, selection: MatrixSelection) -> RankedRows:
        """The nearest rows of a selection: every one is scored."""
        return self._batches(queries, (k, selection))

    scan = search_selected

    def _run(self, queries: NDArray[np.float32], key: Any) -> RankedRows:
        k, selection = key

        def search(held: tuple[Matrix, Nearest]) -> RankedRows:
            matrix, nearest = held
            if selection is None:
                return matrix.ranked(queries, lambda here: nearest(here, min(k, self.count)))
            return matrix.ranked(queries, lambda here: matrix.scan(here, k, selection))

        ranked: RankedRows = self._held.use(search)
        return ranked

    def _living_by(self, bits: NDArray[np.uint8]) -> MatrixSelection:
        """Those rows that bits leave; a view gives the same bits with every search."""
        kept = self._living
        if kept is None or kept[0] is not bits:
            rows = np.flatnonzero(np.unpackbits(bits, count=self.count, bitorder="little"))
            kept = self._living = bits, self.select(rows)
        return kept[1]


class GpuCodes:
    """Product codes of all vectors on the GPU, to find candidates without a filter; a `RowIndex`.

    Parameters
    ----------
    stored : the index that was opened: it ranks candidates, and does whatever the codes can't
    codes : of its vectors, from `coded`
    """

    def __init__(self, stored: AnnIndex, codes: Any) -> None:
        self.count, self.dim = stored.count, stored.dim
        self._stored = stored
        self._held = _Held(codes, self.count)
        self._batches = Batches(self._candidates)
        self.select, self.search_selected, self.scan = stored.select, stored.search_selected, stored.scan
        self.vectors = stored.vectors

    @property
    def is_lost(self) -> bool:
        """Whether the GPU was given up."""
        return self._held.is_lost

    @property
    def scan_rows(self) -> int:
        """As of the stored index, which searches selections."""
        return self._stored.scan_rows

    def path_of(self, *, filtered: bool, deleted: bool) -> str:
        """What an answer calls the way to it."""
        return "ivf" if filtered else "gpu-ivf-pq"

    def release(self) -> None:
        """Let go of the GPU; searches from now on raise `IndexLostError`."""
        self._held.release()

    def search(self, queries: NDArray[np.float32], k: int, *, bits: NDArray[np.uint8] | None = None) -> RankedRows:
        """The nearest rows; `bits` leave out a few of them."""
        n = min(self.count, max(_MIN_CANDIDATES, _CANDIDATES_A_RESULT * k))
        if n > _MOST_CANDIDATES:
            return self._stored.search(queries, k, bits=bits)
        rows, _ = self._batches(queries, n)
        if bits is not None:
            rows = np.where((bits[rows >> 3] >> (rows & 7)) & 1 == 1, rows, -1)
        return self._stored.ranked(queries, rows, k)

    def _candidates(self, queries: NDArray[np.float32], key: Any) -> RankedRows:
        cosines, rows = self._held.use(lambda codes: codes.search(queries, key))
        return rows, cosines


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0]
