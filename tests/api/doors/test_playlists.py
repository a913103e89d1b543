"""Playlists come in whole: however a track is written, it is found, and what is not found is named."""

import os
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from api.cli.playlists.files import MAX_BYTES, PlaylistFileError, read_playlist
from api.cli.playlists.finding import Found, find, on_disk, read_all
from api.cli.playlists.names import components, variants
from api.wiring import Soundalike
from tests.api.doors.written import BACKSLASH, FORMATS, LEADING, NAMES, WAYS, holds, write
from tests.catalog.test_catalog import analysis
from tests.conftest import Run, loaded, tone

Finder = Callable[..., Found]

ELSEWHERE = (
    ("Music/Rock/#1 Crush.wav", "/mnt/drive/Music/Rock/#1 Crush.wav"),
    ("Music/Caf\u00e9/01 \u00c4gypten.flac", "/mnt/drive/Music/Caf\u00e9/01 \u00c4gypten.flac"),
    ("Music/Mo\u0308we/A b.mp3", "/mnt/drive/Music/Mo\u0308we/A b.mp3"),
    ("Music/One/01.mp3", "/mnt/drive/Music/One/01.mp3"),
    ("Music/Two/02.mp3", "/mnt/drive/Music/Two/02.mp3"),
    ("Music/One/Same.mp3", "/mnt/drive/Music/One/Same.mp3"),
    ("Music/Two/Same.mp3", "/mnt/drive/Music/Two/Same.mp3"),
    ("Music/100%25/x%20y.mp3", "/mnt/drive/Music/100%25/x%20y.mp3"),
    ("own-id-7", "/srv/other/Unlike Its Key.ogg"),
)


@pytest.fixture
def finder(soundalike: Soundalike, rng: np.random.Generator) -> Finder:
    """Find what is listed among tracks whose files lie elsewhere."""
    soundalike.catalog.store_many([replace(analysis(key, rng), uri=uri) for key, uri in ELSEWHERE])

    def finding(*names: Path | str) -> Found:
        return find(read_all(map(str, names)), soundalike.catalog)

    return finding


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "my music"
    made.mkdir()
    for name in (*NAMES, BACKSLASH, LEADING):
        (made / name).touch()
    return made


@pytest.mark.parametrize("way", WAYS)
def test_every_way_to_write_a_name_finds_the_file(finder: Finder, folder: Path, way: str) -> None:
    tried = 0
    for number, kind in enumerate(FORMATS):
        written = {}
        for name in NAMES:
            try:
                text = WAYS[way](name, folder)
            except UnicodeEncodeError:
                continue  # a character that is not Latin-1
            if holds(kind, text) and not (kind.startswith("XSPF") and name.startswith('"')):
                written[name] = text
        if not written:
            continue
        playlist = write(folder / f"list{number}", kind, list(written.values()))
        found = finder(playlist)
        assert found.left_out == (), (kind, found.left_out)
        assert [entry.path for entry in found.tracks] == [folder / name for name in written], kind
        tried += len(written)
    assert tried > 60


def test_what_a_name_says_literally_comes_first(finder: Finder, folder: Path) -> None:
    pairs = (("x y.wav", "x%20y.wav"), (BACKSLASH, "back/slash.wav"), (LEADING, LEADING.strip()), ("A.wav", "a.wav"))
    (folder / "back").mkdir()
    for pair in pairs:
        for name in pair:
            (folder / name).touch()
    lines = [name for pair in pairs for name in pair]
    for kind in ("m3u8", "PLS", "cue"):
        found = finder(write(folder / "literal", kind, lines))
        assert [entry.path for entry in found.tracks] == [folder / name for name in lines], kind


