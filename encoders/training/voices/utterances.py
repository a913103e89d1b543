"""Speech cut into clips: silence trimmed, one level, words and letters of one speaker joined to some seconds.

A clip is mono at 16 kHz, −20 dBFS RMS where somebody speaks, 2 to 15 s long. Chance comes from the seed alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np

from encoders.checkpoints.sha256 import sha256_file
from encoders.errors import MediaError, NoAudioError, SilentAudioError, TooShortError, UnreadableMediaError
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.training.voices.clips import SAMPLE_RATE, at_level

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

SHORTEST_S, LONGEST_S = 2.0, 15.0

_FRAME = 320  # 20 ms
_QUIET_DB = 38.0  # below the loud frames: breath and room
_SILENT_DB = -60.0
_ALONE_S = 3.5  # what is shorter is joined
_JOINED_S = (6.0, 11.5)
_PAUSE_S = (0.15, 0.4)
_CUT_S = (8.0, 13.0)  # where a long utterance is cut, at its quietest
_LIMITS = MediaLimits(0.05, 600.0)


def read_speech(path: Path) -> NDArray[np.float32]:
    """A recording, float32 [samples] at `SAMPLE_RATE`; telephone files (``.gsm``) as well.

    Raises
    ------
    MediaError
        If it cannot be decoded; it is named.
    """
    if path.suffix != ".gsm":
        return decode(path, sample_rates=[SAMPLE_RATE], limits=_LIMITS).waveforms[SAMPLE_RATE]
    resampler = av.AudioResampler("flt", "mono", SAMPLE_RATE)
    try:
        with av.open(str(path), format="gsm") as container:
            frames = [*container.decode(audio=0), None]
            parts = [part.to_ndarray()[0] for frame in frames for part in resampler.resample(frame)]
    except (av.FFmpegError, OSError) as error:
        raise UnreadableMediaError(str(path), f"not a readable GSM recording ({error})") from error
    return np.concatenate(parts).astype(np.float32)


def spoken_in(paths: Iterable[Path], *, on_error: Callable[[str, str], None]) -> Iterator[NDArray[np.float32]]:
    """Recordings of one speaker, the largest first, each once; `on_error` is told (path, reason) of what is unreadable.

    Sentences come before words and letters so: only some minutes of a speaker are taken.
    """
    heard = set()
    for path in sorted(paths, key=lambda path: (-path.stat().st_size, path)):
        digest = sha256_file(path)
        if digest in heard:
            continue
        heard.add(digest)
        try:
            yield read_speech(path)
        except (NoAudioError, TooShortError, SilentAudioError):
            continue
        except MediaError as error:
            on_error(str(path), error.reason)


def trimmed(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Speech without the silence around it, faded in and out; nothing where all is silent or under 0.1 s."""
    if len(waveform) < 5 * _FRAME:
        return waveform[:0]
    waveform = waveform - waveform.mean()
    powers = _powers_db(waveform)
    loud = float(np.percentile(powers, 98))
    spoken = np.flatnonzero(powers > loud - _QUIET_DB)
    if loud < _SILENT_DB:
        return waveform[:0]
    kept = waveform[max(0, (spoken[0] - 2) * _FRAME) : (spoken[-1] + 5) * _FRAME].copy()
    fade = min(_FRAME // 2, len(kept) // 4)
    kept[:fade] *= np.linspace(0, 1, fade, dtype=np.float32)
    kept[-fade:] *= np.linspace(1, 0, fade, dtype=np.float32)
    return kept


def cut_clips(utterances: Iterable[NDArray[np.float32]], *, seed: int) -> Iterator[NDArray[np.float32]]:
    """Utterances of one speaker, float32 [samples] each, as clips of `SHORTEST_S` to `LONGEST_S`, in their order.

    Short ones are joined with pauses, long ones cut where they are quietest; a rest under `SHORTEST_S` is dropped.
    """
    rng = np.random.default_rng(seed)
    joined: list[NDArray[np.float32]] = []
    for utterance in utterances:
        speech = trimmed(utterance)
        if len(speech) == 0:
            continue
        speech = at_level(speech)
        while len(speech) > LONGEST_S * SAMPLE_RATE:
            at = _quietest(speech)
            yield speech[:at]
            speech = speech[at:]
        if len(speech) >= _ALONE_S * SAMPLE_RATE:
            yield speech
            continue
        if _length(joined) + len(speech) > _JOINED_S[1] * SAMPLE_RATE:
            yield np.concatenate(joined[:-1])
            joined = []
        pause = np.zeros(int(rng.uniform(*_PAUSE_S) * SAMPLE_RATE), np.float32)
        joined += [speech, pause]
        if _length(joined) > _JOINED_S[0] * SAMPLE_RATE and rng.random() < 0.5:
            yield np.concatenate(joined[:-1])
            joined = []
    if _length(joined[:-1]) >= SHORTEST_S * SAMPLE_RATE:
        yield np.concatenate(joined[:-1])


def _length(parts: list[NDArray[np.float32]]) -> int:
    return sum(len(part) for part in parts)


def _powers_db(waveform: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power of every frame, float32 [n_frames ≥ 1]."""
    padded = np.pad(waveform, (0, -len(waveform) % _FRAME))
    powers: NDArray[np.float32] = 10 * np.log10(np.square(padded.reshape(-1, _FRAME)).mean(1) + 1e-10)
    return powers


def _quietest(speech: NDArray[np.float32]) -> int:
    """The sample to cut at: amid the quietest tenth of a second of `_CUT_S`."""
    first, last = (int(second * SAMPLE_RATE) for second in _CUT_S)
    window = SAMPLE_RATE // 10
    energies = np.convolve(np.square(speech[first:last]), np.ones(window), "same")
    return first + int(energies.argmin())
