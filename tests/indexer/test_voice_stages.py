"""The stages of the voice: rows that the catalogue takes, what one needs of the other, and the words that are read."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import torch

from api.wiring import Soundalike
from encoders.analysis.languages import SAMPLE_RATE, LanguageIdentifier
from encoders.analysis.vocals import VocalDetector
from encoders.analysis.voices import VoiceAnalysis
from encoders.encoder import Encoder
from encoders.media.decoded import DecodedAudio
from indexer.errors import StageError
from indexer.file_tags import FileTags
from indexer.stages.language import LanguageStage
from indexer.stages.registry import Analyses, stages_with
from indexer.stages.stage import StageResult, TrackInput, outdated
from indexer.stages.vocals import VocalsStage
from indexer.uploads import Upload, index_upload
from retrieval.catalog.heard.voices import heard_voice
from retrieval.catalog.records import LanguageRatios, VocalActivity
from tests.encoders.analysis.test_languages import Pitch
from tests.encoders.analysis.test_vocals import Pitched, sound
from tests.encoders.models.language.songs import SONGS
from tests.indexer.test_pipeline import LIMITS

SINGS_ES = (("none", 4.0), ("singing", 12.0))  # a pitch that the ear below takes for Spanish
VOICE_HZ = 1200


class SingsInSpanish(Pitch):
    """Hears the pitch that is singing to :class:`Pitched` as Spanish."""

    def listen(self, window: np.ndarray) -> np.ndarray:
        times = np.arange(len(window)) / SAMPLE_RATE
        return super().listen((0.2 * np.sin(2 * np.pi * 800 * times)).astype(np.float32))


@pytest.fixture
def voices() -> VoiceAnalysis:
    detector = VocalDetector(Pitched(), version="vocals-1", device=torch.device("cpu"))
    return VoiceAnalysis(detector, LanguageIdentifier(SingsInSpanish()))


@pytest.fixture
def stages(voices: VoiceAnalysis) -> tuple[VocalsStage, LanguageStage]:
    return VocalsStage(voices.vocals), LanguageStage(voices.languages)


def track(waveform: np.ndarray, **fields: object) -> TrackInput:
    return TrackInput(DecodedAudio({SAMPLE_RATE: waveform}, len(waveform) / SAMPLE_RATE), **fields)  # type: ignore[arg-type]


def analysed(
    stages: tuple[VocalsStage, LanguageStage], waveform: np.ndarray, **fields: object
) -> tuple[VocalActivity, LanguageRatios]:
    vocals, language = stages
    (first,) = vocals.run([track(waveform)])
    assert isinstance(first, StageResult), first
    (second,) = language.run([track(waveform, earlier={"vocals": first}, **fields)])
    assert isinstance(second, StageResult), second
    assert (set(first.seconds), set(second.seconds)) == ({"vocals"}, {"language"})
    (activity,), (ratios,) = first.rows, second.rows
    assert isinstance(activity, VocalActivity)
    assert isinstance(ratios, LanguageRatios)
    return activity, ratios


def test_rows_are_plain_and_say_what_is_heard(stages: tuple[VocalsStage, LanguageStage]) -> None:
    activity, languages = analysed(stages, sound(*SINGS_ES))
    assert (activity.vocal_ratio, activity.speech_ratio) == (0.75, 0.0)
    assert [(span.kind, span.start_s, span.end_s) for span in activity.spans] == [("singing", 4.0, 16.0)]
    assert languages.ratios["es"] > 0.97
    assert [(span.language, span.start_s, span.end_s) for span in languages.spans] == [("es", 4.0, 16.0)]
    for row in (activity, languages):
        json.dumps(asdict(row), allow_nan=False)
    numbers = [activity.confidence, languages.confidence, *languages.ratios.values()]
    numbers += [number for span in (*activity.spans, *languages.spans) for number in (span.start_s, span.confidence)]
    assert {type(number) for number in numbers} == {float}


def test_a_track_without_voices_has_no_languages(stages: tuple[VocalsStage, LanguageStage]) -> None:
    activity, languages = analysed(stages, sound(("none", 5.0)), tags=FileTags(title="Canción de la luna"))
    assert (activity.vocal_ratio, activity.spans) == (0.0, [])
    assert (languages.ratios, languages.spans, languages.evidence) == ({}, [], {})


def test_tags_and_lyrics_beside_the_file_are_read(stages: tuple[VocalsStage, LanguageStage], tmp_path: Path) -> None:
    waveform = sound(*SINGS_ES)
    (tmp_path / "song.lrc").write_text(SONGS["es"], encoding="utf-8")
    path = tmp_path / "song.wav"
    path.touch()
    _, languages = analysed(stages, waveform, path=path, tags=FileTags(title="De colores"))
    assert languages.evidence["text"]["es"] > 0.9
    _, alone = analysed(stages, waveform)
    assert set(alone.evidence) == {"audio"}


def test_a_track_that_cannot_be_listened_to_fails_alone(stages: tuple[VocalsStage, LanguageStage]) -> None:
    good, bad = sound(*SINGS_ES), sound(*SINGS_ES)
    bad[100] = np.nan
    first, second, third = stages[0].run([track(good), track(bad), track(np.zeros(0, np.float32))])
    assert isinstance(first, StageResult)
    assert isinstance(second, StageError)
    assert isinstance(third, StageError)
    assert "NaN or infinity" in str(second)


def test_versions_and_needs(voices: VoiceAnalysis, bands: Encoder) -> None:
    stages = stages_with([bands], analyses=Analyses(voices))
    by_name = {stage.name: stage for stage in stages}
    assert by_name["vocals"].version == "vocals-1-1"  # of the weights, and of how spans are told
    assert by_name["language"].version == "1-pitch"
    assert LanguageStage(LanguageIdentifier(None)).version == "1-text"
    current = {stage.name: stage.version for stage in stages}

    def names(**changed: str) -> Sequence[str]:
        return [stage.name for stage in outdated(stages, current | changed)]

    assert names() == []
    assert names(vocals="older") == ["vocals", "language"]
    assert names(language="1-text") == ["vocals", "language"]
    assert not {"vocals", "language"} & {stage.name for stage in stages_with([bands])}


def test_the_title_that_is_sent_with_an_upload_is_read(
    voices: VoiceAnalysis, soundalike: Soundalike, bands: Encoder, tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    content = write_wav(tmp_path / "a.wav", sound(*SINGS_ES)).read_bytes()

    def put(key: str, title: str | None) -> LanguageRatios:
        upload = Upload(key, "a.wav", content, title=title)
        outcome = index_upload(
            upload,
            [bands],
            soundalike.catalog,
            uploads_dir=tmp_path / "uploads",
            limits=LIMITS,
            analyses=Analyses(voices),
        )
        assert outcome.status == "indexed", outcome
        voice = heard_voice(soundalike.engine, soundalike.catalog.track(key).id)
        assert voice.languages is not None
        return voice.languages

    assert put("with", "さくらの花が咲いている").evidence["text"]["ja"] > 0.5
    assert "text" not in put("without", None).evidence
