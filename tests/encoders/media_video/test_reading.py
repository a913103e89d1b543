from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from encoders.errors import MediaError, NoVideoError, TooLargeError, TooShortError, UnreadableMediaError
from encoders.media.video.footage import VideoLimits
from encoders.media.video.reading import read_footage
from tests.encoders.media_video.clips import clip, picture, plain, texture, turned

if TYPE_CHECKING:
    from pathlib import Path

RED, BLUE, GREY = plain(200, 30, 30), plain(30, 30, 200), plain(128, 128, 128)


def test_colours_and_times_are_those_of_the_clip() -> None:
    footage = read_footage(clip([RED] * 50 + [BLUE] * 50))
    assert footage.duration_s == pytest.approx(4)
    np.testing.assert_allclose(footage.times_s, [0, 1, 2, 3], atol=1e-6)
    assert footage.frames.shape == (4, 224, 224, 3)
    assert footage.motion.shape == footage.warmth.shape == (50,)
    np.testing.assert_allclose(footage.frames[0].mean(axis=(0, 1)), [200, 30, 30], atol=6)
    np.testing.assert_allclose(footage.frames[3].mean(axis=(0, 1)), [30, 30, 200], atol=6)
    np.testing.assert_allclose(footage.warmth[[5, 45]], [0.5 + 170 / 510, 0.5 - 170 / 510], atol=0.02)
    np.testing.assert_allclose(footage.saturation[[5, 45]], 170 / 200, atol=0.04)
    np.testing.assert_allclose(footage.brightness[5], (0.299 * 200 + 0.587 * 30 + 0.114 * 30) / 255, atol=0.02)
    np.testing.assert_allclose(footage.cuts_s, [2.0], atol=1e-3)
    assert footage.motion.max() < 0.02  # the cut is none
    assert not footage.has_sound
    assert not footage.is_still
    assert footage.intact == 1


def test_motion_is_the_same_at_any_rate() -> None:
    def fading(rate: int) -> float:
        grey = (plain(*[round(40 + 60 * i / rate)] * 3) for i in range(3 * rate))  # 60 of 255 in a second
        return float(np.median(read_footage(clip(grey, rate=rate)).motion))

    for rate in (10, 25, 30, 60):
        assert fading(rate) == pytest.approx(60 / 255, rel=0.12), rate


def test_a_part_of_a_video_has_its_own_clock() -> None:
    content = clip([RED] * 50 + [BLUE] * 50 + [GREY] * 50, options={"g": "12"})
    footage = read_footage(content, start_s=1.0, end_s=3.0)
    assert footage.duration_s == pytest.approx(2)
    np.testing.assert_allclose(footage.cuts_s, [1.0], atol=1e-3)
    assert footage.frames[0, 0, 0, 0] > 150
    late = read_footage(content, start_s=3.0)
    np.testing.assert_allclose(late.cuts_s, [1.0], atol=1e-3)
    assert late.source_s == pytest.approx(6)
    wrong = ((60.0, None, "no picture from 60 s on"), *((start, 2.0, "accepted") for start in (3.0, -1.0, np.nan)))
    for start_s, end_s, message in wrong:
        with pytest.raises(TooShortError, match=message):
            read_footage(content, start_s=start_s, end_s=end_s)


def test_a_long_video_is_read_up_to_the_limit_and_says_so() -> None:
    footage = read_footage(clip([GREY] * 200, rate=10), limits=VideoLimits(max_read_s=3.0))
    assert footage.is_limited
    assert footage.duration_s == pytest.approx(3)
    assert footage.source_s == pytest.approx(20)
    assert len(footage.frames) == 3
    assert not read_footage(clip([GREY] * 200, rate=10), end_s=2.0, limits=VideoLimits(max_read_s=3.0)).is_limited


def test_four_hours_are_read_up_to_the_limit() -> None:
    content = clip([GREY] * 1440, ticks=range(0, 1440 * 250, 250))  # a frame every ten seconds
    footage = read_footage(content)
    assert footage.is_limited
    assert len(footage.frames) == footage.duration_s == 300
    assert footage.source_s == pytest.approx(4 * 3600, abs=11)


