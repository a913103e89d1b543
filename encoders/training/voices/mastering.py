"""What a mix goes through until it is heard: equalisation, a room, compression, a lossy codec, a level.

Waveforms are float32 [samples] at 16 kHz and keep their length; nothing moves in time, so that a truth by seconds
holds. Chance comes from the generator.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Literal

import av
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import fftconvolve, sosfilt

from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.training.voices.clips import SAMPLE_RATE
from encoders.training.voices.effects import room

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from numpy.typing import NDArray

    Waveform = NDArray[np.float32]

Codec = Literal["mp3", "opus"]
BIT_RATES = (32_000, 48_000, 64_000, 96_000, 128_000)
"""Bits a second, of mono at 16 kHz: as sparing as 64 to 256 kbit/s of stereo at 44.1 kHz."""
_ENCODERS: dict[Codec, tuple[Literal["libmp3lame", "libopus"], str]] = {
    "mp3": ("libmp3lame", "mp3"),
    "opus": ("libopus", "ogg"),
}
_BLOCK = 160
_LEVELS_DB = (-32.0, -10.0)
_PEAK = 0.99
_FRAME = 960


def master(waveform: Waveform, rng: np.random.Generator, *, codec: bool = True) -> Waveform:
    """A mix as it might reach a listener: each step by chance, a codec in half of the cases where one may be."""
    if rng.random() < 0.6:
        waveform = equalise(waveform, rng)
    if rng.random() < 0.2:
        tail = fftconvolve(waveform, room(rng, rng.uniform(0.2, 0.8)))[: len(waveform)]
        waveform = waveform + np.float32(10 ** (rng.uniform(-20, -10) / 20)) * tail.astype(np.float32)
    if rng.random() < 0.5:
        waveform = compress(waveform, ratio=rng.uniform(1.5, 3))
    waveform = to_rms(waveform, rng.uniform(*_LEVELS_DB))
    if codec and rng.random() < 0.5:
        waveform = through_codec(waveform, "mp3" if rng.random() < 0.5 else "opus", int(rng.choice(BIT_RATES)))
    return waveform


def equalise(waveform: Waveform, rng: np.random.Generator) -> Waveform:
    """Three bells of up to 6 dB either way, anywhere between 80 Hz and 6 kHz (Bristow-Johnson's biquads)."""
    sections = []
    for _ in range(3):
        gain = 10 ** (rng.uniform(-6, 6) / 40)
        omega = 2 * np.pi * float(np.exp(rng.uniform(np.log(80), np.log(6000)))) / SAMPLE_RATE
        alpha = np.sin(omega) / (2 * rng.uniform(0.4, 1.5))
        cosine = -2 * np.cos(omega)
        rows = np.array([1 + alpha * gain, cosine, 1 - alpha * gain, 1 + alpha / gain, cosine, 1 - alpha / gain])
        sections.append(rows / rows[3])
    equalised: Waveform = sosfilt(np.array(sections), waveform).astype(np.float32)
    return equalised


def compress(waveform: Waveform, *, ratio: float) -> Waveform:
    """Levels above the mean brought nearer to it: so many dB more become one; by blocks of 10 ms, smoothed over 50."""
    padded = np.pad(waveform.astype(np.float64), (0, -len(waveform) % _BLOCK)).reshape(-1, _BLOCK)
    power = gaussian_filter1d((padded**2).mean(axis=1), 5) + 1e-10
    over_db = np.maximum(10 * np.log10(power / power.mean()), 0)
    gain_db = np.interp(np.arange(len(waveform)), _BLOCK * (np.arange(len(power)) + 0.5), over_db * (1 / ratio - 1))
    compressed: Waveform = (waveform * 10 ** (gain_db / 20)).astype(np.float32)
    return compressed


def to_rms(waveform: Waveform, level_db: float) -> Waveform:
    """The waveform at a level (RMS, dBFS), or below where its peaks would be cut; silence as it is."""
    rms, peak = float(np.sqrt((waveform.astype(np.float64) ** 2).mean())), float(np.abs(waveform).max())
    return waveform * np.float32(min(10 ** (level_db / 20) / rms, _PEAK / peak)) if rms else waveform


def through_codec(waveform: Waveform, codec: Codec, bit_rate: int) -> Waveform:
    """The waveform encoded and decoded; what the codec adds in front and behind is taken off again."""
    encoder, container_format = _ENCODERS[codec]
    file = io.BytesIO()
    with av.open(file, "w", format=container_format) as container:
        stream: AudioStream = container.add_stream(encoder, rate=SAMPLE_RATE, layout="mono")
        stream.bit_rate = bit_rate
        for start in range(0, len(waveform), _FRAME):
            piece = np.ascontiguousarray(waveform[np.newaxis, start : start + _FRAME])
            frame = av.AudioFrame.from_ndarray(piece, format="flt", layout="mono")
            frame.sample_rate, frame.pts = SAMPLE_RATE, start
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    decoded = decode(file.getvalue(), sample_rates=[SAMPLE_RATE], limits=MediaLimits(0, float("inf")))
    heard = decoded.waveforms[SAMPLE_RATE][: len(waveform)]
    return np.pad(heard, (0, len(waveform) - len(heard)))
