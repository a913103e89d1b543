"""Pictures that slideshows are made of, small enough that hundreds stay in memory."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from encoders.training.corpus import CorpusError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray

SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")
_COVERS = (420, 236)  # width and height that a picture covers, so that there is something to pan over
_MOST_ASIDE = 2.2  # of those: the rest of a panorama is cut off
_CUT_OUT = 0.85  # of that is taken by what has no ground of its own
_FEWEST_HOLES = 0.05


@dataclass(frozen=True, eq=False)
class Picture:
    """A picture, uint8 [height, width, 3] in RGB, and what it is like: brightness, saturation, warmth, each 0 … 1."""

    name: str
    pixels: NDArray[np.uint8]
    brightness: float
    saturation: float
    warmth: float


def read_pictures(folders: Sequence[Path]) -> tuple[Picture, ...]:
    """All pictures under some folders, by path. Cut-out ones are laid upon a colour that goes with them.

    Raises
    ------
    CorpusError
        If a picture cannot be read, or there is none.
    """
    paths = sorted(path for folder in folders for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not paths:
        looked = ", ".join(map(str, folders)) or "no folder"
        raise CorpusError(f"{looked}: no picture in it (accepted: {' '.join(SUFFIXES)})")
    return tuple(_read(path) for path in paths)


def _read(path: Path) -> Picture:
    try:
        content = np.fromfile(path, np.uint8)
        pixels = cv2.imdecode(content, cv2.IMREAD_UNCHANGED) if len(content) else None
    except (OSError, cv2.error) as error:
        raise CorpusError(f"{path}: unreadable picture: {error}") from error
    if pixels is None or pixels.ndim not in (2, 3):
        raise CorpusError(f"{path}: unreadable picture (accepted: {' '.join(SUFFIXES)})")
    if pixels.dtype != np.uint8:
        pixels = cv2.convertScaleAbs(pixels, alpha=255 / 65535)
    if pixels.ndim == 2:
        pixels = cv2.cvtColor(pixels, cv2.COLOR_GRAY2BGR)
    if pixels.shape[2] == 4:
        pixels = _upon_colour(np.asarray(pixels, np.uint8))
    rgb = _covering(np.asarray(pixels, np.uint8))[..., ::-1]
    return described(os.fspath(path.name), np.ascontiguousarray(rgb, np.uint8))


def described(name: str, pixels: NDArray[np.uint8]) -> Picture:
    """A picture, uint8 [height, width, 3], and what it is like."""
    saturation = float(cv2.cvtColor(pixels, cv2.COLOR_RGB2HSV)[..., 1].mean()) / 255
    red, green, blue = (float(value) / 255 for value in pixels.reshape(-1, 3).mean(0))
    return Picture(name, pixels, 0.3 * red + 0.59 * green + 0.11 * blue, saturation, 0.5 + (red - blue) / 2)


def _covering(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Scaled so that it covers what pans need, its middle part where it is very wide or very high."""
    height, width = pixels.shape[:2]
    scale = max(_COVERS[0] / width, _COVERS[1] / height)
    most = (_COVERS[0] * _MOST_ASIDE / scale, _COVERS[1] * _MOST_ASIDE / scale)
    left, top = (max(0, int(side - limit) // 2) for side, limit in zip((width, height), most, strict=True))
    pixels = pixels[top : height - top or None, left : width - left or None]
    size = tuple(max(low, round(side * scale)) for low, side in zip(_COVERS, pixels.shape[1::-1], strict=True))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC))


def _upon_colour(bgra: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """A picture without its alpha; a cut-out one lies in the middle of a pale complement of its mean colour."""
    alpha = bgra[..., 3:].astype(np.float32) / 255
    if alpha.mean() > 1 - _FEWEST_HOLES:
        return bgra[..., :3]
    height, width = bgra.shape[:2]
    scale = min(side * _CUT_OUT / length for side, length in zip(_COVERS, (width, height), strict=True))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    # Where nothing is seen the colour may be anything: it must not bleed into the edges.
    seen = cv2.resize(bgra[..., :3] * alpha, size, interpolation=cv2.INTER_AREA)
    cover = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)[..., None]
    mean = seen.sum((0, 1)) / max(float(cover.sum()), 1.0)
    shade = np.linspace(1.1, 0.75, _COVERS[1])[:, None, None]
    ground = np.broadcast_to(np.clip((290 - mean) * shade, 20, 235), (_COVERS[1], _COVERS[0], 3)).copy()
    left, top = (_COVERS[0] - size[0]) // 2, (_COVERS[1] - size[1]) // 2
    place = ground[top : top + size[1], left : left + size[0]]
    place[:] = seen + (1 - cover) * place
    return np.asarray(np.clip(ground, 0, 255), np.uint8)
