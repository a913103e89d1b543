from __future__ import annotations

from typing import TYPE_CHECKING

import av
import numpy as np
import pytest

from encoders.errors import AudioWriteError, NoAudioError, NoVideoError, TooShortError, UnreadableMediaError
from encoders.media.video.laying import lay_under
from encoders.media.video.mixing import mixed, spoken
from encoders.media.video.reading import read_footage
from tests.encoders.media_video.clips import clip, picture, plain, texture, turned

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

RATE = 16_000
RED, BLUE = plain(200, 30, 30), plain(30, 30, 200)


def tone(duration_s: float, *, peak: float = 0.5, channels: int = 2) -> NDArray[np.float32]:
    times_s = np.arange(round(duration_s * RATE)) / RATE
    return np.tile((peak * np.sin(2 * np.pi * 440 * times_s)).astype(np.float32), (channels, 1))


def packets(content: Path) -> list[bytes]:
    with av.open(str(content)) as container:
        return [bytes(packet) for packet in container.demux(video=0) if packet.size]


def sound(content: Path) -> NDArray[np.float32]:
    with av.open(str(content)) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def level(samples: NDArray[np.float32], begin_s: float, end_s: float) -> float:
    return float(20 * np.log10(samples[0, round(begin_s * RATE) : round(end_s * RATE)].std()))


