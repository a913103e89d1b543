"""Which files are media: every kind that is written here is, by its name and by its bytes; everything else is not."""

import io
import struct
import zipfile
from pathlib import Path

import av
import numpy as np
import pytest
from av.format import ContainerFormat

from encoders.media.decode import decode
from encoders.media.kinds import AUDIO_SUFFIXES, CONTAINERS, HEAD_BYTES, looks_like_media
from tests.encoders.files.odd_files import KINDS, of_kind
from tests.encoders.files.retagging import retagged

# Suffixes of formats that nothing here writes, or of another name for one that is written: who reads them.
READ_BY = {
    "3g2": "mov", "3gpp": "mov", "aa3": "oma", "adts": "aac", "aif": "aiff", "ape": "ape", "awb": "amr", "bwf": "wav",
    "dff": "iff", "dsf": "dsf", "dts": "dts", "dtshd": "dtshd", "ec3": "eac3", "f4a": "mov", "f4b": "mov", "f4v": "mov",
    "latm": "loas", "m1a": "mp3", "m2a": "mp3", "m2t": "mpegts", "m4v": "mov", "mac": "ape", "mk3d": "matroska",
    "mlp": "mlp", "mp+": "mpc", "mp1": "mp3", "mpa": "mp3", "mpc": "mpc8", "mpeg": "mpeg", "mpp": "mpc",
    "mts": "mpegts", "ogm": "ogg", "ogv": "ogg", "ogx": "ogg", "oma": "oma", "omg": "oma", "qt": "mov", "ra": "rm",
    "rmvb": "rm", "shn": "shn", "spx": "ogg", "tak": "tak", "thd": "truehd", "wave": "wav", "weba": "matroska",
    "wmv": "asf",
}  # fmt: skip


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_that_is_written_is_media(name: str, tmp_path: Path) -> None:
    path = of_kind(tmp_path, name, 3.0)
    assert path.suffix in AUDIO_SUFFIXES
    for one in (path, *retagged(path)):
        head = one.read_bytes()[:HEAD_BYTES]
        assert looks_like_media(head), one.name
        assert decode(head + one.read_bytes()[HEAD_BYTES:], sample_rates=[16_000]).duration_s == pytest.approx(
            3, abs=0.1
        )


def test_every_suffix_is_read_by_somebody() -> None:
    written = {name.rsplit(".", 1)[-1] for name in KINDS}
    assert {f".{name}" for name in written | set(READ_BY)} == AUDIO_SUFFIXES
    assert not written & set(READ_BY)
    for demuxer in READ_BY.values():
        assert demuxer in CONTAINERS


@pytest.mark.parametrize("name", CONTAINERS)
def test_every_container_is_known_to_ffmpeg(name: str) -> None:
    assert ContainerFormat(name, "r").is_input


def frames(head: bytes, length: int, count: int = 6) -> bytes:
    return b"".join(head + bytes([number]) * (length - len(head)) for number in range(count))


@pytest.mark.parametrize(
    "content",
    [
        frames(b"\x7f\xfe\x80\x01\xfc\x3c\x7d\xb2\x77\x00", 2012),  # DTS, 512 samples
        b"MAC \x96\x0f" + bytes(60),
        b"DSD \x1c" + bytes(80),
        b"FRM8" + bytes(8) + b"DSD FVER",
        b"MPCKSH" + bytes(30),
        b"MP+\x07" + bytes(30),
        b"tBaK" + bytes(30),
        b"ajkg\x02" + bytes(30),
        b".ra\xfd\0\4" + bytes(30),
        b"EA3\1\0`" + bytes(90),
        b"\0\0\0\x08wide\0\1\0\0mdat" + bytes(90),
        b"\0\0\4\0moov\0\0\0lmvhd" + bytes(90),
        bytes(700) + frames(b"\xff\xfb\x90\x64", 417),
        frames(b"\xff\xff\x10\xc4", 32),  # MPEG 1, layer I at 32 kbit/s and 44.1 kHz
    ],
)
def test_heads_of_kinds_that_are_not_written_here(content: bytes) -> None:
    assert looks_like_media(content)


def _archive() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("music.mp3", b"\xff\xfb\x90\x64" * 100)
    return content.getvalue()


