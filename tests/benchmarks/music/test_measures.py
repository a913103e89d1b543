"""Measures against numbers worked out by hand."""

import math

import numpy as np
import pytest

from benchmarks.music.__main__ import show
from benchmarks.music.intervals import interval
from benchmarks.music.measures import MEASURES, function, function_accuracy, measure, tempo_accuracies
from benchmarks.music.songs import Contour, Music, Part

EVERYTHING = frozenset(MEASURES.values())


@pytest.mark.parametrize(
    ("said", "accuracies"),
    [
        (120.0, (1, 1)),
        (124.8, (1, 1)),  # 4 % above
        (124.9, (0, 0)),
        (60.0, (0, 1)),
        (62.4, (0, 1)),  # 4 % above the half
        (62.5, (0, 0)),
        (240.0, (0, 1)),
        (40.0, (0, 1)),
        (360.0, (0, 1)),
        (80.0, (0, 0)),  # two thirds are no octave
        (None, (0, 0)),
    ],
)
def test_tempo_is_right_within_4_percent_and_by_the_second_accuracy_in_another_octave(said, accuracies):
    assert tempo_accuracies(120.0, said) == accuracies


@pytest.mark.parametrize(
    ("label", "folded"),
    [
        ("Pre-Chorus 2", "verse"),
        ("chorus", "chorus"),
        ("refrain", "chorus"),
        ("guitar solo", "inst"),
        ("transition", "bridge"),
        ("Intro", "intro"),
        ("fade-out", "outro"),
        ("silence", "silence"),
        ("x", "inst"),
    ],
)
def test_labels_fold_to_seven_functions_by_the_first_word_in_them(label, folded):
    assert function(label) == folded


def test_function_accuracy_is_a_share_of_time():
    truth = [Part(0, 10, "intro"), Part(10, 30, "verse"), Part(30, 40, "refrain")]
    said = [Part(0, 15, "intro"), Part(15, 35, "verse"), Part(35, 40, "chorus")]
    # 10 s of intro, 15 s of verse and 5 s of chorus of 40 s.
    assert function_accuracy(truth, said) == pytest.approx(30 / 40)


def test_time_without_a_label_is_not_judged():
    assert function_accuracy([Part(0, 10, None), Part(10, 20, "verse")], [Part(0, 20, "verse")]) == 1
    assert math.isnan(function_accuracy([Part(0, 10, None)], [Part(0, 10, "verse")]))


def test_boundaries_are_hit_within_their_window_and_start_and_end_do_not_count():
    truth = Music(parts=(Part(0, 10, "intro"), Part(10, 30, "verse"), Part(30, 40, "chorus")))
    said = Music(parts=(Part(0, 10.4, "intro"), Part(10.4, 20, "verse"), Part(20, 32, "verse"), Part(32, 40, "chorus")))
    results = measure(truth, said, EVERYTHING)
    # Of two boundaries one is hit within .5 s by three: P 1/3, R 1/2; within 3 s both: P 2/3, R 1.
    assert results["HR.5F"] == pytest.approx(0.4)
    assert results["HR3F"] == pytest.approx(0.8)


def test_what_is_perfect_has_1_everywhere_and_no_false_alarm():
    beats = np.arange(0, 30, 0.5)
    melody = Contour(0.01, np.where(np.arange(1000) % 100 < 60, 64.25, np.nan))
    parts = (Part(0, 10, "intro", "A"), Part(10, 20, "verse", "B"), Part(20, 30, "verse", "B"))
    song = Music(beats, beats[::4], 120.0, "Db major", parts, melody)
    results = measure(song, song, EVERYTHING)
    assert set(results) == set(MEASURES)
    assert results.pop("VFA") == 0
    assert results == pytest.approx(dict.fromkeys(results, 1.0))


