"""Audio in and out as it is: rates, channels and samples survive, and no file is ever half written."""

import io
import wave
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from encoders.errors import AudioWriteError, TooLongError, TooShortError, UnreadableMediaError
from encoders.media.decoded import MediaLimits
from encoders.media.native import NativeAudio, decode_native
from encoders.media.writing import write_audio, write_wav


def noise(channels: int, layout: str, rate: int, bits: int, rng: np.random.Generator) -> NativeAudio:
    scale = 1 << (bits - 1)
    whole = rng.integers(-scale, scale, (2 * rate, channels))
    return NativeAudio((whole / scale).astype(np.float32), rate, layout, bits)


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".FLAC"])
@pytest.mark.parametrize("bits", [16, 24])
@pytest.mark.parametrize(("channels", "layout", "rate"), [(1, "mono", 8000), (2, "stereo", 44_100), (6, "5.1", 96_000)])
def test_what_is_written_is_read_again_to_the_bit(
    tmp_path: Path, rng: np.random.Generator, suffix: str, bits: int, channels: int, layout: str, rate: int
) -> None:
    audio = noise(channels, layout, rate, bits, rng)
    write_audio(audio, tmp_path / f"x{suffix}")
    again = decode_native(tmp_path / f"x{suffix}")
    assert (again.sample_rate, again.bits, again.duration_s) == (rate, bits, 2.0)
    np.testing.assert_array_equal(again.samples, audio.samples)
    assert [path.name for path in tmp_path.iterdir()] == [f"x{suffix}"]


def test_what_is_too_loud_is_clipped() -> None:
    file = io.BytesIO()
    write_wav(NativeAudio(np.array([[1.5], [-1.5], [0.0]], np.float32), 8000, "mono", 16), file)
    file.seek(0)
    with wave.open(file) as read:
        assert np.frombuffer(read.readframes(3), "<i2").tolist() == [32767, -32768, 0]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("x.mp3", r"ends in \.mp3; accepted: \.wav, \.flac"),
        ("x", r"ends in nothing"),
        ("nowhere/x.wav", "there is no folder"),
        ("folder.wav", "is a directory"),
    ],
)
def test_a_file_that_cannot_be_written_says_why(
    tmp_path: Path, rng: np.random.Generator, name: str, reason: str
) -> None:
    (tmp_path / "folder.wav").mkdir()
    with pytest.raises(AudioWriteError, match=reason):
        write_audio(noise(1, "mono", 8000, 16, rng), tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == ["folder.wav"]


def test_a_file_stays_as_it_was_where_writing_fails(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "x.flac"
    path.write_bytes(b"before")
    with pytest.raises(AudioWriteError, match="9 channels, FLAC holds 8"):
        write_audio(noise(9, "9 channels", 8000, 16, rng), path)
    assert path.read_bytes() == b"before"
    assert [one.name for one in tmp_path.iterdir()] == ["x.flac"]


def test_limits_and_foreign_files(tmp_path: Path, rng: np.random.Generator) -> None:
    path = tmp_path / "x.wav"
    write_audio(noise(1, "mono", 8000, 16, rng), path)
    with pytest.raises(TooLongError):
        decode_native(path, limits=MediaLimits(max_duration_s=1.5))
    with pytest.raises(TooShortError):
        decode_native(path, limits=MediaLimits(min_duration_s=2.5))
    path.write_bytes(b"no audio")
    with pytest.raises(UnreadableMediaError):
        decode_native(path)


def test_what_would_fill_the_disk_is_refused(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_audio(noise(2, "stereo", 8000, 16, rng), tmp_path / "x.wav")
    monkeypatch.setattr("encoders.media.native.MOST_BYTES", 2 * 8000 * 2 * 4)
    assert decode_native(tmp_path / "x.wav").duration_s == 2.0
    monkeypatch.setattr("encoders.media.native.MOST_BYTES", 2 * 8000 * 2 * 4 - 1)
    with pytest.raises(TooLongError, match="with all its channels at its own rate"):
        decode_native(tmp_path / "x.wav")


def test_a_few_numbers_that_are_none_are_zeros(tmp_path: Path) -> None:
    samples = np.full(16_000, 0.1, np.float32)
    samples[[12, 345, 15_999]] = np.nan, np.inf, 1e30
    with (tmp_path / "x.wav").open("wb") as file:
        wavfile.write(file, 8000, samples)
    samples[[12, 345, 15_999]] = 0
    np.testing.assert_array_equal(decode_native(tmp_path / "x.wav").samples[:, 0], samples)


def test_many_numbers_that_are_none_are_refused(tmp_path: Path) -> None:
    with (tmp_path / "x.wav").open("wb") as file:
        wavfile.write(file, 8000, np.where(np.arange(16_000) % 50 == 0, np.nan, 0.1).astype(np.float32))
    with pytest.raises(UnreadableMediaError, match="not finite numbers"):
        decode_native(tmp_path / "x.wav")
