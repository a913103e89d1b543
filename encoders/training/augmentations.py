"""Two views of one window: the random changes that a trained encoder has to hear through.

The chain of CLMR (Spijkervet & Burgoyne, ISMIR 2021, https://arxiv.org/abs/2103.09410): random crop,
polarity, noise, gain, high- or low-pass, delay, pitch, reverb. The data loader crops; the other seven are here. Each
one takes and returns float32 [batch, samples], of the same length, on the device of the batch.

Every item draws its own coin and its own parameters, all from one generator, and no draw depends on what the batch
contains: a seed fixes the result, and the other items' sound has no part in it. Only the items whose coin fell are
computed. Nothing is clamped or rescaled, except where an augmentation says so. An item that a change would silence
(a low hum through a high-pass) stays as it was.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

Range = tuple[float, float]

# A change that takes more than 80 dB off an item's peak has silenced it.
_SILENCED = 1e-4
# Zero-phase Butterworth: 3 dB at the cutoff, 36 dB an octave and a half beyond it.
_FILTER_ORDER = 4
# The filters ring for less than this.
_RINGING_LENGTH = 2048
# The pitch shifter's pieces: from splice to splice and of one splice, as SoX has them, and how far to look for a place.
# SoX looks 15 ms far, less than a period of the bass: a low A moved down was then 8 % off.
_PIECE_S = 0.070
_SPLICE_S = 0.012
_SEARCH_S = 0.025


@dataclass(frozen=True)
class Augmentation(ABC):
    """A change that befalls each item of a batch with probability ``p``."""

    p: float

    def __call__(self, batch: Tensor, *, sample_rate: int, generator: Generator) -> Tensor:
        """Change the items whose coin falls.

        Parameters
        ----------
        batch : float32 [batch, samples]; it is not written to
        sample_rate : Hz
        generator : on the device of the batch

        Returns
        -------
        float32 [batch, samples]; items without the change are equal bit for bit
        """
        chosen = (_uniform(batch, (0.0, 1.0), generator) < self.p).nonzero()[:, 0]
        if not len(chosen):
            return batch
        before = batch[chosen]
        after = self.change(before, sample_rate=sample_rate, generator=generator)
        heard = _peak(after) > _SILENCED * _peak(before)
        return batch.index_copy(0, chosen, torch.where(heard, after, before))

    @abstractmethod
    def change(self, waveforms: Tensor, *, sample_rate: int, generator: Generator) -> Tensor:
        """Change every one of the waveforms [batch, samples], each with parameters of its own."""


@dataclass(frozen=True)
class PolarityInversion(Augmentation):
    """The waveform upside down."""

    def change(self, waveforms: Tensor, *, sample_rate: int, generator: Generator) -> Tensor:
        """Invert."""
        return -waveforms


@dataclass(frozen=True)
class Noise(Augmentation):
    """White Gaussian noise.

    Its amplitude relative to the signal's is uniform, as in the code of the paper's authors: a signal-to-noise ratio of
    60 to 0 dB, most often of less than 20.
    """

    noise_to_signal: Range = (0.001, 1.0)

    def change(self, waveforms: Tensor, *, sample_rate: int, generator: Generator) -> Tensor:
        """Add noise in proportion to the item's own RMS."""
        rms = waveforms.square().mean(1, keepdim=True).sqrt()
        noise = torch.randn(waveforms.shape, generator=generator, device=waveforms.device)
        return waveforms + _uniform(waveforms, self.noise_to_signal, generator) * rms * noise


@dataclass(frozen=True)
class Gain(Augmentation):
    """A lower volume."""

    gain_db: Range = (-20.0, -1.0)

    def change(self, waveforms: Tensor, *, sample_rate: int, generator: Generator) -> Tensor:
        """Scale by a gain uniform in dB."""
        return waveforms * 10 ** (_uniform(waveforms, self.gain_db, generator) / 20)


@dataclass(frozen=True)
class HighOrLowPass(Augmentation):
    """A high-pass or a low-pass, on a fair coin."""

    highpass_hz: Range = (200.0, 1200.0)
    lowpass_hz: Range = (2200.0, 4000.0)

    def change(self, waveforms: Tensor, *, sample_rate: int, generator: Generator) -> Tensor:
        """Filter with a cutoff uniform in Hz."""
        is_highpass = _uniform(waveforms, (0.0, 1.0), generator) < 0.5
        highpass_hz, lowpass_hz = (
            _uniform(waveforms, cutoff_hz, generator) for cutoff_hz in (self.highpass_hz, self.lowpass_hz)
        )
        cutoff_hz = torch.where(is_highpass, highpass_hz, lowpass_hz)
        return filter_band(waveforms, cutoff_hz, is_highpass, sample_rate=sample_rate)


