"""Mixes: the level between voice and music, and the truth to the second, both as they were asked for."""

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.training.corpus import CorpusError
from encoders.training.voices.clips import active
from encoders.training.voices.mixes import Activity, Mix, Placed, Span, Vocal, mix, place, place_by_shares

RATE = 16_000


def tone(seconds: float, hz: float = 440.0, level: float = 0.1) -> NDArray[np.float32]:
    return (level * np.sin(2 * np.pi * hz * np.arange(round(seconds * RATE)) / RATE)).astype(np.float32)


def vocal(seconds: float, language: str = "fr", activity: Activity = Activity.SINGING, level: float = 0.1) -> Vocal:
    return Vocal(tone(seconds, level=level), activity, language)


def music(seconds: float = 20.0) -> NDArray[np.float32]:
    rng = np.random.default_rng(0)
    swell = 0.02 + 0.2 * np.linspace(0, 1, round(seconds * RATE)) ** 2
    return (swell * rng.standard_normal(len(swell))).astype(np.float32)


def snr_db(made: Mix, bed: NDArray[np.float32]) -> float:
    sounding = active(made.voices)
    voices, under = made.voices[sounding].astype(np.float64), bed[sounding].astype(np.float64)
    return float(10 * np.log10((voices**2).mean() / (under**2).mean()))


@pytest.mark.parametrize("wanted", [-12.0, 0.0, 12.0])
def test_voices_lie_over_the_music_by_what_was_asked_for(wanted: float) -> None:
    placed = [Placed(vocal(3, level=0.01), 2.0), Placed(vocal(4, level=0.5), 12.0)]
    bed = music()
    made = mix(bed, placed, 20.0, snr_db=wanted)
    assert snr_db(made, bed) == pytest.approx(wanted, abs=0.1)
    assert np.allclose(made.waveform - made.voices, bed, atol=1e-6)


def test_every_voice_comes_to_one_level_first() -> None:
    made = mix(music(), [Placed(vocal(3, level=0.01), 1.0), Placed(vocal(3, level=0.5), 10.0)], 20.0, snr_db=0)
    quiet, loud = (np.abs(made.voices[start * RATE : (start + 2) * RATE]).max() for start in (2, 11))
    assert quiet == pytest.approx(loud, rel=0.01)