@pytest.mark.parametrize("options", [{"bf": "3"}, {"bf": "3", "b-pyramid": "none", "b_strategy": "0"}])
def test_large_video_is_thinned_and_its_cuts_stay_where_they_are(options: dict[str, str]) -> None:
    pictures = [texture(seed, height=1080, width=1920) for seed in (0, 1)]
    content = clip(
        [pictures[0]] * 23 + [pictures[1]] * 24, rate=30, options={"preset": "veryfast", "sc_threshold": "0"} | options
    )
    footage = read_footage(content)
    np.testing.assert_allclose(footage.cuts_s, [23 / 30], atol=0.05)
    assert footage.duration_s == pytest.approx(47 / 30, abs=0.05)
    assert footage.motion.max() < 0.02


def test_uneven_times_are_kept() -> None:
    pictures = [texture(0)] * 10 + [texture(1)] * 10
    footage = read_footage(clip(pictures, ticks=[*range(10), *range(60, 160, 10)]))
    np.testing.assert_allclose(footage.cuts_s, [60 / 25], atol=0.002)
    assert [round(time_s) for time_s in footage.times_s] == list(range(len(footage.times_s)))


def test_a_turned_video_is_shown_upright() -> None:
    top = np.concatenate([plain(250, 250, 250, height=60), plain(5, 5, 5, height=60)])
    footage = read_footage(turned(clip([top] * 30)))
    frame = footage.frames[0].mean(axis=2)  # clockwise: what was on top is on the right
    assert frame[:, 150:].mean() > 200
    assert frame[:, :70].mean() < 40


def test_black_bars_are_no_part_of_the_picture() -> None:
    barred = plain(0, 0, 0)
    barred[24:96] = (180, 90, 90)
    footage = read_footage(clip([barred] * 30))
    assert footage.frames.min() > 60
    np.testing.assert_allclose(footage.brightness, (0.299 * 180 + 0.701 * 90) / 255, atol=0.02)


@pytest.mark.parametrize(("trc", "code"), [(16, 0.5807), (18, 0.75)])
def test_hdr_is_brought_to_an_ordinary_screen(trc: int, code: float) -> None:
    white = np.full((64, 64, 3), round(code * 65535), np.uint16)  # diffuse white of either
    content = clip(
        [white] * 10,
        codec="libx265",
        pixels="yuv420p10le",
        source_pixels="rgb48le",
        tags={"color_primaries": 9, "color_trc": trc, "colorspace": 9},
        options={"x265-params": "log-level=none:pools=1:frame-threads=1"},
        container="matroska",
    )
    shown = read_footage(content).frames[0].astype(float)
    assert 170 < shown.mean() < 225
    assert np.ptp(shown) < 12  # white stays white


@pytest.mark.parametrize(
    ("codec", "pixels"), [("png", "rgb24"), ("mjpeg", "yuvj420p"), ("libwebp", "yuv420p"), ("bmp", "bgr24")]
)
def test_a_picture_is_a_still(codec: str, pixels: str, tmp_path: Path) -> None:
    path = tmp_path / "a%d picture.jpg"  # FFmpeg would look for a series of them
    path.write_bytes(picture(RED, codec, pixels))
    footage = read_footage(path, start_s=5.0)
    assert footage.is_still
    assert footage.duration_s == 0
    assert footage.frames.shape == (1, 224, 224, 3)
    np.testing.assert_allclose(footage.frames.mean(axis=(0, 1, 2)), [200, 30, 30], atol=8)
    assert footage.motion.tolist() == [0]
    assert footage.cuts_s.size == 0


def test_pictures_of_odd_sizes() -> None:
    for height, width in ((1, 1), (1, 3000), (3000, 1), (17, 31)):
        footage = read_footage(picture(plain(40, 80, 160, height=height, width=width)))
        np.testing.assert_allclose(footage.frames.mean(axis=(0, 1, 2)), [40, 80, 160], atol=2)


