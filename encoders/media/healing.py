"""Samples that are no sound: numbers that are not finite, and floats so large that all else would be silence.

Only floats can hold them: a file of a program that divided by zero, a broken block of a file of floats, a lossy packet
whose damage the decoder did not see. A few are set to zero, as the resampler would spread one over all its neighbours.
Of samples that are set to zero a share p is noise p as strong as the music: 1 % lies 20 dB below it, about what the
strongest lossy coding does. More is no damage to a file of music but a file of something else.

Files are looked at only where what was decoded of them is suspicious, and then are read anew.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import av
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

MOST_BROKEN = 0.01
"""Share of a file's samples that may be set to zero."""
SUSPICIOUS_PEAK = 4.0
"""12 dB above full scale, which nothing of whole numbers reaches, and hardly anything mixed of floats."""
_ABOVE = 2.0**10  # 60 dB above what 95 % of the samples keep below: no music is, not even floats scaled as integers
_LOUDEST = 2.0**40  # floats scaled as integers of 32 bits end at 2^31
_MOST_EXPONENT = 1100  # of a double's, 2^1024


def is_suspicious(samples: NDArray[Any]) -> bool:
    """Whether samples of any shape may come of some that are no sound."""
    peak = float(np.maximum(samples.max(), -samples.min())) if samples.size else 0.0
    return not peak <= SUSPICIOUS_PEAK  # nor is NaN


@dataclass(frozen=True)
class Ailing:
    """What is wrong with the samples of a file.

    Attributes
    ----------
    loudest : the largest magnitude that is sound
    not_finite : samples that are no finite numbers
    too_large : those that are, and larger than that
    total : samples of all channels
    """

    loudest: float
    not_finite: int
    too_large: int
    total: int

    @property
    def is_curable(self) -> bool:
        """Whether these are few enough to be set to zero."""
        return self.not_finite + self.too_large <= MOST_BROKEN * self.total

    @property
    def refusal(self) -> str:
        """Why it is refused, a clause."""
        share = 100 * (self.not_finite + self.too_large) / self.total
        kind = "not finite numbers" if self.not_finite else "absurdly large"
        return f"holds samples that are {kind}: {share:.1f} % of them are no sound, at most {MOST_BROKEN:.0%} may be"

    @property
    def notes(self) -> tuple[str, ...]:
        """What was set to zero, a sentence each."""
        counts = ((self.not_finite, "no finite numbers"), (self.too_large, "absurdly large"))
        return tuple(f"{count} samples that are {what} were set to zero" for count, what in counts if count)


class Examination:
    """Takes in all samples of a file and says what is wrong with them."""

    def __init__(self) -> None:
        self._counts = np.zeros(2 * _MOST_EXPONENT, np.int64)  # finite ones that are not zero, by their exponent of two
        self._not_finite = self._total = 0

    def take(self, samples: NDArray[Any]) -> None:
        """Take in samples of any shape."""
        finite = samples[np.isfinite(samples)]
        self._total += samples.size
        self._not_finite += samples.size - finite.size
        exponents = np.frexp(finite[finite != 0])[1] + _MOST_EXPONENT
        self._counts += np.bincount(exponents, minlength=self._counts.size)

    def result(self) -> Ailing | None:
        """What is wrong; none where nothing is."""
        loudest = SUSPICIOUS_PEAK
        if self._counts.any():
            below = np.searchsorted(np.cumsum(self._counts), 0.95 * self._counts.sum())
            loudest = max(loudest, min(math.ldexp(_ABOVE, min(int(below) - _MOST_EXPONENT, 1000)), _LOUDEST))
        too_large = int(self._counts[math.frexp(loudest)[1] + _MOST_EXPONENT :].sum())
        if not self._not_finite + too_large:
            return None
        return Ailing(loudest, self._not_finite, too_large, self._total)


def examined(frames: Iterator[av.AudioFrame]) -> Ailing | None:
    """What is wrong with the samples of frames; those of whole numbers are well."""
    examination = Examination()
    for frame in frames:
        if _is_float(frame):
            examination.take(frame.to_ndarray())
    return examination.result()


def cured(frames: Iterator[av.AudioFrame], ailing: Ailing) -> Iterator[av.AudioFrame]:
    """Yield frames with what is no sound set to zero."""
    for frame in frames:
        yield _cured(frame, ailing) if _is_float(frame) else frame


def _cured(frame: av.AudioFrame, ailing: Ailing) -> av.AudioFrame:
    samples = frame.to_ndarray()
    with np.errstate(invalid="ignore"):
        broken = ~(np.abs(samples) < ailing.loudest)
    if not broken.any():
        return frame
    samples[broken] = 0
    whole = av.AudioFrame.from_ndarray(samples, format=frame.format.name, layout=frame.layout.name)
    whole.sample_rate, whole.time_base, whole.pts = frame.sample_rate, frame.time_base, frame.pts
    return whole


def _is_float(frame: av.AudioFrame) -> bool:
    return frame.format.name.startswith(("flt", "dbl"))
