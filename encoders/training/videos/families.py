"""Families of patterns that a computer draws: each makes, of some chance, a function from a moment to a frame.

What a pattern does is a function of its own time (`phase`), which runs faster where motion is, and of what jumps.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

WIDTH, HEIGHT = 256, 144
_MIDDLE = (WIDTH / 2, HEIGHT / 2)
_SUBPIXELS = 4  # bits of a coordinate behind the point, as OpenCV draws


@dataclass(frozen=True)
class Moment:
    """What drives a frame: own time in seconds of usual speed, how much jumps and how loud it is, both 0 … 1."""

    phase: float
    pulse: float
    level: float


Draw = Callable[[Moment], "NDArray[np.uint8]"]
"""From a moment to a frame, uint8 [144, 256, 3]."""


def palette(hue: float, saturation: float, spread: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """256 colours, uint8 [256, 3] from dark to light: hues around one (turns of the circle), `spread` apart."""
    steps = np.linspace(0, 1, 256)
    hues = (hue + spread * (steps - 0.5) + 0.04 * rng.normal()) % 1.0
    hsv = np.stack(
        [
            hues * 179,
            255 * saturation * (1 - 0.55 * steps**3),
            255 * (0.06 + 0.94 * steps ** rng.uniform(0.7, 1.2)),
        ],
        axis=1,
    )
    rgb: NDArray[np.uint8] = np.asarray(cv2.cvtColor(hsv[None].astype(np.uint8), cv2.COLOR_HSV2RGB), np.uint8)[0]
    return rgb


def plasma(colours: NDArray[np.uint8], rng: np.random.Generator) -> Draw:
    """Soft blobs of a sum of waves."""
    y, x = np.mgrid[0:72, 0:128].astype(np.float32) / 72
    fx, fy, fr = rng.uniform(2, 7, 3)
    distance = np.hypot(x - rng.uniform(0.3, 1.5), y - rng.uniform(0.2, 0.8)).astype(np.float32) * fr

    def draw(moment: Moment) -> NDArray[np.uint8]:
        time = np.float32(moment.phase * 1.3)
        waves = np.sin(x * fx + time) + np.sin(y * fy - time * 0.7) + np.sin(distance * (2 + moment.pulse) - time * 1.6)
        value = (waves * (32 + 8 * moment.level) + 128).astype(np.uint8)
        return _coloured(value, colours)

    return draw


def tunnel(colours: NDArray[np.uint8], rng: np.random.Generator) -> Draw:
    """A flight through a tube."""
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    dx, dy = x - _MIDDLE[0] + rng.uniform(-30, 30), y - _MIDDLE[1] + rng.uniform(-15, 15)
    radius = np.hypot(dx, dy) + 4
    depth = (rng.uniform(1500, 4000) / radius).astype(np.float32)
    angle = np.arctan2(dy, dx) / (2 * math.pi) * 256 * int(rng.integers(1, 5))
    shade = np.clip(radius / 65, 0.1, 1).astype(np.float32)
    twist, waves = rng.uniform(-30, 30), float(rng.integers(3, 9))

    def draw(moment: Moment) -> NDArray[np.uint8]:
        time = np.float32(moment.phase * 60)
        rings = (depth + time).astype(np.int32) & 63
        spokes = (angle + np.float32(moment.phase * twist) + depth * np.float32(waves / 9)).astype(np.int32) & 127
        value = (rings * 2 + spokes) * (shade * np.float32(0.7 + 0.4 * moment.pulse))
        return _coloured(np.minimum(value, 255), colours)

    return draw


def stars(colours: NDArray[np.uint8], rng: np.random.Generator) -> Draw:
    """Stars that fly by."""
    count = int(rng.integers(80, 180))
    start = rng.uniform(-1, 1, (count, 2)) * np.array([90, 60])
    depth = rng.uniform(0, 1, count)
    shades = colours[rng.integers(150, 256, count)]
    ground = colours[int(rng.integers(0, 30))]

    def draw(moment: Moment) -> NDArray[np.uint8]:
        frame = np.empty((HEIGHT, WIDTH, 3), np.uint8)
        frame[:] = ground
        near = 1 - (depth + moment.phase * 0.25) % 1.0 * 0.96
        ends = start / near[:, None] + _MIDDLE
        tails = start / (near * (1.03 + 0.08 * moment.level))[:, None] + _MIDDLE
        for end, tail, close, shade in zip(ends, tails, near, shades, strict=True):
            if -20 < end[0] < WIDTH + 20 and -20 < end[1] < HEIGHT + 20:
                colour = tuple((shade * (1.15 - 0.9 * close)).tolist())
                thick = 1 + int(2.2 * (1 - close) + 1.5 * moment.pulse)
                cv2.line(frame, _at(*tail), _at(*end), colour, thick, cv2.LINE_AA, _SUBPIXELS)
        return frame

    return draw


def particles(colours: NDArray[np.uint8], rng: np.random.Generator) -> Draw:
    """Dots of light that rise or fall and sway."""
    count = int(rng.integers(30, 90))
    home, own = rng.uniform(0, 1, (count, 2)), rng.uniform(0.3, 1, count)
    sway = rng.uniform(0, 2 * math.pi, count)
    rise = float(rng.choice([-1, 1])) * rng.uniform(0.1, 0.25)
    shades = [tuple(shade.tolist()) for shade in colours[rng.integers(110, 256, count)]]
    sizes = rng.uniform(1.5, 6, count) * (1 + 1.5 * (rng.random() < 0.3))
    ground = _shaded(colours, rng)

    def draw(moment: Moment) -> NDArray[np.uint8]:
        frame = ground.copy()
        x = (home[:, 0] + 0.05 * np.sin(moment.phase * 0.9 + sway)) * WIDTH
        y = ((home[:, 1] + rise * own * moment.phase) % 1.1 - 0.05) * HEIGHT
        for at_x, at_y, size, shade in zip(x, y, sizes * (0.8 + 0.9 * moment.pulse), shades, strict=True):
            cv2.circle(frame, _at(at_x, at_y), int(size * (1 << _SUBPIXELS)), shade, -1, cv2.LINE_AA, _SUBPIXELS)
        return frame

    return draw


def shapes(colours: NDArray[np.uint8], rng: np.random.Generator) -> Draw:
    """Polygons and discs that bounce within the picture and turn."""
    count = int(rng.integers(3, 9))
    home, going = rng.uniform(0, 2, (count, 2)), rng.normal(0, 0.35, (count, 2))
    corners, sizes = rng.integers(3, 9, count), rng.uniform(9, 30, count)
    turning = rng.normal(0, 1, count)
    shades = [tuple(shade.tolist()) for shade in colours[rng.integers(90, 256, count)]]
    ground = _shaded(colours, rng)

    def draw(moment: Moment) -> NDArray[np.uint8]:
        frame = ground.copy()
        # A triangular wave: what meets a side turns round.
        at = np.abs((home + going * moment.phase) % 2 - 1) * np.array([WIDTH, HEIGHT])
        for index in range(count):
            size = sizes[index] * (0.8 + 0.7 * moment.pulse)
            angles = turning[index] * moment.phase + np.arange(corners[index]) * 2 * math.pi / corners[index]
            points = at[index] + size * np.stack([np.cos(angles), np.sin(angles)], axis=1)
            cv2.fillPoly(frame, [_all_at(points)], shades[index], cv2.LINE_AA, _SUBPIXELS)
        return frame

    return draw


def bars(colours: NDArray[np.uint8], rng: np.random.Generator) -> Draw:
    """Bars that dance, as an equaliser's."""
    count = int(rng.integers(8, 32))
    pace, start = rng.uniform(1, 4, count), rng.uniform(0, 2 * math.pi, count)
    tall = rng.uniform(0.4, 1, count)
    shades = [tuple(shade.tolist()) for shade in colours[np.linspace(110, 250, count).astype(int)]]
    ground, mirrored = _shaded(colours, rng), bool(rng.random() < 0.5)
    step = WIDTH / count

    def draw(moment: Moment) -> NDArray[np.uint8]:
        frame = ground.copy()
        heights = tall * (0.35 + 0.3 * np.sin(pace * moment.phase + start)) * (0.4 + 0.6 * moment.level)
        for index, height in enumerate((heights + 0.35 * moment.pulse * tall) * HEIGHT):
            left, right = int(index * step + 1), int((index + 1) * step - 2)
            top, bottom = (_MIDDLE[1] - height / 2, _MIDDLE[1] + height / 2) if mirrored else (HEIGHT - height, HEIGHT)
            cv2.rectangle(frame, (left, int(top)), (right, int(bottom)), shades[index], -1)
        return frame

    return draw


