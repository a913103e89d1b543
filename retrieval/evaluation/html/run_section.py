"""What the report shows of `evaluate run`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.evaluation.html import evaluation_plots as plots
from retrieval.evaluation.html.evaluation_parts import (
    Figure,
    Listed,
    Named,
    Result,
    Section,
    Table,
    card,
    decimals,
    estimate,
    number,
    subject_facts,
)
from retrieval.evaluation.measures.worst import metric_of_worst, worst_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

NAMED = 12
PLOTTED = 4
"""Metrics whose values by query are drawn: the first ones."""
SHARES = {
    "coverage": "item coverage",
    "tail_share": "tail share",
    "diversity": "intra-list diversity",
    "same_artist": "same artist",
    "same_album": "same album",
}


def run_section(result: Result, name: str) -> Section:
    """One run of queries against the live index."""
    found, subject = result.found, result.found.get("subject", {})
    counts = [
        ("queries", f"{found['queries']:,}"),
        ("judgments", f"{found['judgments']:,}, {found['relevant']:,} relevant"),
    ]
    unjudged = number(found.get("unjudged"))
    if not math.isnan(unjudged):
        counts.append(("unjudged", f"{100 * unjudged:.0f} % of the first {found['beyond_accuracy']['k']}"))
    lower = found.get("lower_is_better", ())
    return Section(
        "the live index against judgments",
        f"{subject.get('space', 'a space')} against {found['source']}",
        str(found.get("created", "")),
        [*subject_facts(subject), *counts],
        [card(metric, one, "lower is better" if metric in lower else "") for metric, one in found["metrics"].items()],
        [*_histograms(result, name), *_beyond(found.get("beyond_accuracy", {}), name)],
        _worst(result),
        _left_out(found.get("left_out", {})),
        found.get("warnings", ()),
    )


def _histograms(result: Result, name: str) -> list[Figure]:
    figures: list[Figure] = []
    for place, (metric, interval) in enumerate(result.found["metrics"].items()):
        values = _finite(result.columns.get(metric))
        if len(figures) == PLOTTED or len(np.unique(values)) < 3:
            continue
        drawing = plots.histogram(f"{name}-values{place}", metric, values, estimate(metric, interval))
        figures.append(Figure(f"{metric} by query", drawing))
    return figures


def _beyond(beyond: Mapping[str, Any], name: str) -> list[Figure]:
    figures, rows = [], []
    for part, label in SHARES.items():
        given = beyond.get(part)
        row = estimate(label, given if isinstance(given, dict) else {"mean": given, "low": given, "high": given})
        rows += [] if math.isnan(row.mean) else [row]
    skew, bits = number(beyond.get("occurrence_skew")), number(beyond.get("entropy_bits"))
    if beyond.get("lorenz"):
        drawing = plots.lorenz(f"{name}-lorenz", beyond["lorenz"], number(beyond.get("gini")))
        note = (
            f"Entropy {bits:.2f} bits, k-occurrence skew {skew:.2f}. The deeper the curve hangs, the fewer tracks come."
        )
        figures.append(Figure("How evenly tracks are recommended", drawing, note))
    if rows:
        drawing = plots.estimates(f"{name}-beyond", "Beyond accuracy", rows, "share, 95 % interval")
        figures.append(Figure("Beyond accuracy", drawing, f"Of the first {beyond['k']} results of every query."))
    return figures


def _worst(result: Result) -> list[Table]:
    metrics = [metric for metric in result.found["metrics"] if metric in result.columns]
    if not metrics:
        return []
    by = metric_of_worst(metrics)
    lower = by in result.found.get("lower_is_better", ())
    rows = worst_rows(result.columns[by], lower_is_better=lower)
    title = f"The {len(rows)} queries with the {'highest' if lower else 'lowest'} {by}"
    notes = _equal(result.columns[by], rows, by)
    shown = [by, *(metric for metric in metrics if metric != by)][:5]
    relevant = result.columns.get("relevant")
    columns = ["query", *([] if relevant is None else ["relevant"]), *shown]
    cells: list[list[str | Sequence[Listed]]] = [
        [
            result.query_ids[row],
            *([] if relevant is None else [f"{relevant[row]:,.0f}"]),
            *(decimals(result.columns[metric][row]) for metric in shown),
        ]
        for row in rows
    ]
    found = {one["query"]: _found(one["found"]) for one in result.found.get("worst", ())}
    if not found:  # written before they were kept
        return [Table(title, columns, cells, " ".join(notes))]
    for cell in cells:
        cell.append(found.get(str(cell[0])) or "–")
    if any(one.marked for names in found.values() for one in names):
        notes.append("In bold: judged relevant.")
    return [Table(title, [*columns, "found first"], cells, " ".join(notes), lists=True)]


def _equal(values: NDArray[np.float64], rows: Sequence[int], metric: str) -> list[str]:
    """What must be said where more queries are as bad as the last one that is shown."""
    last = values[rows[-1]] if rows else math.nan
    equal, shown = int((values == last).sum()), int((values[rows] == last).sum())
    return [f"{equal:,} queries have {metric} {decimals(last)}: shown are the first {shown}."] if equal > shown else []


def _found(tracks: Sequence[Mapping[str, Any]]) -> list[Listed]:
    return [
        Listed(f"{one['artist']} – {one['title']}" if one["artist"] and one["title"] else one["key"], one["relevant"])
        for one in tracks
    ]


def _left_out(left_out: Mapping[str, Any]) -> list[Named]:
    became = {"miss": "counted as missed"}.get(left_out.get("unknown", ""), "left out")
    what = {
        "unknown_queries": f"queries that the space does not hold, {became}",
        "unknown_documents": f"judged tracks that the space does not hold, {became}",
        "without_relevant": "queries without a relevant track",
        "not_asked": "queries that nobody judged",
    }
    return [
        Named(said, left_out[part][:NAMED], len(left_out[part])) for part, said in what.items() if left_out.get(part)
    ]


def _finite(values: NDArray[np.float64] | None) -> NDArray[np.float64]:
    return np.empty(0) if values is None else values[np.isfinite(values)]
