"""`train clips`: whose music is taken, and one line for whatever cannot be done."""

import wave
from pathlib import Path

import numpy as np
import pytest

from tests.conftest import Run, loaded


@pytest.fixture
def music(tmp_path: Path) -> Path:
    folder = tmp_path / "music"
    sound = np.random.default_rng(0).normal(0, 3000, 14 * 22_050).astype("<i2")
    for package in ("one", "two"):
        (folder / package).mkdir(parents=True)
        with wave.open(str(folder / package / "noise.wav"), "wb") as file:
            file.setparams((1, 2, 22_050, 0, "NONE", ""))
            file.writeframes(sound.tobytes())
    return folder


def test_packages_are_taken_or_left(run: Run, music: Path, tmp_path: Path) -> None:
    out = tmp_path / "clips"
    command = ("train", "clips", str(music), "--out", str(out), "--clips", "1", "--style", "bars", "--json")
    assert loaded(run(*command, "--hold-out", "two")) == {"clips": 1, "new": 1, "left_out": {}}
    assert loaded(run(*command, "--only", "one"))["new"] == 0
    assert loaded(run(*command, "--only", "two"))["new"] == 1
    assert sorted(path.name for path in out.iterdir()) == ["clips.jsonl", "one-noise", "two-noise"]


def test_what_is_wrong_is_named(run: Run, music: Path, tmp_path: Path) -> None:
    (tmp_path / "nothing").mkdir()
    for folder, options, message in (
        (music, ("--only", "three"), "no music in three (there is: one, two)"),
        (tmp_path / "nothing", (), "no audio file in it"),
        (music, ("--hold-out", "one", "--hold-out", "two"), "no track"),
        (music, ("--style", "slideshow"), "no picture in it"),
    ):
        done = run("train", "clips", str(folder), "--out", str(tmp_path / "out"), *options, expect=1)
        assert message in done.stderr
