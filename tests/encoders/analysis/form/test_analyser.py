"""The analyser on sound that is no song, with the weights that are shipped."""

from typing import cast

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from encoders.analysis.findings import COARSE, SECTION_LABELS, Rhythm
from encoders.analysis.form.analyser import FormAnalyser, silences
from encoders.errors import NonFiniteError, ShapeError
from encoders.loading import load_network
from encoders.models.music.spectra import ONSET_RATE, PITCH_RATE, Listener, Spectra
from encoders.models.music.structure import LONGEST_STEPS, SPEC, STEP_S, StructureNet
from encoders.spec import SHIPPED_WEIGHTS

SAMPLE_RATE = 22_050
NO_RHYTHM = Rhythm(None, np.zeros(0), np.zeros(0, np.int64), None, 0.0)


@pytest.fixture(scope="module")
def analyser() -> FormAnalyser:
    network, version = load_network(SPEC, SHIPPED_WEIGHTS)
    return FormAnalyser(cast("StructureNet", network), Listener(), version=version, device=torch.device("cpu"))


def noise(seconds: float, level: float = 0.1) -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    return (level * rng.standard_normal(max(1, round(seconds * SAMPLE_RATE)))).astype(np.float32)


def applause(seconds: float) -> NDArray[np.float32]:
    claps = np.random.default_rng(2).random(round(seconds * 50)) ** 6
    return noise(seconds) * np.repeat(claps, SAMPLE_RATE // 50).astype(np.float32)


@pytest.mark.parametrize("sound", [noise(0.0), noise(0.3), noise(3.0), noise(25.0), applause(25.0)])
def test_what_is_no_song_has_sections_all_the_same(analyser: FormAnalyser, sound: NDArray[np.float32]) -> None:
    sections = analyser.analyse(sound, NO_RHYTHM).level(COARSE)
    assert sections[0].start_s == 0
    assert sections[-1].end_s == len(sound) / SAMPLE_RATE
    assert {section.label for section in sections} <= set(SECTION_LABELS)


def test_silence_is_one_section(analyser: FormAnalyser) -> None:
    form = analyser.analyse(np.zeros(20 * SAMPLE_RATE, np.float32), NO_RHYTHM)
    assert [(section.start_s, section.end_s, section.label) for section in form.level(COARSE)] == [(0, 20, "silence")]


def test_silence_within_a_track_is_found(analyser: FormAnalyser) -> None:
    sound = np.concatenate([noise(20), np.zeros(5 * SAMPLE_RATE, np.float32), noise(20)])
    found = [section for section in analyser.analyse(sound, NO_RHYTHM).level(COARSE) if section.label == "silence"]
    assert [edge for section in found for edge in (section.start_s, section.end_s)] == pytest.approx([20, 25], abs=0.2)


def test_what_is_softer_than_anything_else_is_silent_from_a_second_and_a_half_on() -> None:
    loudness = np.full(100, -20.0, np.float32)
    loudness[10:24] = -90.0
    loudness[40:60] = -90.0
    loudness[90:] = -88.0
    assert silences(loudness) == [(4.0, 6.0)]
    loudness[80:] = -88.0
    assert silences(loudness) == [(4.0, 6.0), (8.0, pytest.approx(10.1))]
    assert silences(np.zeros(0, np.float32)) == []


def test_a_long_track_is_heard_in_pieces_that_fit_together(analyser: FormAnalyser) -> None:
    generator = torch.Generator().manual_seed(0)
    seconds = 1.6 * LONGEST_STEPS * STEP_S
    frames = round(seconds * PITCH_RATE)
    spectra = Spectra(
        torch.randn(84, frames * ONSET_RATE // PITCH_RATE, generator=generator),
        torch.randn(252, frames, generator=generator),
    )
    curves = analyser.curves(spectra)
    assert len(curves.parts) == round(seconds / STEP_S)
    assert curves.functions.sum(axis=1) == pytest.approx(1.0)
    assert np.linalg.norm(curves.embeddings, axis=1) == pytest.approx(1.0, abs=1e-3)


def test_what_cannot_be_heard_is_refused(analyser: FormAnalyser) -> None:
    with pytest.raises(ShapeError, match="mono"):
        analyser.analyse(np.zeros((2, 100), np.float32), NO_RHYTHM)
    with pytest.raises(ShapeError, match="mono"):
        analyser.analyse(np.zeros(0, np.float32), NO_RHYTHM)
    with pytest.raises(NonFiniteError):
        analyser.analyse(np.array([0.0, np.nan], np.float32), NO_RHYTHM)
