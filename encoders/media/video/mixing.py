"""The sound under a clip: music, and where somebody speaks the clip's own sound over quieter music."""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
from av.audio.resampler import AudioResampler

from encoders.media.native import samples_on_disk
from encoders.media.polarity import frame_format
from encoders.media.video.demuxing import opened

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

DUCKED_DB = -12.0
RAMP_S = 0.2
_FADE_S = 2.0
_PEAK = 10 ** (-1 / 20)  # AAC overshoots what it is given
_MOST_DRIFT_S = 0.1  # of the sound against its own times


def mixed(
    music: NDArray[np.float32],
    sample_rate: int,
    duration_s: float,
    speech: NDArray[np.float32] | None,
    speech_s: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Mix music and a clip's own sound, float32 [channels, samples] of the clip's length, no peak above -1 dBFS.

    Parameters
    ----------
    music : float32 [channels, samples]; it is cut off at the end of the clip, or ends before it, with a fade
    speech : float32 [channels, samples], the clip's own sound at the same rate; None where it has none
    speech_s : float64 [n, 2], where it is heard, in seconds of the clip; any order, they may overlap
    """
    channels, samples = music.shape[0], max(1, round(duration_s * sample_rate))
    mix = samples_on_disk(channels, samples)
    length = min(samples, music.shape[1])
    mix[:, :length] = music[:, :length]
    fade = min(length, round(_FADE_S * sample_rate))
    mix[:, length - fade : length] *= np.linspace(1, 0, fade, dtype=np.float32)
    if speech is not None:
        share = spoken(speech_s, samples, sample_rate)
        mix *= 10 ** (DUCKED_DB / 20 * share)
        heard = min(samples, speech.shape[1])
        mix[:, :heard] += speech[:, :heard] * share[:heard]
    peak = float(max(mix.max(), -mix.min()))
    if peak > _PEAK:
        mix *= np.float32(_PEAK / peak)
    return mix


def spoken(speech_s: NDArray[np.float64], samples: int, sample_rate: int) -> NDArray[np.float32]:
    """Return 1 within the spans and 0 away from them, with ramps before and behind; float32 [samples]."""
    share = np.zeros(samples, np.float32)
    for begin_s, end_s in speech_s:
        first = int(np.clip((begin_s - RAMP_S) * sample_rate, 0, samples))
        last = int(np.clip(np.ceil((end_s + RAMP_S) * sample_rate), first, samples))
        times_s = np.arange(first, last) / sample_rate
        ramp = 1 - np.maximum(begin_s - times_s, times_s - end_s) / RAMP_S
        share[first:last] = np.maximum(share[first:last], np.clip(ramp, 0, 1))
    return share


def original_sound(
    source: Path, name: str, start_s: float, duration_s: float, sample_rate: int, channels: int
) -> NDArray[np.float32] | None:
    """Decode a clip's own sound where its pictures have it, float32 [channels, samples]; None without an audio stream.

    Raises
    ------
    UnreadableMediaError
        If the file cannot be opened.
    av.FFmpegError
        If it cannot be read on.
    """
    with opened(source, name) as container:
        if not container.streams.audio:
            return None
        stream = container.streams.audio[0]
        video = container.streams.video[0]
        first_s = float(video.start_time * video.time_base) if video.start_time and video.time_base else 0.0
        sound = samples_on_disk(channels, max(1, round(duration_s * sample_rate)))
        if start_s > 1 and stream.time_base:
            container.seek(int((first_s + start_s - 0.5) / stream.time_base), stream=stream)
        layout = "mono" if channels == 1 else "stereo"
        resampler, current, cursor = AudioResampler("fltp", layout, sample_rate), None, 0
        for packet in container.demux(stream):
            try:
                frames = packet.decode()
            except (av.InvalidDataError, av.ArgumentError):  # a damaged packet costs its own sound
                continue
            for frame in frames:
                if frame.time is not None:
                    place = round((frame.time - first_s - start_s) * sample_rate)
                    if current is None or abs(place - cursor) > _MOST_DRIFT_S * sample_rate:
                        cursor = place
                if frame_format(frame) != current:
                    current, resampler = frame_format(frame), AudioResampler("fltp", layout, sample_rate)
                cursor = _put(sound, resampler.resample(frame), cursor)
                if cursor >= sound.shape[1]:
                    return sound
        if current is not None:
            _put(sound, resampler.resample(None), cursor)
        return sound


def _put(sound: NDArray[np.float32], parts: Iterable[av.AudioFrame], cursor: int) -> int:
    """Lay parts at a sample, as far as they are within the sound, and return where the next is to lie."""
    for part in parts:
        values = np.nan_to_num(part.to_ndarray(), posinf=0, neginf=0)
        begin, end = max(0, cursor), min(sound.shape[1], cursor + values.shape[1])
        if begin < end:
            sound[:, begin:end] = values[:, begin - cursor : end - cursor]
        cursor += values.shape[1]
    return cursor
