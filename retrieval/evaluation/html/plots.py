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
from matplotlib.ticker import LogLocator, MaxNLocator
from matplotlib.transforms import Bbox, offset_copy

from retrieval.evaluation.html.drawing import CARD, INDEX, INK, LOST, SOFT, TWIN, WIDTH, Drawing, style

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup
    from matplotlib.axes import Axes
    from matplotlib.text import Annotation
    from numpy.typing import NDArray

LINE = 15.0
BINS = 20
BARS = 240
"""Of more queries than this, so many are drawn, evenly chosen by rank."""
TIME = "milliseconds a query, p50 – p95 – p99"
FILLED: dict[str, Any] = {"ls": "", "marker": "o", "ms": 9, "color": INDEX, "mec": CARD, "mew": 1.5, "clip_on": False}
HOLLOW: dict[str, Any] = {"ls": "", "marker": "o", "ms": 9, "color": CARD, "mec": TWIN, "mew": 2, "clip_on": False}


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


@style()
def histogram(name: str, metric: str, values: NDArray[np.float64], estimate: Estimate) -> Markup:
    """How many queries have which value of a metric, and where the mean lies.

    Parameters
    ----------
    values : float64 [n], finite
    """
    drawing = Drawing()
    axes, bins = drawing.axes, MaxNLocator(BINS).tick_values(min(values.min(), 0), values.max())
    counts, edges, _ = axes.hist(values, bins, rwidth=0.9, color=INDEX)
    for bar, count, left, right in zip(axes.patches, counts, edges[:-1], edges[1:], strict=True):
        if count:
            drawing.name(bar, "bar", f"{left:g} – {right:g}: {count:g} queries")
    axes.axvspan(estimate.low, estimate.high, color=INK, alpha=0.12, linewidth=0)
    axes.axvline(estimate.mean, color=INK, linewidth=1.5, label=f"mean {estimate.shown}")
    axes.yaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes.set(xlim=(edges[0], edges[-1]), xlabel=metric, ylabel="queries")
    drawing.figure.legend(loc="outside upper right")
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
    drawing = Drawing()
    axes, n = drawing.axes, len(values)
    gains = -values if lower_is_better else values
    shown = np.argsort(gains, kind="stable")[np.linspace(0, n - 1, min(n, BARS)).round().astype(int)]
    colours = np.where(gains[shown] < 0, LOST, INDEX).tolist()
    for bar, row in zip(axes.bar(range(len(shown)), values[shown], color=colours), shown.tolist(), strict=True):
        drawing.name(bar, "bar", f"{ids[row]}: {values[row]:+.4f}")
    axes.axhline(0, color=SOFT, linewidth=1)
    losses, wins = int((gains < 0).sum()), int((gains > 0).sum())
    counts = [f"{losses} worse", f"{n - losses - wins} equal", f"{wins} better"]
    axes.set_xticks(np.linspace(0, len(shown) - 1, 3), counts)
    axes.xaxis.grid(visible=False)
    axes.yaxis.set_inverted(lower_is_better)
    axes.set(xlabel="queries, by difference", ylabel=f"difference{', lower is better' if lower_is_better else ''}")
    said = f"Of {n} queries the second run is better for {wins}, equal for {n - losses - wins} and worse for {losses}."
    return drawing.markup(name, f"Differences in {metric} by query", said)


@style()
def lorenz(name: str, curve: Sequence[float], gini: float) -> Markup:
    """What share of all recommendations the least recommended tracks hold.

    Parameters
    ----------
    curve : shares at equal steps of the tracks, from 0 to 1
    """
    drawing = Drawing()
    axes, tracks = drawing.axes, np.linspace(0, 1, len(curve))
    axes.fill_between(tracks, curve, tracks, color=INDEX, alpha=0.18, linewidth=0)
    axes.plot(tracks, tracks, color=SOFT, linewidth=1, dashes=(4, 4), label="all alike")
    axes.plot(tracks, curve, color=INDEX, linewidth=2.25, label=f"Gini index {gini:.2f}")
    axes.set(ylim=(0, 1), xlabel="share of tracks, least recommended first", ylabel="share of recommendations")
    axes.legend(loc="upper left")
    said = f"Lorenz curve of how often tracks are recommended; Gini index {gini:.4f}, where 0 is all alike."
    return drawing.markup(name, "How evenly tracks are recommended", said)


