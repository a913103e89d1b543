"""Hums against melodies whose place, key and tempo are known."""

import numpy as np
import pytest
from numpy.typing import NDArray

from retrieval.errors import QueryError
from retrieval.search.humming.contours import RATE, contour_of
from retrieval.search.humming.finding import find, hum_of
from retrieval.search.humming.melodies import Melodies, StoredMelody
from retrieval.search.humming.warping import fitted

STEP_S = 0.04


def melody(seed: int, notes: int = 120) -> NDArray[np.float32]:
    """A walk over a scale, a note of 0.2 to 0.8 s each: float32 [steps of 0.04 s]."""
    rng = np.random.default_rng(seed)
    places = np.abs(np.cumsum(rng.integers(-3, 4, notes)) % 28 - 14) - 7
    scale = 60 + 12 * (places // 7) + np.array([0, 2, 4, 5, 7, 9, 11])[places % 7]
    return np.repeat(scale, rng.integers(5, 21, notes)).astype(np.float32)


@pytest.fixture(scope="module")
def melodies() -> Melodies:
    return Melodies.of(
        {seed: StoredMelody.of(melody(seed), np.full_like(melody(seed), np.nan), STEP_S) for seed in range(1, 41)}
    )


@pytest.mark.parametrize(("semitones", "tempo"), [(0.0, 1.0), (7.3, 1.0), (-5.0, 0.75), (2.0, 1.3)])
def test_a_transposed_hum_at_another_tempo_is_found_where_it_is(
    semitones: float, tempo: float, melodies: Melodies
) -> None:
    part = melody(17)[500:800]  # 20 s to 32 s
    at = (np.arange(int(len(part) / tempo)) * tempo).astype(int)
    hum = hum_of(part[at] - np.float32(semitones), STEP_S)
    best = find(hum, melodies)[0]
    assert best.track_id == 17
    assert best.score > 0.9
    assert best.span_s == pytest.approx((20.0, 32.0), abs=0.5)
    assert best.transposition == pytest.approx(semitones, abs=0.1)
    assert best.tempo_ratio == pytest.approx(tempo, rel=0.06)


def test_only_tracks_that_may_be_found_are(melodies: Melodies) -> None:
    hum = hum_of(melody(17)[500:800], STEP_S)
    assert find(hum, melodies, among=np.array([3, 17, 29]))[0].track_id == 17
    others = find(hum, melodies, among=np.array([3, 29]))
    assert sorted(found.track_id for found in others) == [3, 29]
    assert all(found.score < 0.9 for found in others)
    assert find(hum, melodies, among=np.empty(0, np.int64)) == []
    assert find(hum, Melodies.of({})) == []


def test_scores_fall_and_the_limit_holds(melodies: Melodies) -> None:
    found = find(hum_of(melody(5)[100:350], STEP_S), melodies, limit=7)
    assert len(found) == 7
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    assert all(0 <= one.score <= 1 for one in found)


def test_notes_of_a_melody_that_were_taken_for_rests_are_searched_all_the_same() -> None:
    notes, nothing = melody(17), np.full_like(melody(17), np.nan)
    faint = np.arange(len(notes)) % 150 < 90
    told = {
        1: StoredMelody.of(np.where(faint, notes, nothing), np.where(faint, nothing, notes), STEP_S),
        2: StoredMelody.of(nothing, notes, STEP_S),  # no melody at all
    }
    found = find(hum_of(notes[500:800], STEP_S), Melodies.of(told))
    assert [one.track_id for one in found] == [1]
    assert found[0].score > 0.95


def test_a_hum_longer_than_a_track_is_found_by_its_beginning() -> None:
    notes, nothing = melody(17), np.full_like(melody(17), np.nan)
    melodies = Melodies.of({n: StoredMelody.of(melody(n)[:300], nothing[:300], STEP_S) for n in (5, 17, 29)})
    assert find(hum_of(notes[:500], STEP_S), melodies)[0].track_id == 17


@pytest.mark.parametrize(
    ("pitches", "reason"),
    [
        (np.full(200, np.nan), "no pitch is heard"),
        (np.where(np.arange(200) < 40, 60 + np.arange(200) // 10, np.nan), "is heard for 1.6 s"),
        (np.full(200, 62.0), "one pitch all along"),
        (60 + 8 * np.sin(np.arange(200) / 3), "glides"),
    ],
)
def test_what_holds_no_melody_is_refused(pitches: NDArray[np.float64], reason: str) -> None:
    with pytest.raises(QueryError, match=reason) as refused:
        hum_of(pitches.astype(np.float32), STEP_S)
    assert refused.value.field == "file"
    assert "hums" in refused.value.accepted


def test_a_line_is_laid_upon_the_part_that_it_fits() -> None:
    line = np.array([60, 62, 64], np.float32)
    fit = fitted(line, np.ones(3, np.float32), np.array([70, 65, 67, 69, 50], np.float32), 5.0)
    assert (fit.start, fit.end, fit.transposition, fit.cost) == (1, 4, 5.0, 0.0)
    # One of three notes is a semitone off, of two at most: a sixth.
    fit = fitted(line, np.ones(3, np.float32), np.array([70, 65, 68, 69, 50], np.float32), 5.0)
    assert (fit.start, fit.end, fit.cost) == (1, 4, pytest.approx(1 / 6))
    # An octave off counts half a semitone.
    fit = fitted(line, np.ones(3, np.float32), np.array([70, 65, 79, 69, 50], np.float32), 5.0)
    assert fit.cost == pytest.approx(0.5 / 3 / 2)


def test_a_line_may_be_played_twice_as_fast_or_half_as_fast() -> None:
    line = np.array([60, 62, 62, 64, 64, 65, 65], np.float32)
    weights = np.ones(7, np.float32)
    assert fitted(line, weights, np.array([60, 62, 64, 65, 99], np.float32), 0.0).cost < 0.1
    assert fitted(line, weights, np.repeat(line, 2), 0.0).cost == 0


def test_a_contour_holds_the_pitch_through_rests() -> None:
    pitches = np.array([np.nan, np.nan, 60, 60, 60, 60, np.nan, np.nan, 64, 64, 64, 64], np.float32)
    contour = contour_of(pitches, 1 / RATE)
    assert contour.pitches.tolist() == [60] * 8 + [64] * 4
    assert contour.voiced.tolist() == [False] * 2 + [True] * 4 + [False] * 2 + [True] * 4
    assert not contour_of(np.full(3, np.nan, np.float32), 0.04).voiced.any()
    assert len(contour_of(np.empty(0, np.float32), 0.04).pitches) == 0
