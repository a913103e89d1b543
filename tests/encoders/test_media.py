"""Real files, written here with FFmpeg's own encoders, and every way in which a file can be bad."""

import io
import logging
import wave
from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.errors import NoAudioError, SilentAudioError, TooLongError, TooShortError, UnreadableMediaError
from encoders.media.decode import decode
from encoders.media.decoded import MediaLimits
from encoders.media.mixdown import Mixdown

RATES = (16_000, 22_050, 44_100)


def sine(
    *, frequency_hz: float = 440.0, amplitude: float = 0.5, duration_s: float = 3.0, rate: int = 44_100
) -> NDArray[np.float32]:
    time_s = np.arange(round(duration_s * rate)) / rate
    return (amplitude * np.sin(2 * np.pi * frequency_hz * time_s)).astype(np.float32)


def wav(*channels: NDArray[np.float32], rate: int = 44_100) -> bytes:
    """16-bit PCM with the given channels."""
    content = io.BytesIO()
    with wave.open(content, "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes((np.stack(channels, 1) * 32767).round().astype("<i2").tobytes())
    return content.getvalue()


def float_wav(samples: NDArray[np.float32], rate: int = 44_100) -> bytes:
    """32-bit float PCM, mono."""
    body = samples.astype("<f4").tobytes()
    header = b"fmt " + np.array([16], "<u4").tobytes() + np.array([3, 1], "<u2").tobytes()
    header += np.array([rate, 4 * rate], "<u4").tobytes() + np.array([4, 32], "<u2").tobytes()
    chunks = b"WAVE" + header + b"data" + np.array([len(body)], "<u4").tobytes() + body
    return b"RIFF" + np.array([len(chunks)], "<u4").tobytes() + chunks


def encoded(samples: NDArray[np.float32] | None, codec: str, container: str, *, video: bool = False) -> bytes:
    """Encode 44.1 kHz audio as stereo (Opus at 48 kHz), with a grey video if asked."""
    content = io.BytesIO()
    with av.open(content, "w", format=container) as out:
        if video:
            pictures = out.add_stream("mpeg4", rate=5)
            pictures.width, pictures.height, pictures.pix_fmt = 64, 48, "yuv420p"
        if samples is not None:
            stream = out.add_stream(codec, rate=48_000 if codec == "libopus" else 44_100)
            stream.layout = "stereo"
            stream.codec_context.options = {"strict": "experimental"}  # FFmpeg's own Vorbis encoder wants it
            resampler = av.AudioResampler(stream.format, "stereo", stream.rate)
            frame = av.AudioFrame.from_ndarray(np.stack([samples, samples]), format="fltp", layout="stereo")
            frame.sample_rate = 44_100
            for part in [*resampler.resample(frame), *resampler.resample(None)]:
                out.mux(stream.encode(part))
            out.mux(stream.encode(None))
        if video:
            for number in range(15):
                picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 10 * number, np.uint8), format="rgb24")
                out.mux(pictures.encode(picture))
            out.mux(pictures.encode(None))
    return content.getvalue()


def with_cover(mp3: bytes) -> bytes:
    """Put an ID3v2.3 tag with a PNG cover before an mp3."""
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 8, 8, "rgb24", 1
    picture = av.VideoFrame.from_ndarray(np.full((8, 8, 3), 128, np.uint8), format="rgb24")
    cover = b"\0image/png\0\3\0" + b"".join(bytes(packet) for packet in [*codec.encode(picture), *codec.encode(None)])
    frame = b"APIC" + len(cover).to_bytes(4, "big") + b"\0\0" + cover
    synchsafe = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    return b"ID3\3\0\0" + synchsafe + frame + mp3


def loudest_hz(waveform: NDArray[np.float32], rate: int) -> float:
    spectrum = np.abs(np.fft.rfft(waveform * np.hanning(len(waveform))))
    return float(spectrum.argmax() * rate / len(waveform))


FORMATS: dict[str, Callable[[], bytes]] = {
    "wav": lambda: wav(sine(), sine()),
    "flac": lambda: encoded(sine(), "flac", "flac"),
    "opus": lambda: encoded(sine(), "libopus", "ogg"),
    "mp3": lambda: encoded(sine(), "libmp3lame", "mp3"),
    "mp3 with cover": lambda: with_cover(encoded(sine(), "libmp3lame", "mp3")),
    "m4a": lambda: encoded(sine(), "aac", "ipod"),
    "mp4 with video": lambda: encoded(sine(), "aac", "mp4", video=True),
    "mkv with video": lambda: encoded(sine(), "aac", "matroska", video=True),
}


