"""What is learnt from, what chooses and what judges share no source."""

from pathlib import Path

import numpy as np
import pytest

from encoders.training.corpus import CorpusError
from encoders.training.voices.clips import Clip, append_clips, write_clip
from encoders.training.voices.mixes import Activity
from encoders.training.voices.parts import Part, part_of_music, part_of_voice, read_beds, read_voices

RATE = 16_000


def clip(language: str, source: str, speaker: str = "one", kind: str = "recorded", path: str = "a.flac") -> Clip:
    return Clip(path, language, speaker, source, kind, 1.0, "CC0-1.0")


def test_a_source_is_of_one_part_whatever_it_says_and_sings() -> None:
    for source in ("drascula", "festival", "open-jtalk", "espeak-ng", "some new package"):
        parts = {
            part_of_voice(clip(language, source, speaker, kind))
            for language in ("de", "fr")
            for speaker in ("one", "two")
            for kind in ("recorded", "sung")
        }
        assert len(parts) == 1, source
    assert part_of_voice(clip("de", "some new package")) is Part.TRAINING


@pytest.mark.parametrize("source", ["hedgewars-data", "ktuberling-data"])
def test_of_a_source_with_speakers_by_language_nothing_is_learnt(source: str) -> None:
    parts = {part_of_voice(clip(language, source)) for language in ("en", "de", "fi", "fr", "pl")}
    assert parts == {Part.VALIDATION, Part.TEST}


def test_a_neural_voice_is_of_one_part_in_every_clip() -> None:
    speakers = [f"voice{number}" for number in range(10)]
    parts = [{part_of_voice(clip(code, "kokoro", speaker)) for code in ("ja", "en")} for speaker in speakers]
    assert all(len(part) == 1 for part in parts)
    assert set.union(*parts) == {Part.TRAINING, Part.TEST}


def test_music_is_parted_by_package() -> None:
    assert part_of_music("naev-data") is Part.VALIDATION
    assert part_of_music("supertuxkart-data") is Part.TEST
    assert part_of_music("another") is Part.TRAINING


def test_clips_of_a_part_are_read_by_language_source_and_speaker(tmp_path: Path) -> None:
    write_clip(tmp_path / "a.flac", np.full(RATE, 0.1, np.float32))
    spoken, sung = tmp_path / "spoken.tsv", tmp_path / "sung.tsv"
    append_clips(spoken, [clip("de", "drascula")])
    append_clips(spoken, [clip("de", "drascula", "two")])
    append_clips(spoken, [clip("de", "new")])
    append_clips(sung, [clip("es", "new", kind="sung")])
    training, test = (read_voices([spoken, sung], part) for part in (Part.TRAINING, Part.TEST))
    assert set(training.spoken) == {("de", "new", "one")}
    assert set(training.sung) == {("es", "new", "one")}
    assert set(test.spoken) == {("de", "drascula", "one"), ("de", "drascula", "two")}
    assert test.sung == {}
    vocal = training.vocal(training.sung["es", "new", "one"][0])
    assert (vocal.activity, vocal.language, len(vocal.waveform)) == (Activity.SINGING, "es", RATE)
    assert training.vocal(training.spoken["de", "new", "one"][0]).activity is Activity.SPEECH


def test_a_corpus_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(CorpusError):
        read_beds(tmp_path / "gone", Part.TEST)
    with pytest.raises(CorpusError, match="gone"):
        read_voices([tmp_path / "gone.tsv"], Part.TEST)
