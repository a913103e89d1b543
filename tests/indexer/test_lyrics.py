"""Lyrics from real tags and from files beside the music; what is damaged is as good as none."""

from collections.abc import Callable
from pathlib import Path

import av
import mutagen
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mutagen.id3 import ID3, SYLT, TLAN, USLT
from mutagen.mp4 import MP4, MP4FreeForm
from mutagen.wave import WAVE

from encoders.models.language.lines import Lyrics, LyricsLine
from indexer.lyrics import MAX_BYTES, lyrics_digest, parse_lrc, read_language, read_lyrics
from tests.conftest import tone
from tests.encoders.models.language.songs import SONGS

TEXT = SONGS["fr"]
LRC = "\ufeff[ti:A song]\n[la:fr]\n[offset:+500]\n[00:10.50]Un\n[00:01.00][01:02.345] Deux <00:01.50> trois\n[0:30]\n"


def encoded(path: Path, codec: str) -> Path:
    with av.open(str(path), "w") as file:
        stream = file.add_stream(codec, rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(220, 1, sample_rate=48_000)[np.newaxis], format="fltp", layout="mono")
        frame.sample_rate = 48_000
        resampler = av.AudioResampler(stream.format, "mono", 48_000, stream.frame_size or 4_096)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            file.mux(stream.encode(part))
        file.mux(stream.encode(None))
    return path


def texts(lyrics: Lyrics | None) -> list[str]:
    assert lyrics is not None
    return [line.text for line in lyrics.lines]


def test_id3_in_mp3(tmp_path: Path) -> None:
    path = encoded(tmp_path / "song.mp3", "libmp3lame")
    assert read_lyrics(path) is None
    assert read_language(path) is None
    tags = ID3()
    tags.add(USLT(lang="eng", desc="remark", text="short"))
    tags.add(USLT(lang="fra", desc="", text=TEXT))
    tags.add(TLAN(text="fre"))
    tags.save(path)
    assert read_lyrics(path) == Lyrics.from_text(TEXT, "fra")
    assert read_language(path) == "fre"
    tags.add(
        SYLT(lang="fra", format=2, type=1, text=[("\nFrère ", 1000), ("Jacques", 1500), ("\nDormez-vous ?", 3000)])
    )
    tags.save(path)
    assert read_lyrics(path) == Lyrics((LyricsLine("Frère Jacques", 1.0), LyricsLine("Dormez-vous ?", 3.0)), "fra")


@pytest.mark.parametrize("key", ["LYRICS", "UNSYNCEDLYRICS"])
@pytest.mark.parametrize(("suffix", "codec"), [("flac", "flac"), ("ogg", "libopus")])
def test_vorbis_comments(key: str, suffix: str, codec: str, tmp_path: Path) -> None:
    path = encoded(tmp_path / f"song.{suffix}", codec)
    opened = mutagen.File(path)
    opened[key] = [TEXT]
    opened["LANGUAGE"] = ["French"]
    opened.save()
    assert texts(read_lyrics(path)) == TEXT.split("\n")
    assert read_language(path) == "French"
    opened["SYNCEDLYRICS"] = ["[00:02.00]Frère Jacques"]
    opened.save()
    assert read_lyrics(path) == Lyrics((LyricsLine("Frère Jacques", 2.0),))


def test_mp4(tmp_path: Path) -> None:
    path = encoded(tmp_path / "song.m4a", "aac")
    opened = MP4(path)
    opened["\xa9lyr"] = [TEXT]
    opened["----:com.apple.iTunes:LANGUAGE"] = [MP4FreeForm(b"fra")]
    opened.save()
    assert texts(read_lyrics(path)) == TEXT.split("\n")
    assert read_language(path) == "fra"


def test_bare_id3_in_wav(tmp_path: Path, write_wav: Callable[..., Path]) -> None:
    path = write_wav(tmp_path / "song.wav", tone(220, 1))
    opened = WAVE(path)
    opened.add_tags()
    opened.tags.add(USLT(lang="XXX", text="\r\n".join(TEXT.split("\n"))))
    opened.save()
    assert texts(read_lyrics(path)) == TEXT.split("\n")


