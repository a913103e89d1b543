"""Our search against every other engine, without and with filters, at equal recall.

    python -m benchmarks.search.engines --data clustered|segments|strangers [--vectors FILE] [--n 100000] [--dim 128]
        [--peer NAME ...] [--only unfiltered|filtered] [--rounds 3] [--seconds 2] [--keep FOLDER [--build-only]]

Every engine builds its index alone on the machine, in a process of its own, and opens it in another. Then its effort
(ef, lists probed) is raised until recall@10 reaches 0.985, with a filter 0.99, or all that it has; then all engines are
measured in turn, round by round, and medians are reported. Ours is as it was tuned when built, knowing none of these
queries; FAISS and ScaNN are measured at the recall that ours has, too. Batch: 1,000 queries on two
threads. Single: one query a call, as a caller would; p50 and p99 are its latencies. Whatever is slower than a thousand
queries in `--seconds` is asked fewer.

Building may take hours. `--keep` has the workload and every index stay in a folder, with what they cost; a later run
over the same data opens them. Ours alone is built anew each time, for its code is what is measured.

Data, queries, filters, and what counts as found: `benchmarks.search.vectors` and `benchmarks.search.workload`. Peers:
the extra `peers`; one that is not installed gets a row that says so.
"""

import argparse
import itertools
import statistics
import tempfile
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks.machine import machine
from benchmarks.peers.engine_process import Engine, EngineError, Measured, Setting, ready
from benchmarks.peers.peer_databases import Milvus, Pgvector, Qdrant
from benchmarks.peers.peer_libraries import Hnswlib, Scann, Usearch, Voyager
from benchmarks.peers.protocol import FaissAsOurs, FaissFlat, FaissIvf, Ours, OursTunedLower, Peer
from benchmarks.search.vectors import Vectors, clustered, segments
from benchmarks.search.workload import QUERIES, Case, K, Workload, cases, kept_or_prepared

TARGET = 0.985
FILTERED_TARGET = 0.99
MIB = 2**20
PEERS: dict[str, type[Peer]] = {
    "soundalike": Ours,
    "soundalike-0.975": OursTunedLower,
    "faiss-as-ours": FaissAsOurs,
    "faiss-flat": FaissFlat,
    "faiss-ivf": FaissIvf,
    "scann-core": Scann,
    "hnswlib": Hnswlib,
    "usearch": Usearch,
    "voyager": Voyager,
    "qdrant-edge": Qdrant,
    "milvus-lite": Milvus,
    "pgvector": Pgvector,
}


@dataclass
class Row:
    """An engine in one case: how it searches, and a measurement a round with its recall and whether one was short."""

    engine: Engine
    setting: Setting
    note: str = ""
    rounds: list[tuple[Measured, float, bool]] = field(default_factory=list)

    def measure(self, workload: Workload, seconds: float) -> None:
        """Measure once more."""
        measured = self.engine.measure(self.setting, K, seconds)
        self.rounds.append((measured, *workload.recall(self.setting.case, measured.found)))

    def __str__(self) -> str:
        measured = [one for one, _, _ in self.rounds]
        asked = min(len(one.found) for one in measured)
        batch_qps = f"{statistics.median(one.batch_qps for one in measured):,.0f}"
        cells = [
            f"{self.setting.case.share * 100:g} %",
            ", ".join(filter(None, (self.engine.name, self.setting.variant, self.note))),
            _shown(self.setting.effort),
            f"{min(recall for _, recall, _ in self.rounds):.3f}",
            batch_qps if asked == QUERIES else f"{batch_qps} (of {asked})",
            f"{statistics.median(1 / one.single_s.mean() for one in measured):,.0f}",
            f"{statistics.median(1e3 * np.quantile(one.single_s, 0.5) for one in measured):.2f}",
            f"{statistics.median(1e3 * np.quantile(one.single_s, 0.99) for one in measured):.2f}",
            "yes" if any(short for _, _, short in self.rounds) else "no",
        ]
        return f"| {' | '.join(cells)} |"


