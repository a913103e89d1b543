"""Samples that are no sound: a few are set to zero and told, more are refused, and nothing else changes."""

from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from encoders.errors import UnreadableMediaError
from encoders.media.decode import decode
from encoders.media.decoder_process import DecoderProcess
from tests.encoders.files.odd_files import KINDS, Kind, music, of_kind, with_hole, with_nan, written

RATES = (16_000, 44_100)


def zeroed(count: int) -> np.ndarray:
    samples = music(6.0)
    samples[np.linspace(1000, samples.size - 1000, count).astype(int)] = 0
    return samples


@pytest.mark.parametrize("count", [1, 12, 2000])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_few_are_set_to_zero(value: float, count: int, tmp_path: Path) -> None:
    path = with_nan(tmp_path / "x.wav", count, value=value)
    with DecoderProcess() as decoder:
        for audio in (decode(path, sample_rates=RATES), decoder.decode(path.read_bytes(), sample_rates=RATES)):
            assert audio.notes == (f"{2 * count} samples that are no finite numbers were set to zero",)  # both channels
            np.testing.assert_array_equal(audio.waveforms[44_100], zeroed(count))
            assert np.isfinite(audio.waveforms[16_000]).all()


@pytest.mark.parametrize("value", [1e30, -3e38, 1e6])
def test_what_would_make_all_else_silent_is_set_to_zero(value: float, tmp_path: Path) -> None:
    audio = decode(with_nan(tmp_path / "x.wav", 12, value=value), sample_rates=RATES)
    assert audio.notes == ("24 samples that are absurdly large were set to zero",)
    np.testing.assert_array_equal(audio.waveforms[44_100], zeroed(12))


def test_both_at_once_and_in_doubles(tmp_path: Path) -> None:
    samples = music(6.0).astype(np.float64)
    samples[[5000, 6000]], samples[7000] = np.nan, 1e300
    wavfile.write(tmp_path / "x.wav", 44_100, samples)
    audio = decode(tmp_path / "x.wav", sample_rates=RATES)
    assert audio.notes == (
        "2 samples that are no finite numbers were set to zero",
        "1 samples that are absurdly large were set to zero",
    )


@pytest.mark.parametrize(("value", "reason"), [(np.nan, "not finite numbers"), (1e30, "absurdly large")])
def test_more_than_a_hundredth_is_refused(value: float, reason: str, tmp_path: Path) -> None:
    path = with_nan(tmp_path / "x.wav", 4000, value=value)  # 1.5 % of 264,600
    with pytest.raises(UnreadableMediaError, match=f"{reason}: 1.5 % of them are no sound, at most 1% may be"):
        decode(path, sample_rates=RATES)
    with pytest.raises(UnreadableMediaError, match=reason):
        decode(with_nan(tmp_path / "y.wav", 100_000, value=value), sample_rates=RATES)


@pytest.mark.parametrize("scale", [8.0, 32_768.0, 2.0**31])
def test_floats_of_another_scale_are_sound(scale: float, tmp_path: Path) -> None:
    samples = music(6.0) * np.float32(scale)
    audio = decode(written(tmp_path / "x.wav", KINDS["float.wav"], samples=samples), sample_rates=[44_100])
    assert audio.notes == ()
    np.testing.assert_allclose(audio.waveforms[44_100], samples, rtol=1e-5)


def test_loud_peaks_are_sound(tmp_path: Path) -> None:
    samples = music(6.0)
    samples[100_000:100_050] *= 100
    audio = decode(written(tmp_path / "x.wav", KINDS["float.wav"], samples=samples), sample_rates=[44_100])
    assert audio.notes == ()


def test_channels_that_cancel_are_mended_too(tmp_path: Path) -> None:
    left = music(6.0)
    stereo = np.stack([left, -left], 1)
    stereo[[4000, 90_000], 0] = np.nan
    wavfile.write(tmp_path / "x.wav", 44_100, stereo)
    audio = decode(tmp_path / "x.wav", sample_rates=[44_100])
    whole = np.ones(left.size, bool)
    whole[[4000, 90_000]] = False
    np.testing.assert_allclose(np.abs(audio.waveforms[44_100][whole]), np.abs(left[whole]), atol=1e-6)


@pytest.mark.parametrize("container", ["aiff", "au", "mov", "caf"])
def test_other_containers_of_floats(container: str, tmp_path: Path) -> None:
    samples = music(6.0)
    samples[5000] = np.nan
    path = written(tmp_path / f"x.{container}", Kind(container, "pcm_f32be"), samples=samples)
    audio = decode(path, sample_rates=[16_000])
    assert np.isfinite(audio.waveforms[16_000]).all()
    assert audio.notes == ("2 samples that are no finite numbers were set to zero",)


def test_packets_that_are_skipped_are_told(tmp_path: Path) -> None:
    damaged = with_hole(of_kind(tmp_path, "m4r", 6.0), 0.5, 0.6)
    audio = decode(damaged, sample_rates=[16_000])
    (note,) = audio.notes
    assert note.startswith("skipped ")
    assert note.endswith(" corrupt audio packets")
    assert int(note.split()[1]) > 5
