"""Highlights: the 15 to 30 seconds that represent a track.

How much each moment stands for the track is summed up from what the form says of its section (a chorus, how surely;
how much of the track sounds alike), from how often the moment itself comes back, and from how loud it is. A highlight
begins where a section or at least a bar does, and better where something new does.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from encoders.analysis.findings import COARSE, Highlight
from encoders.analysis.form.features import HOP_S, SILENCE_DB, flux_at, grid_of, steps_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from encoders.analysis.findings import Rhythm, Section
    from encoders.analysis.form.features import Sound, Steps

MOST_HIGHLIGHTS = 3
SHORTEST_S, LONGEST_S = 15.0, 30.0

_FUNCTIONS = {"chorus": 1.0, "verse": 0.4, "bridge": 0.4, "inst": 0.4, "intro": 0.1, "outro": 0.0, "silence": 0.0}
_FUNCTION, _GROUP, _REPETITION, _ENERGY = 0.4, 0.15, 0.15, 0.3
"""Weights of what a moment is worth."""
_START, _END, _NOVELTY, _LENGTH = 0.1, 0.05, 0.05, 0.02
"""What it is worth to begin and to end with a section, to begin with something new, and to be longer."""
_ON_BOUNDARY_S = 0.3
_ALIKE = 0.5  # squared distance at which likeness has sunk to 1/e
_MOST_COMPARED = 600  # steps of a track that its repetition is judged by


def highlights(sound: Sound, rhythm: Rhythm, sections: Sequence[Section]) -> tuple[Highlight, ...]:
    """Find the stretches that represent a track, none overlapping another, the best first.

    What is no longer than the longest highlight is one as a whole; silence has none.
    """
    if sound.is_silent:
        return ()
    if sound.duration_s <= LONGEST_S:
        return (Highlight(0.0, sound.duration_s, 1.0),)
    coarse = [section for section in sections if section.level == COARSE]
    boundaries = np.array(sorted({0.0} | {section.start_s for section in coarse}))
    starts, ends, scores = _scored(sound, _places(sound, rhythm, boundaries), boundaries, _worth(sound, rhythm, coarse))
    found: list[Highlight] = []
    for best in np.argsort(-scores, kind="stable"):
        start_s, end_s = float(starts[best]), float(ends[best])
        if all(end_s <= other.start_s or start_s >= other.end_s for other in found):
            found.append(Highlight(start_s, end_s, float(np.clip(scores[best], 0, 1))))
        if len(found) == MOST_HIGHLIGHTS:
            break
    return tuple(found)


def _places(sound: Sound, rhythm: Rhythm, boundaries: NDArray[np.float64]) -> NDArray[np.float64]:
    """Where a highlight may begin or end: downbeats, or steps where there are none; starts of sections; the end."""
    grid = grid_of(rhythm, sound.duration_s)
    bars = grid.times_s[grid.positions == 1]
    return np.unique(np.concatenate([bars, boundaries, [sound.duration_s]]))


def _scored(
    sound: Sound, places: NDArray[np.float64], boundaries: NDArray[np.float64], worth: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Start, end and score of every stretch that may be a highlight, each float64 [stretches]."""
    first = np.searchsorted(places, places + SHORTEST_S)
    behind = np.searchsorted(places, places + LONGEST_S, "right")
    starts = np.repeat(np.arange(len(places)), behind - first)
    ends = np.arange(len(starts)) - np.repeat(np.cumsum(behind - first) - behind, behind - first)
    if not len(starts):  # bars longer than all this
        start_s = float(np.clip(HOP_S * worth.argmax(), 0, sound.duration_s - LONGEST_S))
        return np.array([start_s]), np.array([start_s + LONGEST_S]), np.array([worth.max()])
    flux = flux_at(sound, places)
    novelty = flux / max(float(flux.max()), 1e-9)
    on_boundary = np.abs(places[:, None] - boundaries).min(axis=1) <= _ON_BOUNDARY_S
    on_boundary |= places == sound.duration_s
    total = np.concatenate([[0.0], np.cumsum(worth)])
    edges = np.round(places / HOP_S).astype(int).clip(0, len(worth))
    means = (total[edges[ends]] - total[edges[starts]]) / np.maximum(edges[ends] - edges[starts], 1)
    lengths = (places[ends] - places[starts] - SHORTEST_S) / (LONGEST_S - SHORTEST_S)
    bonus = _START * on_boundary[starts] + _NOVELTY * novelty[starts] + _END * on_boundary[ends] + _LENGTH * lengths
    most = _START + _NOVELTY + _END + _LENGTH
    return places[starts], places[ends], (means + bonus) / (1 + most)


def _worth(sound: Sound, rhythm: Rhythm, sections: Sequence[Section]) -> NDArray[np.float64]:
    """How much each frame stands for the track, 0 … 1, float64 [frames]."""
    frames = len(sound.loudness_db)
    times_s = np.arange(frames) * HOP_S
    heard = sound.loudness_db > SILENCE_DB
    ranks = np.searchsorted(np.sort(sound.loudness_db), sound.loudness_db) / frames
    smooth = np.convolve(ranks, np.ones(31) / 31, "same")
    worth = _ENERGY * smooth + _REPETITION * _repetition(sound, rhythm)
    if sections:
        starts = np.array([section.start_s for section in sections])
        of_frame = np.searchsorted(starts, times_s, "right").clip(1) - 1
        function = np.array([_function(section) for section in sections])
        shares: dict[str, float] = {}
        for section in sections:
            shares[section.group] = shares.get(section.group, 0.0) + section.end_s - section.start_s
        share = np.array([shares[section.group] for section in sections]) / max(shares.values())
        worth += _FUNCTION * function[of_frame] + _GROUP * share[of_frame]
    else:
        worth /= _ENERGY + _REPETITION
    return np.asarray(worth * heard)


def _function(section: Section) -> float:
    """What the label of a section is worth: as much as it is sure, else what labels are worth on average."""
    average = 0.4
    return section.confidence * _FUNCTIONS[section.label] + (1 - section.confidence) * average


def _repetition(sound: Sound, rhythm: Rhythm) -> NDArray[np.float64]:
    """How much of the track is like each frame, 0 … 1 at its most repeated, float64 [frames]."""
    grid = grid_of(rhythm, sound.duration_s)
    vectors = _in_context(steps_of(sound, grid))
    compared = vectors[:: -(-len(vectors) // _MOST_COMPARED)]
    squares = np.einsum("ij,ij->i", vectors, vectors)[:, None] + np.einsum("ij,ij->i", compared, compared)
    alike = np.exp(-np.maximum(squares - 2 * vectors @ compared.T, 0) / _ALIKE).mean(axis=1, dtype=np.float64)
    times_s = np.arange(len(sound.chroma)) * HOP_S
    of_frame = np.searchsorted(grid.times_s, times_s, "right").clip(1, len(vectors)) - 1
    return np.asarray(alike[of_frame] / alike.max())


def _in_context(steps: Steps) -> NDArray[np.float32]:
    """Each step with the three after it, float32 [n, dim]: a bar rather than a beat."""
    vectors = steps.vectors / 2
    last = np.arange(len(vectors))
    return np.concatenate([vectors[(last + ahead).clip(max=len(vectors) - 1)] for ahead in range(4)], axis=1)
