"""Where every track lies: what names of another machine's files are compared with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import select

from retrieval.catalog.tables import tracks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Engine

READ_AT_ONCE = 10_000


def places(engine: Engine) -> Iterator[tuple[str, str]]:
    """Key and path of every live track, in order of key; read in pieces, so that a large catalogue takes no memory."""
    statement = select(tracks.c.key, tracks.c.uri).where(tracks.c.deleted_at.is_(None)).order_by(tracks.c.key)
    with engine.connect() as connection:
        for row in connection.execution_options(yield_per=READ_AT_ONCE).execute(statement):
            yield row.key, row.uri
