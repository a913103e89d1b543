"""One octave of tempo for a whole track: half and double tempo fit nearly as well as the right one.

What is heard at a half of the usual tempo, or at twice that, in parts of a track, is told at the usual one as well.
A track is told at half its tempo where what is heard says that its beats and bars are twice as long as those found:
every other beat is heard less, and so is the beginning of every other bar. All else may change, and stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import maximum_filter1d, median_filter
from scipy.special import logit

from encoders.analysis.rhythm.tempo import tempo_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from encoders.analysis.rhythm.bars import Bars

_FEWEST = 20
"""Beats that say something about all others."""
_PHRASE = 9
"""Beats, the middle one of which is as long as most of them are."""
_ALIKE = 0.12
"""Octaves; two tempi that differ by one within this are meant by one."""
_FASTER = 0.4
"""Share of a track that has to be heard at twice the usual tempo for all of it to be told so."""
_SLOWEST_BPM = 42.0
_HEARD = 5
"""Frames about a beat in which it may have been heard."""
_WINDOW = 8
"""Pairs of beats, or of bars, among which the same ones are heard less."""
_BARS_ALTERNATE = 0.5
"""Log-odds by which the beginning of every other bar is heard less, at least, where bars are twice as long: music whose
bars are not heard at all says nothing."""
_HALVED = (-7.3, 4.1, -2.7, 4.0)
"""Log-odds that a track is at half the tempo found: of none of these, of the log-odds by which every other beat is
heard less, of those of every other bar's beginning, and of the share that was found at half the tempo already. Fit to
those of songs 1 to 650 that were found at 84 beats a minute or more."""


def evened(
    bars: Bars, beats: NDArray[np.float64], downbeats: NDArray[np.float64], frame_rate: float
) -> NDArray[np.float64] | None:
    """How long beats are by one octave of tempo, or none where they are so already.

    Parameters
    ----------
    bars : as found in what was heard
    beats, downbeats : float64 [frames], probabilities that a frame is a beat at all, and that it begins a bar

    Returns
    -------
    float64 [frames], of a beat that begins there, in frames.
    """
    bpm = tempo_of(bars.frames / frame_rate)
    if bpm is None or len(bars.frames) < _FEWEST:
        return None
    gaps = np.diff(bars.frames)
    lengths = median_filter(gaps.astype(float), _PHRASE, mode="nearest")
    octaves = np.log2(lengths * bpm / (60 * frame_rate))
    slower, faster = np.abs(octaves - 1) < _ALIKE, np.abs(octaves + 1) < _ALIKE
    told = np.where(slower, 0.5, np.where(faster, 2.0, 1.0))
    if np.average(faster, weights=gaps) >= _FASTER:
        told /= 2
    elif bpm / 2 >= _SLOWEST_BPM and _halved(bars, beats, downbeats, float(np.average(slower, weights=gaps))):
        told *= 2
    if (told == 1).all():
        return None
    near = np.repeat(lengths * told, gaps)
    first = bars.frames[0]
    return np.pad(near, (first, max(0, len(beats) - first - len(near))), mode="edge")[: len(beats)]


def _halved(bars: Bars, beats: NDArray[np.float64], downbeats: NDArray[np.float64], slower: float) -> bool:
    """Whether beats and bars are twice as long as found; `slower` is the share of the track where they are so."""
    frames, positions = bars.frames[bars.frames < len(beats)], bars.positions[bars.frames < len(beats)]
    strong, weak = _alternately(maximum_filter1d(beats, _HEARD)[frames])
    strong_bar, weak_bar = _alternately(maximum_filter1d(downbeats, _HEARD)[frames[positions == 1]])
    if strong_bar - weak_bar < _BARS_ALTERNATE:
        return False
    return float(np.dot(_HALVED, (1.0, strong - weak, weak_bar, slower))) > 0


def _alternately(heard: NDArray[np.float64]) -> tuple[float, float]:
    """Log-odds of what every other one of these is heard with, and of the others: of those more, and of those less."""
    pairs = heard[: len(heard) // 2 * 2].reshape(-1, 2)
    if not len(pairs):
        return 0.0, 0.0
    windows = np.array_split(pairs, max(1, len(pairs) // _WINDOW))
    means = np.sort([window.mean(axis=0) for window in windows], axis=1)
    weak, strong = np.average(means, axis=0, weights=[len(window) for window in windows])
    return float(logit(np.clip(strong, 0.01, 0.99))), float(logit(np.clip(weak, 0.01, 0.99)))
