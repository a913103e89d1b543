"""How many tracks have what, among those that match a filter: counted over the columns in memory.

A track counts with a tag that it has with a score of at least a half. It counts as sung in a language by at least a
tenth of its vocal time, and as mostly sung in it by at least a half, so with several languages it counts several times.
By its voice a track counts once: instrumental below a tenth of its time, mostly vocal from a half on, partly vocal
between, and unknown where nobody has listened. By tempo it counts in one band, by key, mode and metre once; what has no
beats has no tempo and no metre.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

from retrieval.catalog.conditions import All
from retrieval.filters.compiled import bitmap_of
from retrieval.filters.keys import MODES, TONICS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from pyroaring import BitMap64

    from retrieval.filters.attributes import Attributes
    from retrieval.filters.columns import SortedValues
    from retrieval.filters.compiled import Selections
    from retrieval.filters.language import Filter

TAG_SCORE = 0.5
SOME = 0.1
MOSTLY = 0.5
TEMPO_EDGES = (0.0, 60.0, 80.0, 100.0, 120.0, 140.0, 160.0, 180.0, math.inf)
"""Where a band of tempi ends and the next begins, in beats a minute; a track at an edge is in the upper one."""


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
class TempoCount:
    """Tracks with a tempo from `low` to below `high`, in beats a minute."""

    low: float
    high: float
    tracks: int


@dataclass(frozen=True)
class MusicCounts:
    """Tracks by rhythm and key.

    Attributes
    ----------
    tempi : ascending; bands without tracks are left out
    tempo_unknown : tracks without beats, or that nobody has listened to
    meters : by beats a bar, ascending
    meter_unknown : tracks without beats, or that nobody has listened to
    keys : by name, such as ``F# minor``
    key_unknown, mode_unknown : tracks in no key, or that nobody has listened to
    """

    tempi: Sequence[TempoCount]
    tempo_unknown: int
    meters: Mapping[int, int]
    meter_unknown: int
    keys: Mapping[str, int]
    key_unknown: int
    modes: Mapping[str, int]
    mode_unknown: int


@dataclass(frozen=True)
class Facets:
    """Counts of the tracks that match, most frequent first; nothing stands in them that no track has."""

    matching: int
    tags: Mapping[str, int]
    languages: Mapping[str, LanguageCount]
    vocals: VoiceCounts
    music: MusicCounts


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
        music = _music(attributes, matching, counted)
    return Facets(
        len(matching),
        _most_frequent_first(tags),
        {
            code: count
            for code, count in sorted(languages.items(), key=lambda item: (-item[1].mostly, -item[1].some, item[0]))
            if count.some
        },
        VoiceCounts(instrumental, partly, mostly, len(matching) - instrumental - partly - mostly),
        music,
    )


def _music(attributes: Attributes, matching: BitMap64, counted: _Counted) -> MusicCounts:
    tempo, meter = attributes.fixed("tempo").numbers, attributes.fixed("meter").numbers
    tempi = [TempoCount(low, high, counted.between(tempo, low, high)) for low, high in pairwise(TEMPO_EDGES)]
    meters = {int(beats): counted.between(meter, beats, beats + 1) for beats in meter.distinct().tolist()}
    in_mode = {mode: matching & attributes.fixed("mode").any_of([mode]) for mode in MODES}
    keys = {
        f"{tonic} {mode}": of_mode.intersection_cardinality(attributes.fixed("key").any_of([tonic]))
        for mode, of_mode in in_mode.items()
        for tonic in TONICS
    }
    modes = {mode: len(of_mode) for mode, of_mode in in_mode.items()}
    return MusicCounts(
        tempi=[band for band in tempi if band.tracks],
        tempo_unknown=len(matching) - sum(band.tracks for band in tempi),
        meters={beats: count for beats, count in meters.items() if count},
        meter_unknown=len(matching) - sum(meters.values()),
        keys=_most_frequent_first(keys),
        key_unknown=len(matching) - sum(keys.values()),
        modes=_most_frequent_first(modes),
        mode_unknown=len(matching) - sum(modes.values()),
    )


def _most_frequent_first(counts: Mapping[str, int]) -> dict[str, int]:
    """Counts by name, without those that are none."""
    return {name: count for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])) if count}


class _Counted:
    """Tracks among which is counted, one byte for each id up to the highest."""

    def __init__(self, track_ids: NDArray[np.int64]) -> None:
        self._is_in = np.zeros(int(track_ids[-1]) + 1 if track_ids.size else 0, np.bool_)
        self._is_in[track_ids] = True

    def between(self, values: SortedValues, low: float, high: float = math.inf) -> int:
        """How many have a value from `low` to below `high`; a track has one value of a key at most."""
        track_ids = values.tracks_between(low, high, high_open=True)
        return int(np.count_nonzero(self._is_in[track_ids[track_ids < self._is_in.size]]))
