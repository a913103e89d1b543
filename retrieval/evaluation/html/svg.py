"""Plots as inline SVG: scales, axes and shapes.

Lengths are in the picture's own units, which are CSS pixels at its natural width. Colours and fonts come from the
page's style sheet, by class, so that a picture is light or dark with its page. What is not `Markup` is escaped.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from markupsafe import Markup

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CHARACTER = 7.0
"""Mean width of a character of the labels."""
LINE = 15.0


class Rect(NamedTuple):
    """From the upper left corner to the lower right one."""

    left: float
    top: float
    right: float
    bottom: float

    def meets(self, other: Rect) -> bool:
        """Whether the two have a point in common."""
        apart = self.left >= other.right or other.left >= self.right
        return not (apart or self.top >= other.bottom or other.top >= self.bottom)


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` onto lengths from `start` to `stop`; by logarithm, where `low` is above 0."""

    low: float
    high: float
    start: float
    stop: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """The length of a value."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log10(low), math.log10(high), math.log10(max(value, low))
        return self.start + (self.stop - self.start) * (at - low) / (high - low)

    def ticks(self, about: int = 5) -> list[float]:
        """Round values within the scale, roughly this many."""
        by_decade = self._by_decade(about) if self.log else []
        if len(by_decade) > 1:
            return by_decade
        step = nice_step((self.high - self.low) / max(about, 1))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(n * step, 12) for n in range(first, last + 1)]

    def _by_decade(self, about: int) -> list[float]:
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for factors in ((1, 2, 5), (1, 3), (1,)):
            found = [factor * 10.0**decade for decade in decades for factor in factors]
            found = [value for value in found if self.low * 0.999 <= value <= self.high * 1.001]
            if len(found) <= about + 2:
                break
        return found


def nice_step(at_least: float) -> float:
    """The least of 1, 2 and 5, times a power of ten, that is not below."""
    power = 10.0 ** math.floor(math.log10(at_least))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= at_least * (1 - 1e-9))


def nice_end(value: float, steps: int = 4) -> float:
    """The least round value that is not below one above 0, and about `steps` ticks away from 0."""
    step = nice_step(value / steps)
    return step * math.ceil(value / step - 1e-9)


def element(name: str, *children: str, **attributes: str | float) -> Markup:
    """An element; ``class_`` is the attribute class, ``text_anchor`` text-anchor. Children and values are escaped."""
    pairs = (Markup(' {}="{}"').format(key.rstrip("_").replace("_", "-"), _shown(v)) for key, v in attributes.items())
    return Markup("<{0}{1}>{2}</{0}>").format(name, Markup("").join(pairs), Markup("").join(children))


def text(x: float, y: float, content: str, *, anchor: str = "start", class_: str = "label") -> Markup:
    """A line of text; y is its baseline."""
    return element("text", content, x=x, y=y, text_anchor=anchor, class_=class_)


def line(x1: float, y1: float, x2: float, y2: float, class_: str) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def dot(x: float, y: float, class_: str, *, radius: float = 4.5, title: str = "") -> Markup:
    """A filled circle, which says its title when pointed at."""
    return element("circle", *([element("title", title)] if title else []), cx=x, cy=y, r=radius, class_=class_)


def path(points: Iterable[tuple[float, float]], class_: str, *, closed: bool = False) -> Markup:
    """A line through points."""
    steps = "L".join(f"{_shown(x)} {_shown(y)}" for x, y in points)
    return element("path", d=f"M{steps}{'Z' if closed else ''}", class_=class_)


def picture(name: str, title: str, description: str, size: tuple[float, float], parts: Iterable[Markup]) -> Markup:
    """A whole SVG, which a screen reader reads as one image; `name` is unique on the page."""
    head = element("title", title, id=f"{name}-title"), element("desc", description, id=f"{name}-desc")
    width, height = size
    return element(
        "svg",
        *head,
        *parts,
        viewBox=f"0 0 {_shown(width)} {_shown(height)}",
        width=width,
        height=height,
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
    )


def x_axis(scale: Scale, area: Rect, label: str, *, about: int = 5) -> list[Markup]:
    """Ticks below the area, a hairline above each, and the label below them, at the right."""
    parts = []
    ticks = scale.ticks(about)
    for value in ticks:
        at = scale(value)
        parts.append(line(at, area.top, at, area.bottom, "grid"))
        parts.append(text(at, area.bottom + LINE, number(value, ticks), anchor="middle", class_="tick"))
    return [*parts, text(area.right, area.bottom + 2.2 * LINE, label, anchor="end", class_="axis")]


def y_axis(scale: Scale, area: Rect, label: str, *, about: int = 4) -> list[Markup]:
    """Ticks left of the area, with hairlines across it, and the label above them."""
    parts = []
    ticks = scale.ticks(about)
    for value in ticks:
        at = scale(value)
        parts.append(line(area.left, at, area.right, at, "grid"))
        parts.append(text(area.left - 6, at + 4, number(value, ticks), anchor="end", class_="tick"))
    return [*parts, text(0, 12, label, class_="axis")]


def number(value: float, ticks: Sequence[float]) -> str:
    """A tick's label, with the decimals that the closest two ticks need."""
    gaps = [b - a for a, b in pairwise(ticks)] or [abs(value) or 1.0]
    finest = min(gaps) if max(gaps) < 3 * min(gaps) else abs(value) or 1.0  # by logarithm, each has its own
    decimals = max(0, -math.floor(math.log10(finest) + 1e-9))
    return f"{value:,.{decimals}f}".replace("-", "−")


def _shown(value: str | float) -> str:
    return value if isinstance(value, str) else f"{round(value, 2):g}"
