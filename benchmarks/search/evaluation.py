"""What an evaluation costs beside the bare search: 10,000 track queries over a catalogue of made vectors.

    python -m benchmarks.search.evaluation [--n 100000] [--dim 128] [--queries 10000] [--depth 100]

The catalogue is real: PostgreSQL, revisions, an index built by `rebuild`. Bare search is `LocalView.search` on the same
vectors in the same blocks, with nothing looked up. An evaluation is everything that `soundalike evaluate run` does from
parsed judgments on: ids looked up, ranked, judged, metrics, beyond accuracy, intervals; and then what is written. Its
judgments are 20 random tracks a query, of which one in four is a true neighbour. The best of three runs counts.
"""

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from benchmarks.machine import machine
from benchmarks.search.vectors import Clustered
from retrieval.catalog.database import connected, migrate
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import SpaceEmbedding, Track, TrackAnalysis
from retrieval.evaluation.inputs.formats import qrels_from, read_qrels
from retrieval.evaluation.inputs.pairs import Pairs
from retrieval.evaluation.inputs.queries import Where, track_queries
from retrieval.evaluation.ranking import BLOCK_QUERIES
from retrieval.evaluation.results.files import write_run
from retrieval.evaluation.run import Options, evaluate
from retrieval.index.merging import rebuild
from retrieval.index.view import LocalView
from retrieval.search.engine import Search

JUDGED, NEAR = 20, 5
RUNS = 3

T = TypeVar("T")


def track(number: int, vector: NDArray[np.float32]) -> TrackAnalysis:
    """A track without a sound: one segment, which is the whole of it."""
    space = SpaceEmbedding("made", "made-1", vector, vector[np.newaxis], np.zeros(1), np.ones(1))
    artist, album = f"Artist {number // 20}", f"Album {number // 10}"
    key = f"Artist_{number // 20}/Album_{number // 10}/{number}.mp3"
    return TrackAnalysis(key, f"/{key}", str(number), 1, 1, 1.0, artist=artist, album=album, rows=[space])


@contextmanager
def catalogue(n: int, dim: int) -> Iterator[Search]:
    """A catalogue of `n` tracks and its index, gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="soundalike-") as folder,
        connected(None, embedded_dir=Path(folder) / "postgres") as engine,
    ):
        migrate(engine)
        catalog, number = Catalog(engine), 0
        for chunk in Clustered(n, dim).chunks():
            for start in range(0, len(chunk), 2_000):
                rows = chunk[start : start + 2_000].astype(np.float32)
                catalog.store_many([track(number + place, row) for place, row in enumerate(rows)])
                number += len(rows)
        search = Search(catalog, Path(folder) / "index", default_space="made")
        rebuild(search.space())
        yield search


def judgments(search: Search, view: LocalView, queries: int, rng: np.random.Generator) -> Pairs:
    """Twenty judgments for each of some random tracks: five of its twenty nearest, and others."""
    ids = np.sort(rng.choice(view.all_track_ids(), size=queries, replace=False))
    near = view.search(view.vectors(view.vector_ids(ids)), 21).track_ids[:, 1:]
    chosen = rng.permuted(near, axis=1)[:, :NEAR]
    others = rng.choice(view.all_track_ids(), size=(queries, JUDGED - NEAR))
    pairs = {(int(q), int(d)) for q, own in zip(ids, np.hstack([chosen, others]), strict=True) for d in own if q != d}
    keys = {one.id: one.key for one in _tracks(search)}
    columns = zip(*((keys[query], keys[document], 1) for query, document in sorted(pairs)), strict=True)
    return qrels_from(dict(zip(("query_id", "doc_id", "relevance"), map(list, columns), strict=True)))


def _tracks(search: Search) -> Iterator[Track]:
    last = 0
    while page := search.catalog.list_tracks(after_id=last, limit=20_000):
        yield from page
        last = page[-1].id


def bare(view: LocalView, vectors: NDArray[np.float32], depth: int) -> None:
    """Search for every query, in the blocks of the evaluation."""
    for start in range(0, len(vectors), BLOCK_QUERIES):
        view.search(vectors[start : start + BLOCK_QUERIES], depth + 1)


def best(call: Callable[[], T]) -> tuple[float, T]:
    """Seconds of the quickest of three runs, and its result."""
    times = []
    for _ in range(RUNS):
        start = time.perf_counter()
        result = call()
        times.append((time.perf_counter() - start, result))
    return min(times, key=lambda one: one[0])


def trec_lines_per_second(folder: Path, lines: int) -> float:
    """How fast qrels are read."""
    path = folder / "many.qrels"
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f"query{row // 100} 0 Artist/Album/{row % 90_001}.mp3 {row % 3}\n" for row in range(lines))
    return lines / best(lambda: read_qrels(path))[0]


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument("--queries", type=int, default=10_000)
    parser.add_argument("--depth", type=int, action="append")
    parser.add_argument("--lines", type=int, default=1_000_000, help="of qrels, to read")
    arguments = parser.parse_args()
    print(machine())
    with catalogue(arguments.n, arguments.dim) as search, tempfile.TemporaryDirectory() as folder:
        view = search.space().view()
        qrels = judgments(search, view, arguments.queries, np.random.default_rng(0))
        asked = track_queries(qrels)
        ids = np.sort(np.fromiter(search.catalog.ids_by_key(list(qrels.query_ids)).values(), np.int64))
        vectors = view.vectors(view.vector_ids(ids))
        kind = view.snapshot.manifest.kind if view.snapshot else "delta"
        print(f"{view.count} tracks × {view.dim}, {kind}; {len(asked)} queries, {len(qrels)} judgments")
        for depth in arguments.depth or [10, 100, 1_000]:
            names = ("nDCG@10", "R@10", "P@10", "Success@10", "RR", "AP", "Rprec")
            options = Options(Where(depth=depth), names if depth < 100 else (*names, "nDCG@100", "R@100"))
            bare_s, _ = best(lambda depth=depth: bare(view, vectors, depth))
            whole_s, outcome = best(lambda options=options: evaluate(search, qrels, asked, options))
            write_s, _ = best(lambda outcome=outcome: write_run(Path(folder), outcome, search.catalog))
            times = f"{whole_s:.2f} s, {whole_s / bare_s:.2f} times that; written in {write_s:.2f} s"
            print(f"depth {depth}: bare search {bare_s:.2f} s; evaluation {times}")
            found = outcome.evaluation
            print("  " + ", ".join(f"{name} {seconds:.2f} s" for name, seconds in found.seconds.items()))
            print("  " + ", ".join(f"{name} {asdict(one)['mean']:.4f}" for name, one in found.metrics.items()))
        rate = trec_lines_per_second(Path(folder), arguments.lines)
        print(f"reading {arguments.lines} lines of qrels: {rate / 1e6:.2f} million lines a second")


if __name__ == "__main__":
    main()
