"""What the command line shows of rhythm, form and melody."""

from collections import Counter
from collections.abc import Sequence

import numpy as np

from api.cli.layout import table_of
from api.cli.tables import clock, clock_ms, sure
from api.cli.terminal import Screen
from api.documents.music import HighlightsOut, LoopsOut, MelodyOut, RhythmOut, SectionOut, StructureOut


def print_rhythm(heard: RhythmOut) -> None:
    """Tempo, metre, key, and how many beats there are where."""
    console = Screen(soft_wrap=True)
    tempo = "none" if heard.tempo is None else f"{heard.tempo:.1f} beats a minute"
    meter = "not known" if heard.meter is None else f"{heard.meter} beats a bar"
    key = "not known" if heard.key is None else f"{heard.key} {heard.mode}"
    console.print(f"tempo: {tempo}, metre: {meter}{sure(heard.confidence.beats)}")
    console.print(f"key: {key}{sure(heard.confidence.key)}")
    bars = sum(beat.position == 1 for beat in heard.beats)
    span = f", {clock(heard.beats[0].time_s)} – {clock(heard.beats[-1].time_s)}" if heard.beats else ""
    console.print(f"beats: {len(heard.beats)}, downbeats: {bars}{span}")


def print_structure(heard: StructureOut) -> None:
    """Parts, and of how many phrases each is made."""
    tempo = "no beats" if heard.bpm is None else f"{heard.bpm:.1f} beats a minute, downbeats: {len(heard.downbeats)}"
    console = Screen(soft_wrap=True)
    console.print(f"{heard.path}: {tempo}")
    phrases = Counter(_part_at((one.start_s + one.end_s) / 2, heard.sections) for one in heard.phrases)
    rows = [
        (clock(one.start_s), clock(one.end_s), one.label, one.group, phrases[number], f"{one.confidence:.2f}")
        for number, one in enumerate(heard.sections)
    ]
    if rows:
        console.print(table_of(("from", "to", "part", "group", "phrases", "confidence"), rows))


def print_highlights(heard: HighlightsOut) -> None:
    """What represents a track."""
    rows = [(clock(one.start_s), clock(one.end_s), f"{one.score:.2f}") for one in heard.highlights]
    if rows:
        Screen().print(table_of(("from", "to", "score"), rows))
    else:
        Screen(soft_wrap=True).print(f"{heard.track}: no highlights")


def print_loops(heard: LoopsOut) -> None:
    """What can be looped, the best first, to the millisecond: loops begin and end at a sample, which `--json` tells."""
    rows = []
    for number, one in enumerate(heard.loops, start=1):
        span = clock_ms(one.start_s), clock_ms(one.end_s), f"{one.end_s - one.start_s:.3f} s"
        rows.append((number, *span, f"{one.similarity:.2f}"))
    if rows:
        names = ("best first", "from", "to", "length", "similarity")
        Screen().print(table_of(names, rows, right=names))
    else:
        Screen(soft_wrap=True).print(f"{heard.track}: nothing of it can be looped")


def print_melody(heard: MelodyOut) -> None:
    """How much of a melody there is, and from which pitch to which."""
    pitches = [pitch for pitch in heard.pitches if pitch is not None]
    share = len(pitches) / len(heard.pitches) if heard.pitches else 0.0
    lowest, middle, highest = np.percentile(pitches, (5, 50, 95)) if pitches else (np.nan,) * 3
    console = Screen(soft_wrap=True)
    span = f", MIDI {lowest:.1f} – {highest:.1f}, half of it below {middle:.1f}" if pitches else ""
    console.print(f"melody: {100 * share:.0f} % of the track{span}{sure(heard.confidence)}")


def _part_at(time_s: float, sections: Sequence[SectionOut]) -> int:
    return sum(one.end_s <= time_s for one in sections)
