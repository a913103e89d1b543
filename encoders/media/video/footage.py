"""What is known of a video's pictures once it was read; whoever makes something of videos reads this alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CURVE_RATE = 12.5
"""Values of a curve in a second, whatever the rate of the video."""

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".webm", ".mkv", ".avi", ".mpg", ".mpeg", ".ogv")
"""Of files that are taken for videos where a folder is looked through."""

FRAME_SIDE = 224
"""Pixels of a frame's side."""

CURVES = ("motion", "brightness", "saturation", "warmth")


@dataclass(frozen=True)
class VideoLimits:
    """How much of a video is read, and how large its pictures may be.

    Attributes
    ----------
    max_read_s : of a longer clip the first so many seconds are read, which `Footage.is_limited` tells
    max_pixels : pixels of a frame; 8K video and the largest pictures of telephones are below
    """

    max_read_s: float = 300.0
    max_pixels: int = 52_000_000


DEFAULT_VIDEO_LIMITS = VideoLimits()


@dataclass(frozen=True, eq=False)
class Footage:
    """A clip's pictures over time; all times in seconds from the start of the clip.

    Attributes
    ----------
    duration_s : what was read; 0 for a picture
    times_s : float64 [n], when each frame is shown, one a second; the first at or next to 0
    frames : uint8 [n, 224, 224, 3], RGB; without black bars, upright, the middle square
    rate : values of a curve in a second; value ``i`` is of time ``i / rate``
    motion : float32 [m], 0 to 1: mean absolute change of grey in a second, 1 for all of the range or more; across a
        cut that of its neighbourhood
    brightness : float32 [m], 0 to 1: mean luma (BT.601) within black bars
    saturation : float32 [m], 0 to 1: mean S of HSV
    warmth : float32 [m], 0 to 1: mean of (R − B) / 2 + .5; .5 is neutral
    cuts_s : float64 [k], first frame of each shot but the first; increasing
    has_sound : whether the file has an audio stream
    is_still : whether only one picture was found
    source_s : what the file says of its own length in seconds; None where it says nothing
    is_limited : whether the clip goes on where `VideoLimits.max_read_s` ended the reading
    intact : share of the frames and packets read that could be decoded without damage, 0 to 1
    """

    duration_s: float
    times_s: NDArray[np.float64]
    frames: NDArray[np.uint8]
    rate: float
    motion: NDArray[np.float32]
    brightness: NDArray[np.float32]
    saturation: NDArray[np.float32]
    warmth: NDArray[np.float32]
    cuts_s: NDArray[np.float64]
    has_sound: bool
    is_still: bool
    source_s: float | None = None
    is_limited: bool = False
    intact: float = 1.0
