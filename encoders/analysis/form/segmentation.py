"""Curves and features of a track → its sections, on two levels.

Parts and phrases begin on downbeats, or where there are none, on a grid of half seconds. Which, is one optimum over the
whole track, found by dynamic programming over (place, function): the functions' curves inside a section, the boundary
curve and the change of the features at its edges, and how many bars it has, each with a weight that was chosen on songs
that trained nothing. Before that, each step's functions are mixed with those of the steps that sound like it (Wang,
Smith, Lu & Song, ISMIR 2021: the features are learned so that equal sections lie near), so that equal parts are named
alike. A track begins with an intro or without one, and ends so with an outro; neither stands elsewhere.

A track of hours is heard at a coarser step, so that time and memory stay bounded.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from encoders.analysis.findings import COARSE, FINE, SECTION_LABELS, Section
from encoders.analysis.form.grouping import grouped

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from encoders.analysis.findings import Rhythm

INTRO, OUTRO, SILENCE = (SECTION_LABELS.index(label) for label in ("intro", "outro", "silence"))
_NAMED = tuple(number for number in range(len(SECTION_LABELS)) if number != SILENCE)
_GRID_S, _MOST_PLACES, _MOST_SECTIONS = 0.5, 8000, 1500
_FEWEST_BARS = 4
_NEAR_S = 0.45
_AROUND_S = 5.0
_MOST_KEYS = 1500
_AT_ONCE = 1500
_NEVER = -1e9


@dataclass(frozen=True, eq=False)
class Curves:
    """What a network says of each step of a track.

    Attributes
    ----------
    parts, phrases : float64 [T], probability that one begins there
    functions : float64 [T, 7], probability of each of :data:`encoders.analysis.findings.SECTION_LABELS`
    embeddings : float64 [T, dim], norm 1; what sounds alike lies near
    step_s : step n is about ``(n + 0.5) · step_s``
    """

    parts: NDArray[np.float64]
    phrases: NDArray[np.float64]
    functions: NDArray[np.float64]
    embeddings: NDArray[np.float64]
    step_s: float

    @property
    def centres_s(self) -> NDArray[np.float64]:
        """Times of the steps, float64 [T]."""
        return np.asarray((np.arange(len(self.parts)) + 0.5) * self.step_s, np.float64)

    @cached_property
    def novelty(self) -> NDArray[np.float64]:
        """How different what follows is from what went before, 0 … 2, where each step begins, float64 [T + 1]."""
        n_steps = len(self.parts)
        sums = np.concatenate([np.zeros((1, self.embeddings.shape[1])), np.cumsum(self.embeddings, axis=0)])
        here, around = np.arange(n_steps + 1), max(1, round(_AROUND_S / self.step_s))
        before = sums[here] - sums[(here - around).clip(0)]
        behind = sums[(here + around).clip(None, n_steps)] - sums[here]
        norms = np.linalg.norm(before, axis=1) * np.linalg.norm(behind, axis=1)
        novelty: NDArray[np.float64] = 1 - np.einsum("pd,pd->p", before, behind) / norms.clip(1e-9)
        novelty[[0, -1]] = 0.0
        return novelty


@dataclass(frozen=True)
class Weights:
    """What counts how much, against the log-probability of a function over a second.

    Attributes
    ----------
    functions : of a second of a function
    boundary, bias : of a boundary's log-odds, raised by `bias`
    novelty : of the features' change at a boundary, 0 … 2
    bars : of a length of four bars or a multiple of it; half of it for two
    shortest_s, longest_s : of a section
    mixed, sharpness : share of what similar steps say, and how similar they must be
    """

    functions: float = 0.1
    boundary: float = 1.0
    bias: float = 0.5
    novelty: float = 2.0
    bars: float = 0.0
    shortest_s: float = 6.0
    longest_s: float = 100.0
    mixed: float = 0.5
    sharpness: float = 12.0


PARTS = Weights()
PHRASES = Weights(functions=0.0, novelty=4.0, bars=1.0, shortest_s=4.0, longest_s=60.0)


@dataclass(frozen=True, eq=False)
class Grid:
    """Where sections may begin.

    Attributes
    ----------
    times_s : float64 [n + 1], ascending, the start and the end among them
    bars : int64 [n + 1], the bar that begins there; a place without a bar counts as the next
    """

    times_s: NDArray[np.float64]
    bars: NDArray[np.int64] | None


def sections_of(
    curves: Curves,
    rhythm: Rhythm,
    duration_s: float,
    silences: Sequence[tuple[float, float]] = (),
    weights: tuple[Weights, Weights] = (PARTS, PHRASES),
) -> tuple[Section, ...]:
    """Sections of both levels, each level without gap from 0 to the end; none of a track without length.

    Parameters
    ----------
    silences : (start, end) in seconds of what nobody hears, ascending; these are sections by themselves
    weights : of the parts, and of the phrases
    """
    if duration_s <= 0:
        return ()
    of_parts, of_phrases = weights
    mixed = _mixed(curves, of_parts)
    parts, phrases = [], []
    stretches = _stretches(silences, duration_s)
    for number, (start, end, silent) in enumerate(stretches):
        if silent:
            parts.append((start, end, SILENCE))
            phrases.append((start, end, SILENCE))
            continue
        grid = _grid(rhythm, start, end, duration_s)
        ends = number == 0 or (number == 1 and stretches[0][2]), number >= len(stretches) - 2 + (not stretches[-1][2])
        found = _parts(curves, mixed, grid, of_parts, ends, duration_s)
        parts += [(float(grid.times_s[i]), float(grid.times_s[j]), function) for i, j, function in found]
        for i, j, function in found:
            inner = Grid(grid.times_s[i : j + 1], None if grid.bars is None else grid.bars[i : j + 1])
            edges = _phrases(curves, inner, of_phrases, duration_s)
            phrases += [(float(inner.times_s[a]), float(inner.times_s[b]), function) for a, b in edges]
    return (*_described(parts, COARSE, curves), *_described(phrases, FINE, curves))


def _stretches(silences: Sequence[tuple[float, float]], duration_s: float) -> list[tuple[float, float, bool]]:
    """Silence and sound by turns, from 0 to the end."""
    stretches, now = [], 0.0
    for start, end in silences:
        start, end = max(now, start), min(end, duration_s)
        if end <= start:
            continue
        if start > now:
            stretches.append((now, start, False))
        stretches.append((start, end, True))
        now = end
    return [*stretches, (now, duration_s, False)] if now < duration_s else stretches


def _grid(rhythm: Rhythm, start: float, end: float, duration_s: float) -> Grid:
    """Downbeats, going on at the same distance where the rhythm has none yet or no more."""
    downbeats = rhythm.downbeats_s
    if len(downbeats) < _FEWEST_BARS:
        step = max(_GRID_S, duration_s / _MOST_PLACES)
        inner = np.arange(np.floor(start / step) + 1, np.ceil(end / step)) * step
        return Grid(np.array([start, *inner, end]), None)
    bar = float(np.median(np.diff(downbeats)))
    gaps = np.diff(downbeats, prepend=downbeats[0] - bar)
    filled = [
        np.linspace(at - gap, at, max(1, round(gap / bar)) + 1)[1:] for at, gap in zip(downbeats, gaps, strict=True)
    ]
    before = np.arange(downbeats[0] - bar, start, -bar)[::-1]
    behind = np.arange(downbeats[-1] + bar, end, bar)
    every = np.concatenate([before, *filled, behind])
    every = every[:: max(1, round(len(every) / _MOST_PLACES))]
    inner = every[(every > start + bar / 4) & (every < end - bar / 4)]
    # What stands before the first bar of the stretch is as good as in it.
    late = len(inner) > 0 and inner[0] - start < 0.75 * bar
    return Grid(np.array([start, *inner, end]), np.arange(len(inner) + 2) - int(late) * (np.arange(len(inner) + 2) > 0))


def _mixed(curves: Curves, weights: Weights) -> NDArray[np.float64]:
    """Log-probabilities of functions, where those of similar steps have a say, float64 [T, 7]."""
    every = max(1, -(-len(curves.parts) // _MOST_KEYS))
    keys, said = curves.embeddings[::every], curves.functions[::every]
    around = np.empty_like(curves.functions)
    for first in range(0, len(around), _AT_ONCE):
        similar = np.exp(weights.sharpness * (curves.embeddings[first : first + _AT_ONCE] @ keys.T - 1))
        around[first : first + _AT_ONCE] = similar @ said / similar.sum(axis=1, keepdims=True).clip(1e-12)
    logs: NDArray[np.float64] = (1 - weights.mixed) * np.log(curves.functions.clip(1e-4)) + weights.mixed * np.log(
        around.clip(1e-4)
    )
    return logs


def _parts(
    curves: Curves,
    mixed: NDArray[np.float64],
    grid: Grid,
    weights: Weights,
    ends: tuple[bool, bool],
    duration_s: float,
) -> list[tuple[int, int, int]]:
    """(first place, last place, function), with equal neighbours merged."""
    named = list(_NAMED)
    inside = weights.functions * _integrated(mixed[:, named], curves.step_s, grid.times_s)
    edges = _edges(curves, curves.parts, grid.times_s, weights)
    first, last = np.zeros(len(named)), np.zeros(len(named))
    first[named.index(OUTRO)], last[named.index(INTRO)] = _NEVER, _NEVER
    follows = np.zeros((len(named), len(named)))
    np.fill_diagonal(follows, _NEVER)
    follows[:, named.index(INTRO)] = follows[named.index(OUTRO), :] = _NEVER
    for place, number in ((0, INTRO), (1, OUTRO)):
        if not ends[place]:
            inside[:, named.index(number)] += _NEVER * np.arange(len(inside))
    path = _best_path(inside, edges, grid, weights, (first, follows, last), duration_s)
    return [(i, j, named[function]) for i, j, function in path]


def _phrases(curves: Curves, grid: Grid, weights: Weights, duration_s: float) -> list[tuple[int, int]]:
    edges = _edges(curves, curves.phrases, grid.times_s, weights)
    free = np.zeros(1), np.zeros((1, 1)), np.zeros(1)
    return [(i, j) for i, j, _ in _best_path(np.zeros((len(edges), 1)), edges, grid, weights, free, duration_s)]


def _integrated(values: NDArray[np.float64], step_s: float, times_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """Integral from 0 to each of the times, float64 [times, columns]."""
    sums = np.concatenate([np.zeros((1, values.shape[1])), np.cumsum(values, axis=0)]) * step_s
    at = np.arange(len(sums)) * step_s
    return np.stack([np.interp(times_s, at, column) for column in sums.T], axis=1)


def _edges(
    curves: Curves, curve: NDArray[np.float64], times_s: NDArray[np.float64], weights: Weights
) -> NDArray[np.float64]:
    """What a boundary at each place is worth, float64 [places]."""
    odds = np.log(curve.clip(1e-4, 1 - 1e-4)) - np.log1p(-curve.clip(1e-4, 1 - 1e-4))
    near = [np.interp(times_s + shift, curves.centres_s, odds) for shift in (-_NEAR_S, 0.0, _NEAR_S)]
    steps = np.rint(times_s / curves.step_s).astype(int).clip(0, len(curve))
    novelty = curves.novelty[steps]
    worth: NDArray[np.float64] = weights.boundary * (np.max(near, axis=0) + weights.bias) + weights.novelty * novelty
    return worth


def _best_path(
    inside: NDArray[np.float64],
    edges: NDArray[np.float64],
    grid: Grid,
    weights: Weights,
    order: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    duration_s: float,
) -> list[tuple[int, int, int]]:
    """Cut the grid into sections so that the sum of what they are worth is largest.

    Parameters
    ----------
    inside : float64 [places, functions], integral of what each function is worth, up to each place
    edges : float64 [places], what a boundary is worth there
    order : of functions, what it is worth to be the first [functions], to follow another [functions, functions], and to
        be the last [functions]
    """
    first, follows, last = order
    times_s, n_functions = grid.times_s, inside.shape[1]
    shortest_s = max(weights.shortest_s, duration_s / _MOST_SECTIONS)
    longest_s = max(weights.longest_s, 4 * shortest_s)
    best = np.full((len(times_s), n_functions), _NEVER * 10)
    came = np.zeros((len(times_s), n_functions, 2), int)
    # What it is worth to begin a function at a place, and which one was before.
    begun, before = np.full_like(best, _NEVER * 10), np.zeros(best.shape, int)
    begun[0] = first
    for place in range(1, len(times_s)):
        since = int(np.searchsorted(times_s, times_s[place] - longest_s))
        until = int(np.searchsorted(times_s, times_s[place] - shortest_s, side="right"))
        # The last section may be too short, rather than none.
        since, until = (0, 1) if place == len(times_s) - 1 and until <= 0 else (min(since, max(0, until - 1)), until)
        if until <= since:
            continue
        worth = begun[since:until] + inside[place] - inside[since:until]
        if grid.bars is not None and weights.bars:
            worth = worth + weights.bars * _even(grid.bars[place] - grid.bars[since:until])[:, None]
        chosen = worth.argmax(axis=0)
        best[place] = worth[chosen, np.arange(n_functions)]
        came[place, :, 0] = since + chosen
        following = best[place][:, None] + follows
        before[place] = following.argmax(axis=0)
        begun[place] = following.max(axis=0) + edges[place]
    place, function = len(times_s) - 1, int((best[-1] + last).argmax())
    path: list[tuple[int, int, int]] = []
    while place > 0:
        start = int(came[place, function, 0])
        path.append((start, place, function))
        place, function = start, int(before[start, function])
    return path[::-1]


def _even(bars: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.where(bars % 4 == 0, 1.0, np.where(bars % 2 == 0, 0.5, 0.0))


def _described(sections: Sequence[tuple[float, float, int]], level: int, curves: Curves) -> list[Section]:
    """Sections with their groups, and how sure their functions are."""
    edges = np.array([start for start, _, _ in sections] + [sections[-1][1]])
    spans = np.diff(edges)[:, None].clip(1e-9)
    means = np.diff(_integrated(curves.functions, curves.step_s, edges), axis=0) / spans
    sounds = np.diff(_integrated(curves.embeddings, curves.step_s, edges), axis=0)
    functions = [function for _, _, function in sections]
    sounds[[function == SILENCE for function in functions]] = np.eye(1, sounds.shape[1])  # all silence is alike
    letters = grouped(sounds, [function == SILENCE for function in functions])
    return [
        Section(
            start,
            end,
            level,
            SECTION_LABELS[function],
            letter,
            1.0 if function == SILENCE else float(np.clip(mean[function], 0, 1)),
        )
        for (start, end, function), mean, letter in zip(sections, means, letters, strict=True)
    ]
