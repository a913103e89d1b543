"""A voice taken apart and put together again: fundamental frequency, spectral envelope and aperiodicity (WORLD).

Frames are 5 ms apart, waveforms mono at 16 kHz. ``pyworld`` (MIT; ``pip install 'soundalike[training]'``) is called by
this module alone. DIO with StoneMask finds the pitch, twenty times as fast as Harvest; aperiodicity, the dearest part,
changes slowly and is measured at every second frame. Of both spectra every second bin is kept: a voice's response has
died away within the 32 ms that are left, and the synthesis costs half.

Morise, Yokomori, Ozawa, "WORLD: a vocoder-based high-quality speech synthesis system for real-time applications",
IEICE Trans. 2016.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from encoders.training.corpus import CorpusError
from encoders.training.voices.clips import SAMPLE_RATE

if TYPE_CHECKING:
    from types import ModuleType

    from numpy.typing import NDArray

FRAME_S = 0.005
FFT_LENGTH = 512
_ANALYSIS_LENGTH = 1024  # which three periods of the lowest voice need
SHORTEST_S = 0.1
_LOWEST_HZ, _HIGHEST_HZ = 65.0, 600.0  # of speech, children's included
_SILENCE = 1e-5  # noise under everything: the analysis of digital silence is undefined


@dataclass(frozen=True)
class Voice:
    """A voice by frames.

    Pitch in Hz, 0 where unvoiced, float64 [frames];
    log power envelope and aperiodicity in [0, 1], float64 [frames, 257].
    """

    pitch_hz: NDArray[np.float64]
    log_envelope: NDArray[np.float64]
    aperiodicity: NDArray[np.float64]


def analyse(waveform: NDArray[np.float32]) -> Voice:
    """Take a voice apart.

    Parameters
    ----------
    waveform : float32 [samples], 16 kHz

    Raises
    ------
    CorpusError
        If pyworld is missing, or the waveform is shorter than 0.1 s or not finite.
    """
    world = library()
    if len(waveform) < SHORTEST_S * SAMPLE_RATE or not np.isfinite(waveform).all():
        raise CorpusError(f"a voice of {len(waveform)} samples: at least {SHORTEST_S} s of finite samples are accepted")
    noise = np.random.default_rng(0).standard_normal(len(waveform))
    samples = waveform.astype(np.float64) + _SILENCE * noise
    rough, times = world.dio(
        samples, SAMPLE_RATE, f0_floor=_LOWEST_HZ, f0_ceil=_HIGHEST_HZ, frame_period=1000 * FRAME_S
    )
    pitch = world.stonemask(samples, rough, times, SAMPLE_RATE)
    envelope = world.cheaptrick(samples, pitch, times, SAMPLE_RATE, fft_size=_ANALYSIS_LENGTH)
    aperiodicity = world.d4c(samples, pitch[::2].copy(), times[::2].copy(), SAMPLE_RATE, fft_size=_ANALYSIS_LENGTH)
    return Voice(pitch, np.log(envelope[:, ::2]), np.repeat(aperiodicity[:, ::2], 2, axis=0)[: len(pitch)])


def synthesise(voice: Voice) -> NDArray[np.float32]:
    """Put a voice together: float32 [samples], 16 kHz, 80 samples a frame.

    Raises
    ------
    CorpusError
        If pyworld is missing.
    """
    samples = library().synthesize(
        np.ascontiguousarray(voice.pitch_hz),
        np.ascontiguousarray(np.exp(voice.log_envelope)),
        np.ascontiguousarray(voice.aperiodicity),
        SAMPLE_RATE,
        1000 * FRAME_S,
    )
    waveform: NDArray[np.float32] = samples[: len(voice.pitch_hz) * round(FRAME_S * SAMPLE_RATE)].astype(np.float32)
    return waveform


def library() -> ModuleType:
    """`pyworld`.

    Raises
    ------
    CorpusError
        If it is missing.
    """
    try:
        import pyworld
    except ImportError as error:
        raise CorpusError("a voice is taken apart by pyworld: pip install 'soundalike[training]'") from error
    module: ModuleType = pyworld
    return module
