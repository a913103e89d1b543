"""What is measured of a space comes to: frozen, and all of it JSON by `results.runs`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from retrieval.evaluation.results.runs import EvaluationResult

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrieval.evaluation.measures.half_tracks import WithoutHalves
    from retrieval.evaluation.measures.significance import Difference, Interval
    from retrieval.evaluation.results.runs import Subject


@dataclass(frozen=True)
class LargestHub:
    """The track, by its key, that stands in the most of `of` lists."""

    track: str
    lists: int
    of: int

    @property
    def share(self) -> float:
        """Of the lists."""
        return self.lists / self.of


@dataclass(frozen=True)
class LabelEvaluation:
    """The tracks of one label.

    Attributes
    ----------
    tracks, queries : that bear it, and of these that ask
    metrics : over these, by measure; NaN without any
    chance : by measure
    nearest : how many of these have a nearest neighbour of a label, by label, most first
    """

    label: str
    tracks: int
    queries: int
    metrics: Mapping[str, Interval]
    chance: Mapping[str, float]
    nearest: Mapping[str, int]


@dataclass(frozen=True)
class LabelledTracks:
    """The labelled tracks of one space.

    Attributes
    ----------
    source : the folder that labels them
    tracks, queries : that bear a label, and of these that ask
    rows : by label, in their order
    not_found : files of the folder that are not in the space
    """

    source: str
    tracks: int
    queries: int
    rows: Sequence[LabelEvaluation]
    not_found: Sequence[str]


@dataclass(frozen=True)
class SpaceEvaluation(EvaluationResult):
    """One space of the live catalogue, by what needs no judgments.

    Attributes
    ----------
    subject : its `depth` is that of the lists in which hubs are counted
    queries : tracks that ask, drawn where there are more
    metrics : over queries; skewness and share never listed over all tracks
    chance : the level of each by chance; NaN where there is no closed form
    without_artist, without_album : tracks that name none
    seconds : by step
    labels : by label, where a folder labels tracks
    """

    subject: Subject
    queries: int
    metrics: Mapping[str, Interval]
    chance: Mapping[str, float]
    lower_is_better: Sequence[str]
    largest_hub: LargestHub
    without_halves: WithoutHalves
    without_artist: int
    without_album: int
    warnings: Sequence[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    labels: LabelledTracks | None = None
    kind: str = "catalogue"


@dataclass(frozen=True)
class SpaceComparison(EvaluationResult):
    """Two spaces on the tracks that both hold: blue is the one in use, green the one that may follow it.

    Attributes
    ----------
    tracks, only_blue, only_green : in both, and left out for being in one alone
    queries : tracks that ask, drawn where there are more
    metrics : as those of a catalogue, and of `source` where there are judgments; `first` is blue, `second` green
    overlap, rank_biased_overlap : of the two lists of every query
    source : the file of judgments; empty without
    verdict : what the differences say, in a line
    labels : by label in blue and in green, where a folder labels tracks
    """

    blue: Subject
    green: Subject
    tracks: int
    only_blue: int
    only_green: int
    queries: int
    metrics: Mapping[str, Difference]
    chance: Mapping[str, float]
    lower_is_better: Sequence[str]
    overlap: Interval
    rank_biased_overlap: Interval
    largest_hubs: tuple[LargestHub, LargestHub]
    verdict: str
    source: str = ""
    warnings: Sequence[str] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    labels: tuple[LabelledTracks, LabelledTracks] | None = None
    kind: str = "models"
