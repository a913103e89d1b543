"""Songs as the structure network learns them: features, what is true of each step, and how songs are made others.

A song is cut at its phrases and put together anew: parts left out, repeated, or in another order; what each is for is
then asked again (:func:`encoders.training.songs.playing.score.functions_of`). It is made slower or faster, higher or
lower; silence stands around it, it fades, noise covers what is soft, and bands are missing.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby, pairwise
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from encoders.analysis.findings import SECTION_LABELS
from encoders.models.music.spectra import N_SEMITONES
from encoders.models.music.structure import FEATURE_RATE, FRAMES_A_STEP, N_BANDS, STEP_S
from encoders.training.songs.playing.score import functions_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from numpy.typing import NDArray

UNKNOWN = -1
SILENCE = SECTION_LABELS.index("silence")
_LONGEST = 650
_FLOOR = -1.0
_WIDTH_S = 0.5
_NOWHERE_ELSE = "xX"
_DOUBT = 3

Phrase = tuple[int, int, str]
"""First frame, the frame behind the last, and letter."""


@dataclass(frozen=True, eq=False)
class Song:
    """A song with what is known of it.

    Attributes
    ----------
    features : float16 [168, frames], as :func:`encoders.models.music.structure.features_of` makes them
    phrases : one behind the other
    functions : of the phrases, empty where it is not known; none if they follow from the letters
    doubtful : frames about which nothing is said of boundaries
    """

    name: str
    features: NDArray[np.float16]
    phrases: Sequence[Phrase]
    functions: Sequence[str] | None = None
    doubtful: Sequence[int] = ()


@dataclass(frozen=True, eq=False)
class Example:
    """What is heard and what is true, of T steps.

    Attributes
    ----------
    features : float32 [168, 3 T]
    boundaries : float32 [T, 2], of parts and of phrases, 0 … 1; NaN where it is not known
    functions : int64 [T], of :data:`SECTION_LABELS`; `UNKNOWN` where it is not known
    letters : int64 [T]; equal ones sound alike. `UNKNOWN` where it is not known
    related : int64 [T]; equal ones of different letters may sound alike, or not
    """

    features: Tensor
    boundaries: Tensor
    functions: Tensor
    letters: Tensor
    related: Tensor


def song_of(name: str, phrases: Iterable[tuple[float, float, str]], features: NDArray[np.float16]) -> Song | None:
    """A song whose phrases, as (start, end, letter) in seconds, are known; none if it has none."""
    rounded = [(round(start * FEATURE_RATE), round(end * FEATURE_RATE), letter) for start, end, letter in phrases]
    return Song(name, features, rounded) if rounded else None


def example(song: Song, rng: np.random.Generator, *, changed: bool) -> Example:
    """A song to learn from: as it is, or changed by chance. Parts move only where functions follow from letters."""
    features, phrases, doubtful = torch.from_numpy(song.features).float(), list(song.phrases), list(song.doubtful)
    functions = list(song.functions or functions_of([letter for *_, letter in phrases]))
    before = behind = 0
    if changed:
        if song.functions is None and rng.random() < 0.6:
            phrases, functions = _put_together(phrases, functions, rng)
            features, phrases = _cut(features, phrases)
        ratio = float(np.exp(rng.uniform(-0.18, 0.18)))
        features = F.interpolate(features[None], scale_factor=ratio, mode="linear")[0]
        phrases = [(round(start * ratio), round(end * ratio), letter) for start, end, letter in phrases]
        doubtful = [round(frame * ratio) for frame in doubtful]
        features = _heard(features, rng)
        before, behind = (int(rng.integers(5, 40)) * int(rng.random() < 0.12) for _ in range(2))
    features = F.pad(features, (before, behind), value=_FLOOR)
    phrases = [(start + before, end + before, letter) for start, end, letter in phrases]
    made = _true(features, phrases, functions, before // FRAMES_A_STEP, behind // FRAMES_A_STEP)
    for frame in doubtful:
        step = (frame + before) // FRAMES_A_STEP
        made.boundaries[max(0, step - _DOUBT) : step + _DOUBT + 1] = torch.nan
    return _cropped(made, rng) if len(made.functions) > _LONGEST else made


def _put_together(
    phrases: list[Phrase], functions: list[str], rng: np.random.Generator
) -> tuple[list[Phrase], list[str]]:
    """Another order of parts, and what they are for in it."""
    numbers = [list(run) for _, run in groupby(range(len(phrases)), key=lambda number: functions[number])]
    kind, first, second = rng.random(), *rng.integers(len(numbers), size=2)
    if kind < 0.3 and len(numbers) > 3:
        del numbers[first]
    elif kind < 0.6:
        numbers.insert(second, numbers[first])
    elif kind < 0.75 and len(numbers) > 4:
        numbers = numbers[: len(numbers) - 2] if first % 2 else numbers[2:]
    else:
        numbers[first], numbers[second] = numbers[second], numbers[first]
    chosen = [phrases[number] for run in numbers for number in run]
    return chosen, functions_of([letter for *_, letter in chosen])


def _cut(features: Tensor, phrases: Sequence[Phrase]) -> tuple[Tensor, list[Phrase]]:
    pieces = [features[:, start:end] for start, end, _ in phrases]
    edges = np.cumsum([0, *(piece.shape[1] for piece in pieces)])
    return torch.cat(pieces, dim=1), [
        (int(s), int(e), p[2]) for (s, e), p in zip(pairwise(edges), phrases, strict=True)
    ]


def _heard(features: Tensor, rng: np.random.Generator) -> Tensor:
    """Played higher, softer, in noise, by others."""
    changed = features.clone()
    semitones, bands, flux = changed[:N_SEMITONES], changed[N_SEMITONES:-N_BANDS], changed[-N_BANDS:]
    steps = int(rng.integers(-5, 7))
    semitones = semitones.roll(steps, dims=0)
    semitones[: max(0, steps)] = _FLOOR
    semitones[N_SEMITONES + min(0, steps) :] = _FLOOR
    if rng.random() < 0.15:
        flux = torch.zeros_like(flux)
    level = torch.cat([semitones, bands])
    length = level.shape[1]
    if rng.random() < 0.25:  # it fades out
        fading = int(rng.integers(20, 120))
        level[:, -fading:] -= torch.linspace(0, float(rng.uniform(0.3, 1.0)), level[:, -fading:].shape[1])
    level = level * float(rng.uniform(0.8, 1.2))
    if rng.random() < 0.4:
        level = torch.maximum(level, torch.tensor(rng.uniform(-0.9, -0.4), dtype=torch.float32))
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    level = level.clamp(min=_FLOOR) + float(rng.uniform(0, 0.08)) * torch.randn(level.shape, generator=generator)
    for _ in range(int(rng.integers(0, 3))):
        width = int(rng.integers(3, 20))
        first = int(rng.integers(0, len(level) - width))
        level[first : first + width] = _FLOOR
    for _ in range(int(rng.integers(0, 3))):
        first = int(rng.integers(0, max(1, length - 20)))
        level[:, first : first + int(rng.integers(2, 15))] += float(rng.uniform(-0.3, 0.2))
    return torch.cat([level, flux])


def _true(features: Tensor, phrases: Sequence[Phrase], functions: Sequence[str], before: int, behind: int) -> Example:
    """Put to each step what is true of it; so many steps of silence stand before and behind."""
    steps = features.shape[1] // FRAMES_A_STEP
    names = np.full(steps, UNKNOWN)
    letters, related = np.full(steps, UNKNOWN), np.full(steps, UNKNOWN)
    for number, ((start, end, letter), function) in enumerate(zip(phrases, functions, strict=True)):
        where = slice(*((2 * edge + FRAMES_A_STEP) // (2 * FRAMES_A_STEP) for edge in (start, end)))
        names[where] = SECTION_LABELS.index(function) if function else UNKNOWN
        letters[where] = 1000 + number if letter in _NOWHERE_ELSE else ord(letter)
        related[where] = ord(letter.lower())
    names[:before], names[steps - behind :] = SILENCE, SILENCE
    starts = [start for start, _, _ in phrases]
    parts = [starts[number] for number in range(1, len(phrases)) if functions[number] != functions[number - 1]]
    edges = [*([starts[0]] if before else []), *([phrases[-1][1]] if behind else [])]
    boundaries = np.stack([_pulses([*parts, *edges], steps), _pulses([*starts[1:], *edges], steps)], axis=1)
    known = slice(
        0 if before else starts[0] // FRAMES_A_STEP + 2,
        steps if behind else max(0, phrases[-1][1] // FRAMES_A_STEP - 2),
    )
    unknown = np.ones(steps, bool)
    unknown[known] = False
    boundaries[unknown] = np.nan
    return Example(
        features[:, : FRAMES_A_STEP * steps],
        torch.from_numpy(boundaries).float(),
        *(torch.from_numpy(each.astype(np.int64)) for each in (names, letters, related)),
    )


def _pulses(frames: Sequence[int], steps: int) -> NDArray[np.float64]:
    times_s = np.array(frames, np.float64)[:, None] / FEATURE_RATE
    centres_s = (np.arange(steps) + 0.5) * STEP_S
    pulses: NDArray[np.float64] = np.exp(-0.5 * ((centres_s - times_s) / _WIDTH_S) ** 2).max(axis=0, initial=0.0)
    return pulses


def _cropped(made: Example, rng: np.random.Generator) -> Example:
    first = int(rng.integers(0, len(made.functions) - _LONGEST + 1))
    where = slice(first, first + _LONGEST)
    return Example(
        made.features[:, FRAMES_A_STEP * first : FRAMES_A_STEP * (first + _LONGEST)],
        made.boundaries[where],
        made.functions[where],
        made.letters[where],
        made.related[where],
    )