def test_comments_are_what_names_nothing(finder: Finder, folder: Path) -> None:
    (folder / "list.m3u").write_text(
        "#EXTM3U\n#EXTINF:3,#1 Crush.wav\n#1 Crush.wav\n # a remark\n#nothing.wav\n#EXTRA.wav\n#EXTM3U.wav\n"
        "#EXTVLCOPT:start-time=3\n#EXT-X-TARGETDURATION:3\n#\n##\n#PLAYLIST:plain.wav\nplain.wav\n"
    )
    found = finder(folder / "list.m3u")
    assert [entry.path.name for entry in found.tracks] == ["#1 Crush.wav", "#EXTRA.wav", "#EXTM3U.wav", "plain.wav"]
    assert [entry.place for entry in found.tracks] == [f"list.m3u, line {n}" for n in (3, 6, 7, 13)]
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("line", "key"),
    [
        (r"D:\Music\Rock\#1 Crush.wav", "Music/Rock/#1 Crush.wav"),
        ("d:/music/rock/#1 crush.WAV", "Music/Rock/#1 Crush.wav"),
        (r"\Music\Rock\#1 Crush.wav", "Music/Rock/#1 Crush.wav"),
        (r"Rock\#1 Crush.wav", "Music/Rock/#1 Crush.wav"),
        ("#1 Crush.wav", "Music/Rock/#1 Crush.wav"),
        ("Music/Rock/#1 Crush.wav", "Music/Rock/#1 Crush.wav"),
        ("file:///C:/Music/Rock/%231%20Crush.wav", "Music/Rock/#1 Crush.wav"),
        ("file:///C|/Music/Rock/%231%20Crush.wav", "Music/Rock/#1 Crush.wav"),
        ("file://C:/Music/Rock/#1 Crush.wav", "Music/Rock/#1 Crush.wav"),
        ("file://localhost/Users/x/Music/Rock/%231%20Crush.wav", "Music/Rock/#1 Crush.wav"),
        ("file://nas/share/Music/Rock/%231%20Crush.wav", "Music/Rock/#1 Crush.wav"),
        (r"\\nas\share\Music\Rock\#1 Crush.wav", "Music/Rock/#1 Crush.wav"),
        ("//nas/share/Music/Rock/#1 Crush.wav", "Music/Rock/#1 Crush.wav"),
        (r"\\?\C:\Music\Rock\#1 Crush.wav", "Music/Rock/#1 Crush.wav"),
        (r"\\?\UNC\nas\share\Music\Rock\#1 Crush.wav", "Music/Rock/#1 Crush.wav"),
        ("smb://nas/share/Music/Rock/#1 Crush.wav", "Music/Rock/#1 Crush.wav"),
        ("http://host:4040/stream/Music/Rock/%231%20Crush.wav?id=3&t=a/b", "Music/Rock/#1 Crush.wav"),
        ("/Volumes/Drive/Music/Cafe\u0301/01 A\u0308gypten.flac", "Music/Caf\u00e9/01 \u00c4gypten.flac"),
        ("/x/CAF%C3%89/01%20%C3%84GYPTEN.flac", "Music/Caf\u00e9/01 \u00c4gypten.flac"),
        ("/x/Caf%E9/01%20%C4gypten.flac", "Music/Caf\u00e9/01 \u00c4gypten.flac"),
        ("/x/M\u00f6we/A b.mp3", "Music/Mo\u0308we/A b.mp3"),
        ("/old/Music/One/01.mp3", "Music/One/01.mp3"),
        ("/old/Music/Two/Same.mp3", "Music/Two/Same.mp3"),
        ("/old/100%25/x%20y.mp3", "Music/100%25/x%20y.mp3"),
        ("/old/100%2525/x%2520y.mp3", "Music/100%25/x%20y.mp3"),
        ("/srv/other/Unlike Its Key.ogg", "own-id-7"),
        (r"E:\Unlike Its Key.ogg", "own-id-7"),
        ("own-id-7", "own-id-7"),
    ],
)
def test_a_list_of_another_machine_finds_what_ends_alike(finder: Finder, tmp_path: Path, line: str, key: str) -> None:
    for kind in ("m3u8", "PLS", "cue", *([] if "\x00" in line else ["XSPF"])):
        found = finder(write(tmp_path / "list", kind, [line]))
        assert [entry.name for entry in found.tracks] == [key], (kind, found.left_out)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("/old/Music/Same.mp3", "2 tracks end so: Music/One/Same.mp3, Music/Two/Same.mp3"),
        ("/old/Three/01.mp3", "only its name, which is a common one, is that of Music/One/01.mp3"),
        ("02.mp3", "only its name, which is a common one"),
        ("/old/Music/One/Nothing.mp3", "not found"),
        ("http://radio.example/live", "is on the network"),
        ("C:", "not found"),
        ("..", "not found"),
        ("a" * 5000, "not found"),
        ("x\udcffy", "not found"),
    ],
)
def test_what_is_not_found_is_named_and_the_rest_goes_on(
    finder: Finder, tmp_path: Path, line: str, reason: str
) -> None:
    raw = os.fsencode(f"own-id-7\n{line}\nMusic/One/01.mp3\n")
    (tmp_path / "road.m3u").write_bytes(raw)
    found = finder(tmp_path / "road.m3u")
    assert [entry.name for entry in found.tracks] == ["own-id-7", "Music/One/01.mp3"]
    (left,) = found.left_out
    assert (left.playlist, left.line) == ("road.m3u", 2)
    assert left.reason.startswith(reason)
    assert str(left).startswith("road.m3u, line 2: ")
    assert left.tried