def hills(colours: NDArray[np.uint8], rng: np.random.Generator) -> Draw:
    """Waves or hills, one behind the other, that go by at different speeds."""
    layers = int(rng.integers(3, 7))
    across = np.linspace(-8, WIDTH + 8, 40)
    wave, start = rng.uniform(0.012, 0.045, layers), rng.uniform(0, 2 * math.pi, layers)
    shades = [tuple(shade.tolist()) for shade in colours[np.linspace(170, 40, layers).astype(int)]]
    ground, sun = _shaded(colours[::-1], rng), rng.uniform(0.15, 0.85, 2) * np.array([WIDTH, 60])
    light = tuple(colours[250].tolist())

    def draw(moment: Moment) -> NDArray[np.uint8]:
        frame = ground.copy()
        size = 12 + 8 * moment.pulse
        cv2.circle(frame, _at(*sun), int(size * (1 << _SUBPIXELS)), light, -1, cv2.LINE_AA, _SUBPIXELS)
        for index in range(layers):
            gone = across * wave[index] + start[index] + moment.phase * (0.3 + 0.35 * index)
            swell = (7 + 9 * moment.level + 6 * moment.pulse) * (np.sin(gone) + 0.4 * np.sin(2.3 * gone))
            line = HEIGHT * (0.42 + 0.5 * index / layers) + swell
            points = np.stack([across, line], axis=1)
            points = np.concatenate([points, [[WIDTH + 8, HEIGHT + 8], [-8, HEIGHT + 8]]])
            cv2.fillPoly(frame, [_all_at(points)], shades[index], cv2.LINE_AA, _SUBPIXELS)
        return frame

    return draw


