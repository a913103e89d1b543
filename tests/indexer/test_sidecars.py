"""Names that lie beside the music: read where the files say nothing, and never in the way."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from mutagen.id3 import TALB, TIT2
from mutagen.wave import WAVE

from encoders.media.decoded import DecodedAudio
from indexer import sidecars
from indexer.file_tags import FileTags
from indexer.scan import scan
from indexer.sidecars import read_track_tags, sidecars_in
from indexer.track import prepare
from tests.conftest import tone
from tests.indexer.decoding import Decoding

ALBUM = {
    "title": "Warzone 2100 OST",
    "author": "Martin Severn",
    "date": "1999",
    "tracks": [
        {"filename": "one.wav", "title": "Track 1", "author": "Another"},
        {"filename": "two.wav", "title": " Track 2\0 ", "base_volume": 100},
        {"filename": "three.wav", "title": ["Track 3"], "author": 3},
    ],
}
MUSIC = """<?xml version="1.0"?>
<music title = "Golden Fields" composer = "Krobonil &amp; Ozone"
       file  = "one.wav" fast-filename = "one_fast.wav"/>
<!-- The gain is clamped. -->
"""
BOMB = '<!DOCTYPE music [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;&a;">]><music title="&b;" file="one.wav"/>'


def written(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_an_album_names_its_tracks(tmp_path: Path) -> None:
    written(tmp_path, "album.json", json.dumps(ALBUM))
    title, year = ALBUM["title"], 1999
    assert read_track_tags(tmp_path / "one.wav") == FileTags("Track 1", "Another", title, year=year)
    assert read_track_tags(tmp_path / "two.wav") == FileTags("Track 2", "Martin Severn", title, year=year)
    assert read_track_tags(tmp_path / "three.wav") == FileTags(None, "3", title, year=year)
    assert read_track_tags(tmp_path / "unlisted.wav") == FileTags()


def test_a_song_names_its_stems(tmp_path: Path) -> None:
    written(
        tmp_path, "Song.ini", "\ufeff[Song]\nname = 100 % Metal\nartist=Sectoid\nyear = 2006\ncassettecolor = #111\n"
    )
    for stem in ("song.wav", "guitar.wav"):
        assert read_track_tags(tmp_path / stem) == FileTags("100 % Metal", "Sectoid", year=2006)


def test_a_music_file_names_the_file_it_points_at(tmp_path: Path) -> None:
    written(tmp_path, "fields.music", MUSIC)
    assert read_track_tags(tmp_path / "one.wav") == FileTags("Golden Fields", "Krobonil & Ozone")
    assert read_track_tags(tmp_path / "fields.wav") == FileTags()


def test_own_tags_win_and_the_rest_is_filled_in(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    path = write_wav(tmp_path / "one.wav", tone(220, 1))
    written(tmp_path, "album.json", json.dumps(ALBUM))
    opened = WAVE(path)
    opened.add_tags()
    opened.tags.add(TIT2(text="Own"))
    opened.tags.add(TALB(text=" "))
    opened.save()
    assert read_track_tags(path) == FileTags("Own", "Another", "Warzone 2100 OST", year=1999)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("album.json", json.dumps(ALBUM)[:-5]),
        ("album.json", "[1]"),
        ("album.json", '{"tracks": {"filename": "one.wav"}}'),
        ("album.json", '{"tracks": [7, {"filename": 7}, {"title": "no file"}]}'),
        ("album.json", "[" * 200_000),
        ("album.json", json.dumps(ALBUM) + " " * 2**20),
        ("album.json", json.dumps(ALBUM).encode("utf-16")),
        ("song.ini", "name = no section\n"),
        ("song.ini", "[game]\nname = another section\n"),
        ("song.ini", "[song\n"),
        ("song.ini", b"[song]\nname = \xff\n"),
        ("one.music", '(supertux-music\n  (file "one.wav")\n  (loop-begin 0)\n)\n'),
        ("one.music", MUSIC[:100]),
        ("one.music", '<track title="a" file="one.wav"/>'),
        ("one.music", '<music title="a"/>'),
        ("one.music", BOMB),
        ("one.music", BOMB.encode("utf-16")),
    ],
)
def test_a_damaged_file_is_as_good_as_none(name: str, content: str | bytes, tmp_path: Path) -> None:
    written(tmp_path, name, content)
    written(tmp_path, "two.music", MUSIC.replace("one.wav", "two.wav"))
    assert read_track_tags(tmp_path / "one.wav") == FileTags()
    assert read_track_tags(tmp_path / "two.wav").title == "Golden Fields"


def test_text_that_no_database_holds_is_mended(tmp_path: Path) -> None:
    written(tmp_path, "album.json", '{"tracks": [{"filename": "one.wav", "title": "a\\ud800", "author": "\\u0000"}]}')
    assert read_track_tags(tmp_path / "one.wav") == FileTags("a?")


def test_folders_links_and_other_files_are_no_sidecars(tmp_path: Path) -> None:
    (tmp_path / "album.json").mkdir()
    (tmp_path / "gone.music").symlink_to("nowhere")
    written(tmp_path, "readme.json", "{}")
    assert sidecars_in(tmp_path) == []
    assert read_track_tags(tmp_path / "one.wav") == FileTags()
    assert read_track_tags(tmp_path / "no folder" / "one.wav") == FileTags()


def test_a_folder_is_read_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path, "album.json", json.dumps(ALBUM))
    parsed = []
    monkeypatch.setattr(sidecars.json, "loads", lambda text, loads=json.loads: parsed.append(text) or loads(text))
    for _ in range(100):
        assert read_track_tags(tmp_path / "one.wav").title == "Track 1"
    assert len(parsed) == 1
    os.utime(tmp_path, (1, 1))
    written(tmp_path, "new", json.dumps(ALBUM).replace("Track 1", "Renamed")).replace(path)
    assert read_track_tags(tmp_path / "one.wav").title == "Renamed"
    assert len(parsed) == 2


def test_the_pipeline_reads_what_lies_beside(music: Path) -> None:
    written(music / "low", "song.ini", "[song]\nname = Low\n")
    files = scan(music, on_error=lambda uri, reason: None)

    decoded = Decoding(
        lambda file, rates: DecodedAudio({rate: tone(220, 1.0, sample_rate=rate) for rate in rates}, 1.0)
    )
    assert {prepare(file, [], decoded).tags.title for file in files[-6:]} == {"Low"}
    assert prepare(files[0], [], decoded).tags.title is None
