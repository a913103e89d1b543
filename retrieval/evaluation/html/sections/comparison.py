"""What the page shows of `evaluate compare` and `evaluate models`: two sides, and what the second one gains."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from retrieval.evaluation.html import plots
from retrieval.evaluation.html.labels import label_tables, not_found
from retrieval.evaluation.html.parts import (
    Figure,
    Ids,
    Result,
    Section,
    Table,
    card,
    decimals,
    estimate,
    hub_fact,
    number,
    signed,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

PLOTTED = 4
"""Metrics whose differences by query are drawn: the first ones."""
COLUMNS = ("difference", "95 % interval", "p", "p (Holm)", "d_z", "wins/ties/losses")


def runs_section(result: Result, name: str) -> Section:
    """Two runs on the same judgments."""
    content = result.content
    facts = [(side, content[side]) for side in ("first", "second")]
    facts += [("queries", f"{content['queries']:,}"), ("judgments", content["source"])]
    without = content.get("without_relevant", ())
    return Section(
        "two runs",
        f"{content['second']} against {content['first']}",
        facts,
        figures=[*_means(result, name, "second − first"), *_by_query(result, name)],
        tables=[_table(result, "first", "second")],
        left_out=[Ids("judged queries without a relevant document", without)] if without else [],
    )


def spaces_section(result: Result, name: str) -> Section:
    """Two spaces on the same tracks."""
    content = result.content
    blue, green = content["blue"]["space"], content["green"]["space"]
    versions = {side: content[side].get("encoder_version", "") for side in ("blue", "green")}
    facts = [
        *((side, f"{content[side]['space']} ({version})") for side, version in versions.items()),
        ("tracks in both", f"{content['tracks']:,}"),
        ("in one alone", f"{content['only_blue']:,} + {content['only_green']:,}"),
        ("queries", f"{content['queries']:,}"),
    ]
    facts += [("judgments", content["source"])] if content.get("source") else []
    facts += [hub_fact(hub, space) for space, hub in zip((blue, green), content.get("largest_hubs", ()), strict=False)]
    labels = content.get("labels") or ()
    by_label = [table for space, one in zip((blue, green), labels, strict=False) for table in label_tables(one, space)]
    alike = {"overlap": f"overlap@{content['blue']['depth']}", "rank_biased_overlap": "rank-biased overlap"}
    return Section(
        "two spaces on the same tracks",
        f"{green} against {blue}",
        facts,
        [card(label, content[part]) for part, label in alike.items() if part in content],
        _means(result, name, f"{green} − {blue}"),
        [_table(result, blue, green), *by_label],
        not_found(labels[0], f"both {blue} and {green}") if labels else [],
        lead=content.get("verdict", ""),
    )


def _means(result: Result, name: str, what: str) -> list[Figure]:
    """The differences of what lies between 0 and 1, the more the better: they share a scale, and a direction."""
    rows = [
        estimate(metric, one["difference"], _starred(one))
        for metric, one in result.metrics.items()
        if metric not in result.lower_is_better
        and all(0 <= number(one[side]) <= 1 for side in ("first_mean", "second_mean"))
    ]
    rows = [row for row in rows if not math.isnan(row.low)]
    if not rows:
        return []
    drawing = plots.estimates(f"{name}-gain", "Mean differences", rows, f"{what}, 95 % interval", zero=True)
    return [Figure("Mean differences", drawing, "A star: p below 0.05 by Holm.", tall=len(rows) > 7)]


def _by_query(result: Result, name: str) -> list[Figure]:
    figures: list[Figure] = []
    for place, (metric, one) in enumerate(result.metrics.items()):
        first, second = (result.columns.get(f"{metric} {side}", np.empty(0)) for side in ("first", "second"))
        gain = second - first if len(first) == len(second) else np.empty(0)
        if len(figures) < PLOTTED and np.isfinite(gain).all() and gain.any():
            lower = metric in result.lower_is_better
            drawing = plots.differences(
                f"{name}-difference{place}", metric, result.query_ids, gain, lower_is_better=lower
            )
            figures.append(Figure(f"{metric} by query", drawing, _verdict(one)))
    return figures


def _verdict(one: Mapping[str, Any]) -> str:
    gain = one["difference"]
    bounds = f"{signed(gain['low'])} to {signed(gain['high'])}"
    sure = f"p {decimals(one['p'])}, by Holm {decimals(one['p_holm'])}.".replace(" ", "\N{NO-BREAK SPACE}")
    return f"{signed(gain['mean'])}, 95 % interval {bounds}; {sure}"


def _starred(one: Mapping[str, Any]) -> str:
    return signed(one["difference"]["mean"]) + ("*" if number(one["p_holm"]) < 0.05 else "")


def _table(result: Result, first: str, second: str) -> Table:
    rows = [
        [f"{metric} (lower is better)" if metric in result.lower_is_better else metric, *_compared(one)]
        for metric, one in result.metrics.items()
    ]
    return Table("All metrics", ("metric", first, second, *COLUMNS), rows)


def _compared(one: Mapping[str, Any]) -> list[str]:
    gain = one["difference"]
    return [
        decimals(one["first_mean"]),
        decimals(one["second_mean"]),
        _starred(one),
        "" if gain["low"] is None else f"{signed(gain['low'])} – {signed(gain['high'])}",
        decimals(one["p"]),
        decimals(one["p_holm"]),
        signed(one["effect_size"], 2),
        "–" if one["effect_size"] is None else f"{one['wins']}/{one['ties']}/{one['losses']}",
    ]
