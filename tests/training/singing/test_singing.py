"""Singing: the syllables that are there are found, the notes given are sung, and chance is the seed's alone."""

import sys
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.training.corpus import CorpusError
from encoders.training.singing.intonation import SungNote, draw_intonation, pitch_curve
from encoders.training.singing.melodies import Note
from encoders.training.singing.singing import Sung, arranged, draw_singer, perform, sing, understood
from encoders.training.singing.syllables import find_syllables
from encoders.training.singing.world import FRAME_S, analyse
from tests.training.conftest import HISS_S, HZ, SAMPLE_RATE, SYLLABLES, VOWEL_S

TUNE = [Note(pitch, 0.5) for pitch in (60, 62, 64, 65, 67, 65, 64, 62)]


def pitch_of(waveform: NDArray[np.float32], start_s: float, end_s: float, about: float) -> float:
    """MIDI number of the middle of a note, half an octave about one, by autocorrelation: the vocoder is not asked."""
    middle, half = round((start_s + end_s) / 2 * SAMPLE_RATE), 512
    piece = waveform[middle - half : middle + half].astype(np.float64) * np.hanning(2 * half)
    spectrum = np.abs(np.fft.rfft(piece, 8 * half)) ** 2
    correlation = np.fft.irfft(spectrum)[:400]
    window = np.fft.irfft(np.abs(np.fft.rfft(np.hanning(2 * half), 8 * half)) ** 2)[:400]
    correlation /= window
    expected = SAMPLE_RATE / (440 * 2 ** ((about - 69) / 12))
    first, last = round(expected / 2**0.5), round(expected * 2**0.5)
    lag = first + int(correlation[first:last].argmax())
    below, at, above = correlation[lag - 1 : lag + 2]
    return float(69 + 12 * np.log2(SAMPLE_RATE / (lag + 0.5 * (below - above) / (below - 2 * at + above)) / 440))


def test_every_syllable_is_found_where_its_vowel_is(utterance: NDArray[np.float32]) -> None:
    syllables = find_syllables(analyse(utterance))
    assert len(syllables) == SYLLABLES
    for index, syllable in enumerate(syllables):
        begin = 0.1 + index * (HISS_S + VOWEL_S) + HISS_S
        assert begin - 0.03 < syllable.vowel * FRAME_S < begin + 0.06
        assert begin + VOWEL_S - 0.06 < syllable.coda * FRAME_S < begin + VOWEL_S + 0.03
        assert syllable.start <= syllable.vowel <= syllable.nucleus < syllable.coda <= syllable.end


