"""Where in a track a clip should begin, and how much faster or slower the track is played, so that both move together.

A clip has moments: cuts, and peaks of motion; a track has them: beats, downbeats, beginnings of sections. Every start
and every tempo is tried, each moment of the clip counting by the strongest one of the track near it. All starts of one
tempo are one correlation, so nothing has to be guessed: the best of all of them is found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import correlate

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEP_S = 0.01
"""From one start that is tried to the next."""
RATES = tuple(1 + change / 200 for change in range(-6, 7))
"""A track's speed over its own: 3 % either way, beyond which it is heard."""
_SPREAD_S = 0.04
"""What lies so far apart looks and sounds together; it counts e^-½ of what is exact (Vroomen & Keetels, "Perception of
intersensory synchrony", 2010: pictures and sounds some 50 ms apart are taken for one)."""
_RATE_PRICE = 0.5
"""What all of the 3 % costs, in hundredths of the best score: of equals the unchanged is taken."""


@dataclass(frozen=True, eq=False)
class Moments:
    """Moments in time, float64 [n] seconds ascending, and how much each counts, float64 [n] above 0."""

    times_s: NDArray[np.float64]
    weights: NDArray[np.float64]


@dataclass(frozen=True)
class Alignment:
    """How a track is laid under a clip.

    Attributes
    ----------
    start_s : where in the track the clip begins
    rate : the track's speed over its own
    score : 0 … 1, share of the clip's moments that meet moments of the track, each by its weight
    chance : what the mean of all starts has
    """

    start_s: float
    rate: float
    score: float
    chance: float


def aligned(
    clip: Moments, clip_s: float, track: Moments, track_s: float, worth: NDArray[np.float64] | None = None
) -> Alignment:
    """The best start and speed of a track under a clip.

    A clip longer than the track begins with it. Without moments on either side the score is 0, and every start as good
    but for its worth.

    Parameters
    ----------
    clip, clip_s : the clip's moments, and how long it is
    track, track_s : the track's
    worth : float64 [n], what else speaks for starts that are evenly spread over all there are, in shares of the score
    """
    most = max(0.0, track_s - clip_s)
    worth = np.zeros(1) if worth is None or not len(worth) else worth
    if not len(clip.times_s) or not len(track.times_s):
        return Alignment(most * int(worth.argmax()) / max(1, len(worth) - 1), 1.0, 0.0, 0.0)
    best, key, means = Alignment(0.0, 1.0, 0.0, 0.0), -np.inf, []
    heard = _curve(track, track_s)
    for rate in RATES:
        # In a track that is played faster more of it passes by.
        places = np.rint(clip.times_s * rate / STEP_S).astype(np.int64)
        seen = np.bincount(places, weights=clip.weights)
        starts = int(max(0.0, track_s - clip_s * rate) / STEP_S) + 1
        padded = np.pad(heard, (0, max(0, starts + len(seen) - 1 - len(heard))))[: starts + len(seen) - 1]
        scores = correlate(padded, seen, mode="valid", method="fft") / clip.weights.sum()
        means.append(float(scores.mean()))
        whole = scores + np.interp(np.arange(starts) * STEP_S, np.linspace(0, most, len(worth)), worth)
        place = int(whole.argmax())
        reached = float(whole[place]) - _RATE_PRICE / 100 * abs(rate - 1) / 0.03
        if reached > key:
            best, key = Alignment(place * STEP_S, rate, float(np.clip(scores[place], 0, 1)), 0.0), reached
    return Alignment(best.start_s, best.rate, best.score, float(np.clip(np.mean(means), 0, 1)))


def _curve(moments: Moments, length_s: float) -> NDArray[np.float64]:
    """At each step, how much the moment that counts most there does, 0 … 1."""
    count = int(length_s / STEP_S) + 1
    curve = np.zeros(count)
    reach = round(3 * _SPREAD_S / STEP_S)
    near = np.exp(-0.5 * (np.arange(-reach, reach + 1) * STEP_S / _SPREAD_S) ** 2)
    strongest = moments.weights.max()
    for time_s, weight in zip(moments.times_s.tolist(), moments.weights.tolist(), strict=True):
        middle = round(time_s / STEP_S)
        first, last = max(0, middle - reach), min(count, middle + reach + 1)
        if first < last:
            cut = near[first - middle + reach : last - middle + reach] * weight / strongest
            curve[first:last] = np.maximum(curve[first:last], cut)
    return curve