@dataclass(frozen=True)
class Delay(Augmentation):
    """One echo at half the volume; the sum of the two is halved, as the paper does it."""

    delay_ms: tuple[int, int] = (200, 450)
    step_ms: int = 50
    volume: float = 0.5

    def change(self, waveforms: Tensor, *, sample_rate: int, generator: Generator) -> Tensor:
        """Add the echo, after one of the delays on the grid."""
        low_ms, high_ms = self.delay_ms
        n_delays = 1 + (high_ms - low_ms) // self.step_ms
        step = torch.randint(n_delays, (len(waveforms), 1), generator=generator, device=waveforms.device)
        offset = (low_ms + self.step_ms * step) * sample_rate // 1000
        source = torch.arange(waveforms.shape[1], device=waveforms.device) - offset
        echo = torch.where(source < 0, 0.0, waveforms.gather(1, source.clamp(min=0)))
        return (waveforms + self.volume * echo) / 2


@dataclass(frozen=True)
class PitchShift(Augmentation):
    """Another key at the same tempo, as the paper has it."""

    semitones: Range = (-7.0, 7.0)

    def change(self, waveforms: Tensor, *, sample_rate: int, generator: Generator) -> Tensor:
        """Shift by an interval uniform in semitones, not only by whole ones."""
        ratio = 2 ** (_uniform(waveforms, self.semitones, generator).double() / 12)
        return shift_pitch(waveforms, ratio, sample_rate=sample_rate)


@dataclass(frozen=True)
class Reverb(Augmentation):
    """A room: the dry sound and a tail of exponentially decaying white noise (Moorer 1979).

    The paper draws SoX's reverberance, room size and damping from 0 to 100, numbers without a unit; decay time and
    level of the tail stand for them here. The dry sound keeps its level, and the tail comes on top of it.
    """

    decay_s: Range = (0.2, 1.5)
    wet_db: Range = (-20.0, 0.0)

    def change(self, waveforms: Tensor, *, sample_rate: int, generator: Generator) -> Tensor:
        """Convolve with a room whose time to decay by 60 dB and whose energy are uniform in seconds and in dB."""
        time_s = torch.arange(1, round(self.decay_s[1] * sample_rate), device=waveforms.device) / sample_rate
        envelope = 10 ** (-3 * time_s / _uniform(waveforms, self.decay_s, generator))
        tail = envelope * torch.randn(envelope.shape, generator=generator, device=waveforms.device)
        wet = 10 ** (_uniform(waveforms, self.wet_db, generator) / 20)
        tail = wet * tail / tail.square().sum(1, keepdim=True).sqrt()
        return waveforms + _convolve(waveforms, F.pad(tail, (1, 0)))


Preset = tuple[Augmentation, ...]

CLMR: Preset = (
    PolarityInversion(0.8),
    Noise(0.01),
    Gain(0.3),
    HighOrLowPass(0.8),
    Delay(0.3),
    PitchShift(0.6),
    Reverb(0.6),
)


def augment(batch: Tensor, preset: Preset, *, sample_rate: int, generator: Generator) -> Tensor:
    """Send a batch through every augmentation of a preset, in its order.

    Parameters
    ----------
    batch : float32 [batch, samples]; it is not written to
    sample_rate : Hz
    generator : on the device of the batch

    Returns
    -------
    float32 [batch, samples], of the same length: no augmentation needs a longer crop
    """
    for augmentation in preset:
        batch = augmentation(batch, sample_rate=sample_rate, generator=generator)
    return batch


def filter_band(waveforms: Tensor, cutoff_hz: Tensor, is_highpass: Tensor, *, sample_rate: int) -> Tensor:
    """Keep what is above or below a cutoff, without delay.

    Parameters
    ----------
    waveforms : float32 [batch, samples]
    cutoff_hz : float32 [batch, 1], where the loss is 3 dB
    is_highpass : bool [batch, 1]
    """
    length = waveforms.shape[1]
    n_fft = _fft_length(length + _RINGING_LENGTH)
    frequency_hz = torch.fft.rfftfreq(n_fft, 1 / sample_rate, device=waveforms.device)
    # At 0 Hz the high-pass divides by zero: infinity, whose inverse root is the right gain.
    beyond = torch.where(is_highpass, cutoff_hz / frequency_hz, frequency_hz / cutoff_hz)
    gain = (1 + beyond ** (2 * _FILTER_ORDER)).rsqrt()
    filtered: Tensor = torch.fft.irfft(torch.fft.rfft(waveforms, n_fft) * gain, n_fft)
    return filtered[:, :length]


