"""Loops by construction are found to the sample; highlights are where the form, the bars and the sound say."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.analysis.findings import COARSE, FINE, Rhythm, Section
from encoders.analysis.form.alignment import aligned
from encoders.analysis.form.features import SAMPLE_RATE, grid_of, sound_of, steps_of
from encoders.analysis.form.highlights import highlights
from encoders.analysis.form.loops import loops
from encoders.media.decode import decode
from encoders.media.native import NativeAudio
from encoders.media.writing import write_wav
from tests.encoders.editing.music_of import NO_BEATS, bars, rhythm_of


def mono(samples: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """What the stages get of a file with these samples."""
    file = io.BytesIO()
    write_wav(NativeAudio(samples[:, None], rate, "mono", 16), file)
    return decode(file.getvalue(), sample_rates=[SAMPLE_RATE]).waveforms[SAMPLE_RATE]


@pytest.mark.parametrize(
    ("rate", "length"), [(44_100, 352_801), (44_100, 353_117), (48_000, 383_999), (96_000, 768_013)]
)
@pytest.mark.parametrize("has_beats", [True, False])
def test_a_loop_by_construction_is_found_to_the_sample_of_the_files_own_rate(
    rate: int, length: int, has_beats: bool
) -> None:
    stretch = bars(length / rate, rate, seed=5, noise=0.05)
    intro, outro = bars(6.0, rate, seed=6), bars(6.0, rate, seed=7)
    waveform = mono(np.concatenate([intro, *[stretch] * 4, outro]), rate)
    beats_s = np.concatenate([[0.0], np.arange(6.0, len(waveform) / SAMPLE_RATE, length / rate / 16)])
    jitter = np.random.default_rng(8).uniform(-0.02, 0.02, len(beats_s))
    rhythm = Rhythm(120.0, np.sort(beats_s + jitter), (np.arange(len(beats_s)) - 1) % 4 + 1, 4, 0.9)
    found = loops(waveform, sound_of(waveform), rhythm if has_beats else NO_BEATS)
    assert round((found[0].end_s - found[0].start_s) * rate) == length
    assert found[0].similarity > 0.95
    assert found[0].start_s > 5.5
    assert found[0].end_s < len(waveform) / SAMPLE_RATE - 5.5


def test_what_never_comes_again_is_less_of_a_loop(rng: np.random.Generator) -> None:
    waveform = (rng.standard_normal(40 * SAMPLE_RATE) * np.linspace(0.01, 0.5, 40 * SAMPLE_RATE)).astype(np.float32)
    assert all(loop.similarity < 0.7 for loop in loops(waveform, sound_of(waveform), rhythm_of(40.0)))


@pytest.mark.parametrize("duration_s", [0.0, 0.5, 3.0, 30.0])
def test_silence_has_neither_loop_nor_highlight(duration_s: float) -> None:
    waveform = np.zeros(round(duration_s * SAMPLE_RATE), np.float32)
    sound = sound_of(waveform)
    for rhythm in (NO_BEATS, rhythm_of(duration_s)):
        assert loops(waveform, sound, rhythm) == ()
        assert highlights(sound, rhythm, ()) == ()


@pytest.mark.parametrize("duration_s", [0.4, 1.0, 3.0, 9.0, 30.0])
def test_a_short_track_is_its_own_highlight(duration_s: float) -> None:
    waveform = bars(duration_s, SAMPLE_RATE)
    sound = sound_of(waveform)
    (whole,) = highlights(sound, rhythm_of(duration_s), ())
    assert (whole.start_s, whole.end_s) == (0.0, pytest.approx(duration_s))
    for loop in loops(waveform, sound, rhythm_of(duration_s)):
        assert 0 <= loop.start_s < loop.end_s <= duration_s


def sections_of(*parts: tuple[float, float, str, str]) -> list[Section]:
    coarse = [Section(start_s, end_s, COARSE, label, group, 0.9) for start_s, end_s, label, group in parts]
    return [*coarse, Section(0.0, parts[-1][1], FINE, "chorus", "a", 1.0)]


def test_the_highlight_is_the_chorus_and_begins_with_it() -> None:
    sound = sound_of(bars(120.0, SAMPLE_RATE))
    parts = sections_of((0, 10, "intro", "A"), (10, 50, "verse", "B"), (50, 78, "chorus", "C"), (78, 120, "verse", "B"))
    best, *others = highlights(sound, rhythm_of(120.0), parts)
    assert (best.start_s, best.end_s) == (50.0, 78.0)
    assert all(other.end_s <= best.start_s or other.start_s >= best.end_s for other in others)
    assert all(0 <= other.score <= best.score <= 1 for other in others)


def test_without_a_form_the_highlight_is_loud_and_begins_with_a_bar() -> None:
    waveform = bars(120.0, SAMPLE_RATE)
    waveform[: 60 * SAMPLE_RATE] *= 0.05
    waveform[90 * SAMPLE_RATE :] *= 0.05
    best = highlights(sound_of(waveform), rhythm_of(120.0), ())[0]
    assert 15 <= best.end_s - best.start_s <= 30
    assert best.start_s >= 58
    assert best.end_s <= 92
    assert best.start_s % 2 == pytest.approx(0, abs=1e-6)


def test_an_alignment_is_right_to_the_part_of_a_sample(rng: np.random.Generator) -> None:
    fine = np.convolve(rng.standard_normal(160_000), np.hanning(32), "same").astype(np.float32)
    waveform = np.concatenate([fine[:80_000:8], fine[:100], fine[5:80_000:8]])
    moved = aligned((waveform, 5_000), (waveform, 15_095), reach=20, half_length=2_000)
    assert moved.shift == pytest.approx(10_100 + 5_000 - 5 / 8 - 15_095, abs=0.05)
    assert moved.correlation > 0.99
    silence = np.zeros(20_000, np.float32)
    assert aligned((silence, 5_000), (silence, 15_000), reach=20, half_length=2_000).shift == 0


def test_steps_follow_the_chords() -> None:
    """Bars of four beats with chords that come again after four bars: nearest is what is sixteen beats away."""
    sound = sound_of(bars(40.0, SAMPLE_RATE))
    grid = grid_of(rhythm_of(40.0), 40.0)
    vectors = steps_of(sound, grid).vectors
    away = [np.square(vectors[8:40] - vectors[8 + lag : 40 + lag]).sum(axis=1).mean() for lag in range(1, 24)]
    assert int(np.argmin(away)) + 1 == 16


def test_beats_go_on_to_both_ends() -> None:
    rhythm = Rhythm(120.0, np.arange(10.0, 20.0, 0.5), np.arange(20) % 4 + 1, 4, 0.9)
    grid = grid_of(rhythm, 30.25)
    assert grid.has_beats
    np.testing.assert_allclose(np.diff(grid.times_s[1:-1]), 0.5, atol=2e-3)
    at = {round(time_s, 1): int(position) for time_s, position in zip(grid.times_s, grid.positions, strict=True)}
    assert (at[9.5], at[9.0], at[10.0], at[20.0], at[20.5]) == (4, 3, 1, 1, 2)
    steps = grid_of(NO_BEATS, 10.0)
    assert not steps.has_beats
    np.testing.assert_allclose(steps.times_s, np.arange(0, 10.5, 0.5))


def test_what_stands_still_is_like_nothing() -> None:
    """A constant has no shape: no division by its energy of zero, which warns."""
    waveform = np.full(40_000, 0.5, np.float32)
    assert aligned((waveform, 10_000), (waveform, 25_000), reach=50, half_length=2_000).correlation == pytest.approx(0)
