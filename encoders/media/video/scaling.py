"""A decoded frame to a small upright RGB picture of 8 bits, whatever it was: rotated, 10-bit, HDR, tiny.

HDR (PQ of SMPTE ST 2084, HLG of ARIB STD-B67) is made linear, brought to the primaries of BT.709 (matrix of ITU-R
BT.2087), compressed above diffuse white (203 cd/m², ITU-R BT.2408) by Reinhard's extended curve, which takes 1,000
cd/m² to 1, and coded with gamma 2.2. It is done in the small picture, where it costs little.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

import av
import cv2
import numpy as np
from av.video.reformatter import Colorspace, ColorTrc, Interpolation, VideoReformatter

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TINY = 16  # pixels: below, swscale has too few for its filters
_LONGEST = 4  # of a frame's sides, the longer to the shorter; beyond, frames are squeezed
_WHITE_NITS = 203.0
_PEAK = 1000.0 / _WHITE_NITS
_LEVELS = 4096
_BT2020_TO_709 = np.array(
    [[1.6605, -0.5876, -0.0728], [-0.1246, 1.1329, -0.0083], [-0.0182, -0.1006, 1.1187]], np.float32
)
_CURVES = {int(ColorTrc.SMPTE2084): "pq", int(ColorTrc.ARIB_STD_B67): "hlg"}
_BT2020_MATRICES = frozenset({9, 10})
_UNKNOWN_MATRIX = 2
_HD_LINES = 720  # without a word on it, larger video is BT.709
_PLANAR = frozenset({"yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p"})
_GLIMPSE = (18, 32)
_LINES = 3  # of a frame that are averaged for one of the small picture; a frame that has more is thinned first


class Scaler:
    """Scales frames of one video; keeps swscale's tables from one frame to the next."""

    def __init__(self, interpolation: Interpolation) -> None:
        self._interpolation = interpolation
        self._reformatter = VideoReformatter()

    def scale(self, frame: av.VideoFrame, width: int, height: int) -> NDArray[np.uint8]:
        """Return a frame as uint8 [height, width, 3], RGB, not turned."""
        curve = _CURVES.get(int(frame.color_trc))
        tiny = min(frame.width, frame.height) < _TINY
        matrix = int(frame.colorspace)
        if matrix in _BT2020_MATRICES:
            colours: Colorspace | None = Colorspace.BT2020
        else:
            hd = matrix == _UNKNOWN_MATRIX and frame.height >= _HD_LINES and frame.format.name.startswith("yuv4")
            colours = Colorspace.ITU709 if hd else None
        # Planes are averaged in a tenth of the time that swscale takes for the frame, which is left what is small.
        is_plain = not curve and not tiny and frame.format.name in _PLANAR
        source = _averaged(frame, width, height) if is_plain and _is_ample(frame, width, height) else frame
        small = self._reformatter.reformat(
            source,
            width=frame.width if tiny else width,
            height=frame.height if tiny else height,
            format="rgb48le" if curve else "rgb24",
            src_colorspace=colours,
            interpolation=Interpolation.POINT if tiny else self._interpolation,
            threads=1,
        ).to_ndarray()
        rgb = from_hdr(np.asarray(small, np.uint16), curve) if curve else np.asarray(small, np.uint8)
        if tiny:
            rgb = np.asarray(cv2.resize(rgb, (width, height), interpolation=cv2.INTER_NEAREST), np.uint8)
        return rgb


def _is_ample(frame: av.VideoFrame, width: int, height: int) -> bool:
    """Whether a frame is at least twice as large, and its planes lie line after line."""
    ample = frame.width >= 2 * width and frame.height >= 2 * height
    return ample and all(plane.line_size >= plane.width for plane in frame.planes)


