"""Which files hold sound that can be decoded: by the end of their name, and by how they begin.

What a name says is believed where it says sound. A file without one of these ends is known by its first bytes alone:
by its format's magic number, and where a format has none by several frames, one behind the other, as eleven or twelve
set bits stand in any file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

# FFmpeg's names of formats that hold media themselves. Playlists (HLS, DASH, concat) would make it open other files and
# addresses. Of games' formats there is none.
CONTAINERS = (
    *("3gp", "aac", "ac3", "aiff", "amr", "ape", "asf", "au", "avi", "caf", "dsf", "dts", "dtshd", "eac3", "flac"),
    *("flv", "iff", "loas", "matroska", "mlp", "mov", "mp3", "mp4", "mpc", "mpc8", "mpeg", "mpegts", "oma", "ogg"),
    *("rm", "shn", "tak", "truehd", "tta", "voc", "w64", "wav", "webm", "wv"),
)

AUDIO_SUFFIXES = frozenset(
    f".{name}"
    for name in (
        *("3g2", "3gp", "3gpp", "aa3", "aac", "ac3", "adts", "aif", "aifc", "aiff", "amr", "ape", "asf", "au", "avi"),
        *("awb", "bwf", "caf", "dff", "dsf", "dts", "dtshd", "eac3", "ec3", "f4a", "f4b", "f4v", "flac", "flv", "latm"),
        *("loas", "m1a", "m2a", "m2t", "m2ts", "m4a", "m4b", "m4r", "m4v", "mac", "mk3d", "mka", "mkv", "mlp", "mov"),
        *("mp+", "mp1", "mp2", "mp3", "mp4", "mpa", "mpc", "mpeg", "mpg", "mpp", "mts", "oga", "ogg", "ogm", "ogv"),
        *("ogx", "oma", "omg", "opus", "qt", "ra", "rf64", "rm", "rmvb", "shn", "snd", "spx", "tak", "thd", "ts"),
        *("tta", "vob", "voc", "w64", "wav", "wave", "weba", "webm", "wma", "wmv", "wv"),
    )
)
"""Ends of names, in lower case, of what the decoder reads; videos are among them, whose sound is read."""

HEAD_BYTES = 1 << 14
"""So many of a file's first bytes tell :func:`looks_like_media` all it asks for; fewer do where there are no more."""

_MAGIC = (
    *(b"ID3\2", b"ID3\3", b"ID3\4", b"fLaC", b"OggS\0", b"FLV\1", b".snd\0\0", b"caff\0\1", b"DSD \x1c", b"tBaK"),
    *(b"MAC ", b"MPCK", b"MP+", b"TTA1", b"TTA2", b"wvpk", b"ajkg", b"#!AMR", b".RMF\0\0", b".ra\xfd", b"ea3\3"),
    *(b"Creative Voice File\x1a", b"DTSHDHDR", b"EA3\1", b"EA3\2"),
    b"\x30\x26\xb2\x75\x8e\x66\xcf\x11",  # ASF
    b"riff\x2e\x91\xcf\x11",  # Wave64
)
_FORMS = {
    **dict.fromkeys((b"RIFX", b"RF64", b"BW64"), (b"WAVE",)),
    b"RIFF": (b"WAVE", b"AVI "),
    b"FORM": (b"AIFF", b"AIFC", b"8SVX"),
}
_MLP = (b"\xf8\x72\x6f\xba", b"\xf8\x72\x6f\xbb")  # and TrueHD
_PICTURES = (b"avif", b"avis", b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"crx ", b"jp2 ")
_MOST_ZEROS = 1 << 12  # before an MP3's first frame
_FRAMES = 4
_PACKETS = 5  # of a transport stream


PLAYLIST_SUFFIXES = frozenset((".m3u", ".m3u8", ".pls", ".xspf", ".cue", ".asx", ".wpl"))
_PICTURE_MAGIC = (b"\x89PNG", b"\xff\xd8\xff", b"GIF8", b"BM", b"II*\0", b"MM\0*")


