"""What `--labels-from` reads: what bears which label, and what is left out, as it is said."""

import os
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from api.cli.label_folders import read_labels
from retrieval.evaluation.errors import EvaluationError


def put(path: Path, content: bytes = b"sound") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    put(tmp_path / "mine" / "rock" / "a.mp3", b"a")
    put(tmp_path / "mine" / "rock" / "live" / "1999" / "b.FLAC", b"b")
    put(tmp_path / "mine" / "jazz" / "c.ogg", b"c")
    return tmp_path / "mine"


def test_the_first_folder_is_the_label(mine: Path) -> None:
    put(mine / "rock" / "cover.jpg")
    put(mine / "rock" / ".hidden.mp3")
    put(mine / ".trash" / "d.mp3")
    done: list[tuple[int, int]] = []
    found = read_labels(mine, on_done=lambda *counts: done.append(counts))
    assert [(file.name, file.label, file.content_hash) for file in found.files] == [
        ("jazz/c.ogg", "jazz", sha256(b"c").hexdigest()),
        ("rock/.hidden.mp3", "rock", sha256(b"sound").hexdigest()),
        ("rock/a.mp3", "rock", sha256(b"a").hexdigest()),
        ("rock/live/1999/b.FLAC", "rock", sha256(b"b").hexdigest()),
    ]
    assert (found.source, found.warnings, done) == (str(mine), [], [(1, 4), (2, 4), (3, 4), (4, 4)])


def test_links(mine: Path, tmp_path: Path) -> None:
    elsewhere = put(tmp_path / "elsewhere" / "d.mp3", b"d")
    (mine / "jazz" / "link.mp3").symlink_to(elsewhere)
    (mine / "jazz" / "broken.mp3").symlink_to(tmp_path / "nowhere.mp3")
    (mine / "blues").symlink_to(elsewhere.parent)
    found = read_labels(mine)
    assert {file.name: file.content_hash for file in found.files}["jazz/link.mp3"] == sha256(b"d").hexdigest()
    assert len(found.files) == 4
    assert found.warnings == [
        f"{mine}: left out, cannot be read: 1 path: {mine}/jazz/broken.mp3 (No such file or directory)",
        f"{mine}: left out, links to folders, not followed: 1 link: blues",
    ]
    through = tmp_path / "through"
    through.symlink_to(mine)
    assert [file.name for file in read_labels(through).files] == [file.name for file in found.files]


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="needs a file that opens and cannot be read")
def test_what_cannot_be_read_is_left_out(mine: Path) -> None:
    os.mkfifo(mine / "jazz" / "pipe.mp3")
    (mine / "jazz" / "memory.mp3").symlink_to("/proc/self/mem")
    found = read_labels(mine)
    assert len(found.files) == 3
    no_file = "no file: a device, a pipe or a socket"
    said = f"2 paths: {mine}/jazz/pipe.mp3 ({no_file}), {mine}/jazz/memory.mp3 (Input/output error)"
    assert found.warnings == [f"{mine}: left out, cannot be read: {said}"]


def test_files_without_a_label_are_left_out(mine: Path) -> None:
    for number in range(5):
        put(mine / f"loose {number}.mp3")
    (warning,) = read_labels(mine).warnings
    assert warning == (
        f"{mine}: left out, directly in it, under no label: 5 files: loose 0.mp3, loose 1.mp3, loose 2.mp3 and 2 more"
    )


@pytest.mark.parametrize(
    ("filled", "said"),
    [
        (lambda folder: None, ""),
        (lambda folder: put(folder / "rock" / "notes.txt"), ""),
        (lambda folder: put(folder / "a.mp3"), "; {folder}: left out, directly in it, under no label: 1 file: a.mp3"),
        (
            lambda folder: (folder / "rock").symlink_to("/"),
            "; {folder}: left out, links to folders, not followed: 1 link: rock",
        ),
    ],
)
def test_a_folder_without_labelled_music_is_refused(
    filled: Callable[[Path], object], said: str, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    filled(folder)
    with pytest.raises(EvaluationError) as refused:
        read_labels(folder)
    start = (
        f"{folder}: holds no audio file under a label{said.format(folder=folder)}; accepted: label/file in it, such as"
    )
    assert str(refused.value).startswith(start)
    assert ".mp3" in refused.value.accepted
