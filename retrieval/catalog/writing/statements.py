"""Statements that carry a whole batch in an array for each column, and the revisions that writes draw.

Drawing a revision takes the lock that every writer of revisions takes, so a transaction reads what is stored and writes
over it with nobody between.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    Table,
    Text,
    TextClause,
    cast,
    delete,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from retrieval.catalog.tables import track_revision, tracks

REVISION_LOCK = 0x536F756E  # one key for every writer of revisions


def draw_revisions(connection: Connection, count: int) -> list[int]:
    """New revisions, ascending; the lock is held until commit, so they become visible in this order."""
    connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": REVISION_LOCK})
    drawn = select(track_revision.next_value()).select_from(func.generate_series(1, count))
    return sorted(connection.execute(drawn).scalars())


def unnested(types: Mapping[str, str]) -> str:
    """Rows `new` of arrays, one a column, in SQL."""
    arrays = ", ".join(f"CAST(:{name} AS {kind}[])" for name, kind in types.items())
    return f"unnest({arrays}) AS new ({', '.join(types)})"


def insert_of(table: str, types: Mapping[str, str]) -> str:
    """An insertion of rows of arrays, in SQL."""
    return f"INSERT INTO {table} ({', '.join(types)}) SELECT * FROM {unnested(types)}"


def execute(
    connection: Connection, statement: TextClause, names: Iterable[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Run a statement over an array for each name, unless there are no rows."""
    if rows:
        connection.execute(statement, columns(names, rows))


def columns(names: Iterable[str], rows: Sequence[tuple[Any, ...]]) -> dict[str, list[Any]]:
    """Rows as an array for each name."""
    return {name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)}


def among(column: ColumnElement[str], texts: Sequence[str]) -> FromClause:
    """Tracks whose column has one of these texts.

    A join, not ``= ANY``: for that a hash index is read once a text with all its rows anew, a thousand times as slow.
    """
    asked = func.unnest(cast(list(texts), ARRAY(Text))).table_valued("value", name="asked").render_derived()
    return asked.join(tracks, column == asked.c.value)


def clear(connection: Connection, table: Table, track_ids: Collection[int]) -> None:
    """Delete all rows of these tracks from a table."""
    if track_ids:
        connection.execute(delete(table).where(table.c.track_id == func.any(list(track_ids))))
