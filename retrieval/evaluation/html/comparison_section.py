"""What the report shows of `evaluate compare` and `evaluate models`: two sides, and what the second one gains."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.evaluation.html import evaluation_plots as plots
from retrieval.evaluation.html.evaluation_parts import (
    Figure,
    Named,
    Result,
    Section,
    Table,
    card,
    decimals,
    hub_fact,
    number,
    signed,
)
from retrieval.evaluation.html.evaluation_plots import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

NAMED = 12
PLOTTED = 4
"""Metrics whose differences by query are drawn: the first ones."""


def comparison_section(result: Result, name: str) -> Section:
    """Two runs on the same judgments."""
    found = result.found
    facts = [("first", found["first"]), ("second", found["second"]), ("queries", f"{found['queries']:,}")]
    without = found.get("without_relevant", ())
    named = [Named("judged queries without a relevant document", without[:NAMED], len(without))] if without else []
    return Section(
        "two runs",
        f"{found['second']} against {found['first']}",
        str(found.get("created", "")),
        [*facts, ("judgments", found["source"])],
        figures=[*_means(found, name, "second − first"), *_by_query(result, name)],
        tables=[_table(found, "first", "second")],
        left_out=named,
        warnings=found.get("warnings", ()),
    )


def models_section(result: Result, name: str) -> Section:
    """Two spaces on the same tracks."""
    found = result.found
    blue, green = found["blue"]["space"], found["green"]["space"]
    facts = [(side, f"{found[side]['space']} ({found[side].get('encoder_version', '')})") for side in ("blue", "green")]
    alone = f"{found['only_blue']:,} + {found['only_green']:,}"
    facts += [("tracks in both", f"{found['tracks']:,}"), ("in one alone", alone)]
    facts += [("queries", f"{found['queries']:,}"), *([("judgments", found["source"])] if found.get("source") else [])]
    alike = [("overlap", f"overlap@{found['blue']['depth']}"), ("rank_biased_overlap", "rank-biased overlap")]
    hubs = zip((blue, green), found.get("largest_hubs", ()), strict=False)
    return Section(
        "two spaces on the same tracks",
        f"{green} against {blue}",
        str(found.get("created", "")),
        [*facts, *(hub_fact(hub, space) for space, hub in hubs)],
        [card(label, found[part]) for part, label in alike if part in found],
        _means(found, name, f"{green} − {blue}"),
        [_table(found, blue, green)],
        warnings=found.get("warnings", ()),
        lead=found.get("verdict", ""),
    )


def _means(found: Mapping[str, Any], name: str, what: str) -> list[Figure]:
    """The differences of what lies between 0 and 1, the more the better: they share a scale, and a direction."""
    lower = found.get("lower_is_better", ())
    shown = {
        metric: one
        for metric, one in found["metrics"].items()
        if metric not in lower and all(0 <= number(one[side]) <= 1 for side in ("first_mean", "second_mean"))
    }
    rows = [_difference(metric, one) for metric, one in shown.items()]
    rows = [row for row in rows if not math.isnan(row.low)]
    if not rows:
        return []
    drawing = plots.estimates(f"{name}-gain", "Mean differences", rows, f"{what}, 95 % interval", zero=True)
    return [Figure("Mean differences", drawing, "A star: p below 0.05 by Holm.", tall=len(rows) > 7)]


def _by_query(result: Result, name: str) -> list[Figure]:
    figures: list[Figure] = []
    for place, (metric, one) in enumerate(result.found["metrics"].items()):
        values = _gain(result, metric)
        if len(figures) < PLOTTED and np.isfinite(values).all() and values.any():
            lower = metric in result.found.get("lower_is_better", ())
            drawing = plots.differences(
                f"{name}-difference{place}", metric, result.query_ids, values, lower_is_better=lower
            )
            figures.append(Figure(f"{metric} by query", drawing, _verdict(one)))
    return figures


def _gain(result: Result, metric: str) -> NDArray[np.float64]:
    first, second = (result.columns.get(f"{metric} {side}") for side in ("first", "second"))
    return np.empty(0) if first is None or second is None else second - first


def _verdict(one: Mapping[str, Any]) -> str:
    gain = one["difference"]
    bounds = f"{signed(gain['low'])} to {signed(gain['high'])}"
    sure = f"p {decimals(one['p'])}, by Holm {decimals(one['p_holm'])}.".replace(" ", "\N{NO-BREAK SPACE}")
    return f"{signed(gain['mean'])}, 95 % interval {bounds}; {sure}"


def _difference(metric: str, one: Mapping[str, Any]) -> Estimate:
    gain = one["difference"]
    mean, low, high = (number(gain[part]) for part in ("mean", "low", "high"))
    return Estimate(metric, mean, low, high, _starred(one))


def _starred(one: Mapping[str, Any]) -> str:
    return signed(one["difference"]["mean"]) + ("*" if number(one["p_holm"]) < 0.05 else "")


def _table(found: Mapping[str, Any], first: str, second: str) -> Table:
    lower = found.get("lower_is_better", ())
    rows = [
        [f"{metric} (lower is better)" if metric in lower else metric, *_compared(one)]
        for metric, one in found["metrics"].items()
    ]
    columns = ("metric", first, second, "difference", "95 % interval", "p", "p (Holm)", "d_z", "wins/ties/losses")
    return Table("All metrics", columns, rows)


def _compared(one: Mapping[str, Any]) -> list[str]:
    gain = one["difference"]
    bounds = "" if gain["low"] is None else f"{signed(gain['low'])} – {signed(gain['high'])}"
    sure = [bounds, decimals(one["p"]), decimals(one["p_holm"])]
    outcomes = "–" if one["effect_size"] is None else f"{one['wins']}/{one['ties']}/{one['losses']}"
    means = [decimals(one["first_mean"]), decimals(one["second_mean"]), _starred(one)]
    return [*means, *sure, signed(one["effect_size"], 2), outcomes]
