"""The plots of the page, one function each.

Blue is what was measured, orange what it is measured against or loses to: of Okabe & Ito's colours (Color universal
design, 2008), which people with any colour vision tell apart. Where a colour matters, a shape or a label says it too:
filled is the index, hollow its exact twin.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter
from matplotlib.transforms import Affine2D, Bbox

from retrieval.evaluation.html.drawing import CARD, INDEX, INK, LOST, SOFT, TWIN, Drawing, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.transforms import Transform
    from numpy.typing import NDArray

WIDTH, HEIGHT, WIDE = 340.0, 236.0, 400.0
AREA = (44.0, 26.0, WIDTH - 12, HEIGHT - 38)
BELOW = 38.0
"""What the ticks and the name of the horizontal axis take."""
LINE = 15.0
BINS = 20
BARS = 240
"""More queries than this are drawn as one outline, not bar by bar."""
ROUND = [1, 2, 5, 10]
"""What ticks are multiples of, but for powers of ten."""
TIME = "milliseconds a query, p50 – p95 – p99"
FILLED: dict[str, Any] = {"ls": "", "marker": "o", "ms": 9, "color": INDEX, "mec": CARD, "mew": 1.5}
HOLLOW: dict[str, Any] = {"ls": "", "marker": "o", "ms": 9, "color": CARD, "mec": TWIN, "mew": 2}


@dataclass(frozen=True)
class Estimate:
    """A mean with the bounds of its interval; `shown` is what stands beside it; `chance` is NaN where none is known."""

    label: str
    mean: float
    low: float
    high: float
    shown: str
    chance: float = math.nan


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


@style()
def histogram(name: str, metric: str, values: NDArray[np.float64], estimate: Estimate) -> Markup:
    """How many queries have which value of a metric, and where the mean lies.

    Parameters
    ----------
    values : float64 [n], finite
    """
    drawing = Drawing((WIDTH, HEIGHT), AREA)
    low, high = _round_range(min(float(values.min()), 0.0), max(float(values.max()), 1e-6), 4)
    counts, edges = np.histogram(values, bins=BINS, range=(low, high))
    _limits(drawing.axes, (low, high), (0, max(int(counts.max()), 5) * 1.12))
    for count, left, right in zip(counts.tolist(), edges[:-1].tolist(), edges[1:].tolist(), strict=True):
        if count:
            (bar,) = drawing.axes.bar((left + right) / 2, count, 0.9 * (right - left), color=INDEX)
            drawing.name(bar, "bar", f"{left:g} – {right:g}: {count} queries")
    drawing.axes.axvspan(estimate.low, estimate.high, color=INK, alpha=0.12, linewidth=0)
    drawing.axes.axvline(estimate.mean, color=INK, linewidth=1.5)
    left_half = estimate.mean < (low + high) / 2
    beside, side, alignment = (estimate.high, 5, "left") if left_half else (estimate.low, -5, "right")
    _label(drawing, (beside, 1), f"mean {estimate.shown}", drawing.axes.get_xaxis_transform(), (side, -10), alignment)
    drawing.head("queries")
    drawing.axes.set_xlabel(metric)
    said = f"{len(values)} queries; mean {estimate.shown}, 95 % interval {estimate.low:.4f} to {estimate.high:.4f}."
    return drawing.markup(name, f"{metric} by query", said)


@style()
def differences(
    name: str, metric: str, ids: Sequence[str], values: NDArray[np.float64], *, lower_is_better: bool = False
) -> Markup:
    """Differences of two runs, from what the second one loses most by to what it wins most by.

    Parameters
    ----------
    values : float64 [n], finite, not all 0: second − first, by query of `ids`
    """
    drawing = Drawing((WIDTH, HEIGHT), AREA)
    axes, n = drawing.axes, len(values)
    gains = -values if lower_is_better else values
    order = np.argsort(gains, kind="stable")
    _, reach = _round_range(0, float(np.abs(values).max()), 4)
    _limits(axes, (0, n), (reach, -reach) if lower_is_better else (-reach, reach))
    losses, wins = int((gains < 0).sum()), int((gains > 0).sum())
    parts = (slice(0, losses), LOST), (slice(n - wins, n), INDEX)
    for part, colour in parts:
        if n <= BARS:
            for place, row in zip(range(n)[part], order[part].tolist(), strict=True):
                (bar,) = axes.bar(place + 0.5, values[row], 0.8, color=colour)
                drawing.name(bar, "bar", f"{ids[row]}: {values[row]:+.4f}")
        elif part.stop > part.start:  # as many steps as a screen shows
            edges = np.unique(np.linspace(part.start, part.stop, 2 * BARS).round().astype(int))
            axes.stairs(values[order[edges[:-1]]], edges, fill=True, color=colour, linewidth=0)
    axes.axhline(0, color=SOFT, linewidth=1)
    axes.set_xticks([])
    counts = {"left": f"{losses} worse", "center": f"{n - losses - wins} equal", "right": f"{wins} better"}
    for at, (alignment, count) in zip((0.0, 0.5, 1.0), counts.items(), strict=True):
        axes.text(at, -0.09, count, transform=axes.transAxes, horizontalalignment=alignment)
    axes.set_xlabel("queries, by difference", labelpad=1.5 * LINE)
    drawing.head(f"difference in {metric}{', lower is better' if lower_is_better else ''}")
    said = f"Of {n} queries the second run is better for {wins}, equal for {n - losses - wins} and worse for {losses}."
    return drawing.markup(name, f"Differences in {metric} by query", said)


@style()
def lorenz(name: str, curve: Sequence[float], gini: float) -> Markup:
    """What share of all recommendations the least recommended tracks hold.

    Parameters
    ----------
    curve : shares at equal steps of the tracks, from 0 to 1
    """
    left, top, _, bottom = AREA
    drawing = Drawing((WIDTH, HEIGHT), (left, top, left + bottom - top + 60, bottom))
    axes, tracks = drawing.axes, np.linspace(0, 1, len(curve))
    _limits(axes, (0, 1), (0, 1))
    axes.fill_between(tracks, curve, tracks, color=INDEX, alpha=0.18, linewidth=0)
    axes.plot([0, 1], [0, 1], color=SOFT, linewidth=1, dashes=(4, 4))
    axes.plot(tracks, curve, color=INDEX, linewidth=2.25, clip_on=False)
    axes.text(0.44, 0.56, "all alike", color=SOFT, horizontalalignment="right")
    axes.text(0.03, 0.9, f"Gini index {gini:.2f}", weight="bold")
    axes.set_xlabel("share of tracks, least recommended first")
    drawing.head("share of recommendations")
    said = f"Lorenz curve of how often tracks are recommended; Gini index {gini:.4f}, where 0 is all alike."
    return drawing.markup(name, "How evenly tracks are recommended", said)


@style()
def estimates(name: str, title: str, rows: Sequence[Estimate], label: str, *, zero: bool = False) -> Markup:
    """Means with their intervals, below each other; around zero where they are differences."""
    step = LINE * (3.1 if zero else 2.5)
    drawing, axes = _rows(WIDTH, len(rows), step)
    reach = max(max(abs(row.low), abs(row.high), abs(row.mean)) for row in rows)
    _, high = _round_range(0, max(reach, 1e-6 if zero else 1.0), 3 if zero else 4)
    axes.set_xlim(-high if zero else 0, high)
    if zero:
        axes.axvline(0, color=SOFT, linewidth=1)
    for number, row in enumerate(rows):
        at = step * number + 23
        _label(drawing, (0, at), row.label, axes.get_yaxis_transform(), (0, 9), "left", strong=False)
        _label(drawing, (1, at), row.shown, axes.get_yaxis_transform(), (0, 9), "right")
        axes.plot([row.low, row.high], [at, at], color=INDEX, alpha=0.55, linewidth=3.5, solid_capstyle="round")
        if not math.isnan(row.chance):
            (chance,) = axes.plot([row.chance] * 2, [at - 5, at + 5], color=TWIN, linewidth=2.5)
            drawing.name(chance, "chance")
        (mark,) = axes.plot(row.mean, at, **FILLED, clip_on=False)
        drawing.name(mark, "mark", f"{row.label}: {row.shown}")
    axes.xaxis.set_major_locator(MaxNLocator(4))
    axes.set_xlabel(label)
    return drawing.markup(name, title, "; ".join(f"{row.label} {row.shown}" for row in rows))


@style()
def recall_against_latency(name: str, rows: Sequence[Speed], k: int) -> Markup:
    """Recall of the index and the time that a query takes, by selectivity; exact search is where recall is 1.

    What would cover another point of nearly the same recall is lifted above it.
    """
    drawing = Drawing((WIDE, 300 + BELOW), (50, 50, WIDE - 10, 300))
    axes = drawing.axes
    _times(axes, rows, room=1.4)
    axes.set_ylim(1 - max(1 - min(row.recall[1] for row in rows), 0.005) * 1.15, 1)
    for row in rows:
        (twin,) = axes.plot(row.exact_ms[0], 1, **HOLLOW, clip_on=False)
        drawing.name(twin, "mark twin", f"exact, {row.label}: {row.exact_ms[0]:.3g} ms")
    taken: list[Bbox] = []
    for row in rows:
        taken.append(_point(drawing, row, taken))
    drawing.heighten(max(0.0, max(box.y1 for box in taken) + 30 - drawing.height))
    kinds = {"index": FILLED, "exact search": HOLLOW}
    handles = [Line2D([], [], label=label, **kind) for label, kind in kinds.items()]
    drawing.figure.legend(handles=handles, ncols=2, loc="upper right", borderpad=0, borderaxespad=0)
    drawing.head(f"recall@{k}, tie-safe")
    axes.set_xlabel(TIME)
    said = "; ".join(f"{row.label}: recall {row.recall[0]:.4f} at {row.index_ms[0]:.3g} ms" for row in rows)
    return drawing.markup(name, "Recall against latency", said)


@style()
def latencies(name: str, rows: Sequence[Speed]) -> Markup:
    """The index and its exact twin in pairs, by selectivity."""
    step = 3.4 * LINE
    drawing, axes = _rows(WIDE, len(rows), step)
    _times(axes, rows, room=1.15)
    for number, row in enumerate(rows):
        at, factor = step * number + 14, row.times_as_fast
        times = f"{max(factor, 1 / factor):.1f}"
        faster = "as fast" if times == "1.0" else f"{times} × as {'fast' if factor > 1 else 'slow'}"
        _label(drawing, (0, at), row.label, axes.get_yaxis_transform(), (0, 0), "left", strong=False)
        _label(drawing, (1, at), faster, axes.get_yaxis_transform(), (0, 0), "right")
        _whiskers(drawing, row.index_ms, at + 11, f"index: {_milliseconds(row.index_ms)}", axes.transData)
        exact = f"exact: {_milliseconds(row.exact_ms)}"
        _whiskers(drawing, row.exact_ms, at + 23, exact, axes.transData, twin=True)
    axes.set_xlabel(TIME)
    said = "; ".join(
        f"{row.label}: index {_milliseconds(row.index_ms)}, exact {_milliseconds(row.exact_ms)}" for row in rows
    )
    return drawing.markup(name, "Latency of the index and of exact search", said)


def _round_range(low: float, high: float, steps: int) -> tuple[float, float]:
    """The closest round numbers that values from `low` to `high` lie between."""
    ticks = MaxNLocator(steps, steps=ROUND).tick_values(low, high)
    return float(ticks[0]), float(ticks[-1])


def _limits(axes: Axes, x: tuple[float, float], y: tuple[float, float]) -> None:
    axes.set(xlim=x, ylim=y)
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=ROUND))
    axes.yaxis.set_major_locator(MaxNLocator(5, steps=ROUND))


def _rows(width: float, count: int, step: float) -> tuple[Drawing, Axes]:
    """A picture of rows below each other; the vertical axis runs down, in the picture's units."""
    height = step * count + 6
    drawing = Drawing((width, 8 + height + BELOW), (10, 8, width - 10, 8 + height))
    drawing.axes.set(ylim=(height, 0), yticks=[])
    return drawing, drawing.axes


