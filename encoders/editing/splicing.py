"""Cut and join a track to the sample: where exactly each jump is, how long it fades, and the sound that comes of it.

The landing of a jump is moved by up to some hundredths of a second for the waveforms to go together, and the fade is
laid where they are most alike, a little before the beat: its attack is then heard once, from the landing alone. A fade
keeps the power of what is heard: equal-power gains, divided by what they would add to where both sides are alike.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from encoders.analysis.form.alignment import aligned
from encoders.editing.plan import Segment
from encoders.media.native import NativeAudio, samples_on_disk

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from encoders.editing.planning import Draft

_REACH_S, _REACH_WITHOUT_BEATS_S = 0.03, 0.1
_HALF_LENGTH_S = 0.25
_LAG_COST = 0.15
_SHORTEST_FADE_S, _LONGEST_FADE_S = 0.02, 0.05
_EARLIEST_S, _LATEST_S = -0.12, 0.0
"""Where the middle of a fade may lie, relative to the beat."""
_TAIL_FADE_S, _CLICK_S = 2.0, 0.01
_HEARD = 1e-3  # amplitude that is cut with a fade
_AT_ONCE = 1 << 18


@dataclass(frozen=True)
class Splice:
    """A jump to the sample: from here, to there, its fade, and by how much the landing was moved."""

    from_sample: int
    to_sample: int
    fade_length: int
    shift: int
    correlation: float


@dataclass(frozen=True)
class Edit:
    """What is to be done, to the sample; attributes as of :class:`~encoders.editing.plan.Plan`."""

    segments: tuple[Segment, ...]
    splices: tuple[Splice, ...]
    length: int
    trimmed: int
    padded: int
    tail_fade_length: int


def edit_of(audio: NativeAudio, draft: Draft, duration_s: float) -> Edit:
    """Bring a draft to samples, and to exactly the asked length."""
    total, rate = len(audio.samples), audio.sample_rate
    length = round(duration_s * rate)
    ends = [min(total, round(cut.end_s * rate)) for cut in draft.cuts]
    ends[-1] = total if draft.cuts[-1].end_s >= float(draft.grid.times_s[-1]) - 1e-6 else ends[-1]
    starts = [round(cut.start_s * rate) for cut in draft.cuts]
    splices: list[Splice] = []
    for number in range(len(starts) - 1):
        room = min(ends[number] - starts[number], ends[number + 1] - starts[number + 1])
        splice = _splice(audio, ends[number], starts[number + 1], room, has_beats=draft.grid.has_beats)
        ends[number], starts[number + 1] = splice.from_sample, splice.to_sample
        splices.append(splice)
    output = np.concatenate([[0], np.cumsum(np.subtract(ends, starts))]).astype(int).tolist()
    excess = output[-1] - length
    # What is left out at the end may be all of the last segment, where the track is hardly longer than its splices.
    count = max(1, min(len(starts), int(np.searchsorted(output, length))))
    ends = ends[:count]
    ends[-1] = min(ends[-1], starts[count - 1] + length - output[count - 1])
    segments = tuple(Segment(*places) for places in zip(starts[:count], ends, output[:count], strict=True))
    fade_length = _tail_fade(audio, ends[-1], excess, output[count - 1] + ends[-1] - starts[count - 1])
    return Edit(segments, tuple(splices[: count - 1]), length, max(0, excess), max(0, -excess), fade_length)


def seam_of(audio: NativeAudio, splice: Splice, around_s: float) -> tuple[NDArray[np.float32], int]:
    """What is heard around a jump, float32 [samples, channels], and at which of the samples the jump is."""
    around = round(around_s * audio.sample_rate) + splice.fade_length
    before = min(around, splice.from_sample)
    parts = [
        audio.samples[splice.from_sample - before : splice.from_sample],
        audio.samples[splice.to_sample : splice.to_sample + around],
    ]
    seam = np.concatenate(parts)
    _fade(seam, before, audio, splice)
    return seam, before


def rendered(audio: NativeAudio, edit: Edit) -> NativeAudio:
    """The sound of an edit; on disk, as that of the file it comes from."""
    source = audio.samples
    out = samples_on_disk(edit.length, source.shape[1])
    for segment in edit.segments:
        for start in range(segment.start, segment.end, _AT_ONCE):
            end = min(segment.end, start + _AT_ONCE)
            place = segment.output_start + start - segment.start
            out[place : place + end - start] = source[start:end]
    for segment, splice in zip(edit.segments[1:], edit.splices, strict=True):
        _fade(out, segment.output_start, audio, splice)
    if edit.tail_fade_length:
        end = edit.segments[-1].output_start + edit.segments[-1].end - edit.segments[-1].start
        gain = np.cos(np.linspace(0, np.pi / 2, edit.tail_fade_length, dtype=np.float32)) ** 2
        out[end - edit.tail_fade_length : end] *= gain[:, None]
    return NativeAudio(out, audio.sample_rate, audio.layout, audio.bits)


def _fade(out: NDArray[np.float32], place: int, audio: NativeAudio, splice: Splice) -> None:
    """Fade one side of a jump into the other, where the jump is in the output."""
    before = splice.fade_length // 2
    behind = min(splice.fade_length - before, len(out) - place)
    leaving = audio.samples[splice.from_sample - before : splice.from_sample + behind]
    coming = audio.samples[splice.to_sample - before : splice.to_sample + behind]
    out[place - before : place + behind] = _crossfaded(leaving, coming)


def _splice(audio: NativeAudio, leave: int, land: int, room: int, *, has_beats: bool) -> Splice:
    """Say to the sample how to jump, somewhere near the sample `leave`, to what is near `land`."""
    rate, total = audio.sample_rate, len(audio.samples)
    around = round((_HALF_LENGTH_S + 2 * _REACH_WITHOUT_BEATS_S) * rate)
    first, other_first = max(0, leave - around), max(0, land - around)
    here = _mono(audio, first, leave + around), leave - first
    there = _mono(audio, other_first, land + around), land - other_first
    reach = min(round((_REACH_S if has_beats else _REACH_WITHOUT_BEATS_S) * rate), room // 4)
    found = aligned(here, there, reach=reach, half_length=round(_HALF_LENGTH_S * rate), lag_cost=_LAG_COST)
    shift = round(found.shift) if found.correlation > _LAG_COST else 0
    land = max(0, land + shift)
    longest = _LONGEST_FADE_S - (_LONGEST_FADE_S - _SHORTEST_FADE_S) * max(0.0, found.correlation)
    fade_length = max(2, min(round(longest * rate), room // 4, 2 * leave))
    # Where the track itself ends or begins there is nothing to fade on into: the jump is made that much within it.
    half = fade_length - fade_length // 2
    leave, land = min(leave, total - half), max(land, half)
    offset = _fade_place(audio, leave, land, fade_length, room)
    leave, land = leave + offset, land + offset
    fade_length = max(0, min(fade_length, 2 * land, 2 * (total - leave), 2 * (total - land)))
    return Splice(leave, land, fade_length, shift, found.correlation)


def _fade_place(audio: NativeAudio, leave: int, land: int, fade_length: int, room: int) -> int:
    """How far from the beat the middle of a fade lies: where the two sides differ least, in samples."""
    rate, half = audio.sample_rate, fade_length - fade_length // 2
    earliest = max(round(_EARLIEST_S * rate), -(room // 4), half - min(leave, land))
    latest = min(round(_LATEST_S * rate) - half, len(audio.samples) - max(leave, land) - half)
    if latest <= earliest:
        return min(earliest, 0)
    leaving = audio.samples[leave + earliest - half : leave + latest + half]
    coming = audio.samples[land + earliest - half : land + latest + half]
    apart = np.square(leaving - coming, dtype=np.float64).sum(axis=1)
    summed = np.concatenate([[0.0], np.cumsum(apart)])
    return earliest + int((summed[2 * half :] - summed[: -2 * half]).argmin())


def _crossfaded(leaving: NDArray[np.float32], coming: NDArray[np.float32]) -> NDArray[np.float32]:
    """One side faded into the other, float32 [samples, channels], at the power of both all along."""
    angle = (np.arange(len(leaving)) + 0.5) / len(leaving) * np.pi / 2
    products = float(np.vdot(leaving, coming))
    powers = float(np.vdot(leaving, leaving)) * float(np.vdot(coming, coming))
    alike = max(0.0, products / np.sqrt(powers)) if powers > 0 else 0.0
    out, into = np.cos(angle), np.sin(angle)
    level = np.sqrt(1 + 2 * alike * out * into)
    return (leaving * (out / level)[:, None] + coming * (into / level)[:, None]).astype(np.float32)


def _tail_fade(audio: NativeAudio, end: int, excess: int, heard: int) -> int:
    """Over how many samples the output fades out: long where sound is cut off, as short as a click where it ends.

    `heard` is how much of it is no silence put behind the end, in samples.
    """
    rate = audio.sample_rate
    level = float(np.abs(audio.samples[max(0, end - rate // 20) : end]).max(initial=0.0))
    if excess == 0 or level == 0.0:
        return 0
    wanted_s = _TAIL_FADE_S if excess > 0 and level > _HEARD else _CLICK_S
    return min(round(wanted_s * rate), heard // 2)


def _mono(audio: NativeAudio, start: int, end: int) -> NDArray[np.float32]:
    return np.asarray(audio.samples[start:end].mean(axis=1, dtype=np.float32))
