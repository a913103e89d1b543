"""Files that are a part of what they were say so; whole ones, and those that were recorded live, do not."""

import io
from pathlib import Path

import av
import numpy as np
import pytest

from encoders.errors import UnreadableMediaError
from encoders.media.decode import decode
from encoders.media.decoder_process import DecoderProcess
from encoders.media.files.frames import frame_bytes
from tests.encoders.files.odd_files import (
    KINDS,
    Kind,
    chained_ogg,
    cut,
    joined,
    music,
    of_kind,
    with_hole,
    written,
    zero_tail,
)
from tests.encoders.test_media import encoded, sine

RATE = 16_000
SILENT = {"amr", "3gp"}  # speech codecs make little of music
OF_FRAMES = {"mp2", "aac"}
"""Formats of which each frame says its own length: a cut is to be seen unless it lies between two."""
NO_LENGTH = {"loas", "ac3", "eac3", "amr", "ts", "m2ts", "mpg", "vob"}
"""Formats that say nothing of their length: a cut is not to be seen."""
INDEX_AT_END = {"caf", "m4a", "m4b", "mov", "3gp"}
"""Cut, they cannot be read at all."""
AS_FRAGMENTS = {"parts.mp4"}
ZEROS_ARE_SILENCE = {"wav", "float.wav", "adpcm.wav", "rf64", "w64", "aiff", "aifc", "au", "pcm.caf"}


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("duration_s", [1.5, 20.0])
def test_whole_files_are_whole(name: str, duration_s: float, tmp_path: Path) -> None:
    path = of_kind(tmp_path, name, duration_s)
    for source in (path, path.read_bytes()):
        audio = decode(source, sample_rates=[RATE])
        assert (audio.partial, audio.notes) == (None, ())
        assert audio.duration_s == pytest.approx(duration_s, abs=0.1)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
@pytest.mark.parametrize("name", sorted(set(KINDS) - NO_LENGTH - OF_FRAMES - INDEX_AT_END - AS_FRAGMENTS))
def test_files_that_are_cut_say_so(name: str, share: float, tmp_path: Path) -> None:
    path = cut(of_kind(tmp_path, name, 20.0), share)
    audio = decode(path, sample_rates=[RATE])
    assert audio.partial is not None
    assert audio.partial.endswith(("that the file declares", "its last page does not mark the end of the stream"))
    assert audio.duration_s == pytest.approx(20 * share, abs=2.5)  # an Ogg page may hold two seconds


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
@pytest.mark.parametrize("name", sorted(INDEX_AT_END))
def test_files_whose_index_is_cut_off_are_refused(name: str, share: float, tmp_path: Path) -> None:
    with pytest.raises(UnreadableMediaError):
        decode(cut(of_kind(tmp_path, name, 20.0), share), sample_rates=[RATE])


def test_their_refusal_says_why(tmp_path: Path) -> None:
    path = of_kind(tmp_path, "m4b", 20.0)
    with pytest.raises(UnreadableMediaError, match=r"truncated\); 1\.5 MiB of the 3\.0 MiB that the file declares"):
        decode(cut(path, 0.5), sample_rates=[RATE])
    with pytest.raises(UnreadableMediaError, match=r"truncated\); ends in 1\.5 MiB of zero bytes"):
        decode(zero_tail(path, 0.5), sample_rates=[RATE])


@pytest.mark.parametrize("name", sorted(NO_LENGTH))
def test_formats_that_say_nothing_are_taken_as_they_come(name: str, tmp_path: Path) -> None:
    assert decode(cut(of_kind(tmp_path, name, 20.0), 0.5), sample_rates=[RATE]).partial is None


def frames_in(content: bytes) -> list[int]:
    """Where the frames of a raw stream begin, and where the last ends."""
    places = [0]
    while length := frame_bytes(content[places[-1] : places[-1] + 8]):
        places.append(places[-1] + length)
    return places