def _times(axes: Axes, rows: Sequence[Speed], *, room: float) -> None:
    """Lay milliseconds along the horizontal axis, by logarithm, with few round ticks."""
    times = [value for row in rows for value in (*row.index_ms, *row.exact_ms)]
    low, high = min(times) / room, max(times) * room
    axes.set(xscale="log", xlim=(low, high))
    decades = LogLocator(subs=(1, 2, 5) if high / low < 300 else (1,))
    axes.xaxis.set_major_locator(decades if high / low > 5 else MaxNLocator(5))
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    axes.xaxis.set_minor_formatter(NullFormatter())


def _point(drawing: Drawing, row: Speed, taken: Sequence[Bbox]) -> Bbox:
    """Draw a row, lifted above what is there; what it covers."""
    axes, (recall, low, high), (p50, _, p99) = drawing.axes, row.recall, row.index_ms
    (left, at), (right, line) = axes.transData.transform([(p50, recall), (p99, 1)])
    label = axes.text(0, 0, row.label, verticalalignment="center")
    length = label.get_window_extent().width
    fits = right + 6 + length <= drawing.width
    box = Bbox.from_extents(left - 9, at - 7, right + 6 + length, at + 7)
    if not fits:
        box = Bbox.from_extents(left - 9 - length, at - 7, right + 6, at + 7)
    up = LINE if line - at < LINE else 0.0  # the line of exact search stays free
    while any(box.translated(0, up).overlaps(other) for other in taken):
        up += LINE
    lifted = axes.transData + Affine2D().translate(0, up)
    axes.plot([p50, p50], [low, high], color=INDEX, linewidth=1.25, transform=lifted, clip_on=False)
    title = f"{row.label}: recall {recall:.4f}, p50 {p50:.3g} ms"
    _whiskers(drawing, row.index_ms, recall, title, lifted)
    label.set(x=right + 6 if fits else left - 9, y=at + up, horizontalalignment="left" if fits else "right")
    label.set_transform(Affine2D())
    drawing.name(label, "halo")
    return box.translated(0, up)


