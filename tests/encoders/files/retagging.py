"""What tagging programs do to files without a change of their audio: tags, covers, padding, moved indices."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

import mutagen
from mutagen.aiff import AIFF
from mutagen.apev2 import APEBinaryValue, APEv2
from mutagen.asf import ASF
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, COMM, ID3, TIT2, TPE1
from mutagen.mp4 import MP4, MP4Cover
from mutagen.wave import WAVE

from tests.encoders.files.odd_files import KINDS, beside, repacked

COVER = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 400


def retagged(path: Path) -> list[Path]:
    """Files beside it with the same audio and other tags, covers, padding or places of what is no audio."""
    return [change(beside(path, change.__name__.strip("_"), path.read_bytes())) for change in changes_of(path)]


def changes_of(path: Path) -> Sequence[Callable[[Path], Path]]:
    """What can be done to a file without a change of its audio."""
    kind = KINDS[path.name.split(".", 1)[1]]
    if "empty_moov" in kind.options.get("movflags", ""):
        return (_remuxed,)  # mutagen does not keep their fragments in place
    return {
        "flac": (_comments, _flac_cover, _flac_cover_and_no_padding, _id3_in_front, _id3v1),
        "mp3": (_id3_in_front, _id3v1, _ape, _ape_and_id3v1, _everything),
        "mp2": (_id3_in_front, _id3v1, _ape_and_id3v1),
        "adts": (_id3_in_front, _id3v1, _ape_and_id3v1),
        "ac3": (_id3v1, _ape),
        "eac3": (_ape_and_id3v1,),
        "tta": (_id3_in_front, _ape, _ape_and_id3v1),
        "wv": (_ape, _ape_and_id3v1),
        "ogg": (_comments, _long_comments),
        "w64": (),  # these have no place for words
        "latm": (),
        "amr": (),
        "vob": (),
        "mpeg": (),
        "ipod": (_atoms, _atoms_and_padding, _moov_moved),
        "mp4": (_atoms, _atoms_and_padding, _moov_moved),
        "wav": (_list_chunk, _list_in_front, _wave_id3),
        "aiff": (_aiff_id3,),
        "asf": (_asf_attributes,),
    }.get(kind.container, (_remuxed,))


def _comments(path: Path) -> Path:
    file = mutagen.File(path)
    file["title"], file["artist"] = "Another", ["One", "Two"]
    file.save()
    return path


def _long_comments(path: Path) -> Path:
    file = mutagen.File(path)
    file["metadata_block_picture"] = "QUJD" * 60_000  # over several pages
    file.save()
    return path


def _flac_cover(path: Path) -> Path:
    file = FLAC(path)
    picture = Picture()
    picture.data, picture.mime, picture.type = COVER, "image/jpeg", 3
    file.add_picture(picture)
    file.save(padding=lambda _: 50_000)
    return path


def _flac_cover_and_no_padding(path: Path) -> Path:
    FLAC(_flac_cover(path)).save(padding=lambda _: 0)
    return path


def _id3() -> ID3:
    tags = ID3()
    tags.add(TIT2(encoding=3, text="Another"))
    tags.add(TPE1(encoding=1, text=["One", "Two"]))
    tags.add(COMM(encoding=3, lang="eng", desc="", text="words " * 3000))
    tags.add(APIC(encoding=3, mime="image/jpeg", type=3, desc="", data=COVER))
    return tags


def _id3_in_front(path: Path) -> Path:
    _id3().save(path, v1=0, padding=lambda _: 70_000)
    return path


def _id3v1(path: Path) -> Path:
    path.write_bytes(path.read_bytes() + b"TAG" + b"Another".ljust(124, b"\0") + b"\x11")
    return path


def _ape(path: Path) -> Path:
    tags = APEv2()
    tags["Title"], tags["Cover Art (Front)"] = "Another", APEBinaryValue(b"cover.jpg\0" + b"\xff\xfb\x90\x64" * 30_000)
    tags.save(path)
    return path


def _ape_and_id3v1(path: Path) -> Path:
    return _id3v1(_ape(path))


def _everything(path: Path) -> Path:
    lyrics = b"LYRICSBEGININD0000211LYR00004la l"
    path.write_bytes(path.read_bytes() + lyrics + f"{len(lyrics):06}LYRICS200".encode())
    return _id3_in_front(_ape_and_id3v1(path))


def _atoms(path: Path) -> Path:
    file = MP4(path)
    file["\xa9nam"], file["covr"] = "Another", [MP4Cover(COVER)]
    file.save()
    return path


def _atoms_and_padding(path: Path) -> Path:
    file = MP4(path)
    file["\xa9cmt"] = "words " * 3000
    file.save(padding=lambda _: 40_000)
    return path


def _moov_moved(path: Path) -> Path:
    """The index moved from one end to the other, by writing the container anew."""
    content = path.read_bytes()
    is_in_front = content.index(b"moov") < content.index(b"mdat")
    return _remuxed(path, {} if is_in_front else {"movflags": "faststart"})


def _remuxed(path: Path, options: dict[str, str] | None = None) -> Path:
    """The container written anew around the same packets, with other tags."""
    kind = KINDS[path.name.split(".", 1)[1]]
    other = path.with_name(f"anew-{path.name}")
    tags = {"title": "Another title of quite another length", "comment": "words " * 300}
    repacked(path, other, kind.container, kind.options if options is None else options, tags)
    other.replace(path)
    return path


def _list_chunk(path: Path) -> Path:
    """A LIST chunk of RIFF's own tags at the end."""
    info = b"INFOINAM" + struct.pack("<I", 8) + b"Another\0"
    return _of_riff(path, path.read_bytes() + b"LIST" + struct.pack("<I", len(info)) + info)


def _list_in_front(path: Path) -> Path:
    """A LIST chunk of an odd length between format and data."""
    content = path.read_bytes()
    info = b"INFOICMT" + struct.pack("<I", 4097) + b"w" * 4097 + b"\0"
    at = content.index(b"data", 12)
    return _of_riff(path, content[:at] + b"LIST" + struct.pack("<I", len(info)) + info + content[at:])


def _of_riff(path: Path, content: bytes) -> Path:
    """Write chunks under a head that says how long they are; RF64's says nothing."""
    is_riff = content.startswith(b"RIFF")
    path.write_bytes(content[:4] + struct.pack("<I", len(content) - 8) + content[8:] if is_riff else content)
    return path


def _wave_id3(path: Path) -> Path:
    if path.read_bytes().startswith(b"RF64"):
        return _list_in_front(path)  # mutagen reads RIFF alone
    return _id3_chunk(WAVE(path), path)


def _aiff_id3(path: Path) -> Path:
    return _id3_chunk(AIFF(path), path)


def _id3_chunk(file: AIFF | WAVE, path: Path) -> Path:
    file.add_tags()
    file.tags.update(_id3())
    file.save()
    return path


def _asf_attributes(path: Path) -> Path:
    file = ASF(path)
    file["Title"], file["WM/Genre"] = "Another", ["One", "Two"]
    file.save(padding=lambda _: 30_000)
    return path
