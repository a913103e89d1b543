"""Lengths to the sample, whatever the track; jumps where they may be; seams that do not click."""

from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.signal import resample_poly

from encoders.analysis.findings import COARSE, Highlight, Rhythm, Section
from encoders.analysis.form.features import SAMPLE_RATE, sound_of
from encoders.editing.retargeting import Track, retargeted
from encoders.errors import RetargetError
from encoders.media.native import NativeAudio
from tests.encoders.editing.music_of import NO_BEATS, bars, rhythm_of

LAYOUTS = {1: "mono", 2: "stereo", 6: "5.1"}


def track(
    samples: NDArray[np.float32], rate: int, rhythm: Rhythm, sections: Sequence[Section] = (), *, channels: int = 1
) -> Track:
    waveform = resample_poly(samples, SAMPLE_RATE, rate).astype(np.float32)
    levels = np.linspace(1, 0.5, channels, dtype=np.float32)
    audio = NativeAudio(samples[:, None] * levels, rate, LAYOUTS[channels], 16)
    return Track(audio, sound_of(waveform), rhythm, sections)


@pytest.fixture(scope="module")
def song() -> Track:
    return track(bars(64.0, 22_050), 22_050, rhythm_of(64.0))


@pytest.mark.parametrize("duration_s", [2.0, 10.0, 23.456, 63.9, 64.0, 90.0, 200.0])
def test_a_track_is_as_long_as_asked_to_the_sample(song: Track, duration_s: float) -> None:
    made = retargeted(song, duration_s)
    assert len(made.audio.samples) == round(duration_s * 22_050) == made.plan.length
    last = made.plan.segments[-1]
    assert made.plan.segments[0].start == 0
    assert last.output_start + last.end - last.start + made.plan.padded == made.plan.length
    assert last.end + made.plan.trimmed == len(song.audio.samples) or made.plan.trimmed >= last.end - last.start


def test_jumps_lead_from_beat_to_beat_of_equal_place_in_the_bar_and_over_eight_beats_at_least(song: Track) -> None:
    for duration_s in (30.0, 100.0, 301.0):
        jumps = retargeted(song, duration_s).plan.jumps
        assert jumps
        for jump in jumps:
            beats = (jump.to_sample - jump.shift - jump.from_sample) / 22_050 * 2
            assert beats == pytest.approx(round(beats), abs=1e-3)
            assert round(beats) % 4 == 0
            assert abs(round(beats)) >= 8


def test_what_is_whole_bars_shorter_is_reached_by_jumps_alone_that_are_not_heard(song: Track) -> None:
    """The chords come again after eight seconds: a jump over as many is the best, and nothing is cut off."""
    made = retargeted(song, 64.0 - 16.0)
    (jump,) = made.plan.jumps
    assert jump.to_sample - jump.shift - jump.from_sample == 16 * 22_050
    assert made.plan.trimmed + made.plan.padded <= abs(jump.shift)
    assert jump.cost < 0.8
    assert jump.flux_percentile < 75


def test_the_start_and_the_end_are_kept_as_they_are(song: Track) -> None:
    made = retargeted(song, 48.0)
    np.testing.assert_array_equal(made.audio.samples[:22_050], song.audio.samples[:22_050])
    end = len(made.audio.samples) - made.plan.padded - made.plan.tail_fade_length
    source_end = made.plan.segments[-1].end - made.plan.tail_fade_length
    there = song.audio.samples[source_end - 11_025 : source_end]
    np.testing.assert_array_equal(made.audio.samples[end - 11_025 : end], there)


@pytest.mark.parametrize("duration_s", [20.0, 45.0, 150.0])
def test_no_seam_clicks(song: Track, duration_s: float) -> None:
    """From one sample to the next, nothing changes more at a seam than it does somewhere in the track."""
    made = retargeted(song, duration_s)
    most = np.abs(np.diff(song.audio.samples[:, 0])).max()
    for segment, jump in zip(made.plan.segments[1:], made.plan.jumps, strict=True):
        around = slice(segment.output_start - jump.fade_length, segment.output_start + jump.fade_length)
        assert np.abs(np.diff(made.audio.samples[around, 0])).max() <= most


def test_a_fade_between_equal_sounds_is_as_loud_as_they_are() -> None:
    tone = np.sin(2 * np.pi * 100 * np.arange(40 * 8000) / 8000).astype(np.float32)
    made = retargeted(track(tone, 8000, rhythm_of(40.0)), 30.0)
    assert made.plan.jumps
    for segment in made.plan.segments[1:]:
        around = made.audio.samples[segment.output_start - 400 : segment.output_start + 400, 0]
        assert np.abs(around).max() == pytest.approx(1.0, abs=0.02)


def test_a_highlight_is_kept_whole(song: Track) -> None:
    made = retargeted(song, 40.0, keep=Highlight(24.0, 40.0, 1.0))
    assert any(one.start <= 24.1 * 22_050 and one.end >= 39.8 * 22_050 for one in made.plan.segments)
    assert made.plan.document()["keep"] == {"start_s": 24.0, "end_s": 40.0}


