"""Every container says the same in its own way, and it is read the same."""

import io
import random
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest

from encoders.media.files.comments import comments
from encoders.media.files.matroska import values
from indexer.file_tags import FileTags, read_file_tags, tags_of_comments
from indexer.sidecars import read_track_tags
from tests.indexer.tags import odd_tags
from tests.indexer.tags.odd_tags import IDS, RECORDING, WORDS

SAID = {"title": "Ça va", "artist": "Alice; Bob", "album": "X", "genre": "Jazz; Rock", "date": "19970511"}


def read(path: Path) -> FileTags:
    """As the indexer does."""
    return read_track_tags(path, lambda: tags_of_comments(comments(path)))


@pytest.mark.parametrize(
    "tagged",
    [
        *(partial(odd_tags.comments, kind=kind) for kind in ("flac", "opus", "ogg")),
        *(partial(odd_tags.id3, kind="mp3", encoding=encoding) for encoding in (0, 1, 2, 3)),
        *(partial(odd_tags.id3, kind=kind) for kind in ("mp2", "tta", "aac", "ac3", "eac3")),
        partial(odd_tags.id3, kind="mp3", encoding=1, version=3),
        *(partial(odd_tags.id3_inside, kind=kind) for kind in ("wav", "aiff")),
        odd_tags.dsf,
        *(partial(odd_tags.ape, kind=kind) for kind in ("wv", "mp3", "tta", "ac3", "aac")),
        *(partial(odd_tags.atoms, kind=kind) for kind in ("m4a", "m4b", "m4r", "mp4")),
        *(partial(odd_tags.attributes, kind=kind) for kind in ("wma", "asf")),
    ],
    ids=lambda tagged: "".join(map(str, getattr(tagged, "keywords", {}).values())) or "dsf",
)
def test_several_values_and_ids(tagged: Callable[[Path], Path], tmp_path: Path) -> None:
    assert read_file_tags(tagged(tmp_path)) == WORDS


@pytest.mark.parametrize(
    "kind",
    [*("wav", "float.wav", "rf64", "avi", "wma", "asf", "mka", "mkv", "webm", "caf", "pcm.caf", "flv"), "tta", "mov"],
)
def test_what_the_container_itself_says(kind: str, tmp_path: Path) -> None:
    assert replace(read(odd_tags.of_container(tmp_path, kind, SAID)), metadata=None) == replace(WORDS, metadata=None)


@pytest.mark.parametrize("kind", ["au", "snd"])
def test_containers_that_say_less(kind: str, tmp_path: Path) -> None:
    """Sun's annotation, as FFmpeg writes it, has no date."""
    assert read(odd_tags.of_container(tmp_path, kind, SAID)) == FileTags("Ça va", "Alice; Bob", "X", "Jazz; Rock")


@pytest.mark.parametrize("kind", ["aiff", "rm"])
def test_a_title_is_better_than_nothing(kind: str, tmp_path: Path) -> None:
    assert read(odd_tags.of_container(tmp_path, kind, SAID)).title == "Ça va"


@pytest.mark.parametrize("kind", ["mka", "mkv", "webm", "caf", "flv"])
def test_ids_in_containers(kind: str, tmp_path: Path) -> None:
    ids = {"isrc": "gbaye7500101", "MUSICBRAINZ_TRACKID": RECORDING.upper(), "MusicBrainz Album Id": "none"}
    path = odd_tags.of_container(tmp_path, kind, SAID | ids)
    assert read(path).metadata == {"isrc": "GBAYE7500101", "musicbrainz": {"recording": RECORDING}}


def test_matroska_has_several_by_several_elements(tmp_path: Path) -> None:
    own = [("TITLE", "Ça va"), ("ARTIST", "Alice"), ("ARTIST", "Bob"), ("GENRE", "Jazz"), ("GENRE", "Rock")]
    ids = [("MUSICBRAINZ_ARTISTID", "0383dadf-2a4e-4d10-a46a-e9e041da8eb3"), ("ISRC", "GBAYE7500101")]
    album = [("TITLE", "X"), ("ARTIST", "Various Artists"), ("DATE_RELEASED", "1997-05")]
    read_of = read(odd_tags.matroska(tmp_path, [(50, album), (30, own), (None, ids)]))
    assert replace(read_of, metadata=None) == replace(WORDS, metadata=None)
    found = {"artist": "0383dadf-2a4e-4d10-a46a-e9e041da8eb3"}
    assert read_of.metadata == {"isrc": "GBAYE7500101", "musicbrainz": found}


def test_any_byte_of_matroska_may_be_wrong(tmp_path: Path) -> None:
    path, chance = odd_tags.matroska(tmp_path, [(30, [("ARTIST", "Alice"), ("ARTIST", "Bob")])]), random.Random(7)
    whole = path.read_bytes()
    assert values(io.BytesIO(whole))["artist"] == ["Alice", "Bob"]
    for _ in range(2_000):
        broken = bytearray(whole[: chance.choice((len(whole), chance.randrange(300)))]) or bytearray(1)
        for _ in range(chance.randrange(1, 5)):
            broken[chance.randrange(min(len(broken), 300))] = chance.choice((0, 1, 255, chance.randrange(256)))
        for texts in values(io.BytesIO(broken)).values():
            assert all(isinstance(text, str) for text in texts)


@pytest.mark.parametrize("kind", ["w64", "amr", "voc", "mpg", "vob", "ts", "m2ts", "loas"])
def test_containers_without_words(kind: str, tmp_path: Path) -> None:
    assert read(odd_tags.of_container(tmp_path, kind, {"title": "T"})) == FileTags()


@pytest.mark.parametrize("coding", ["cp1252", "utf-8"])
@pytest.mark.parametrize("form", ["wav", "avi"])
def test_riff_info_of_another_code_page(coding: str, form: str, tmp_path: Path) -> None:
    words = {b"INAM": "Ça va – “là”", b"IART": "Björk; Motörhead", b"IPRD": "Ærø", b"IGNR": "(17)", b"ICRD": "1997-05"}
    path = odd_tags.riff_info(tmp_path, {name: text.encode(coding) for name, text in words.items()}, form=form)
    assert read(path) == FileTags("Ça va – “là”", "Björk; Motörhead", "Ærø", "Rock", 1997)


def test_riff_info_that_is_padded_with_nul(tmp_path: Path) -> None:
    path = odd_tags.riff_info(tmp_path, {b"INAM": b"T\0\0\0", b"IART": b"Alice\0\0", b"ISRC": b"nobody"})
    assert read(path) == FileTags("T", "Alice")


def test_ids_are_those_of_the_register(tmp_path: Path) -> None:
    assert read_file_tags(odd_tags.comments(tmp_path, "flac")).metadata == IDS
