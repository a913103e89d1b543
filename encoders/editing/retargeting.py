"""A track made any length: planned, cut and joined."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from encoders.editing.plan import Jump, Plan
from encoders.editing.planning import draft
from encoders.editing.seams import flux, fluxes
from encoders.editing.splicing import Edit, edit_of, rendered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from encoders.analysis.findings import Highlight, Rhythm, Section
    from encoders.analysis.form.features import Grid, Sound
    from encoders.editing.planning import Draft
    from encoders.media.native import NativeAudio

_MOST_COMPARED = 400  # places that the flux of seams is compared with


@dataclass(frozen=True, eq=False)
class Track:
    """What is known of a track that is to be edited.

    Attributes
    ----------
    audio : as its file holds it
    sound : how it sounds, of the waveform that rhythm and sections were found in
    """

    audio: NativeAudio
    sound: Sound
    rhythm: Rhythm
    sections: Sequence[Section]


@dataclass(frozen=True, eq=False)
class Retargeted:
    """A track of another length: the plan, and its sound."""

    plan: Plan
    audio: NativeAudio


def retargeted(track: Track, duration_s: float, *, keep: Highlight | None = None) -> Retargeted:
    """Make a track as long as asked, to the sample.

    It begins with the track's beginning and ends with its end; between them it jumps from beat to beat, as seldom and
    as smoothly as it can. Without beats it jumps by steps of half a second.

    Raises
    ------
    RetargetError
        If no such length can be made, or not with the highlight in it.
    """
    drafted = draft(track.sound, track.rhythm, track.sections, duration_s, keep)
    edit = edit_of(track.audio, drafted, duration_s)
    audio = rendered(track.audio, edit)
    plan = Plan(
        requested_s=duration_s,
        sample_rate=audio.sample_rate,
        channels=audio.samples.shape[1],
        length=edit.length,
        unit="beats" if drafted.grid.has_beats else "steps",
        segments=edit.segments,
        jumps=_jumps(track, drafted, edit, audio),
        trimmed=edit.trimmed,
        padded=edit.padded,
        tail_fade_length=edit.tail_fade_length,
        kept_s=None if keep is None else (keep.start_s, keep.end_s),
    )
    return Retargeted(plan, audio)


def _jumps(track: Track, drafted: Draft, edit: Edit, audio: NativeAudio) -> tuple[Jump, ...]:
    if not edit.splices:
        return ()
    rate = audio.sample_rate
    own = np.sort(fluxes(track.audio.samples, rate, compared(drafted.grid, rate)))
    jumps = []
    for splice, segment, (cost, parts) in zip(edit.splices, edit.segments[1:], drafted.jump_costs, strict=False):
        change = flux(audio.samples, rate, segment.output_start)
        percentile = 100.0 * np.searchsorted(own, change) / len(own)
        jumps.append(
            Jump(
                splice.from_sample,
                splice.to_sample,
                cost,
                parts,
                splice.fade_length,
                splice.shift,
                splice.correlation,
                float(percentile),
            )
        )
    return tuple(jumps)


def compared(grid: Grid, sample_rate: int) -> NDArray[np.int64]:
    """The places, in samples, whose flux a seam is compared with: downbeats, or steps where there are none."""
    downbeats = grid.times_s[grid.positions == 1]
    places = downbeats if len(downbeats) else grid.times_s
    every = -(-len(places) // _MOST_COMPARED)
    return np.round(places[::every] * sample_rate).astype(np.int64)
