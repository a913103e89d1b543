"""Search engines behind one small interface; here ours and raw FAISS.

An index is built and saved in one process and opened in another, perhaps much later. Every engine gets unit vectors and
ranks by inner product. Each is given build settings from its own documentation, two threads, and a ladder of efforts
that the harness climbs until recall suffices. The others: `benchmarks.peers.peer_libraries`,
`benchmarks.peers.peer_databases`.
"""

from collections.abc import Hashable, Sequence
from contextlib import ExitStack
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import faiss
import numpy as np
import psutil
from numpy.typing import NDArray

from benchmarks.search.workload import Workload

THREADS = 2
M = 16
EF_CONSTRUCTION = 200
EFS = (10, 12, 16, 20, 24, 32, 40, 48, 64, 80, 96, 128, 160, 192, 256, 384, 512, 768, 1024, 1536, 2048, 4096)
NPROBES = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 1024, 2048, 4096)
TRAINING_ROWS = 64
MIN_ROWS_A_LIST = 39  # below, FAISS's clustering warns

Ids = NDArray[np.int64]
Queries = NDArray[np.float32]


class Peer:
    """One engine over one workload; row numbers are its ids.

    Attributes
    ----------
    package : the distribution whose version is reported
    settings : how the index was built, for the table
    ladders : efforts in rising order, each ladder with something else held fixed; the fastest that suffices is taken
    variants : ways to search with a filter that are measured apart
    no_filter : why there is no filtered search; none where there is
    kept : whether an index that was built before may be opened
    at_our_recall : whether it is measured at the recall that ours reaches, too
    file : where a library saves its index
    effort, variant : what the next search uses
    resources : closed in the end, however far the engine came
    """

    package: ClassVar[str]
    settings: ClassVar[str]
    ladders: ClassVar[Sequence[Sequence[Hashable]]] = (EFS,)
    variants: ClassVar[Sequence[str]] = ("",)
    no_filter: ClassVar[str | None] = None
    kept: ClassVar[bool] = True
    at_our_recall: ClassVar[bool] = False

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = str(folder / "index")
        self.effort: Any = None
        self.variant = ""
        self.resources = ExitStack()

    def build(self, workload: Workload) -> None:
        """Build the index over all vectors and labels."""
        raise NotImplementedError

    def save(self) -> None:
        """Write the index; what builds it on disk has nothing to do."""

    def open(self, workload: Workload) -> None:
        """Make ready to search what was saved."""
        raise NotImplementedError

    def search(self, queries: Queries, k: int, label: int | None) -> Ids:
        """The nearest rows of a batch, int64 [n, k], −1 where fewer are found, with `label` only those that bear it."""
        raise NotImplementedError

    def one(self, query: Queries, k: int, label: int | None) -> Ids:
        """The same for one query, float32 [dim], by the call that suits one: int64 [≤ k]."""
        return self.search(query[np.newaxis], k, label)[0]

    def processes(self) -> list[psutil.Process]:
        """Where the engine runs: this process, unless there is a server."""
        return [psutil.Process()]

    def version(self) -> str:
        """Of what was built with."""
        return version(self.package)


class Ours(Peer):
    """The product: a snapshot on disk, opened as it is served."""

    package = "soundalike"
    settings = "as shipped"
    ladders = (("as tuned",),)
    variants = ("", "filter compiled anew")
    kept = False  # its code is what is measured
    recall: ClassVar[float | None] = None

    def build(self, workload: Workload) -> None:
        """Write a snapshot."""
        from retrieval.index.ann.stopping import RECALL_TARGET
        from retrieval.index.snapshots import Manifest, build_snapshot

        manifest = Manifest("benchmark", "track", "benchmark", workload.dim, revision=1)
        track_ids = np.arange(workload.n, dtype=np.int64)
        spans_s = np.zeros((workload.n, 2), np.float32)
        build_snapshot(self.folder, manifest, track_ids, workload.all(), spans_s, recall=self.recall or RECALL_TARGET)

    def open(self, workload: Workload) -> None:
        """Open the snapshot."""
        from retrieval.index.delta import Delta
        from retrieval.index.snapshots import open_snapshot
        from retrieval.index.view import LocalView

        snapshot = open_snapshot(self.folder, space="benchmark")
        self._view = LocalView("benchmark", workload.dim, 1, snapshot, delta=Delta.empty(workload.dim))
        self._allowed = [np.flatnonzero(label) for label in workload.labels()]
        self._selections: dict[int, Any] = {}

    def search(self, queries: Queries, k: int, label: int | None) -> Ids:
        """Search a view among all or among a selection, kept or made for this call."""
        if label is None:
            return self._view.search(queries, k).track_ids
        if label not in self._selections or self.variant:
            self._selections = {label: self._view.select(self._allowed[label])}
        return self._view.search(queries, k, selection=self._selections[label]).track_ids