def opened(names: Sequence[str], workload: Workload, folder: Path) -> Iterator[Engine]:
    """Yield one engine after the other with its index open, and print what it costs."""
    columns = ["engine", "version", "index", "build, s", "build, CPU s", "memory, MiB", "peak while building, MiB"]
    print(f"| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    for name in names:
        peer = PEERS[name]
        try:
            engine, built, now = ready(name, peer, workload, folder / name)
        except EngineError as error:
            print(f"| {name} | – | {error} | – | – | – | – |", flush=True)
            continue
        cells = [
            name,
            built.version,
            peer.settings,
            f"{built.build_s:.1f}",
            f"{built.cpu_s:.1f}",
            f"{now.memory_bytes / MIB:,.0f}",
            f"{built.peak_bytes / MIB:,.0f}" if built.peak_bytes else "–",
        ]
        print(f"| {' | '.join(cells)} |", flush=True)
        yield engine


def choose(
    engine: Engine, workload: Workload, case: Case, variant: str, seconds: float, target: float | None = None
) -> Setting:
    """The least effort that reaches the target, of all ladders the fastest; or what finds most."""
    target = target or (TARGET if case.label is None else FILTERED_TARGET)
    reached: list[Setting] = []
    best: tuple[float, Setting] | None = None
    engine.search(Setting(case, variant, engine.peer.ladders[0][0]), K, seconds)  # while it is cold it is asked little
    for ladder in engine.peer.ladders:
        recalls: dict[int, float] = {}

        def suffices(rung: int, ladder: Sequence[Hashable] = ladder, recalls: dict[int, float] = recalls) -> bool:
            if rung not in recalls:
                found = engine.search(Setting(case, variant, ladder[rung]), K, seconds)
                recalls[rung] = workload.recall(case, found)[0]
            return recalls[rung] >= target

        rung = _least(len(ladder), suffices)
        if rung is not None:
            reached.append(Setting(case, variant, ladder[rung]))
        most = max(recalls, key=lambda tried: (recalls[tried], -tried))
        if best is None or recalls[most] > best[0]:
            best = recalls[most], Setting(case, variant, ladder[most])
    if not reached and best is not None:
        return best[1]
    if len(reached) == 1:
        return reached[0]
    return max(reached, key=lambda setting: engine.measure(setting, K, seconds / 4).batch_qps)


def compare(engines: list[Engine], workload: Workload, case: Case, rounds: int, seconds: float) -> None:
    """Measure all engines in turn in one case, and print their rows. An engine that fails is out from then on."""
    rows: list[Row] = []
    ours: float | None = None
    for engine in list(engines):
        if case.label is not None and engine.peer.no_filter:
            continue
        variants = engine.peer.variants if case.label is not None else engine.peer.variants[:1]
        with _surviving(engine, engines, case):
            rows += [Row(engine, choose(engine, workload, case, variant, seconds)) for variant in variants]
            if engine.peer is Ours:
                ours = workload.recall(case, engine.search(rows[-1].setting, K, seconds))[0]
            if engine.peer.at_our_recall and ours is not None and case.label is None:
                rows.append(Row(engine, choose(engine, workload, case, "", seconds, ours), "at our recall"))
    for _ in range(rounds):
        for row in rows:
            if row.engine in engines:
                with _surviving(row.engine, engines, case):
                    row.measure(workload, seconds)
    for row in rows:
        if len(row.rounds) == rounds:
            print(row, flush=True)


@contextmanager
def _surviving(engine: Engine, engines: list[Engine], case: Case) -> Iterator[None]:
    try:
        yield
    except EngineError as error:
        print(f"| {case.share * 100:g} % | {engine.name} | {error} | – | – | – | – | – | – |", flush=True)
        engine.close()
        engines.remove(engine)


def _least(count: int, suffices: Callable[[int], bool]) -> int | None:
    """The lowest of `count` rungs that suffices, if none above a sufficient one fails: doubling steps, then halving."""
    low, high = 0, min(1, count - 1)
    while not suffices(high):
        if high == count - 1:
            return None
        low, high = high + 1, min(2 * high + 1, count - 1)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if suffices(middle) else (middle + 1, high)
    return high


def _shown(effort: Hashable) -> str:
    return ", ".join(map(str, effort)) if isinstance(effort, tuple) else str(effort)


def _table(kind: str, without_filter: Sequence[Engine]) -> None:
    columns = ["matching", "engine", "effort", "recall@10", "batch, q/s", "single, q/s", "p50, ms", "p99, ms", "short"]
    print(f"\n{kind}\n\n| {' | '.join(columns)} |\n{'|---' * len(columns)}|", flush=True)
    for engine in without_filter:
        print(f"| all | {engine.name} | {engine.peer.no_filter} | – | – | – | – | – | – |")


def _vectors(arguments: argparse.Namespace) -> Vectors:
    if arguments.data == "clustered":
        return clustered(arguments.n, arguments.dim)
    return segments(arguments.vectors, arguments.n, strangers=arguments.data == "strangers")


def main() -> None:
    """Build, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", choices=("clustered", "segments", "strangers"), default="clustered")
    parser.add_argument("--vectors", type=Path, help="float16 [rows, dim] as numpy saves it, but for clustered")
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--dim", type=int, default=128, help="of clustered")
    parser.add_argument("--peer", dest="peers", action="append", choices=PEERS)
    parser.add_argument("--only", choices=("unfiltered", "filtered"))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="for one measurement, about")
    parser.add_argument("--keep", type=Path, help="folder of a workload and its indexes, which later runs open")
    parser.add_argument("--build-only", action="store_true", help="end when all are kept")
    arguments = parser.parse_args()
    if arguments.data != "clustered" and arguments.vectors is None:
        parser.error(f"--data {arguments.data} needs --vectors")
    if arguments.build_only and arguments.keep is None:
        parser.error("--build-only needs --keep")
    if arguments.keep is None:
        with tempfile.TemporaryDirectory(prefix="soundalike-bench-") as name:
            run(arguments, Path(name))
        return
    if arguments.keep.exists() and any(arguments.keep.iterdir()) and not (arguments.keep / "workload").exists():
        parser.error(f"--keep: {arguments.keep} holds something else, which would be overwritten")
    run(arguments, arguments.keep.resolve())


def run(arguments: argparse.Namespace, folder: Path) -> None:
    """Build or open below a folder, measure and print."""
    asked = [case for case in cases() if arguments.only != ("filtered" if case.label is None else "unfiltered")]
    filters = any(case.label is not None for case in asked)
    workload = kept_or_prepared(_vectors(arguments), folder / "workload", filters=filters)
    print(machine())
    print(f"{workload.n:,} × {workload.dim}, {arguments.data}; medians of {arguments.rounds} rounds\n", flush=True)
    ready_engines = opened(arguments.peers or list(PEERS), workload, folder)
    if arguments.build_only:
        for engine in ready_engines:
            engine.close()
        return
    engines = list(ready_engines)
    try:
        for kind, group in itertools.groupby(asked, key=lambda case: case.kind):
            filtered = kind != asked[0].kind or asked[0].label is not None
            _table(kind, [engine for engine in engines if filtered and engine.peer.no_filter])
            for case in group:
                compare(engines, workload, case, arguments.rounds, arguments.seconds)
    finally:
        for engine in engines:
            engine.close()


if __name__ == "__main__":
    main()
