"""How tables are laid out: no word in them is broken where there is a way around it, as keys are there to be copied."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.table import Column, Table
from rich.text import Text

from api.cli.terminal import Screen, cell

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

_BETWEEN, _EDGES = 3, 2
"""Characters that two columns stand apart, and that a table has beside them."""


def table_of(
    names: Sequence[str],
    rows: Iterable[Sequence[object]],
    *,
    title: str | None = None,
    key: int | None = None,
    right: Collection[str] = (),
) -> Table:
    """A table of texts, under these names.

    Parameters
    ----------
    key : number of the column that says what a row is of, if one does: where the others leave it no room, those behind
        it stand below it, and those before it too where that is not enough
    right : names of columns of numbers
    """
    cells = [[value if isinstance(value, Text) else cell(value) for value in row] for row in rows]
    widths = _widths(names, cells)
    width = Screen().width
    if key is not None and _total(widths) > width:
        before = key if _total(widths[: key + 1]) <= width else 0
        if _total([*widths[:before], widths[key]]) > width:
            key = None  # it is broken in any case
        else:
            others = [number for number in range(before, len(names)) if number != key]
            cells = [[*row[:before], _stacked(row[key], [(names[one], row[one]) for one in others])] for row in cells]
            names, widths = [*names[:before], names[key]], [*widths[:before], widths[key]]
    table = Table(
        *(
            Column(
                name,
                overflow="fold",
                justify="right" if name in right else "left",
                min_width=None if key is None else width,
            )
            for name, width in zip(names, widths, strict=True)
        ),
        title=None if title is None else cell(title),
        title_justify="left",
        pad_edge=False,
    )
    for row in cells:
        table.add_row(*row)
    return table


def _widths(names: Sequence[str], cells: Sequence[Sequence[Text]]) -> list[int]:
    """The longest word of every column."""
    columns = zip(*cells, strict=True) if cells else ([] for _ in names)
    return [
        max((cell_len(word) for text in (name, *map(str, column)) for word in text.split()), default=0)
        for name, column in zip(names, columns, strict=True)
    ]


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _BETWEEN * (len(widths) - 1) + _EDGES


def _stacked(key: Text, others: Sequence[tuple[str, Text]]) -> Text:
    """A key, and below it the other cells, each behind its name; what is empty is left out."""
    told = Text("; ").join([Text(f"{name}: ", "dim").append_text(one) for name, one in others if one])
    return Text("\n").join([key, told]) if told else key
