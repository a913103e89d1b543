"""Hubs: a few tracks that stand in very many lists, while others stand in none.

With the k nearest others of every query as its list, x_i is how often track i occurs in them, its k-occurrence
(Radovanović et al., Hubs in space, JMLR 11, 2010):

- skewness of x over all tracks; hubs make it large
- never listed: share of tracks with x = 0 (the paper's antihubs)
- largest hub: share of the lists that hold the track that occurs most often; since these lists chose it, that is a
  little more than other lists would say

By chance a track is in each of t lists with probability p: x is binomial, with skewness (1 − 2p) / √(t p (1 − p)) and
(1 − p)^t of the tracks never listed. That some spread is there by chance is why few queries give skewness, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import scipy

from retrieval.evaluation.measures.beyond_accuracy import occurrences, skewness, skewnesses
from retrieval.evaluation.measures.significance import Difference, Interval, bounds, choices, p_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

K = 10
ROUNDS = 2_000  # each of them counts all lists anew


@dataclass(frozen=True, eq=False)
class Hubs:
    """Who occurs in the lists of one space.

    Attributes
    ----------
    lists : int64 [m, k], tracks, −1 behind a list's end
    track_ids : int64 [n] ascending, all that can be listed
    """

    lists: NDArray[np.int64]
    track_ids: NDArray[np.int64]

    @cached_property
    def counts(self) -> NDArray[np.int64]:
        """The occurrences of every track, int64 [n]."""
        return occurrences(self.lists, self.track_ids)

    @property
    def largest(self) -> tuple[int, int]:
        """The track that occurs most often, the first of equals, and how often."""
        row = int(np.argmax(self.counts))
        return int(self.track_ids[row]), int(self.counts[row])

    @property
    def never_listed(self) -> NDArray[np.float64]:
        """Float64 [n], 1 for a track that no list holds."""
        never: NDArray[np.float64] = (self.counts == 0).astype(np.float64)
        return never

    @property
    def holds_largest(self) -> NDArray[np.float64]:
        """Float64 [m], 1 for a list that holds the track that occurs most often."""
        holds: NDArray[np.float64] = (self.lists == self.largest[0]).any(axis=1).astype(np.float64)
        return holds


def skewness_interval(counts: NDArray[np.int64], *, seed: int = 0) -> Interval:
    """Skewness of occurrences int64 [n], bootstrapped over tracks."""
    values = counts.astype(np.float64)
    low, high = bounds(lambda rows: skewnesses(values[rows]), len(values), seed=seed)
    return Interval(skewness(counts), low, high, len(counts))


def by_chance(n_lists: int, n_tracks: int, k: int = K) -> tuple[float, float]:
    """Skewness, and share of tracks never listed, where lists are drawn: `n_lists` of `k`, of all tracks but their own.

    A track asks or does not; on average it can be in (n_tracks − 1) / n_tracks of the lists.
    """
    trials = round(n_lists * (n_tracks - 1) / max(n_tracks, 1))
    p = min(k / max(n_tracks - 1, 1), 1.0)
    listed = scipy.stats.binom(trials, p)
    return float(listed.stats("s")) if trials and 0 < p < 1 else 0.0, float(listed.pmf(0))


def compare_skewness(first: Hubs, second: Hubs, *, seed: int = 0, rounds: int = ROUNDS) -> Difference:
    """Difference of the skewness of two spaces, from lists of the same queries over the same tracks.

    The interval is bootstrapped over tracks, as that of one space. For the test, each query's two lists change places
    or do not (`retrieval.evaluation.measures.significance`). No query has a skewness, so none wins, and there is no
    d_z.
    """
    one, other = first.counts.astype(np.float64), second.counts.astype(np.float64)
    low, high = bounds(lambda rows: skewnesses(other[rows]) - skewnesses(one[rows]), len(one), seed=seed)
    observed = skewness(second.counts) - skewness(first.counts)
    p = _swapped(first, second, abs(observed), seed, rounds)
    interval = Interval(observed, low, high, len(one))
    return Difference(skewness(first.counts), skewness(second.counts), interval, p, p, float("nan"), 0, 0, 0)


def _swapped(first: Hubs, second: Hubs, observed: float, seed: int, rounds: int) -> float:
    """P of skewnesses that differ by `observed` at least."""
    n_tracks, together, reached = len(first.track_ids), first.counts + second.counts, 0
    # By number, and what is behind a list's end behind the last.
    rows = [
        np.where(side.lists >= 0, np.searchsorted(side.track_ids, side.lists), n_tracks) for side in (first, second)
    ]
    for choice in choices(len(first.lists), seed=seed, rounds=rounds):
        for swapped in choice.astype(bool):
            mixed = np.where(swapped[:, np.newaxis], rows[1], rows[0]).ravel()
            counts = np.bincount(mixed, minlength=n_tracks + 1)[:n_tracks]
            reached += abs(skewness(together - counts) - skewness(counts)) >= observed - 1e-9
    return p_of(reached, len(first.lists), rounds=rounds)
