"""Shots of pictures and patterns, put together as an edit says, and given one look."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from encoders.training.videos.families import FAMILIES, HEIGHT, WIDTH, Moment, palette
from encoders.training.videos.listening import FRAME_RATE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import ArrayLike, NDArray

    from encoders.training.videos.editing import Edit
    from encoders.training.videos.families import Draw
    from encoders.training.videos.pictures import Picture

SLIDESHOW, MONTAGE = "slideshow", "montage"
STYLES = (SLIDESHOW, MONTAGE, *FAMILIES)
_ZOOM_FOR = 8.0  # seconds of usual speed, after which what came closer goes back
_GLAD_HUE, _SAD_HUE = 0.09, 0.62  # orange, blue


@dataclass(frozen=True)
class Look:
    """What lies over a whole clip, whatever its music.

    Attributes
    ----------
    gamma, contrast, saturation : of the grade, 1 leaves all as it is
    bars : share of the height that is black above and below
    fade_in_s, fade_out_s : from and to black
    shake : pixels that the camera moves by at usual speed
    """

    gamma: float = 1.0
    contrast: float = 1.0
    saturation: float = 1.0
    bars: float = 0.0
    fade_in_s: float = 0.0
    fade_out_s: float = 0.0
    shake: float = 0.0


def some_look(rng: np.random.Generator) -> Look:
    """The look that chance takes."""
    return Look(
        gamma=float(np.exp(rng.normal(0, 0.15))),
        contrast=float(np.exp(rng.normal(0, 0.12))),
        saturation=0.0 if rng.random() < 0.05 else float(np.clip(rng.normal(1, 0.25), 0.2, 1.6)),
        bars=float(rng.choice([0.0, 0.06, 0.12], p=[0.75, 0.1, 0.15])),
        fade_in_s=float(rng.uniform(0.3, 1.5)) if rng.random() < 0.3 else 0.0,
        fade_out_s=float(rng.uniform(0.3, 2.0)) if rng.random() < 0.3 else 0.0,
        shake=float(rng.uniform(0.4, 2.0)) if rng.random() < 0.25 else 0.0,
    )


def film(
    edit: Edit, style: str, pictures: Sequence[Picture], look: Look, rng: np.random.Generator,
    families: Sequence[str] = tuple(FAMILIES),
) -> Iterator[NDArray[np.uint8]]:  # fmt: skip
    """Yield every frame of a clip, uint8 [144, 256, 3].

    Parameters
    ----------
    style : one of :data:`STYLES`
    pictures : what slideshows and montages show
    families : of which a montage takes its patterns
    """
    firsts = np.round(edit.cuts_s * FRAME_RATE).astype(int)
    shots = _shots(edit, style, pictures, rng, families)
    phases = np.cumsum(edit.speed, dtype=np.float64) / FRAME_RATE
    half = round(edit.habits.dissolve_s * FRAME_RATE / 2)
    shaking = _shaking(edit, look, rng)
    graded = _Grade(edit, look)
    for index in range(edit.frames):
        moment = Moment(float(phases[index]), float(edit.pulse[index]), float(edit.level[index]))
        shot = int(np.searchsorted(firsts, index, side="right"))
        frame = shots[shot](moment)
        near = int(np.abs(firsts - index).argmin()) if half and len(firsts) else 0
        if half and len(firsts) and abs(firsts[near] - index) < half:
            other = shots[near if shot > near else near + 1](moment)
            share = 0.5 + abs(int(firsts[near]) - index) / (2 * half)
            frame = np.asarray(cv2.addWeighted(frame, share, other, 1 - share, 0), np.uint8)
        if look.shake:
            moved = np.array([[1.03, 0, shaking[index, 0] - 4], [0, 1.03, shaking[index, 1] - 2]])
            frame = np.asarray(cv2.warpAffine(frame, moved, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT), np.uint8)
        yield graded(index, frame)


def _shots(
    edit: Edit, style: str, pictures: Sequence[Picture], rng: np.random.Generator, families: Sequence[str]
) -> list[Draw]:
    """One shot more than there are cuts."""
    count = len(edit.cuts_s) + 1
    patterned = np.full(count, style not in (SLIDESHOW, MONTAGE))
    if style == MONTAGE:
        patterned = rng.random(count) < rng.uniform(0.2, 0.7)
    chosen = _chosen(edit, pictures, int((~patterned).sum()), rng)
    kinds = list(families) if style == MONTAGE else [style]
    hue, spread = _hue(edit, rng), float(rng.uniform(0.1, 0.6))
    saturation = float(np.clip(0.35 + 0.5 * edit.mood.arousal + rng.normal(0, 0.2), 0.1, 1))
    starts = np.concatenate([[0], np.round(edit.cuts_s * FRAME_RATE).astype(int)])
    phases = np.cumsum(edit.speed, dtype=np.float64) / FRAME_RATE
    shots: list[Draw] = []
    for index in range(count):
        if patterned[index]:
            colours = palette(hue + float(rng.normal(0, 0.08)), saturation, spread, rng)
            shots.append(FAMILIES[str(rng.choice(kinds))](colours, rng))
        else:
            shots.append(_pan(chosen.pop(), float(phases[starts[index]]), rng))
    return shots


def _hue(edit: Edit, rng: np.random.Generator) -> float:
    """Hue of patterns: from blue to orange as the music is glad, or any."""
    if not edit.habits.warmth_follows or rng.random() < 0.3:
        return float(rng.random())
    share = float(np.clip(0.5 + edit.habits.warmth_follows * 1.6 * (edit.mood.valence - 0.5), 0, 1))
    return _SAD_HUE + share * (_GLAD_HUE - _SAD_HUE) * float(rng.choice([1, -0.88])) + float(rng.normal(0, 0.06))


def _chosen(edit: Edit, pictures: Sequence[Picture], count: int, rng: np.random.Generator) -> list[Picture]:
    """Pictures that fit the mood as far as the editor minds; none twice while there are others."""
    likes = np.array([[picture.brightness, picture.saturation, picture.warmth * 2 - 0.5] for picture in pictures])
    wanted = np.array([0.15 + 0.7 * edit.mood.valence, 0.1 + 0.7 * edit.mood.arousal, edit.mood.valence])
    chosen: list[Picture] = []
    while len(chosen) < count:
        # By the Gumbel trick the largest are drawn without replacement, each by its softmax.
        fitting = -12 * edit.habits.taste * ((likes - wanted) ** 2).sum(1) + rng.gumbel(size=len(pictures))
        chosen.extend(pictures[index] for index in np.argsort(-fitting)[: count - len(chosen)])
    return chosen


def _pan(picture: Picture, since: float, rng: np.random.Generator) -> Draw:
    """A window of the picture's shape that wanders over it, and a zoom, both as fast as things move."""
    height, width = picture.pixels.shape[:2]
    cover = max(WIDTH / width, HEIGHT / height)
    zoom_to = float(rng.choice([-1, 0, 1], p=[0.35, 0.2, 0.45])) * rng.uniform(0.02, 0.07)
    closeness = rng.uniform(1.08, 1.5) * (1.3 if zoom_to < 0 else 1.0)
    angle = rng.uniform(0, 2 * math.pi)
    going = rng.uniform(6, 36) * np.array([math.cos(angle), 0.5 * math.sin(angle)])
    start = rng.uniform(0.2, 0.8, 2)
    size, window = np.array([width, height]), np.array([WIDTH, HEIGHT])
    # Where it is counts in shares of the room that the zoom leaves, so that a zoom moves nothing else.
    going /= np.maximum(size - window / (cover * closeness * math.exp(zoom_to * _ZOOM_FOR / 2)), 10)
    jump = rng.uniform(0.04, 0.12)

    def draw(moment: Moment) -> NDArray[np.uint8]:
        gone = moment.phase - since
        close = closeness * math.exp(zoom_to * float(_turning(gone, _ZOOM_FOR))) * (1 + jump * moment.pulse)
        scale = cover * max(1.0, close)
        at = window / (2 * scale) + (size - window / scale) * _turning(start + going * gone, 1.0)
        moved = np.array([[scale, 0, WIDTH / 2 - scale * at[0]], [0, scale, HEIGHT / 2 - scale * at[1]]])
        return np.asarray(cv2.warpAffine(picture.pixels, moved, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REFLECT))

    return draw


