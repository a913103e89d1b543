"""Sections by others, none of which learnt anything: they tell boundaries and which sections are alike, no functions.

- Foote, "Automatic audio segmentation using a measure of audio novelty", 2000: a checkerboard kernel along the diagonal
  of the self-similarity of beats; sections are alike by clustering their means (as many groups as half the sections)
- Laplacian: McFee and Ellis, "Analyzing song structure with spectral clustering", ISMIR 2014: repetition in harmony
  linked with continuity in timbre, k groups from the first k eigenvectors of the graph's Laplacian. The number of
  groups is that which spreads the track most evenly over its groups for their number (their §3.4: the entropy of the
  labels, here over log k)

Both stand on librosa's beats, and on constant-Q spectra (for harmony) and MFCC (for timbre) between them.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
import scipy.linalg
import scipy.ndimage
from scipy.signal import find_peaks
from sklearn.cluster import AgglomerativeClustering, KMeans

from benchmarks.music.songs import Music, Part
from benchmarks.music.systems.system import SAMPLE_RATE, System

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

KERNEL_BEATS = 32
_GROUPS = range(3, 9)
_SHORTEST = 8  # beats
_BINS, _BINS_AN_OCTAVE, _MFCC = 84, 12, 13
_SMOOTHING = 9


@dataclass(frozen=True, eq=False)
class Beatwise:
    """A track between its beats: bounds float64 [n + 1] in seconds, harmony [84, n] in dB, timbre [13, n]."""

    bounds_s: NDArray[np.float64]
    harmony: NDArray[np.float32]
    timbre: NDArray[np.float32]


def systems() -> list[System]:
    """Both of them.

    Raises
    ------
    ModuleNotFoundError
        If the extra `music-peers` is not installed.
    """
    told = frozenset({"parts"})
    used = version("librosa")
    return [
        System("Foote", used, told, lambda waveform: Music(parts=foote(beatwise(waveform)))),
        System("Laplacian", used, told, lambda waveform: Music(parts=laplacian(beatwise(waveform)))),
    ]


def beatwise(waveform: NDArray[np.float32]) -> Beatwise:
    """A track between librosa's beats, or every half second where it finds none."""
    import librosa

    length_s = len(waveform) / SAMPLE_RATE
    _, frames = librosa.beat.beat_track(y=waveform, sr=SAMPLE_RATE, trim=False)
    if len(frames) < 2 * _SHORTEST:
        frames = librosa.time_to_frames(np.arange(0.5, length_s, 0.5), sr=SAMPLE_RATE)
    constant_q = np.abs(librosa.cqt(waveform, sr=SAMPLE_RATE, n_bins=_BINS, bins_per_octave=_BINS_AN_OCTAVE))
    harmony = librosa.amplitude_to_db(constant_q, ref=np.max)
    timbre = librosa.feature.mfcc(y=waveform, sr=SAMPLE_RATE, n_mfcc=_MFCC)
    frames = librosa.util.fix_frames(frames, x_min=0, x_max=harmony.shape[1] - 1)
    bounds_s = np.append(librosa.frames_to_time(frames[:-1], sr=SAMPLE_RATE), length_s)
    return Beatwise(
        bounds_s,
        librosa.util.sync(harmony, frames, aggregate=np.median, pad=False),
        librosa.util.sync(timbre, frames, aggregate=np.mean, pad=False),
    )


def foote(track: Beatwise) -> tuple[Part, ...]:
    """Sections between the peaks of novelty."""
    features = np.vstack([_standard(track.harmony), _standard(track.timbre)])
    curve = novelty(features)
    peaks, _ = find_peaks(curve, height=curve.mean() + curve.std() / 2, distance=_SHORTEST)
    bounds = [0, *peaks.tolist(), features.shape[1]]
    means = np.stack([features[:, start:stop].mean(axis=1) for start, stop in pairwise(bounds)])
    groups = max(2, len(means) // 2)
    letters = AgglomerativeClustering(groups).fit_predict(means) if len(means) > groups else range(len(means))
    return _parts(track.bounds_s, bounds, list(letters))


def novelty(features: NDArray[np.floating]) -> NDArray[np.float64]:
    """How like a checkerboard the self-similarity (cosine) of features [d, n] is around each column, float64 [n]."""
    unit = features / np.maximum(np.linalg.norm(features, axis=0), 1e-9)
    half = KERNEL_BEATS // 2
    offsets = np.arange(-half, half) + 0.5
    kernel = np.outer(np.sign(offsets), np.sign(offsets)) * np.exp(
        -2 * (offsets[:, None] ** 2 + offsets[None] ** 2) / half**2
    )
    similarity = np.pad(unit.T @ unit, half, mode="edge")
    curve = [(similarity[n : n + 2 * half, n : n + 2 * half] * kernel).sum() for n in range(features.shape[1])]
    return np.maximum(np.array(curve), 0)


def laplacian(track: Beatwise) -> tuple[Part, ...]:
    """Sections by spectral clustering of beats."""
    import librosa

    n = track.harmony.shape[1]
    repeated = librosa.segment.recurrence_matrix(track.harmony, width=3, mode="affinity", sym=True)
    filtered = librosa.segment.timelag_filter(scipy.ndimage.median_filter)(repeated, size=(1, 7))
    steps = np.sum(np.diff(track.timbre, axis=1) ** 2, axis=0)
    path = np.exp(-steps / max(float(np.median(steps)), 1e-9))
    going_on = np.diag(path, k=1) + np.diag(path, k=-1)
    along, back = going_on.sum(axis=1), filtered.sum(axis=1)
    balance = along.dot(along + back) / np.sum((along + back) ** 2)
    graph = balance * filtered + (1 - balance) * going_on
    _, vectors = scipy.linalg.eigh(
        scipy.sparse.csgraph.laplacian(graph, normed=True), subset_by_index=(0, max(_GROUPS))
    )
    vectors = scipy.ndimage.median_filter(vectors, size=(_SMOOTHING, 1))
    norms = np.cumsum(vectors**2, axis=1) ** 0.5
    best: tuple[float, list[int]] = (-1.0, [0] * n)
    for k in _GROUPS:
        letters = KMeans(k, n_init=10, random_state=0).fit_predict(vectors[:, :k] / (norms[:, k - 1 : k] + 1e-9))
        shares = np.bincount(letters, minlength=k) / n
        evenness = float(-(shares[shares > 0] * np.log(shares[shares > 0])).sum() / np.log(k))
        if evenness > best[0]:
            best = (evenness, letters.tolist())
    letters_by_beat = best[1]
    bounds = [0, *(i for i in range(1, n) if letters_by_beat[i] != letters_by_beat[i - 1]), n]
    return _parts(track.bounds_s, bounds, [letters_by_beat[start] for start in bounds[:-1]])


def _standard(features: NDArray[np.floating]) -> NDArray[np.floating]:
    centred = features - features.mean(axis=1, keepdims=True)
    return centred / (np.sqrt(len(features)) * np.maximum(features.std(axis=1, keepdims=True), 1e-6))


def _parts(bounds_s: NDArray[np.float64], bounds: Sequence[int], letters: Sequence[int]) -> tuple[Part, ...]:
    return tuple(
        Part(float(bounds_s[start]), float(bounds_s[stop]), None, f"{letter}")
        for (start, stop), letter in zip(pairwise(bounds), letters, strict=True)
    )
