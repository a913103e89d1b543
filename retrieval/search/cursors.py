"""Where the next page goes on: bound to the query and to the version of the index that it was asked of.

A page ends at a score, so the next one begins below it. Rows whose scores lie within rounding of that one are named, so
that none comes twice. Where the results are picked, by diversity or for a queue, the next page goes on at an offset.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from retrieval.errors import QueryError, StaleCursorError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrieval.search.query import Query

ROUNDING = 1e-5


@dataclass(frozen=True)
class Position:
    """How far the pages before have come.

    Attributes
    ----------
    returned : results on them
    below : score that the next page lies below, but for rounding
    seen : ids of tracks that were returned and score no better than rounding above it
    """

    returned: int = 0
    below: float = 2.0
    seen: tuple[int, ...] = ()

    def after(self, page: Sequence[tuple[int, float]]) -> Position:
        """The position behind one more page of (track id, score), best first."""
        below = page[-1][1]
        near = tuple(track_id for track_id, score in page if score <= below + ROUNDING)
        earlier = self.seen if self.below <= below + ROUNDING else ()
        return Position(self.returned + len(page), below, earlier + near)


START = Position()


def written(position: Position, query: Query, index_version: str) -> str:
    """An opaque cursor."""
    content = [_digest(query), index_version, position.returned, position.below, position.seen]
    return base64.urlsafe_b64encode(json.dumps(content, separators=(",", ":")).encode()).decode().rstrip("=")


def read(query: Query, index_version: str) -> Position:
    """Where the query's page begins.

    Raises
    ------
    QueryError
        If its cursor is none of ours, or of another query.
    StaleCursorError
        If the index has changed since.
    """
    if query.cursor is None:
        return START
    try:
        raw = base64.urlsafe_b64decode(query.cursor + "=" * (-len(query.cursor) % 4))
        digest, version, returned, below, seen = json.loads(raw)
        position = Position(int(returned), float(below), tuple(map(int, seen)))
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise QueryError("cursor", "cannot be read", "next_cursor of the page before") from error
    if digest != _digest(query):
        raise QueryError("cursor", "belongs to another query", "next_cursor of this query's page before")
    if version != index_version:
        raise StaleCursorError(f"the index was {version} and is {index_version}: begin again without a cursor")
    return position


def _digest(query: Query) -> str:
    """What makes two pages pages of one answer: everything but the cursor and how much is shown."""
    plain = replace(query, positive=(), negative=(), exclude=tuple(query.exclude), cursor=None, limit=1, explain=False)
    seeds = [
        (
            *(seed.track, seed.start_s, seed.end_s, seed.weight),
            None if seed.vector is None else seed.vector.tobytes(),
            *([] if seed.section is None else [seed.section]),  # cursors that were given out before there were any hold
        )
        for seed in (*query.positive, *query.negative)
    ]
    return hashlib.sha256(repr((plain, len(query.positive), seeds)).encode()).hexdigest()[:16]