def _picture(codec: str, pixels: str) -> bytes:
    encoder = av.CodecContext.create(codec, "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = 64, 64, pixels, 1
    picture = av.VideoFrame.from_ndarray(np.arange(64 * 64 * 3, dtype=np.uint8).reshape(64, 64, 3), format="rgb24")
    return b"".join(bytes(one) for one in [*encoder.encode(picture.reformat(format=pixels)), *encoder.encode(None)])


FOREIGN = {
    "nothing": b"",
    "one byte": b"\xff",
    "text": b"These are words, not music.\n" * 500,
    "latin": "Ein ÿûÿû Märchen ".encode("latin-1") * 900,
    "utf-16": "words, not music".encode("utf-16") * 900,
    "zeros": bytes(HEAD_BYTES),
    "ones": b"\xff" * HEAD_BYTES,
    "html": b"<!DOCTYPE html><html>" + b"<p>words</p>" * 900,
    "playlist": b"#EXTM3U\n#EXTINF:3,\ntone.mp3\n" * 200,
    "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\ntone.ts\n",
    "pls": b"[playlist]\nFile1=a.mp3\n",
    "concat": b"ffconcat version 1.0\nfile 'tone.wav'\n",
    "cue": b'FILE "x.flac" WAVE\n  TRACK 01 AUDIO\n',
    "code": b"import {a} from 'b';\nexport const G = 'GGGG';\n" * 400,
    "pdf": b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n" + bytes(range(256)) * 60,
    "zip": _archive(),
    "gzip": b"\x1f\x8b\x08\0" + bytes(range(256)) * 60,
    "png": _picture("png", "rgb24"),
    "jpeg": _picture("mjpeg", "yuvj420p"),
    "bmp": _picture("bmp", "bgr24"),
    "gif": b"GIF89a" + bytes(range(256)) * 60,
    "webp": b"RIFF\x24\0\0\0WEBPVP8 " + bytes(range(256)) * 60,
    "soundfont": b"RIFF\x24\0\0\0sfbkLIST" + bytes(range(256)) * 60,
    "midi": b"MThd\0\0\0\6\0\1\0\2\1\xe0MTrk" + bytes(range(256)) * 60,
    "midi in riff": b"RIFF\x24\0\0\0RMIDdata" + bytes(range(256)) * 60,
    "avif": b"\0\0\0\x20ftypavif\0\0\0\0avifmif1miaf" + bytes(range(256)) * 60,
    "heic": b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(range(256)) * 60,
    "picture of iff": b"FORM\0\0\1\0ILBMBMHD" + bytes(range(256)) * 60,
    "font": b"\0\1\0\0\0\x0c\0\x80" + bytes(range(256)) * 60,
    "opentype": b"OTTO\0\x0c\0\x80" + bytes(range(256)) * 60,
    "woff": b"wOF2\0\1\0\0" + bytes(range(256)) * 60,
    "program": b"\x7fELF\2\1\1\0" + bytes(range(256)) * 60,
    "windows": b"MZ\x90\0\3\0\0\0" + bytes(range(256)) * 60,
    "class": b"\xca\xfe\xba\xbe\0\0\0A" + bytes(range(256)) * 60,
    "sqlite": b"SQLite format 3\0" + bytes(range(256)) * 60,
    "numpy": b"\x93NUMPY\1\0v\0" + bytes(range(256)) * 60,
    "ebml": b"\x1a\x45\xdf\xa3\x93\x42\x82\x88document" + bytes(90),
    "one frame": b"\xff\xfb\x90\x64" + bytes(range(256)) * 60,
    "two frames": frames(b"\xff\xfb\x90\x64", 417, 2) + b"x" * 9000,
    "one adts frame": b"\xff\xf1\x50\x80\x2e\x7f\xfc" + bytes(range(256)) * 60,
    "letters G": b"G" * 150 + b"x" * 9000,
    "a mail": struct.pack(">I", 40) + b"frog" + bytes(9000),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_everything_else_is_none(name: str) -> None:
    assert not looks_like_media(FOREIGN[name][:HEAD_BYTES])


def test_noise_is_none(rng: np.random.Generator) -> None:
    starts = (
        b"",
        b"\xff\xfb",
        b"\xff\xf1",
        b"\xff\xfa\x90",
        b"\x0b\x77",
        b"\x56\xe0",
        b"\x47",
        b"\0\0\1\xb3",
        b"\0\xff\xfb",
    )
    for number in range(3000):
        assert not looks_like_media(starts[number % len(starts)] + rng.bytes(HEAD_BYTES // 4))
