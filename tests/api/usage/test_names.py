"""A track has one identity, whatever it is called: by its key, by paths of any kind, by links."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from mutagen.id3 import TIT2
from mutagen.wave import WAVE

from tests.conftest import Run, loaded, tone

KEY = "music/low/tone03.wav"


@pytest.fixture(autouse=True)
def _beside(indexed_tones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory lies beside the music, as does a link to it."""
    (indexed_tones.parent / "beside").mkdir()
    (indexed_tones.parent / "link").symlink_to(indexed_tones)
    monkeypatch.chdir(indexed_tones.parent / "beside")


def test_a_folder_has_one_identity_by_any_path(run: Run, indexed_tones: Path) -> None:
    for name in ("../music", "../beside/../music/", str(indexed_tones), "../link"):
        counts = loaded(run("index", name, "--json"))["counts"]
        assert (counts["indexed"], counts["unchanged"], counts["failed"]) == (0, 12, 0), name
    assert loaded(run("status", "--json"))["tracks"] == 12
    assert loaded(run("status", "--json"))["failures"] == 0


@pytest.mark.parametrize("name", [KEY, f"../{KEY}", "../link/low/tone03.wav", "../music/high/../low/tone03.wav"])
def test_every_command_finds_the_track_itself(run: Run, indexed_tones: Path, name: str) -> None:
    by_key = loaded(run("similar", KEY, "--json"))["results"]
    found = loaded(run("similar", name, "--json"))["results"]
    assert found == by_key
    assert KEY not in [one["track"] for one in found]
    assert loaded(run("show", name, "--json"))["track"] == KEY
    assert loaded(run("correct", name, "--title", "A tone", "--json"))["track"] == KEY
    assert KEY not in [
        one["track"] for one in loaded(run("similar", "music/low/tone02.wav", "--exclude", name, "--json"))["results"]
    ]
    steps = loaded(run("path", name, "../music/high/tone11.wav", "-n", "3", "--json"))["tracks"]
    assert (steps[0]["track"], steps[-1]["track"]) == (KEY, "music/high/tone11.wav")
    assert loaded(run("delete", name, "--json"))["deleted"] == [KEY]


def test_a_playlist_never_recommends_its_own_tracks(run: Run, indexed_tones: Path) -> None:
    own = ["low/tone01.wav", "low/tone02.wav", "low/tone03.wav"]
    (indexed_tones / "list.m3u8").write_text("".join(f"{name}\n" for name in own))
    folder = run("continue", "../music/low", expect=1).stderr
    assert "music/low: is a folder; accepted: a playlist, a track's key, or an audio file" in folder
    for playlist in ("../music/list.m3u8", "../link/list.m3u8", str(indexed_tones / "list.m3u8")):
        results = loaded(run("continue", playlist, "--json"))["results"]
        assert results
        assert not {f"music/{name}" for name in own} & {one["track"] for one in results}


def test_a_track_is_found_by_the_path_of_a_file_that_is_gone(run: Run, indexed_tones: Path) -> None:
    (indexed_tones / "low" / "tone03.wav").unlink()
    known = loaded(run("show", f"../{KEY}", "--json"))
    assert (known["track"], known["file"]["size_bytes"]) == (KEY, None)


def test_a_path_leads_from_and_to_files_that_are_no_tracks(
    run: Run, indexed_tones: Path, write_wav: Callable[..., Path], tmp_path: Path
) -> None:
    outside = write_wav(tmp_path / "outside.wav", tone(330, 3.3))
    answer = loaded(run("path", outside, KEY, "-n", "4", "--json"))
    assert answer["tracks"][0] == {
        "track": None,
        "file": str(outside),
        "cosine_to_next": answer["tracks"][0]["cosine_to_next"],
        "metadata": None,
    }
    assert answer["tracks"][-1]["track"] == KEY
    assert len(answer["tracks"]) == 4
    assert str(outside) in run("path", KEY, outside, "-n", "4").stdout
    both = loaded(run("path", outside, outside, "-n", "3", "--json"))["tracks"]
    assert (both[0]["track"], both[-1]["track"], len(both)) == (None, None, 3)