def shift_pitch(waveforms: Tensor, ratio: Tensor, *, sample_rate: int) -> Tensor:
    """Multiply all frequencies by a ratio, at the same tempo: resample, then stretch back by WSOLA, as SoX does.

    ``(Verhelst & Roelands, "An overlap-add technique based on waveform similarity", ICASSP 1993)``. Pieces of the
    resampled sound follow each other at the original tempo; each begins, near where the tempo wants it, at the place
    most like the continuation of the piece before. At seven semitones an attack comes up to 60 ms early or late, and
    may double or soften; a phase vocoder would smear them all. A ratio of 1 gives the input back.

    Parameters
    ----------
    waveforms : float32 [batch, samples]
    ratio : float64 [batch, 1], new frequency to old; what it lifts above half the sample rate is lost
    """
    n_items, length = waveforms.shape
    piece, splice, search = (round(duration_s * sample_rate) for duration_s in (_PIECE_S, _SPLICE_S, _SEARCH_S))
    n_pieces = -(-length // piece)
    targets = (torch.arange(n_pieces, device=waveforms.device) * piece / ratio).round().long()
    resampled = _resample(waveforms, ratio, int(targets.max()) + search + piece + splice)
    start = _alike(resampled, targets, piece, splice, search)
    pieces = _read(resampled, start, piece)
    fade_in = torch.linspace(0, 1, splice, device=waveforms.device)
    continuation = _read(resampled, start[:, :-1] + piece, splice)
    pieces[:, 1:, :splice] = torch.lerp(continuation, pieces[:, 1:, :splice], fade_in)
    return pieces.reshape(n_items, -1)[:, :length]


def _alike(resampled: Tensor, targets: Tensor, piece: int, splice: int, search: int) -> Tensor:
    """Where each piece begins: least squared difference from the continuation of the piece before, int64 like targets.

    One piece after the other, because each choice decides what the next one has to continue.
    """
    n_fft = _fft_length(search + splice)
    starts = [targets[:, :1]]
    for first in torch.split(targets[:, 1:] - search // 2, 1, dim=1):
        continuation = _read(resampled, starts[-1] + piece, splice)[:, 0]
        candidates = _read(resampled, first, search + splice)[:, 0]
        energy = F.pad(candidates.square().cumsum(1), (1, 0))
        product = torch.fft.rfft(candidates, n_fft) * torch.fft.rfft(continuation, n_fft).conj()
        correlation = torch.fft.irfft(product, n_fft)[:, :search]
        difference = energy[:, splice:-1] - energy[:, :search] - 2 * correlation
        starts.append(first + difference.argmin(1, keepdim=True))
    return torch.cat(starts, 1)


def _read(waveforms: Tensor, start: Tensor, length: int) -> Tensor:
    """Pieces [batch, n, length] of waveforms [batch, samples] from starts [batch, n] on."""
    position = start[:, :, None] + torch.arange(length, device=waveforms.device)
    return waveforms.gather(1, position.flatten(1)).reshape(position.shape)


def _resample(waveforms: Tensor, ratio: Tensor, resampled_length: int) -> Tensor:
    """Read every ``ratio``-th sample [batch, resampled_length], and the sound backwards after its end."""
    last = waveforms.shape[1] - 1
    n_fft = _fft_length(last + 1 + _RINGING_LENGTH)
    bins = torch.arange(n_fft // 2 + 1, device=waveforms.device)
    alias_free = torch.fft.rfft(waveforms, n_fft).masked_fill_(bins * ratio >= n_fft / 2, 0)
    # Twice the samples, so that a straight line between two of them is near enough: images are 34 dB down for a
    # tone at a quarter of the sample rate, and further below that.
    doubled = 2 * torch.fft.irfft(alias_free, 2 * n_fft)
    # In double precision: at sample 60,000 a float32 has no more than 8 bits left for the fraction.
    position = torch.arange(resampled_length, device=waveforms.device) * ratio
    position = 2 * (last - (last - position).abs()).clamp(min=0)
    left = position.long()
    weight = (position - left).float()
    return torch.lerp(doubled.gather(1, left), doubled.gather(1, left + 1), weight)


def _convolve(waveforms: Tensor, responses: Tensor) -> Tensor:
    """Convolve each item with its own response; the tail beyond the item's end is cut."""
    length = waveforms.shape[1]
    n_fft = _fft_length(length + responses.shape[1])
    spectrum = torch.fft.rfft(waveforms, n_fft) * torch.fft.rfft(responses, n_fft)
    convolved: Tensor = torch.fft.irfft(spectrum, n_fft)
    return convolved[:, :length]


def _uniform(waveforms: Tensor, limits: Range, generator: Generator) -> Tensor:
    return torch.empty(len(waveforms), 1, device=waveforms.device).uniform_(*limits, generator=generator)


def _peak(waveforms: Tensor) -> Tensor:
    return waveforms.abs().amax(1, keepdim=True)


def _fft_length(length: int) -> int:
    return int(1 << (length - 1).bit_length())
