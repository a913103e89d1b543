"""What values are worth that programs of all ages wrote, and that nothing stops at what is no tag at all."""

import random
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path

import pytest
from mutagen.flac import FLAC
from mutagen.id3 import ID3, TIT2, TPE1, TXXX
from mutagen.mp4 import MP4, MP4FreeForm
from mutagen.oggopus import OggOpus

from encoders.errors import MediaError
from encoders.media.files.comments import comments
from indexer.file_tags import FileTags, read_file_tags, tags_from, tags_of_comments, year_of
from indexer.sidecars import read_track_tags
from retrieval.catalog.conditions import parts_of
from tests.encoders.files.odd_files import of_kind
from tests.indexer.tags import odd_tags
from tests.indexer.tags.odd_tags import RECORDING

DATES: dict[int | None, tuple[str, ...]] = {
    2020: (
        *("20200131", "2020", "2020-01", "2020-01-31T08:30:00Z", "2020/2021", "2020.1.31", "20200131T083000"),
        *("20200131083000", "20200100", "Fri Jan 31 2020", "31/01/2020"),
    ),
    1987: ("c. 1987", "[1987]", "1987?", "(P) 1987", "ca.1987", "c1987", "1987年3月", "\u20091987 "),
    1999: ("31.12.1999", "12-31-1999", "1999-00-00", "D:1999", "31 Dec 1999", "1999–2001", "1999ff"),
    None: (
        *("12345678", "1080p", "2160p", "0000", "0", "", "unknown", "99", "20201301", "20200132", "3000", "1234"),
        *("20201", "202001311", "1700", "4099-2020131", "-1", "2020000000000"),
    ),
}


@pytest.mark.parametrize(("date", "year"), [(date, year) for year, dates in DATES.items() for date in dates])
def test_dates(date: str, year: int | None) -> None:
    assert year_of(date) == year


def test_a_date_that_has_no_year_gives_way_to_one_that_has(tmp_path: Path) -> None:
    path = of_kind(tmp_path, "flac", 0.5)
    opened = FLAC(path)
    opened.update({"date": ["0000"], "originaldate": ["19870401"]})
    opened.save()
    assert read_file_tags(path).year == 1987
    opened["year"] = ["1991"]
    opened.save()
    assert read_file_tags(path).year == 1991


@pytest.mark.parametrize(
    ("frame", "date"),
    [(b"TYER", b"1987"), (b"TDRC", b"1987-05"), (b"TDRL", b"1987"), (b"TORY", b"1987"), (b"TDOR", b"1987")],
)
def test_years_of_id3(frame: bytes, date: bytes, tmp_path: Path) -> None:
    version = 3 if frame in (b"TYER", b"TORY") else 4
    assert read_file_tags(odd_tags.raw_id3(tmp_path, [(frame, b"\0" + date)], version=version)).year == 1987


@pytest.mark.parametrize(
    ("artist", "kept"),
    [
        (("Alice", "Bob"), "Alice; Bob"),
        (("Alice; Bob",), "Alice; Bob"),
        (("Alice;  Bob ;", "Alice", " bob"), "Alice; Bob; bob"),
        (("Alice\0Bob\0\0",), "Alice; Bob"),
        (("\ufeffAlice\0\ufeffBob",), "Alice; Bob"),
        *(((name,), name) for name in ("AC/DC", "Simon & Garfunkel", "Alice feat. Bob", "Earth, Wind and Fire", "A;B")),
        (("", " ", "\0", ";", "; "), None),
        ((), None),
        (("a\ud800b",), "a?b"),
    ],
)
def test_what_separates_values(artist: tuple[str, ...], kept: str | None) -> None:
    assert tags_from({"artist": artist}).artist == kept


@pytest.mark.parametrize(
    ("genre", "kept"),
    [
        *(("17", "Rock"), ("(17)", "Rock"), ("(17)Rock", "Rock"), ("(17)(9)", "Rock; Metal"), ("(17)Own", "Rock; Own")),
        *(("Rock/Pop", "Rock; Pop"), ("Pop/Funk", "Pop/Funk"), ("Post-Rock/Noise Pop", "Post-Rock/Noise Pop")),
        *(("255", None), ("(999)", None), ("80s", "80s"), ("Rock\0Rock\0Jazz", "Rock; Jazz"), ("R&B", "R&B")),
        *(("(Post-)Punk", "(Post-)Punk"), ("1984", "1984")),
    ],
)
def test_genres_by_number(genre: str, kept: str | None) -> None:
    assert tags_from({"genre": genre}).genre == kept


