"""Files of every kind that can be written here, and what happens to files: retagged, cut, chained, with broken samples.

Nothing of it is stored: FFmpeg writes the sound, mutagen the tags.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import av
import mutagen
import numpy as np
from mutagen.aiff import AIFF
from mutagen.apev2 import APEBinaryValue, APEv2
from mutagen.asf import ASF
from mutagen.flac import FLAC, Picture
from mutagen.id3 import APIC, COMM, ID3, TIT2, TPE1
from mutagen.mp4 import MP4, MP4Cover
from mutagen.wave import WAVE
from numpy.typing import NDArray

COVER = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 400


@dataclass(frozen=True)
class Kind:
    """How a file is written: FFmpeg's container and codec, at a rate in Hz."""

    container: str
    codec: str
    rate: int = 44_100
    layout: str = "stereo"
    options: dict[str, str] = field(default_factory=dict)


KINDS: dict[str, Kind] = {
    "wav": Kind("wav", "pcm_s16le"),
    "float.wav": Kind("wav", "pcm_f32le"),
    "adpcm.wav": Kind("wav", "adpcm_ms"),
    "rf64": Kind("wav", "pcm_s24le", options={"rf64": "always"}),
    "w64": Kind("w64", "pcm_s16le"),
    "aiff": Kind("aiff", "pcm_s16be"),
    "aifc": Kind("aiff", "pcm_s16le"),
    "au": Kind("au", "pcm_s16be"),
    "snd": Kind("au", "pcm_mulaw"),
    "caf": Kind("caf", "alac"),
    "pcm.caf": Kind("caf", "pcm_s16le"),
    "voc": Kind("voc", "pcm_u8"),
    "flac": Kind("flac", "flac"),
    "wv": Kind("wv", "wavpack"),
    "tta": Kind("tta", "tta"),
    "mp3": Kind("mp3", "libmp3lame"),
    "mp2": Kind("mp2", "mp2"),
    "aac": Kind("adts", "aac"),
    "loas": Kind("latm", "aac"),
    "ac3": Kind("ac3", "ac3"),
    "eac3": Kind("eac3", "eac3"),
    "amr": Kind("amr", "libopencore_amrnb", 8000, "mono"),
    "ogg": Kind("ogg", "vorbis"),
    "opus": Kind("ogg", "libopus", 48_000),
    "oga": Kind("ogg", "flac"),
    "m4a": Kind("ipod", "aac"),
    "m4b": Kind("ipod", "alac"),
    "m4r": Kind("ipod", "aac", options={"movflags": "faststart"}),
    "mp4": Kind("mp4", "aac", options={"movflags": "faststart"}),
    "parts.mp4": Kind("mp4", "aac", options={"movflags": "frag_keyframe+empty_moov", "frag_duration": "1000000"}),
    "mov": Kind("mov", "pcm_s16le"),
    "3gp": Kind("3gp", "libopencore_amrnb", 8000, "mono"),
    "mka": Kind("matroska", "vorbis"),
    "mkv": Kind("matroska", "ac3"),
    "webm": Kind("webm", "libopus", 48_000),
    "wma": Kind("asf", "wmav2"),
    "asf": Kind("asf", "wmav1"),
    "avi": Kind("avi", "libmp3lame"),
    "flv": Kind("flv", "libmp3lame"),
    "ts": Kind("mpegts", "mp2"),
    "m2ts": Kind("mpegts", "ac3", options={"mpegts_m2ts_mode": "1"}),
    "mpg": Kind("mpeg", "mp2"),
    "vob": Kind("vob", "ac3"),
    "rm": Kind("rm", "ac3"),
}


def music(duration_s: float, rate: int = 44_100, *, seed: int = 7) -> NDArray[np.float32]:
    """Chords that change twice a second under a little noise, float32 [samples]: no two frames of it are alike."""
    rng = np.random.default_rng(seed)
    time_s = np.arange(round(duration_s * rate)) / rate
    steps = rng.uniform(110, 1500, (3, int(2 * duration_s) + 1))
    tones = sum(np.sin(2 * np.pi * np.cumsum(voice[(2 * time_s).astype(int)]) / rate) for voice in steps)
    return (0.15 * tones + rng.normal(0, 0.02, time_s.size)).astype(np.float32)


def written(path: Path, kind: Kind, duration_s: float = 6.0, *, samples: NDArray[np.float32] | None = None) -> Path:
    """Write music, or other samples of all channels alike, as a kind of file says."""
    sound = music(duration_s, kind.rate) if samples is None else samples
    with av.open(str(path), "w", format=kind.container, options=kind.options) as out:
        stream = out.add_stream(kind.codec, rate=kind.rate)
        stream.layout = kind.layout
        if kind.codec == "vorbis":  # FFmpeg's own encoder
            stream.codec_context.options = {"strict": "experimental"}
        if kind.codec.startswith("wma"):
            stream.codec_context.bit_rate = 128_000
        resampler = av.AudioResampler(stream.format, kind.layout, kind.rate)
        channels = stream.layout.nb_channels
        frame = av.AudioFrame.from_ndarray(np.stack([sound] * channels), format="fltp", layout=kind.layout)
        frame.sample_rate = kind.rate
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return path