def test_lrc_beside_the_music(tmp_path: Path) -> None:
    (tmp_path / "song.lrc").write_text(LRC)
    assert read_lyrics(tmp_path / "song.ogg") == Lyrics(
        (
            LyricsLine("Deux   trois", 0.5),
            LyricsLine("Un", 10.0),
            LyricsLine("", 29.5),
            LyricsLine("Deux   trois", pytest.approx(61.845)),
        ),
        "fr",
    )
    assert read_lyrics(tmp_path / "other.ogg") is None


def test_a_translation_under_the_same_time_is_not_sung() -> None:
    assert texts(parse_lrc("[00:01.00]さくら\n[00:01.00]Cherry blossoms\n[00:03.00]\n[00:03.00]la")) == ["さくら", "la"]


def test_an_offset_never_leads_before_the_start() -> None:
    assert parse_lrc("[offset:5000]\n[00:01.00]a").lines == (LyricsLine("a", 0.0),)
    assert parse_lrc("[offset:-250]\n[00:01]a").lines == (LyricsLine("a", 1.25),)
    assert parse_lrc("[offset:soon]\n[01:00:01]a").lines == (LyricsLine("a", 3601.0),)


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        ("fr", "utf-16"),
        ("de", "cp1252"),
        ("pl", "cp1250"),
        ("ru", "cp1251"),
        ("ja", "cp932"),
        ("ko", "cp949"),
        ("zh", "gb18030"),
    ],
)
def test_encodings(language: str, encoding: str, tmp_path: Path) -> None:
    (tmp_path / "song.LRC").write_bytes(SONGS[language].encode(encoding))
    assert texts(read_lyrics(tmp_path / "song.ogg")) == SONGS[language].split("\n")


def test_a_text_beside_the_music_has_to_look_like_lyrics(tmp_path: Path) -> None:
    path, beside = tmp_path / "song.ogg", tmp_path / "song.txt"
    beside.write_text(TEXT)
    assert texts(read_lyrics(path)) == TEXT.split("\n")
    for other in (
        TEXT + "\nLicence: CC0",
        "Title: A\nArtist: B\nAlbum: C\nYear: 1999\n",
        "One line of text alone",
        "\n".join(["This is prose, " * 12] * 6),
        "1\n2\n3\n4\n5\n",
        "a\n" * 10**6,
    ):
        beside.write_text(other)
        assert read_lyrics(path) is None


def test_times_come_first(tmp_path: Path) -> None:
    path = encoded(tmp_path / "song.flac", "flac")
    opened = mutagen.File(path)
    opened["SYNCEDLYRICS"] = ["[00:02.00]timed"]
    opened.save()
    (tmp_path / "song.lrc").write_text("without times")
    assert texts(read_lyrics(path)) == ["timed"]


@pytest.mark.parametrize(
    "content", [b"", b"\0" * 100, b"\xff\xfe\x00", b"[00:0", bytes(range(256)), b"a" * (MAX_BYTES + 1)]
)
def test_damaged_files_are_as_good_as_none(content: bytes, tmp_path: Path) -> None:
    for name in ("song.lrc", "song.txt", "song.mp3"):
        (tmp_path / name).write_bytes(content)
    found = read_lyrics(tmp_path / "song.mp3")
    assert found is None or all(line.start_s is None for line in found.lines)
    assert read_language(tmp_path / "song.mp3") is None


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert all(line.start_s is None or line.start_s >= 0 for line in parse_lrc(text).lines)


def test_a_folder_of_that_name_is_no_file(tmp_path: Path) -> None:
    (tmp_path / "song.lrc").mkdir()
    assert read_lyrics(tmp_path / "song.ogg") is None
    assert lyrics_digest(tmp_path / "song.ogg") == ""


def test_the_digest_tells_a_change_beside_the_file(tmp_path: Path) -> None:
    path, beside = tmp_path / "song.ogg", tmp_path / "song.lrc"
    beside.write_text("one")
    before = lyrics_digest(path)
    beside.write_text("two")
    assert before != lyrics_digest(path) != ""
    beside.write_text("one")
    assert lyrics_digest(path) == before
