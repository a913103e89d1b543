"""What the page shows of `evaluate catalogue`: a space without judgments, and by labels of a folder where there are."""

from __future__ import annotations

from dataclasses import replace

from retrieval.evaluation.html import plots
from retrieval.evaluation.html.labels import label_tables, not_found
from retrieval.evaluation.html.parts import Figure, Result, Section, cards, estimate, hub_fact, number, subject_facts

SOUGHT = {
    "half-track": "The other half of a track",
    "same artist": "Tracks of the same artist",
    "same artist on other albums": "Tracks of the same artist on other albums",
    "same album": "Tracks of the same album",
    "same label": "Tracks of the same label",
}
"""What a metric is of, which is its name but for the last word, and the title of its plot."""


def space_section(result: Result, name: str) -> Section:
    """One space: halves of tracks, artists and albums, hubs, labels."""
    content, space = result.content, result.content["subject"]["space"]
    labels = content.get("labels")
    facts = [("queries", f"{content['queries']:,}")]
    facts += [hub_fact(content["largest_hub"])] if "largest_hub" in content else []
    return Section(
        "a space without judgments",
        f"{space} without judgments",
        [*subject_facts(content["subject"]), *facts],
        cards(result),
        _figures(result, name),
        label_tables(labels, space) if labels else [],
        not_found(labels, f"space {space}") if labels else [],
    )


def _figures(result: Result, name: str) -> list[Figure]:
    """One for each thing that is sought, of the measures between 0 and 1."""
    figures = []
    for place, (of, title) in enumerate(SOUGHT.items()):
        rows = []
        for metric, interval in result.metrics.items():
            sought, _, measure = metric.rpartition(" ")
            if sought == of:
                chance = number(result.content.get("chance", {}).get(metric))
                rows.append(replace(estimate(measure, interval), chance=chance))
        rows = [row for row in rows if row.low >= 0 and row.high <= 1]
        if rows:
            drawing = plots.estimates(f"{name}-sought{place}", title, rows, "mean, 95 % interval")
            queries = result.metrics[f"{of} {rows[0].label}"]["count"]
            figures.append(Figure(title, drawing, f"{queries:,} queries. The upright line: a random ranking."))
    return figures
