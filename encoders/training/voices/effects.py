"""What studios and other mouths do to a voice: reverb, echo, choir, humming, a vocoder.

Waveforms are float32 [samples] at 16 kHz; every effect returns one of the same length at the same level (RMS), but for
:func:`reverb` and :func:`echo`, whose tail is cut where the voice ended. Chance comes from the generator.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt, sosfiltfilt

from encoders.training.voices.clips import SAMPLE_RATE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_VOCODER_BANDS = 20
_VOCODER_HZ = (120, 7000)
_ENVELOPE_HZ = 30


def reverb(waveform: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A room or a hall: 0.3 to 2.5 s to -60 dB, 5 to 20 dB below the voice, darker the later."""
    seconds = float(np.exp(rng.uniform(np.log(0.3), np.log(2.5))))
    return _wet(waveform, room(rng, seconds), rng.uniform(-20, -5))


def room(rng: np.random.Generator, seconds: float) -> NDArray[np.float32]:
    """Impulse response, float32 [samples] of energy 1, of a room that takes so long to fall by 60 dB."""
    times = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = rng.standard_normal(len(times)) * 10 ** (-3 * times / seconds)
    dark = sosfilt(butter(1, rng.uniform(1500, 5000), fs=SAMPLE_RATE, output="sos"), noise)
    late = np.concatenate([np.zeros(round(rng.uniform(0.002, 0.03) * SAMPLE_RATE)), dark])
    response: NDArray[np.float32] = (late / np.sqrt((late**2).sum())).astype(np.float32)
    return response


def echo(waveform: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Two to four repetitions, 0.15 to 0.5 s apart, each weaker than the one before."""
    apart = round(rng.uniform(0.15, 0.5) * SAMPLE_RATE)
    gain = rng.uniform(0.15, 0.45)
    echoed = waveform.copy()
    for index in range(1, 1 + int(rng.integers(2, 5))):
        if index * apart < len(waveform):
            echoed[index * apart :] += np.float32(gain**index) * waveform[: -index * apart]
    return echoed


def choir(takes: Sequence[NDArray[np.float32]], rng: np.random.Generator) -> NDArray[np.float32]:
    """Several takes of one part, up to 40 ms apart and not equally loud, cut to the length of the first."""
    length = len(takes[0])
    together = takes[0].astype(np.float32)
    for take in takes[1:]:
        late = round(rng.uniform(0.005, 0.04) * SAMPLE_RATE)
        sounding = take[: max(0, length - late)]
        together[late : late + len(sounding)] += np.float32(10 ** (rng.uniform(-6, 0) / 20)) * sounding
    return _as_loud(together, takes[0])


def hum(waveform: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """The same tune through closed lips: what is above 300 to 600 Hz all but goes, and with it the words."""
    closed = butter(3, rng.uniform(300, 600), fs=SAMPLE_RATE, output="sos")
    return _as_loud(sosfilt(closed, waveform).astype(np.float32), waveform)


def vocoder(waveform: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """A robot's voice: the voice's level in 20 bands on a chord of sawtooth waves (Dudley, 1939)."""
    times = np.arange(len(waveform)) / SAMPLE_RATE
    root = rng.uniform(70, 160)
    chord = root * 2 ** (np.array([0, rng.choice([3, 4]), 7, 12]) / 12)
    carrier = sum(2 * np.mod(hz * times + rng.random(), 1) - 1 for hz in chord) + 0.1 * rng.standard_normal(len(times))
    edges = np.geomspace(*_VOCODER_HZ, _VOCODER_BANDS + 1)
    follower = butter(2, _ENVELOPE_HZ, fs=SAMPLE_RATE, output="sos")
    made = np.zeros(len(waveform))
    for low, high in pairwise(edges):
        band = butter(2, [low, high], "bandpass", fs=SAMPLE_RATE, output="sos")
        level = np.maximum(sosfiltfilt(follower, np.abs(sosfilt(band, waveform))), 0)
        sounding = sosfilt(band, carrier)
        made += level * sounding / max(1e-9, float(np.sqrt((sounding**2).mean())))
    return _as_loud(made.astype(np.float32), waveform)


def studio(waveform: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """What a recorded voice has mostly been through: often a reverb, at times an echo, at times neither."""
    if rng.random() < 0.2:
        waveform = echo(waveform, rng)
    return reverb(waveform, rng) if rng.random() < 0.6 else waveform


def _wet(waveform: NDArray[np.float32], response: NDArray[np.float32], level_db: float) -> NDArray[np.float32]:
    tail = fftconvolve(waveform, response)[: len(waveform)]
    wet: NDArray[np.float32] = (waveform + 10 ** (level_db / 20) * tail).astype(np.float32)
    return wet


def _as_loud(made: NDArray[np.float32], model: NDArray[np.float32]) -> NDArray[np.float32]:
    power, wanted = float((made.astype(np.float64) ** 2).mean()), float((model.astype(np.float64) ** 2).mean())
    return made * np.float32(np.sqrt(wanted / power)) if power else made
