import mido
import numpy as np
import pytest

from benchmarks.music.truth.modules import Played, beats_of
from benchmarks.music.truth.sheets import in_seconds, read_sheet


def sheet(*messages, notes=range(0, 1920, 480)):
    track = mido.MidiTrack(mido.MetaMessage(kind, time=0, **what) for kind, what in messages)
    previous = 0
    for tick in notes:
        track.append(mido.Message("note_on", note=60, velocity=90, time=tick - previous))
        previous = tick
    return mido.MidiFile(ticks_per_beat=480, tracks=[track])


def test_ticks_are_as_long_as_the_tempo_before_them_says():
    # A second at 60 a minute, then quarters of half a second; of two tempi at one tick the last holds.
    seconds = in_seconds(np.array([0, 480, 720, 960]), [(0, 1_000_000), (480, 1), (480, 500_000)], 480)
    assert seconds.tolist() == [0, 1, 1.25, 1.5]


def test_beats_are_quarters_in_their_bars():
    read = read_sheet(sheet(("set_tempo", {"tempo": 500_000}), ("time_signature", {"numerator": 3, "denominator": 4})))
    assert read.beats_s.tolist() == [0, 0.5, 1, 1.5]
    assert read.positions == [1, 2, 3, 1]
    assert read.tempo_bpm == 120
    assert read.has_bars
    assert read.on_beat == 1


def test_six_eighths_have_two_beats_of_three():
    compound = ("time_signature", {"numerator": 6, "denominator": 8})
    read = read_sheet(sheet(compound, notes=range(0, 1441, 240)))
    assert read.beats_s.tolist() == [0, 0.75, 1.5]
    assert read.positions == [1, 2, 1]
    assert read.on_beat == pytest.approx(3 / 7)


def test_beats_begin_with_the_notes_and_a_silent_signature_tells_no_bars():
    read = read_sheet(sheet(notes=range(960, 2400, 480)))
    assert read.beats_s.tolist() == [1, 1.5, 2]
    assert not read.has_bars


@pytest.mark.parametrize(("midi", "reason"), [(sheet(notes=()), "no notes"), (sheet(notes=(0,)), "fewer than two")])
def test_sheets_without_beats_are_refused(midi, reason):
    with pytest.raises(ValueError, match=reason):
        read_sheet(midi)


def played(rows, *, row_s=0.125, on=(0, 4, 8, 12), lengths=frozenset({64})):
    numbers = np.arange(rows) % 64
    notes = np.isin(numbers % 16, on).astype(int)
    return Played(np.zeros(1, dtype=np.float32), np.arange(rows) * row_s, numbers, notes, lengths)


def test_every_fourth_row_is_a_beat_and_sixteen_are_a_bar():
    beats = beats_of(played(128))
    assert beats.beats_s[:3] == [0, 0.5, 1]
    assert beats.positions[:6] == [1, 2, 3, 4, 1, 2]


def test_every_eighth_where_rows_are_short():
    # 60 ms a row: 250 a minute by four, 125 by eight.
    beats = beats_of(played(256, row_s=0.06, on=(0, 8)))
    assert np.allclose(np.diff(beats.beats_s), 0.48)


def test_patterns_that_are_not_whole_bars_leave_bars_unknown():
    assert set(beats_of(played(128, lengths=frozenset({64, 56}))).positions) == {None}


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (played(128, on=(2, 6, 10, 14)), "notes on the phases of a beat"),
        (played(128, lengths=frozenset({63})), "patterns of"),
        (played(128, row_s=0.02), "a row lasts only 20 ms"),
    ],
)
def test_modules_are_refused_where_something_speaks_against_their_beats(module, reason):
    with pytest.raises(ValueError, match=reason):
        beats_of(module)


def test_a_tempo_that_changes_again_and_again_is_refused():
    module = played(128)
    wild = Played(module.waveform, module.rows_s**1.5, module.numbers, module.notes, module.pattern_lengths)
    with pytest.raises(ValueError, match="of its beats keep the tempo"):
        beats_of(wild)
