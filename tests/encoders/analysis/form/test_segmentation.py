"""Sections out of curves made by hand: where they begin, what they are called, and which of them are alike."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from encoders.analysis.findings import COARSE, FINE, SECTION_LABELS, Rhythm, Section
from encoders.analysis.form.grouping import grouped
from encoders.analysis.form.segmentation import PARTS, PHRASES, Curves, sections_of

STEP_S = 0.6
NO_RHYTHM = Rhythm(None, np.zeros(0), np.zeros(0, np.int64), None, 0.0)
SONG = (
    (16.0, "intro", 0),
    (32.0, "verse", 1),
    (16.0, "chorus", 2),
    (32.0, "verse", 1),
    (16.0, "chorus", 2),
    (16.0, "outro", 3),
)


def rhythm(duration_s: float, *, first_s: float = 0.0) -> Rhythm:
    """Two seconds a bar."""
    beats = np.arange(first_s, duration_s, 0.5)
    return Rhythm(120.0, beats, np.arange(len(beats)) % 4 + 1, 4, 1.0)


def curves(blocks: tuple[tuple[float, str, int], ...], *, late_s: float = 0.0, phrases_s: float = 8.0) -> Curves:
    """Clear curves of blocks, as (seconds, function, what it sounds like), that are heard a little late."""
    edges = np.cumsum([0.0, *(seconds for seconds, _, _ in blocks)])
    times = (np.arange(round(edges[-1] / STEP_S)) + 0.5) * STEP_S - late_s
    block = np.clip(np.searchsorted(edges, times, side="right") - 1, 0, len(blocks) - 1)
    functions = np.full((len(times), len(SECTION_LABELS)), 0.02)
    functions[np.arange(len(times)), [SECTION_LABELS.index(blocks[number][1]) for number in block]] = 0.88
    embeddings = np.eye(8)[[blocks[number][2] for number in block]]

    def pulses(at: np.ndarray) -> np.ndarray:
        near = np.abs(times[:, None] - at).min(axis=1) if len(at) else np.full(len(times), np.inf)
        return np.clip(0.9 * np.exp(-0.5 * (near / 0.5) ** 2), 0.01, None)

    return Curves(
        pulses(edges[1:-1]), pulses(np.arange(phrases_s, edges[-1], phrases_s)), functions, embeddings, STEP_S
    )


def level(sections: tuple[Section, ...], number: int) -> list[tuple[float, float, str, str]]:
    return [(s.start_s, s.end_s, s.label, s.group) for s in sections if s.level == number]


def test_known_blocks_are_found_named_and_grouped() -> None:
    found = sections_of(curves(SONG), rhythm(128.0), 128.0)
    assert level(found, COARSE) == [
        (0.0, 16.0, "intro", "A"),
        (16.0, 48.0, "verse", "B"),
        (48.0, 64.0, "chorus", "C"),
        (64.0, 96.0, "verse", "B"),
        (96.0, 112.0, "chorus", "C"),
        (112.0, 128.0, "outro", "D"),
    ]
    assert [(start, end) for start, end, _, _ in level(found, FINE)] == [(s, s + 8.0) for s in np.arange(0.0, 128.0, 8)]
    assert [letter for *_, letter in level(found, FINE)] == list("AABBBBCCBBBBCCDD")
    assert all(section.confidence == pytest.approx(0.88, abs=0.05) for section in found)


@pytest.mark.parametrize("late_s", [-0.5, 0.5])
def test_boundaries_lie_on_downbeats_even_where_the_curve_does_not(late_s: float) -> None:
    found = sections_of(curves(SONG, late_s=late_s), rhythm(128.0), 128.0)
    assert [start for start, *_ in level(found, COARSE)] == [0.0, 16.0, 48.0, 64.0, 96.0, 112.0]


def test_bars_go_on_where_the_rhythm_has_none() -> None:
    whole = rhythm(128.0)
    some = (whole.beats_s > 20) & (whole.beats_s < 60) | (whole.beats_s > 80) & (whole.beats_s < 100)
    part = replace(whole, beats_s=whole.beats_s[some], positions=whole.positions[some])
    assert [start for start, *_ in level(sections_of(curves(SONG), part, 128.0), COARSE)] == [0, 16, 48, 64, 96, 112]


def test_without_beats_boundaries_lie_on_half_seconds() -> None:
    blocks = ((20.3, "verse", 0), (25.0, "chorus", 1), (30.0, "verse", 0))
    found = level(sections_of(curves(blocks), NO_RHYTHM, 75.3), COARSE)
    assert [label for _, _, label, _ in found] == ["verse", "chorus", "verse"]
    for (start, *_), true in zip(found[1:], (20.3, 45.3), strict=True):
        assert start % 0.5 == 0
        assert abs(start - true) <= 0.5


def test_equal_neighbours_are_one_part_of_several_phrases() -> None:
    blocks = ((16.0, "verse", 0), (16.0, "verse", 0), (32.0, "chorus", 1))
    made = curves(blocks, phrases_s=16.0)
    found = sections_of(made, rhythm(64.0), 64.0)
    assert level(found, COARSE) == [(0.0, 32.0, "verse", "A"), (32.0, 64.0, "chorus", "B")]
    assert [start for start, *_ in level(found, FINE)] == [0.0, 16.0, 32.0, 48.0]


def test_an_intro_stands_first_and_an_outro_last() -> None:
    blocks = ((32.0, "outro", 0), (32.0, "chorus", 1), (32.0, "intro", 2))
    labels = [label for _, _, label, _ in level(sections_of(curves(blocks), rhythm(96.0), 96.0), COARSE)]
    assert "intro" not in labels[1:]
    assert "outro" not in labels[:-1]


def test_what_is_too_short_is_no_section() -> None:
    blocks = ((32.0, "verse", 0), (2.0, "bridge", 1), (32.0, "chorus", 2))
    found = level(sections_of(curves(blocks, phrases_s=100.0), rhythm(66.0), 66.0), COARSE)
    assert [label for _, _, label, _ in found] == ["verse", "chorus"]


def test_silence_is_a_section_where_it_is() -> None:
    blocks = ((4.0, "silence", 7), (28.0, "verse", 0), (10.0, "silence", 7), (28.0, "verse", 0), (4.3, "silence", 7))
    silences = [(0.0, 4.0), (32.0, 42.0), (70.0, 75.0)]
    found = sections_of(curves(blocks), NO_RHYTHM, 74.3, silences)
    assert level(found, COARSE) == [
        (0.0, 4.0, "silence", "A"),
        (4.0, 32.0, "verse", "B"),
        (32.0, 42.0, "silence", "A"),
        (42.0, 70.0, "verse", "B"),
        (70.0, 74.3, "silence", "A"),
    ]


@pytest.mark.parametrize("duration_s", [0.01, 0.7, 3.0, 61.3, 1_000.0, 36_000.0])
@pytest.mark.parametrize("with_beats", [True, False])
def test_whatever_the_curves_say_sections_follow_each_other_from_start_to_end(
    duration_s: float, with_beats: bool
) -> None:
    rng = np.random.default_rng(3)
    steps = max(1, int(duration_s / STEP_S))
    functions = rng.dirichlet(np.ones(len(SECTION_LABELS)), steps)
    embeddings = rng.standard_normal((steps, 8))
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    noise = Curves(rng.random(steps), rng.random(steps), functions, embeddings, STEP_S)
    found = sections_of(noise, rhythm(duration_s, first_s=0.3) if with_beats else NO_RHYTHM, duration_s)
    for number, shortest_s in ((COARSE, PARTS.shortest_s), (FINE, PHRASES.shortest_s)):
        sections = [section for section in found if section.level == number]
        assert sections[0].start_s == 0.0
        assert sections[-1].end_s == duration_s
        assert all(one.end_s == other.start_s for one, other in pairwise(sections))
        assert len(sections) == 1 or min(s.end_s - s.start_s for s in sections) >= min(shortest_s, duration_s / 2)
        if number == COARSE:
            assert all(one.label != other.label for one, other in pairwise(sections))
    coarse = {section.start_s for section in found if section.level == COARSE}
    assert coarse <= {section.start_s for section in found if section.level == FINE}
    assert len(found) <= 4_000


def test_a_track_without_length_has_no_sections() -> None:
    assert sections_of(curves(SONG), NO_RHYTHM, 0.0) == ()


def test_letters_go_by_first_appearance_and_kinds_are_never_alike() -> None:
    sounds = np.array([[0.0, 2.0], [3.0, 0.1], [0.1, 1.0], [3.0, 0.0], [3.0, 0.0]])
    assert grouped(sounds, [0, 0, 0, 0, 1]) == ["A", "B", "A", "B", "C"]
    assert grouped(np.eye(30), [0] * 30)[24:] == ["Y", "Z", "AA", "AB", "AC", "AD"]
    assert grouped(np.ones((1, 2)), [0]) == ["A"]