def _averaged(frame: av.VideoFrame, width: int, height: int) -> av.VideoFrame:
    """A small frame of the same colours, each plane of which is averaged from some of the lines of the large one's."""
    small = av.VideoFrame(width, height, "yuvj444p" if frame.format.name.startswith("yuvj") else "yuv444p")
    small.colorspace, small.color_range = frame.colorspace, frame.color_range
    for plane, target in zip(frame.planes, small.planes, strict=True):
        lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]
        lines = lines[:: max(1, plane.height // (_LINES * height))]
        into = np.frombuffer(memoryview(target), np.uint8).reshape(height, target.line_size)
        into[:, :width] = cv2.resize(lines, (width, height), interpolation=cv2.INTER_AREA)
    return small


def glimpse(frame: av.VideoFrame) -> NDArray[np.uint8] | None:
    """A few points of a frame's luma, uint8 [18, 32]; None where it has no plane of luma of 8 bits, or fewer points."""
    height, width = _GLIMPSE
    plane = frame.planes[0]
    if (
        frame.format.name not in _PLANAR
        or plane.height < height
        or plane.width < width
        or plane.line_size < plane.width
    ):
        return None
    lines = np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)
    rows, columns = (
        np.arange(n) * size // n + size // (2 * n) for n, size in ((height, plane.height), (width, plane.width))
    )
    points: NDArray[np.uint8] = lines[np.ix_(rows, columns)]
    return points


def upright(rgb: NDArray[np.uint8], rotation: int) -> NDArray[np.uint8]:
    """Turn a picture counterclockwise by the nearest multiple of 90°, as the file asks for."""
    return np.rot90(rgb, round(rotation / 90) % 4)


def size_for(frame: av.VideoFrame, pixel_aspect: float, short_side: int) -> tuple[int, int]:
    """Width and height in which a frame's shorter side is `short_side`, and its pixels are square."""
    width = frame.width * pixel_aspect
    scale = short_side / min(width, frame.height)
    most = short_side * _LONGEST
    return min(most, round(width * scale)), min(most, round(frame.height * scale))


def squared(rgb: NDArray[np.uint8], rows: slice, columns: slice, side: int) -> NDArray[np.uint8]:
    """Return the middle square of what lies within these rows and columns, as uint8 [side, side, 3]."""
    inside = rgb[rows, columns]
    height, width = inside.shape[:2]
    edge = min(height, width)
    top, left = (height - edge) // 2, (width - edge) // 2
    square = np.ascontiguousarray(inside[top : top + edge, left : left + edge])
    how = cv2.INTER_AREA if edge >= side else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(square, (side, side), interpolation=how), np.uint8)


def from_hdr(rgb: NDArray[np.uint16], curve: str) -> NDArray[np.uint8]:
    """Bring PQ or HLG in primaries of BT.2020, uint16 [..., 3], to what an ordinary screen shows, uint8 [..., 3]."""
    linear = _linear(curve)[rgb >> 4] @ _BT2020_TO_709.T
    np.clip(linear, 0, _PEAK, out=linear)
    shown: NDArray[np.uint8] = _display()[(linear * ((_LEVELS - 1) / _PEAK)).astype(np.uint16)]
    return shown


@cache
def _linear(curve: str) -> NDArray[np.float32]:
    """Light for each of 4,096 code values, 1 being diffuse white."""
    code = np.linspace(0, 1, _LEVELS)
    if curve == "pq":
        m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
        power = code ** (1 / m2)
        light = (np.maximum(power - c1, 0) / (c2 - c3 * power)) ** (1 / m1) * (10_000 / _WHITE_NITS)
    else:
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        scene = np.where(code <= 0.5, code**2 / 3, (np.exp((code - c) / a) + b) / 12)
        light = scene**1.2 * _PEAK  # the system gamma of a screen of 1,000 cd/m²
    return light.astype(np.float32)


@cache
def _display() -> NDArray[np.uint8]:
    """The code value for each of 4,096 steps of light up to the peak."""
    light = np.linspace(0, _PEAK, _LEVELS)
    shown = light * (1 + light / _PEAK**2) / (1 + light)
    # Diffuse white comes out at about half the light; what is graded for ordinary screens has it near the top.
    return np.round(255 * np.clip(shown, 0, 1) ** (1 / 2.2)).astype(np.uint8)
