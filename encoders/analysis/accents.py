"""Where a track is accented and how loud it is, moment by moment: what pictures are laid upon.

Onset strength is the mean over bands of how much a level rises (Böck, Krebs & Schedl, "Evaluating the online
capabilities of onset detection methods", ISMIR 2012: spectral flux of a filtered spectrogram in decibels).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from encoders.analysis.findings import Accents
from encoders.models.music.spectra import ONSET_RATE, PITCH_RATE, SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from encoders.models.music.spectra import Listener

VERSION = "accents-1"
"""Another way to hear them needs another name, so that tracks are listened to again."""
RATE = PITCH_RATE
"""Values a second."""
_AT_ONCE = ONSET_RATE // RATE
_SILENT, _LOUDEST = -1.0, 1.0
"""Levels, as spectra are scaled, at which loudness is 0 and 1."""


class AccentTracker:
    """Hears accents in spectra that others hear as well; safe to share between threads."""

    version = VERSION
    sample_rate = SAMPLE_RATE

    def __init__(self, listener: Listener) -> None:
        self._listener = listener

    def track(self, waveform: NDArray[np.float32]) -> Accents:
        """Onset strength and loudness of a mono waveform, float32 [samples] at 22,050 Hz."""
        return accents_of(self._listener(waveform).onset.numpy())


def accents_of(levels: NDArray[np.float32]) -> Accents:
    """Onset strength and loudness of an onset spectrogram, float32 [bands, frames at 50 Hz]."""
    steps = levels.shape[1] // _AT_ONCE
    rises = np.maximum(np.diff(levels, axis=1, prepend=levels[:, :1]), 0).mean(axis=0)
    onsets = rises[: steps * _AT_ONCE].reshape(steps, _AT_ONCE).max(axis=1)
    level = levels.mean(axis=0)[: steps * _AT_ONCE].reshape(steps, _AT_ONCE).mean(axis=1)
    loudness = (level - _SILENT) / (_LOUDEST - _SILENT)
    return Accents(RATE, np.clip(onsets, 0, 1).astype(np.float32), np.clip(loudness, 0, 1).astype(np.float32))
