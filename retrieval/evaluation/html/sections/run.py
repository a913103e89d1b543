"""What the page shows of `evaluate run`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.evaluation.html import plots
from retrieval.evaluation.html.parts import (
    Figure,
    Ids,
    Listed,
    Result,
    Section,
    Table,
    cards,
    decimals,
    estimate,
    number,
    subject_facts,
)
from retrieval.evaluation.results.runs import LISTWISE
from retrieval.evaluation.worst import metric_of_worst, worst_rows

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

PLOTTED = 4
"""Metrics whose values by query are drawn: the first ones."""


def run_section(result: Result, name: str) -> Section:
    """One run of queries against the live index."""
    content, subject = result.content, result.content.get("subject", {})
    facts = [
        *subject_facts(subject),
        ("queries", f"{content['queries']:,}"),
        ("judgments", f"{content['judgments']:,}, {content['relevant']:,} relevant"),
    ]
    unjudged = number(content.get("unjudged"))
    if not math.isnan(unjudged):
        facts.append(("unjudged", f"{100 * unjudged:.0f} % of the first {content['beyond_accuracy']['k']}"))
    return Section(
        "the live index against judgments",
        f"{subject.get('space', 'a space')} against {content['source']}",
        facts,
        cards(result),
        [*_histograms(result, name), *_beyond(content.get("beyond_accuracy", {}), name)],
        _worst(result),
        _left_out(content.get("left_out", {})),
    )


def _histograms(result: Result, name: str) -> list[Figure]:
    figures: list[Figure] = []
    for place, (metric, interval) in enumerate(result.metrics.items()):
        values = result.columns.get(metric, np.empty(0))
        values = values[np.isfinite(values)]
        if len(figures) < PLOTTED and len(np.unique(values)) > 2:
            drawing = plots.histogram(f"{name}-values{place}", metric, values, estimate(metric, interval))
            figures.append(Figure(f"{metric} by query", drawing))
    return figures


def _beyond(beyond: Mapping[str, Any], name: str) -> list[Figure]:
    figures = []
    if beyond.get("lorenz"):
        drawing = plots.lorenz(f"{name}-lorenz", beyond["lorenz"], number(beyond.get("gini")))
        skew, bits = number(beyond.get("occurrence_skew")), number(beyond.get("entropy_bits"))
        note = (
            f"Entropy {bits:.2f} bits, k-occurrence skew {skew:.2f}. The deeper the curve hangs, the fewer tracks come."
        )
        figures.append(Figure("How evenly tracks are recommended", drawing, note))
    given = {label: beyond.get(part) for part, label in ({"coverage": "item coverage"} | LISTWISE).items()}
    rows = [
        estimate(label, one if isinstance(one, dict) else dict.fromkeys(("mean", "low", "high"), one))
        for label, one in given.items()
    ]
    rows = [row for row in rows if not math.isnan(row.mean)]
    if rows:
        drawing = plots.estimates(f"{name}-beyond", "Beyond accuracy", rows, "share, 95 % interval")
        figures.append(Figure("Beyond accuracy", drawing, f"Of the first {beyond['k']} results of every query."))
    return figures


def _worst(result: Result) -> list[Table]:
    metrics = [metric for metric in result.metrics if metric in result.columns]
    if not metrics:
        return []
    by = metric_of_worst(metrics)
    lower = by in result.lower_is_better
    rows = worst_rows(result.columns[by], lower_is_better=lower)
    shown = [by, *(metric for metric in metrics if metric != by)][:5]
    columns = {metric: [decimals(result.columns[metric][row]) for row in rows] for metric in shown}
    if "relevant" in result.columns:
        columns = {"relevant": [f"{result.columns['relevant'][row]:,.0f}" for row in rows], **columns}
    cells: list[list[str | Sequence[Listed]]] = [
        [result.query_ids[row], *others] for row, *others in zip(rows, *columns.values(), strict=True)
    ]
    notes = _equal(result.columns[by], rows, by)
    first_results = {one["query"]: _listed(one["found"]) for one in result.content.get("worst", ())}
    if first_results:  # older results have none
        columns["found first"] = []
        for cell in cells:
            cell.append(first_results.get(str(cell[0])) or "–")
        if any(one.marked for listed in first_results.values() for one in listed):
            notes.append("In bold: judged relevant.")
    title = f"The {len(rows)} queries with the {'highest' if lower else 'lowest'} {by}"
    return [Table(title, ["query", *columns], cells, " ".join(notes), lists=bool(first_results))]


def _equal(values: NDArray[np.float64], rows: Sequence[int], metric: str) -> list[str]:
    """What must be said where more queries are as bad as the last one that is shown."""
    last = values[rows[-1]] if rows else math.nan
    equal, shown = int((values == last).sum()), int((values[rows] == last).sum())
    return [f"{equal:,} queries have {metric} {decimals(last)}: shown are the first {shown}."] if equal > shown else []


def _listed(tracks: Sequence[Mapping[str, Any]]) -> list[Listed]:
    return [
        Listed(f"{one['artist']} – {one['title']}" if one["artist"] and one["title"] else one["key"], one["relevant"])
        for one in tracks
    ]


def _left_out(left_out: Mapping[str, Any]) -> list[Ids]:
    became = {"miss": "counted as missed"}.get(left_out.get("unknown", ""), "left out")
    what = {
        "unknown_queries": f"queries that the space does not hold, {became}",
        "unknown_documents": f"judged tracks that the space does not hold, {became}",
        "without_relevant": "queries without a relevant track",
        "not_asked": "queries that nobody judged",
    }
    return [Ids(said, left_out[part]) for part, said in what.items() if left_out.get(part)]
