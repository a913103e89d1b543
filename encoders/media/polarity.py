"""Which channels to turn upside down, so that none cancels another where they are mixed to mono.

A file may hold a channel inverted (a cable, a careless edit): the average of such channels is what they differ in, or
silence. So the channels are added up with the signs that give the most power, and the plain average stands where no
other signs give more. Inverting any of the channels inverts its sign too, and the sum stays what it was.

One decision for all of a stream that has one format: signs that changed within it would tear the waveform. A shorter
stretch that is inverted by itself is heard as what its channels differ in.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping

    import av
    from numpy.typing import NDArray

Format = tuple[int, str, str]
"""Sample rate, sample format and layout of a frame."""
Signs = tuple[int, ...]
"""1 or -1 for each channel."""

# Every frame would cost a seventh of the decoding. From these, the correlation of 79 tracks was right to 0.006 (median)
# and 0.08 (at most), and its sign always.
_EVERY = 16
_NO_ARRAYS = ("s64", "s64p")  # PyAV makes none of them
_LONGEST = 2048  # samples of a frame
_AT_FIRST = 64  # a clip of a second has few frames, and all count
_MORE = 1.01  # times the power of the average: decoding once more for less is no gain
_MOST_CHANNELS = 12  # 7.1.4; all signs are tried


def frame_format(frame: av.AudioFrame) -> Format:
    """The format of a frame, to which the signs belong."""
    return frame.sample_rate, frame.format.name, frame.layout.name


class Polarity:
    """Collects how the channels of each format go together, from some of the frames of a stream."""

    def __init__(self) -> None:
        self._frames = 0
        self._moments: dict[Format, tuple[int, NDArray[np.float64], NDArray[np.float64]]] = {}

    def hear(self, frame: av.AudioFrame) -> None:
        """Take in one decoded frame of any format."""
        number, self._frames = self._frames, self._frames + 1
        channels = frame.layout.nb_channels
        if frame.format.name in _NO_ARRAYS:
            return
        if not 1 < channels <= _MOST_CHANNELS or (number >= _AT_FIRST and number % _EVERY):
            return
        every: NDArray[Any] = frame.to_ndarray()
        every = every if frame.format.is_planar else every.reshape(-1, channels).T
        samples = np.ascontiguousarray(every[:, :_LONGEST], np.float32)
        kind, nothing = frame_format(frame), (0, np.zeros(channels), np.zeros((channels, channels)))
        count, sums, products = self._moments.get(kind, nothing)
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is refused once all is decoded
            sums, products = sums + samples.sum(axis=1), products + samples @ samples.T
        self._moments[kind] = (count + samples.shape[1], sums, products)

    def signs(self) -> Mapping[Format, Signs]:
        """The signs that give the most power, for the formats where that is more than the average has."""
        found = {}
        for kind, (count, sums, products) in self._moments.items():
            signs = np.array(list(itertools.product((1, -1), repeat=len(sums) - 1)))
            signs = np.column_stack([np.ones(len(signs), int), signs])
            with np.errstate(invalid="ignore"):
                covariance = products - np.outer(sums, sums) / count
                powers = np.einsum("ki,ij,kj->k", signs, covariance, signs, optimize=True)
            if powers.max() > _MORE * max(powers[0], 0.0):
                found[kind] = tuple(signs[powers.argmax()].tolist())
        return found
