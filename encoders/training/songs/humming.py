"""Melodies that somebody hums, sings or whistles alone, as a telephone records them.

To learn from, and to ask with: :data:`TAUGHT` and :data:`UNTAUGHT` share no throat, no room's noise and no telephone.
Sung vowels are those of :mod:`encoders.training.songs.playing.singer`; a hum is a saw through the few resonances of a
closed mouth, the lowest of which is by far the loudest; a whistle is a sine with breath, one or two octaves higher.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import butter, sosfilt

from encoders.training.songs.playing.singer import STEP_S, pitches, sing

if TYPE_CHECKING:
    from numpy.typing import NDArray

SAMPLE_RATE = 22_050
TIMBRES = ("vowels", "hum", "whistle")
_TIMBRE_SHARES = (0.45, 0.35, 0.2)
_LOWEST_WHISTLE = 70.0
_HIGHEST = 100.0


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """From which chance takes what a hum is recorded with; pairs are lowest and highest.

    Attributes
    ----------
    nasal_hz : the lowest resonance of a closed mouth
    noise_db : of the room, against the voice
    low_pass_hz, high_pass_hz : what the telephone lets through
    echoes : how many at most
    """

    nasal_hz: tuple[float, float]
    noise_db: tuple[float, float]
    low_pass_hz: tuple[float, float]
    high_pass_hz: tuple[float, float]
    echoes: int


TAUGHT = Circumstances(
    nasal_hz=(220, 300), noise_db=(-50, -22), low_pass_hz=(3_600, 9_000), high_pass_hz=(40, 250), echoes=4
)
UNTAUGHT = Circumstances(
    nasal_hz=(310, 380), noise_db=(-22, -16), low_pass_hz=(2_600, 3_400), high_pass_hz=(260, 350), echoes=8
)


def hummed(
    notes_s: NDArray[np.float64], circumstances: Circumstances, rng: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Notes, hummed and recorded: waveform float32 [samples] at 22,050 Hz, and what was hummed, [steps of 10 ms].

    Parameters
    ----------
    notes_s : float64 [notes, 4], start and end in seconds, MIDI number, velocity; one at a time, the first near 0
    """
    steps = round((notes_s[-1, 1] + 0.5) / STEP_S)
    hummed_pitches = pitches(notes_s, steps, rng)
    timbre = str(rng.choice(TIMBRES, p=_TIMBRE_SHARES))
    if timbre == "whistle":
        while np.nanmedian(hummed_pitches) < _LOWEST_WHISTLE + 5:
            hummed_pitches += 12
    while np.nanmax(hummed_pitches) > _HIGHEST:
        hummed_pitches -= 12
    loudness = np.full(steps, 0.7)
    for start, end, _, _ in notes_s:
        loudness[round(start / STEP_S) : round(end / STEP_S)] = rng.uniform(0.4, 1.0)
    if timbre == "vowels":
        waveform = sing(hummed_pitches, loudness, SAMPLE_RATE, rng)
    else:
        waveform = _sounded(hummed_pitches, loudness, timbre, circumstances, rng)
    return _recorded(waveform, circumstances, rng), hummed_pitches


def _sounded(
    sung: NDArray[np.float64],
    loudness: NDArray[np.float64],
    timbre: str,
    circumstances: Circumstances,
    rng: np.random.Generator,
) -> NDArray[np.float32]:
    """A hum or a whistle, float32 [samples], peak about 1."""
    voiced = ~np.isnan(sung)
    steps, n_samples = np.arange(len(sung)), round(len(sung) * STEP_S * SAMPLE_RATE)
    at = np.arange(n_samples) / (STEP_S * SAMPLE_RATE)
    f0 = np.interp(at, steps[voiced], 440 * 2 ** ((sung[voiced] - 69) / 12))
    amplitude = np.interp(at, steps, gaussian_filter1d(np.where(voiced, loudness, 0.0), rng.uniform(1.5, 4)))
    phase = np.cumsum(f0 / SAMPLE_RATE)
    breath = rng.standard_normal(n_samples) * rng.uniform(0.005, 0.05)
    if timbre == "whistle":
        waveform = amplitude * (np.sin(2 * np.pi * phase) + breath)
    else:
        nasal = rng.uniform(*circumstances.nasal_hz)
        waveform = np.zeros(n_samples)
        for number in range(1, 13):
            hz = number * f0
            gain = 1 / (1 + ((hz - nasal) / 120) ** 2) + 0.05 / (1 + ((hz - 4.2 * nasal) / 200) ** 2)
            waveform += np.sin(2 * np.pi * number * phase) * (gain + 0.002) / number**0.5 * (hz < SAMPLE_RATE / 2)
        waveform = amplitude * (waveform + breath * np.abs(waveform).max())
    result: NDArray[np.float32] = (waveform / (np.abs(waveform).max() + 1e-9)).astype(np.float32)
    return result


def _recorded(
    waveform: NDArray[np.float32], circumstances: Circumstances, rng: np.random.Generator
) -> NDArray[np.float32]:
    wet = waveform.astype(np.float64)
    for _ in range(int(rng.integers(0, circumstances.echoes + 1))):
        delay = int(rng.uniform(0.01, 0.25) * SAMPLE_RATE)
        wet[delay:] += rng.uniform(0.05, 0.3) * waveform[:-delay]
    high, low = rng.uniform(*circumstances.high_pass_hz), rng.uniform(*circumstances.low_pass_hz)
    noise = rng.standard_normal(len(wet))
    if rng.random() < 0.5:  # a room's is darker
        noise = sosfilt(butter(1, 300, "low", fs=SAMPLE_RATE, output="sos"), noise)
    level = wet.std() / (noise.std() + 1e-9) * 10 ** (rng.uniform(*circumstances.noise_db) / 20)
    heard = sosfilt(butter(2, [high, low], "band", fs=SAMPLE_RATE, output="sos"), wet + level * noise)
    result: NDArray[np.float32] = (rng.uniform(0.1, 0.9) * heard / (np.abs(heard).max() + 1e-9)).astype(np.float32)
    return result
