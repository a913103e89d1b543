"""What the catalogue holds is analysed again, from its files: what is missing or old, and nothing else."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from api.wiring import Soundalike
from encoders.analysis.music import MusicAnalysis
from encoders.encoder import Encoder
from indexer.jobs import IngestReport, analyse_again
from indexer.stages.registry import Analyses
from indexer.uploads import Upload, index_upload
from retrieval.catalog.heard.music import MUSIC_STAGES, heard_music
from retrieval.errors import UnknownTrackError
from retrieval.search.query import similar
from tests.conftest import tone
from tests.indexer.test_music_stages import ACCENTS, Halves, Humming, Metronome
from tests.indexer.test_pipeline import LIMITS, reasons, run
from tests.indexer.test_stages import analysed, changed


@pytest.fixture
def metronome() -> Metronome:
    return Metronome()


@pytest.fixture
def analyses(metronome: Metronome) -> Analyses:
    return Analyses(music=MusicAnalysis(metronome, Halves(), Humming(), ACCENTS))


def again(
    here: Soundalike, analyses: Analyses, *names: str, keys: Sequence[str] | None = None, force: bool = False
) -> IngestReport:
    return analyse_again(
        analyses.stages(),
        names or MUSIC_STAGES,
        here.search,
        here.ledger,
        limits=LIMITS,
        decode_threads=2,
        keys=keys,
        force=force,
    )


def test_what_is_missing_or_old_is_analysed_from_the_files(
    music: Path, soundalike: Soundalike, bands: Encoder, metronome: Metronome, analyses: Analyses
) -> None:
    run(music, soundalike, bands)
    before = soundalike.catalog.revision()
    assert again(soundalike, analyses).counts["indexed"] == 12
    assert soundalike.catalog.revision() == before + 12
    made = {stage: version for stage, (version, _) in analysed(soundalike)["music/low/tone03.wav"].items()}
    versions = {"rhythm": "beats-1", "structure": "halves-1", "melody": "hum-1", "embedding/bands": "bands-1"}
    assert made | versions == made
    assert dict(again(soundalike, analyses).counts) == {"indexed": 0, "unchanged": 12, "failed": 0}
    assert metronome.heard == 12
    stood = analysed(soundalike)

    with soundalike.engine.begin() as connection:
        connection.execute(text("UPDATE analyses SET version = 'old' WHERE stage = 'melody' AND track_id = 1"))
    assert again(soundalike, analyses, "melody").counts["indexed"] == 1
    assert changed(stood, analysed(soundalike)) == {"melody"}

    keys = ["music/low/tone03.wav", "music/low/tone04.wav", "music/low/tone03.wav"]
    assert again(soundalike, analyses, keys=keys).counts == {"indexed": 0, "unchanged": 2, "failed": 0}
    assert again(soundalike, analyses, "structure", keys=keys, force=True).counts["indexed"] == 2
    assert metronome.heard == 14  # a form is made from a rhythm that is at hand
    with pytest.raises(UnknownTrackError, match="nearest keys: music/low/tone00"):
        again(soundalike, analyses, keys=[keys[0], "music/low/tone3.wav"])
    assert len(soundalike.search.answer(similar(keys[0], space="bands", limit=20)).results) == 11


def test_what_is_made_from_what_is_new_is_left_to_run(
    music: Path, soundalike: Soundalike, bands: Encoder, metronome: Metronome, analyses: Analyses
) -> None:
    run(music / "low", soundalike, bands, analyses=analyses)
    metronome.version = "beats-2"
    renewed = Analyses(music=replace(analyses.music, rhythm=metronome))  # type: ignore[type-var]
    assert again(soundalike, renewed, "rhythm").counts["indexed"] == 6
    assert {stage for stages in analysed(soundalike).values() for stage in stages} & set(MUSIC_STAGES) == {
        "rhythm",
        "melody",
    }
    form = heard_music(soundalike.engine, soundalike.catalog.track("low/tone03.wav").id).form
    assert form is not None  # it stands until the new one is made
    assert again(soundalike, renewed).counts["indexed"] == 6
    assert again(soundalike, renewed).counts["unchanged"] == 6


def test_an_analysis_leaves_alone_what_was_said_of_a_track(
    soundalike: Soundalike, bands: Encoder, analyses: Analyses, tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    content = write_wav(tmp_path / "a.wav", tone(220, 3.0)).read_bytes()
    sent = Upload("k", "a.wav", content, title="Sent", year=1999, metadata={"plays": 3})
    index_upload(sent, [bands], soundalike.catalog, uploads_dir=tmp_path / "uploads", limits=LIMITS)
    soundalike.catalog.correct("k", {"artist": "Said"})
    before = soundalike.catalog.track("k")
    assert again(soundalike, analyses).counts["indexed"] == 1
    heard = soundalike.catalog.track("k")
    assert heard.tempo is not None
    assert replace(heard, tempo=None, meter=None, tonic=None, mode=None) == before
    assert heard_music(soundalike.engine, before.id).rhythm is not None
    soundalike.catalog.correct("k", {"artist": None})
    assert soundalike.catalog.track("k").artist is None


def test_files_that_are_gone_or_others_are_listed_and_what_was_known_stays(
    music: Path, soundalike: Soundalike, bands: Encoder, analyses: Analyses, write_wav: Callable[..., Path]
) -> None:
    run(music / "low", soundalike, bands)
    (music / "low" / "tone00.wav").unlink()
    write_wav(music / "low" / "tone01.wav", tone(990, 3.0))
    before = soundalike.catalog.track_vector(soundalike.catalog.track("low/tone01.wav").id, "bands")
    assert dict(again(soundalike, analyses).counts) == {"indexed": 4, "unchanged": 0, "failed": 2}
    assert reasons(soundalike) == {
        "tone00.wav": ("scan", "the file has vanished"),
        "tone01.wav": ("scan", "the file is not the one that was indexed: run `soundalike index` over it"),
    }
    assert soundalike.catalog.count() == 6
    track_id = soundalike.catalog.track("low/tone01.wav").id
    np.testing.assert_array_equal(soundalike.catalog.track_vector(track_id, "bands"), before)
    assert heard_music(soundalike.engine, track_id).rhythm is None


def test_a_failure_goes_with_the_analysis_that_had_it(
    music: Path, soundalike: Soundalike, bands: Encoder, metronome: Metronome, analyses: Analyses
) -> None:
    run(music / "low", soundalike, bands)
    metronome.refused = {3.3}
    assert dict(again(soundalike, analyses, "rhythm").counts) == {"indexed": 5, "unchanged": 0, "failed": 1}
    assert reasons(soundalike) == {"tone03.wav": ("rhythm", "RuntimeError: lost count")}
    assert again(soundalike, analyses, "melody").counts["indexed"] == 6
    assert set(reasons(soundalike)) == {"tone03.wav"}
    metronome.refused = set()
    assert again(soundalike, analyses, "rhythm").counts["indexed"] == 1
    assert reasons(soundalike) == {}


def test_what_was_interrupted_goes_on_where_it_stopped(
    music: Path, soundalike: Soundalike, bands: Encoder, metronome: Metronome, analyses: Analyses
) -> None:
    run(music, soundalike, bands)
    seen = 0

    def stop_after_five(outcome: object) -> None:
        nonlocal seen
        seen += 1
        if seen == 5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        analyse_again(
            analyses.stages(),
            ["rhythm"],
            soundalike.search,
            soundalike.ledger,
            limits=LIMITS,
            decode_threads=1,
            on_outcome=stop_after_five,
        )
    (job_id,) = [job for job in range(1, 20) if _kind(soundalike, job) == "analyze"]
    assert soundalike.ledger.job(job_id).state == "interrupted"
    assert dict(again(soundalike, analyses, "rhythm").counts) == {"indexed": 7, "unchanged": 5, "failed": 0}


def _kind(here: Soundalike, job_id: int) -> str | None:
    with here.engine.connect() as connection:
        return connection.execute(text("SELECT kind FROM jobs WHERE id = :id"), {"id": job_id}).scalar()
