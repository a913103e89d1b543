"""Files with tags of every kind: mutagen writes those of programs, bytes by hand those that no program writes any more.

Each function tags a file that was written for it, and returns it. What most say is one thing, which `WORDS` is.
"""

import base64
import struct
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import av
from mutagen.aiff import AIFF
from mutagen.apev2 import APEv2
from mutagen.asf import ASF
from mutagen.dsf import DSF
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, ID3, TALB, TCON, TDRC, TIT2, TPE1, TSRC, TXXX, UFID
from mutagen.mp4 import MP4, MP4FreeForm
from mutagen.oggopus import OggOpus
from mutagen.oggvorbis import OggVorbis
from mutagen.wave import WAVE

from indexer.file_tags import FileTags
from tests.encoders.files.odd_files import KINDS, of_kind

RECORDING = "b1a9c0e9-d987-4042-ae91-78d6a3267d69"
RELEASE = "c29e8b0a-5d3c-4b8e-9b0a-0d3f2c1b4a59"
ARTISTS = ("0383dadf-2a4e-4d10-a46a-e9e041da8eb3", "678d88b2-87b0-403b-b63d-5da7465aecc3")
IDS = {"isrc": "GBAYE7500101", "musicbrainz": {"recording": RECORDING, "release": RELEASE, "artist": list(ARTISTS)}}
WORDS = FileTags("Ça va", "Alice; Bob", "X", "Jazz; Rock", 1997, IDS)
_PLAIN = {"title": ["Ça va"], "artist": ["Alice", "Bob"], "album": ["X"], "genre": ["Jazz", "Rock"]}
_REGISTERED = {
    "isrc": ["GB-AYE-75-00101"],
    "musicbrainz_trackid": [RECORDING],
    "musicbrainz_albumid": [RELEASE],
    "musicbrainz_artistid": list(ARTISTS),
}


def comments(folder: Path, kind: str) -> Path:
    """Vorbis comments, each value under a name of its own."""
    path = of_kind(folder, kind, 0.5)
    opened = {"flac": FLAC, "opus": OggOpus, "ogg": OggVorbis}[kind](path)
    opened.update(_PLAIN | _REGISTERED | {"date": ["1997-05-11"]})
    opened.save()
    return path


def frames(*, encoding: int = 3) -> ID3:
    """ID3 as MusicBrainz Picard writes it; encoding 0 is Latin-1, 1 UTF-16, 2 UTF-16BE, 3 UTF-8."""
    tags = ID3()
    for name, values in (("TIT2", "title"), ("TPE1", "artist"), ("TALB", "album"), ("TCON", "genre")):
        frame = {"TIT2": TIT2, "TPE1": TPE1, "TALB": TALB, "TCON": TCON}[name]
        tags.add(frame(encoding=encoding, text=_PLAIN[values]))
    tags.add(TDRC(encoding=0, text="1997-05-11"))
    tags.add(TSRC(encoding=0, text="GBAYE7500101"))
    tags.add(UFID(owner="http://musicbrainz.org", data=RECORDING.encode()))
    tags.add(TXXX(encoding=0, desc="MusicBrainz Album Id", text=RELEASE))
    tags.add(TXXX(encoding=0, desc="MusicBrainz Artist Id", text=list(ARTISTS)))
    return tags


def id3(folder: Path, kind: str, *, encoding: int = 3, version: int = 4) -> Path:
    """ID3 before the audio, whatever this is; of version 2.3 values are joined by a slash, so `v23_sep` is none."""
    path = of_kind(folder, kind, 0.5)
    tags = frames(encoding=encoding)
    if version == 3:
        tags.update_to_v23()
    tags.save(path, v1=0, v2_version=version, v23_sep=None)
    return path


def id3_inside(folder: Path, kind: str) -> Path:
    """ID3 in a chunk of its own."""
    path = of_kind(folder, kind, 0.5)
    opened = WAVE(path) if kind == "wav" else AIFF(path)
    opened.add_tags()
    for frame in frames().values():
        opened.tags.add(frame)
    opened.save()
    return path


def dsf(folder: Path) -> Path:
    """ID3 behind the data of a DSD file, where its header points to."""
    block = 4096
    path, data = folder / "music.dsf", bytes([0x69]) * (2 * block)
    form = b"fmt " + struct.pack("<QIIIIIIQII", 52, 1, 0, 2, 2, 2_822_400, 1, 8 * block, block, 0)
    body = form + b"data" + struct.pack("<Q", 12 + len(data)) + data
    path.write_bytes(b"DSD " + struct.pack("<QQQ", 28, 28 + len(body), 0) + body)
    opened = DSF(path)
    opened.add_tags()
    for frame in frames().values():
        opened.tags.add(frame)
    opened.save()
    return path


def ape(folder: Path, kind: str) -> Path:
    """APE behind the audio: values with NULs between."""
    path = of_kind(folder, kind, 0.5)
    tags = APEv2()
    for name, values in (_PLAIN | _REGISTERED | {"year": ["1997"]}).items():
        tags[name] = values
    tags.save(path)
    return path


def atoms(folder: Path, kind: str) -> Path:
    """The atoms of iTunes, and free ones."""
    path = of_kind(folder, kind, 0.5)
    opened = MP4(path)
    names = {"\xa9nam": "title", "\xa9ART": "artist", "\xa9alb": "album", "\xa9gen": "genre"}
    for atom, name in names.items():
        opened[atom] = _PLAIN[name]
    opened["\xa9day"] = ["1997-05-11T07:00:00Z"]
    free = {"ISRC": ["GBAYE7500101"], "MusicBrainz Track Id": [RECORDING], "MusicBrainz Album Id": [RELEASE]}
    for name, values in (free | {"MusicBrainz Artist Id": list(ARTISTS)}).items():
        opened[f"----:com.apple.iTunes:{name}"] = [MP4FreeForm(one.encode()) for one in values]
    opened.save()
    return path


