"""A hum's way through a catalogue: its melody is checked, filters are applied as to any search, tracks are found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from retrieval.errors import OutOfRangeError
from retrieval.search.humming.finding import find, hum_of
from retrieval.search.laps import NOTHING, Laps
from retrieval.search.query import MAX_LIMIT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from retrieval.catalog.records import Track
    from retrieval.filters.language import Filter
    from retrieval.search.engine import Search
    from retrieval.search.humming.finding import Found
    from retrieval.search.humming.melodies import MelodyShelf


@dataclass(frozen=True)
class HumAnswer:
    """Tracks in which a hum was found, best first; `matching` is how many melodies were searched.

    Attributes
    ----------
    timing_ms : what each part took, and their `total`
    """

    results: Sequence[tuple[Track, Found]]
    matching: int
    timing_ms: Mapping[str, float]


def answer_hum(
    search: Search,
    shelf: MelodyShelf,
    pitches: NDArray[np.float32],
    step_s: float,
    *,
    filter_: Filter | None = None,
    limit: int = 10,
    spent_s: Mapping[str, float] = NOTHING,
) -> HumAnswer:
    """Find the tracks whose melody is hummed.

    Parameters
    ----------
    pitches : float32 [steps], MIDI numbers of the hum; NaN where nothing is heard
    step_s : from one step to the next
    spent_s : what it took to hear them, by part; the answer's timing counts it

    Raises
    ------
    NoMelodyError
        If the hum holds none.
    OutOfRangeError
        If the limit is out of range.
    FilterError
    """
    laps = Laps([spent_s])
    if not 1 <= limit <= MAX_LIMIT:
        raise OutOfRangeError("limit", f"is {limit}", f"1 to {MAX_LIMIT}")
    hum = hum_of(pitches, step_s)
    melodies = shelf.melodies()
    among = None if filter_ is None else search.selections.matching(filter_).track_ids()
    laps.finish("filter")
    found = find(hum, melodies, among=among, limit=limit)
    laps.finish("search")
    tracks = search.tracks.tracks([one.track_id for one in found])
    results = [(tracks[one.track_id], one) for one in found if one.track_id in tracks]
    matching = len(melodies.track_ids) if among is None else len(set(among.tolist()) & set(melodies.track_ids.tolist()))
    laps.finish("rank")
    return HumAnswer(results, matching, laps.timing_ms())
