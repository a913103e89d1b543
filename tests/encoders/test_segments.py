"""Windows cover the audio as documented; pooling gives unit vectors."""

import numpy as np
import pytest

from encoders.errors import EncoderError, NonFiniteError, ShapeError, SilentAudioError, ZeroEmbeddingError
from encoders.media.segments import SILENCE_PEAK, pool, segment

RATE = 1000
WINDOW = 100


@pytest.mark.parametrize(
    ("samples", "starts"),
    [
        (100, [0]),
        (149, [0]),
        (150, [0, 50]),
        (199, [0, 99]),
        (200, [0, 100]),
        (349, [0, 100, 200]),
        (350, [0, 100, 200, 250]),
    ],
)
def test_windows_follow_each_other_and_the_last_half_counts(
    samples: int, starts: list[int], rng: np.random.Generator
) -> None:
    waveform = rng.uniform(-1, 1, samples).astype(np.float32)
    segments = segment(waveform, sample_rate=RATE, window_length=WINDOW)
    np.testing.assert_allclose(segments.starts_s, np.array(starts) / RATE)
    assert segments.windows.dtype == np.float32
    for window, start in zip(segments.windows, starts, strict=True):
        np.testing.assert_array_equal(window, waveform[start : start + WINDOW])


@pytest.mark.parametrize("samples", [2, 30, 99])
def test_a_short_waveform_is_repeated(samples: int, rng: np.random.Generator) -> None:
    waveform = rng.uniform(0.1, 1, samples).astype(np.float32)
    segments = segment(waveform, sample_rate=RATE, window_length=WINDOW)
    np.testing.assert_array_equal(segments.windows[0], waveform[np.arange(WINDOW) % samples])
    assert segments.starts_s.tolist() == [0.0]


def test_silent_windows_are_left_out_and_the_others_keep_their_place(rng: np.random.Generator) -> None:
    waveform = rng.uniform(-1, 1, 500).astype(np.float32)
    waveform[100:200] = 0
    waveform[300:400] *= 0.9 * SILENCE_PEAK
    segments = segment(waveform, sample_rate=RATE, window_length=WINDOW)
    assert segments.starts_s.tolist() == [0.0, 0.2, 0.4]
    np.testing.assert_array_equal(segments.windows[1], waveform[200:300])


def test_one_loud_negative_sample_is_enough(rng: np.random.Generator) -> None:
    waveform = rng.uniform(0.1, 1, 3 * WINDOW).astype(np.float32)
    waveform[WINDOW : 2 * WINDOW] = 0
    assert len(segment(waveform, sample_rate=RATE, window_length=WINDOW).windows) == 2
    waveform[WINDOW + 7] = -3 * SILENCE_PEAK
    assert len(segment(waveform, sample_rate=RATE, window_length=WINDOW).windows) == 3


@pytest.mark.parametrize("samples", [30, 250, 500])
@pytest.mark.parametrize(("before", "after"), [(0, 10), (33, 0), (1000, 70_001), (70_000, 99)])
def test_silence_around_sound_changes_no_window(
    samples: int, before: int, after: int, rng: np.random.Generator
) -> None:
    sound = rng.uniform(0.1, 1, samples).astype(np.float32)
    alone = segment(sound, sample_rate=RATE, window_length=WINDOW)
    around = np.float32(0.5 * SILENCE_PEAK) * rng.uniform(-1, 1, before + samples + after).astype(np.float32)
    around[before : before + samples] = sound
    found = segment(around, sample_rate=RATE, window_length=WINDOW)
    np.testing.assert_array_equal(found.windows, alone.windows)
    np.testing.assert_allclose(found.starts_s, alone.starts_s + before / RATE)


@pytest.mark.parametrize("samples", [0, 10, 350])
def test_nothing_but_silence_is_refused(samples: int) -> None:
    with pytest.raises(SilentAudioError, match=r"0\.10 s"):
        segment(np.zeros(samples, np.float32), sample_rate=RATE, window_length=WINDOW)


def test_loud_windows_are_a_view_of_the_waveform(rng: np.random.Generator) -> None:
    waveform = rng.uniform(-1, 1, 1000).astype(np.float32)
    assert np.shares_memory(segment(waveform, sample_rate=RATE, window_length=WINDOW).windows, waveform)


def test_several_channels_are_refused() -> None:
    with pytest.raises(ShapeError, match=r"\[2, 500\]"):
        segment(np.ones((2, 500), np.float32), sample_rate=RATE, window_length=WINDOW)


def test_pool_points_along_the_mean_and_has_unit_length(rng: np.random.Generator) -> None:
    for n in (1, 2, 7, 300):
        embeddings = rng.standard_normal((n, 64)).astype(np.float32) * 1e3
        pooled = pool(embeddings)
        assert pooled.dtype == np.float32
        assert np.linalg.norm(pooled) == pytest.approx(1, abs=1e-6)
        mean = embeddings.mean(0)
        assert pooled @ mean == pytest.approx(float(np.linalg.norm(mean)), rel=1e-5)


def test_pool_ignores_order_scale_and_repetition(rng: np.random.Generator) -> None:
    embeddings = rng.standard_normal((9, 16)).astype(np.float32)
    for same in (embeddings[::-1], 7 * embeddings, np.tile(embeddings, (5, 1))):
        np.testing.assert_allclose(pool(same), pool(embeddings), atol=1e-6)


@pytest.mark.parametrize(
    ("embeddings", "error"),
    [
        (np.zeros((3, 4), np.float32), ZeroEmbeddingError),
        (np.array([[1, 2], [-1, -2]], np.float32), ZeroEmbeddingError),
        (np.array([[1, np.nan]], np.float32), NonFiniteError),
        (np.array([[np.inf, 1]], np.float32), NonFiniteError),
        (np.empty((0, 4), np.float32), ShapeError),
        (np.ones(4, np.float32), ShapeError),
    ],
)
def test_pool_refuses_what_has_no_direction(embeddings: np.ndarray, error: type[EncoderError]) -> None:
    with pytest.raises(error):
        pool(embeddings)
