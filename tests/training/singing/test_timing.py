"""Timing: consonants keep their length, vowels take that of their notes, and time only goes on."""

import numpy as np
import pytest

from encoders.training.singing.melodies import Note
from encoders.training.singing.syllables import Syllable
from encoders.training.singing.timing import Timing, lay
from encoders.training.singing.world import FRAME_S

WORDS = [Syllable(10, 20, 25, 40, 46), Syllable(46, 52, 60, 70, 74), Syllable(74, 84, 90, 100, 104)]
TUNE = [Note(60, 0.5), Note(64, 0.75), Note(67, 1.0)]


def sung_at(timing: Timing, spoken: float) -> float:
    return float(np.interp(spoken, timing.spoken, timing.sung))


def laid(words: list[Syllable], tune: list[Note], *, melismas: float = 0.0, seed: int = 0) -> Timing:
    return lay(words, tune, np.random.default_rng(seed), melismas=melismas)


def test_vowels_begin_a_note_apart() -> None:
    timing = laid(WORDS, TUNE)
    begins = [sung_at(timing, word.vowel) * FRAME_S for word in WORDS]
    assert np.diff(begins) == pytest.approx([0.5, 0.75])
    assert [note.pitch for note in timing.notes] == [60, 64, 67]
    assert [note.start * FRAME_S for note in timing.notes] == pytest.approx(begins, abs=FRAME_S)


def test_consonants_last_as_long_as_they_were_spoken() -> None:
    timing = laid(WORDS, TUNE)
    for word in WORDS:
        assert sung_at(timing, word.vowel) - sung_at(timing, word.start) == pytest.approx(word.vowel - word.start)
        assert sung_at(timing, word.end) - sung_at(timing, word.coda) == pytest.approx(word.end - word.coda)


def test_a_vowel_takes_a_second_note_where_the_first_is_shorter_than_its_consonants() -> None:
    timing = laid(WORDS[:2], [Note(60, 0.05), Note(62, 0.4), Note(64, 0.5)])
    assert [note.pitch for note in timing.notes] == [62, 64]
    assert (sung_at(timing, 52) - sung_at(timing, 20)) * FRAME_S == pytest.approx(0.45)


def test_every_syllable_on_several_notes_sings_each_of_them() -> None:
    timing = laid(WORDS, [Note(60 + index, 0.4) for index in range(12)], melismas=1.0)
    assert len(timing.notes) >= 2 * len(WORDS)
    assert len({note.pitch for note in timing.notes}) == len(timing.notes)


def test_singing_breathes_only_after_seconds_and_only_where_the_speaker_paused() -> None:
    words = [Syllable(start, start + 6, start + 10, start + 20, start + 22) for start in range(0, 40 * 40, 40)]
    timing = laid(words, [Note(60, 0.5, rest_s=0.5)])
    assert timing.breaths
    for start, end in timing.breaths:
        spoken = timing.spoken[np.flatnonzero(np.abs(timing.sung - start) <= 0.5)]
        assert set(spoken.astype(int)) & {word.end for word in words}
        assert 0.15 <= (end - start) * FRAME_S <= 1.2
    between = [after[0] - before[1] for before, after in zip(timing.breaths, timing.breaths[1:], strict=False)]
    assert min(between) * FRAME_S >= 2.0


@pytest.mark.parametrize("seed", range(20))
def test_time_goes_on(seed: int) -> None:
    rng = np.random.default_rng(seed)
    words, at = [], 0
    for _ in range(30):
        lengths = rng.integers(1, 60, 5)
        start, vowel, nucleus, coda, end = (at + np.cumsum(lengths)).tolist()
        words.append(Syllable(start, vowel, nucleus, coda, end))
        at = end
    tune = [Note(60.0, float(rng.uniform(0.02, 1.5)), float(rng.choice([0, 0.5, 3]))) for _ in range(7)]
    timing = laid(words, tune, melismas=0.3, seed=seed)
    assert (np.diff(timing.sung) >= 0).all()
    assert (np.diff(timing.spoken) >= 0).all()
    assert (np.diff(timing.spoken_frames()) >= 0).all()
    assert all(note.end > note.start for note in timing.notes)
    assert all(before.end <= after.start for before, after in zip(timing.notes, timing.notes[1:], strict=False))
    assert timing.frames >= timing.notes[-1].end
