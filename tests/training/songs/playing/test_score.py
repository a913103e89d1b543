"""Songs of POP909 as scores."""

from pathlib import Path

import numpy as np
import pytest

from encoders.training.corpus import CorpusError
from encoders.training.songs.playing.score import functions_of, parse_chord, parse_key, read_score, read_structure

SECTIONS_S = [(0.0, 4.0, "i"), (4.0, 8.0, "A"), (8.0, 16.0, "B")]


def test_a_score_counts_in_beats(song: Path) -> None:
    score = read_score(song, SECTIONS_S)
    assert score.n_beats == 32
    assert score.beat_s == pytest.approx(0.5)
    melody = score.voices["MELODY"]
    assert melody[:, 0] == pytest.approx(np.arange(32), abs=1e-3)
    assert melody[:4, 2].tolist() == [60, 62, 64, 65]
    assert score.chords[1] == (4.0, 8.0, 5, (0, 4, 7))
    assert score.keys == [(0.0, 0, "major")]
    assert score.sections == [(0, 8, "i"), (8, 16, "A"), (16, 32, "B")]
    assert score.functions == ["intro", "verse", "chorus"]


def test_bars_begin_with_sections_and_else_with_chords(song: Path) -> None:
    assert read_score(song).bars.tolist() == list(range(0, 32, 4))
    shifted = [(start + 1.0, end + 1.0, letter) for start, end, letter in SECTIONS_S]  # two beats
    assert read_score(song, shifted).bars.tolist() == list(range(2, 32, 4))


@pytest.mark.parametrize(
    ("letters", "functions"),
    [
        ("iAABBo", ["intro", "verse", "verse", "chorus", "chorus", "outro"]),
        ("iABCxCX", ["intro", "verse", "verse", "chorus", "inst", "chorus", "bridge"]),
        ("ABBCB", ["verse", "chorus", "chorus", "bridge", "chorus"]),
        ("AbA", ["chorus", "inst", "chorus"]),
        ("io", ["intro", "outro"]),
    ],
)
def test_letters_become_functions(letters: str, functions: list[str]) -> None:
    assert functions_of(letters) == functions


def test_chords_and_keys_are_read() -> None:
    assert parse_chord("Bb:min7/b3") == (10, (0, 3, 7, 10))
    assert parse_chord("F#:sus4(b7)") == (6, (0, 5, 7))
    assert parse_chord("N") is None
    assert parse_key("Gb:maj") == (6, "major")
    assert parse_key("C#:min") == (1, "minor")


def test_what_is_missing_or_damaged_is_named(song: Path, tmp_path: Path) -> None:
    (song / "beat_midi.txt").write_text("0.0 1.0\n")
    with pytest.raises(CorpusError, match=r"beat_midi\.txt: three columns"):
        read_score(song)
    (song / "beat_midi.txt").unlink()
    with pytest.raises(CorpusError, match=r"beat_midi\.txt"):
        read_score(song)
    damaged = tmp_path / "structure.json"
    damaged.write_text("[1, 2")
    with pytest.raises(CorpusError, match=r"structure\.json"):
        read_structure(damaged)