@pytest.mark.parametrize("name", ["mp3", *sorted(OF_FRAMES)])
def test_a_cut_within_a_frame_is_seen_and_none_between_two(name: str, tmp_path: Path) -> None:
    content = _streamed("mp3") if name == "mp3" else of_kind(tmp_path, name, 5.0).read_bytes()
    content = content[content.index(b"\xff") :]  # behind ID3
    places = frames_in(content)
    assert places[-1] == len(content)  # from frame to frame, to the end
    assert len(places) > 150
    start, end = places[90:92]
    for cut_at in (start + 20, (start + end) // 2, end - 1):
        told = decode(content[:cut_at], sample_rates=[RATE]).partial
        assert told == f"ends within a frame, of which it has {cut_at - start} of {end - start} bytes"
    assert decode(content[:end], sample_rates=[RATE]).partial is None
    tagged = content[:end] + b"TAG" + b"title".ljust(125, b"\0")
    assert decode(tagged, sample_rates=[RATE]).partial is None


def test_the_length_of_a_frame_is_in_its_header() -> None:
    for head, length in (
        ("fffb9064", 417),  # MPEG 1, layer III, 128 kbit/s, 44.1 kHz: 144 × 128,000 / 44,100
        ("fffb9264", 418),  # the same, padded
        ("fff39074", 261),  # MPEG 2, layer III, 80 kbit/s, 22.05 kHz: 72 × 80,000 / 22,050
        ("ffe39074", 522),  # MPEG 2.5, 80 kbit/s, 11.025 kHz
        ("fffdc404", 768),  # MPEG 1, layer II, 256 kbit/s, 48 kHz: 144 × 256,000 / 48,000
        ("ffff9204", 316),  # MPEG 1, layer I, 288 kbit/s, 44.1 kHz, padded: 4 × (12 × 288,000 / 44,100 + 1)
        ("fff150800abfc0", 0x55),  # ADTS: 13 bits across three bytes
        ("fffb0064", None),  # any rate of bits
        ("fffbf064", None),
        ("fffb9c64", None),
        ("ffeb9064", None),  # a version that is none
        ("49443304", None),
    ):
        assert frame_bytes(bytes.fromhex(head).ljust(8, b"\0")) == length, head
    assert frame_bytes(b"\xff\xfb\x90") is None


@pytest.mark.parametrize("share", [0.2, 0.5, 0.95])
@pytest.mark.parametrize("name", sorted(set(KINDS) - INDEX_AT_END - ZEROS_ARE_SILENCE - SILENT))
def test_a_download_that_is_not_done_says_so(name: str, share: float, tmp_path: Path) -> None:
    path = zero_tail(of_kind(tmp_path, name, 20.0), share)
    try:
        said = decode(path, sample_rates=[RATE]).partial
    except UnreadableMediaError as error:  # most of its packets are zeros
        said = error.reason
    assert said is not None
    assert said.endswith((" of zero bytes", "that the file declares"))


@pytest.mark.parametrize("name", sorted(ZEROS_ARE_SILENCE))
@pytest.mark.parametrize("share", [0.2, 0.5])
def test_nor_is_one_of_pcm(name: str, share: float, tmp_path: Path) -> None:
    audio = decode(zero_tail(of_kind(tmp_path, name, 20.0), share), sample_rates=[RATE])
    assert audio.partial is not None
    assert audio.partial.startswith("breaks off, and ")
    assert audio.partial.endswith(" s of exact zeros follow to its end")


@pytest.mark.parametrize("name", ["wav", "flac", "mp3", "m4a", "ogg", "aiff"])
@pytest.mark.parametrize("faded_s", [0.0, 3.0])
def test_music_may_end_in_silence(name: str, faded_s: float, tmp_path: Path) -> None:
    samples = np.concatenate([music(8.0), np.zeros(12 * 44_100, np.float32)])
    fade = int(max(faded_s, 0.1) * 44_100)  # even a sudden end rings off
    samples[8 * 44_100 - fade : 8 * 44_100] *= np.linspace(1, 0, fade) ** 2
    assert decode(written(tmp_path / f"x.{name}", KINDS[name], samples=samples), sample_rates=[RATE]).partial is None


def test_a_hole_in_the_middle_is_told(tmp_path: Path) -> None:
    for name in ("flac", "mp3", "m4r", "wv"):
        path = of_kind(tmp_path, name, 20.0)
        audio = decode(with_hole(path, 0.4, 0.6), sample_rates=[RATE])
        assert audio.partial or audio.notes, (name, audio.duration_s)


@pytest.mark.parametrize(
    "content", ["wav of a pipe", "wav of sox", "wav without a size", "flac", "mp3", "mka", "au", "wv"]
)
def test_what_was_recorded_live_is_whole(content: str, tmp_path: Path) -> None:
    wav, flac = (
        bytearray(of_kind(tmp_path, "wav", 5.0).read_bytes()),
        bytearray(of_kind(tmp_path, "flac", 5.0).read_bytes()),
    )
    au, wv = bytearray(of_kind(tmp_path, "au", 5.0).read_bytes()), bytearray(of_kind(tmp_path, "wv", 5.0).read_bytes())
    at = wav.index(b"data") + 4
    if content.startswith("wav"):
        size = {"wav of a pipe": 0xFFFFFFFF, "wav of sox": 0x7FFFF000, "wav without a size": 0}[content]
        wav[4:8] = wav[at : at + 4] = size.to_bytes(4, "little")
    flac[21:26] = bytes([flac[21] & 0xF0, 0, 0, 0, 0])
    au[8:12] = b"\xff" * 4
    wv[12:16] = b"\xff" * 4
    live = {"flac": flac, "au": au, "wv": wv, "mp3": _streamed("mp3"), "mka": _streamed("mka")}
    audio = decode(bytes(live.get(content, wav)), sample_rates=[RATE])
    assert audio.partial is None
    assert audio.duration_s == pytest.approx(5, abs=0.2)


class _Pipe(io.RawIOBase):
    """What can be written to, but not gone back in."""

    def __init__(self) -> None:
        self.content = b""

    def writable(self) -> bool:
        return True

    def write(self, data: object, /) -> int:
        self.content += bytes(data)  # type: ignore[call-overload]
        return len(bytes(data))  # type: ignore[call-overload]


def _streamed(name: str) -> bytes:
    """Five seconds written to a pipe, so that no length is ever put into the header."""
    kind = KINDS[name]
    pipe = _Pipe()
    options = {"write_xing": "0"} if name == "mp3" else {"live": "1"}
    with av.open(pipe, "w", format=kind.container, options=options) as out:
        stream = out.add_stream("libmp3lame" if name == "mp3" else "ac3", rate=kind.rate)
        stream.layout = "stereo"
        sound = music(5.0)
        resampler = av.AudioResampler(stream.format, "stereo", kind.rate)
        frame = av.AudioFrame.from_ndarray(np.stack([sound, sound]), format="fltp", layout="stereo")
        frame.sample_rate = kind.rate
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(part))
        out.mux(stream.encode(None))
    return pipe.content


