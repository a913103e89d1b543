"""A voice without words: a melody sung on vowels, with the glides, the vibrato and the breath that samples lack.

A saw at the pitch of the melody passes formants that move from vowel to vowel (source and filter: Fant, "Acoustic
theory of speech production", 1960; formants of sung vowels as in Csound's tables). It is a stand-in for a singer, with
a truth to the cent; no person sounds so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import istft, stft

if TYPE_CHECKING:
    from numpy.typing import NDArray

STEP_S = 0.01
_VOWELS_HZ = np.array(
    [
        [700, 1150, 2700, 3400, 4600],
        [450, 1900, 2650, 3400, 4600],
        [290, 2000, 2800, 3400, 4600],
        [420, 820, 2650, 3300, 4600],
        [340, 640, 2600, 3300, 4600],
    ],
    np.float64,
)
_LEVELS_DB = np.array([0.0, -9.0, -16.0, -20.0, -32.0])
_BANDWIDTHS_HZ = np.array([70.0, 90.0, 120.0, 150.0, 220.0])
_WINDOW = 1024


def pitches(notes_s: NDArray[np.float64], steps: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The pitch that is sung, MIDI numbers with cents, float64 [steps of 10 ms]; NaN where nobody sings.

    Parameters
    ----------
    notes_s : float64 [notes, 4], start and end in seconds, MIDI number, velocity; one at a time
    """
    written = np.full(steps, np.nan)
    for start, end, pitch, _ in notes_s:
        written[round(start / STEP_S) : max(round(start / STEP_S) + 4, round(end / STEP_S))] = pitch
    voiced = ~np.isnan(written)
    if not voiced.any():
        return written
    held = np.interp(np.arange(steps), np.flatnonzero(voiced), written[voiced])
    glide = gaussian_filter1d(held, rng.uniform(1.0, 4.0))
    # Vibrato sets in where a note is held.
    changes = np.abs(np.diff(held, prepend=held[0])) > 0.5
    since = np.arange(steps) - np.maximum.accumulate(np.where(changes, np.arange(steps), 0))
    depth = rng.uniform(0.0, 0.6) * np.clip((since - 20) / 30, 0, 1)
    rate_hz = rng.uniform(4.5, 6.5) * (1 + 0.05 * gaussian_filter1d(rng.standard_normal(steps), 50) * 10)
    vibrato = depth * np.sin(2 * np.pi * np.cumsum(rate_hz) * STEP_S)
    drift = gaussian_filter1d(rng.standard_normal(steps), 25) * rng.uniform(0.2, 1.0)
    sung: NDArray[np.float64] = glide + vibrato + drift
    sung[~voiced] = np.nan
    return sung


def sing(
    sung: NDArray[np.float64], loudness: NDArray[np.float64], sample_rate: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Pitches and loudness (0 … 1), float64 [steps of 10 ms] → waveform float32 [samples], peak 1."""
    voiced = ~np.isnan(sung)
    n_samples = round(len(sung) * STEP_S * sample_rate)
    if not voiced.any():
        return np.zeros(n_samples, np.float32)
    steps = np.arange(len(sung))
    at = np.arange(n_samples) / (STEP_S * sample_rate)
    f0 = np.interp(at, steps[voiced], 440 * 2 ** ((sung[voiced] - 69) / 12))
    phase = np.cumsum(f0 / sample_rate)
    saw = 2 * (phase % 1) - 1
    amplitude = np.interp(at, steps, gaussian_filter1d(np.where(voiced, loudness, 0.0), 1.5))
    breath = rng.standard_normal(n_samples) * rng.uniform(0.01, 0.12)
    # Consonants: noise where notes begin.
    begins = np.flatnonzero(voiced & ~np.roll(voiced, 1) | (np.abs(np.diff(sung, prepend=sung[0])) > 0.7))
    strikes = np.zeros(len(sung))
    strikes[begins[rng.random(len(begins)) < 0.5]] = rng.uniform(0.3, 1.2)
    consonants = rng.standard_normal(n_samples) * np.interp(at, steps, gaussian_filter1d(strikes, 1.5))
    _, _, spectrum = stft(amplitude * (saw + breath), sample_rate, nperseg=_WINDOW)
    frames = spectrum.shape[1]
    voiced_through = spectrum * _formants(frames, sample_rate, begins, rng)
    _, waveform = istft(voiced_through, sample_rate, nperseg=_WINDOW)
    waveform = waveform[:n_samples] + 0.03 * consonants[: len(waveform[:n_samples])] * np.abs(waveform).max()
    waveform = np.pad(waveform, (0, n_samples - len(waveform)))
    result: NDArray[np.float32] = (waveform / (np.abs(waveform).max() + 1e-9)).astype(np.float32)
    return result


def _formants(
    frames: int, sample_rate: int, begins: NDArray[np.int64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """Gains float64 [bins, frames] of vowels that change with the notes."""
    size = rng.uniform(0.88, 1.18)  # of the singer
    hop_steps = _WINDOW / 2 / sample_rate / STEP_S
    bins_hz = np.linspace(0, sample_rate / 2, _WINDOW // 2 + 1)
    vowels = rng.integers(len(_VOWELS_HZ), size=len(begins) + 1)
    note = np.searchsorted(begins, np.arange(frames) * hop_steps, side="right")
    tracks = gaussian_filter1d(_VOWELS_HZ[vowels[note]] * size, 2, axis=0)
    gains = np.zeros((len(bins_hz), frames))
    for number, (level_db, width) in enumerate(zip(_LEVELS_DB, _BANDWIDTHS_HZ, strict=True)):
        gains += 10 ** (level_db / 20) / (1 + ((bins_hz[:, None] - tracks[None, :, number]) / width) ** 2)
    return gains + 0.002
