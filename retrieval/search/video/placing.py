"""Where in a track a clip starts: where cuts and motion meet beats, where both move together, where it fits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import find_peaks

from retrieval.search.video.alignment import Moments, aligned
from retrieval.search.video.clip import RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrieval.catalog.heard.moments import TrackMoments
    from retrieval.catalog.records import TrackSegments
    from retrieval.search.video.clip import Clip

TOGETHER_S = 0.1
"""A cut so near to a beat is on it."""
_CUT, _PEAK = 1.0, 0.3
_BEAT, _DOWNBEAT, _SECTION = 0.5, 0.75, 1.0
_PEAK_SPREADS, _PEAK_S = 2.0, 0.3
_SYNC_WORTH, _FIT_WORTH = 0.15, 0.5
_WORTH_S = 1 / RATE


@dataclass(frozen=True)
class Placement:
    """How a track is laid under a clip.

    Attributes
    ----------
    start_s, end_s : the part of the track that plays under the clip, at its own speed
    rate : the track's speed over its own, 0.97 … 1.03
    score, chance : share of the clip's cuts and peaks of motion that meet beats and parts, and what all starts have on
        average
    cuts_on_beats, cuts_by_chance : share of the cuts within 100 ms of a beat, here and over all starts; none where
        there are no cuts, or no beats
    """

    start_s: float
    end_s: float
    rate: float
    score: float
    chance: float
    cuts_on_beats: float | None
    cuts_by_chance: float | None


def place(
    clip: Clip, track: TrackMoments, segments: TrackSegments | None, together: NDArray[np.float32] | None
) -> Placement:
    """The best placement.

    Parameters
    ----------
    segments : of the track, in the space of music and video
    together : float32 [starts], of what happens in both (`retrieval.search.video.sync`), 25 a second
    """
    starts = int(max(0.0, track.duration_s - clip.duration_s) * RATE) + 1
    worth = np.zeros(starts)
    if together is not None:
        worth += _SYNC_WORTH * _stretched(together.astype(np.float64), starts)
    if segments is not None and len(segments.vectors):
        worth += _FIT_WORTH * _stretched(local_fit(clip, segments, track.duration_s), starts)
    found = aligned(moments_seen(clip), clip.duration_s, moments_heard(track), track.duration_s, worth)
    end_s = min(track.duration_s, found.start_s + clip.duration_s * found.rate)
    on_beats, by_chance = cuts_on_beats(clip.cuts_s, track.beats_s, found.start_s, found.rate, track.duration_s)
    return Placement(found.start_s, end_s, found.rate, found.score, found.chance, on_beats, by_chance)


def moments_seen(clip: Clip) -> Moments:
    """Cuts, and peaks of what begins to move that no cut makes."""
    events = clip.events
    peaks, _ = find_peaks(
        events, height=float(events.mean() + _PEAK_SPREADS * events.std() + 1e-4), distance=max(1, int(_PEAK_S * RATE))
    )
    peaks_s = peaks / RATE
    apart = np.abs(peaks_s[:, None] - clip.cuts_s).min(axis=1, initial=np.inf)
    peaks_s = peaks_s[apart > _PEAK_S]
    return _merged((clip.cuts_s, _CUT), (peaks_s, _PEAK))


def moments_heard(track: TrackMoments) -> Moments:
    """Beats, those that begin a bar, and where parts begin."""
    first = track.sections_s > 0  # a track's own beginning is no change
    return _merged((track.beats_s, _BEAT), (track.downbeats_s, _DOWNBEAT), (track.sections_s[first], _SECTION))


def local_fit(clip: Clip, segments: TrackSegments, duration_s: float) -> NDArray[np.float64]:
    """How near to a clip the part of a track is that would play under it, for each start, 25 a second: float64."""
    norms = np.linalg.norm(segments.vectors, axis=1)
    cosines = (segments.vectors @ clip.vector) / np.where(norms > 0, norms, 1)
    steps = max(1, int(duration_s * RATE) + 1)
    middles_s = (segments.starts_s + segments.ends_s) / 2
    curve = np.interp(np.arange(steps) / RATE, middles_s, cosines)
    length = max(1, int(clip.duration_s * RATE))
    if steps <= length:
        return np.array([curve.mean()])
    sums = np.cumsum(np.concatenate([[0.0], curve]))
    fit: NDArray[np.float64] = (sums[length:] - sums[:-length])[: steps - length] / length
    return fit


def cuts_on_beats(
    cuts_s: NDArray[np.float64], beats_s: NDArray[np.float64], start_s: float, rate: float, duration_s: float
) -> tuple[float | None, float | None]:
    """Share of cuts within 100 ms of a beat, and the share of a track's time that is; none without cuts or beats."""
    if not len(cuts_s) or len(beats_s) < 2:
        return None, None
    at_s = start_s + cuts_s * rate
    at_s = at_s[at_s <= duration_s]
    if not len(at_s):
        return None, None
    behind = np.searchsorted(beats_s, at_s).clip(1, len(beats_s) - 1)
    apart_s = np.minimum(np.abs(at_s - beats_s[behind - 1]), np.abs(at_s - beats_s[behind]))
    near_s = np.minimum(np.diff(beats_s), 2 * TOGETHER_S).sum() + 2 * TOGETHER_S
    return float((apart_s <= TOGETHER_S + 1e-9).mean()), float(min(1.0, near_s / duration_s))


def _merged(*kinds: tuple[NDArray[np.float64], float]) -> Moments:
    times_s = np.concatenate([times for times, _ in kinds])
    weights = np.concatenate([np.full(len(times), weight) for times, weight in kinds])
    order = np.argsort(times_s, kind="stable")
    return Moments(times_s[order], weights[order])


def _stretched(curve: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """A curve over all starts, as one of so many values."""
    return np.interp(np.linspace(0, 1, count), np.linspace(0, 1, len(curve)), curve)