def test_more_than_is_declared_is_whole(tmp_path: Path) -> None:
    mp3, flac = of_kind(tmp_path, "mp3", 5.0), of_kind(tmp_path, "flac", 5.0)
    for path in (joined(tmp_path / "two.mp3", mp3, mp3), joined(tmp_path / "two.flac", flac, flac)):
        audio = decode(path, sample_rates=[RATE])
        assert (audio.partial, round(audio.duration_s)) == (None, 10)


def test_the_last_link_of_a_chain_counts(tmp_path: Path) -> None:
    ogg = Kind("ogg", "libopus", 48_000)
    chain = chained_ogg(tmp_path / "x.ogg", ogg, KINDS["ogg"], duration_s=5.0)
    assert decode(chain, sample_rates=[RATE]).partial is None
    assert "does not mark the end" in str(decode(cut(chain, 0.9), sample_rates=[RATE]).partial)
    tail = cut(written(tmp_path / "first.ogg", ogg, 5.0), 0.5)
    whole = joined(tmp_path / "y.ogg", tail, written(tmp_path / "second.ogg", ogg, 5.0))
    assert decode(whole, sample_rates=[RATE]).partial is None  # the receiver lost the first, and got the second whole


def test_pictures_that_go_on_longer_are_none_of_it() -> None:
    for container in ("mp4", "matroska", "avi", "mov"):
        codec = "aac" if container != "avi" else "libmp3lame"
        assert decode(encoded(sine(duration_s=1.2), codec, container, video=True), sample_rates=[RATE]).partial is None


def test_the_child_hands_it_on(tmp_path: Path) -> None:
    path = cut(of_kind(tmp_path, "flac", 10.0), 0.5)
    here = decode(path, sample_rates=[RATE])
    with DecoderProcess() as decoder:
        there = decoder.decode(path, sample_rates=[RATE])
    assert (there.partial, there.notes, there.audio_hash) == (here.partial, here.notes, here.audio_hash)
    assert (
        here.partial == "5.0 s of the 10 s that the file declares"
        or here.partial == "4.9 s of the 10 s that the file declares"
    )
