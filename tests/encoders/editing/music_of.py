"""Music whose beats, bars and repeats are known, because it was put together here."""

import numpy as np
from numpy.typing import NDArray

from encoders.analysis.findings import Rhythm

NO_BEATS = Rhythm(None, np.empty(0), np.empty(0, np.int64), None, 0.0)
CHORDS = ((60, 64, 67), (65, 69, 72), (67, 71, 74), (57, 60, 64))


def rhythm_of(duration_s: float, *, bpm: float = 120.0, meter: int = 4) -> Rhythm:
    """Beats from the start of the track on, the first a downbeat."""
    beats_s = np.arange(0.0, duration_s - 1e-6, 60 / bpm)
    return Rhythm(bpm, beats_s, np.arange(len(beats_s)) % meter + 1, meter, 0.9)


def bars(
    duration_s: float, rate: int, *, bpm: float = 120.0, meter: int = 4, seed: int = 1, noise: float = 0.02
) -> NDArray[np.float32]:
    """A chord a bar, a decaying burst at every beat and a louder one at the first, float32 [samples]."""
    rng = np.random.default_rng(seed)
    samples = round(duration_s * rate)
    time_s = np.arange(samples) / rate
    beat = np.floor(time_s * bpm / 60).astype(int)
    since_s = time_s - beat * 60 / bpm
    music = np.zeros(samples)
    for number, chord in enumerate(CHORDS):
        there = (beat // meter) % len(CHORDS) == number
        music[there] += sum(np.sin(2 * np.pi * 440 * 2 ** ((note - 69) / 12) * time_s[there]) for note in chord) / 3
    burst = rng.standard_normal(samples) * np.exp(-since_s * 40) * np.where(beat % meter == 0, 0.5, 0.2)
    return (0.3 * music * np.exp(-since_s) + burst * 0.5 + noise * rng.standard_normal(samples)).astype(np.float32)
