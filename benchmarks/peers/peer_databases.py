"""Vector databases behind the interface of `benchmarks.peers.protocol`: in this process, or PostgreSQL's own.

Filters are what the database offers for a fixed attribute: an indexed payload or column, made when the data is loaded.
What they build is on disk already, so none of them has anything to save.
"""

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from numpy.typing import NDArray
from sqlalchemy import Engine, text

from benchmarks.peers.protocol import EF_CONSTRUCTION, EFS, THREADS, Ids, M, Peer, Queries
from benchmarks.search.workload import Workload
from retrieval.catalog.database import connected

PIECE = 5_000
SHARED_BUFFERS = "2GB"
BUILD_MEMORY = "4GB"


class Qdrant(Peer):
    """Qdrant's engine in this process; a keyword-like integer list as payload, indexed before the graph is built."""

    package = "qdrant-edge-py"
    settings = f"m {M}, ef_construct {EF_CONSTRUCTION}, one segment, float16"

    def build(self, workload: Workload) -> None:
        """Load, index the payload, build one graph."""
        import qdrant_edge as q

        config = q.EdgeConfig(
            vectors=q.EdgeVectorParams(workload.dim, q.Distance.Dot, datatype=q.VectorStorageDatatype.Float16),
            hnsw_config=q.HnswIndexConfig(
                m=M, ef_construct=EF_CONSTRUCTION, full_scan_threshold=10_000, max_indexing_threads=THREADS
            ),
            optimizers=q.EdgeOptimizersConfig(default_segment_number=1, indexing_threshold=100, max_segment_size=10**9),
            max_search_threads=THREADS,
            wal_enabled=False,
        )
        shard = self.resources.enter_context(closing(q.EdgeShard.create(self.file, config)))
        shard.update(q.UpdateOperation.create_field_index("labels", q.PayloadSchemaType.Integer))
        labels = workload.labels()
        start = 0
        for chunk in workload.chunks():
            for first in range(0, len(chunk), PIECE):
                points = [
                    q.Point(
                        id=start + row,
                        vector=chunk[row].tolist(),
                        payload={"labels": np.flatnonzero(labels[:, start + row]).tolist()},
                    )
                    for row in range(first, min(first + PIECE, len(chunk)))
                ]
                shard.update(q.UpdateOperation.upsert_points(points))
            start += len(chunk)
        shard.flush()
        while shard.optimize():
            pass

    def open(self, workload: Workload) -> None:
        """Open the shard with the configuration that it holds."""
        import qdrant_edge as q

        self._q = q
        self._shard = self.resources.enter_context(closing(q.EdgeShard.load(self.file)))
        self._threads = ThreadPoolExecutor(THREADS)

    def search(self, queries: Queries, k: int, label: int | None) -> Ids:
        """A planned batch a thread."""
        requests = [self._request(query, k, label) for query in queries]
        pieces = [requests[part::THREADS] for part in range(THREADS)]
        answers = self._threads.map(lambda piece: self._shard.query_batch(self._q.QueryBatchRequest(piece)), pieces)
        found = np.full((len(queries), k), -1, np.int64)
        for part, answer in enumerate(answers):
            for row, points in zip(range(part, len(queries), THREADS), answer, strict=True):
                found[row, : len(points)] = [point.id for point in points]
        return found

    def one(self, query: Queries, k: int, label: int | None) -> Ids:
        """Its call for one query."""
        return np.array([point.id for point in self._shard.query(self._request(query, k, label))], np.int64)

    def _request(self, query: Queries, k: int, label: int | None) -> Any:
        q = self._q
        wanted = None if label is None else q.Filter(must=[q.FieldCondition(key="labels", match=q.MatchValue(label))])
        parameters = q.SearchParams(hnsw_ef=self.effort)
        return q.QueryRequest(limit=k, query=q.Query.Nearest(query.tolist()), filter=wanted, params=parameters)