def why_no_sound(path: Path) -> str | None:
    """Why a file is not taken for audio, in a clause for users; none where it may be.

    One whose name ends as another kind's is believed to be that, unless it begins as media do: a decoder that is given
    text finds a frame in it sooner or later.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    suffix = path.suffix.lower()
    if not suffix or suffix in AUDIO_SUFFIXES:
        return None
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if looks_like_media(head):
        return None
    if suffix in PLAYLIST_SUFFIXES:
        return "is a playlist, which names audio and holds none"
    if head.startswith(_PICTURE_MAGIC) or (head.startswith(b"RIFF") and head[8:12] == b"WEBP"):
        return "is a picture, not audio"
    what = (
        "is empty" if not head else "is text, not audio" if _is_text(head) else "does not begin as audio or video does"
    )
    return f"{what}; accepted: files of audio or video, such as .flac .m4a .mp3 .ogg .wav"


def _is_text(head: bytes) -> bool:
    return b"\0" not in head and sum(byte < 32 and byte not in (9, 10, 12, 13, 27) for byte in head) == 0


def looks_like_media(head: bytes) -> bool:
    """Whether a file begins as those of a container that the decoder reads do.

    Parameters
    ----------
    head : its first `HEAD_BYTES`, or all of a shorter one
    """
    if head.startswith(_MAGIC):
        return True
    if head[:4] in _FORMS:
        return head[8:12] in _FORMS[head[:4]]
    if head.startswith(b"FRM8"):
        return head[12:16] == b"DSD "
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return b"matroska" in head[:64] or b"webm" in head[:64]
    if head[4:8] in _MLP:
        return True
    return _is_movie(head) or _is_stream(head) or any(_has_frames(head, length) for length in _FRAME_LENGTHS)


def _is_movie(head: bytes) -> bool:
    """Boxes of MP4 and QuickTime; pictures and documents are made of such too."""
    size, kind = int.from_bytes(head[:4], "big"), head[4:8]
    if kind == b"ftyp":
        return size >= 12 and head[8:12] not in _PICTURES and head[8:11] != b"jpx"
    if kind in (b"wide", b"free", b"skip"):
        return size >= 8 and head[size + 4 : size + 8] in (b"moov", b"mdat", b"free", b"wide", b"ftyp")
    if kind == b"moov":
        return head[12:16] in (b"mvhd", b"cmov", b"udta")
    return kind == b"mdat" and (size == 1 or size > 8)


def _is_stream(head: bytes) -> bool:
    """MPEG's program and transport streams."""
    if head.startswith(b"\0\0\1\xba"):
        return len(head) > 4 and (head[4] & 0xC4 == 0x44 or head[4] & 0xF1 == 0x21)
    return any(
        len(head) > first + _PACKETS * size
        and all(head[at] == 0x47 and head[at + 3] & 0x30 for at in range(first, first + _PACKETS * size, size))
        for first, size in ((0, 188), (4, 192), (0, 204))
    )


def _has_frames(head: bytes, length_of: Callable[[bytes], int]) -> bool:
    """Whether frames, whose lengths in bytes a function knows by what they begin with, follow each other."""
    place = 0
    if head.startswith(b"\0"):  # none begins so
        left = len(head) - len(head.lstrip(b"\0"))
        place = left if left <= _MOST_ZEROS else 0
    for _ in range(_FRAMES):
        frame = head[place : place + 16]
        length = length_of(frame) if len(frame) == 16 else 0
        if not length:
            return False
        place += length
        if place == len(head) < HEAD_BYTES:  # a short file
            return True
    return True


_KBPS = {
    (1, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (1, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (1, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (2, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (2, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}


def _mpeg_length(frame: bytes) -> int:
    """Of a frame of MPEG audio, layers I to III (ISO/IEC 11172-3)."""
    version, layer = {3: 1, 2: 2, 0: 2.5}.get(frame[1] >> 3 & 3), 4 - (frame[1] >> 1 & 3)
    bitrate, rate, padding = frame[2] >> 4, frame[2] >> 2 & 3, frame[2] >> 1 & 1
    if frame[0] != 0xFF or frame[1] < 0xE0 or version is None or layer == 4 or bitrate in (0, 15) or rate == 3:
        return 0
    if frame[3] & 3 == 2:  # an emphasis that there is not
        return 0
    rate_hz = (44_100, 48_000, 32_000)[rate] / {1: 1, 2: 2, 2.5: 4}[version]
    bits = 1000 * _KBPS[1 if version == 1 else 2, layer if version == 1 or layer == 1 else 2][bitrate - 1]
    if layer == 1:
        return (int(12 * bits / rate_hz) + padding) * 4
    return int((72 if layer == 3 and version != 1 else 144) * bits / rate_hz) + padding


def _adts_length(frame: bytes) -> int:
    """Of a frame of AAC (ISO/IEC 13818-7)."""
    if frame[0] != 0xFF or frame[1] & 0xF6 != 0xF0 or frame[2] >> 2 & 15 > 12:
        return 0
    length = (frame[3] & 3) << 11 | frame[4] << 3 | frame[5] >> 5
    return length if length > 7 else 0


def _latm_length(frame: bytes) -> int:
    """Of a frame of AAC in LOAS (ISO/IEC 14496-3)."""
    return 3 + ((frame[1] & 0x1F) << 8 | frame[2]) if frame[0] == 0x56 and frame[1] & 0xE0 == 0xE0 else 0


_AC3_KBPS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


def _ac3_length(frame: bytes) -> int:
    """Of a frame of AC-3 or E-AC-3 (ETSI TS 102 366)."""
    if not frame.startswith(b"\x0b\x77"):
        return 0
    if frame[5] >> 3 > 10:
        return 2 * (((frame[2] & 7) << 8 | frame[3]) + 1) if frame[5] >> 3 <= 16 else 0
    rate, code = frame[4] >> 6, frame[4] & 0x3F
    if rate == 3 or code > 37:
        return 0
    kbps = _AC3_KBPS[code >> 1]
    return (2 * kbps, 320 * kbps // 147 + (code & 1), 3 * kbps)[rate] * 2


def _dts_length(frame: bytes) -> int:
    """Of a frame of DTS (ETSI TS 102 114), as whole bytes, which is what files hold."""
    if not frame.startswith(b"\x7f\xfe\x80\x01"):
        return 0
    length = ((frame[5] & 3) << 12 | frame[6] << 4 | frame[7] >> 4) + 1
    return length if length >= 96 else 0


_FRAME_LENGTHS = (_mpeg_length, _adts_length, _latm_length, _ac3_length, _dts_length)
