"""What others are made of here: features, profiles, novelty. Their libraries are not needed."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.ndimage

from benchmarks.music.beatnet import BeatNet, features, filterbank
from benchmarks.music.songs import Contour, Music, Part
from benchmarks.music.systems import msaf
from benchmarks.music.systems import system as systems
from benchmarks.music.systems.form import novelty
from benchmarks.music.systems.msaf_process import median_filter
from benchmarks.music.systems.rhythm import KRUMHANSL, TEMPERLEY, key_of
from benchmarks.music.systems.system import System, answer
from benchmarks.music.truth.sources import write_wave


def test_beatnet_hears_272_features_every_20_ms_and_growth_is_never_negative(rng):
    noise = rng.normal(size=22_050).astype(np.float32)
    found = features(noise)
    assert found.shape == (50, 272)
    assert (found[:, 136:] >= 0).all()
    assert (found[0, 136:] == 0).all()
    assert np.allclose(found[1:, 136:], np.maximum(np.diff(found[:, :136], axis=0), 0))


def test_beatnets_triangles_sum_to_1_and_a_tone_is_loudest_in_its_own():
    bank = filterbank()
    assert bank.shape == (705, 136)
    assert np.allclose(bank.sum(axis=0), 1)
    tone = np.sin(2 * np.pi * 1000 * np.arange(22_050) / 22_050).astype(np.float32)
    loudest = bank[:, features(tone)[25, :136].argmax()]
    assert abs(loudest.argmax() * 22_050 / 1410 - 1000) < 22_050 / 1410


def test_beatnet_tells_a_distribution_a_frame():
    import torch

    said = BeatNet().eval()(torch.zeros(7, 272))
    assert said.shape == (7, 3)
    assert torch.allclose(said.sum(dim=1), torch.ones(7))


@pytest.mark.parametrize("profiles", [KRUMHANSL, TEMPERLEY])
def test_a_profile_is_its_own_key_wherever_it_is_turned(profiles):
    assert key_of(np.roll(profiles["minor"], 9), profiles) == "A minor"
    assert key_of(np.roll(profiles["major"], 1), profiles) == "Db major"


def test_novelty_peaks_where_one_half_meets_another():
    features = np.zeros((2, 100))
    features[0, :40] = features[1, 40:] = 1
    assert novelty(features).argmax() == 40


@pytest.mark.parametrize("size", [(1, 31), (31, 1)])
@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_medians_are_those_of_scipy_where_values_are_equal_too(size, kind, rng):
    values = np.abs(rng.normal(size=(37, 120))).round(1).astype(kind)
    values[5], values[:, 50:90] = 0, 0
    found = median_filter(values, size=size, mode="reflect")
    assert np.array_equal(found, scipy.ndimage.median_filter(values, size=size, mode="reflect"))
    assert found.dtype == kind


def test_msaf_is_asked_once_about_a_song_and_a_sliver_at_its_end_is_no_section(tmp_path, monkeypatch):
    said = {pair: [[0.0, 5.0, 9.99, 10.0], [0, 1, 2]] for pair in msaf.PAIRS}
    child = tmp_path / "child.py"
    child.write_text(
        "import sys\nfor line in sys.stdin:\n"
        f"    print({json.dumps(said)!r}, flush=True)\n    open({str(tmp_path / 'asked')!r}, 'a').write(line)\n"
    )
    monkeypatch.setattr(msaf.msaf_process, "__file__", str(child))
    heard = [system.hear(np.zeros(22_050, np.float32)) for system in msaf.systems(Path(sys.executable))]
    assert [heard[0].parts, heard[1].parts, heard[2].parts] == [
        (Part(0.0, 5.0, None, "0"), Part(5.0, 10.0, None, "1"))
    ] * 3
    assert len((tmp_path / "asked").read_text().splitlines()) == 1


def test_an_answer_is_asked_for_once_a_version_and_comes_back_whole(tmp_path, rng):
    audio = tmp_path / "audio.wav"
    write_wave(audio, rng.uniform(-0.5, 0.5, 44_100).astype(np.float32))
    asked = []

    def hear(waveform):
        asked.append(len(waveform))
        parts = (Part(0.0, 1.0, "intro", "A"), Part(1.0, 2.0, None, "B"))
        melody = Contour.of(0.1, np.array([60.5, 61.0]), np.array([True, False]))
        return Music(np.array([0.5, 1.0]), np.array([0.5]), 120.0, None, parts, melody)

    first = System("one", "1", frozenset(), hear)
    said = [answer(first, audio, tmp_path / "cache") for _ in range(2)][1]
    assert asked == [44_100]
    assert said.beats_s.tolist() == [0.5, 1.0]
    assert said.downbeats_s.tolist() == [0.5]
    assert (said.tempo_bpm, said.key) == (120, None)
    assert [part.label for part in said.parts] == ["intro", None]
    assert np.array_equal(said.melody.midi, [60.5, np.nan], equal_nan=True)
    assert np.array_equal(said.melody.unvoiced, [np.nan, 61.0], equal_nan=True)
    answer(System("one", "2", frozenset(), hear), audio, tmp_path / "cache")
    assert len(asked) == 2
    assert systems.tempo_of(np.array([1.0])) is None