@pytest.mark.parametrize("name", FORMATS)
def test_a_tone_keeps_pitch_level_and_duration(name: str, tmp_path: Path) -> None:
    path = tmp_path / "tone with ünïcode: and colon.bin"
    path.write_bytes(FORMATS[name]())
    audio = decode(path, sample_rates=RATES)
    assert audio.duration_s == pytest.approx(3.0, abs=0.1)
    assert tuple(audio.waveforms) == RATES
    for rate, waveform in audio.waveforms.items():
        assert waveform.dtype == np.float32
        assert len(waveform) == pytest.approx(audio.duration_s * rate, abs=2)
        middle = waveform[rate // 2 : 5 * rate // 2]
        assert loudest_hz(middle, rate) == pytest.approx(440, abs=0.6)
        level = 0.475 if "mp3" in name else 0.5  # LAME scales its input by 0.95
        assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(level, rel=0.02)


def test_path_and_bytes_agree_and_do_not_depend_on_the_other_rates(tmp_path: Path) -> None:
    content = FORMATS["mp3"]()
    (tmp_path / "tone.mp3").write_bytes(content)
    together = decode(content, sample_rates=RATES)
    for rate in RATES:
        alone = decode(tmp_path / "tone.mp3", sample_rates=[rate])
        np.testing.assert_array_equal(alone.waveforms[rate], together.waveforms[rate])


@pytest.mark.parametrize("channels", [1, 2, 3, 6, 8])
def test_mono_is_the_plain_average_of_the_channels(channels: int) -> None:
    tone, silence = sine(amplitude=0.9), np.zeros(3 * 44_100, np.float32)
    alike = decode(wav(*[tone] * channels), sample_rates=[44_100]).waveforms[44_100]
    one = decode(wav(tone, *[silence] * (channels - 1)), sample_rates=[44_100]).waveforms[44_100]
    np.testing.assert_allclose(alike, tone, atol=1e-4)
    np.testing.assert_allclose(one, tone / channels, atol=1e-4)


def test_samples_above_full_scale_are_not_clipped() -> None:
    loud = sine(amplitude=1.5)
    np.testing.assert_allclose(decode(float_wav(loud), sample_rates=[44_100]).waveforms[44_100], loud, atol=1e-6)


def test_a_stream_may_change_its_format_midway() -> None:
    mixdown = Mixdown([16_000])
    for channels, rate, layout in ((2, 44_100, "stereo"), (1, 22_050, "mono"), (6, 48_000, "5.1")):
        tone = sine(duration_s=1, rate=rate)
        frame = av.AudioFrame.from_ndarray(np.stack([tone] * channels), format="fltp", layout=layout)
        frame.sample_rate = rate
        mixdown.push(frame)
    waveform = mixdown.finish()[16_000]
    assert len(waveform) == pytest.approx(3 * 16_000, abs=3)
    for second in range(3):
        middle = waveform[16_000 * second + 1000 : 16_000 * (second + 1) - 1000]
        assert np.sqrt(2 * np.mean(middle**2)) == pytest.approx(0.5, rel=0.01)


def corrupt(content: bytes, start: float, length: int) -> bytes:
    damaged = bytearray(content)
    first = int(len(content) * start)
    damaged[first : first + length] = b"\x55" * length
    return bytes(damaged)


@pytest.mark.parametrize("name", ["mp3", "flac", "opus"])
def test_isolated_damage_costs_only_its_own_audio(name: str, caplog: pytest.LogCaptureFixture) -> None:
    content = {
        "mp3": lambda: encoded(sine(duration_s=20), "libmp3lame", "mp3"),
        "flac": lambda: encoded(sine(duration_s=20), "flac", "flac"),
        "opus": lambda: encoded(sine(duration_s=20), "libopus", "ogg"),
    }[name]()
    with caplog.at_level(logging.WARNING):
        audio = decode(corrupt(content, 0.5, 4000), sample_rates=[16_000])
    assert 17 < audio.duration_s < 20.1


def ogg_page(like: bytes, number: int) -> bytes:
    """A page with one empty packet, of the same stream as the page `like`, with Ogg's own CRC (RFC 3533)."""
    head = like[:5] + b"\0" + like[6:18] + number.to_bytes(4, "little") + bytes(4) + b"\1\0"
    crc = 0
    for byte in head:
        crc ^= byte << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return head[:22] + crc.to_bytes(4, "little") + head[26:]


def with_empty_packet(ogg: bytes) -> bytes:
    last = ogg[ogg.rindex(b"OggS") :]
    return ogg + ogg_page(last, int.from_bytes(last[18:22], "little") + 1)


def test_an_empty_packet_costs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    content = with_empty_packet(encoded(sine(duration_s=3), "vorbis", "ogg"))
    with caplog.at_level(logging.WARNING):
        audio = decode(content, sample_rates=[16_000])
    assert audio.duration_s == pytest.approx(3, abs=0.1)
    assert "skipped 1 corrupt" in caplog.text


def test_a_file_cut_off_in_the_middle_gives_its_first_half() -> None:
    content = encoded(sine(duration_s=10), "libmp3lame", "mp3")
    assert decode(content[: len(content) // 2], sample_rates=[16_000]).duration_s == pytest.approx(5, abs=0.3)


def test_random_bytes_named_mp3(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "noise.mp3"
    path.write_bytes(rng.bytes(500_000))
    with pytest.raises(UnreadableMediaError, match=r"noise\.mp3"):
        decode(path, sample_rates=[16_000])


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "file is empty"),
        (b"These are words, not music.\n" * 500, "not a readable audio or video file"),
        (b"\x89PNG\r\n\x1a\n" + bytes(2000), "not a readable audio or video file"),
        (encoded(sine(), "libmp3lame", "mp3")[:100], "not a readable audio or video file"),
        (encoded(sine(), "flac", "flac")[:60], "not a readable audio or video file"),
        (encoded(sine(), "aac", "mp4")[:200], "not a readable audio or video file"),
        (wav(sine())[:30], "not a readable audio or video file"),
        (wav(np.zeros(0, np.float32)), "audio stream is empty"),
        (float_wav(np.where(np.arange(44_100 * 2) % 50 == 0, np.nan, sine(duration_s=2))), "not finite numbers: 2.0 %"),
        (float_wav(np.where(np.arange(44_100 * 2) % 50 == 0, np.inf, sine(duration_s=2))), "not finite numbers: 2.0 %"),
    ],
    ids=["empty", "text", "png", "mp3 header", "flac header", "mp4 header", "wav header", "no samples", "nan", "inf"],
)
def test_unreadable_content(content: bytes, reason: str, tmp_path: Path) -> None:
    path = tmp_path / "song.mp3"
    path.write_bytes(content)
    with pytest.raises(UnreadableMediaError, match=reason) as from_path:
        decode(path, sample_rates=[16_000])
    with pytest.raises(UnreadableMediaError, match=reason) as from_bytes:
        decode(content, sample_rates=[16_000])
    assert (from_path.value.source, from_bytes.value.source) == (str(path), "upload")
    assert str(from_path.value) == f"{path}: {from_path.value.reason}"


def test_unreadable_places(tmp_path: Path) -> None:
    for path, reason in ((tmp_path / "gone.mp3", "no such file"), (tmp_path, "is a directory")):
        with pytest.raises(UnreadableMediaError, match=reason):
            decode(path, sample_rates=[16_000])
    with pytest.raises(UnreadableMediaError, match="not a regular file"):
        decode(Path("/dev/zero"), sample_rates=[16_000])


def test_a_playlist_does_not_open_what_it_names(tmp_path: Path) -> None:
    (tmp_path / "tone.wav").write_bytes(wav(sine()))
    hls = "#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\ntone.wav\n#EXT-X-ENDLIST\n"
    concat = "ffconcat version 1.0\nfile 'tone.wav'\n"
    for name, text in (("list.m3u8", hls), ("list.ffconcat", concat)):
        (tmp_path / name).write_text(text)
        with pytest.raises(UnreadableMediaError):
            decode(tmp_path / name, sample_rates=[16_000])


def test_no_audio_stream() -> None:
    with pytest.raises(NoAudioError, match="no audio stream"):
        decode(encoded(None, "aac", "mp4", video=True), sample_rates=[16_000])


@pytest.mark.parametrize("amplitude", [0.0, 3e-5])
def test_silence(amplitude: float) -> None:
    with pytest.raises(SilentAudioError, match="-80 dBFS"):
        decode(float_wav(sine(amplitude=amplitude)), sample_rates=[16_000])


@pytest.mark.parametrize("name", ["wav", "mp3", "mp4 with video"])
def test_limits_of_duration(name: str) -> None:
    content = FORMATS[name]()
    with pytest.raises(TooLongError, match="2 s"):
        decode(content, sample_rates=[16_000], limits=MediaLimits(max_duration_s=2))
    with pytest.raises(TooShortError, match="at least 5 s"):
        decode(content, sample_rates=[16_000], limits=MediaLimits(min_duration_s=5))


def test_decoding_needs_a_sample_rate() -> None:
    with pytest.raises(ValueError, match="sample rate"):
        decode(b"", sample_rates=[])