class Milvus(Peer):
    """Milvus Lite: Python over FAISS, with the client of the distributed Milvus; an integer column a filter."""

    package = "milvus-lite"
    settings = f"HNSW, M {M}, efConstruction {EF_CONSTRUCTION}, float32; columns with inverted indexes"

    def build(self, workload: Workload) -> None:
        """Load, flush, index."""
        from pymilvus import DataType

        self._connect()
        labels = workload.labels()
        schema = self._client.create_schema()
        schema.add_field("id", DataType.INT64, is_primary=True)
        schema.add_field("vector", DataType.FLOAT_VECTOR, dim=workload.dim)
        indexes = self._client.prepare_index_params()
        graph = {"M": M, "efConstruction": EF_CONSTRUCTION}
        indexes.add_index("vector", index_type="HNSW", metric_type="IP", params=graph)
        for label in range(len(labels)):
            schema.add_field(f"label_{label}", DataType.INT8)
            indexes.add_index(f"label_{label}", index_type="INVERTED")
        self._client.create_collection("vectors", schema=schema)
        self._load(workload)
        self._client.flush("vectors")
        self._client.create_index("vectors", indexes)
        self._client.load_collection("vectors")  # which builds the graphs

    def open(self, workload: Workload) -> None:
        """Load the collection with the indexes that lie beside it."""
        self._connect()
        self._client.load_collection("vectors")

    def search(self, queries: Queries, k: int, label: int | None) -> Ids:
        """One request for the batch."""
        answers = self._client.search(
            "vectors",
            data=list(queries),
            limit=k,
            filter="" if label is None else f"label_{label} == 1",
            anns_field="vector",
            output_fields=["id"],
            search_params={"params": {"ef": self.effort}},
        )
        found = np.full((len(queries), k), -1, np.int64)
        for row, hits in enumerate(answers):
            found[row, : len(hits)] = [hit["id"] for hit in hits]
        return found

    def _connect(self) -> None:
        from pymilvus import MilvusClient

        self._client = self.resources.enter_context(closing(MilvusClient(str(self.folder / "milvus.db"))))

    def _load(self, workload: Workload) -> None:
        labels = workload.labels().T.astype(np.int8)
        names = [f"label_{label}" for label in range(labels.shape[1])]
        start = 0
        for chunk in workload.chunks():
            for first in range(0, len(chunk), PIECE):
                rows = [
                    {
                        "id": start + row,
                        "vector": chunk[row],
                        **dict(zip(names, labels[start + row].tolist(), strict=True)),
                    }
                    for row in range(first, min(first + PIECE, len(chunk)))
                ]
                self._client.insert("vectors", rows)
            start += len(chunk)


