"""What comes of asking clips for their own music."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from retrieval.evaluation.measures.significance import Interval


@dataclass(frozen=True)
class Ranking:
    """One way to rank: recall by k, each with its interval over sources, and the median rank over clips."""

    recall: Mapping[int, Interval]
    median_rank: float


@dataclass(frozen=True)
class Pooled:
    """All ways to rank pools of one size.

    Attributes
    ----------
    asked : the size that was asked for
    smallest, largest : the sizes that there were: pools hold fewer where there is not more
    draws : pools of each clip at most
    rankings : by name
    chance : recall by k of a random order
    chance_rank : its median rank
    gains : by baseline, how much more recall by k `all` has, paired by clip, with its interval over sources
    """

    asked: int
    smallest: int
    largest: int
    draws: int
    rankings: Mapping[str, Ranking]
    chance: Mapping[int, float]
    chance_rank: float
    gains: Mapping[str, Mapping[int, Interval]]


@dataclass(frozen=True)
class Started:
    """Where clips are laid upon their own music, found and by chance.

    Attributes
    ----------
    clips : those whose music has a second or more beyond them, so that there is a choice
    cut_clips : of these, those with cuts, in music with beats
    cuts_on_beats, by_chance : of their cuts, the share within 100 ms of a beat
    ratio : of both, with its interval over sources
    error_s, error_by_chance_s : median distance of the start from the true one
    close, close_by_chance : share of starts within half a second of it
    overlap, overlap_by_chance : mean intersection over union with the true span
    """

    clips: int
    cut_clips: int
    cuts_on_beats: float
    by_chance: float
    ratio: Interval
    error_s: float
    error_by_chance_s: float
    close: float
    close_by_chance: float
    overlap: float
    overlap_by_chance: float


@dataclass(frozen=True)
class VideoEvaluation:
    """Everything of one run; `sources` films or tracks of which the clips are, `tracks` that pools are drawn from."""

    encoder_version: str
    clips: int
    sources: int
    tracks: int
    clip_s: float
    seed: int
    pools: Sequence[Pooled]
    moments: Started
    left_out: Mapping[str, str]
    warnings: Sequence[str]
