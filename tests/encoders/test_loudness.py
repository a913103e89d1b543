"""A track is as loud as any other to an encoder, whatever was done to its level."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.encoder import Encoder
from encoders.errors import ShapeError
from encoders.loading import load_encoder
from encoders.media.decode import decode
from encoders.media.loudness import LOUDNESS_DBFS, normalised
from encoders.media.segments import SILENCE_DB, Segments
from tests.encoders.test_encoder import COMPLETE
from tests.encoders.test_polarity import encoded

RATE = 44_100
SPEC = replace(COMPLETE, sample_rate=16_000, window_length=16_000)
NAME = f"{__name__}:SPEC"


def noise(rng: np.random.Generator, rms: float, duration_s: float) -> NDArray[np.float32]:
    return (rms * rng.standard_normal(round(duration_s * RATE))).astype(np.float32)


def music(rng: np.random.Generator, rms: float = 0.05) -> NDArray[np.float32]:
    """Twelve seconds: silence, loud, quiet, nearly silent, loud."""
    parts = [(0.0, 2.5), (rms, 3.0), (0.1 * rms, 2.0), (1e-4 * rms, 2.2), (rms, 2.3)]
    return np.concatenate([noise(rng, level, duration_s) for level, duration_s in parts])


def level_db(waveform: NDArray[np.float32]) -> float:
    return float(10 * np.log10(np.square(waveform, dtype=np.float64).mean()))


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Encoder:
    return load_encoder(NAME, weights_dir=tmp_path_factory.mktemp("weights"), device="cpu")


def segments_of(encoder: Encoder, samples: NDArray[np.float32], kind: str, path: Path) -> Segments:
    path.write_bytes(encoded(samples[np.newaxis], kind))
    return encoder.segment(decode(path, sample_rates=[16_000]).waveforms[16_000])


@pytest.mark.parametrize(("kind", "gains_db", "atol"), [("wav", (-18, -12), 0.02), ("float wav", (-18, 18, 30), 1e-5)])
def test_a_file_at_any_level_has_the_same_windows(
    kind: str, gains_db: tuple[int, ...], atol: float, encoder: Encoder, tmp_path: Path, rng: np.random.Generator
) -> None:
    samples = music(rng)
    own = segments_of(encoder, samples, kind, tmp_path / "own.wav")
    np.testing.assert_allclose(own.starts_s, [2.5, 3.5, 4.5, 5.5, 6.5, 7.5, 9.5, 10.5, 11], atol=0.01)
    for gain_db in gains_db:
        other = segments_of(encoder, samples * np.float32(10 ** (gain_db / 20)), kind, tmp_path / "other.wav")
        np.testing.assert_array_equal(other.starts_s, own.starts_s)
        np.testing.assert_allclose(other.windows, own.windows, atol=atol)


def test_loud_parts_are_at_the_level_that_it_promises(rng: np.random.Generator) -> None:
    waveform = normalised(music(rng), RATE)
    assert level_db(waveform[3 * RATE : 5 * RATE]) == pytest.approx(LOUDNESS_DBFS, abs=0.5)
    assert level_db(waveform[6 * RATE : 7 * RATE]) == pytest.approx(LOUDNESS_DBFS - 20, abs=0.5)


def test_what_is_around_music_does_not_change_its_level(rng: np.random.Generator) -> None:
    loud = noise(rng, 0.05, 4)
    own = normalised(loud, RATE)
    for around in (np.zeros(20 * RATE, np.float32), noise(rng, 0.05 * 1e-3, 20), noise(rng, 0.05 * 0.05, 20)):
        waveform = normalised(np.concatenate([around, loud, around]), RATE)
        np.testing.assert_allclose(waveform[around.size : -around.size], own, atol=1e-3)


def test_a_click_of_full_scale_does_not_push_the_music_down(rng: np.random.Generator) -> None:
    quiet = noise(rng, 10 ** (-50 / 20), 30)
    clicked = quiet.copy()
    clicked[[7, 500_000]] = 1.0, -1.0
    assert level_db(normalised(clicked, RATE)[1000:400_000]) == pytest.approx(LOUDNESS_DBFS, abs=1)


def test_an_offset_is_no_loudness(rng: np.random.Generator) -> None:
    quiet = noise(rng, 0.01, 4)
    quiet -= quiet.mean()
    beside = normalised(quiet + np.float32(0.3), RATE)
    np.testing.assert_allclose(beside - beside.mean(), normalised(quiet, RATE), atol=5e-3)


def test_an_offset_does_not_make_silent_windows_loud(encoder: Encoder, rng: np.random.Generator) -> None:
    sound = np.concatenate([np.zeros(32_000, np.float32), noise(rng, 0.01, 1)[:16_000]])
    assert encoder.segment(sound + np.float32(0.2)).starts_s.tolist() == [2.0]


@pytest.mark.parametrize("duration_s", [0.05, 0.4, 0.5, 1.0])
def test_short_clips_and_sound_at_the_very_end_are_heard(duration_s: float, rng: np.random.Generator) -> None:
    clip = noise(rng, 1e-3, duration_s)
    assert level_db(normalised(clip, RATE)) == pytest.approx(LOUDNESS_DBFS, abs=0.3)
    late = np.concatenate([np.zeros(4 * RATE, np.float32), clip[: round(0.3 * RATE)]])
    assert level_db(normalised(late, RATE)[4 * RATE :]) >= LOUDNESS_DBFS - 0.3


def test_a_window_is_silent_by_how_far_below_the_music_it_is(encoder: Encoder, rng: np.random.Generator) -> None:
    window = rng.uniform(-1, 1, 16_000).astype(np.float32)
    loudness_db = level_db(window)
    for gain in (1e-3, 1.0, 10.0):
        for beside_db, heard in ((SILENCE_DB - 1, 1), (SILENCE_DB + 1, 2)):
            quiet = np.float32(10 ** ((loudness_db + beside_db) / 20)) * window
            found = encoder.segment(np.float32(gain) * np.concatenate([window, quiet]))
            assert len(found.windows) == heard


@pytest.mark.parametrize("waveform", [np.zeros(0), np.zeros(50_000), np.full(50_000, 0.25)], ids=["none", "zero", "dc"])
def test_silence_stays_as_it_is(waveform: NDArray[np.float64]) -> None:
    silent = waveform.astype(np.float32)
    assert normalised(silent, RATE) is silent


def test_several_channels_are_refused(encoder: Encoder) -> None:
    with pytest.raises(ShapeError, match=r"\[2, 17000\]"):
        encoder.segment(np.ones((2, 17_000), np.float32))