def test_the_truth_is_where_voices_sound() -> None:
    gap = np.concatenate([tone(2), np.zeros(2 * RATE, np.float32), tone(1), np.zeros(RATE // 4, np.float32), tone(1)])
    placed = [
        Placed(Vocal(gap, Activity.SINGING, "de"), 1.0),
        Placed(vocal(2.0, "it", Activity.SPEECH), 9.0),
    ]
    made = mix(music(), placed, 12.0, snr_db=0)
    # The silence of a quarter of a second is closed, that of two seconds is not.
    assert [(span.activity, span.language) for span in made.spans] == [
        (Activity.SINGING, "de"),
        (Activity.SINGING, "de"),
        (Activity.SPEECH, "it"),
    ]
    bounds = [bound for span in made.spans for bound in (span.start_s, span.end_s)]
    assert bounds == pytest.approx([1.0, 3.0, 5.0, 7.25, 9.0, 11.0], abs=0.06)
    singing, speech = (Activity.SINGING, "de"), (Activity.SPEECH, "it")
    assert made.seconds() == [None, *[singing] * 2, *[None] * 2, *[singing] * 2, *[None] * 2, *[speech] * 2, None]
    assert made.shares() == pytest.approx({"de": 4.25 / 6.25, "it": 2 / 6.25}, abs=0.01)


def test_a_second_belongs_to_whom_it_mostly_is() -> None:
    spans = [
        Span(0.0, 0.4, Activity.SINGING, "fr"),
        Span(1.0, 1.3, Activity.SINGING, "fr"),
        Span(1.3, 2.0, Activity.SPEECH, "en"),
    ]
    silence = np.zeros(5 * RATE // 2, np.float32)
    assert Mix(silence, silence, spans).seconds() == [None, (Activity.SPEECH, "en"), None]


def test_music_alone_has_no_voices_in_its_truth() -> None:
    bed = music(5.0)
    made = mix(bed, [], 5.0, snr_db=0)
    assert np.array_equal(made.waveform, bed)
    assert made.spans == []
    assert made.shares() == {}
    assert made.seconds() == [None] * 5


def test_a_bed_is_repeated_or_made_to_length() -> None:
    short = music(2.0)
    repeated = mix(short, [], 5.0, snr_db=0).waveform
    assert np.array_equal(repeated, np.concatenate([short, short, short[:RATE]]))
    assert len(mix(lambda length: np.ones(length, np.float32), [], 1.5, snr_db=0).waveform) == 3 * RATE // 2


def test_a_break_in_the_music_does_not_silence_the_voice() -> None:
    bed = music()
    bed[5 * RATE : 15 * RATE] = 0
    made = mix(bed, [Placed(vocal(4), 8.0)], 20.0, snr_db=0)
    assert np.isfinite(made.waveform).all()
    assert 1e-4 < np.abs(made.voices).max() < 1


def test_a_voice_is_cut_where_the_track_ends() -> None:
    made = mix(music(), [Placed(vocal(5), 8.0), Placed(vocal(5), 30.0)], 10.0, snr_db=0)
    assert len(made.waveform) == 10 * RATE
    assert [(span.start_s, span.end_s) for span in made.spans] == [pytest.approx((8.0, 10.0), abs=0.06)]


def test_music_without_samples_is_refused() -> None:
    with pytest.raises(CorpusError, match="without samples"):
        mix(np.zeros(0, np.float32), [], 1.0, snr_db=0)


def test_voices_are_placed_in_order_without_overlap() -> None:
    placed = place([vocal(3), vocal(2), vocal(4)], 12.0, np.random.default_rng(0))
    assert [len(one.vocal.waveform) for one in placed] == [3 * RATE, 2 * RATE, 4 * RATE]
    ends = [one.start_s + len(one.vocal.waveform) / RATE for one in placed]
    assert placed[0].start_s >= 0
    assert all(end <= following.start_s for end, following in zip(ends, placed[1:], strict=False))
    assert ends[-1] <= 12.0


def test_more_voices_than_track_are_refused() -> None:
    with pytest.raises(CorpusError, match=r"9\.0 s of voices do not fit in a track of 8\.0 s"):
        place([vocal(5), vocal(4)], 8.0, np.random.default_rng(0))


@pytest.mark.parametrize("seed", range(5))
def test_two_languages_are_heard_for_as_long_as_was_asked_for(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pools = {"ja": [vocal(4, "ja"), vocal(3, "ja")], "en": [vocal(5, "en"), vocal(2.5, "en")]}
    placed = place_by_shares(pools, {"ja": 21.0, "en": 9.0}, 60.0, rng)
    made = mix(music(), placed, 60.0, snr_db=3.0)
    assert made.shares() == pytest.approx({"ja": 0.7, "en": 0.3}, abs=0.02)
    assert sum(span.end_s - span.start_s for span in made.spans) == pytest.approx(30.0, abs=1.5)


def test_every_voice_of_a_language_is_heard_before_any_again() -> None:
    pools = {"ja": [vocal(seconds, "ja") for seconds in (1, 2, 3, 4)]}
    placed = place_by_shares(pools, {"ja": 10.0}, 10.0, np.random.default_rng(0))
    assert sorted(len(one.vocal.waveform) // RATE for one in placed) == [1, 2, 3, 4]


def test_a_language_without_voices_is_named() -> None:
    with pytest.raises(CorpusError, match=r"no voice in 'ko' \(there are: ja\)"):
        place_by_shares({"ja": [vocal(1, "ja")]}, {"ko": 3.0}, 10.0, np.random.default_rng(0))