def _turning(value: ArrayLike, end: float) -> NDArray[np.float64]:
    """What goes on steadily, and turns round at 0 and at an end."""
    return np.asarray(end * (1 - np.abs((np.asarray(value) / end) % 2 - 1)), np.float64)


def _shaking(edit: Edit, look: Look, rng: np.random.Generator) -> NDArray[np.float64]:
    """Offsets of a camera in a hand, in pixels, float64 [frames, 2]."""
    steps = rng.normal(size=(edit.frames, 2))
    for index in range(1, edit.frames):
        steps[index] += 0.8 * steps[index - 1]
    offsets: NDArray[np.float64] = look.shake * steps * np.sqrt(np.minimum(edit.speed, 4))[:, None] * 0.5
    return offsets


class _Grade:
    """Light, warmth, gamma, contrast and fades by one table of 256 values a channel; saturation and black bars."""

    def __init__(self, edit: Edit, look: Look) -> None:
        self._look, self._edit = look, edit
        values = np.linspace(0, 1, 256) ** look.gamma
        self._curve = np.clip(0.5 + (values - 0.5) * look.contrast, 0, 1)[:, None] * 255
        ramp = np.arange(edit.frames)
        self._light = edit.light.astype(np.float64)
        if look.fade_in_s:
            self._light *= np.clip(ramp / (look.fade_in_s * FRAME_RATE), 0, 1)
        if look.fade_out_s:
            self._light *= np.clip((edit.frames - 1 - ramp) / (look.fade_out_s * FRAME_RATE), 0, 1)
        self._bar = round(look.bars * HEIGHT)

    def __call__(self, index: int, frame: NDArray[np.uint8]) -> NDArray[np.uint8]:
        warm = float(self._edit.warmth[index])
        tint = np.array([1 + 0.22 * warm, 1 + 0.03 * warm, 1 - 0.22 * warm]) * self._light[index]
        table = np.minimum(self._curve * tint, 255).astype(np.uint8)
        if self._look.saturation != 1:
            grey = np.asarray(cv2.cvtColor(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB))
            frame = np.asarray(cv2.addWeighted(frame, self._look.saturation, grey, 1 - self._look.saturation, 0))
        graded = np.asarray(cv2.LUT(frame, table[None]), np.uint8)
        if self._bar:
            graded[: self._bar] = graded[HEIGHT - self._bar :] = 0
        return graded
