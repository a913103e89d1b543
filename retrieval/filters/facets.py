"""How many tracks have what, among those that match a filter: counted over the columns in memory.

A track counts with a tag that it has with a score of at least a half. It counts as sung in a language by at least a
tenth of its vocal time, and as mostly sung in it by at least a half, so with several languages it counts several times.
By its voice a track counts once: instrumental below a tenth of its time, mostly vocal from a half on, partly vocal
between, and unknown where nobody has listened.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.catalog.conditions import All
from retrieval.filters.compiled import bitmap_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from retrieval.filters.columns import SortedValues
    from retrieval.filters.compiled import Selections
    from retrieval.filters.language import Filter

TAG_SCORE = 0.5
SOME = 0.1
MOSTLY = 0.5


@dataclass(frozen=True)
class LanguageCount:
    """Tracks that are sung in a language, and those that mostly are."""

    some: int
    mostly: int


@dataclass(frozen=True)
class VoiceCounts:
    """Tracks by how much of them is voice."""

    instrumental: int
    partly: int
    mostly: int
    unknown: int


@dataclass(frozen=True)
class Facets:
    """Counts of the tracks that match, most frequent first; nothing stands in them that no track has."""

    matching: int
    tags: Mapping[str, int]
    languages: Mapping[str, LanguageCount]
    vocals: VoiceCounts


def facets(selections: Selections, filter_: Filter | None = None) -> Facets:
    """Count what the tracks have that match a filter, or all of them.

    Raises
    ------
    FilterError
        For a key that no track has, or a filter that is malformed.
    """
    condition = All(()) if filter_ is None else selections.condition(filter_)
    attributes = selections.followed()
    with attributes.lock:
        matching = bitmap_of(condition, attributes)
        counted = _Counted(np.asarray(matching.to_array(), np.uint64).astype(np.int64))
        tags = {tag: counted.between(column.numbers, TAG_SCORE) for tag, column in attributes.family("tags").items()}
        languages = {
            code: LanguageCount(counted.between(column.numbers, SOME), counted.between(column.numbers, MOSTLY))
            for code, column in attributes.family("language").items()
        }
        voice = attributes.fixed("vocal_ratio").numbers
        instrumental = counted.between(voice, -math.inf, SOME)
        partly, mostly = counted.between(voice, SOME, MOSTLY), counted.between(voice, MOSTLY)
    return Facets(
        len(matching),
        {tag: count for tag, count in sorted(tags.items(), key=lambda item: (-item[1], item[0])) if count},
        {
            code: count
            for code, count in sorted(languages.items(), key=lambda item: (-item[1].mostly, -item[1].some, item[0]))
            if count.some
        },
        VoiceCounts(instrumental, partly, mostly, len(matching) - instrumental - partly - mostly),
    )


class _Counted:
    """Tracks among which is counted, one byte for each id up to the highest."""

    def __init__(self, track_ids: NDArray[np.int64]) -> None:
        self._is_in = np.zeros(int(track_ids[-1]) + 1 if track_ids.size else 0, np.bool_)
        self._is_in[track_ids] = True

    def between(self, values: SortedValues, low: float, high: float = math.inf) -> int:
        """How many have a value from `low` to below `high`; a track has one value of a key at most."""
        track_ids = values.tracks_between(low, high, high_open=True)
        return int(np.count_nonzero(self._is_in[track_ids[track_ids < self._is_in.size]]))
