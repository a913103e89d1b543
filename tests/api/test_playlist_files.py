"""M3U playlists as players write them, and what cannot be read."""

from pathlib import Path

import pytest

from api.cli.playlist_files import Entry, PlaylistFileError, entries


def test_a_playlist_lists_its_tracks_in_order(tmp_path: Path) -> None:
    playlist = tmp_path / "lists" / "Weg.M3U8"
    playlist.parent.mkdir()
    lines = (
        "#EXTM3U",
        "#EXTINF:123,Ärzte – Lied",
        "../music/Lied ä.mp3",
        "",
        "  /abs/b.ogg ",
        "file:///c%20d/%C3%A4.mp3",
    )
    playlist.write_bytes(b"\xef\xbb\xbf" + "\r\n".join(lines).encode())
    assert entries(["before.wav", str(playlist), "after"]) == [
        Entry("before.wav", Path("before.wav").absolute()),
        Entry("../music/Lied ä.mp3", tmp_path / "lists/../music/Lied ä.mp3", "Weg.M3U8, line 3"),
        Entry("/abs/b.ogg", Path("/abs/b.ogg"), "Weg.M3U8, line 5"),
        Entry("file:///c%20d/%C3%A4.mp3", Path("/c d/ä.mp3"), "Weg.M3U8, line 6"),
        Entry("after", Path("after").absolute()),
    ]


def test_what_is_no_playlist_says_so(tmp_path: Path) -> None:
    (tmp_path / "latin.m3u").write_bytes("Bärlin.mp3\n".encode("latin-1"))
    (tmp_path / "empty.m3u8").write_text("#EXTM3U\n\n")
    (tmp_path / "folder.m3u").mkdir()
    for name, reason in (
        ("latin.m3u", r"is not UTF-8 \(byte 1\): save it as \.m3u8"),
        ("empty.m3u8", "lists no track"),
        ("folder.m3u", "is a directory"),
        ("nowhere.m3u", "no such file or directory"),
    ):
        with pytest.raises(PlaylistFileError, match=f"{name}: {reason}"):
            entries([str(tmp_path / name)])