def test_names_on_disk_that_are_no_text_are_found_by_their_bytes(finder: Finder, tmp_path: Path) -> None:
    name = b"caf\xe9 \xff\x81.wav"
    (tmp_path / os.fsdecode(name)).touch()
    (tmp_path / "list.m3u").write_bytes(b"#EXTM3U\n" + name + b"\n")
    (entry,) = finder(tmp_path / "list.m3u").tracks
    assert os.fsencode(entry.path.name) == name


def test_lines_of_several_encodings_stand_in_one_list(finder: Finder, tmp_path: Path) -> None:
    names = (
        "Z\u00fcrich.wav",
        "\u041c\u043e\u0441\u043a\u0432\u0430.wav",
        "\u97f3\u697d.wav",
        "Caf\u00e9 \u2013 x.wav",
    )
    pages = ("latin-1", "cp1251", "shift_jis", "mac_roman")
    for name in names:
        (tmp_path / name).touch()
    lines = [name.encode(page) for name, page in zip(names, pages, strict=True)] + [name.encode() for name in names]
    (tmp_path / "list.m3u").write_bytes(b"\r\n".join(lines))
    assert [entry.path.name for entry in finder(tmp_path / "list.m3u").tracks] == [*names, *names]


def test_case_is_no_guess(tmp_path: Path) -> None:
    for name in ("Song.wav", "sONG.wav"):
        (tmp_path / name).touch()
    assert on_disk(tmp_path / "Song.wav") == tmp_path / "Song.wav"
    assert on_disk(tmp_path / "song.wav") is None
    (tmp_path / "sONG.wav").unlink()
    assert on_disk(tmp_path / "song.wav") == tmp_path / "Song.wav"
    assert on_disk(tmp_path) is None


def test_xspf_has_bases_several_places_and_titles(finder: Finder, tmp_path: Path) -> None:
    (tmp_path / "a b.wav").touch()
    (tmp_path / "list.xspf").write_text(
        f"""<?xml version="1.0" encoding="ISO-8859-1"?>
<playlist version="1" xmlns="http://xspf.org/ns/0/" xml:base="file://{tmp_path}/">
<trackList><track><location>a%20b.wav</location></track>
<track><location>http://no.example/x.mp3</location><location>own-id-7</location></track>
<track><location><![CDATA[a b.wav]]></location></track><track><title>Only a title</title></track>
</trackList></playlist>"""
    )
    found = finder(tmp_path / "list.xspf")
    assert [Path(entry.name).name for entry in found.tracks] == ["a b.wav", "own-id-7", "a b.wav"]
    assert [(left.line, left.name) for left in found.left_out] == [(5, "Only a title")]