def kaleidoscope(colours: NDArray[np.uint8], rng: np.random.Generator) -> Draw:
    """A pattern mirrored around the middle."""
    y, x = np.mgrid[0:72, 0:128].astype(np.float32)
    dx, dy = x - 63.5, y - 35.5
    sides = int(rng.integers(3, 8))
    angle = np.abs((np.arctan2(dy, dx) / (2 * math.pi) * sides) % 1.0 - 0.5).astype(np.float32) * 2 * math.pi / sides
    radius = np.hypot(dx, dy).astype(np.float32)
    map_x, map_y = radius * np.cos(angle), radius * np.sin(angle)
    blocks = rng.integers(0, 256, (14, 14)).astype(np.uint8)
    tile = np.asarray(cv2.resize(blocks, (160, 160), interpolation=cv2.INTER_CUBIC))
    tile = np.concatenate([tile, tile[:, ::-1]], axis=1)
    tile = np.concatenate([tile, tile[::-1]], axis=0)
    going = rng.normal(0, 1, 2)
    going *= 14 / max(0.3, float(np.hypot(*going)))

    def draw(moment: Moment) -> NDArray[np.uint8]:
        zoom = np.float32(1.25 - 0.3 * moment.pulse)
        off_x, off_y = (going * moment.phase % 320).astype(np.float32)
        value = cv2.remap(tile, map_x * zoom + off_x, map_y * zoom + off_y, cv2.INTER_LINEAR, None, cv2.BORDER_WRAP)
        return _coloured(value, colours)

    return draw


def flow(colours: NDArray[np.uint8], rng: np.random.Generator) -> Draw:
    """Threads drawn along a field that turns slowly."""
    count = 90
    home = rng.uniform(0, 1, (count, 2)) * np.array([WIDTH, HEIGHT])
    bend = rng.uniform(0.015, 0.045, 2)
    start = rng.uniform(0, 2 * math.pi, 2)
    shades = [tuple(shade.tolist()) for shade in colours[rng.integers(100, 256, count)]]
    ground, steps = _shaded(colours, rng), 9

    def draw(moment: Moment) -> NDArray[np.uint8]:
        frame = ground.copy()
        points, path = home, [home]
        for _ in range(steps):
            heading = 1.6 * (
                np.sin(points[:, 0] * bend[0] + start[0] + moment.phase * 0.9)
                + np.cos(points[:, 1] * bend[1] + start[1] - moment.phase * 0.6)
            )
            points = points + (3 + 4 * moment.level) * np.stack([np.cos(heading), np.sin(heading)], axis=1)
            path.append(points)
        threads = np.round(np.stack(path, axis=1) * (1 << _SUBPIXELS)).astype(np.int32)
        thick = 1 + int(2.5 * moment.pulse)
        for thread, shade in zip(threads, shades, strict=True):
            cv2.polylines(frame, [thread], False, shade, thick, cv2.LINE_8, _SUBPIXELS)
        return frame

    return draw


FAMILIES = {
    "plasma": plasma, "tunnel": tunnel, "stars": stars, "particles": particles, "shapes": shapes, "bars": bars,
    "hills": hills, "kaleidoscope": kaleidoscope, "flow": flow,
}  # fmt: skip


def _coloured(values: NDArray[Any], colours: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Values 0 … 255, at least of a quarter of the pixels, as colours, uint8 [144, 256, 3]."""
    if values.shape != (HEIGHT, WIDTH):
        values = cv2.resize(values, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    coloured: NDArray[np.uint8] = np.take(colours, values.astype(np.uint8), axis=0)
    return coloured


def _shaded(colours: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A ground that goes from one dark colour to another, uint8 [144, 256, 3]."""
    ends = rng.integers(0, 90, 2)
    column = colours[np.linspace(ends[0], ends[1], HEIGHT).astype(int)]
    return np.ascontiguousarray(np.broadcast_to(column[:, None], (HEIGHT, WIDTH, 3)))


def _at(x: float, y: float) -> tuple[int, int]:
    return round(x * (1 << _SUBPIXELS)), round(y * (1 << _SUBPIXELS))


def _all_at(points: NDArray[np.float64]) -> NDArray[np.int32]:
    return np.round(points * (1 << _SUBPIXELS)).astype(np.int32)
