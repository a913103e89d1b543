"""Voices for training: download a pack of recorded people, keep what they say; or the texts for a synthesiser.

A fetched pack is put together as music is (`indexer.packs.fetch`)::

    <into>/<name>/LICENCE.txt
    <into>/<name>/voices/<package>/<recording>     as in the package; headerless samples have become WAV files
"""

from __future__ import annotations

import re
import wave
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from indexer.errors import PackError, UnknownPackError
from indexer.packs.fetch import append_licences, unpack_debs
from indexer.packs.known_voices import TEXT_PACKAGES, VOICE_PACKS
from retrieval.suggestions import did_you_mean

if TYPE_CHECKING:
    from indexer.packs.known_voices import VoiceFolder, VoicePack

WITHOUT_APT = "voices come out of Debian packages alone: gather them on Debian or Ubuntu"
_ISO_639_1 = {"nb": "no", "nn": "no"}


@dataclass(frozen=True)
class Recording:
    """One file in which `speaker` says something in `language` (ISO 639-1)."""

    path: Path
    language: str
    speaker: str
    source: str
    licence: str


def fetch_voices(name: str, into: Path) -> list[Recording]:
    """Download a pack of voices unless it is there already, and say who speaks in its files, in the files' order.

    Parameters
    ----------
    name : a key of `VOICE_PACKS`
    into : the folder that gets a folder of that name, made if missing

    Raises
    ------
    PackError
        If the name is unknown, a tool is missing, or the pack cannot be downloaded or written.
    """
    if name not in VOICE_PACKS:
        hint = did_you_mean(name, VOICE_PACKS)
        raise UnknownPackError(f"no pack of voices is called {name!r}{hint} (there are {', '.join(VOICE_PACKS)})")
    pack, target = VOICE_PACKS[name], into / name
    try:
        if not target.is_dir():
            _build(pack, target)
    except OSError as error:
        raise PackError(f"voices {name} could not be fetched into {target}: {error}") from error
    return [
        recording
        for folder in pack.folders
        for path in sorted((target / "voices" / folder.package).rglob("*"))
        if path.is_file() and (recording := _recording(pack, folder, path, target)) is not None
    ]


def fetch_texts(into: Path) -> Path:
    """Download what a synthesiser reads out unless it is there; the folder holds ``<language>/**/*.mo``.

    Raises
    ------
    PackError
        As `fetch_voices`.
    """
    target = into / "voice-texts"
    try:
        if not target.is_dir():
            target.parent.mkdir(parents=True, exist_ok=True)
            with TemporaryDirectory(prefix=".voice-texts-", dir=target.parent) as scratch:
                staged, debs, trees = _workspace(Path(scratch))
                unpack_debs(TEXT_PACKAGES, debs, trees, otherwise=WITHOUT_APT)
                for catalogue in sorted(trees.rglob("LC_MESSAGES/*.mo")):
                    package, language = catalogue.relative_to(trees).parts[0], catalogue.parents[1].name
                    kept = staged / language / package / catalogue.name
                    kept.parent.mkdir(parents=True, exist_ok=True)
                    catalogue.rename(kept)
                for package in TEXT_PACKAGES:
                    append_licences(package, trees / package, staged / "LICENCE.txt")
                staged.rename(target)
    except OSError as error:
        raise PackError(f"texts could not be fetched into {target}: {error}") from error
    return target


def _workspace(scratch: Path) -> tuple[Path, Path, Path]:
    """Empty folders for what is kept, for packages, and for what they hold."""
    staged, debs, trees = (scratch.resolve() / name for name in ("pack", "debs", "trees"))
    for folder in (staged, debs, trees):
        folder.mkdir()
    return staged, debs, trees


def _build(pack: VoicePack, target: Path) -> None:
    """Put a pack together beside its target, then move it there in one step."""
    target.parent.mkdir(parents=True, exist_ok=True)
    packages = list(dict.fromkeys(folder.package for folder in pack.folders))
    with TemporaryDirectory(prefix=f".{pack.name}-", dir=target.parent) as scratch:
        staged, debs, trees = _workspace(Path(scratch))
        unpack_debs(packages, debs, trees, otherwise=WITHOUT_APT)
        for folder in pack.folders:
            _take(folder, trees / folder.package, staged / "voices" / folder.package)
        for package in packages:
            append_licences(package, trees / package, staged / "LICENCE.txt")
        staged.rename(target)


def _take(folder: VoiceFolder, tree: Path, voices: Path) -> None:
    """Move the recordings of an unpacked package; links, which some packages have for other words, stay."""
    root = tree / folder.path
    files = [path for path in sorted(root.glob(folder.pattern)) if path.is_file() and not path.is_symlink()]
    spoken = [path for path in files if re.fullmatch(folder.naming, path.relative_to(root).as_posix())]
    if not spoken:
        raise PackError(f"{folder.package} holds no voice at {folder.path}/{folder.pattern}: is it another version?")
    for path in spoken:
        kept = voices / path.relative_to(tree)
        kept.parent.mkdir(parents=True, exist_ok=True)
        if folder.raw_rate:
            with wave.open(f"{kept}.wav", "wb") as file:
                file.setparams((1, 1, folder.raw_rate, 0, "NONE", "not compressed"))
                file.writeframes(path.read_bytes())
        else:
            path.rename(kept)


def _recording(pack: VoicePack, folder: VoiceFolder, path: Path, target: Path) -> Recording | None:
    """Who speaks in a taken file; None for another folder's."""
    root = target / "voices" / folder.package / folder.path
    if not path.is_relative_to(root):
        return None
    name = path.relative_to(root).as_posix().removesuffix(".wav" if folder.raw_rate else "")
    named = re.fullmatch(folder.naming, name)
    if named is None:
        return None
    said = named.groupdict()
    language = said.get("language") or folder.language
    speaker = said.get("speaker") or folder.speaker or ("hero" if "speaker" in said else language)
    return Recording(path, _ISO_639_1.get(language, language), speaker.lower(), pack.name, pack.licence)
