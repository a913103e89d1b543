"""What a track sounds like ten times a second, and from beat to beat: cheap, for finding what could follow what.

Chroma, shape of the spectrum and loudness, each in a unit of its own, put into one vector a step so that the squared
distance of two steps is the weighted sum of theirs: ``1 − cos`` of the chroma, and squares of tens of decibels.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft
from scipy.signal import get_window

from encoders.errors import ShapeError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from encoders.analysis.findings import Rhythm

SAMPLE_RATE = 22_050
HOP_S = 0.1
STEP_S = 0.5
"""What stands for a beat where there is none."""
SILENCE_DB = -70.0
"""Power of a frame, relative to full scale, below which nothing is heard."""

_HOP, _N_FFT = round(HOP_S * SAMPLE_RATE), 4096
_FRAMES_AT_ONCE = 256
_N_BANDS = 24
_LOWEST_HZ, _HIGHEST_HZ = 40.0, 10_000.0
_LOWEST_NOTE_HZ, _HIGHEST_NOTE_HZ = 110.0, 2_100.0
_WEIGHTS = {"chroma": 1.0, "timbre": 1.0, "loudness": 0.5}
_SHORTEST_STEP_S = 0.2
_EDGE_S = 0.02  # a beat that is no further from the start or the end is no point beside it


@dataclass(frozen=True, eq=False)
class Sound:
    """How a track sounds; frame n is about ``n · HOP_S``.

    Attributes
    ----------
    chroma : float32 [frames, 12], magnitude of each pitch class, C first
    bands_db : float32 [frames, 24], power in bands of equal width on the mel scale
    loudness_db : float32 [frames], power of all of them
    duration_s : of the waveform
    """

    chroma: NDArray[np.float32]
    bands_db: NDArray[np.float32]
    loudness_db: NDArray[np.float32]
    duration_s: float

    @property
    def is_silent(self) -> bool:
        """Whether nothing is heard anywhere."""
        return bool(self.loudness_db.max(initial=-np.inf) < SILENCE_DB)


@dataclass(frozen=True, eq=False)
class Grid:
    """Where a track may be cut: its beats, or where it has none, steps of :data:`STEP_S`.

    Attributes
    ----------
    times_s : float64 [n + 1], ascending from 0 to the end of the track
    positions : int64 [n + 1], of each in its bar, as in a rhythm; 0 for the start and the end where these are no beats.
        Without beats all are 1
    has_beats : whether these are beats
    """

    times_s: NDArray[np.float64]
    positions: NDArray[np.int64]
    has_beats: bool


@dataclass(frozen=True, eq=False)
class Steps:
    """How a track sounds between the points of a grid, float32 [n, …]: vectors whose squared distances add up."""

    chroma: NDArray[np.float32]
    timbre: NDArray[np.float32]
    loudness: NDArray[np.float32]

    @property
    def parts(self) -> dict[str, NDArray[np.float32]]:
        """The parts by name."""
        return {"chroma": self.chroma, "timbre": self.timbre, "loudness": self.loudness}

    @property
    def vectors(self) -> NDArray[np.float32]:
        """All parts side by side."""
        return np.concatenate(list(self.parts.values()), axis=1)


def sound_of(waveform: NDArray[np.float32]) -> Sound:
    """Hear a waveform, float32 [samples] at 22,050 Hz.

    Raises
    ------
    ShapeError
        If it is not mono.
    """
    if waveform.ndim != 1:
        raise ShapeError(f"a mono waveform has shape [samples], not {list(waveform.shape)}")
    frames = len(waveform) // _HOP + 1
    padded = np.pad(waveform, (_N_FFT // 2, _N_FFT))
    windows = sliding_window_view(padded, _N_FFT)[::_HOP][:frames]
    chroma, bands = np.empty((frames, 12), np.float32), np.empty((frames, _N_BANDS), np.float32)
    loudness = np.empty(frames, np.float32)
    window = get_window("hann", _N_FFT).astype(np.float32)
    to_power = np.float32(2 / (window.sum() ** 2))
    for start in range(0, frames, _FRAMES_AT_ONCE):
        part = slice(start, start + _FRAMES_AT_ONCE)
        spectrum = fft.rfft(windows[part] * window)
        power = (spectrum.real**2 + spectrum.imag**2) * to_power
        loudness[part] = power.sum(axis=1)
        bands[part] = power @ _mel_bands()
        chroma[part] = np.sqrt(power[:, _notes()]) @ _pitch_classes()
    return Sound(chroma, _decibels(bands), _decibels(loudness), len(waveform) / SAMPLE_RATE)


def grid_of(rhythm: Rhythm, duration_s: float) -> Grid:
    """Beats, with the start and the end of the track; equal steps where there are fewer than eight beats.

    Beats go on into what is before the first and behind the last of them, where that is longer than a beat.
    """
    beats = np.asarray(rhythm.beats_s, np.float64)
    within = (beats > _EDGE_S) & (beats < duration_s - _EDGE_S)
    beats, positions = beats[within], np.asarray(rhythm.positions, np.int64)[within]
    apart = np.diff(beats, prepend=-np.inf) >= _SHORTEST_STEP_S
    if np.count_nonzero(apart) >= 8:
        beats, positions = _continued(beats[apart], positions[apart], rhythm.meter or 4, duration_s)
        edge = np.zeros(1, np.int64)
        return Grid(np.r_[0.0, beats, duration_s], np.r_[edge, positions, edge], has_beats=True)
    steps = max(1, round(duration_s / STEP_S))
    return Grid(np.linspace(0, duration_s, steps + 1), np.ones(steps + 1, np.int64), has_beats=False)


def _continued(
    beats: NDArray[np.float64], positions: NDArray[np.int64], meter: int, duration_s: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Beats and their positions, continued to both ends of the track at the tempo that they have there."""
    first_s, last_s = float(np.median(np.diff(beats[:8]))), float(np.median(np.diff(beats[-8:])))
    before = np.arange(int(beats[0] / first_s), 0, -1)
    behind = np.arange(1, int((duration_s - beats[-1]) / last_s) + 1)
    times_s = np.concatenate([beats[0] - before * first_s, beats, beats[-1] + behind * last_s])
    counted = [(positions[0] - 1 - before) % meter + 1, positions, (positions[-1] - 1 + behind) % meter + 1]
    within = (times_s > _EDGE_S) & (times_s < duration_s - _EDGE_S)
    return times_s[within], np.concatenate(counted)[within]