def test_many_and_long_values_are_bounded() -> None:
    several = parts_of(tags_from({"artist": tuple(f"artist {n}" for n in range(5_000))}).artist)
    assert several == [f"artist {n}" for n in range(100)]
    assert len(str(tags_from({"artist": ("x" * 10_000, "y")}).artist)) == 4_096
    assert len(str(tags_from({"title": "x" * 1_000_000}).title)) == 4_096
    assert tags_from({"artist": (" " * 100_000 + ";",) * 100}).artist is None


def test_a_list_of_artists_stands_before_their_credit(tmp_path: Path) -> None:
    """As Picard writes them: a credit to show, and who is in it."""
    credit, several = "Alice feat. Bob", ["Alice", "Bob"]
    flac, opus, mp3, m4a = (of_kind(tmp_path, kind, 0.5) for kind in ("flac", "opus", "mp3", "m4a"))
    for path, kind in ((flac, FLAC), (opus, OggOpus)):
        opened = kind(path)
        opened.update({"artist": [credit], "ARTISTS": several})
        opened.save()
    tags = ID3()
    tags.add(TPE1(encoding=3, text=credit))
    tags.add(TXXX(encoding=3, desc="Artists", text=several))
    tags.save(mp3)
    atoms = MP4(m4a)
    atoms["\xa9ART"] = [credit]
    atoms["----:com.apple.iTunes:ARTISTS"] = [MP4FreeForm(one.encode()) for one in several]
    atoms.save()
    assert {read_file_tags(path).artist for path in (flac, opus, mp3, m4a)} == {"Alice; Bob"}
    assert tags_from({"artist": "Alice & Bob", "artists": "Alice & Bob"}).artist == "Alice & Bob"
    assert tags_from({"artist": "Alice & the Band", "artists": ("Alice",)}).artist == "Alice & the Band"
    assert tags_of_comments({"artist": credit, "artists": "Alice; Bob"}).artist == "Alice; Bob"


SEVERAL_WIDE = "Alice".encode("utf-16") + b"\0\0" + "Bob".encode("utf-16")
FRAMES = {
    2: {b"TT2": b"\0Ca va\0", b"TP1": b"\0Alice\0Bob", b"TAL": b"\0X", b"TCO": b"\0(17)", b"TYE": b"\0001997"},
    3: {
        **{b"TIT2": b"\1" + "Ca va".encode("utf-16"), b"TPE1": b"\1" + SEVERAL_WIDE, b"TALB": b"\0X\0\0\0"},
        **{b"TCON": b"\0(17)Rock", b"TYER": b"\0001997"},
    },
    4: {
        **{b"TIT2": b"\3\xef\xbb\xbfCa va", b"TPE1": b"\3Alice\0Bob", b"TALB": b"\2\0X"},
        **{b"TCON": b"\00017", b"TDRC": b"\0001997"},
    },
}


@pytest.mark.parametrize("version", FRAMES)
def test_versions_of_id3(version: int, tmp_path: Path) -> None:
    path = odd_tags.raw_id3(tmp_path, FRAMES[version].items(), version=version)
    assert read_file_tags(path) == FileTags("Ca va", "Alice; Bob", "X", "Rock", 1997)


@pytest.mark.parametrize("kind", ["mp3", "mp2", "tta", "ac3"])
@pytest.mark.parametrize("before", [None, odd_tags.cover_only])
def test_the_last_128_bytes(kind: str, before: Callable[[Path], Path] | None, tmp_path: Path) -> None:
    path = odd_tags.id3v1(tmp_path, kind, before=before)
    assert read_track_tags(path, partial(of_container, path)) == FileTags("Ca va", "Alice", "X", "Rock", 1997)


def test_pictures_alone_say_nothing(tmp_path: Path) -> None:
    for path in (odd_tags.cover_only(of_kind(tmp_path, "mp3", 0.5)), odd_tags.picture_only(tmp_path)):
        assert read_track_tags(path, partial(of_container, path)) == FileTags()


