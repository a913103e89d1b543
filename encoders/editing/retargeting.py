"""A track made any length: planned, cut and joined."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from encoders.analysis.form.features import grid_of
from encoders.editing.plan import Jump, Plan
from encoders.editing.planning import LONGEST_S, draft
from encoders.editing.seams import REACH_S, flux, fluxes
from encoders.editing.splicing import edit_of, rendered, seam_of
from encoders.errors import RetargetError
from encoders.media.native import MOST_BYTES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from encoders.analysis.findings import Highlight, Rhythm, Section
    from encoders.analysis.form.features import Grid, Sound
    from encoders.editing.planning import Draft
    from encoders.editing.splicing import Edit, Splice
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
    _check_size(track.audio, duration_s)
    own = _Own(track)

    def heard(drafted: Draft) -> list[float]:
        return [own.percentile(splice) for splice in edit_of(track.audio, drafted, duration_s).splices]

    drafted = draft(track.sound, track.rhythm, track.sections, duration_s, keep, heard=heard)
    edit = edit_of(track.audio, drafted, duration_s)
    audio = rendered(track.audio, edit)
    plan = Plan(
        requested_s=duration_s,
        sample_rate=audio.sample_rate,
        channels=audio.samples.shape[1],
        length=edit.length,
        unit="beats" if drafted.grid.has_beats else "steps",
        segments=edit.segments,
        jumps=_jumps(own, drafted, edit),
        trimmed=edit.trimmed,
        padded=edit.padded,
        tail_fade_length=edit.tail_fade_length,
        kept_s=None if keep is None else (keep.start_s, keep.end_s),
    )
    return Retargeted(plan, audio)


def _check_size(audio: NativeAudio, duration_s: float) -> None:
    """Refuse what would fill the disk: channels and rates are the file's, which anybody may have made."""
    a_second = audio.sample_rate * audio.samples.shape[1] * audio.samples.itemsize
    if duration_s <= LONGEST_S and duration_s * a_second > MOST_BYTES:  # longer ones are refused for what they are
        reason = f"{duration_s:g} seconds of this file take more than {MOST_BYTES >> 30} GiB"
        raise RetargetError("duration_s", reason, f"at most {int(MOST_BYTES / a_second)} seconds")


class _Own:
    """A track's own changes of sound, which those at its seams are compared with."""

    def __init__(self, track: Track) -> None:
        self._audio = track.audio
        self._grid = grid_of(track.rhythm, track.sound.duration_s)

    @cached_property
    def _fluxes(self) -> NDArray[np.float64]:
        rate = self._audio.sample_rate
        return np.sort(fluxes(self._audio.samples, rate, compared(self._grid, rate)))

    def percentile(self, splice: Splice) -> float:
        """Share of them that a jump's is not less than, 0 … 100."""
        seam, place = seam_of(self._audio, splice, REACH_S)
        change = flux(seam, self._audio.sample_rate, place)
        return 100.0 * int(np.searchsorted(self._fluxes, change)) / len(self._fluxes)


def _jumps(own: _Own, drafted: Draft, edit: Edit) -> tuple[Jump, ...]:
    return tuple(
        Jump(
            splice.from_sample,
            splice.to_sample,
            cost,
            parts,
            splice.fade_length,
            splice.shift,
            splice.correlation,
            own.percentile(splice),
        )
        for splice, (cost, parts) in zip(edit.splices, drafted.jump_costs, strict=False)
    )


def compared(grid: Grid, sample_rate: int) -> NDArray[np.int64]:
    """The places, in samples, whose flux a seam is compared with: downbeats, or steps where there are none."""
    downbeats = grid.times_s[grid.positions == 1]
    places = downbeats if len(downbeats) else grid.times_s
    every = -(-len(places) // _MOST_COMPARED)
    return np.round(places[::every] * sample_rate).astype(np.int64)