def steps_of(sound: Sound, grid: Grid) -> Steps:
    """Average a sound between the points of a grid."""
    last = len(sound.chroma) - 1
    # A frame belongs to the step that its middle lies in; a step shorter than a hop takes the nearest frame.
    edges = np.ceil(grid.times_s / HOP_S).astype(np.int64).clip(0, last)
    starts, ends = edges[:-1], np.maximum(edges[1:], edges[:-1] + 1)
    lengths = (ends - starts)[:, None]

    def mean(values: NDArray[np.float32]) -> NDArray[np.float64]:
        sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0, dtype=np.float64)])
        return np.asarray((sums[ends] - sums[starts]) / lengths)

    chroma = mean(sound.chroma)
    chroma /= np.linalg.norm(chroma, axis=1, keepdims=True) + 1e-4
    floor_db = max(SILENCE_DB, float(sound.loudness_db.max()) - 60)
    loudness = mean(np.maximum(sound.loudness_db, floor_db)[:, None])
    bands = mean(np.maximum(sound.bands_db, floor_db - 10))
    shape = bands - bands.mean(axis=1, keepdims=True)
    return Steps(
        (chroma * np.sqrt(_WEIGHTS["chroma"] / 2)).astype(np.float32),
        (shape / 10 * np.sqrt(_WEIGHTS["timbre"] / _N_BANDS)).astype(np.float32),
        (loudness / 10 * np.sqrt(_WEIGHTS["loudness"])).astype(np.float32),
    )


def flux_at(sound: Sound, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """How much louder the bands get at these times, float64 [n] in dB: mean over the bands of what rises."""
    last = len(sound.bands_db) - 1
    floored = np.maximum(sound.bands_db, float(sound.loudness_db.max(initial=SILENCE_DB)) - 60)
    before = floored[np.floor(times_s / HOP_S - 0.5).astype(np.int64).clip(0, last)]
    after = floored[np.ceil(times_s / HOP_S + 0.5).astype(np.int64).clip(0, last)]
    return np.asarray(np.maximum(after - before, 0).mean(axis=1, dtype=np.float64))


def _decibels(power: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(10 * np.log10(power + np.float32(1e-10)), np.float32)


@cache
def _frequencies_hz() -> NDArray[np.float64]:
    return np.arange(_N_FFT // 2 + 1) * SAMPLE_RATE / _N_FFT


@cache
def _notes() -> slice:
    """Bins of the notes that chroma is made of."""
    first, last = np.searchsorted(_frequencies_hz(), (_LOWEST_NOTE_HZ, _HIGHEST_NOTE_HZ))
    return slice(int(first), int(last))


@cache
def _pitch_classes() -> NDArray[np.float32]:
    """Weight of each bin of :func:`_notes` for each pitch class, float32 [bins, 12]: a triangle of a semitone."""
    semitones = 69 + 12 * np.log2(_frequencies_hz()[_notes()] / 440)
    away = np.abs((semitones[:, None] - np.arange(12) + 6) % 12 - 6)
    return np.asarray(np.maximum(0, 1 - away), np.float32)


@cache
def _mel_bands() -> NDArray[np.float32]:
    """Triangles of equal width on the mel scale, float32 [bins, bands]."""

    def mel(hz: float) -> float:
        return float(np.log1p(hz / 700))

    centres = 700 * np.expm1(np.linspace(mel(_LOWEST_HZ), mel(_HIGHEST_HZ), _N_BANDS + 2))
    hz = _frequencies_hz()[:, None]
    rising = (hz - centres[:-2]) / (centres[1:-1] - centres[:-2])
    falling = (centres[2:] - hz) / (centres[2:] - centres[1:-1])
    return np.asarray(np.maximum(0, np.minimum(rising, falling)), np.float32)
