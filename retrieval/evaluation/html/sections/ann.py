"""What the page shows of `evaluate ann`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from retrieval.evaluation.html.parts import Figure, Result, Section, Table, card, decimals, number, subject_facts
from retrieval.evaluation.html.plots import Speed, latencies, recall_against_latency

if TYPE_CHECKING:
    from collections.abc import Mapping

PERCENTILES = ("p50_ms", "p95_ms", "p99_ms")


def ann_section(result: Result, name: str) -> Section:
    """The index by selectivity, beside its exact twin."""
    content, k = result.content, result.content["k"]
    speeds = [speed for row in content["rows"] if (speed := _speed(row)) is not None]
    figures = []
    if speeds:
        lifted = "Bars: 95 % interval of recall, and the way to p95 and p99. Points that would cover others are lifted."
        figures = [
            Figure("Recall against latency", recall_against_latency(f"{name}-recall", speeds, k), lifted),
            Figure(
                "The index and its exact twin",
                latencies(f"{name}-latency", speeds),
                "Filled: the index. Hollow: exact search, which scores every match. Thick to p95, thin to p99.",
            ),
        ]
    epsilon = f"within {1 + content['epsilon']:g}×"
    columns = ("among", "tracks", "path", "id overlap", "tie-safe", epsilon, "worst query", "index, ms", "exact, ms")
    table = Table(
        "By selectivity", columns, [_ann_row(row) for row in content["rows"]], "Milliseconds are p50 / p95 / p99."
    )
    some = "" if content["timed_queries"] == content["queries"] else f"{content['timed_queries']:,} of them "
    counts = [("queries", f"{content['queries']:,}, {some}timed one at a time")]
    cards = [card(_among(row), row["tie_safe"]) for row in content["rows"] if row["matching"]]
    return Section(
        "the index against exact search",
        f"recall@{k} of {content['subject']['space']}",
        [*subject_facts(content["subject"]), *counts],
        cards,
        figures,
        [table],
    )


def _speed(row: Mapping[str, Any]) -> Speed | None:
    recall, index, exact = (
        (number(values[first]), number(values[second]), number(values[third]))
        for values, (first, second, third) in (
            (row["tie_safe"], ("mean", "low", "high")),
            (row["latency"], PERCENTILES),
            (row["exact_latency"], PERCENTILES),
        )
    )
    if any(math.isnan(value) for value in (*recall, *index, *exact)) or min(*index, *exact) <= 0:
        return None
    return Speed(_among(row), recall, index, exact)


def _among(row: Mapping[str, Any]) -> str:
    if row["among"] == "all":
        return "all tracks"
    return f"{'random' if row['among'] == 'random' else 'filter'} {100 * row['share']:.3g} %"


def _ann_row(row: Mapping[str, Any]) -> list[str]:
    recalls = [decimals(row[part]["mean"]) for part in ("id_overlap", "tie_safe", "epsilon")]
    times = [
        " / ".join("–" if row[which][part] is None else f"{row[which][part]:.3g}" for part in PERCENTILES)
        for which in ("latency", "exact_latency")
    ]
    among = row["among"] if row["among"] not in ("all", "random") else _among(row)
    return [among, f"{row['matching']:,}", row["path"], *recalls, decimals(row["worst"]), *times]
