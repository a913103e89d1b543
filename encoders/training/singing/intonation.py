"""The pitch of a singer over the notes: portamento, overshoot, vibrato, drift, and notes not quite in tune.

Curves are in MIDI numbers (semitones), a value a frame of 5 ms.

Saitou et al., "Speech-to-singing synthesis: converting speaking voices to singing voices by controlling acoustic
features unique to singing voices", WASPAA 2007 (overshoot, vibrato, preparation, fine fluctuation).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from encoders.training.singing.world import FRAME_S

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_SHORTEST_WITH_VIBRATO_S = 0.35
_RAMP_S = 0.25
_CENT = 0.01
_BREATH = round(0.2 / FRAME_S)  # a longer gap than this begins a phrase


@dataclass(frozen=True)
class SungNote:
    """A note as it is sung: frames [start, end) and MIDI number."""

    start: int
    end: int
    pitch: float


@dataclass(frozen=True)
class Intonation:
    """How a singer moves between and on the notes.

    Glides in Hz of the step's natural frequency and its damping (below 1 it overshoots); vibrato in Hz, cents to either
    side, and seconds of delay; drift and mistuning as standard deviations in cents; the share of phrases that are
    scooped into from below.
    """

    glide_hz: float
    damping: float
    vibrato_hz: float
    vibrato_cents: float
    vibrato_delay_s: float
    drift_cents: float
    mistuning_cents: float
    scoops: float


def draw_intonation(rng: np.random.Generator) -> Intonation:
    """A singer; every sixth has no vibrato."""
    return Intonation(
        glide_hz=rng.uniform(4.5, 9),
        damping=rng.uniform(0.65, 1),
        vibrato_hz=rng.uniform(5, 6.5),
        vibrato_cents=0.0 if rng.random() < 1 / 6 else rng.uniform(20, 60),
        vibrato_delay_s=rng.uniform(0.1, 0.3),
        drift_cents=rng.uniform(2, 8),
        mistuning_cents=rng.uniform(3, 12),
        scoops=rng.uniform(0, 0.5),
    )


def pitch_curve(
    notes: Sequence[SungNote], frames: int, intonation: Intonation, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What is sung of the notes.

    Parameters
    ----------
    notes : in order, at least one
    frames : length of the curves

    Returns
    -------
    Pitch in MIDI numbers and the vibrato in it in semitones, float64 [frames] both.
    """
    # The voice sets off before the vowel begins, so as to be there when it does: by the delay of the glide.
    ahead = round(2 * intonation.damping / (2 * np.pi * intonation.glide_hz) / FRAME_S)
    steps = np.full(frames, notes[0].pitch)
    last_end = -2 * _BREATH
    for note in notes:
        start = max(0, note.start - ahead)
        steps[start:] = note.pitch + intonation.mistuning_cents * _CENT * rng.standard_normal()
        if note.start - last_end > _BREATH and rng.random() < intonation.scoops:
            steps[start : note.start + round(0.03 / FRAME_S)] -= rng.uniform(0.5, 2)
        last_end = note.end
    vibrato = _vibrato(notes, frames, intonation, rng)
    drift = gaussian_filter1d(rng.standard_normal(frames), 0.1 / FRAME_S, mode="wrap")
    drift *= intonation.drift_cents * _CENT / max(1e-9, float(drift.std()))
    return _glided(steps, intonation) + vibrato + drift, vibrato


def _glided(steps: NDArray[np.float64], intonation: Intonation) -> NDArray[np.float64]:
    """Response of a damped second-order system to steps, by the bilinear transform."""
    omega = 2 * np.tan(np.pi * intonation.glide_hz * FRAME_S)
    around, square = 4 * intonation.damping * omega, omega**2
    denominator = [4 + around + square, 2 * square - 8, 4 - around + square]
    moved = lfilter([square, 2 * square, square], denominator, steps - steps[0])
    glided: NDArray[np.float64] = steps[0] + np.asarray(moved, np.float64)
    return glided


def _vibrato(
    notes: Sequence[SungNote], frames: int, intonation: Intonation, rng: np.random.Generator
) -> NDArray[np.float64]:
    wobble: NDArray[np.float64] = gaussian_filter1d(rng.standard_normal(frames), 0.2 / FRAME_S, mode="wrap")
    wobble /= max(1e-9, float(wobble.std()))
    phase = 2 * np.pi * np.cumsum(intonation.vibrato_hz * (1 + 0.04 * wobble)) * FRAME_S
    extent = np.zeros(frames)
    for note in notes:
        length_s = (note.end - note.start) * FRAME_S
        if length_s >= _SHORTEST_WITH_VIBRATO_S:
            times = np.arange(note.end - note.start) * FRAME_S
            ramp = np.clip((times - intonation.vibrato_delay_s) / _RAMP_S, 0, 1)
            extent[note.start : note.end] = ramp * np.clip((length_s - times) / 0.08, 0, 1) * rng.uniform(0.6, 1.2)
    return np.asarray(intonation.vibrato_cents * _CENT * extent * np.sin(phase), np.float64)