def test_what_is_no_playlist_says_so(tmp_path: Path) -> None:
    entity = '<!DOCTYPE x [<!ENTITY a "{}">]><playlist><trackList><track><location>&a;</location></track>'
    secret = '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><playlist/>'
    laughs = "".join(f'<!ENTITY a{n} "&a{n - 1};&a{n - 1};">' for n in range(1, 40))
    for name, content, reason in (
        ("empty.m3u8", "#EXTM3U\n\n", "lists no track"),
        ("blank.m3u", "", "lists no track"),
        ("empty.pls", "[playlist]\nNumberOfEntries=0\n", "lists no track"),
        ("empty.xspf", "<playlist><trackList/></playlist>", "lists no track"),
        ("empty.cue", 'TITLE "x"\n', "lists no track"),
        ("cut.xspf", "<playlist>\n<trackList>", "line 2: is not XML"),
        ("text.xspf", "a.mp3\n", "line 1: is not XML"),
        ("odd.xspf", '<?xml version="1.0" encoding="nothing"?><a/>', "is not XML"),
        ("own.xspf", entity.format("x"), "declares an entity; accepted: XSPF without entities"),
        ("secret.xspf", secret, "declares an entity"),
        ("laughs.xspf", f'<!DOCTYPE x [<!ENTITY a0 "ha">{laughs}]><a>&a39;</a>', "declares an entity"),
        ("huge.m3u", "a" * (MAX_BYTES + 1), "is larger than 16 MB"),
    ):
        (tmp_path / name).write_text(content)
        with pytest.raises(PlaylistFileError, match=f"{name}.*{reason}"):
            read_playlist(tmp_path / name)
    (tmp_path / "folder.m3u").mkdir()
    for name, reason in (("folder.m3u", "is a directory"), ("nowhere.m3u", "no such file or directory")):
        with pytest.raises(PlaylistFileError, match=f"{name}: {reason}"):
            read_playlist(tmp_path / name)


def test_names_are_tried_as_they_stand_first() -> None:
    for text in ("a%20b", r"a\b", " a ", '"a"', "file:///a%20b", "x%zz", "%", "~"):
        assert variants(text)[0] == text
    assert variants("plain.wav") == ["plain.wav"]
    assert variants("\0") == []
    assert components(r"C:\a\..\b\.\c") == ("b", "c")
    assert components("/a//b/./c/") == ("a", "b", "c")


def test_the_rest_goes_on_and_all_is_told(
    run: Run, music: Path, write_wav: Callable[..., Path], tmp_path: Path
) -> None:
    write_wav(music / "#1 Crush \u00e9.wav", tone(230, 3.3))
    run("index", music)
    keys = [f"music/low/tone{n:02}.wav" for n in range(3)]
    (tmp_path / "broken.wav").write_text("no sound")
    decomposed = unicodedata.normalize("NFD", "music/#1 Crush \u00e9.wav")
    lines = [
        "#EXTM3U", keys[0], r"D:\music\low\tone01.wav", "gone/nowhere.wav", "music/low/tone02.wav", decomposed,
        "broken.wav",
    ]  # fmt: skip
    playlist = tmp_path / "road.m3u8"
    playlist.write_text("\n".join(lines))
    whole = [*keys, "music/#1 Crush \u00e9.wav"]
    done = run("continue", playlist, "--json", expect=3)
    answer = loaded(done)
    assert not set(whole) & {result["track"] for result in answer["results"]}
    assert [(left["playlist"], left["line"], left["name"]) for left in answer["left_out"]] == [
        ("road.m3u8", 4, "gone/nowhere.wav"),
        ("road.m3u8", 7, "broken.wav"),
    ]
    assert answer["left_out"][0]["tried"] == ["gone/nowhere.wav"]
    assert [(one["line"], one["track"]) for one in answer["taken_for"]] == [(3, keys[1])]
    assert "road.m3u8, line 4: 'gone/nowhere.wav' is left out: not found" in done.stderr
    assert "road.m3u8, line 7: 'broken.wav' is left out: " in done.stderr
    good = loaded(run("continue", *whole, "--json"))
    assert (good["left_out"], good["results"]) == ([], answer["results"])
    shown = run("continue", playlist, "-n", "2", expect=3)
    assert shown.stdout.startswith("goes on after music/#1 Crush")
    assert "left out" in shown.stderr

    assert _outcome(run, playlist, ["gone.wav", "broken.wav"]) == "nothing of it is found"
    assert "no track with key" in run("continue", keys[0], "gone.wav", expect=1).stderr  # what was named itself


def _outcome(run: Run, playlist: Path, lines: Sequence[str]) -> str:
    playlist.write_text("\n".join(lines))
    stderr = run("continue", playlist, expect=1).stderr
    assert all(f"line {number}: " in stderr for number in range(1, len(lines) + 1))
    return stderr.strip().rpartition(": ")[2]
