"""Music inside archives: found in a fixed order, unpacked one at a time, and no archive ever stops the rest."""

import random
import shutil
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from encoders.errors import UnreadableMediaError
from encoders.media.decoded import MediaLimits
from encoders.training.corpus import prepare, read_corpus
from indexer.errors import ScanError
from indexer.packs import archives
from indexer.packs.archives import music_under
from tests.conftest import tone


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that members are unpacked to, of this test alone."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def game(tmp_path: Path, write_wav: Callable[..., Path]) -> Path:
    """A folder with a loose track, and two archives with others."""
    folder = tmp_path / "game"
    write_wav(folder / "loose" / "b.wav", tone(110, 3))
    track = write_wav(tmp_path / "track.wav", tone(220, 3))
    (folder / "base").mkdir()
    with zipfile.ZipFile(folder / "base" / "music.PK3", "w", zipfile.ZIP_DEFLATED) as pk3:
        pk3.write(track, "themes/b.WAV")
        pk3.write(write_wav(tmp_path / "track.wav", tone(330, 3)), "themes/a.wav")
        pk3.writestr("maps/level.txt", "no music")
        pk3.writestr("__MACOSX/themes/._a.wav", "a shadow")
        pk3.writestr("themes/", "")
    with zipfile.ZipFile(folder / "art.zip", "w") as art:
        art.writestr("cover.png", "no music either")
    return folder


def found(folder: Path) -> tuple[dict[str, Any], dict[str, str]]:
    left_out: dict[str, str] = {}
    return dict(music_under(folder, on_error=left_out.__setitem__)), left_out


def test_files_and_members_in_one_order(game: Path) -> None:
    sources, left_out = found(game)
    assert list(sources) == ["base/music.PK3/themes/a.wav", "base/music.PK3/themes/b.WAV", "loose/b.wav"]
    assert left_out == {}


def test_a_member_is_on_disk_while_it_is_read(game: Path, temporary: Path, write_wav: Callable[..., Path]) -> None:
    sources, _ = found(game)
    assert not list(temporary.iterdir())
    with sources["base/music.PK3/themes/b.WAV"]() as path:
        assert path.is_relative_to(temporary)
        assert path.suffix == ".WAV"
        assert path.read_bytes() == write_wav(game / "same.wav", tone(220, 3)).read_bytes()
    assert not list(temporary.iterdir())


def test_a_corpus_from_archives_is_the_one_from_their_files(game: Path, tmp_path: Path, temporary: Path) -> None:
    unpacked = tmp_path / "unpacked"
    shutil.copytree(game / "loose", unpacked / "loose")
    with zipfile.ZipFile(game / "base" / "music.PK3") as pk3:
        pk3.extractall(unpacked / "base" / "music.PK3", ["themes/a.wav", "themes/b.WAV"])
    for folder in (game, unpacked):
        corpus = tmp_path / f"corpus of {folder.name}"
        outcomes = list(prepare(found(folder)[0].items(), corpus, limits=MediaLimits(), threads=2))
        assert [outcome.reason for outcome in outcomes] == [None] * 3
        assert not list(temporary.iterdir())
    first, second = (tmp_path / f"corpus of {name}" for name in ("game", "unpacked"))
    assert read_corpus(first) == read_corpus(second)
    assert [track.group for track in read_corpus(first)] == ["base", "base", "loose"]
    before = (first / "manifest.jsonl").read_bytes()
    list(prepare(found(game)[0].items(), first, limits=MediaLimits()))
    assert (first / "manifest.jsonl").read_bytes() == before


def test_what_is_refused_is_named(game: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with zipfile.ZipFile(game / "bad.zip", "w") as bad:
        for name in ("../up.wav", "/root.wav", "a\\..\\..\\windows.wav", "locked.wav", "fine.wav"):
            bad.writestr(name, b"x")
        bad.writestr("huge.wav", bytes(2_000_000))
    content = bytearray((game / "bad.zip").read_bytes())
    content[content.rindex(b"locked.wav") - 38] |= 1  # the flags of its entry in the directory
    (game / "bad.zip").write_bytes(content)
    (game / "torn.zip").write_bytes(content[:500])
    monkeypatch.setattr(archives, "MAX_MEMBER_BYTES", 1_000_000)
    sources, left_out = found(game)
    assert "bad.zip/fine.wav" in sources
    assert len(sources) == 4
    reasons = {path.removeprefix(f"{game}/"): reason for path, reason in left_out.items()}
    outside = "its path leads out of the archive"
    assert reasons == {
        "bad.zip/../up.wav": outside,
        "bad.zip//root.wav": outside,
        "bad.zip/a/../../windows.wav": outside,
        "bad.zip/locked.wav": "encrypted: unpack the archive to train on it",
        "bad.zip/huge.wav": "2 MiB unpacked; 1 are accepted",
        "torn.zip": "not a readable zip archive: File is not a zip file",
    }


def test_a_damaged_member_is_left_out_with_its_reason(game: Path, tmp_path: Path, temporary: Path) -> None:
    archive = game / "base" / "music.PK3"
    content = bytearray(archive.read_bytes())
    content[1000:1100] = bytes(100)
    archive.write_bytes(content)
    outcomes = {done.key: done for done in prepare(found(game)[0].items(), tmp_path / "c", limits=MediaLimits())}
    assert str(outcomes["base/music.PK3/themes/b.WAV"].reason).startswith("cannot be unpacked: Error -3")
    assert outcomes["base/music.PK3/themes/a.wav"].track is not None
    assert not list(temporary.iterdir())


def test_an_archive_that_went_away_is_a_reason_too(game: Path) -> None:
    source = found(game)[0]["base/music.PK3/themes/a.wav"]
    (game / "base" / "music.PK3").unlink()
    with pytest.raises(UnreadableMediaError, match=r"cannot be unpacked: .*No such file"), source():
        pytest.fail("nothing to read")


def test_no_damage_is_a_crash(tmp_path: Path) -> None:
    """Random bytes at random places: every archive is read, refused or left out."""
    random_bytes = random.Random(20_210_731)
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened:
        for method in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            opened.writestr(f"{method}.ogg", b"abcd" * 50, method)
    whole, ends = archive.read_bytes(), Counter[str]()
    for _ in range(1_000):
        content = bytearray(whole)
        for _ in range(random_bytes.choice([1, 2, 20])):
            content[random_bytes.randrange(len(content))] = random_bytes.randrange(256)
        archive.write_bytes(content)
        try:
            for source in found(tmp_path)[0].values():
                with source() as path:
                    ends[f"read {path.suffix}"] += 1
        except (ScanError, UnreadableMediaError) as error:
            ends[type(error).__name__] += 1
    assert min(ends["read .ogg"], ends["ScanError"], ends["UnreadableMediaError"]) > 100


def test_a_folder_without_music_is_named_with_what_is_accepted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    accepted = r"\(accepted: \.3g2 .*, also inside \.pk3 \.zip\)$"
    with pytest.raises(ScanError, match=f"{tmp_path}/empty: no audio file in it {accepted}"):
        found(Path("empty"))
    (tmp_path / "empty" / "torn.zip").write_bytes(b"PK")
    with pytest.raises(ScanError, match=r"\.zip\); /.*torn\.zip: not a readable zip archive"):
        found(Path("empty"))
    with pytest.raises(ScanError, match="gone: no such file or folder"):
        found(Path("gone"))