class OursTunedLower(Ours):
    """The product, tuned to about the recall at which the others are measured; they are, knowing the queries."""

    settings = "`SOUNDALIKE_INDEX_RECALL=0.975`"
    variants = ("",)
    no_filter = "as shipped alone"
    recall = 0.975


class Faiss(Peer):
    """An index that FAISS's factory makes, with a bitmap as filter."""

    package = "faiss-cpu"
    threads_for_one: ClassVar[int] = 1

    def factory(self, workload: Workload) -> str:
        """What to build."""
        raise NotImplementedError

    def build(self, workload: Workload) -> None:
        """Train on a sample and add."""
        faiss.omp_set_num_threads(THREADS)
        self._index = faiss.index_factory(workload.dim, self.factory(workload), faiss.METRIC_INNER_PRODUCT)
        if not self._index.is_trained:
            self._index.train(workload.sample(TRAINING_ROWS * faiss.extract_index_ivf(self._index).nlist))
        for chunk in workload.chunks():
            self._index.add(chunk)

    def save(self) -> None:
        """One file."""
        faiss.write_index(self._index, self.file)

    def open(self, workload: Workload) -> None:
        """Read it, and make bitmaps."""
        self._index = faiss.read_index(self.file)
        self._bitmaps = [np.packbits(label, bitorder="little") for label in workload.labels()]

    def search(self, queries: Queries, k: int, label: int | None) -> Ids:
        """One call of the index."""
        faiss.omp_set_num_threads(THREADS)
        return self._search(queries, k, label)

    def one(self, query: Queries, k: int, label: int | None) -> Ids:
        """One call; two threads wait longer for each other than they save, unless there is much to scan."""
        faiss.omp_set_num_threads(self.threads_for_one)
        return self._search(query[np.newaxis], k, label)[0]

    def _search(self, queries: Queries, k: int, label: int | None) -> Ids:
        selector = None
        if label is not None:
            bitmap = self._bitmaps[label]
            selector = faiss.IDSelectorBitmap(self._index.ntotal, faiss.swig_ptr(bitmap))
        found: Ids = self._index.search(queries, k, params=self._parameters(selector))[1]
        return found

    def _parameters(self, selector: Any) -> Any:
        raise NotImplementedError


class FaissFlat(Faiss):
    """Every vector compared: the exact answer."""

    settings = "Flat, float32"
    ladders = (("exact",),)
    threads_for_one = THREADS

    def factory(self, workload: Workload) -> str:
        """No structure."""
        return "Flat"

    def _parameters(self, selector: Any) -> Any:
        return faiss.SearchParameters(sel=selector)


class FaissIvf(Faiss):
    """Inverted lists of float16 vectors."""

    settings = "IVF 4√n, SQfp16"
    ladders = (NPROBES,)
    at_our_recall = True

    def factory(self, workload: Workload) -> str:
        """As FAISS's guide says for this many rows."""
        return f"IVF{_lists(workload)},SQfp16"

    def _parameters(self, selector: Any) -> Any:
        return faiss.SearchParametersIVF(nprobe=self.effort, sel=selector)


class FaissAsOurs(Faiss):
    """The type of index that the product builds beyond a few rows (`retrieval.index.ann.tuning`), without the product.

    Four-bit codes are scanned in registers, the best of them compared again in float16.
    """

    settings = "IVF 4√n, PQ dim/2 ×4 fast scan of residuals, refined in float16"
    ladders = tuple(tuple((nprobe, factor) for nprobe in NPROBES) for factor in (2, 3, 4, 5, 6, 8, 12, 16, 24, 32))
    at_our_recall = True

    def factory(self, workload: Workload) -> str:
        """As the product has it."""
        return f"IVF{_lists(workload)},PQ{workload.dim // 2}x4fsr,Refine(SQfp16)"

    def _parameters(self, selector: Any) -> Any:
        nprobe, factor = self.effort
        self._lists = faiss.SearchParametersIVF(nprobe=nprobe, sel=selector)  # kept: FAISS holds no reference
        return faiss.IndexRefineSearchParameters(k_factor=factor, base_index_params=self._lists)


def _lists(workload: Workload) -> int:
    return max(1, min(int(4 * np.sqrt(workload.n)), workload.n // MIN_ROWS_A_LIST))