@style()
def estimates(name: str, title: str, rows: Sequence[Estimate], label: str, *, zero: bool = False) -> Markup:
    """Means with their intervals, below each other; around zero where they are differences."""
    drawing = Drawing(42 * len(rows) + 44)
    axes, reach = drawing.axes, max(1e-6, *(abs(value) for row in rows for value in (row.low, row.mean, row.high)))
    axes.set(xlim=(-1.1 * reach, 1.1 * reach) if zero else (0, max(reach, 1)), ylim=(len(rows) - 0.6, -0.75), yticks=[])
    axes.set_xlabel(label)
    axes.xaxis.set_major_locator(MaxNLocator(4))
    if zero:
        axes.axvline(0, color=SOFT, linewidth=1)
    for at, row in enumerate(rows):
        for side, text, alignment in ((0, row.label, "left"), (1, row.shown, "right")):
            written = axes.annotate(text, (side, at), (0, 10), ("axes fraction", "data"), "offset points", ha=alignment)
            drawing.name(written, "halo strong" if side else "halo")
        axes.plot([row.low, row.high], [at, at], color=INDEX, alpha=0.55, linewidth=3.5, solid_capstyle="round")
        if not math.isnan(row.chance):
            (chance,) = axes.plot([row.chance] * 2, [at - 0.12, at + 0.12], color=TWIN, linewidth=2.5)
            drawing.name(chance, "chance")
        (mark,) = axes.plot(row.mean, at, **FILLED)
        drawing.name(mark, "mark", f"{row.label}: {row.shown}")
    return drawing.markup(name, title, "; ".join(f"{row.label} {row.shown}" for row in rows))


@style()
def recall_against_latency(name: str, rows: Sequence[Speed], k: int) -> Markup:
    """Recall of the index and the time that a query takes, by selectivity; exact search is where recall is 1.

    What would cover another point of nearly the same recall is lifted above it.
    """
    drawing = Drawing(330)
    axes = drawing.axes
    _times(axes, rows)
    axes.set_ylim(1 - max(1 - min(row.recall[1] for row in rows), 0.005) * 1.15, 1)
    axes.set_ylabel(f"recall@{k}, tie-safe")
    points: list[tuple[Annotation, list[Line2D]]] = []
    for row in rows:
        (twin,) = axes.plot(row.exact_ms[0], 1, **HOLLOW)
        drawing.name(twin, "mark twin", f"exact, {row.label}: {row.exact_ms[0]:.3g} ms")
        (recall, low, high), (p50, _, p99) = row.recall, row.index_ms
        label = axes.annotate(row.label, (p99, recall), (6, 0), textcoords="offset points", va="center")
        drawing.name(label, "halo")
        interval = axes.plot([p50, p50], [low, high], color=INDEX, linewidth=1.25, clip_on=False)
        title = f"{row.label}: recall {recall:.4f}, p50 {p50:.3g} ms"
        points.append((label, [*interval, *_whiskers(drawing, row.index_ms, recall, title)]))
    kinds = {"index": FILLED, "exact search": HOLLOW}
    handles = [Line2D([], [], label=label, **kind) for label, kind in kinds.items()]
    drawing.figure.legend(handles=handles, ncols=2, loc="outside upper right")
    _lift(drawing, rows, points)
    said = "; ".join(f"{row.label}: recall {row.recall[0]:.4f} at {row.index_ms[0]:.3g} ms" for row in rows)
    return drawing.markup(name, "Recall against latency", said)


