"""A voice to sing with: syllables of hiss and a sawtooth through formants, of which all lengths are known."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import lfilter

SAMPLE_RATE = 16_000
HISS_S, VOWEL_S, SYLLABLES, HZ = 0.08, 0.16, 8, 120.0
FORMANTS = ((700, 1200, 2500), (300, 2200, 2900))


def vowel(formants: tuple[int, ...], seconds: float) -> NDArray[np.float64]:
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    source = 2 * np.mod(HZ * times, 1) - 1
    for formant in formants:
        radius, angle = np.exp(-np.pi * 90 / SAMPLE_RATE), 2 * np.pi * formant / SAMPLE_RATE
        source = lfilter([1 - radius], [1, -2 * radius * np.cos(angle), radius**2], source)
    source *= np.minimum(1, np.minimum(times, times[::-1]) / 0.02)
    return np.asarray(0.3 * source / np.abs(source).max())


@pytest.fixture(scope="session")
def utterance() -> NDArray[np.float32]:
    """Eight syllables, hiss and a vowel each, after 0.1 s of silence."""
    rng = np.random.default_rng(5)
    pieces = [np.zeros(SAMPLE_RATE // 10)]
    for index in range(SYLLABLES):
        hiss = rng.standard_normal(round(HISS_S * SAMPLE_RATE))
        pieces += [0.03 * np.diff(hiss, prepend=0), vowel(FORMANTS[index % 2], VOWEL_S)]
    return np.concatenate([*pieces, np.zeros(SAMPLE_RATE // 10)]).astype(np.float32)


@pytest.fixture
def songs(tmp_path: Path) -> Path:
    """All 800 songs in the layout of POP909: a scale up and a long note, then rest; every one at another height."""
    for number in range(1, 801):
        folder = tmp_path / "POP909" / f"{number:03d}"
        folder.mkdir(parents=True)
        first = 55 + number % 10
        lines = [f"{first + step} 4" for step in (0, 2, 4, 5)] + [f"{first + 7} 12", "0 8"]
        (folder / "melody.txt").write_text("\n".join(["0 16", *lines]), encoding="utf-8")
        (folder / "tempo.txt").write_text("90", encoding="utf-8")
    return tmp_path / "POP909"