def saved(tmp_path: Path, content: bytes, name: str = "clip.mp4") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_pictures_are_copied_and_the_music_is_as_long(tmp_path: Path) -> None:
    source = saved(tmp_path, clip([texture(i // 20) for i in range(100)], sound=True))
    lay_under(source, tone(60), RATE, tmp_path / "out.mp4")
    assert packets(tmp_path / "out.mp4") == packets(source)
    heard = sound(tmp_path / "out.mp4")
    assert heard.shape[1] / RATE == pytest.approx(4, abs=0.1)
    assert level(heard, 0.5, 1.5) == pytest.approx(20 * np.log10(0.5 / np.sqrt(2)), abs=0.5)
    assert level(heard, 3.8, 3.99) < level(heard, 0.5, 1.5) - 15  # it fades
    assert read_footage(tmp_path / "out.mp4").has_sound
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mp4"]


def test_shorter_music_ends_and_is_not_played_again(tmp_path: Path) -> None:
    source = saved(tmp_path, clip([RED] * 150))
    lay_under(source, tone(3), RATE, tmp_path / "out.mp4")
    heard = sound(tmp_path / "out.mp4")
    assert heard.shape[1] / RATE == pytest.approx(6, abs=0.15)
    assert np.abs(heard[:, round(3.3 * RATE) :]).max() < 1e-3


@pytest.mark.parametrize(("start_s", "is_copied"), [(1.0, True), (1.2, False)])
def test_a_part_is_copied_from_a_key_frame_and_else_encoded(tmp_path: Path, start_s: float, is_copied: bool) -> None:
    pictures = [RED] * 50 + [BLUE] * 50
    source = saved(tmp_path, clip(pictures, options={"g": "25", "bf": "2", "sc_threshold": "0", "preset": "fast"}))
    lay_under(source, tone(9), RATE, tmp_path / "out.mp4", start_s=start_s, end_s=3.0)
    assert set(packets(tmp_path / "out.mp4")).issubset(packets(source)) == is_copied
    footage = read_footage(tmp_path / "out.mp4")
    assert footage.duration_s == pytest.approx(3 - start_s, abs=0.05)
    np.testing.assert_allclose(footage.cuts_s, [2 - start_s], atol=0.021)
    np.testing.assert_allclose(footage.frames[0].mean(axis=(0, 1)), [200, 30, 30], atol=8)


def test_speech_is_kept_and_the_music_is_quieter_below(tmp_path: Path) -> None:
    source = saved(tmp_path, clip([RED] * 150, sound=True))  # a second of silence
    music = tone(9)
    lay_under(source, music, RATE, tmp_path / "out.mp4", speech_s=np.array([[1.0, 2.0]]))
    heard = sound(tmp_path / "out.mp4")
    assert level(heard, 1.1, 1.9) - level(heard, 0.1, 0.7) == pytest.approx(-12, abs=0.5)
    assert level(heard, 2.3, 2.9) - level(heard, 0.1, 0.7) == pytest.approx(0, abs=0.5)
    lay_under(tmp_path / "out.mp4", music * 0, RATE, tmp_path / "kept.mp4", speech_s=np.array([[2.3, 2.9]]))
    kept = sound(tmp_path / "kept.mp4")
    assert level(kept, 2.4, 2.8) == pytest.approx(level(heard, 2.4, 2.8), abs=0.3)
    assert np.abs(kept[:, : 2 * RATE]).max() < 1e-3


def test_speech_is_where_the_pictures_have_it(tmp_path: Path) -> None:
    source = saved(tmp_path, clip([RED] * 150, options={"g": "25"}))
    music = tone(6)
    music[:, : 3 * RATE] = 0
    lay_under(source, music, RATE, tmp_path / "late.mp4")
    lay_under(
        tmp_path / "late.mp4", tone(6) * 0, RATE, tmp_path / "out.mp4", start_s=2.0, speech_s=np.array([[0.0, 9.0]])
    )
    heard = sound(tmp_path / "out.mp4")
    assert np.flatnonzero(np.abs(heard[0]) > 0.05)[0] / RATE == pytest.approx(1, abs=0.03)


def test_ramps_and_peaks_by_hand() -> None:
    share = spoken(np.array([[1.0, 2.0], [1.5, 2.5]]), 40, 10)
    np.testing.assert_allclose(share[[0, 8, 9, 10, 25, 26, 27, 39]], [0, 0, 0.5, 1, 1, 0.5, 0, 0], atol=1e-6)
    loud = np.ones((1, 40), np.float32)
    mix = mixed(loud, 10, 4.0, loud, np.array([[0.0, 4.0]]))
    assert np.abs(mix).max() == pytest.approx(10 ** (-1 / 20))


def test_a_turned_video_stays_turned(tmp_path: Path) -> None:
    top = np.concatenate([plain(250, 250, 250, height=60), plain(5, 5, 5, height=60)])
    source = saved(tmp_path, turned(clip([top] * 50)))
    for start_s in (0.0, 0.5):  # copied, and encoded
        lay_under(source, tone(3), RATE, tmp_path / "out.mp4", start_s=start_s)
        frame = read_footage(tmp_path / "out.mp4").frames[0].mean(axis=2)
        assert frame[:, 150:].mean() > 200
        assert frame[:, :70].mean() < 40


def test_a_picture_stays_as_long_as_the_music(tmp_path: Path) -> None:
    for height, width in ((1, 1), (121, 161)):
        source = saved(tmp_path, picture(plain(40, 80, 160, height=height, width=width)), "picture.png")
        lay_under(source, tone(5), RATE, tmp_path / "out.mp4")
        footage = read_footage(tmp_path / "out.mp4")
        assert footage.duration_s == pytest.approx(5, abs=0.25)
        np.testing.assert_allclose(footage.frames.mean(axis=(0, 1, 2)), [40, 80, 160], atol=6)


def test_what_cannot_be_copied_is_encoded(tmp_path: Path) -> None:
    gif = clip([RED] * 20 + [BLUE] * 20, rate=10, codec="gif", container="gif", pixels="rgb8")
    avi = clip([RED] * 50 + [BLUE] * 50, codec="mpeg4", container="avi")
    for name, content in (("moving.gif", gif), ("clip.avi", avi)):
        lay_under(saved(tmp_path, content, name), tone(9), RATE, tmp_path / "out.mp4")
        footage = read_footage(tmp_path / "out.mp4")
        assert footage.duration_s == pytest.approx(4, abs=0.2), name
        np.testing.assert_allclose(footage.cuts_s, [2.0], atol=0.05)


def test_no_file_is_left_where_it_fails(tmp_path: Path) -> None:
    whole = saved(tmp_path, clip([RED] * 50))
    text = saved(tmp_path, b"a text, no video\n" * 99, "text.mp4")
    out = saved(tmp_path, b"what was there", "out.mp4")
    with pytest.raises(UnreadableMediaError, match=r"text\.mp4.*accepted: video"):
        lay_under(text, tone(1), RATE, out)
    with pytest.raises(TooShortError, match=r"clip\.mp4.*accepted"):
        lay_under(whole, tone(1), RATE, out, start_s=30.0)
    with pytest.raises(NoAudioError, match=r"clip\.mp4: no audio"):
        lay_under(whole, tone(1), RATE, out, speech_s=np.array([[0.0, 1.0]]))
    for wrong in (tmp_path / "out.mov", tmp_path / "nowhere" / "out.mp4"):
        with pytest.raises(AudioWriteError, match=r"accepted: \.mp4|no folder"):
            lay_under(whole, tone(1), RATE, wrong)
    with pytest.raises(AudioWriteError, match=r"out\.mp4"):
        lay_under(whole, tone(1), 12_345, out)  # a rate that AAC does not have
    assert out.read_bytes() == b"what was there"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clip.mp4", "out.mp4", "text.mp4"]


def test_sound_alone_has_no_pictures(tmp_path: Path) -> None:
    import wave

    with wave.open(str(tmp_path / "sound.wav"), "wb") as file:
        file.setparams((1, 2, 8000, 0, "NONE", ""))
        file.writeframes(bytes(16_000))
    with pytest.raises(NoVideoError, match="no video stream"):
        lay_under(tmp_path / "sound.wav", tone(1), RATE, tmp_path / "out.mp4")
