"""Decode a media file or an upload to mono waveforms at the sample rates the encoders ask for.

One pass of FFmpeg (through PyAV) over the first audio stream: decode → average the channels → resample to every rate.
The few files whose channels would cancel each other (:mod:`encoders.media.polarity`), or with samples that are no sound
(:mod:`encoders.media.healing`), are decoded once more. Waveforms are float32 [samples], about [-1, 1].

No torch here: :mod:`encoders.media.decoder_process` runs this in small child processes.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING

import av

from encoders.errors import SilentAudioError, TooLongError, TooShortError, UnreadableMediaError, called
from encoders.media.decoded import DEFAULT_LIMITS, DecodedAudio, MediaLimits
from encoders.media.files.packets import Account, packets_of
from encoders.media.files.partial import why_cut, why_partial
from encoders.media.files.parts import unreadable
from encoders.media.healing import Ailing, cured, examined, is_suspicious
from encoders.media.kinds import why_no_sound
from encoders.media.mixdown import Mixdown
from encoders.media.polarity import Polarity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from av.audio.stream import AudioStream
    from av.container import InputContainer
    from numpy.typing import NDArray

logger = logging.getLogger(__name__)

SILENCE_PEAK = 1e-4
"""Peak amplitude (-80 dBFS) below which audio counts as silent."""

# These carry no duration of their own: FFmpeg extrapolates the bit rate of the first frames, far off with VBR.
_GUESSED_DURATION = frozenset({"aac", "mp3"})


def decode(source: Path | bytes, *, sample_rates: Sequence[int], limits: MediaLimits = DEFAULT_LIMITS) -> DecodedAudio:
    """Decode the first audio stream to mono at several sample rates in one pass.

    Parameters
    ----------
    source : a file, or the bytes of one
    sample_rates : Hz, at least one
    limits : accepted durations; decoding stops as soon as the longest is exceeded

    Returns
    -------
    Waveforms keyed by sample rate, float32 [samples], all of the same duration.

    Raises
    ------
    UnreadableMediaError
        If the file is missing, empty, foreign, mostly corrupt, or more than a hundredth of its samples are no sound.
    NoAudioError, TooShortError, TooLongError, SilentAudioError
        As their names say.
    """
    if not sample_rates:
        raise ValueError("decode needs at least one sample rate")
    name = called(source)
    account, ailing = Account(), None
    try:
        duration_s, waveforms = _mixed(frames_of(source, name, limits, account), source, name, limits, sample_rates)
        if duration_s < limits.min_duration_s:
            raise TooShortError(name, f"{duration_s:.2f} s of audio, at least {limits.min_duration_s:g} s are needed")
        if any(is_suspicious(waveform) for waveform in waveforms.values()):
            ailing = ailing_of(frames_of(source, name, limits), name)
            if ailing:
                frames = cured(frames_of(source, name, limits), ailing)
                _, waveforms = _mixed(frames, source, name, limits, sample_rates, ailing)
    except av.FFmpegError as error:
        raise unreadable(name, error) from error
    except UnreadableMediaError as error:
        if why := why_cut(source, name):
            raise UnreadableMediaError(name, f"{error.reason}; {why}") from error
        raise
    _check_level(waveforms, name)
    notes = (ailing.notes if ailing else ()) + account.notes
    for note in account.notes:
        logger.warning("%s: %s", name, note)
    partial = why_partial(source, name, account, duration_s=duration_s, waveform=waveforms[sample_rates[0]])
    return DecodedAudio(waveforms, duration_s, account.audio_hash, partial, notes)


def ailing_of(frames: Iterator[av.AudioFrame], name: str) -> Ailing | None:
    """What is wrong with the samples of suspicious frames, if that can be mended; `name` is for errors.

    Raises
    ------
    UnreadableMediaError
        If too many of them are no sound.
    """
    ailing = examined(frames)
    if ailing and not ailing.is_curable:
        raise UnreadableMediaError(name, ailing.refusal)
    return ailing


def _mixed(
    frames: Iterator[av.AudioFrame],
    source: Path | bytes,
    name: str,
    limits: MediaLimits,
    sample_rates: Sequence[int],
    ailing: Ailing | None = None,
) -> tuple[float, dict[int, NDArray[np.float32]]]:
    """The duration of frames in seconds, and their waveforms; the source is read again where channels would cancel."""
    mixdown, polarity, duration_s = Mixdown(sample_rates), Polarity(), 0.0
    for frame in frames:
        duration_s += frame.samples / frame.sample_rate
        polarity.hear(frame)
        mixdown.push(frame)
    if signs := polarity.signs():
        mixdown = Mixdown(sample_rates, signs)
        again = frames_of(source, name, limits)
        for frame in cured(again, ailing) if ailing else again:
            mixdown.push(frame)
    return duration_s, mixdown.finish()


def frames_of(
    source: Path | bytes, name: str, limits: MediaLimits, account: Account | None = None
) -> Iterator[av.AudioFrame]:
    """Yield every frame of the first audio stream, as it was decoded; `name` is for errors.

    Of a chain, those of one link after the other: rate, layout and sample format may change midway.

    Parameters
    ----------
    account : where what is learnt on the way is put down

    Raises
    ------
    UnreadableMediaError, NoAudioError, TooLongError
        As of :func:`decode`.
    """
    account = account or Account()
    _check_kind(source, name)
    duration_s, decoded = 0.0, 0
    begun: AudioStream | None = None
    for container, stream, packet in packets_of(source, name, account):
        if stream is not begun:
            begun = stream
            _check_declared(container, stream, name, limits)
            # Files are decoded side by side; threads inside one decoder would only contend, and reserve memory each.
            stream.codec_context.thread_count = 1
        for frame in _decoded(packet, account):
            duration_s += frame.samples / frame.sample_rate
            if duration_s > limits.max_duration_s:
                raise TooLongError(name, f"more than the accepted {limits.max_duration_s:g} s of audio")
            decoded += 1
            yield frame
    if account.corrupt > decoded:
        raise UnreadableMediaError(name, f"{account.corrupt} corrupt audio packets, {decoded} decodable")
    if decoded == 0:
        raise UnreadableMediaError(name, "the audio stream is empty")


def _check_kind(source: Path | bytes, name: str) -> None:
    if isinstance(source, bytes):
        return
    try:
        reason = why_no_sound(source)
    except OSError:  # told by who opens it next
        return
    if reason:
        raise UnreadableMediaError(name, reason)


def _check_declared(container: InputContainer, stream: AudioStream, name: str, limits: MediaLimits) -> None:
    declared_s = 0.0
    if container.format.name not in _GUESSED_DURATION:
        if stream.duration is not None and stream.time_base is not None:
            declared_s = float(stream.duration * stream.time_base)
        elif container.duration is not None:
            declared_s = container.duration / 1e6
    if declared_s > limits.max_duration_s:
        raise TooLongError(name, f"{declared_s:.0f} s of audio, at most {limits.max_duration_s:g} s are accepted")


def _decoded(packet: av.Packet[AudioStream], account: Account) -> list[av.AudioFrame]:
    """The frames of a packet; one that is corrupt costs only its own audio."""
    try:
        return list(packet.decode())
    except av.error.MemoryError:
        raise
    except av.FFmpegError:  # also for an empty packet, which Ogg files may hold; AC-3's has a number of its own
        account.corrupt += 1
        return []


def _check_level(waveforms: Mapping[int, NDArray[np.float32]], name: str) -> None:
    peaks = [max(waveform.max(), -waveform.min()) for waveform in waveforms.values() if waveform.size]
    if max(peaks, default=0.0) < SILENCE_PEAK:
        raise SilentAudioError(name, f"silent: no sample above {20 * math.log10(SILENCE_PEAK):.0f} dBFS")
