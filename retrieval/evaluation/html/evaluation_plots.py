"""The plots of the report on evaluations, one function each.

Blue is what was measured, orange what it is measured against or loses to: of Okabe & Ito's colours (Color universal
design, 2008), which people with any colour vision tell apart. Where a colour matters, a shape or a label says it too.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.evaluation.html.svg import (
    LINE,
    Rect,
    Scale,
    dot,
    element,
    line,
    nice_end,
    path,
    picture,
    text,
    x_axis,
    y_axis,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from numpy.typing import NDArray

WIDTH, HEIGHT = 340.0, 236.0
AREA = Rect(44, 26, WIDTH - 12, HEIGHT - 38)
BINS = 20
BARS = 240
"""More queries than this are drawn as one outline, not bar by bar."""


@dataclass(frozen=True)
class Estimate:
    """A mean with the bounds of its interval; `shown` is what stands beside it; `chance` is NaN where none is known."""

    label: str
    mean: float
    low: float
    high: float
    shown: str
    chance: float = math.nan


def histogram(name: str, metric: str, values: NDArray[np.float64], estimate: Estimate) -> Markup:
    """How many queries have which value of a metric, and where the mean lies.

    Parameters
    ----------
    values : float64 [n], finite
    """
    high = nice_end(max(float(values.max()), 1e-6))
    low = 0.0 if values.min() >= 0 else -nice_end(-float(values.min()))
    counts, edges = np.histogram(values, bins=BINS, range=(low, high))
    x = Scale(low, high, AREA.left, AREA.right)
    y = Scale(0, max(int(counts.max()), 5) * 1.12, AREA.bottom, AREA.top)
    parts = [*y_axis(y, AREA, "queries"), *x_axis(x, AREA, metric)]
    for count, left, right in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            title = element("title", f"{left:g} – {right:g}: {count} queries")
            wide, tall = x(right) - x(left) - 1.5, AREA.bottom - y(count)
            parts.append(element("rect", title, x=x(left) + 0.75, y=y(count), width=wide, height=tall, class_="bar"))
    parts += _mean_line(x(estimate.mean), (x(estimate.low), x(estimate.high)), f"mean {estimate.shown}")
    said = f"{len(values)} queries; mean {estimate.shown}, 95 % interval {estimate.low:.4f} to {estimate.high:.4f}."
    return picture(name, f"{metric} by query", said, (WIDTH, HEIGHT), parts)


def differences(
    name: str, metric: str, ids: Sequence[str], values: NDArray[np.float64], *, lower_is_better: bool = False
) -> Markup:
    """Differences of two runs, from what the second one loses most by to what it wins most by.

    Parameters
    ----------
    values : float64 [n], finite, not all 0: second − first, by query of `ids`
    """
    gains = -values if lower_is_better else values
    order = np.argsort(gains, kind="stable")
    ordered = values[order]
    reach = nice_end(float(np.abs(ordered).max()))
    x = Scale(0, len(ordered), AREA.left, AREA.right)
    y = Scale(-reach, reach, *((AREA.top, AREA.bottom) if lower_is_better else (AREA.bottom, AREA.top)))
    losses, wins = int((gains < 0).sum()), int((gains > 0).sum())
    ties = len(ordered) - losses - wins
    parts = y_axis(y, AREA, f"difference in {metric}{', lower is better' if lower_is_better else ''}")
    if len(ordered) <= BARS:
        parts += _bars(x, y, [ids[number] for number in order.tolist()], ordered, losses)
    else:
        parts += [_outline(x, y, 0, ordered[:losses], "bar lost")] if losses else []
        parts += [_outline(x, y, losses + ties, ordered[losses + ties :], "bar")] if wins else []
    below, middle = AREA.bottom + LINE, (AREA.left + AREA.right) / 2
    parts += [
        line(AREA.left, y(0), AREA.right, y(0), "base"),
        text(AREA.left, below, f"{losses} worse"),
        text(middle, below, f"{ties} equal", anchor="middle"),
        text(AREA.right, below, f"{wins} better", anchor="end"),
        text(AREA.right, AREA.bottom + 2.2 * LINE, "queries, by difference", anchor="end", class_="axis"),
    ]
    said = f"Of {len(ordered)} queries the second run is better for {wins}, equal for {ties} and worse for {losses}."
    return picture(name, f"Differences in {metric} by query", said, (WIDTH, HEIGHT), parts)


def lorenz(name: str, curve: Sequence[float], gini: float) -> Markup:
    """What share of all recommendations the least recommended tracks hold.

    Parameters
    ----------
    curve : shares at equal steps of the tracks, from 0 to 1
    """
    area = Rect(AREA.left, AREA.top, AREA.left + AREA.bottom - AREA.top + 60, AREA.bottom)
    x, y = Scale(0, 1, area.left, area.right), Scale(0, 1, area.bottom, area.top)
    at = [(x(number / (len(curve) - 1)), y(share)) for number, share in enumerate(curve)]
    parts = [*y_axis(y, area, "share of recommendations"), *x_axis(x, area, "share of tracks, least recommended first")]
    equal = [(x(0), y(0)), (x(1), y(1))]
    parts += [path([*at, *equal[::-1]], "area", closed=True), path(equal, "base dashed"), path(at, "curve")]
    parts.append(text(x(0.44), y(0.56), "all alike", anchor="end", class_="label muted"))
    parts.append(text(x(0.03), y(0.9), f"Gini index {gini:.2f}", class_="label strong"))
    said = f"Lorenz curve of how often tracks are recommended; Gini index {gini:.4f}, where 0 is all alike."
    return picture(name, "How evenly tracks are recommended", said, (WIDTH, HEIGHT), parts)


def estimates(name: str, title: str, rows: Sequence[Estimate], label: str, *, zero: bool = False) -> Markup:
    """Means with their intervals, below each other; around zero where they are differences."""
    reach = max(max(abs(row.low), abs(row.high), abs(row.mean)) for row in rows)
    high = nice_end(max(reach, 1e-6), 3) if zero else max(1.0, nice_end(reach))
    step = LINE * (3.1 if zero else 2.5)
    area = Rect(10, 8, WIDTH - 10, 8 + step * len(rows) + 6)
    x = Scale(-high if zero else 0, high, area.left, area.right)
    parts = x_axis(x, area, label, about=4)
    if zero:
        parts.append(line(x(0), area.top, x(0), area.bottom, "base"))
    for number, row in enumerate(rows):
        at = area.top + step * number + 14
        parts.append(text(area.left, at, row.label, class_="label halo"))
        parts.append(text(area.right, at, row.shown, anchor="end", class_="label strong halo"))
        parts.append(line(x(row.low), at + 9, x(row.high), at + 9, "interval"))
        if not math.isnan(row.chance):
            parts.append(line(x(row.chance), at + 4, x(row.chance), at + 14, "chance"))
        parts.append(dot(x(row.mean), at + 9, "mark", title=f"{row.label}: {row.shown}"))
    said = "; ".join(f"{row.label} {row.shown}" for row in rows)
    return picture(name, title, said, (WIDTH, area.bottom + 38), parts)


def _mean_line(at: float, bounds: tuple[float, float], label: str) -> list[Markup]:
    band = element("rect", x=bounds[0], y=AREA.top, width=bounds[1] - bounds[0], height=AREA.bottom - AREA.top)
    right = at < (AREA.left + AREA.right) / 2
    beside = (bounds[1] + 5, "start") if right else (bounds[0] - 5, "end")
    shown = text(beside[0], AREA.top + 10, label, anchor=beside[1], class_="label strong halo")
    return [element("g", band, class_="band"), line(at, AREA.top, at, AREA.bottom, "mean"), shown]


def _bars(x: Scale, y: Scale, ids: Sequence[str], ordered: NDArray[np.float64], losses: int) -> list[Markup]:
    parts, gap = [], min(1.0, 0.2 * (x(1) - x(0)))
    for number, (query, value) in enumerate(zip(ids, ordered.tolist(), strict=True)):
        if value:
            (top, bottom), wide = sorted((y(0), y(value))), x(1) - x(0) - gap
            title, kind = element("title", f"{query}: {value:+.4f}"), "bar lost" if number < losses else "bar"
            at = x(number) + gap / 2
            parts.append(element("rect", title, x=at, y=top, width=wide, height=bottom - top, class_=kind))
    return parts


def _outline(x: Scale, y: Scale, first: int, ordered: NDArray[np.float64], kind: str) -> Markup:
    """Bars without gaps, as one shape; of very many, as many as a screen shows."""
    taken = np.unique(np.linspace(0, len(ordered) - 1, min(len(ordered), 2 * BARS)).round().astype(int)).tolist()
    edges = [*taken[1:], len(ordered)]
    steps = [
        (x(first + side), y(float(ordered[number])))
        for number, end in zip(taken, edges, strict=True)
        for side in (number, end)
    ]
    return path([(x(first), y(0)), *steps, (x(first + len(ordered)), y(0))], kind, closed=True)
