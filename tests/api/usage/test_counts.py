"""A list or an answer never comes back short in silence: a line below it says of how many tracks it has how many."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from tests.conftest import Run, loaded


@pytest.fixture(autouse=True)
def _tones(indexed_tones: Path) -> None:
    """Six low tones and six high ones."""


def test_tracks_say_how_many_there_are(run: Run) -> None:
    low = json.dumps({"must": [{"key": "duration_s", "range": {"gte": 3.45}}]})
    n_long = len(loaded(run("tracks", "--filter", low, "--json")))
    assert 1 < n_long < 12
    assert run("tracks").stdout.splitlines()[-1] == "12 of 12 tracks"
    assert run("tracks", "-n", "3").stdout.splitlines()[-1] == "3 of 12 tracks (-n 12 lists them all)"
    cut = run("tracks", "-n", "1", "--filter", low).stdout.splitlines()[-1]
    assert cut == f"1 of {n_long} tracks (-n {n_long} lists them all)"
    short = run("tracks", "-n", "5", "--json")
    assert (len(loaded(short)), short.stderr) == (5, "5 of 12 tracks (-n 12 lists them all)\n")
    assert run("tracks", "--json").stderr == ""


@pytest.mark.parametrize("columns", ["0", "00", ""])
def test_no_columns_hide_nothing(run: Run, columns: str) -> None:
    shown = run("tracks", COLUMNS=columns).stdout
    assert shown == run("tracks", COLUMNS="10000").stdout
    assert "music/high/tone11.wav" in shown
    assert shown.endswith("12 of 12 tracks\n")


def test_so_do_those_that_are_missing(run: Run, indexed_tones: Path) -> None:
    for number in (1, 2, 3):
        (indexed_tones / "low" / f"tone0{number}.wav").unlink()
    run("index", indexed_tones)
    assert run("tracks", "--missing", "-n", "2").stdout.splitlines()[-1] == "2 of 3 tracks (-n 3 lists them all)"
    assert run("tracks").stdout.splitlines()[-1] == "9 of 9 tracks"


def test_moments_are_of_one_form_in_all_json(run: Run, indexed_tones: Path) -> None:
    (indexed_tones / "low" / "broken.wav").write_bytes(b"RIFF" + bytes(60))
    (failure,) = loaded(run("index", indexed_tones, "--json", expect=3))["failures"]
    (indexed_tones / "low" / "tone01.wav").unlink()
    run("index", indexed_tones, expect=3)
    (missing,) = loaded(run("tracks", "--missing", "--json"))
    indexed = loaded(run("tracks", "--json"))[0]
    for said in (failure["failed_at"], missing["missing_since"], indexed["indexed_at"]):
        assert said == datetime.fromisoformat(said).isoformat()


def test_status_names_the_default_in_json_as_in_its_table(run: Run) -> None:
    assert loaded(run("status", "--json"))["defaults"] == [{"space": "musicnn", "tracks": 12, "answers": True}]
    assert "default: musicnn, which answers where no space is named\n" in run("status").stdout


def test_a_column_that_nobody_asked_for_is_not_empty_but_absent(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = tmp_path / "query.json"
    for explain, shown in ((False, False), (True, True)):
        body.write_text(json.dumps({"query": {"track": "music/low/tone03.wav"}, "explain": explain}))
        assert ("shared tags" in run("query", body).stdout) == shown
    with body.open() as piped:
        monkeypatch.setattr("sys.stdin", piped)
        assert run("query", "-").stdout.startswith("standard input\n")


def test_an_encoder_of_a_setting_is_no_wrong_usage(run: Run, indexed_tones: Path) -> None:
    for said in ("mine", "mine=nowhere:SPEC"):
        assert (
            "SOUNDALIKE_ENCODERS"
            in run("index", indexed_tones, "--space", "mine", expect=1, SOUNDALIKE_ENCODERS=said).stderr
        )
    run("index", indexed_tones, "--space", "mine", expect=2, SOUNDALIKE_ENCODERS="")
