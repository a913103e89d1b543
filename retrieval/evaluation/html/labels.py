"""What the page shows of a space by the labels of a folder, in `evaluate catalogue` and `evaluate models` alike."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from retrieval.evaluation.html.parts import Ids, Table, decimals

if TYPE_CHECKING:
    from collections.abc import Mapping


def label_tables(labels: Mapping[str, Any], space: str) -> list[Table]:
    """By label: the measures with their intervals, and which labels the nearest neighbours bear."""
    rows = labels["rows"]
    figures = [part for measure in rows[0]["metrics"] for part in (measure, "95 % interval", "by chance")]
    columns = ("label", "tracks", "ask", *figures)
    asked = f"{labels['tracks']:,} tracks of {labels['source']}, of which {labels['queries']:,} ask."
    return [
        Table(f"{space} by label", columns, [_measured(row) for row in rows], asked),
        Table(
            f"{space}: labels of the nearest neighbours",
            ("label", "its own", "others"),
            [_nearest(row) for row in rows],
        ),
    ]


def not_found(labels: Mapping[str, Any], space: str) -> list[Ids]:
    """The files of the folder that are not in what is measured."""
    files = labels["not_found"]
    return [Ids(f"files of {labels['source']} that are not in {space}", files)] if files else []


def _measured(row: Mapping[str, Any]) -> list[str]:
    cells = []
    for measure, one in row["metrics"].items():
        interval = f"{decimals(one['low'])} – {decimals(one['high'])}" if one["count"] else ""
        cells += [decimals(one["mean"]), interval, decimals(row["chance"][measure])]
    return [row["label"], f"{row['tracks']:,}", f"{row['queries']:,}", *cells]


def _nearest(row: Mapping[str, Any]) -> list[str]:
    others = [f"{label} {count:,}" for label, count in row["nearest"].items() if label != row["label"]]
    return [row["label"], f"{row['nearest'].get(row['label'], 0):,}", ", ".join(others) or "–"]
