"""Clips and their list: what is written is read, and a damaged line is named."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.training.corpus import CorpusError
from encoders.training.voices.clips import (
    SPOKEN,
    Clip,
    active,
    append_clips,
    at_level,
    read_clip,
    read_clips,
    write_clip,
)

SAID = Clip("recorded/fr/a.flac", "fr", "june", "prompts", "recorded", 3.5, "CC BY-SA 3.0")
SUNG = Clip("sung/fr/a.flac", "fr", "june", "prompts", "sung", 7.25, "CC BY-SA 3.0", 412)


def test_a_list_is_read_as_it_was_written(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.tsv"
    append_clips(manifest, [SAID])
    append_clips(manifest, [SUNG, SUNG])
    assert read_clips(manifest) == [SAID, SUNG, SUNG]
    assert manifest.read_text(encoding="utf-8").startswith("path\tlanguage\tspeaker\tsource\tkind\tseconds\tlicence")


def test_a_line_that_was_cut_short_goes_when_another_is_added(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.tsv"
    append_clips(manifest, [SAID, SUNG])
    manifest.write_bytes(manifest.read_bytes()[:-9])
    append_clips(manifest, [SUNG])
    assert read_clips(manifest) == [SAID, SUNG]


def test_a_heading_and_a_line_that_was_cut_short_are_left_out(tmp_path: Path) -> None:
    manifest = tmp_path / "manifest.tsv"
    heading = "path\tlanguage\tspeaker\tsource\tkind\tseconds\tlicence\n"
    line = "a.flac\tfr\tjune\tprompts\trecorded\t3.50\tMIT\n"
    manifest.write_text(heading + line + line[:20], encoding="utf-8")
    assert read_clips(manifest) == [Clip("a.flac", "fr", "june", "prompts", "recorded", 3.5, "MIT")]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("a.flac\tfr\tjune", "line 1: path, language"),
        ("a.flac\tfr\tjune\tprompts\trecorded\tlong\tMIT", "line 1: path, language"),
        ("a.flac\tfr\tjune\tprompts\tsung\t3\tMIT\t4\t5", "line 1: path, language"),
        ("a.flac\tfr\tjune\tprompts\tshouted\t3\tMIT", r"kind 'shouted' \(accepted: recorded, synthesised, sung\)"),
    ],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, line: str, message: str) -> None:
    (tmp_path / "manifest.tsv").write_text(line + "\n", encoding="utf-8")
    with pytest.raises(CorpusError, match=message):
        read_clips(tmp_path / "manifest.tsv")


def test_a_list_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError, match=r"none\.tsv: No such file or directory$"):
        read_clips(tmp_path / "none.tsv")
    with pytest.raises(CorpusError, match=r"spoken\.tsv: No such file or directory; `soundalike train voices`"):
        read_clips(tmp_path / SPOKEN)
    (tmp_path / SPOKEN).write_bytes(b"\xff\n")
    with pytest.raises(CorpusError, match=r"spoken\.tsv: .*utf-8"):
        read_clips(tmp_path / SPOKEN)


def test_a_clip_is_read_as_it_was_written(tmp_path: Path, utterance: NDArray[np.float32]) -> None:
    write_clip(tmp_path / "new" / "a.flac", utterance)
    assert np.allclose(read_clip(tmp_path / "new" / "a.flac"), utterance, atol=1 / 32767)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.flac"]


def test_a_clip_that_is_damaged_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.flac").write_bytes(b"fLaC and nothing")
    with pytest.raises(CorpusError, match=r"a\.flac"):
        read_clip(tmp_path / "a.flac")


def test_a_level_is_that_of_what_sounds() -> None:
    tone = 0.01 * np.sin(np.arange(16_000) * 0.2)
    waveform = np.concatenate([np.zeros(48_000), tone]).astype(np.float32)
    levelled = at_level(waveform, -20.0)
    assert 10 * np.log10((levelled[48_000:] ** 2).mean()) == pytest.approx(-20, abs=0.05)
    assert active(waveform).sum() == 16_000


def test_peaks_are_not_cut_and_silence_stays() -> None:
    clicks = np.zeros(16_000, np.float32)
    clicks[::800] = 0.5
    assert np.abs(at_level(clicks, -3.0)).max() == pytest.approx(0.99)
    assert not at_level(np.zeros(100, np.float32)).any()
    assert not active(np.zeros(100, np.float32)).any()