def _whiskers(
    drawing: Drawing, ms: tuple[float, float, float], at: float, title: str, transform: Transform, *, twin: bool = False
) -> None:
    """From p50, thick to p95 and thin to p99."""
    p50, p95, p99 = ms
    colour, kind = (TWIN, HOLLOW) if twin else (INDEX, FILLED)
    line: dict[str, Any] = {"color": colour, "transform": transform, "clip_on": False}
    drawing.axes.plot([p50, p99], [at, at], linewidth=1.25, **line)
    drawing.axes.plot([p50, p95], [at, at], linewidth=3.5, alpha=0.55, solid_capstyle="round", **line)
    drawing.axes.plot(p99, at, ls="", marker="|", ms=6, mew=1.25, **line)
    (mark,) = drawing.axes.plot(p50, at, transform=transform, clip_on=False, **kind)
    drawing.name(mark, "mark twin" if twin else "mark", title)


def _label(
    drawing: Drawing,
    at: tuple[float, float],
    text: str,
    transform: Transform,
    offset: tuple[float, float],
    alignment: str,
    *,
    strong: bool = True,
) -> None:
    """Write beside a point, on a halo that keeps lines away."""
    label = drawing.axes.text(
        *at,
        text,
        transform=transform + Affine2D().translate(*offset),
        horizontalalignment=alignment,
        weight="bold" if strong else "normal",
    )
    drawing.name(label, "halo strong" if strong else "halo")


def _milliseconds(values: tuple[float, float, float]) -> str:
    return " / ".join(f"{value:.3g}" for value in values) + " ms"