def test_the_notes_are_sung_in_the_octave_of_the_voice(utterance: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(1)
    singer = replace(draw_singer(rng), melismas=0.0, formant_shift=1.0, note_s=0.5, above_speech=5.0)
    sung = sing(utterance, TUNE, rng, singer=singer)
    assert [pitch for _, _, pitch in sung.notes] == [note.pitch - 12 for note in TUNE]
    spoken = 69 + 12 * np.log2(HZ / 440)
    assert abs(np.median([pitch for _, _, pitch in sung.notes]) - spoken - singer.above_speech) <= 6
    errors = [100 * abs(pitch_of(sung.waveform, start, end, pitch) - pitch) for start, end, pitch in sung.notes]
    assert np.median(errors) < 30


def test_vowels_are_stretched(utterance: NDArray[np.float32]) -> None:
    singer = replace(draw_singer(np.random.default_rng(1)), melismas=0.0, note_s=0.5)
    sung = sing(utterance, TUNE, np.random.default_rng(2), singer=singer)
    lengths = [end - start for start, end, _ in sung.notes]
    assert min(lengths) > 1.5 * VOWEL_S
    assert len(sung.waveform) / SAMPLE_RATE == pytest.approx(SYLLABLES * 0.5, rel=0.15)


def test_chance_is_the_seeds_alone(utterance: NDArray[np.float32]) -> None:
    def one(seed: int) -> Sung:
        return sing(utterance, TUNE, np.random.default_rng(seed))

    assert np.array_equal(one(3).waveform, one(3).waveform)
    assert not np.array_equal(one(3).waveform, one(4).waveform)


def test_two_voices_hold_the_same_notes_equally_long(utterance: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(6)
    words, singer = understood(utterance), draw_singer(rng)
    timing = arranged(words, TUNE, singer, rng)
    first, second = (perform(words, timing, singer, rng) for _ in range(2))
    assert first.notes == second.notes
    assert len(first.waveform) == len(second.waveform)
    assert not np.array_equal(first.waveform, second.waveform)


def test_formants_move_with_the_singer(utterance: NDArray[np.float32]) -> None:
    words, plain = understood(utterance), replace(draw_singer(np.random.default_rng(1)), formant_db=0.0, tilt_db=0.0)
    centres = []
    for shift in (0.85, 1.15):
        rng = np.random.default_rng(2)
        singer = replace(plain, formant_shift=shift)
        waveform = perform(words, arranged(words, TUNE, singer, rng), singer, rng).waveform
        power = np.abs(np.fft.rfft(waveform)) ** 2
        hz = np.fft.rfftfreq(len(waveform), 1 / SAMPLE_RATE)
        centres.append((power * hz)[hz < 4000].sum() / power[hz < 4000].sum())
    assert centres[1] > 1.15 * centres[0]


def test_vibrato_has_its_rate_and_extent_and_waits() -> None:
    rng = np.random.default_rng(0)
    still = replace(draw_intonation(rng), drift_cents=0.0, mistuning_cents=0.0, scoops=0.0)
    singer = replace(still, vibrato_hz=6.0, vibrato_cents=50.0, vibrato_delay_s=0.3)
    pitch, vibrato = pitch_curve([SungNote(0, 800, 60.0)], 800, singer, rng)
    assert np.allclose(pitch - vibrato, 60)
    assert not vibrato[: round(0.3 / FRAME_S)].any()
    assert 0.25 < np.abs(vibrato).max() < 0.65
    crossings = np.count_nonzero(np.diff(np.sign(vibrato[200:780])) != 0) / 2
    assert crossings / (580 * FRAME_S) == pytest.approx(6.0, rel=0.15)


def test_a_step_of_pitch_is_glided_and_overshoots_when_little_damped() -> None:
    rng = np.random.default_rng(0)
    plain = replace(draw_intonation(rng), drift_cents=0.0, mistuning_cents=0.0, scoops=0.0, vibrato_cents=0.0)
    notes = [SungNote(0, 200, 60.0), SungNote(200, 400, 64.0)]
    for damping, overshoots in ((0.6, True), (1.0, False)):
        pitch, _ = pitch_curve(notes, 400, replace(plain, damping=damping, glide_hz=6.0), rng)
        assert np.abs(np.diff(pitch)).max() < 1
        assert (pitch.max() > 64.05) == overshoots
        assert pitch[-1] == pytest.approx(64, abs=0.02)


@pytest.mark.parametrize(
    ("waveform", "message"),
    [
        (np.zeros(100, np.float32), "at least 0.1 s"),
        (np.full(16_000, np.nan, np.float32), "finite"),
        (0.1 * np.random.default_rng(0).standard_normal(16_000).astype(np.float32), "no syllable"),
        (np.zeros(16_000, np.float32), "no syllable"),
    ],
)
def test_what_is_no_voice_is_refused(waveform: NDArray[np.float32], message: str) -> None:
    with pytest.raises(CorpusError, match=message):
        sing(waveform, TUNE, np.random.default_rng(0))


def test_a_melody_without_notes_is_refused(utterance: NDArray[np.float32]) -> None:
    with pytest.raises(CorpusError, match="without notes"):
        sing(utterance, [], np.random.default_rng(0))


def test_without_the_vocoder_it_is_said_how_to_get_it(
    utterance: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyworld", None)
    with pytest.raises(CorpusError, match=r"pip install 'soundalike\[training\]'"):
        sing(utterance, TUNE, np.random.default_rng(0))
