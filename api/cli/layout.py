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
    room, widths = Screen().width, None
    if key is not None:
        least = _least(names, cells, key)
        if _total(least) > room:
            before = key if _total(least[: key + 1]) <= room else 0
            others = [number for number in range(before, len(names)) if number != key]
            if _total([*least[:before], least[key]]) <= room:  # else it is broken in any case
                cells = [
                    [*row[:before], _stacked(row[key], [(names[one], row[one]) for one in others])] for row in cells
                ]
                names, least = [*names[:before], names[key]], [*least[:before], least[key]]
        widths = _widths(names, cells, least, room)
    columns = [Column(name, overflow="fold", justify="right" if name in right else "left") for name in names]
    for column, width in zip(columns, widths or (), strict=False):
        column.width = width
    shown = None if title is None else cell(title)
    table = Table(*columns, title=shown, title_justify="left", pad_edge=False)
    for row in cells:
        table.add_row(*row)
    return table


def _least(names: Sequence[str], cells: Sequence[Sequence[Text]], key: int) -> list[int]:
    """What each column takes at least: its longest word, and the key's its longest key, which is the first line."""
    least = []
    for number, name in enumerate(names):
        texts = [str(row[number]) for row in cells]
        whole = [text.split("\n")[0] for text in texts] if number == key else []
        least.append(
            max(map(cell_len, [*whole, *(word for text in (name, *texts) for word in text.split())]), default=0)
        )
    return least


def _widths(names: Sequence[str], cells: Sequence[Sequence[Text]], least: Sequence[int], room: int) -> list[int] | None:
    """The width of each column: what it takes at least, and of what is left what it would like; none where all fit."""
    liked = [
        max(cell_len(line) for text in column for line in str(text).split("\n"))
        for column in zip(names, *cells, strict=True)
    ]
    if _total(liked) <= room or _total(least) > room:
        return None
    spare, widths = room - _total(least), []
    for least_of, liked_of in zip(least, liked, strict=True):
        more = min(spare, max(0, liked_of - least_of))
        spare -= more
        widths.append(least_of + more)
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + _BETWEEN * (len(widths) - 1) + _EDGES


def _stacked(key: Text, others: Sequence[tuple[str, Text]]) -> Text:
    """A key, and below it the other cells, each behind its name; what is empty is left out."""
    told = Text("; ").join([Text(f"{name}: ", "dim").append_text(one) for name, one in others if one])
    return Text("\n").join([key, told]) if told else key
