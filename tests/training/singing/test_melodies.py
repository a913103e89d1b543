"""Melodies: what the two files of a song come to, and what is refused."""

from pathlib import Path

import numpy as np
import pytest

from encoders.training.corpus import CorpusError
from encoders.training.singing.melodies import Note, at_pace, from_a_phrase, read_melody


def song(folder: Path, melody: str, tempo: str = "60") -> Path:
    (folder / "melody.txt").write_text(melody, encoding="utf-8")
    (folder / "tempo.txt").write_text(tempo, encoding="utf-8")
    return folder


def test_lengths_are_in_seconds_of_the_tempo_and_leading_rest_is_left_out(tmp_path: Path) -> None:
    # At 60 beats a minute a sixteenth is a quarter of a second.
    assert read_melody(song(tmp_path, "0 16\n60 4\n62 2\n0 4\n64 1")) == [
        Note(60, 1.0),
        Note(62, 0.5, rest_s=1.0),
        Note(64, 0.25),
    ]


def test_a_rest_too_short_for_breath_belongs_to_its_note(tmp_path: Path) -> None:
    # At 120 a sixteenth is an eighth of a second: one is no breath, two are.
    assert read_melody(song(tmp_path, "60 3\n0 1\n62 2\n0 2", "120")) == [Note(60, 0.5), Note(62, 0.25, rest_s=0.25)]


@pytest.mark.parametrize(
    ("melody", "tempo", "message"),
    [
        ("60 4 1", "60", "2 numbers a line"),
        ("C4 4", "60", "2 numbers a line"),
        ("", "60", "2 numbers a line"),
        ("0 4", "60", "no notes"),
        ("12 4", "60", "12 is no note"),
        ("60 4", "0", "not a tempo"),
        ("60 4", "fast", "1 numbers a line"),
    ],
)
def test_what_is_no_song_is_named(tmp_path: Path, melody: str, tempo: str, message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        read_melody(song(tmp_path, melody, tempo))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"tempo\.txt: No such file"):
        read_melody(tmp_path)


def test_a_song_begins_after_one_of_its_rests_and_loses_no_note() -> None:
    notes = [Note(60, 1), Note(61, 1, rest_s=1), Note(62, 1), Note(63, 1, rest_s=1), Note(64, 1)]
    starts = set()
    for seed in range(30):
        rotated = from_a_phrase(notes, np.random.default_rng(seed))
        assert sorted(rotated, key=lambda note: note.pitch) == notes
        starts.add(rotated[0].pitch)
    assert starts == {60, 62, 64}


def test_pace_is_the_mean_from_note_to_note_and_bounded() -> None:
    notes = [Note(60, 1.0), Note(62, 0.5, rest_s=0.5)]
    assert at_pace(notes, 0.5) == [Note(60, 0.5), Note(62, 0.25, rest_s=0.25)]
    assert at_pace(notes, 0.1)[0].duration_s == pytest.approx(1 / 3)