def attributes(folder: Path, kind: str) -> Path:
    """Those of Windows Media."""
    path = of_kind(folder, kind, 0.5)
    opened = ASF(path)
    opened.update({"Title": ["Ça va"], "Author": ["Alice", "Bob"], "WM/AlbumTitle": ["X"], "WM/Year": ["1997"]})
    opened.update({"WM/Genre": ["Jazz", "Rock"], "WM/ISRC": ["GBAYE7500101"], "MusicBrainz/Track Id": [RECORDING]})
    opened.update({"MusicBrainz/Album Id": [RELEASE], "MusicBrainz/Artist Id": list(ARTISTS)})
    opened.save()
    return path


def of_container(folder: Path, kind: str, said: Mapping[str, str], duration_s: float = 0.5) -> Path:
    """What FFmpeg's muxer writes of words that a container may say."""
    path = of_kind(folder, kind, duration_s)
    tagged = path.with_name(f"tagged.{kind}")
    with av.open(str(path)) as read, av.open(str(tagged), "w", format=KINDS[kind].container) as out:
        out.metadata.update(said)
        stream = out.add_stream_from_template(read.streams.audio[0])
        for packet in read.demux(audio=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    return tagged


def matroska(folder: Path, tags: Iterable[tuple[int | None, Iterable[tuple[str, str]]]]) -> Path:
    """`Tags` in front, each with the value of its target's level and names with their texts, of which some recur."""
    path = of_kind(folder, "mka", 0.5)
    written = b""
    for level, words in tags:
        targets = _element("63C0", b"" if level is None else _element("68CA", bytes([level])))
        simple = [_element("67C8", _element("45A3", n.encode()) + _element("4487", t.encode())) for n, t in words]
        written += _element("7373", targets + b"".join(simple))
    content = path.read_bytes()
    begin = content.index(bytes.fromhex("18538067")) + 4
    unknown = b"\1" + b"\xff" * 7  # so that the segment's length needs no change
    path.write_bytes(content[:begin] + unknown + _element("1254C367", written) + content[begin + 8 :])
    return path


def riff_info(folder: Path, words: Mapping[bytes, bytes], *, form: str = "wav") -> Path:
    """A RIFF file's INFO, of bytes as they are."""
    path = of_kind(folder, form, 0.5)
    listed = b"INFO" + b"".join(
        name + struct.pack("<I", len(text)) + text + b"\0" * (len(text) % 2) for name, text in words.items()
    )
    content = path.read_bytes() + b"LIST" + struct.pack("<I", len(listed)) + listed
    path.write_bytes(b"RIFF" + struct.pack("<I", len(content) - 8) + content[8:])
    return path


def raw_id3(folder: Path, frames_of: Iterable[tuple[bytes, bytes]], *, version: int, kind: str = "mp3") -> Path:
    """ID3v2 of bytes as they are: frames as (name, body), of version 2.2, 2.3 or 2.4."""
    path = of_kind(folder, kind, 0.5)
    body = b"".join(_raw_frame(name, content, version) for name, content in frames_of)
    audio = path.read_bytes()
    if audio.startswith(b"ID3"):
        audio = audio[10 + _unsafe(audio[6:10]) :]
    path.write_bytes(b"ID3" + bytes([version, 0, 0]) + _safe(len(body)) + body + audio)
    return path


def id3v1(folder: Path, kind: str, *, before: Callable[[Path], Path] | None = None) -> Path:
    """128 bytes behind all else: title, artist, album, year, comment, genre by number."""
    path = of_kind(folder, kind, 0.5)
    ID3().delete(path)
    if before is not None:
        before(path)
    fields = (b"Ca va".ljust(30, b"\0"), b"Alice".ljust(30, b" "), b"X".ljust(30, b"\0"), b"1997", bytes(30), b"\x11")
    path.write_bytes(path.read_bytes() + b"TAG" + b"".join(fields))
    return path


def cover_only(path: Path) -> Path:
    """ID3 that has a picture alone."""
    tags = ID3()
    tags.add(APIC(encoding=0, mime="image/png", type=3, desc="", data=b"\x89PNG" * 5_000))
    tags.save(path, v1=0)
    return path


def picture_only(folder: Path) -> Path:
    """Vorbis comments that have a picture alone."""
    path = of_kind(folder, "opus", 0.5)
    picture = Picture()
    picture.data, picture.type, picture.mime = b"\xff\xd8\xff\xe0" * 20_000, 3, "image/jpeg"
    opened = OggOpus(path)
    opened["metadata_block_picture"] = [base64.b64encode(picture.write()).decode()]
    opened.save()
    return path


def _element(kind: str, content: bytes) -> bytes:
    """Of EBML: id, length in eight bytes, content."""
    return bytes.fromhex(kind) + (len(content) | 1 << 56).to_bytes(8, "big") + content


def _raw_frame(name: bytes, content: bytes, version: int) -> bytes:
    if version == 2:
        return name + len(content).to_bytes(3, "big") + content
    return name + (_safe(len(content)) if version == 4 else len(content).to_bytes(4, "big")) + b"\0\0" + content


def _safe(number: int) -> bytes:
    """28 bits, seven a byte."""
    return bytes(number >> shift & 0x7F for shift in (21, 14, 7, 0))


def _unsafe(coded: bytes) -> int:
    return sum(part << shift for part, shift in zip(coded, (21, 14, 7, 0), strict=True))
