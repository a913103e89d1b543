"""What the report shows of `evaluate run`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from api.web import evaluation_plots as plots
from api.web.evaluation_parts import (
    Figure,
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

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

WORST = 20
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
        counts.append(("unjudged", f"{unjudged:.0%} of the first {found['beyond_accuracy']['k']}"))
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
    metrics = list(result.found["metrics"])
    by = next((metric for metric in metrics if metric.startswith("nDCG")), metrics[0] if metrics else "")
    if by not in result.columns:
        return []
    values = result.columns[by]
    lower = by in result.found.get("lower_is_better", ())
    order = np.argsort(-values if lower else values, kind="stable")[:WORST]
    shown = [by, *(metric for metric in metrics if metric != by and metric in result.columns)][:5]
    relevant = result.columns.get("relevant")
    rows = [
        [
            result.query_ids[number],
            *([] if relevant is None else [f"{relevant[number]:,.0f}"]),
            *(decimals(result.columns[metric][number]) for metric in shown),
        ]
        for number in order.tolist()
    ]
    columns = ["query", *([] if relevant is None else ["relevant"]), *shown]
    return [Table(f"The {len(rows)} queries with the {'highest' if lower else 'lowest'} {by}", columns, rows)]


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
