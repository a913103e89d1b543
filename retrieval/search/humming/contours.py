"""A melody as it is compared: a line without rests at equal steps, and windows of it that know no key.

A window is some seconds of a melody, brought to a few numbers less their median, so that a transposed one is the same,
and one note more or less changes no other. Those of a track have one length; those of a hum have several, each of which
stands for a tempo.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import median_filter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

RATE = 12.5
"""Steps a second of a contour."""
WINDOW_S = 4.8
"""Of a track's melody that a window holds."""
POINTS = 24
"""Numbers of a window."""
HOP = 5
"""Steps from one window of a track to the next."""
TEMPOS = tuple(float(ratio) for ratio in 2.0 ** np.linspace(-0.6, 0.6, 9))
"""A hum's tempo over the track's that are tried: two thirds to one and a half."""
QUARTER = 4
"""Numbers of a window are quarters of a semitone."""
_SMOOTHED = 3
_VOICED = 0.4
"""Share of some window in which something must be heard, for there to be a melody at all."""
ASKED_EVERY = 3
"""Of a hum's windows one begins so many of a track's later than the one before."""


@dataclass(frozen=True, eq=False)
class Contour:
    """A melody at :data:`RATE` steps a second.

    Attributes
    ----------
    pitches : float32 [steps], MIDI numbers; through rests the pitch before them goes on
    voiced : bool [steps], where something is heard
    """

    pitches: NDArray[np.float32]
    voiced: NDArray[np.bool_]


def contour_of(pitches: NDArray[np.float32], step_s: float) -> Contour:
    """The contour of a melody, float32 [steps], MIDI numbers or NaN."""
    steps = int(len(pitches) * step_s * RATE)
    at = np.minimum(np.rint(np.arange(steps) / RATE / step_s).astype(np.int64), len(pitches) - 1)
    taken = pitches[at] if steps else np.empty(0, np.float32)
    voiced = ~np.isnan(taken)
    if not voiced.any():
        return Contour(np.zeros(steps, np.float32), voiced)
    last = np.maximum.accumulate(np.where(voiced, np.arange(steps), 0))
    held = taken[np.where(voiced[last], last, np.flatnonzero(voiced)[0])]
    return Contour(median_filter(held, _SMOOTHED, mode="nearest").astype(np.float32), voiced)


def windows_of(contour: Contour) -> NDArray[np.int8]:
    """Windows of a track's melody, one every :data:`HOP`, int8 [n, 24], quarters of a semitone about their median."""
    return _cut(contour, WINDOW_S, HOP)


def windows_at_tempos(contour: Contour) -> Iterator[tuple[float, NDArray[np.int8]]]:
    """Of a hum: each tempo and its windows; a short hum has no slow ones."""
    for tempo in TEMPOS:
        windows = _cut(contour, WINDOW_S / tempo, ASKED_EVERY * HOP / tempo)
        if len(windows):
            yield tempo, windows


def _cut(contour: Contour, length_s: float, hop: float) -> NDArray[np.int8]:
    length = round(length_s * RATE)
    starts = np.arange(0, len(contour.pitches) - length + 1, hop).astype(np.int64)
    at = (starts[:, None] + (np.arange(POINTS) + 0.5) * length / POINTS).astype(np.int64)
    if not len(starts) or contour.voiced[at].mean(axis=1).max() < _VOICED:
        return np.empty((0, POINTS), np.int8)
    cut = contour.pitches[at]
    about = QUARTER * (cut - np.median(cut, axis=1, keepdims=True))
    windows: NDArray[np.int8] = np.clip(np.rint(about), -127, 127).astype(np.int8)
    return windows