def test_what_cannot_be_says_what_could(song: Track) -> None:
    with pytest.raises(RetargetError, match=r"duration_s: 0.5 seconds cannot be made; accepted: 1 to 3600 seconds"):
        retargeted(song, 0.5)
    with pytest.raises(RetargetError, match="nan"):
        retargeted(song, float("nan"))
    with pytest.raises(RetargetError, match="too short for the highlight; accepted: at least") as refused:
        retargeted(song, 10.0, keep=Highlight(20.0, 40.0, 1.0))
    least_s = float(refused.value.accepted.split()[2])
    assert len(retargeted(song, least_s, keep=Highlight(20.0, 40.0, 1.0)).audio.samples) == round(least_s * 22_050)


@pytest.mark.parametrize("rate", [8_000, 44_100, 96_000])
@pytest.mark.parametrize("channels", [1, 2, 6])
def test_any_rate_and_channels(rate: int, channels: int) -> None:
    made = retargeted(track(bars(20.0, rate), rate, rhythm_of(20.0), channels=channels), 33.333)
    assert made.audio.samples.shape == (round(33.333 * rate), channels)
    np.testing.assert_allclose(made.audio.samples[:, -1] * 2 ** (channels > 1), made.audio.samples[:, 0], atol=1e-4)


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(30 * 8000, np.float32),
        np.zeros(8000, np.float32),
        bars(1.0, 8000),
        bars(2.7, 8000),
        np.random.default_rng(3).standard_normal(20 * 8000).astype(np.float32) / 4,
    ],
    ids=["silence", "a second of silence", "a second", "short", "applause"],
)
@pytest.mark.parametrize("duration_s", [1.0, 3.0, 17.3, 61.0])
def test_what_has_no_beats_is_cut_by_steps(samples: NDArray[np.float32], duration_s: float) -> None:
    made = retargeted(track(samples, 8000, NO_BEATS), duration_s)
    assert len(made.audio.samples) == round(duration_s * 8000)
    assert made.plan.unit == "steps"
    assert np.isfinite(made.audio.samples).all()


@pytest.mark.parametrize("duration_s", [17.3, 61.0])
def test_what_has_no_place_to_jump_to_is_repeated_without_clicks_or_holes(duration_s: float) -> None:
    """A tone that ends amid a swing: a second of it has no jump, and its end must not meet its start at once."""
    tone = np.cos(2 * np.pi * 200.3 * np.arange(8000) / 8000).astype(np.float32)
    made = retargeted(track(tone, 8000, NO_BEATS), duration_s)
    assert made.plan.padded == 0
    assert made.plan.trimmed < 2 * 8000 + 0.06 * 8000 * duration_s
    assert all(segment.start >= 0 and segment.end <= 8000 for segment in made.plan.segments)
    assert len(made.plan.segments) >= duration_s
    out = made.audio.samples[:, 0]
    assert np.abs(np.diff(out)).max() < 1.5 * np.abs(np.diff(tone)).max()
    loud = np.abs(out[: -made.plan.tail_fade_length or None]).reshape(-1)
    assert min(part.max() for part in np.array_split(loud, len(loud) // 80)) > 0.2
    assert abs(out[-1]) < 1e-3


def test_other_metres_and_a_change_of_tempo() -> None:
    five = retargeted(track(bars(60.0, 8000, meter=5), 8000, rhythm_of(60.0, meter=5)), 40.0)
    for jump in five.plan.jumps:
        assert round((jump.to_sample - jump.shift - jump.from_sample) / 8000 * 2) % 5 == 0
    slow, fast = rhythm_of(40.0, bpm=90), rhythm_of(40.0, bpm=150)
    beats_s = np.concatenate([slow.beats_s, 40 + fast.beats_s])
    positions = np.concatenate([slow.positions, fast.positions])
    changing = Rhythm(90.0, beats_s, positions, 4, 0.8)
    music = np.concatenate([bars(40.0, 8000, bpm=90), bars(40.0, 8000, bpm=150)])
    made = retargeted(track(music, 8000, changing), 140.0)
    assert len(made.audio.samples) == 140 * 8000
    assert all((jump.from_sample < 40 * 8000) == (jump.to_sample < 40 * 8000) for jump in made.plan.jumps)


def test_sections_are_not_left_for_others_where_it_can_be_helped() -> None:
    """All bars are alike: only what the form says tells which jump is the better."""
    music = np.tile(bars(8.0, 8000, noise=0), 8)
    sections = [
        Section(0.0, 24.0, COARSE, "verse", "A", 0.9),
        Section(24.0, 40.0, COARSE, "chorus", "B", 0.9),
        Section(40.0, 64.0, COARSE, "verse", "A", 0.9),
    ]
    made = retargeted(track(music, 8000, rhythm_of(64.0), sections), 48.0)
    assert [jump.parts["section"] for jump in made.plan.jumps] == [0.0] * len(made.plan.jumps)


def test_a_long_track_is_thinned_to_its_bars() -> None:
    music = np.tile(bars(8.0, 8000), 160)
    made = retargeted(track(music, 8000, rhythm_of(1280.0)), 300.0)
    assert len(made.audio.samples) == 300 * 8000
    assert made.plan.jumps
