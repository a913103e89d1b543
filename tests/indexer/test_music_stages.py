"""The stages of the music: rows that the catalogue takes, what one needs of the other, and what fails alone."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from api.wiring import Soundalike
from encoders.analysis.accents import AccentTracker
from encoders.analysis.findings import COARSE, FINE, Form, Highlight, Key, Loop, Melody, Rhythm, Section
from encoders.analysis.music import MusicAnalysis
from encoders.encoder import Encoder
from encoders.media.decoded import DecodedAudio
from encoders.models.music.spectra import Listener
from indexer.stages.registry import Analyses, named_stages, stages_with
from indexer.stages.stage import Stage, outdated
from indexer.track import DecodedTrack, run_stages
from indexer.uploads import Upload, index_upload
from retrieval.catalog.heard.music import ACCENTS_STAGE, MUSIC_STAGES, heard_music
from retrieval.catalog.records import SectionSpan, TrackForm, TrackMelody, TrackRhythm
from retrieval.search.query import similar
from tests.conftest import tone
from tests.indexer.test_pipeline import LIMITS, reasons, run
from tests.indexer.test_stages import Step, analysed, track_of

RATE = 22_050
ACCENTS = AccentTracker(Listener())
BEAT_S = 0.5


@dataclass
class Metronome:
    """Hears a beat every half second, in threes, and refuses sound whose length is among `refused`, in seconds."""

    version: str = "beats-1"
    sample_rate: int = RATE
    refused: set[float] = field(default_factory=set)
    heard: int = 0

    def track(self, waveform: NDArray[np.float32]) -> tuple[Rhythm, Key | None]:
        self.heard += 1
        if round(len(waveform) / RATE, 1) in self.refused:
            raise RuntimeError("lost count")
        beats_s = np.arange(0, len(waveform) / RATE, BEAT_S)
        return Rhythm(120.0, beats_s, np.arange(len(beats_s)) % 3 + 1, 3, 0.9), Key("F#", "minor", 0.7)


@dataclass
class Halves:
    """A verse up to the downbeat next to the middle, and a chorus from there."""

    version: str = "halves-1"
    sample_rate: int = RATE

    def analyse(self, waveform: NDArray[np.float32], rhythm: Rhythm) -> Form:
        end_s = len(waveform) / RATE
        middle_s = float(min(rhythm.downbeats_s, key=lambda beat_s: abs(beat_s - end_s / 2)))
        sections = [
            Section(start_s, stop_s, level, label, group, 0.8)
            for level in (COARSE, FINE)
            for start_s, stop_s, label, group in ((0.0, middle_s, "verse", "A"), (middle_s, end_s, "chorus", "B"))
        ]
        return Form(tuple(sections), (Highlight(middle_s, end_s, 0.6),), (Loop(0.0, 1.5, 0.95),))


@dataclass
class Humming:
    """Hears the pitch of the strongest frequency, the whole time."""

    version: str = "hum-1"
    sample_rate: int = RATE

    def track(self, waveform: NDArray[np.float32]) -> Melody:
        loudest_hz = np.abs(np.fft.rfft(waveform)).argmax() * RATE / len(waveform)
        return Melody(
            0.5, np.full(4, 69 + 12 * np.log2(loudest_hz / 440), np.float32), np.full(4, np.nan, np.float32), 0.5
        )


@pytest.fixture
def metronome() -> Metronome:
    return Metronome()


@pytest.fixture
def analyses(metronome: Metronome) -> Analyses:
    return Analyses(music=MusicAnalysis(metronome, Halves(), Humming(), ACCENTS))


def made_of(waveform: NDArray[np.float32], analyses: Analyses) -> tuple[TrackRhythm, TrackForm, TrackMelody]:
    audio = DecodedAudio({RATE: waveform}, len(waveform) / RATE)
    stages = analyses.stages()
    (track,) = run_stages(stages, [track_of(audio, stages)])
    assert isinstance(track, DecodedTrack), track
    assert track.failures == {}
    assert {stage: set(result.seconds) for stage, result in track.results.items()} == {
        stage: {stage} for stage in (*MUSIC_STAGES, ACCENTS_STAGE)
    }
    rhythm, form, melody = (row for stage in MUSIC_STAGES for row in track.results[stage].rows)
    assert isinstance(rhythm, TrackRhythm)
    assert isinstance(form, TrackForm)
    assert isinstance(melody, TrackMelody)
    return rhythm, form, melody


def test_rows_say_what_was_found(analyses: Analyses) -> None:
    rhythm, form, melody = made_of(tone(440, 4.0, sample_rate=RATE), analyses)
    assert (rhythm.tempo_bpm, rhythm.meter, rhythm.key, rhythm.mode) == (120.0, 3, "F#", "minor")
    assert (rhythm.confidence, rhythm.key_confidence) == (0.9, 0.7)
    assert rhythm.beats_s.tolist() == [0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5]
    assert rhythm.positions.tolist() == [1, 2, 3, 1, 2, 3, 1, 2]
    assert form.sections[0] == SectionSpan(0.0, 1.5, 1, "verse", "A", 0.8)  # its end is a downbeat of the stage before
    assert [(part.level, part.label, part.end_s) for part in form.sections[1:]] == [
        (1, "chorus", 4.0),
        (2, "verse", 1.5),
        (2, "chorus", 4.0),
    ]
    assert [(one.start_s, one.score) for one in form.highlights] == [(1.5, 0.6)]
    assert [(one.end_s, one.similarity) for one in form.loops] == [(1.5, 0.95)]
    np.testing.assert_allclose(melody.pitches, 69, atol=0.05)


@pytest.mark.parametrize(
    ("waveform", "label", "confidence"),
    [
        (np.zeros(5 * RATE, np.float32), "silence", 1.0),
        (np.full(5 * RATE, 5e-5, np.float32), "silence", 1.0),
        (np.zeros(0, np.float32), "silence", 1.0),
        (tone(440, 0.5, sample_rate=RATE), "inst", 0.0),
    ],
)
def test_silence_and_what_is_too_short_are_not_asked_of_a_network(
    metronome: Metronome, analyses: Analyses, waveform: NDArray[np.float32], label: str, confidence: float
) -> None:
    rhythm, form, melody = made_of(waveform, analyses)
    assert (rhythm.tempo_bpm, rhythm.meter, rhythm.key, rhythm.mode) == (None, None, None, None)
    assert (rhythm.confidence, rhythm.key_confidence, len(rhythm.beats_s), len(rhythm.positions)) == (0, 0, 0, 0)
    end_s = len(waveform) / RATE
    assert form == TrackForm(tuple(SectionSpan(0, end_s, level, label, "A", confidence) for level in (1, 2)))
    assert np.isnan(melody.pitches).all()
    assert len(melody.pitches) == int(end_s / melody.step_s)
    assert metronome.heard == 0


def test_versions_and_needs(analyses: Analyses, bands: Encoder) -> None:
    stages = stages_with([bands], analyses=analyses)
    assert not set(MUSIC_STAGES) & {stage.name for stage in stages_with([bands])}
    current = {stage.name: stage.version for stage in stages}

    def names(**changed: str) -> Sequence[str]:
        return [stage.name for stage in outdated(stages, current | changed)]

    assert names() == []
    assert names(rhythm="older") == ["rhythm", "structure"]
    assert names(structure="older") == ["rhythm", "structure"]
    assert names(melody="older") == ["melody"]
    assert [stage.name for stage in named_stages(stages, ["structure", "melody"])] == ["rhythm", "structure", "melody"]


class May(Step):
    """A step that a track can do without."""

    may_fail = True


def test_what_may_fail_takes_along_only_what_needs_it() -> None:
    stages: list[Stage] = [May("a"), May("b", "a"), May("c", "b"), May("d"), Step("e")]
    (bad,) = run_stages(stages, [track_of(DecodedAudio({}, 1.0), [*stages[:4]])])
    assert isinstance(bad, DecodedTrack)
    assert {stage: str(error) for stage, error in bad.failures.items()} == {"a": "a: too short", "d": "d: too short"}
    assert (bad.results, bad.waiting) == ({}, [])
    (lost,) = run_stages(stages, [track_of(DecodedAudio({}, 1.0), stages)])
    assert str(lost) == "e: too short"


def test_a_folder_is_analysed_and_an_analysis_that_fails_is_noted_and_tried_again(
    music: Path, soundalike: Soundalike, bands: Encoder, metronome: Metronome, analyses: Analyses
) -> None:
    metronome.refused = {3.3, 4.1}
    report = run(music, soundalike, bands, analyses=analyses)
    assert dict(report.counts) == {"indexed": 12, "unchanged": 0, "failed": 0}
    lost = {"tone03.wav": ("rhythm", "RuntimeError: lost count"), "tone11.wav": ("rhythm", "RuntimeError: lost count")}
    assert reasons(soundalike) == lost
    assert len(soundalike.search.answer(similar("music/low/tone03.wav", space="bands", limit=20)).results) == 11

    def known(key: str) -> list[str]:
        return sorted(set(MUSIC_STAGES) & set(analysed(soundalike)[key]))

    assert known("music/low/tone03.wav") == ["melody"]
    assert known("music/low/tone04.wav") == sorted(MUSIC_STAGES)
    heard = heard_music(soundalike.engine, soundalike.catalog.track("music/low/tone03.wav").id)
    assert (heard.rhythm, heard.form) == (None, None)
    assert heard.melody is not None

    again = run(music, soundalike, bands, analyses=analyses)
    assert dict(again.counts) == {
        "indexed": 0,
        "unchanged": 10,
        "failed": 2,
    }  # nothing else is left to be made of these
    assert reasons(soundalike) == lost
    metronome.refused = set()
    assert dict(run(music, soundalike, bands, analyses=analyses).counts) == {"indexed": 2, "unchanged": 10, "failed": 0}
    assert reasons(soundalike) == {}
    assert known("music/low/tone03.wav") == sorted(MUSIC_STAGES)


def test_an_upload_comes_in_without_what_fails(
    soundalike: Soundalike,
    bands: Encoder,
    metronome: Metronome,
    analyses: Analyses,
    tmp_path: Path,
    write_wav: Callable[..., Path],
) -> None:
    metronome.refused = {3.0}
    content = write_wav(tmp_path / "a.wav", tone(220, 3.0)).read_bytes()

    def put(title: str) -> tuple[str, str | None, str | None]:
        outcome = index_upload(
            Upload("k", "a.wav", content, title=title),
            [bands],
            soundalike.catalog,
            uploads_dir=tmp_path / "uploads",
            limits=LIMITS,
            analyses=analyses,
        )
        return outcome.status, outcome.stage, outcome.reason

    assert put("One") == ("indexed", "rhythm", "RuntimeError: lost count")
    assert put("Two") == ("indexed", "rhythm", "RuntimeError: lost count")  # what is said of it is written all the same
    assert soundalike.catalog.track("k").title == "Two"
    metronome.refused = set()
    assert put("Two") == ("indexed", None, None)
    assert put("Two") == ("unchanged", None, None)
