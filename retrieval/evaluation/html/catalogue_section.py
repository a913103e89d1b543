"""What the report shows of `evaluate catalogue`: a space without judgments."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from retrieval.evaluation.html import evaluation_plots as plots
from retrieval.evaluation.html.evaluation_parts import (
    Figure,
    Result,
    Section,
    card,
    decimals,
    estimate,
    hub_fact,
    number,
    subject_facts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

ASKED = {
    "half-track": "The other half of a track",
    "same artist": "Tracks of the same artist",
    "same artist on other albums": "Tracks of the same artist on other albums",
    "same album": "Tracks of the same album",
}
"""What a metric is of: its name but for the last word."""


def catalogue_section(result: Result, name: str) -> Section:
    """One space: halves of tracks, artists and albums, hubs."""
    found, cards = result.found, []
    for metric, interval in found["metrics"].items():
        chance = number(found.get("chance", {}).get(metric))
        by_chance = "" if math.isnan(chance) else f"by chance {decimals(chance)}"
        cards.append(card(metric, interval, by_chance, "lower is better" if metric in found["lower_is_better"] else ""))
    facts = [("queries", f"{found['queries']:,}")]
    facts += [hub_fact(found["largest_hub"])] if "largest_hub" in found else []
    return Section(
        "a space without judgments",
        f"{found['subject']['space']} without judgments",
        str(found.get("created", "")),
        [*subject_facts(found["subject"]), *facts],
        cards,
        _figures(found, name),
        warnings=found.get("warnings", ()),
    )


def _figures(found: Mapping[str, Any], name: str) -> list[Figure]:
    """One for each thing that is asked, of what lies between 0 and 1."""
    figures = []
    for place, (of, title) in enumerate(ASKED.items()):
        rows = []
        for metric, interval in found["metrics"].items():
            asked, _, measure = metric.rpartition(" ")
            if asked == of:
                chance = number(found.get("chance", {}).get(metric))
                rows.append(replace(estimate(measure, interval), chance=chance))
        rows = [row for row in rows if row.low >= 0 and row.high <= 1]
        if rows:
            drawing = plots.estimates(f"{name}-asked{place}", title, rows, "mean, 95 % interval")
            queries = found["metrics"][f"{of} {rows[0].label}"]["count"]
            figures.append(Figure(title, drawing, f"{queries:,} queries. The upright line: a random ranking."))
    return figures
