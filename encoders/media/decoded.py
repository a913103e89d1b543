"""What decoding gives, and how long it may be; whoever names them need not load what decodes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class MediaLimits:
    """Shortest and longest audio that is accepted, in seconds."""

    min_duration_s: float = 1.0
    max_duration_s: float = 3600.0


DEFAULT_LIMITS = MediaLimits()


@dataclass(frozen=True)
class DecodedAudio:
    """One file's audio.

    Attributes
    ----------
    waveforms : a mono waveform float32 [samples] for each sample rate (Hz)
    duration_s : decoded
    audio_hash : which audio it is, whatever tags stand beside it (:mod:`encoders.media.files.packets`)
    partial : why it is taken for a part of what it was, in a clause for users; none where nothing says so
    notes : what was mended or left out, a sentence each
    """

    waveforms: Mapping[int, NDArray[np.float32]]
    duration_s: float
    audio_hash: str = ""
    partial: str | None = None
    notes: tuple[str, ...] = ()