@pytest.mark.parametrize(
    "frames",
    [
        [(b"TIT2", b"\3\xff\xfe\xed\xa0\x80")],
        [(b"TIT2", b"\1a\0b")],
        [(b"TIT2", b"\x09odd"), (b"TPE1", b"")],
        [(b"TCON", b"\0((((("), (b"UFID", b"http://musicbrainz.org"), (b"TXXX", b"\1")],
        [(b"TDRC", b"\0" + b"9" * 5_000), (b"TPE1", b"\0" + b"x\0" * 20_000)],
        [(b"TPE1", b"\1\xff\xfe\x00\xd8A\0")],
        [(b"APIC", b"\0" + b"\xff" * 100)],
    ],
)
@pytest.mark.parametrize("version", [3, 4])
def test_damaged_frames_leave_clean_text(frames: list[tuple[bytes, bytes]], version: int, tmp_path: Path) -> None:
    path = odd_tags.raw_id3(tmp_path, frames, version=version)
    assert_clean(read_track_tags(path, partial(of_container, path)))


@pytest.mark.parametrize(
    "tagged",
    [
        *(partial(odd_tags.comments, kind=kind) for kind in ("flac", "opus")),
        partial(odd_tags.id3, kind="mp3", encoding=1),
        *(partial(odd_tags.id3_inside, kind=kind) for kind in ("wav", "aiff")),
        *(odd_tags.dsf, partial(odd_tags.ape, kind="wv"), partial(odd_tags.atoms, kind="m4a")),
        partial(odd_tags.attributes, kind="wma"),
    ],
    ids=["flac", "opus", "mp3", "wav", "aiff", "dsf", "wv", "m4a", "wma"],
)
def test_any_byte_may_be_wrong(tagged: Callable[[Path], Path], tmp_path: Path) -> None:
    """Seeded: bytes of the head and of the tail, where tags are, are overwritten, and the file cut."""
    path, chance = tagged(tmp_path), random.Random(7)
    whole = path.read_bytes()
    for _ in range(150):
        broken = bytearray(whole[: chance.choice((len(whole), chance.randrange(1, len(whole))))])
        for _ in range(chance.randrange(1, 9)):
            place = min(int(chance.expovariate(1 / 300)), len(broken) - 1)
            broken[place if chance.random() < 0.6 else -1 - place] = chance.choice((0, 255, chance.randrange(256)))
        path.write_bytes(broken)
        assert_clean(read_file_tags(path))


@pytest.mark.parametrize(
    ("isrc", "kept"),
    [
        *(("GBAYE7500101", "GBAYE7500101"), ("gb-aye-75-00101", "GBAYE7500101"), ("GB AYE 75 00101", "GBAYE7500101")),
        *(("GBAYE750010", None), ("GBAYE7500101X", None), ("none", None), ("1BAYE7500101", None), ("", None)),
    ],
)
def test_codes_of_recordings(isrc: str, kept: str | None) -> None:
    assert tags_of_comments({"tsrc": isrc}).metadata == (None if kept is None else {"isrc": kept})


@pytest.mark.parametrize("said", ["", "unknown", RECORDING[:-1], RECORDING + "0", RECORDING.replace("-", "")])
def test_ids_that_are_none_are_left_out(said: str) -> None:
    assert tags_of_comments({"musicbrainz_trackid": said}).metadata is None


def test_what_another_field_says_is_no_id(tmp_path: Path) -> None:
    tags = odd_tags.frames()
    for name in ("UFID:http://musicbrainz.org", "TXXX:MusicBrainz Album Id", "TXXX:MusicBrainz Artist Id", "TSRC"):
        del tags[name]
    tags.add(TXXX(encoding=3, desc="MusicBrainz Album Type", text=RECORDING))
    tags.add(TIT2(encoding=3, text="GBAYE7500101"))
    path = of_kind(tmp_path, "mp3", 0.5)
    tags.save(path)
    assert read_file_tags(path).metadata is None


def of_container(path: Path) -> FileTags:
    try:
        return tags_of_comments(comments(path))
    except MediaError:
        return FileTags()


def assert_clean(tags: FileTags) -> None:
    """PostgreSQL can hold it, and it is bounded."""
    for text in filter(None, (tags.title, tags.artist, tags.album, tags.genre)):
        assert "\0" not in text
        assert text.encode().decode() == text == text.strip()
        assert len(text) <= 5_000
    assert tags.year is None or 1800 <= tags.year < 2200
    assert set(asdict(tags)["metadata"] or {}) <= {"isrc", "musicbrainz"}
