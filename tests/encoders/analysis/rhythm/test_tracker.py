"""Beats and keys of sounds, with the weights that are shipped."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from encoders.analysis.rhythm.tracker import RhythmTracker, rhythm_of
from encoders.listeners import load_rhythm_tracker
from encoders.models.music.spectra import SAMPLE_RATE, Listener


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> RhythmTracker:
    return load_rhythm_tracker(Path(tmp_path_factory.mktemp("weights")), Listener())


def note(pitch: float, length_s: float) -> NDArray[np.float32]:
    """A plucked note with its overtones."""
    time_s = np.arange(round(length_s * SAMPLE_RATE)) / SAMPLE_RATE
    hz = 440 * 2 ** ((pitch - 69) / 12)
    wave = sum(np.sin(2 * np.pi * hz * k * time_s) / k for k in range(1, 6)) * np.exp(-4 * time_s)
    return np.asarray(wave, np.float32)


def band(bpm: float, chords: list[list[int]], seconds: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """A kick, a snare and hats over a chord a bar of four beats."""
    wave = np.zeros(round(seconds * SAMPLE_RATE), np.float32)

    def add(at_s: float, sound: NDArray[np.float32]) -> None:
        start = round(at_s * SAMPLE_RATE)
        piece = sound[: max(0, len(wave) - start)]
        wave[start : start + len(piece)] += piece

    time_s = np.arange(round(0.12 * SAMPLE_RATE)) / SAMPLE_RATE
    kick = np.asarray(np.sin(2 * np.pi * (50 + 80 * np.exp(-40 * time_s)) * time_s) * np.exp(-25 * time_s), np.float32)
    snare = (rng.standard_normal(len(time_s)) * np.exp(-30 * time_s)).astype(np.float32)
    hat = np.diff(snare, prepend=0) * np.exp(-60 * time_s).astype(np.float32)
    for number, at_s in enumerate(np.arange(0.5, seconds, 60 / bpm)):
        add(at_s, kick if number % 2 == 0 else 0.6 * snare)
        add(at_s, 0.3 * hat)
        add(at_s + 30 / bpm, 0.3 * hat)
        if number % 4 == 0:
            for pitch in chords[number // 4 % len(chords)]:
                add(at_s, 0.3 * note(pitch, 240 / bpm))
    return wave


C_MAJOR = [[48, 60, 64, 67], [45, 57, 60, 64], [41, 57, 60, 65], [43, 59, 62, 67]]


@pytest.mark.parametrize("bpm", [90, 120])
def test_a_band_is_followed(bpm: float, tracker: RhythmTracker, rng: np.random.Generator) -> None:
    rhythm, key = tracker.track(band(bpm, C_MAJOR, 60, rng))
    assert rhythm.tempo_bpm == pytest.approx(bpm, rel=0.01)
    assert rhythm.meter == 4
    true_s = np.arange(0.5, 58, 60 / bpm)
    assert np.mean([np.abs(rhythm.beats_s - time_s).min() < 0.05 for time_s in true_s]) > 0.95
    assert np.mean([np.abs(rhythm.downbeats_s - time_s).min() < 0.05 for time_s in true_s[::4]]) > 0.9
    assert key is not None
    assert (key.tonic, key.mode) == ("C", "major")


def test_a_transposed_track_has_the_transposed_key(tracker: RhythmTracker, rng: np.random.Generator) -> None:
    _, key = tracker.track(band(100, [[pitch + 3 for pitch in chord] for chord in C_MAJOR], 40, rng))
    assert key is not None
    assert (key.tonic, key.mode) == ("Eb", "major")


@pytest.mark.parametrize("seconds", [0.0, 0.01, 0.5, 3.0, 40.0])
def test_silence_has_neither_beats_nor_key(seconds: float, tracker: RhythmTracker) -> None:
    rhythm, key = tracker.track(np.zeros(round(seconds * SAMPLE_RATE), np.float32))
    assert rhythm.tempo_bpm is None
    assert rhythm.meter is None
    assert len(rhythm.beats_s) == len(rhythm.positions) == 0
    assert rhythm.confidence < 0.3
    assert key is None


@pytest.mark.parametrize("density", [0.003, 0.01, 0.03])
def test_applause_has_no_beats(tracker: RhythmTracker, rng: np.random.Generator, density: float) -> None:
    claps = rng.standard_normal(40 * SAMPLE_RATE) * (rng.random(40 * SAMPLE_RATE) < density)
    rhythm, _ = tracker.track(np.convolve(claps, np.exp(-np.arange(400) / 60), "same").astype(np.float32))
    assert rhythm.tempo_bpm is None
    assert len(rhythm.beats_s) == 0


def test_a_drone_has_no_beats(tracker: RhythmTracker) -> None:
    time_s = np.arange(60 * SAMPLE_RATE) / SAMPLE_RATE
    drone = sum(np.sin(2 * np.pi * hz * time_s + hz) for hz in (110, 165, 220.5, 331)) * (
        1 + 0.2 * np.sin(0.3 * time_s)
    )
    rhythm, _ = tracker.track(np.asarray(0.1 * drone, np.float32))
    assert rhythm.tempo_bpm is None


def test_loudness_changes_nothing(tracker: RhythmTracker, rng: np.random.Generator) -> None:
    wave = band(110, C_MAJOR, 30, rng)
    loud, _ = tracker.track(wave)
    soft, _ = tracker.track(0.1 * wave)
    assert soft.beats_s == pytest.approx(loud.beats_s, abs=0.01)


def test_what_was_heard_nowhere_is_no_rhythm() -> None:
    rhythm = rhythm_of(np.full((2, 3000), 0.02))
    assert rhythm.tempo_bpm is None
    assert rhythm.confidence == pytest.approx(0.02)