@pytest.mark.parametrize("name", ["list.txt", "list.cue", "list.pls", "list.m3u8", "list.json", "cover.png"])
def test_what_is_no_audio_is_never_decoded(run: Run, indexed_tones: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes((b"\x89PNG\r\n\x1a\n" if name.endswith("png") else b"File1=song.ogg\n") * 2_000)
    for command in (["similar", path], ["path", KEY, path], ["hum", path], ["index", path]):
        done = run(*command, expect=3 if command[0] == "index" else 1)
        said = done.stdout + done.stderr
        assert any(what in said for what in ("is a playlist", "is text, not audio", "is a picture")), (command, said)


def test_a_retag_is_told_as_one_also_where_languages_are_heard_again(run: Run, indexed_tones: Path) -> None:
    wave = WAVE(indexed_tones / "low" / "tone03.wav")
    wave.add_tags()
    wave.tags.add(TIT2(text=["Chanson d'amour"]))
    wave.save()
    report = loaded(run("index", indexed_tones, "--json"))
    assert report["counts"] == {"indexed": 0, "unchanged": 11, "failed": 0, "updated": 1}
    assert "language" in report["seconds"]
    assert "Chanson d'amour" in [track["title"] for track in loaded(run("tracks", "--json"))]
    assert "1 with new tags" not in run("index", indexed_tones).stdout


def test_a_prefix_holds_for_a_file_too(run: Run, indexed_tones: Path, tmp_path: Path) -> None:
    shutil.copy(indexed_tones / "low" / "tone03.wav", tmp_path / "one.wav")
    run("index", tmp_path / "one.wav", "--key-prefix", "mine")
    assert loaded(run("show", "mine/one.wav", "--json"))["file"]["path"] == str(tmp_path / "one.wav")


def test_a_root_that_is_suddenly_empty_deletes_nothing(run: Run, indexed_tones: Path) -> None:
    aside = indexed_tones.with_name("aside")
    indexed_tones.rename(aside)
    for emptied in (False, True):
        if emptied:
            indexed_tones.mkdir()
        said = run("index", indexed_tones, expect=1).stderr
        assert said.startswith(f"soundalike: {indexed_tones}: ")
        assert said.endswith("; 12 tracks came from there, and nothing was taken out\n")
        assert loaded(run("status", "--json"))["tracks"] == 12
        assert loaded(run("status", "--json"))["missing"] == 0
        assert loaded(run("prune", "--json"))["pruned"] == []
    (indexed_tones / "mounted later").mkdir()
    assert "12 tracks came from there" in run("index", indexed_tones, expect=1).stderr


def test_a_key_that_is_none_is_no_wrong_usage_in_a_body_either(run: Run, tmp_path: Path) -> None:
    body = tmp_path / "query.json"
    body.write_text('{"query": {"track": "nowhere"}}')
    error = loaded(run("query", body, "--json", expect=1))["error"]
    assert (error["code"], error["field"]) == ("unknown-track", "query.track")
    assert "no track with key 'nowhere'" in run("similar", "nowhere", expect=1).stderr


def test_a_file_that_is_cut_short_is_told_to_be(run: Run, indexed_tones: Path, tmp_path: Path) -> None:
    whole = indexed_tones / "low" / "tone03.wav"
    assert "heard as far as it goes" not in run("similar", shutil.copy(whole, tmp_path / "whole.wav")).stderr
    cut = tmp_path / "cut.wav"
    cut.write_bytes(whole.read_bytes()[:70_000])
    done = run("similar", cut)
    assert f"{cut}: heard as far as it goes: " in done.stderr
    assert KEY in done.stdout
