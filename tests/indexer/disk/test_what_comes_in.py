"""Names with dots, links, files without suffixes, and names that a database may refuse."""

import random
import shutil
from pathlib import Path

from mutagen.flac import FLAC
from sqlalchemy import text

from api.wiring import Soundalike
from encoders.encoder import Encoder
from indexer.scan import NOT_MUSIC, REACHED_BEFORE, THROWN_AWAY, UNDECODABLE, scan
from tests.indexer.disk.catalogues import counts, keys, neighbours
from tests.indexer.test_pipeline import reasons, run


def test_names_that_begin_with_dots_come_in(music: Path) -> None:
    for place in ("...And Justice for All/01.wav", ".hidden/..odd.wav", ".single.wav", "low/.../x.wav"):
        (music / place).parent.mkdir(exist_ok=True)
        shutil.copy(music / "low" / "tone00.wav", music / place)
    left_out: dict[str, str] = {}
    for place in ("._tone00.wav", ".Trash-1000/x.wav", "$RECYCLE.BIN/x.wav", "@eaDir/x.wav", "__MACOSX/._x.wav"):
        (music / place).parent.mkdir(exist_ok=True)
        shutil.copy(music / "low" / "tone00.wav", music / place)
    files = scan(music, on_error=lambda uri, reason: None, on_skip=left_out.__setitem__)
    assert len(files) == 12 + 4
    assert {Path(uri).name: reason for uri, reason in left_out.items()}["._tone00.wav"] != THROWN_AWAY
    assert sum(reason == THROWN_AWAY for reason in left_out.values()) == 4


def test_links_are_followed_once(music: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(music / "low", outside / "more")
    (music / "loop").symlink_to(music)
    (music / "low" / "up").symlink_to(music / "low")
    (music / "aaa").symlink_to(music / "high")
    (music / "drive").symlink_to(outside)
    (music / "drive again").symlink_to(outside)
    (music / "0.wav").symlink_to(music / "low" / "tone00.wav")
    (music / "far.wav").symlink_to(tmp_path / "single.wav")
    shutil.copy(music / "low" / "tone00.wav", tmp_path / "single.wav")
    (music / "itself").symlink_to(music / "itself")
    left_out: dict[str, str] = {}
    files = scan(music, on_error=lambda uri, reason: None, on_skip=left_out.__setitem__)
    found = [file.key for file in files]
    assert len(found) == len(set(found)) == 12 + 6 + 1
    assert {"music/low/tone00.wav", "music/high/tone06.wav", "music/drive/more/tone00.wav", "music/far.wav"} <= set(
        found
    )
    again = {Path(uri).name for uri, reason in left_out.items() if reason == REACHED_BEFORE}
    assert again == {"loop", "up", "aaa", "drive again", "0.wav"}


def test_what_is_left_out_is_told_by_reason(music: Path, soundalike: Soundalike, bands: Encoder) -> None:
    (music / "cover.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(200))
    (music / "notes.txt").write_text("nothing to hear")
    (music / "player.ts").write_text("export const volume = 11;")
    (music / "song.mid").write_bytes(b"MThd" + bytes(200))
    shutil.copy(music / "low" / "tone00.wav", music / "no suffix")
    shutil.copy(music / "low" / "tone00.wav", music / "wrong.dat")
    report = run(music, soundalike, bands)
    assert counts(report) == {"indexed": 14}
    by_reason = {reason: sorted(Path(uri).name for uri in uris) for reason, uris in report.skipped.items()}
    assert by_reason == {NOT_MUSIC: ["cover.jpg", "notes.txt", "player.ts"], UNDECODABLE: ["song.mid"]}


def test_a_long_path_is_a_key_like_others(music: Path, soundalike: Soundalike, bands: Encoder) -> None:
    """Names that do not compress: a row of a B-tree holds 2,704 bytes, and one of a GiST index fewer than 8,191."""
    letters = random.Random(0)
    folder = music
    for _ in range(14):
        folder /= "".join(letters.choices("abcdefghijklmnopqrstuvwxyz0123456789äöü漢字", k=70))
    folder.mkdir(parents=True)
    shutil.copy(music / "low" / "tone00.wav", folder / "long.wav")
    (folder / "broken.mp3").touch()
    report = run(music, soundalike, bands)
    assert counts(report) == {"indexed": 13, "failed": 1}
    assert reasons(soundalike)["broken.mp3"] == ("decode", "file is empty")
    key = next(key for key in keys(soundalike) if key.endswith("long.wav"))
    assert len(key.encode()) > 1_000
    assert key in neighbours(soundalike, "music/low/tone00.wav")
    assert soundalike.catalog.nearest_keys(key[:-3])[0] == key
    assert counts(run(music, soundalike, bands)) == {"unchanged": 13, "failed": 1}


def test_what_the_database_refuses_fails_alone(flac: Path, music: Path, soundalike: Soundalike, bands: Encoder) -> None:
    """An index that a database's owner added, over what may be long: PostgreSQL says so in an OperationalError."""
    with soundalike.engine.begin() as connection:
        connection.execute(text("CREATE INDEX owners_own ON tracks (title)"))
    tagged = FLAC(flac)
    tagged["title"] = "".join(random.Random(0).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=9_000))
    tagged.save()
    assert counts(run(music, soundalike, bands)) == {"indexed": 12, "failed": 1}
    stage, reason = reasons(soundalike)["song.flac"]
    assert (stage, reason.startswith("the database refuses it: index row")) == ("store", True)
