"""What a section of the page consists of, and how its numbers are written."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from retrieval.evaluation.html.plots import Estimate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from markupsafe import Markup
    from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Result:
    """One folder of results: results.json, named `name`, as it stands, and per_query.parquet where there is one."""

    name: str
    content: Mapping[str, Any]
    query_ids: Sequence[str] = ()
    columns: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    @property
    def metrics(self) -> Mapping[str, Any]:
        """What was measured, by its name."""
        metrics: Mapping[str, Any] = self.content["metrics"]
        return metrics

    @property
    def lower_is_better(self) -> Sequence[str]:
        """Metrics of which less is more."""
        lower: Sequence[str] = self.content.get("lower_is_better", ())
        return lower


@dataclass(frozen=True)
class Card:
    """One figure, with its interval, and where that lies between 0 and 1, in per cent."""

    name: str
    value: str
    note: str = ""
    span: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Figure:
    """A plot with its heading; `note` says how to read it."""

    title: str
    drawing: Markup
    note: str = ""
    tall: bool = False


@dataclass(frozen=True)
class Listed:
    """One of several names in a cell; a marked one stands out."""

    name: str
    marked: bool = False


@dataclass(frozen=True)
class Table:
    """Rows of text, the first column of which names the row; the last one may list names."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str | Sequence[Listed]]]
    note: str = ""
    lists: bool = False


@dataclass(frozen=True)
class Ids:
    """Ids that did not count, and why."""

    what: str
    ids: Sequence[str]


@dataclass(frozen=True)
class Section:
    """What the page shows of one result."""

    kind: str
    title: str
    facts: Sequence[tuple[str, str]]
    cards: Sequence[Card] = ()
    figures: Sequence[Figure] = ()
    tables: Sequence[Table] = ()
    left_out: Sequence[Ids] = ()
    lead: str = ""
    created: str = ""
    warnings: Sequence[str] = ()

    @property
    def columns(self) -> int:
        """How many cards stand side by side, so that the last row is as full as can be."""
        return min((6, 5, 4), key=lambda columns: -len(self.cards) % columns)


def subject_facts(subject: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The index as it stood, as far as it is known."""
    exact = ", exact" if subject.get("exact") else ""
    facts = {
        "space": f"{subject.get('space', '')}, by {subject.get('granularity', 'track')}{exact}",
        "encoder": subject.get("encoder_version"),
        "index": subject.get("index_version"),
        "catalogue": f"{subject['tracks']:,} tracks" if "tracks" in subject else None,
        "results a query": f"{subject['depth']:,}" if "depth" in subject else None,
    }
    return [(name, str(value)) for name, value in facts.items() if value]


def hub_fact(hub: Mapping[str, Any], space: str = "") -> tuple[str, str]:
    """The track that stands in the most lists."""
    named = f"largest hub of {space}" if space else "largest hub"
    share = f"{100 * hub['lists'] / hub['of']:.1f} % of the lists"
    return named, f"{hub['track']}, in {share} ({hub['lists']:,} of {hub['of']:,})"


def card(name: str, interval: Mapping[str, Any], *notes: str) -> Card:
    """A mean with its interval."""
    mean, low, high = (number(interval.get(part)) for part in ("mean", "low", "high"))
    if math.isnan(mean):
        return Card(name, "–", "of no query")
    bounds = [] if math.isnan(low) else [f"{decimals(low)} – {decimals(high)}"]
    span = (100 * low, 100 * (high - low), 100 * mean) if low >= 0 and high <= 1 else None
    whole = [note.replace(" ", "\N{NO-BREAK SPACE}") for note in (*bounds, *notes) if note]
    return Card(name, decimals(mean), "; ".join(whole), span)


def cards(result: Result) -> list[Card]:
    """A card for every metric, beside its level by chance where that is known."""
    found = []
    for metric, interval in result.metrics.items():
        chance = number(result.content.get("chance", {}).get(metric))
        by_chance = "" if math.isnan(chance) else f"by chance {decimals(chance)}"
        lower = "lower is better" if metric in result.lower_is_better else ""
        found.append(card(metric, interval, by_chance, lower))
    return found


def estimate(label: str, interval: Mapping[str, Any], shown: str = "") -> Estimate:
    """A mean with its interval, for a plot; NaN without any value."""
    mean, low, high = (number(interval.get(part)) for part in ("mean", "low", "high"))
    return Estimate(label, mean, low, high, shown or decimals(mean))


def number(value: float | None) -> float:
    """What JSON has as null is NaN."""
    return float("nan") if value is None else float(value)


def decimals(value: float | None) -> str:
    """Four decimals, or a dash."""
    return signed(value).removeprefix("+")


def signed(value: float | None, places: int = 4) -> str:
    """A difference, or a dash."""
    return "–" if math.isnan(number(value)) else f"{value:+.{places}f}".replace("-", "−")
