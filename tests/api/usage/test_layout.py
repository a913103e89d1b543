"""No key is broken on a narrow terminal: what has no room beside it stands below it."""

from pathlib import Path

import pytest

from api.cli.layout import table_of
from api.cli.terminal import Screen
from tests.conftest import Run

KEY = "somewhere/on/this/disk/a-song.ogg"
NAMES = ("#", "score", "track", "shared tags", "length")
ROW = (1, "0.773", KEY, "strings, violin, classical", "1:10")


def shown(width: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], row: object = ROW) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    Screen().print(table_of(NAMES, [row], key=2))  # type: ignore[list-item]
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= width
    assert all(line[-1] in "┓┃┩│┘" for line in text.splitlines())  # nothing is cut off
    return text


def test_what_has_no_room_beside_a_key_stands_below_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    beside = shown(100, monkeypatch, capsys)
    assert f"│1 │ 0.773 │ {KEY} │ strings, violin, classical │ 1:10  │" in beside
    wrapped = shown(70, monkeypatch, capsys)  # at words
    assert KEY in wrapped
    assert "classical " in wrapped
    below = shown(60, monkeypatch, capsys)
    assert f"│1 │ 0.773 │ {KEY}" in below
    assert "shared tags: strings," in below
    assert "length" not in below.splitlines()[1]
    many = shown(80, monkeypatch, capsys, (1, "0.773", KEY, ", ".join(["classical"] * 30), "1:10"))
    assert many.count("classical") == 30
    assert f"│ {KEY} │" in many
    spaced = shown(80, monkeypatch, capsys, (1, "0.773", "My Music/all of it/" + KEY, "a b c d e f " * 5, "1:10"))
    assert f"│ My Music/all of it/{KEY}" in spaced
    alone = shown(len(KEY) + 4, monkeypatch, capsys)
    assert f"│{KEY}" in alone
    assert "#: 1; score: 0.773; shared" in alone


def test_a_key_longer_than_a_line_is_broken_and_whole(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = shown(60, monkeypatch, capsys, (1, "0.5", KEY * 5, "", "1:10"))
    column = "".join(line.split("│")[3].strip() for line in text.splitlines() if line.startswith("│"))
    assert column == KEY * 5


def test_what_is_empty_is_left_out_below(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(54, monkeypatch, capsys, (1, "0.5", KEY, "", "1:10"))
    assert "shared tags" not in text
    assert "length: 1:10" in text


def test_no_frame_is_shown_around_nothing(run: Run, tmp_path: Path) -> None:
    none_yet = f"no tracks yet in {tmp_path / 'home'}: `soundalike index FOLDER` brings music in\n"
    assert run("tracks").stdout == none_yet
    nobody = '{"must": [{"key": "artist", "match": {"value": "nobody"}}]}'
    assert run("tracks", "--filter", nobody).stdout == "no track matches\n"
    assert run("tracks", "--missing").stdout == "no track is missing\n"
    assert run("tracks", "--ignored").stdout == "no track is ignored\n"