@style()
def latencies(name: str, rows: Sequence[Speed]) -> Markup:
    """The index and its exact twin in pairs, by selectivity."""
    drawing = Drawing(51 * len(rows) + 44)
    axes, labels, said = drawing.axes, [], []
    for at, row in enumerate(rows):
        factor = row.exact_ms[0] / row.index_ms[0]  # at the median
        times = f"{max(factor, 1 / factor):.1f}"
        faster = "as fast" if times == "1.0" else f"{times} × as {'fast' if factor > 1 else 'slow'}"
        labels.append(f"{row.label}\n{faster}")
        index, exact = (f"{' / '.join(f'{value:.3g}' for value in ms)} ms" for ms in (row.index_ms, row.exact_ms))
        said.append(f"{row.label}: index {index}, exact {exact}")
        _whiskers(drawing, row.index_ms, at - 0.15, f"index: {index}")
        _whiskers(drawing, row.exact_ms, at + 0.15, f"exact: {exact}", twin=True)
    _times(axes, rows)
    axes.set_yticks(range(len(rows)), labels)
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.yaxis.grid(visible=False)
    return drawing.markup(name, "Latency of the index and of exact search", "; ".join(said))


def _times(axes: Axes, rows: Sequence[Speed]) -> None:
    """Lay milliseconds along the horizontal axis, by logarithm, with few round ticks."""
    times = [value for row in rows for value in (*row.index_ms, *row.exact_ms)]
    low, high = min(times) / 1.15, max(times) * 1.15
    axes.set(xscale="log", xlim=(low, high), xlabel=TIME)
    decades = LogLocator(subs=(1, 2, 5) if high / low < 300 else (1,))
    axes.xaxis.set_major_locator(decades if high / low > 5 else MaxNLocator(5))
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.minorticks_off()


def _lift(drawing: Drawing, rows: Sequence[Speed], points: Sequence[tuple[Annotation, list[Line2D]]]) -> None:
    """Lift each row's label and lines above what they would cover; the picture becomes as much higher."""
    axes, figure = drawing.axes, drawing.figure
    figure.draw_without_rendering()  # now it is known where things are
    line = axes.bbox.y1
    taken = [Bbox.from_extents(0, line - 7, WIDTH, line + 7)]  # the line of exact search stays free
    for row, (label, artists) in zip(rows, points, strict=True):
        (left, at), up = axes.transData.transform((row.index_ms[0], row.recall[0])), 0.0
        box = Bbox.from_extents(left - 9, at - 7, label.get_window_extent().x1, at + 7)
        while any(box.translated(0, up).overlaps(other) for other in taken):
            up += LINE
        taken.append(box.translated(0, up))
        label.xyann = (6, up)
        for artist in artists:
            artist.set_transform(offset_copy(axes.transData, figure, y=up, units="points"))
    figure.set_figheight(figure.get_figheight() + (max(box.y1 for box in taken) - taken[0].y1) / 72)


def _whiskers(
    drawing: Drawing, ms: tuple[float, float, float], at: float, title: str, *, twin: bool = False
) -> list[Line2D]:
    """From p50, thick to p95 and thin to p99; the mark of p50 is the last."""
    (p50, p95, p99), axes = ms, drawing.axes
    line: dict[str, Any] = {"color": TWIN if twin else INDEX, "clip_on": False}
    (thin,) = axes.plot([p50, p99], [at, at], "|-", ms=6, mew=1.25, linewidth=1.25, markevery=[1], **line)
    (thick,) = axes.plot([p50, p95], [at, at], linewidth=3.5, alpha=0.55, solid_capstyle="round", **line)
    (mark,) = axes.plot(p50, at, **(HOLLOW if twin else FILLED))
    drawing.name(mark, "mark twin" if twin else "mark", title)
    return [thin, thick, mark]