class Pgvector(Peer):
    """pgvector in the embedded PostgreSQL; a boolean column a filter, with a partial index, and iterative scans."""

    package = "pgvector"
    settings = f"halfvec, HNSW, m {M}, ef_construction {EF_CONSTRUCTION}; partial indexes, iterative scan"
    ladders = (tuple(ef for ef in EFS if ef <= 1000),)

    def build(self, workload: Workload) -> None:
        """Copy in, build the graph, then the indexes of the columns."""
        with connected(None, embedded_dir=self._data) as engine:
            _execute(engine, f"ALTER SYSTEM SET shared_buffers = '{SHARED_BUFFERS}'", "ALTER SYSTEM SET jit = off")
        # The server stops with its last client, and starts with the new settings.
        self._connect()
        labels = workload.labels()
        columns = [f"label_{label}" for label in range(len(labels))]
        declared = ["id integer NOT NULL", f"vector halfvec({workload.dim}) NOT NULL"]
        declared += [f"{column} boolean NOT NULL" for column in columns]
        _execute(self._engine, "CREATE EXTENSION vector", f"CREATE TABLE vectors ({', '.join(declared)})")
        self._load(workload, labels)
        _execute(
            self._engine,
            f"SET maintenance_work_mem = '{BUILD_MEMORY}'",
            f"SET max_parallel_maintenance_workers = {THREADS - 1}",
            "CREATE INDEX ON vectors USING hnsw (vector halfvec_ip_ops) "
            f"WITH (m = {M}, ef_construction = {EF_CONSTRUCTION})",
            *(f"CREATE INDEX ON vectors (id) WHERE {column}" for column in columns),
            "VACUUM ANALYZE vectors",
        )

    def open(self, workload: Workload) -> None:
        """Connect once a thread."""
        from pgvector import HalfVector
        from pgvector.psycopg import register_vector

        self._vector = HalfVector
        self._connect()
        self._threads = ThreadPoolExecutor(THREADS)
        self._connections = [
            self.resources.enter_context(closing(self._engine.raw_connection())).driver_connection
            for _ in range(THREADS)
        ]
        for connection in self._connections:
            register_vector(connection)
            connection.autocommit = True
            connection.execute("SET hnsw.iterative_scan = relaxed_order")
            connection.execute(f"SET hnsw.max_scan_tuples = {workload.n}")
            connection.execute("SET max_parallel_workers_per_gather = 0")

    def search(self, queries: Queries, k: int, label: int | None) -> Ids:
        """A prepared statement a query, one connection a thread."""

        def share(part: int) -> list[Ids]:
            self._apply_effort(part)
            return [self._ask(part, query, k, label) for query in queries[part::THREADS]]

        found = np.full((len(queries), k), -1, np.int64)
        for part, answers in enumerate(self._threads.map(share, range(THREADS))):
            for row, answer in zip(range(part, len(queries), THREADS), answers, strict=True):
                found[row, : len(answer)] = answer
        return found

    def one(self, query: Queries, k: int, label: int | None) -> Ids:
        """One prepared statement; the effort is as the last batch left it."""
        return self._ask(0, query, k, label)

    def processes(self) -> list[psutil.Process]:
        """The server and all that it started."""
        server = psutil.Process(int((self._data / "postmaster.pid").read_text().splitlines()[0]))
        return [server, *server.children(recursive=True)]

    def version(self) -> str:
        """Of the extension and of the server."""
        ask = "SELECT extversion, current_setting('server_version') FROM pg_extension WHERE extname = 'vector'"
        with self._engine.connect() as connection:
            extension, server = connection.execute(text(ask)).one()
        return f"{extension}, PostgreSQL {server}"

    @property
    def _data(self) -> Path:
        return self.folder / "postgres"

    def _connect(self) -> None:
        self._engine = self.resources.enter_context(connected(None, embedded_dir=self._data))

    def _load(self, workload: Workload, labels: NDArray[np.bool_]) -> None:
        from pgvector import HalfVector
        from pgvector.psycopg import register_vector

        start = 0
        with closing(self._engine.raw_connection()) as pooled:
            connection = pooled.driver_connection
            register_vector(connection)
            with connection.cursor() as cursor, cursor.copy("COPY vectors FROM STDIN WITH (FORMAT BINARY)") as copy:
                copy.set_types(["int4", "halfvec", *["bool"] * len(labels)])
                for chunk in workload.chunks():
                    for row, vector in enumerate(chunk, start):
                        copy.write_row([row, HalfVector(vector), *labels[:, row].tolist()])
                    start += len(chunk)
            connection.commit()

    def _apply_effort(self, part: int) -> None:
        self._connections[part].execute(f"SET hnsw.ef_search = {self.effort}")

    def _ask(self, part: int, query: Queries, k: int, label: int | None) -> Ids:
        where = "" if label is None else f"WHERE label_{label}"
        rows = self._connections[part].execute(
            f"SELECT id FROM vectors {where} ORDER BY vector <#> %s LIMIT {k}",
            (self._vector(query),),
            prepare=True,
            binary=True,
        )
        return np.array([row[0] for row in rows], np.int64)


def _execute(engine: Engine, *statements: str) -> None:
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        for statement in statements:
            connection.execute(text(statement))
