"""Where one shot ends and the next begins: PySceneDetect's adaptive detector over small frames, and no flashes.

A frame is a candidate where it differs from the one before three times as much as its neighbours do from theirs, which
leaves pans and shaking alone. A flash, or anything that goes by within a third of a second, makes two candidates, after
which or before which the picture is what it was: these are none. Dissolves have no such frame and are not found.

Not every frame needs a look: of one between two that were looked at, a glimpse of its luma says on which side of a cut
it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from scenedetect import FrameTimecode
from scenedetect.detectors import AdaptiveDetector

if TYPE_CHECKING:
    from numpy.typing import NDArray

_CLOCK = 1000.0  # ticks a second: the detector's time code, whatever the rate
_WINDOW = 2  # neighbours on either side
_RATIO = 3.0
_LEAST_CHANGE = 15.0  # of 255, over hue, saturation and value
_FLASH_S = 0.35
_SAME = 0.5  # of the change at a candidate: what differs less is the picture from before
_SHORTEST_SHOT_S = 0.2
_THUMBNAIL = (32, 18)


class CutFinder:
    """Takes the frames of a video in turn and says at the end where the cuts are."""

    def __init__(self) -> None:
        self._detector = AdaptiveDetector(
            adaptive_threshold=_RATIO, min_scene_len=0, window_width=_WINDOW, min_content_val=_LEAST_CHANGE
        )
        self._times_s: list[float] = []
        self._thumbnails: list[NDArray[np.int16]] = []
        self._glimpses: dict[int, list[tuple[float, NDArray[np.uint8]]]] = {}
        self._candidates: set[int] = set()
        self._last: NDArray[np.uint8] | None = None
        self._ticks: dict[int, int] = {}

    def push(self, time_s: float, rgb: NDArray[np.uint8]) -> None:
        """Take a frame, uint8 [height, width, 3]; times increase, and all frames have one shape."""
        bgr = np.ascontiguousarray(rgb[..., ::-1])
        grey = cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY)
        self._thumbnails.append(cv2.resize(grey, _THUMBNAIL, interpolation=cv2.INTER_AREA).astype(np.int16))
        self._detect(round(time_s * _CLOCK), len(self._times_s), bgr)
        self._times_s.append(time_s)
        self._last = bgr

    def glimpse(self, time_s: float, luma: NDArray[np.uint8]) -> None:
        """Take a few points of any frame, uint8 [height, width] and always the same, before it is pushed if it is."""
        self._glimpses.setdefault(len(self._times_s), []).append((time_s, luma))

    def _detect(self, tick: int, index: int, bgr: NDArray[np.uint8]) -> None:
        self._ticks[tick] = index
        for found in self._detector.process_frame(FrameTimecode(tick, _CLOCK), bgr):
            self._candidates.add(self._ticks[found.frame_num])

    def finish(self) -> NDArray[np.float64]:
        """Return the times of the cuts, float64 [k], increasing."""
        if self._last is None:
            return np.empty(0)
        end = round(self._times_s[-1] * _CLOCK)
        for beyond in range(1, _WINDOW + 1):  # the detector looks at a frame once it has the frames behind it
            self._detect(end + beyond, len(self._times_s) - 1, self._last)
        cuts: list[float] = []
        for index in sorted(self._candidates):
            time_s = self._times_s[index]
            if index and not self._is_flash(index) and (not cuts or time_s - cuts[-1] >= _SHORTEST_SHOT_S):
                cuts.append(self._exact(index))
        return np.array(cuts, np.float64)

    def _exact(self, index: int) -> float:
        """The time of the first frame of a shot that is there when the frame `index` was looked at."""
        before, since = self._glimpses.get(index - 1, [])[-1:], self._glimpses.get(index, [])
        if not before or len(since) < 2:
            return self._times_s[index]
        lumas = np.stack([luma for _, luma in before + since]).astype(np.int16)
        return since[int(np.abs(np.diff(lumas, axis=0)).mean(axis=(1, 2)).argmax())][0]

    def _is_flash(self, index: int) -> bool:
        """Whether the picture soon is what it was before this frame, or this frame is what was there soon before."""
        times, pictures = self._times_s, self._thumbnails
        before, here = pictures[index - 1], pictures[index]
        most = _SAME * float(np.abs(here - before).mean())
        later = index + 1
        while later < len(times) and times[later] - times[index] <= _FLASH_S:
            if float(np.abs(pictures[later] - before).mean()) < most:
                return True
            later += 1
        earlier = index - 2
        while earlier >= 0 and times[index] - times[earlier] <= _FLASH_S:
            if float(np.abs(pictures[earlier] - here).mean()) < most:
                return True
            earlier -= 1
        return False
