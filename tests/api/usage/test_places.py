"""What a renamed file may take the place of, and what it may not: also where its name is a link."""

import os
from pathlib import Path

import pytest

from encoders.errors import AudioWriteError
from encoders.media.writing import check_place
from encoders.places import is_replaceable
from tests.conftest import Run

KEY = "music/low/tone03.wav"


def test_files_may_be_replaced_and_nothing_else(tmp_path: Path) -> None:
    file, pipe, folder = tmp_path / "file.wav", tmp_path / "pipe.wav", tmp_path / "folder.wav"
    file.touch()
    folder.mkdir()
    os.mkfifo(pipe)
    links = {}
    for name, leads_to in (
        ("to a file", file),
        ("to a pipe", pipe),
        ("to nothing", tmp_path / "x"),
        ("to null", "/dev/null"),
    ):
        links[name] = tmp_path / name
        links[name].symlink_to(leads_to)
    (tmp_path / "around").symlink_to("around")
    may = [file, tmp_path / "new.wav", links["to a file"], links["to nothing"]]
    may_not = [pipe, folder, links["to a pipe"], links["to null"], tmp_path / "around"]
    may_not += [Path(name) for name in ("/dev/null", "/dev/full", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")]
    assert [path for path in may if not is_replaceable(path)] == []
    assert [path for path in may_not if is_replaceable(path)] == []
    with pytest.raises(AudioWriteError, match="is a device or a pipe; accepted: a file"):
        check_place(pipe)


def test_no_command_takes_a_pipe_from_its_place(run: Run, indexed_tones: Path, tmp_path: Path) -> None:
    for name in ("out.wav", "out.parquet", "out.json", "out.html"):
        os.mkfifo(tmp_path / name)
    for command in (
        ["export-jams", KEY, tmp_path / "out.json"],
        ["export-neighbors", tmp_path / "out.parquet"],
        ["retarget", KEY, "--duration", "20", "--out", tmp_path / "out.wav"],
        ["retarget", KEY, "--duration", "20", "--out", tmp_path / "new.wav", "--plan", tmp_path / "out.json"],
        ["evaluate", "report", tmp_path, "--out", tmp_path / "out.html"],
    ):
        said = run(*command, expect=1).stderr
        assert ": is a device or a pipe; accepted: a file" in said, command
    assert all((tmp_path / name).is_fifo() for name in ("out.wav", "out.parquet", "out.json", "out.html"))