def test_an_animated_gif_is_a_video() -> None:
    footage = read_footage(clip([RED] * 20 + [BLUE] * 20, rate=10, codec="gif", container="gif", pixels="rgb8"))
    assert footage.duration_s == pytest.approx(4, abs=0.2)
    np.testing.assert_allclose(footage.cuts_s, [2.0], atol=0.02)


def test_one_frame_and_black() -> None:
    assert read_footage(clip([RED])).is_still
    black = read_footage(clip([plain(0, 0, 0)] * 50))
    assert black.frames.max() < 8
    assert black.brightness.max() < 0.03
    assert black.cuts_s.size == 0


def test_interlaced_video_is_read() -> None:
    content = clip([texture(2)] * 25, codec="mpeg2video", container="mpegts", options={"flags": "+ildct+ilme"})
    assert read_footage(content).duration_s == pytest.approx(1, abs=0.1)


def test_sound_is_told() -> None:
    assert read_footage(clip([RED] * 25, sound=True)).has_sound


def test_what_is_damaged_in_the_middle_costs_the_middle() -> None:
    rng = np.random.default_rng(0)
    moving = [np.roll(texture(3), 3 * i, axis=1) for i in range(200)]
    content = bytearray(clip(moving, codec="mpeg4", container="avi", options={"g": "10"}))
    middle = len(content) // 2
    content[middle : middle + len(content) // 8] = rng.bytes(len(content) // 8)
    footage = read_footage(bytes(content))
    assert 0.3 < footage.intact < 1
    assert footage.duration_s > 4


def audio_alone(cover: bool) -> bytes:
    import io

    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as output:
        stream = output.add_stream("libmp3lame", rate=16_000)
        art = output.add_stream("mjpeg") if cover else None
        if art:
            art.width, art.height, art.pix_fmt = 160, 120, "yuvj420p"
            output.start_encoding()
            packet = av.Packet(picture(RED, "mjpeg", "yuvj420p"))
            packet.stream, packet.pts, packet.dts, packet.time_base = art, 0, 0, stream.time_base
            output.mux(packet)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 16_000), np.float32), "fltp", "mono")
        sound.sample_rate = 16_000
        output.mux(stream.encode(sound))
        output.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize(("cover", "what"), [(False, "no video stream"), (True, "only a cover")])
def test_sound_alone_is_no_video(cover: bool, what: str) -> None:
    with pytest.raises(NoVideoError, match=f"{what}.*accepted: video"):
        read_footage(audio_alone(cover))


def test_what_is_no_video_is_refused(tmp_path: Path) -> None:
    whole = clip([RED] * 25)
    for content in (b"", b"a text, no video\n" * 99, whole[: len(whole) // 2], b"\x89PNG\r\n\x1a\n", bytes(5000)):
        path = tmp_path / "some.mp4"
        path.write_bytes(content)
        with pytest.raises(UnreadableMediaError, match=r"empty|accepted: video") as raised:
            read_footage(path)
        assert raised.value.source == str(path)
    for nothing in (tmp_path, tmp_path / "nowhere.mp4"):
        with pytest.raises(MediaError):
            read_footage(nothing)


def test_a_bomb_is_refused_before_it_is_decoded() -> None:
    import struct
    import zlib

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 16_384, 16_384, 8, 2, 0, 0, 0))
    rows = zlib.compressobj()
    body = b"".join(rows.compress(bytes(16_384 * 3 + 1)) for _ in range(64)) + rows.flush()
    bomb = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", body) + chunk(b"IEND", b"")
    with pytest.raises(UnreadableMediaError, match=r"accepted: .* at most 52 million pixels"):
        read_footage(bomb)
    with pytest.raises(TooLargeError, match=r"160 × 120 pixels; accepted: at most 0.01 million"):
        read_footage(clip([RED]), limits=VideoLimits(max_pixels=10_000))
