"""A hum among melodies: windows say which tracks come into question, and where; there the hum is laid upon each.

At every tempo, all windows of the hum are laid upon those of a track that lie as far apart, wherever there are such
(linear scaling: Jang & Lee, "Hierarchical filtering method for content-based music retrieval via acoustic input", ACM
Multimedia 2001). A difference counts up to two semitones: a wrong note is a wrong note. A score lies in [0, 1], higher
is better: 1 less the mean difference of both lines, of which a whole tone is the most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numba import njit

from retrieval.errors import NoMelodyError
from retrieval.search.humming.contours import (
    ASKED_EVERY,
    HOP,
    QUARTER,
    RATE,
    WINDOW_S,
    contour_of,
    windows_at_tempos,
)
from retrieval.search.humming.warping import fitted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrieval.search.humming.contours import Contour
    from retrieval.search.humming.melodies import Melodies

CANDIDATES = 200
"""Tracks that the hum is laid upon."""
_PLACES = 2
"""Places in each of them, of different tempos."""
LONGEST_S = 30.0
"""Of a hum that is listened to: what comes later is left."""
_SHORTEST_S = 2.5
_WIDEST_STEADY, _STEADY = 0.6, 0.4
_LEAST_RANGE = 1.0
_AROUND_S = 2.0
_REST = 0.3
"""How much a step counts in which the hum rests."""
_MOST = 2 * QUARTER


@dataclass(frozen=True)
class Found:
    """A track that a hum was found in.

    Attributes
    ----------
    span_s : where in the track
    transposition : semitones that the track is higher than the hum
    tempo_ratio : the hum's tempo over the track's
    """

    track_id: int
    score: float
    span_s: tuple[float, float]
    transposition: float
    tempo_ratio: float


def find(hum: Contour, melodies: Melodies, *, among: NDArray[np.int64] | None = None, limit: int = 10) -> list[Found]:
    """The tracks in which a hum is found best, best first; those of equal score in the order of their ids.

    Parameters
    ----------
    among : ids of the tracks that may be found, int64 ascending; none: all of them
    """
    best: dict[int, Found] = {}
    for track_id, tempo, start in _candidates(hum, melodies, among):
        found = _laid(hum, melodies, track_id, tempo, start)
        if track_id not in best or found.score > best[track_id].score:
            best[track_id] = found
    return sorted(best.values(), key=lambda one: (-one.score, one.track_id))[:limit]


def hum_of(pitches: NDArray[np.float32], step_s: float) -> Contour:
    """What a hum is compared by: its melody, float32 [steps], MIDI numbers or NaN, without silence around it.

    Raises
    ------
    NoMelodyError
        If it holds no melody: too little is voiced, pitches glide as those of speech do, or there is but one.
    """
    voiced = np.flatnonzero(~np.isnan(pitches))
    if not len(voiced):
        raise NoMelodyError("no pitch is heard in it")
    inside = pitches[voiced[0] : voiced[-1] + 1][: round(LONGEST_S / step_s)]
    contour = contour_of(inside, step_s)
    heard_s = float(contour.voiced.sum()) / RATE
    if heard_s < _SHORTEST_S:
        raise NoMelodyError(f"a pitch is heard for {heard_s:.1f} s of it")
    both = contour.voiced[2:] & contour.voiced[:-2]
    steady = both & (np.abs(contour.pitches[2:] - contour.pitches[:-2]) < _WIDEST_STEADY)
    if steady.sum() < _STEADY * max(1, int(both.sum())):
        raise NoMelodyError("its pitch glides, as in speech")
    low, high = np.percentile(contour.pitches[2:][steady], [5, 95])
    if high - low < _LEAST_RANGE:
        raise NoMelodyError("there is one pitch all along")
    return contour


def _candidates(hum: Contour, melodies: Melodies, among: NDArray[np.int64] | None) -> list[tuple[int, float, int]]:
    """Places where the hum may be: track, tempo, and the step at which the hum begins there."""
    asked = list(windows_at_tempos(hum))
    count = len(melodies.track_ids)
    if not asked or not count:
        return []
    allowed = np.ones(count, np.bool_) if among is None else np.isin(melodies.track_ids, among, assume_unique=True)
    costs, places = np.ones((len(asked), count), np.float32), np.full((len(asked), count), -1, np.int64)
    for number, (_, windows) in enumerate(asked):
        _scan(windows, melodies.windows, melodies.firsts, allowed, costs[number], places[number])
    best = np.argsort(costs.min(axis=0), kind="stable")[:CANDIDATES]
    return [
        (int(melodies.track_ids[track]), asked[number][0], int(places[number, track]) * HOP)
        for track in best.tolist()
        for number in np.argsort(costs[:, track], kind="stable")[:_PLACES].tolist()
        if places[number, track] >= 0
    ]


@njit(cache=True, nogil=True, error_model="numpy")
def _scan(asked, windows, firsts, allowed, costs, places):  # type: ignore[no-untyped-def]
    """Lay windows [n, 24] upon each track's: its least mean difference, of two semitones, and from which window on."""
    points = asked.shape[1]
    for track in range(len(firsts) - 1):
        first, count = firsts[track], firsts[track + 1] - firsts[track]
        if not allowed[track]:
            continue
        # Of a hum that is longer than the track, its beginning.
        n_asked = min(len(asked), (count - 1) // ASKED_EVERY + 1)
        best = np.int32(_MOST * points * n_asked)
        for place in range(count - ASKED_EVERY * (n_asked - 1)):
            total = np.int32(0)
            for number in range(n_asked):
                of, other = asked[number], windows[first + place + ASKED_EVERY * number]
                for point in range(points):
                    total += min(abs(np.int16(of[point]) - np.int16(other[point])), np.int16(_MOST))
                if total >= best:
                    break
            if total < best:
                best, places[track] = total, place
        costs[track] = best / np.float32(_MOST * points * n_asked)


def _laid(hum: Contour, melodies: Melodies, track_id: int, tempo: float, start: int) -> Found:
    """The hum, laid upon a track about where it may begin."""
    pitches = melodies.stored[track_id].pitches
    length = max(2, round(len(hum.pitches) * tempo))
    at = np.minimum((np.arange(length) / tempo).astype(np.int64), len(hum.pitches) - 1)
    line, weights = hum.pitches[at], np.where(hum.voiced[at], 1, _REST).astype(np.float32)
    around = round(_AROUND_S * RATE)
    first = max(0, start - around)
    stretch = pitches[first : first + length + 2 * around]
    window = pitches[start : start + round(WINDOW_S * RATE)]
    fit = fitted(line, weights, stretch, float(np.median(window) - np.median(line[: len(window)])))
    played = max(1, fit.end - fit.start)
    return Found(
        track_id,
        1 - fit.cost,
        ((first + fit.start) / RATE, (first + fit.end) / RATE),
        fit.transposition,
        played / max(1, len(hum.pitches)),
    )
