"""What an evaluation reads of tracks: their keys, artists and albums, many at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from sqlalchemy import func, select

from retrieval.models import tracks

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from retrieval.catalog import Catalog

IDS_A_QUERY = 50_000
NO_ARTIST = frozenset({"", "<unknown>", "unknown", "unknown artist", "various", "various artists"})
"""What files say that name none."""


class Labels(NamedTuple):
    """A track's key, and its artist and album where it names them."""

    key: str
    artist: str | None
    album: str | None


def labels_by_id(catalog: Catalog, track_ids: NDArray[np.int64]) -> dict[int, Labels]:
    """Labels of these tracks, deleted ones included: they were found a moment ago."""
    found: dict[int, Labels] = {}
    columns = select(tracks.c.id, tracks.c.key, tracks.c.artist, tracks.c.album)
    with catalog.engine.connect() as connection:
        for start in range(0, len(track_ids), IDS_A_QUERY):
            wanted = track_ids[start : start + IDS_A_QUERY].tolist()
            for row in connection.execute(columns.where(tracks.c.id == func.any(wanted))):
                found[row[0]] = Labels(row[1], row[2], row[3])
    return found


def named_artist(labels: Labels) -> str:
    """The artist in lower case, so that spellings that differ in case are one; empty for none."""
    artist = (labels.artist or "").strip().casefold()
    return "" if artist in NO_ARTIST else artist


def named_album(labels: Labels) -> str:
    """The album in lower case; empty for none."""
    return (labels.album or "").strip().casefold()
