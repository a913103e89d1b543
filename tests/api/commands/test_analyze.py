"""`analyze`: exit codes, JSON, and one line for whatever cannot be done."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from api.wiring import Soundalike
from encoders.analysis.music import MusicAnalysis
from encoders.encoder import Encoder
from indexer.stages.registry import Analyses
from retrieval.catalog.heard.music import heard_music
from tests.conftest import Run, loaded
from tests.indexer.test_music_stages import ACCENTS, Halves, Humming, Metronome
from tests.indexer.test_pipeline import run as index

STAGES = "rhythm, structure, melody, accents, vocals, language"


@pytest.fixture
def metronome(monkeypatch: pytest.MonkeyPatch) -> Metronome:
    """What listens: to music, and to no voices."""
    metronome = Metronome()
    analyses = Analyses(music=MusicAnalysis(metronome, Halves(), Humming(), ACCENTS))
    monkeypatch.setattr(Soundalike, "analyses", lambda here, **options: analyses)
    return metronome


@pytest.fixture
def indexed(music: Path, soundalike: Soundalike, bands: Encoder) -> Soundalike:
    index(music / "low", soundalike, bands)
    return soundalike


def test_a_catalogue_is_analysed_once(run: Run, indexed: Soundalike, metronome: Metronome) -> None:
    report = loaded(run("analyze", "--all", "--stage", "rhythm,structure", "--json"))
    assert (report["counts"], report["failures"]) == ({"indexed": 6, "unchanged": 0, "failed": 0}, [])
    assert {"decode", "rhythm", "structure", "store"} <= report["seconds"].keys()
    assert "0 analysed, 6 unchanged, 0 failed" in run("analyze", "--all", "--stage", "structure, rhythm").stdout
    heard = heard_music(indexed.engine, indexed.catalog.track("low/tone03.wav").id)
    assert (heard.versions, heard.melody) == ({"rhythm": "beats-1", "structure": "halves-1"}, None)
    assert "2 analysed" in run("analyze", "low/tone03.wav", "low/tone04.wav", "--stage", "melody").stdout
    assert metronome.heard == 6
    assert "1 analysed" in run("analyze", "low/tone03.wav", "--stage", "rhythm", "--force").stdout
    assert metronome.heard == 7


def test_what_fails_is_said_and_listed(run: Run, indexed: Soundalike, metronome: Metronome) -> None:
    metronome.refused = {3.3}
    done = run("analyze", "--all", "--stage", "rhythm,melody", expect=3)
    assert "low/tone03.wav: rhythm: RuntimeError: lost count" in done.stderr
    assert "6 analysed, 0 unchanged, 0 failed" in done.stdout  # its melody was found
    assert "lost count" in done.stdout
    (failure,) = loaded(run("analyze", "--all", "--stage", "rhythm", "--json", expect=3))["failures"]
    assert (Path(failure["uri"]).name, failure["stage"]) == ("tone03.wav", "rhythm")
    assert len(loaded(run("status", "--json", "--failures"))["failures"]) == 1
    metronome.refused = set()
    assert loaded(run("analyze", "--all", "--stage", "rhythm", "--json"))["counts"]["indexed"] == 1
    assert loaded(run("status", "--json"))["failures"] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["analyze"], 2, "give either tracks"),
        (["analyze", "low/tone03.wav", "--all"], 2, "give either tracks"),
        (["analyze", "--all", "--stage", "rhythm,tempo"], 2, f"no stage 'tempo'; accepted: {STAGES}"),
        (["analyze", "--all", "--stage", ""], 2, f"no stage ''; accepted: {STAGES}"),
        (["analyze", "--all", "--stage", "vocals"], 1, "nothing here listens for vocals"),
        (["analyze", "low/tone3.wav", "--stage", "rhythm"], 1, "no track with key 'low/tone3.wav'; nearest keys: low/"),
    ],
)
def test_errors_are_one_clear_line(
    run: Run, indexed: Soundalike, metronome: Metronome, arguments: list[str], code: int, message: str
) -> None:
    assert message in run(*arguments, expect=code).stderr


KILLED = """
import os, signal, sys
from pathlib import Path
from api.settings import Settings
from api.wiring import open_soundalike
from tests.indexer.test_music_stages import ACCENTS, Halves, Humming, Metronome
from encoders.analysis.music import MusicAnalysis
from indexer.stages.registry import Analyses

done = []

def kill_in_the_middle(outcome):
    done.append(outcome)
    if len(done) == 3:
        os.kill(os.getpid(), signal.SIGKILL)

stages = Analyses(music=MusicAnalysis(Metronome(), Halves(), Humming(), ACCENTS)).stages()
with open_soundalike(Settings(home=Path(sys.argv[2]), weights_dir=Path(sys.argv[2]), database_url=sys.argv[1])) as here:
    here.analyse_again(stages, ["rhythm", "structure"], on_outcome=kill_in_the_middle)
"""


def test_killed_in_the_middle_and_started_again_it_goes_on(
    run: Run, indexed: Soundalike, metronome: Metronome, database_url: str
) -> None:
    command = [sys.executable, "-c", KILLED, database_url, str(indexed.settings.home)]
    killed = subprocess.run(command, env=dict(os.environ), check=False, timeout=240)
    assert killed.returncode == -9
    counts = loaded(run("analyze", "--all", "--stage", "rhythm,structure", "--json"))["counts"]
    assert counts == {"indexed": 3, "unchanged": 3, "failed": 0}
    assert metronome.heard == 3
