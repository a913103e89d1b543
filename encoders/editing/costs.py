"""What a jump from one beat to another costs: how unlike what comes then is to what would have come.

A jump from point i to point j is heard as the sound before i followed by the sound from j on. It is the better, the
more the sound around i is like that around j, the less the sound changes at the seam, and the more alike tempo and
function of the sections are. The unit is about what two bars of a track that have nothing to do with each other differ
by.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from encoders.analysis.findings import COARSE
from encoders.analysis.form.features import HOP_S, steps_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from encoders.analysis.findings import Section
    from encoders.analysis.form.features import Grid, Sound

LEAST_JUMP = 8
"""Beats that a jump leaves out or repeats, at least."""

_BASE = 0.3
"""What a jump costs in any case: fewer of them are better."""
_BEFORE, _AFTER = 4, 4
_FLUX, _TEMPO, _SECTION = 0.3, 2.0, 0.3
_FLOOR_DB = 60.0  # below the loudest frame


@dataclass(frozen=True, eq=False)
class JumpCosts:
    """Costs of jumps between the points of a grid.

    Attributes
    ----------
    total : float32 [points, points], from row to column; infinite where there must be no jump
    parts : each of what it is made of, float32 [points, points]
    """

    total: NDArray[np.float32]
    parts: dict[str, NDArray[np.float32]]

    def parts_of(self, start: int, landing: int) -> dict[str, float]:
        """What one jump's cost is made of."""
        return {"jump": _BASE} | {name: float(part[start, landing]) for name, part in self.parts.items()}


def jump_costs(sound: Sound, grid: Grid, sections: Sequence[Section], *, least_jump: int) -> JumpCosts:
    """Say what every jump between points of a grid costs.

    Only points of equal position in their bars are jumped between, and none that are nearer than `least_jump` points.
    """
    parts = {name: _around(part) for name, part in steps_of(sound, grid).parts.items()}
    parts["flux"] = _flux(sound, grid)
    if grid.has_beats:
        parts["tempo"] = _tempo(grid)
    if sections:
        parts["section"] = _sections(grid, [section for section in sections if section.level == COARSE])
    total = np.full((len(grid.times_s),) * 2, _BASE, np.float32)
    for part in parts.values():
        total += part
    points = np.arange(len(grid.times_s))
    apart = np.abs(points[:, None] - points) >= least_jump
    in_place = (grid.positions[:, None] == grid.positions) & (grid.positions > 0)
    total[~(apart & in_place)] = np.inf
    # Nothing follows the end and nothing comes before the start: neither is there to jump to or from, nor to fade with.
    total[:, [0, -1]] = np.inf
    total[[0, -1]] = np.inf
    return JumpCosts(total, parts)


def _around(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean squared distance of the steps around each point to those around another, float32 [n + 1, n + 1]."""
    steps = len(vectors)
    squares = np.einsum("ij,ij->i", vectors, vectors)
    apart = np.maximum(squares[:, None] + squares - 2 * vectors @ vectors.T, 0)
    total = np.zeros((steps + 1, steps + 1), np.float32)
    weights = np.zeros((steps + 1, steps + 1), np.float32)
    for offset in range(-_BEFORE, _AFTER):  # from point p on come the steps p, p + 1, …
        weight = np.float32(1 / (1 + (offset if offset >= 0 else -1 - offset)))
        first, last = max(0, -offset), min(steps, steps - 1 - offset)
        if last < first:
            continue
        points = slice(first, last + 1)
        there = slice(first + offset, last + 1 + offset)
        total[points, points] += weight * apart[there, there]
        weights[points, points] += weight
    return np.asarray(total / np.maximum(weights, 1e-6))


def _flux(sound: Sound, grid: Grid) -> NDArray[np.float32]:
    """How much louder the bands get at a jump, in terms of what three quarters of the points do not exceed."""
    last = len(sound.bands_db) - 1
    bands = np.maximum(sound.bands_db, float(sound.loudness_db.max()) - _FLOOR_DB)
    before = bands[np.floor(grid.times_s / HOP_S - 0.5).astype(np.int64).clip(0, last)]
    after = bands[np.ceil(grid.times_s / HOP_S + 0.5).astype(np.int64).clip(0, last)]
    usual = np.percentile(np.maximum(after - before, 0).mean(axis=1), 75) + 1e-3
    flux = np.empty((len(before), len(after)), np.float32)
    for row, quiet in enumerate(before):
        flux[row] = np.maximum(after - quiet, 0).mean(axis=1)
    return np.asarray(flux * np.float32(_FLUX / usual))


def _tempo(grid: Grid) -> NDArray[np.float32]:
    """How unlike the lengths of the beats around two points are: a jump must not change the tempo."""
    lengths = np.log(np.diff(grid.times_s))
    padded = np.pad(lengths, (_BEFORE, _AFTER), mode="reflect" if len(lengths) > _BEFORE else "edge")
    local = np.median(np.lib.stride_tricks.sliding_window_view(padded, _BEFORE + _AFTER), axis=1)[: len(lengths) + 1]
    return np.asarray(_TEMPO * np.abs(local[:, None] - local), np.float32)


def _sections(grid: Grid, sections: Sequence[Section]) -> NDArray[np.float32]:
    """How unlike the functions of what comes and of what would have come are; half of it where both begin there."""
    if not sections:
        return np.zeros((len(grid.times_s),) * 2, np.float32)
    starts = np.array([section.start_s for section in sections])
    nearest = np.abs(grid.times_s[:, None] - starts).min(axis=1)
    begins = nearest <= 0.3
    at = np.searchsorted(starts, grid.times_s + 0.3, "right").clip(1) - 1
    labels = np.unique([section.label for section in sections], return_inverse=True)[1][at]
    groups = np.unique([section.group for section in sections], return_inverse=True)[1][at]
    unlike = 1.0 - 0.5 * (labels[:, None] == labels)
    unlike[groups[:, None] == groups] = 0.0
    return np.asarray(_SECTION * unlike * np.where(begins[:, None] & begins, 0.5, 1.0), np.float32)
