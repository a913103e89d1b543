"""What the report shows of `evaluate catalogue`: a space without judgments."""

from __future__ import annotations

import math

from api.web import evaluation_plots as plots
from api.web.evaluation_parts import Figure, Result, Section, card, decimals, estimate, hub_fact, number, subject_facts


def catalogue_section(result: Result, name: str) -> Section:
    """One space: halves of tracks, artists and albums, hubs."""
    found, cards = result.found, []
    for metric, interval in found["metrics"].items():
        chance = number(found.get("chance", {}).get(metric))
        by_chance = "" if math.isnan(chance) else f"by chance {decimals(chance)}"
        cards.append(card(metric, interval, by_chance, "lower is better" if metric in found["lower_is_better"] else ""))
    rows = [estimate(metric, interval) for metric, interval in found["metrics"].items()]
    rows = [row for row in rows if row.low >= 0 and row.high <= 1]
    drawing = [plots.estimates(f"{name}-metrics", "Metrics", rows, "mean, 95 % interval")] if rows else []
    facts = [("queries", f"{found['queries']:,}")]
    facts += [hub_fact(found["largest_hub"])] if "largest_hub" in found else []
    return Section(
        "a space without judgments",
        f"{found['subject']['space']} without judgments",
        str(found.get("created", "")),
        [*subject_facts(found["subject"]), *facts],
        cards,
        [Figure("Side by side", one) for one in drawing],
        warnings=found.get("warnings", ()),
    )
