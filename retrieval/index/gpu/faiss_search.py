"""FAISS's ways to search on a GPU: brute force, CAGRA's graph, product codes.

The first two work on a matrix of :mod:`retrieval.index.gpu.matrix` where it lies: FAISS gets pointers, and nothing is
copied.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from retrieval.index.faiss_threads import faiss
from retrieval.index.gpu.matrix import MORE

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from retrieval.index.gpu.matrix import Best, Matrix
    from retrieval.index.row_index import RowIndex

    Nearest = Callable[[Tensor, int], Best]
    """The nearest rows of queries float32 [n, dim]."""

TEMPORARY_BYTES = 1 << 28
GRAPH_DEGREE = 64
GRAPH_BYTES_A_ROW = 16 * GRAPH_DEGREE
# Where FAISS's brute force is the faster: measured on an H100 at 1, 16 and 1,000 queries, for 26 and 117 best.
_LEAST_QUERIES = 64
_MOST_SELECTED = 64
_MOST_WALKED = 256
_CODE_BYTES = (96, 64, 56, 48, 40, 32, 28, 24, 20, 16, 12, 8, 4, 3, 2, 1)
_CODED_DIMS = (1, 2, 3, 4, 6, 8, 10, 12, 16, 20, 24, 28, 32)
_ADDED_AT_ONCE = 1 << 16
_TRAINING_ROWS_A_LIST = 64


def resources() -> Any:
    """What one index needs of FAISS on the GPU; it works in torch's stream, so each waits for the other."""
    made = faiss.StandardGpuResources()
    made.setTempMemory(TEMPORARY_BYTES)
    made.setDefaultNullStreamAllDevices()
    return made


def brute_force(matrix: Matrix, provider: Any) -> Nearest:
    """FAISS's brute force over a matrix on the GPU, which is not copied; confirmed, so exact.

    For few queries it takes more than twice as long as the matrix's own scan, for many results half as long again: that
    serves them.
    """

    def by_halves(queries: Tensor, n: int) -> Best:
        rows = torch.empty((len(queries), n), dtype=torch.int64, device=queries.device)
        scores = torch.empty((len(queries), n), dtype=torch.float32, device=queries.device)
        # Not faiss.contrib.torch_utils: it replaces the methods of every index for the whole process.
        params = faiss.GpuDistanceParams()
        params.metric, params.k, params.dims = faiss.METRIC_INNER_PRODUCT, n, queries.shape[1]
        params.vectors, params.vectorType = _pointer(matrix.vectors), faiss.DistanceDataType_F16
        params.queries, params.queryType = _pointer(queries), faiss.DistanceDataType_F16
        params.numVectors, params.numQueries = len(matrix.vectors), len(queries)
        params.outDistances = faiss.cast_integer_to_float_ptr(scores.data_ptr())
        params.outIndices, params.outIndicesType = _pointer(rows), faiss.IndicesDataType_I64
        params.device = queries.device.index
        faiss.bfKnn(provider, params)
        return rows, scores

    def nearest(queries: Tensor, k: int) -> Best:
        if len(queries) < _LEAST_QUERIES or k + MORE > _MOST_SELECTED:
            return matrix.scan(queries, k)
        return matrix.confirmed(queries, k, by_halves)

    return nearest


def graph_walk(matrix: Matrix, provider: Any) -> Nearest:
    """CAGRA's graph over a matrix on the GPU, which is not copied; candidates are scored in float32."""
    config = faiss.GpuIndexCagraConfig()
    config.graph_degree, config.intermediate_graph_degree = GRAPH_DEGREE, 2 * GRAPH_DEGREE
    rows_count, dim = matrix.vectors.shape
    index = faiss.GpuIndexCagra(provider, dim, faiss.METRIC_INNER_PRODUCT, config)
    index.train_ex(rows_count, _pointer(matrix.vectors), faiss.Float16)

    def nearest(queries: Tensor, k: int) -> Best:
        n = max(GRAPH_DEGREE, 32 * math.ceil(2 * k / 32))
        if n > _MOST_WALKED or not len(queries):
            return matrix.scan(queries, k)
        halves = queries.half()
        rows = torch.empty((len(queries), n), dtype=torch.int64, device=queries.device)
        scores = torch.empty((len(queries), n), dtype=torch.float32, device=queries.device)
        params = faiss.SearchParametersCagra()
        params.itopk_size = 2 * n
        pointers = faiss.cast_integer_to_float_ptr(scores.data_ptr()), faiss.cast_integer_to_idx_t_ptr(rows.data_ptr())
        index.search_ex(len(queries), _pointer(halves), faiss.Float16, n, *pointers, params)
        return matrix.rescored(queries, rows, k)

    return nearest


def coded(index: RowIndex[Any], provider: Any) -> Any:
    """Inverted lists of 8-bit product codes of all vectors, on the GPU."""
    lists = min(1 << max(6, round(math.log2(4 * math.sqrt(index.count)))), 1 << 15)
    config = faiss.GpuIndexIVFPQConfig()
    config.useFloat16LookupTables = True  # or those of 64 codes would not fit into shared memory
    config.indicesOptions = faiss.INDICES_32_BIT
    codes = faiss.GpuIndexIVFPQ(
        provider, index.dim, lists, code_bytes(index.dim), 8, faiss.METRIC_INNER_PRODUCT, config
    )
    codes.nprobe = max(64, min(lists // 8, 1_024))
    sample = np.linspace(0, index.count - 1, min(index.count, _TRAINING_ROWS_A_LIST * lists)).astype(np.int64)
    codes.train(index.vectors(sample))
    for start in range(0, index.count, _ADDED_AT_ONCE):
        codes.add(index.vectors(np.arange(start, min(start + _ADDED_AT_ONCE, index.count))))
    return codes


def code_bytes(dim: int) -> int:
    """Bytes of a product code, as many as FAISS's kernels can scan, of up to 96.

    Raises
    ------
    RuntimeError
        If there is no such code for vectors of this dimension.
    """
    for size in _CODE_BYTES:
        if dim % size == 0 and dim // size in _CODED_DIMS:
            return size
    raise RuntimeError(f"no product code for {dim} dimensions")


def _pointer(tensor: Tensor) -> Any:
    assert tensor.is_contiguous()
    return faiss.cast_integer_to_void_ptr(tensor.data_ptr())
