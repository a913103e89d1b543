import json

import numpy as np
import pytest

from benchmarks.music.songs import TruthError, counted, read_song, read_songs, write_truth


def song(folder, **truth):
    folder.mkdir(parents=True)
    (folder / "audio.wav").write_bytes(b"")
    (folder / "truth.json").write_text(json.dumps(truth))
    return folder


def test_all_that_an_annotation_says_is_read(tmp_path):
    read = read_song(
        song(
            tmp_path / "set" / "001",
            beats=[[0.5, 3], [1.0, 4], [1.5, 1], [2.0, 2]],
            key="A minor",
            sections=[[0, 10, "intro"], [10, 20, "verse", "B"]],
            melody={"step_s": 0.01, "midi": [60, None, 61.5]},
        )
    )
    truth = read.truth
    assert read.name == "set/001"
    assert truth.beats_s.tolist() == [0.5, 1.0, 1.5, 2.0]
    assert truth.downbeats_s.tolist() == [1.5]
    assert truth.tempo_bpm == 120
    assert truth.key == "A minor"
    assert [(part.label, part.group) for part in truth.parts] == [("intro", None), ("verse", "B")]
    assert np.array_equal(truth.melody.midi, [60, np.nan, 61.5], equal_nan=True)


def test_what_an_annotation_leaves_out_is_not_known(tmp_path):
    truth = read_song(song(tmp_path / "a", beats=None, tempo=97.5)).truth
    assert (truth.beats_s, truth.downbeats_s, truth.key, truth.parts, truth.melody) == (None,) * 5
    assert truth.tempo_bpm == 97.5


def test_beats_without_positions_have_no_downbeats(tmp_path):
    truth = read_song(song(tmp_path / "a", beats=[[0.5, None], [1.0, None]])).truth
    assert truth.downbeats_s is None
    assert truth.tempo_bpm == 120


def test_written_truth_is_read_again(tmp_path):
    folder = song(tmp_path / "a")
    write_truth(folder, sure="good", source="made", beats=counted([0.25, 0.75], [1, 2]), key=None)
    read = read_song(folder)
    assert read.sure == "good"
    assert read.truth.beats_s.tolist() == [0.25, 0.75]
    with pytest.raises(ValueError, match="sure is one of exact, good, labelled"):
        write_truth(folder, sure="certain", source="made")


def test_songs_are_found_below_a_folder_and_taken_between_names(tmp_path):
    for name in ("b/702", "a/700", "a/701", "c/801"):
        song(tmp_path / name)
    assert [read.name for read in read_songs(tmp_path)] == ["a/700", "a/701", "b/702", "c/801"]
    assert [read.name for read in read_songs(tmp_path, between=("701", "800"))] == ["a/701", "b/702"]
    with pytest.raises(TruthError, match=r"no folder with truth\.json in it, 900 to 999"):
        read_songs(tmp_path, between=("900", "999"))


def test_what_cannot_be_used_is_named(tmp_path):
    folder = song(tmp_path / "a", beats=[[1.0, 1], [0.5, 2]])
    with pytest.raises(TruthError, match=r"truth\.json: ValueError: beats do not ascend at 0\.5 s"):
        read_song(folder)
    (folder / "truth.json").write_text("{")
    with pytest.raises(TruthError, match="JSONDecodeError"):
        read_song(folder)
    (folder / "audio.wav").unlink()
    with pytest.raises(TruthError, match=r"none of audio\.flac"):
        read_song(folder)