def of_kind(folder: Path, name: str, duration_s: float = 6.0) -> Path:
    """Write a file of one of the `KINDS`."""
    return written(folder / f"music.{name}", KINDS[name], duration_s)


def cut(path: Path, share: float) -> Path:
    """A file beside it that ends after a share of its bytes."""
    return _beside(path, "cut", path.read_bytes()[: int(share * path.stat().st_size)])


def zero_tail(path: Path, share: float) -> Path:
    """A file beside it, of the same length, that a download has filled up to a share of its bytes."""
    content = path.read_bytes()
    there = int(share * len(content))
    return _beside(path, "filled", content[:there] + bytes(len(content) - there))


def with_hole(path: Path, start: float, end: float) -> Path:
    """A file beside it with zero bytes from a share of its bytes to another."""
    content = bytearray(path.read_bytes())
    first, last = int(start * len(content)), int(end * len(content))
    content[first:last] = bytes(last - first)
    return _beside(path, "hole", bytes(content))


def with_nan(path: Path, count: int, *, value: float = np.nan, duration_s: float = 6.0) -> Path:
    """Write a WAV of floats, so many samples of which have a value, far from each other."""
    samples = music(duration_s)
    samples[np.linspace(1000, samples.size - 1000, count).astype(int)] = value
    return written(path, KINDS["float.wav"], samples=samples)


def chained_ogg(path: Path, *links: Kind, duration_s: float = 3.0) -> Path:
    """Write an Ogg file of several streams one behind the other, each as long."""
    parts = [written(path.with_name(f"link{number}.ogg"), kind, duration_s) for number, kind in enumerate(links)]
    return joined(path, *parts)


def joined(path: Path, *parts: Path) -> Path:
    """Write files one behind the other."""
    path.write_bytes(b"".join(part.read_bytes() for part in parts))
    return path


def retagged(path: Path) -> list[Path]:
    """Files beside it with the same audio and other tags, covers, padding or places of what is no audio."""
    return [change(_beside(path, change.__name__.strip("_"), path.read_bytes())) for change in changes_of(path)]


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
        "ipod": (_atoms, _atoms_and_padding, _moov_moved),
        "mp4": (_atoms, _atoms_and_padding, _moov_moved),
        "wav": (_list_chunk, _list_in_front, _wave_id3),
        "aiff": (_aiff_id3,),
        "asf": (_asf_attributes,),
    }.get(kind.container, (_remuxed,))


def _beside(path: Path, what: str, content: bytes) -> Path:
    stem, suffix = path.name.split(".", 1)
    other = path.with_name(f"{stem}-{what}.{suffix}")
    other.write_bytes(content)
    return other


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
    file = FLAC(_flac_cover(path))
    file.save(padding=lambda _: 0)
    return path


def _id3(path: Path) -> ID3:
    tags = ID3()
    tags.add(TIT2(encoding=3, text="Another"))
    tags.add(TPE1(encoding=1, text=["One", "Two"]))
    tags.add(COMM(encoding=3, lang="eng", desc="", text="words " * 3000))
    tags.add(APIC(encoding=3, mime="image/jpeg", type=3, desc="", data=COVER))
    return tags


def _id3_in_front(path: Path) -> Path:
    _id3(path).save(path, v1=0, padding=lambda _: 70_000)
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
    with (
        av.open(str(path)) as source,
        av.open(str(other), "w", format=kind.container, options=kind.options if options is None else options) as out,
    ):
        out.metadata["title"] = "Another title of quite another length"
        out.metadata["comment"] = "words " * 300
        stream = out.add_stream_from_template(source.streams.audio[0])
        for packet in source.demux(source.streams.audio[0]):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    other.replace(path)
    return path


def _list_chunk(path: Path) -> Path:
    """A LIST chunk of RIFF's own tags at the end."""
    info = b"INFOINAM" + struct.pack("<I", 8) + b"Another\0"
    content = path.read_bytes() + b"LIST" + struct.pack("<I", len(info)) + info
    if content.startswith(b"RIFF"):
        content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    path.write_bytes(content)
    return path


def _list_in_front(path: Path) -> Path:
    """A LIST chunk of an odd length between format and data."""
    content = path.read_bytes()
    info = b"INFOICMT" + struct.pack("<I", 4097) + b"w" * 4097 + b"\0"
    at = content.index(b"data", 12)
    content = content[:at] + b"LIST" + struct.pack("<I", len(info)) + info + content[at:]
    if content.startswith(b"RIFF"):
        content = content[:4] + struct.pack("<I", len(content) - 8) + content[8:]
    path.write_bytes(content)
    return path


def _wave_id3(path: Path) -> Path:
    if path.read_bytes().startswith(b"RF64"):
        return _list_in_front(path)  # mutagen reads RIFF alone
    file = WAVE(path)
    file.add_tags()
    file.tags.update(_id3(path))
    file.save()
    return path


def _aiff_id3(path: Path) -> Path:
    file = AIFF(path)
    file.add_tags()
    file.tags.update(_id3(path))
    file.save()
    return path


def _asf_attributes(path: Path) -> Path:
    file = ASF(path)
    file["Title"], file["WM/Genre"] = "Another", ["One", "Two"]
    file.save(padding=lambda _: 30_000)
    return path
