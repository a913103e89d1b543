"""How well what happens in a clip and what is heard in a track go together, for every start of the clip in the track.

Five pairs of curves are correlated at every start: what begins to move with onsets, changes of light with onsets, cuts
with onsets, cuts with beats, how much moves with loudness. Each correlation is measured in the spread that it has by
chance: over all starts of the track, and where these are few, as two noises of its pace would have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.fft import irfft, next_fast_len, rfft
from scipy.ndimage import gaussian_filter1d

from retrieval.search.video.clip import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrieval.catalog.heard.moments import TrackMoments
    from retrieval.search.video.clip import Clip

_NEAR = 2.0 * RATE  # steps that a peak is measured against
_SLOW = 0.5 * RATE
_SHARP = 0.5
_MOST = 4.0  # spreads of its neighbourhood: what is stronger counts no more
_DOWNBEAT, _BEAT = 1.0, 0.6
_ALIKE = np.array([[3.5], [3.5], [2.5], [1.2], [30.0]])  # steps over which what is correlated is much the same
_SURE = 20.0  # independent starts whose own spread weighs as much as what noise has
WEIGHTS = np.array([1.0, 0.7, 0.4, 0.6, 0.2])
"""Of the pairs: energy follows loudness more loosely than the others follow accents."""
PAIRS = ("motion", "light", "cuts", "beats", "energy")


@dataclass(frozen=True, eq=False)
class Curves:
    """A clip's, or a track's: float32 [pairs, n] each, of zero mean."""

    curves: NDArray[np.float32]

    @property
    def steps(self) -> int:
        """How many, 25 a second."""
        return int(self.curves.shape[1])


@dataclass(frozen=True, eq=False)
class Sync:
    """Scores of every start.

    Attributes
    ----------
    pairs : float32 [5, starts], each correlation in the spread that it has by chance; 0 where nothing happens
    """

    pairs: NDArray[np.float32]

    @property
    def starts(self) -> int:
        """How many, 25 a second."""
        return int(self.pairs.shape[1])

    @property
    def joined(self) -> NDArray[np.float32]:
        """All pairs as one, float32 [starts]: those in which anything happens, by their weights, of spread 1 again."""
        happens = (self.pairs != 0).any(axis=1) * WEIGHTS
        scale = np.sqrt((happens**2).sum())
        return np.asarray(happens @ self.pairs / scale if scale else np.zeros(self.starts), np.float32)


def seen(clip: Clip) -> Curves:
    """What of a clip is laid upon tracks."""
    return Curves(
        np.stack(
            [
                _sharp(clip.events),
                _sharp(clip.changes),
                clip.cuts - clip.cuts.mean(),
                clip.cuts - clip.cuts.mean(),
                _slow(clip.energy),
            ]
        ).astype(np.float32)
    )


def heard(moments: TrackMoments) -> Curves | None:
    """What of a track a clip is laid upon; none where nobody listened for accents."""
    accents = moments.accents
    if accents is None or not len(accents.onsets):
        return None
    steps = max(1, round(moments.duration_s * RATE))
    onsets, loudness = (_even(curve, accents.rate, steps) for curve in (accents.onsets, accents.loudness))
    sharp = _sharp(onsets)
    beats = np.zeros(steps)
    for times_s, weight in ((moments.beats_s, _BEAT), (moments.downbeats_s, _DOWNBEAT)):
        beats[np.clip(np.rint(times_s * RATE).astype(int), 0, steps - 1)] = weight
    beats = gaussian_filter1d(beats, _SHARP)
    beats -= beats.mean()
    return Curves(np.stack([sharp, sharp, sharp, beats, _slow(loudness)]).astype(np.float32))


def sync(clip: Curves, track: Curves) -> Sync:
    """Correlate at every start; a clip longer than the track begins with it."""
    steps, length = clip.steps, max(clip.steps, track.steps)
    heard = np.pad(track.curves, ((0, 0), (0, length - track.steps)))
    size = next_fast_len(length + steps, real=True)
    product = rfft(heard, size) * np.conj(rfft(clip.curves, size))
    starts = length - steps + 1
    sums = irfft(product, size)[:, :starts]
    energy = np.pad(np.cumsum(heard.astype(np.float64) ** 2, axis=1), ((0, 0), (1, 0)))
    under = energy[:, steps:] - energy[:, :starts]
    own = (clip.curves.astype(np.float64) ** 2).sum(axis=1, keepdims=True)
    scale = np.sqrt(own * np.maximum(under, 0.05 * under.max(axis=1, keepdims=True)))
    correlation = np.divide(sums, scale, out=np.zeros_like(sums), where=scale > 1e-9)
    noise = _ALIKE / steps
    independent = starts / _ALIKE
    spread = np.sqrt(
        (independent * (correlation**2).mean(axis=1, keepdims=True) + _SURE * noise) / (independent + _SURE)
    )
    return Sync((correlation / spread).astype(np.float32))


def beyond_chance(score: float, starts: int) -> float:
    """What a best score is worth, of which so many starts were tried, 25 a second, about half a second alike.

    The largest of n normal numbers is about √(2 ln n). Music is not normal: clips of films on music that has nothing to
    do with them gave 1.6 √(2 ln n) − 0.8.
    """
    return score - (1.6 * float(np.sqrt(2 * np.log(starts / (RATE / 2) + 1.0))) - 0.8)


def best_beyond_chance(together: NDArray[np.float32] | None) -> float:
    """What the best start of all is worth, float32 [starts]; 0 where nothing can be said."""
    return 0.0 if together is None else beyond_chance(float(together.max()), len(together))


def _sharp(curve: NDArray[np.float32]) -> NDArray[np.float64]:
    """What stands out of its neighbourhood, in spreads of it."""
    curve = gaussian_filter1d(curve.astype(np.float64), _SHARP, mode="nearest")
    mean = gaussian_filter1d(curve, _NEAR, mode="nearest")
    spread = np.sqrt(gaussian_filter1d((curve - mean) ** 2, _NEAR, mode="nearest"))
    sharp = np.clip((curve - mean) / (spread + 0.1 * spread.mean() + 1e-6), -_MOST, _MOST)
    return np.asarray(sharp - sharp.mean(), np.float64)


def _slow(curve: NDArray[np.float32]) -> NDArray[np.float64]:
    slow = gaussian_filter1d(curve.astype(np.float64), _SLOW, mode="nearest")
    return np.asarray(slow - slow.mean(), np.float64)


def _even(curve: NDArray[np.float32], rate: float, steps: int) -> NDArray[np.float32]:
    if rate == RATE and len(curve) >= steps:
        return curve[:steps]
    times_s = np.arange(steps) / RATE
    return np.interp(times_s, np.arange(len(curve)) / rate, curve).astype(np.float32)
