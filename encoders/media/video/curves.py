"""Curves of a video over time: motion, brightness, saturation and warmth, 12.5 values a second whatever its rate."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import cv2
import numpy as np

from encoders.media.video.footage import CURVE_RATE, CURVES

if TYPE_CHECKING:
    from numpy.typing import NDArray

_NEIGHBOURS = 2  # changes on either side of a cut whose median takes the place of the cut's own


class CurveTracer:
    """Takes frames in turn, of which it looks at 12.5 a second, and makes curves of them at the end."""

    def __init__(self) -> None:
        self._times_s: list[float] = []
        self._values: list[tuple[float, float, float, float]] = []
        self._grey: NDArray[np.uint8] | None = None

    def push(self, time_s: float, rgb: NDArray[np.uint8]) -> None:
        """Take a frame, uint8 [height, width, 3]; times increase, and all frames have one shape."""
        if self._times_s and self._is_early(time_s):
            return
        grey = np.asarray(cv2.cvtColor(rgb, cv2.COLOR_RGB2GRAY), np.uint8)
        motion = 0.0
        if self._grey is not None:
            motion = float(cv2.absdiff(grey, self._grey).mean()) / 255 / (time_s - self._times_s[-1])
        red, _, blue, _ = cv2.mean(rgb)
        saturation = cv2.mean(cv2.cvtColor(rgb, cv2.COLOR_RGB2HSV))[1] / 255
        self._grey = grey
        self._times_s.append(time_s)
        self._values.append((motion, float(grey.mean()) / 255, saturation, (red - blue) / 255 / 2))

    def _is_early(self, time_s: float) -> bool:
        """Whether the last frame was of the same step of the curves."""
        last_s = self._times_s[-1]
        return math.floor(time_s * CURVE_RATE + 1e-6) == math.floor(last_s * CURVE_RATE + 1e-6)

    def finish(self, duration_s: float, cuts_s: NDArray[np.float64], lit: float) -> dict[str, NDArray[np.float32]]:
        """Return the curves by name, float32 [max(1, ceil(duration · 12.5))], 0 to 1.

        Parameters
        ----------
        duration_s : of the clip
        cuts_s : float64 [k]; the change at a cut is no motion
        lit : share of the picture within black bars, which add nothing to any mean
        """
        times_s = np.array(self._times_s)
        motion, brightness, saturation, warmth = np.array(self._values).T / lit
        middles_s = times_s.copy()
        middles_s[1:] = (times_s[1:] + times_s[:-1]) / 2
        if times_s.size > 1:
            # The interval that ends at or behind a cut, and no other, holds its change.
            at_cut = np.zeros(times_s.size, bool)
            at_cut[np.minimum(np.searchsorted(times_s, cuts_s - 1e-6), times_s.size - 1)] = True
            at_cut[0] = True  # nothing is known of what came before the first frame
            motion = _mended(motion, at_cut)
        steps = max(1, math.ceil(duration_s * CURVE_RATE - 1e-6))
        grid_s = np.arange(steps) / CURVE_RATE
        curves = (
            np.interp(grid_s, middles_s, motion),
            np.interp(grid_s, times_s, brightness),
            np.interp(grid_s, times_s, saturation),
            np.interp(grid_s, times_s, warmth) + 0.5,
        )
        return {name: np.clip(curve, 0, 1).astype(np.float32) for name, curve in zip(CURVES, curves, strict=True)}


def _mended(values: NDArray[np.float64], broken: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Each broken value replaced by the median of its whole neighbours, 0 where it has none."""
    mended = values.copy()
    for index in np.flatnonzero(broken):
        near = slice(max(0, index - _NEIGHBOURS), index + _NEIGHBOURS + 1)
        whole = values[near][~broken[near]]
        mended[index] = np.median(whole) if whole.size else 0.0
    return mended
