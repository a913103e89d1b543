"""Where the syllables of an utterance are: their vowels, which singing stretches, and the consonants between them.

No text and no language is known: a syllable's nucleus is a peak of loudness (300–4000 Hz) among voiced frames where the
spectrum stands still; its vowel is what is voiced, loud and steady around it. Frames are those of
:mod:`encoders.training.singing.world`.

Mermelstein, "Automatic segmentation of speech into syllabic units", JASA 58, 1975 (loudness and its dips).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from encoders.training.singing.world import FFT_LENGTH, FRAME_S
from encoders.training.voices.clips import SAMPLE_RATE

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from encoders.training.singing.world import Voice

_BAND_HZ = (300, 4000)
_DARK_HZ, _BRIGHT_HZ = (80, 1800), (2500, 8000)
_SMOOTHING = 0.02 / FRAME_S
_BANDS = 24
_DIP_DB = 1.5
_QUIETEST_DB = -28.0  # below the loudest nucleus: breath and noise
_CLOSEST = round(0.09 / FRAME_S)
_VOWEL_DB = -7.0  # below its nucleus a vowel has ended
_LONGEST_VOWEL = round(0.3 / FRAME_S)
_PAUSE = round(0.12 / FRAME_S)
_PAUSE_DB = -32.0


@dataclass(frozen=True)
class Syllable:
    """Frames of a syllable: ``[start, vowel)`` onset, ``[vowel, coda)`` vowel, ``[coda, end)`` coda.

    What lies between its end and the next one's start is a pause.
    """

    start: int
    vowel: int
    nucleus: int
    coda: int
    end: int


def loudness_db(voice: Voice) -> NDArray[np.float64]:
    """Loudness of every frame in dB, float64 [frames], smoothed over 20 ms."""
    smoothed: NDArray[np.float64] = gaussian_filter1d(_band_db(voice, *_BAND_HZ), _SMOOTHING)
    return smoothed


def find_syllables(voice: Voice) -> list[Syllable]:
    """Syllables of an utterance in order; none where nothing is voiced."""
    loudness = loudness_db(voice)
    # A fricative is taken for voiced now and then, but is bright.
    sounding = (voice.pitch_hz > 0) & (_band_db(voice, *_DARK_HZ) > _band_db(voice, *_BRIGHT_HZ))
    voiced = gaussian_filter1d(sounding.astype(np.float64), _SMOOTHING) > 0.5
    score = np.where(voiced, loudness - _change_db(voice), loudness.min() - 1)
    if not voiced.any():
        return []
    peaks, _ = find_peaks(np.pad(score, 1, constant_values=score.min() - 1), prominence=_DIP_DB, distance=_CLOSEST)
    nuclei = [int(peak) - 1 for peak in peaks if voiced[peak - 1]]
    loudest = max((loudness[nucleus] for nucleus in nuclei), default=0.0)
    nuclei = [nucleus for nucleus in nuclei if loudness[nucleus] > loudest + _QUIETEST_DB]
    if not nuclei:
        return []
    heard = np.flatnonzero(loudness > loudest + _PAUSE_DB)
    bounds = [(int(heard[0]), int(heard[0]))]
    for left, right in pairwise(nuclei):
        bounds.append(_boundary(loudness[left:right], left, loudest))
    bounds.append((int(heard[-1]) + 1, int(heard[-1]) + 1))
    return [
        _syllable(min(start, nucleus), nucleus, max(end, nucleus + 1), loudness, voiced)
        for nucleus, ((_, start), (end, _)) in zip(nuclei, pairwise(bounds), strict=True)
    ]


def _band_db(voice: Voice, low_hz: int, high_hz: int) -> NDArray[np.float64]:
    low, high = (round(hz * FFT_LENGTH / SAMPLE_RATE) for hz in (low_hz, high_hz))
    power: NDArray[np.float64] = np.exp(voice.log_envelope[:, low:high]).sum(axis=1)
    return 10 * np.log10(power + 1e-12)


def _change_db(voice: Voice) -> NDArray[np.float64]:
    """How fast the spectrum's shape changes, in dB per 40 ms."""
    edges = np.unique(np.geomspace(4, FFT_LENGTH // 2, _BANDS + 1).astype(int))
    bands = np.add.reduceat(voice.log_envelope, edges[:-1], axis=1) / np.diff(edges)
    bands = 10 / np.log(10) * gaussian_filter1d(bands, _SMOOTHING, axis=0)
    bands -= bands.mean(axis=1, keepdims=True)
    step = round(0.02 / FRAME_S)
    padded = np.pad(bands, ((step, step), (0, 0)), mode="edge")
    change: NDArray[np.float64] = np.abs(padded[2 * step :] - padded[: -2 * step]).mean(axis=1)
    return change


def _boundary(between: NDArray[np.float64], first: int, loudest: float) -> tuple[int, int]:
    """Where a syllable ends and the next starts: at the dip between, or around the pause in it."""
    dip = int(between.argmin())
    quiet = between < loudest + _PAUSE_DB
    if not quiet[dip]:
        return first + dip, first + dip
    left = dip - int(np.argmin(quiet[dip::-1])) + 1
    right = dip + int(np.argmin(np.append(quiet[dip:], False)))
    if right - left < _PAUSE:
        return first + dip, first + dip
    return first + left, first + right


def _syllable(start: int, nucleus: int, end: int, loudness: NDArray[np.float64], voiced: NDArray[np.bool_]) -> Syllable:
    within = voiced[start:end] & (loudness[start:end] > loudness[nucleus] + _VOWEL_DB)
    at = nucleus - start
    before = int(np.argmin(np.append(within[at::-1], False)))
    after = int(np.argmin(np.append(within[at:], False)))
    vowel = nucleus - min(max(before, 1) - 1, _LONGEST_VOWEL // 2)
    coda = nucleus + min(max(after, 1), _LONGEST_VOWEL)
    return Syllable(start, vowel, nucleus, max(coda, vowel + 1), max(end, coda))
