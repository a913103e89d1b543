"""Beats and bars of MIDI files, by their tempo map and time signatures, where their notes keep to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import mido
    from numpy.typing import NDArray

_DRUMS = 9
_ON_BEAT = 1 / 16
SLOWEST_BPM, FASTEST_BPM = 50.0, 220.0
_SIGNATURE = (4, 4)


@dataclass(frozen=True, eq=False)
class Sheet:
    """When beats are, float64 [n] in seconds, where each is in its bar, and when notes begin, float64 [m].

    `on_beat` is the share of notes within a sixteenth of a beat of one (an eighth by chance); `has_bars` says whether
    the file tells its time signature.
    """

    beats_s: NDArray[np.float64]
    positions: list[int]
    onsets_s: NDArray[np.float64]
    on_beat: float
    has_bars: bool

    @property
    def tempo_bpm(self) -> float:
        """Beats a minute, by the median."""
        return 60 / float(np.median(np.diff(self.beats_s)))


def read_sheet(song: mido.MidiFile) -> Sheet:
    """The beats from the first note to the last.

    Raises
    ------
    ValueError
        If there are fewer than two, or it counts in frames instead of beats.
    """
    if song.ticks_per_beat < 1:
        raise ValueError("in SMPTE frames, not in beats")
    tempi, signatures, notes = [(0, 500_000)], [(0, *_SIGNATURE)], []
    told = False
    for track in song.tracks:
        tick = 0
        for message in track:
            tick += message.time
            if message.type == "set_tempo":
                tempi.append((tick, message.tempo))
            elif message.type == "time_signature":
                told = True
                signatures.append((tick, message.numerator, message.denominator))
            elif message.type == "note_on" and message.velocity:
                notes.append(tick)
    if not notes:
        raise ValueError("no notes")
    ticks, positions = (np.array(column) for column in zip(*_beats(signatures, max(notes), song), strict=True))
    beats_s = in_seconds(ticks, tempi, song.ticks_per_beat)
    onsets_s = in_seconds(np.sort(notes), tempi, song.ticks_per_beat)
    phases = np.interp(np.sort(notes), ticks, np.arange(len(ticks)))
    on_beat = float((np.abs(phases - np.round(phases)) <= _ON_BEAT).mean())
    heard = (beats_s >= onsets_s[0] - 1e-3) & (beats_s <= onsets_s[-1] + 1e-3)
    if heard.sum() < 2:
        raise ValueError("fewer than two beats")
    return Sheet(beats_s[heard], positions[heard].tolist(), onsets_s, on_beat, told)


def in_seconds(
    ticks: NDArray[np.integer], tempi: Sequence[tuple[int, int]], ticks_per_beat: int
) -> NDArray[np.float64]:
    """When ticks are, by a tempo map of (tick, microseconds a quarter); the last at one tick holds."""
    at = dict(sorted(tempi, key=lambda change: change[0]))
    starts = np.array(list(at))
    per_tick = np.array(list(at.values())) / 1e6 / ticks_per_beat
    starts_s = np.concatenate([[0.0], np.cumsum(np.diff(starts) * per_tick[:-1])])
    number = np.searchsorted(starts, ticks, side="right") - 1
    return starts_s[number] + (ticks - starts[number]) * per_tick[number]


def _beats(
    signatures: Sequence[tuple[int, int, int]], last_tick: int, song: mido.MidiFile
) -> Iterator[tuple[float, int]]:
    """Ticks of beats with their positions. Bars of 6, 9 and 12 eighths have beats of three."""
    changes = sorted({change[0]: change for change in signatures}.values())
    for number, (start, over, under) in enumerate(changes):
        stop = changes[number + 1][0] if number + 1 < len(changes) else last_tick + 4 * song.ticks_per_beat
        compound = under >= 8 and over > 3 and over % 3 == 0
        beat = 4 * song.ticks_per_beat / under * (3 if compound else 1)
        a_bar = over // 3 if compound else over
        for count in range(int(np.ceil((stop - start) / beat - 1e-6))):
            yield start + count * beat, count % a_bar + 1