def test_what_says_nothing_has_0():
    beats = np.arange(0, 30, 0.5)
    parts = (Part(0, 10, "intro"), Part(10, 30, "verse"))
    truth = Music(beats, beats[::4], 120.0, "A minor", parts, Contour(0.01, np.array([60.0, np.nan] * 50)))
    results = measure(truth, Music(), EVERYTHING)
    # Where half the time has no melody, saying that there is none is right there.
    assert results.pop("OA") == pytest.approx(0.5)
    assert results == dict.fromkeys(results, 0.0)


def test_only_what_is_known_and_told_is_judged():
    truth = Music(tempo_bpm=120.0, key="A minor")
    said = Music(np.arange(0, 30, 0.5), None, 120.0, "C major")
    assert set(measure(truth, said, EVERYTHING)) == {"tempo 1", "tempo 2", "key"}
    assert measure(truth, said, frozenset({"key"})) == {"key": pytest.approx(0.3)}  # its relative


def test_beats_of_double_tempo_have_the_precision_of_half():
    beats = np.arange(0.25, 30, 0.5)
    results = measure(Music(beats), Music(np.arange(0.25, 29.9, 0.25)), frozenset({"beats_s"}))
    # From 5 s on there are 50 beats, and 100 are said: P 1/2, R 1.
    assert results["beat F"] == pytest.approx(2 / 3)


def test_a_melody_an_octave_off_is_right_in_chroma_alone():
    truth = Music(melody=Contour(0.01, np.full(500, 60.0)))
    said = Music(melody=Contour(0.01, np.full(500, 72.0)))
    results = measure(truth, said, EVERYTHING)
    assert (results["RPA"], results["RCA"], results["VR"]) == (0, 1, 1)
    assert "VFA" not in results or results["VFA"] == 0


def test_a_pitch_that_is_said_where_no_melody_is_told_counts_in_raw_accuracy_alone():
    truth = Music(melody=Contour(0.01, np.full(500, 60.0)))
    half = np.arange(500) < 250
    said = Music(melody=Contour.of(0.01, np.full(500, 60.0), half))
    results = measure(truth, said, EVERYTHING)
    assert results["RPA"] == 1
    assert results["VR"] == pytest.approx(0.5)
    assert results["OA"] == pytest.approx(0.5)


def test_pairwise_f_of_one_group_instead_of_two():
    truth = Music(parts=(Part(0, 10, None, "A"), Part(10, 20, None, "B")))
    results = measure(truth, Music(parts=(Part(0, 20, None, "A"),)), EVERYTHING)
    # 200 frames of .1 s: 2 · 100·99/2 pairs are together in the truth, 200·199/2 in the answer, which has all of these.
    precision = 2 * 4950 / 19900
    assert results["pairwise F"] == pytest.approx(2 * precision / (1 + precision), abs=0.01)
    assert "function" not in results


def test_an_interval_holds_its_mean_and_narrows_with_songs():
    few, many = interval([0.0, 1.0] * 5), interval([0.0, 1.0] * 500)
    assert few.mean == many.mean == 0.5
    assert few.low < many.low < 0.5 < many.high < few.high
    # The mean of 1,000 coins has a standard deviation of .0158.
    assert many.high - many.low == pytest.approx(2 * 1.96 * 0.0158, rel=0.05)
    assert str(interval([1.0, 1.0])) == "1.000 [1.000, 1.000]"
    assert f"{interval([1.0, 1.0]):+}" == "+1.000 [+1.000, +1.000]"


def test_systems_are_compared_in_the_songs_that_both_were_asked_about(capsys):
    scores = {"beat F": {"ours": {"a": 0.9, "b": 0.7}, "theirs": {"a": 0.4, "b": 0.2, "c": 1.0}, "nobody's": {}}}
    show("songs", scores, {"a", "b", "c"})
    rows = [line.split(" | ") for line in capsys.readouterr().out.splitlines() if line.startswith("| beat F")]
    assert [row[:3] for row in rows] == [["| beat F", "2", "ours"], ["| beat F", "3", "theirs"]]
    assert rows[1][4].startswith("+0.500 [+0.500, +0.500]")
    assert rows[0][4].strip(" |") == ""
