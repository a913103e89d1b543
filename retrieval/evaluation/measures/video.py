"""How well clips find their own music, and where in it they start: numbers in, numbers out.

- Among tracks that score alike every order is as likely: a track's recall and rank are what these orders have on
  average (McSherry & Najork, "Computing information retrieval performance measures efficiently in the presence of tied
  scores", ECIR 2008). What says nothing then has what chance has.
- Clips of one film are no independent trials: intervals are over sources, each drawn with all of its clips (cluster
  bootstrap: Cameron, Gelbach & Miller, "Bootstrap-based improvements for inference with clustered errors", Review of
  Economics and Statistics 90, 2008).
- Spans are compared by intersection over union, as moments in videos are.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.evaluation.measures.significance import Interval, bounds

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

_ALIKE = 1e-9
_SLOWEST_BPM, _FASTEST_BPM = 40.0, 240.0
FARTHEST = 0.5
"""Octaves that two tempi are apart at most, where octaves do not count."""


@dataclass(frozen=True)
class Place:
    """Where one of a pool stands: behind so many, beside so many others that score alike."""

    behind: int
    beside: int

    @property
    def rank(self) -> float:
        """From 1, the mean of all orders of those that score alike."""
        return 1 + self.behind + self.beside / 2

    def recall(self, k: int) -> float:
        """The share of these orders in which it is among the first k."""
        return float(np.clip((k - self.behind) / (self.beside + 1), 0, 1))


def place_of(scores: Numbers, own: int) -> Place:
    """The place of one of a pool by its score, the highest first; float64 [n]."""
    apart = scores - scores[own]
    return Place(int((apart > _ALIKE).sum()), int((np.abs(apart) <= _ALIKE).sum()) - 1)


def recall_by_chance(k: int, pool: int) -> float:
    """How often one of a pool is among the first k of a random order."""
    return min(1.0, k / pool)


def pools(
    own: int, others: NDArray[np.int64], size: int, draws: int, rng: np.random.Generator
) -> list[NDArray[np.int64]]:
    """Pools of one and of size − 1 others, the one first, drawn anew each time; a single one where all others fit."""
    if len(others) < size:
        return [np.concatenate([[own], others])]
    return [np.concatenate([[own], rng.choice(others, size - 1, replace=False)]) for _ in range(draws)]


def over_sources(values: Numbers, sources: NDArray[np.int64], *, seed: int = 0) -> Interval:
    """The mean over clips, and its 95 % interval over sources, of which `count` is the number; NaN bounds of one.

    Parameters
    ----------
    values : float64 [n], of clips, or of differences between two rankings of the same clips
    sources : int [n], from 0
    """
    return ratio_over_sources(values, np.ones(len(values)), sources, seed=seed)


def ratio_over_sources(above: Numbers, below: Numbers, sources: NDArray[np.int64], *, seed: int = 0) -> Interval:
    """Of two sums over clips, float64 [n] each, the ratio, with its 95 % interval as `over_sources` has it."""
    if not len(above) or not below.sum():
        return Interval(np.nan, np.nan, np.nan, len(np.unique(sources)))
    present, number = np.unique(sources, return_inverse=True)
    tops, bottoms = (np.bincount(number, weights=sums) for sums in (above, below))
    ratio = float(tops.sum() / bottoms.sum())
    if len(present) < 2:
        return Interval(ratio, np.nan, np.nan, len(present))

    def drawn(rows: NDArray[np.int64]) -> Numbers:
        over, under = tops[rows].sum(axis=-1), bottoms[rows].sum(axis=-1)
        # A draw of sources that have nothing below says nothing else than all of them do.
        ratios: Numbers = np.divide(over, under, out=np.full(np.shape(over), ratio), where=under > 0)
        return ratios

    low, high = bounds(drawn, len(present), seed=seed)
    return Interval(ratio, low, high, len(present))


def visual_tempo(curve: Numbers, rate: float) -> float | None:
    """At which tempo, 40 to 240 a minute, what happens in a clip comes again the most; none where nothing does.

    Parameters
    ----------
    curve : float64 [n], how much happens, `rate` values a second
    """
    centred = curve - curve.mean()
    first, last = int(np.ceil(60 * rate / _FASTEST_BPM)), int(60 * rate / _SLOWEST_BPM)
    last = min(last, len(curve) // 2)
    if last <= first or centred.std() < _ALIKE:
        return None
    again = np.array([centred[lag:] @ centred[: len(curve) - lag] for lag in range(first, last + 1)])
    return 60 * rate / (first + int(again.argmax())) if again.max() > 0 else None


def octaves_apart(tempo: float | None, tempi: Sequence[float | None]) -> Numbers:
    """How far tempi are from one, in octaves, double and half being none: float64 [n], 0 … ½; ½ where one is none."""
    if tempo is None:
        return np.full(len(tempi), FARTHEST)
    known = np.array([other or np.nan for other in tempi], np.float64)
    octaves = np.log2(known / tempo)
    apart: Numbers = np.nan_to_num(np.abs(octaves - np.round(octaves)), nan=FARTHEST)
    return apart


def standardised(values: Numbers, among: Numbers) -> Numbers:
    """Values in the spread of others about their mean; 0 where these are all one, and what is NaN."""
    known = among[~np.isnan(among)]
    if not len(known) or known.std() < _ALIKE:
        return np.zeros(len(values))
    spreads: Numbers = np.nan_to_num((values - known.mean()) / known.std(), nan=0.0)
    return spreads


def overlap(start_s: Numbers, end_s: Numbers, span_s: tuple[float, float]) -> Numbers:
    """Intersection over union of spans, float64 [n] each, with one."""
    shared = np.minimum(end_s, span_s[1]) - np.maximum(start_s, span_s[0])
    whole = np.maximum(end_s, span_s[1]) - np.minimum(start_s, span_s[0])
    shares: Numbers = np.divide(np.maximum(shared, 0), whole, out=np.zeros(len(start_s)), where=whole > 0)
    return shares
