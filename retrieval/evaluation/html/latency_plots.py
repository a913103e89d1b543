"""The plots of the report on what the index loses and gains against exact search: recall and latency.

Filled and blue is the index, hollow and orange its exact twin.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrieval.evaluation.html.svg import CHARACTER, LINE, Rect, Scale, dot, line, picture, text, x_axis, y_axis

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

WIDTH = 400.0
LIFT = 15.0
TIME = "milliseconds a query, p50 – p95 – p99"
EXACT = "exact search"


@dataclass(frozen=True)
class Speed:
    """Recall, with the bounds of its interval, and milliseconds at p50, p95 and p99: of the index, and of its twin."""

    label: str
    recall: tuple[float, float, float]
    index_ms: tuple[float, float, float]
    exact_ms: tuple[float, float, float]

    @property
    def times_as_fast(self) -> float:
        """As exact search, at the median."""
        return self.exact_ms[0] / self.index_ms[0]


def recall_against_latency(name: str, rows: Sequence[Speed], k: int) -> Markup:
    """Recall of the index and the time that a query takes, by selectivity; exact search is where recall is 1.

    What would cover another point of nearly the same recall is lifted above it.
    """
    x = _times(rows, 50, WIDTH - 10, room=1.4)
    span = max(1 - min(row.recall[1] for row in rows), 0.005) * 1.15
    lifts = _lifts(rows, x, Scale(1 - span, 1, 250, 0))
    top = 34 + max(lifts)
    area = Rect(50, top, WIDTH - 10, top + 250)
    y = Scale(1 - span, 1, area.bottom, area.top)
    parts = [*y_axis(y, area, f"recall@{k}, tie-safe"), *x_axis(x, area, TIME)]
    for row in rows:
        title = f"exact, {row.label}: {row.exact_ms[0]:.3g} ms"
        parts.append(dot(x(row.exact_ms[0]), y(1), "mark twin", title=title))
    right, below, anchor = _exact_label(rows, x)
    parts.append(text(right, y(1) + below, EXACT, anchor=anchor, class_="label halo"))
    for row, up in zip(rows, lifts, strict=True):
        parts += _point(row, x, y, up)
    said = "; ".join(f"{row.label}: recall {row.recall[0]:.4f} at {row.index_ms[0]:.3g} ms" for row in rows)
    return picture(name, "Recall against latency", said, (WIDTH, area.bottom + 38), parts)


def latencies(name: str, rows: Sequence[Speed]) -> Markup:
    """The index and its exact twin in pairs, by selectivity."""
    step = 3.4 * LINE
    area = Rect(10, 8, WIDTH - 10, 8 + step * len(rows) + 4)
    x = _times(rows, area.left, area.right, room=1.15)
    parts = x_axis(x, area, TIME)
    for number, row in enumerate(rows):
        at, factor = area.top + step * number + 14, row.times_as_fast
        times = f"{max(factor, 1 / factor):.1f}"
        faster = "as fast" if times == "1.0" else f"{times} × as {'fast' if factor > 1 else 'slow'}"
        parts += [
            text(area.left, at, row.label),
            text(area.right, at, faster, anchor="end", class_="label strong halo"),
        ]
        parts += _whiskers(x, at + 11, row.index_ms, f"index: {_milliseconds(row.index_ms)}")
        parts += _whiskers(x, at + 23, row.exact_ms, f"exact: {_milliseconds(row.exact_ms)}", twin=True)
    said = "; ".join(
        f"{row.label}: index {_milliseconds(row.index_ms)}, exact {_milliseconds(row.exact_ms)}" for row in rows
    )
    return picture(name, "Latency of the index and of exact search", said, (WIDTH, area.bottom + 38), parts)


def _times(rows: Sequence[Speed], start: float, stop: float, *, room: float) -> Scale:
    times = [value for row in rows for value in (*row.index_ms, *row.exact_ms)]
    return Scale(min(times) / room, max(times) * room, start, stop, log=True)


def _point(row: Speed, x: Scale, y: Scale, up: float) -> list[Markup]:
    at, (left, right) = y(row.recall[0]) - up, (x(row.index_ms[0]), x(row.index_ms[2]))
    title = f"{row.label}: recall {row.recall[0]:.4f}, p50 {row.index_ms[0]:.3g} ms"
    interval = line(left, y(row.recall[1]) - up, left, y(row.recall[2]) - up, "whisker")
    return [interval, *_whiskers(x, at, row.index_ms, title), _beside(right + 6, left - 9, at + 4, row.label)]


def _beside(right: float, left: float, baseline: float, label: str) -> Markup:
    """A label that starts at the right, or ends at the left where there is no room."""
    if _fits(right, label):
        return text(right, baseline, label, class_="label halo")
    return text(left, baseline, label, anchor="end", class_="label halo")


def _fits(right: float, label: str) -> bool:
    return right + CHARACTER * len(label) <= WIDTH


def _whiskers(x: Scale, y: float, ms: tuple[float, float, float], title: str, *, twin: bool = False) -> list[Markup]:
    """From p50, thick to p95 and thin to p99."""
    suffix = " twin" if twin else ""
    p50, p95, p99 = (x(value) for value in ms)
    parts = [line(p50, y, p99, y, f"whisker{suffix}"), line(p50, y, p95, y, f"interval{suffix}")]
    return [*parts, line(p99, y - 3, p99, y + 3, f"whisker{suffix}"), dot(p50, y, f"mark{suffix}", title=title)]


def _milliseconds(values: tuple[float, float, float]) -> str:
    return " / ".join(f"{value:.3g}" for value in values) + " ms"


def _exact_label(rows: Sequence[Speed], x: Scale) -> tuple[float, float, str]:
    """Where exact search is named, x and the way down from its line: right of its points, or else under the last."""
    slowest = max(x(row.exact_ms[0]) for row in rows)
    return (slowest + 10, 4, "start") if _fits(slowest + 10, EXACT) else (slowest + 6, 20, "end")


def _lifts(rows: Sequence[Speed], x: Scale, y: Scale) -> list[float]:
    """How far up each row is lifted."""
    lifts: list[float] = []
    right, below, anchor = _exact_label(rows, x)
    left = right - CHARACTER * len(EXACT) if anchor == "end" else right
    placed = [Rect(left, y(1) + below - LIFT, left + CHARACTER * len(EXACT), y(1) + below)]
    for row in rows:
        up = LIFT if y(row.recall[0]) - y(1) < LIFT else 0.0  # the line of exact search stays free
        while any(one.meets(_reach(row, x, y(row.recall[0]) - up)) for one in placed):
            up += LIFT
        placed.append(_reach(row, x, y(row.recall[0]) - up))
        lifts.append(up)
    return lifts


def _reach(row: Speed, x: Scale, at: float) -> Rect:
    """What a row covers, with its label."""
    left, right, label = x(row.index_ms[0]) - 9, x(row.index_ms[2]) + 6, CHARACTER * len(row.label)
    right, left = (right + label, left) if _fits(right, row.label) else (right, left - label)
    return Rect(left, at - 7, right, at + 7)
