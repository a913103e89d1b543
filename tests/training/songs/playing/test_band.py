"""What a band makes of a score, and a singer of a melody."""

from pathlib import Path

import numpy as np
import pytest

from encoders.training.rendering import chance
from encoders.training.songs.playing.band import in_metre, perform, transposed
from encoders.training.songs.playing.recording import truth
from encoders.training.songs.playing.score import read_score
from encoders.training.songs.playing.singer import STEP_S, pitches, sing
from tests.training.songs.playing.test_score import SECTIONS_S


@pytest.mark.parametrize("seed", range(20))
def test_every_beat_of_a_performance_has_its_time_and_its_place(song: Path, seed: int) -> None:
    performance = perform(read_score(song, SECTIONS_S), chance("001", seed))
    assert len(performance.beats_s) == performance.score.n_beats + 1 == len(performance.positions) + 1
    assert (np.diff(performance.beats_s) > 0.2).all()
    bars = performance.score.bars
    assert (performance.positions[bars] == 1).all()
    assert np.flatnonzero(performance.positions == 1).tolist() == bars.tolist()
    for player in performance.players:
        notes = np.array(player.notes).reshape(-1, 4)
        assert (notes[:, 1] > notes[:, 0]).all()


def test_chance_is_the_song_and_the_seed_alone(song: Path) -> None:
    score = read_score(song, SECTIONS_S)
    first, again, other = (perform(score, chance("001", seed)) for seed in (3, 3, 4))
    assert first.players == again.players
    assert first.beats_s.tolist() == again.beats_s.tolist()
    assert first.players != other.players


@pytest.mark.parametrize("meter", [2, 3, 5, 6])
def test_another_metre_leaves_beats_out_or_plays_them_twice(song: Path, meter: int) -> None:
    score = in_metre(read_score(song, SECTIONS_S), meter)
    assert score.n_beats == 8 * meter
    assert score.bars.tolist() == list(range(0, 8 * meter, meter))
    assert [start for start, _, _ in score.sections] == [0, 2 * meter, 4 * meter]
    kept = score.voices["MELODY"][:, 2].tolist()[:meter]
    assert kept == ([60, 62, 64, 65] + [60, 62, 64, 65][-(meter - 4) :] * (meter > 4))[:meter]


def test_a_transposed_score_has_its_key_and_its_chords_moved(song: Path) -> None:
    score = transposed(read_score(song), 3)
    assert score.keys[0][1] == 3
    assert score.chords[1][2] == 8
    assert score.voices["MELODY"][0, 2] == 63


def test_what_is_true_is_written_in_seconds(song: Path) -> None:
    performance = perform(read_score(song, SECTIONS_S), chance("001", 1))
    told = truth(performance, np.full(3000, np.nan))
    assert [function for _, _, function in told["sections"]] == ["intro", "verse", "chorus"]
    assert told["sections"][1][0] == pytest.approx(performance.beats_s[performance.score.sections[1][0]], abs=1e-3)
    assert [position for _, position in told["beats"]] == performance.positions.tolist()
    assert told["key"].split()[1] == "major"


def test_a_voice_sings_the_pitch_that_it_says(rng: np.random.Generator) -> None:
    notes_s = np.array([[0.5, 1.5, 57.0, 90], [2.0, 3.0, 64.0, 90]])
    sung = pitches(notes_s, 350, rng)
    assert np.isnan(sung[:45]).all()
    assert np.isnan(sung[160:195]).all()
    assert np.nanmedian(sung[60:140]) == pytest.approx(57, abs=0.5)
    assert np.nanmedian(sung[210:290]) == pytest.approx(64, abs=0.5)
    waveform = sing(sung, np.full(350, 0.8), 22_050, rng)
    assert len(waveform) == round(350 * STEP_S * 22_050)
    part = waveform[round(2.2 * 22_050) : round(2.8 * 22_050)]
    spectrum = np.abs(np.fft.rfft(part * np.hanning(len(part)), 2**16))
    lag = np.fft.irfft(spectrum**2)[40:400]  # its autocorrelation has the period of the voice
    assert 22_050 / (40 + lag.argmax()) == pytest.approx(440 * 2 ** ((64 - 69) / 12), rel=0.04)


def test_a_melody_of_rests_is_silence(rng: np.random.Generator) -> None:
    assert not sing(pitches(np.zeros((0, 4)), 100, rng), np.ones(100), 22_050, rng).any()
