"""What of tracks is laid under pictures, for several tracks at once: accents, beats, sections, tags, segments."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from sqlalchemy import func, select

from retrieval.catalog.heard.accents import unpacked
from retrieval.catalog.heard.music import PARTS
from retrieval.catalog.records import TrackAccents
from retrieval.catalog.tables import accents, rhythm, sections, tracks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Engine


@dataclass(frozen=True, eq=False)
class TrackMoments:
    """One track's.

    Attributes
    ----------
    duration_s : of the track
    accents : none where nobody has listened for them
    beats_s, downbeats_s : float64 [n] and [m], ascending; empty where there are none, or none are known
    sections_s : float64 [k], where parts begin
    tempo_bpm : none without beats
    """

    duration_s: float
    accents: TrackAccents | None
    beats_s: NDArray[np.float64]
    downbeats_s: NDArray[np.float64]
    sections_s: NDArray[np.float64]
    tempo_bpm: float | None


def moments_of(engine: Engine, track_ids: Sequence[int]) -> dict[int, TrackMoments]:
    """Moments by track; tracks that are not in the catalogue are absent."""
    wanted = func.any(list(track_ids))
    statement = (
        select(
            *(tracks.c.id, tracks.c.duration_s, accents.c.rate, accents.c.onsets, accents.c.loudness),
            *(rhythm.c.tempo, rhythm.c.beats_s, rhythm.c.positions),
        )
        .outerjoin(accents, accents.c.track_id == tracks.c.id)
        .outerjoin(rhythm, rhythm.c.track_id == tracks.c.id)
        .where(tracks.c.id == wanted)
    )
    parts = select(sections.c.track_id, sections.c.start_s).where(
        sections.c.track_id == wanted, sections.c.level == PARTS
    )
    with engine.connect() as connection:
        rows = connection.execute(statement).all()
        starts: dict[int, list[float]] = {}
        for track_id, start_s in connection.execute(parts.order_by(sections.c.track_id, sections.c.section_no)):
            starts.setdefault(track_id, []).append(start_s)
    found = {}
    for row in rows:
        heard = None if row.rate is None else TrackAccents(row.rate, unpacked(row.onsets), unpacked(row.loudness))
        beats_s = np.array(row.beats_s or (), np.float64)
        downbeats_s = beats_s[np.array(row.positions or (), np.int64) == 1]
        sections_s = np.array(starts.get(row.id, ()), np.float64)
        found[row.id] = TrackMoments(row.duration_s, heard, beats_s, downbeats_s, sections_s, row.tempo)
    return found
