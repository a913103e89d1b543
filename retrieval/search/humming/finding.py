"""A hum among melodies: windows say which tracks come into question, and each of these is laid upon the hum.

A score lies in [0, 1], higher is better: 1 less the mean difference of both lines, of which a whole tone is the most.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from retrieval.errors import QueryError
from retrieval.search.humming.contours import RATE, contour_of, windows_at_tempos
from retrieval.search.humming.warping import fitted

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from retrieval.search.humming.contours import Contour
    from retrieval.search.humming.melodies import Melodies

CANDIDATES = 200
"""Tracks that are laid upon the hum."""
LONGEST_S = 30.0
"""Of a hum that is listened to: what comes later is left."""
_SHORTEST_S = 2.5
_WIDEST_STEADY, _STEADY = 0.6, 0.4
_LEAST_RANGE = 1.0
_AROUND_S = 2.0
_REST = 0.3
"""How much a step counts in which the hum rests."""
_ROWS = 65_536
_ACCEPTED = "some seconds of one voice that hums, sings or whistles a melody"


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
    found = [_laid(hum, melodies, *candidate) for candidate in _candidates(hum, melodies, among)]
    return sorted(found, key=lambda one: (-one.score, one.track_id))[:limit]


def hum_of(pitches: NDArray[np.float32], step_s: float) -> Contour:
    """What a hum is compared by: its melody, float32 [steps], MIDI numbers or NaN, without silence around it.

    Raises
    ------
    QueryError
        If it holds no melody: too little is voiced, pitches glide as those of speech do, or there is but one.
    """
    voiced = np.flatnonzero(~np.isnan(pitches))
    if not len(voiced):
        raise QueryError("file", "holds no melody: no pitch is heard in it", _ACCEPTED)
    inside = pitches[voiced[0] : voiced[-1] + 1][: round(LONGEST_S / step_s)]
    contour = contour_of(inside, step_s)
    heard_s = float(contour.voiced.sum()) / RATE
    if heard_s < _SHORTEST_S:
        raise QueryError("file", f"holds no melody: a pitch is heard for {heard_s:.1f} s of it", _ACCEPTED)
    both = contour.voiced[2:] & contour.voiced[:-2]
    steady = both & (np.abs(contour.pitches[2:] - contour.pitches[:-2]) < _WIDEST_STEADY)
    if steady.sum() < _STEADY * max(1, int(both.sum())):
        raise QueryError("file", "holds no melody: its pitch glides, as in speech", _ACCEPTED)
    low, high = np.percentile(contour.pitches[2:][steady], [5, 95])
    if high - low < _LEAST_RANGE:
        raise QueryError("file", "holds no melody: there is one pitch all along", _ACCEPTED)
    return contour


def _candidates(hum: Contour, melodies: Melodies, among: NDArray[np.int64] | None) -> list[tuple[int, float, int, int]]:
    """Tracks with the most similar windows: id, tempo, the steps at which its window and the hum's begin."""
    asked = list(windows_at_tempos(hum))
    if not asked or not len(melodies.track_ids):
        return []
    windows = np.concatenate([windows for _, windows, _ in asked]).astype(np.float32)
    if not len(windows):
        return []
    tempos = np.concatenate([np.full(len(starts), tempo) for tempo, _, starts in asked])
    begins = np.concatenate([starts for _, _, starts in asked])
    nearest, which = _nearest(windows, melodies.windows)
    least = np.minimum.reduceat(nearest, melodies.firsts[:-1])
    allowed = np.ones(len(least), np.bool_) if among is None else np.isin(melodies.track_ids, among, assume_unique=True)
    places = np.flatnonzero(allowed)
    best = places[np.argsort(least[places], kind="stable")[:CANDIDATES]]
    candidates = []
    for place in best.tolist():
        first, end = melodies.firsts[place : place + 2]
        window = int(first + nearest[first:end].argmin())
        track_id, row = int(melodies.track_ids[place]), int(which[window])
        start = int(melodies.stored[track_id].starts[window - first])
        candidates.append((track_id, float(tempos[row]), start, int(begins[row])))
    return candidates


def _nearest(asked: NDArray[np.float32], windows: NDArray[np.int8]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Of every window, how far the nearest that is asked for is (squared), and which it is."""
    nearest, which = np.empty(len(windows), np.float32), np.empty(len(windows), np.int32)
    halves = 0.5 * np.einsum("ij,ij->i", asked, asked)
    for first in range(0, len(windows), _ROWS):
        some = windows[first : first + _ROWS].astype(np.float32)
        less = halves - some @ asked.T
        rows = less.argmin(axis=1)
        which[first : first + _ROWS] = rows
        nearest[first : first + _ROWS] = 2 * less[np.arange(len(some)), rows] + np.einsum("ij,ij->i", some, some)
    return nearest, which


def _laid(hum: Contour, melodies: Melodies, track_id: int, tempo: float, start: int, begin: int) -> Found:
    """The hum, laid upon a track about where two windows are alike."""
    pitches = melodies.stored[track_id].pitches
    length = max(2, round(len(hum.pitches) * tempo))
    at = np.minimum((np.arange(length) / tempo).astype(np.int64), len(hum.pitches) - 1)
    line, weights = hum.pitches[at], np.where(hum.voiced[at], 1, _REST).astype(np.float32)
    around = round(_AROUND_S * RATE)
    first = max(0, start - round(begin * tempo) - around)
    stretch = pitches[first : first + length + 2 * around]
    window = pitches[start : start + round(length / 2)]
    beside = hum.pitches[begin : begin + round(len(window) / tempo)]
    fit = fitted(line, weights, stretch, float(np.median(window) - np.median(beside)))
    played = max(1, fit.end - fit.start)
    return Found(
        track_id,
        1 - fit.cost,
        ((first + fit.start) / RATE, (first + fit.end) / RATE),
        fit.transposition,
        played / max(1, len(hum.pitches)),
    )
