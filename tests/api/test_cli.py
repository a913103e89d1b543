"""The command line as a user sees it: exit codes, one line for every error, JSON, and Ctrl-C."""

import json
import os
import shutil
import signal
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sqlalchemy import Engine, text

from api.cli.main import main
from api.settings import SettingsError, read_settings
from api.wiring import Soundalike
from encoders.checkpoints.files import save_weights
from encoders.models.embeddings.samplecnn import SPEC as SAMPLECNN
from encoders.models.embeddings.timbre import StatisticsNet
from tests.conftest import tone


@pytest.fixture
def environment(database_url: str, tmp_path: Path, weights_dir: Path) -> dict[str, str]:
    return os.environ | {
        "DATABASE_URL": database_url,
        "SOUNDALIKE_HOME": str(tmp_path / "home"),
        "SOUNDALIKE_CACHE": str(weights_dir.parent),
        "SOUNDALIKE_SPACE": "musicnn",
        "COLUMNS": "200",
    }


@dataclass(frozen=True)
class Done:
    stdout: str
    stderr: str


Run = Callable[..., Done]


@pytest.fixture
def run(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command in this process, with the environment of the test."""

    def call(*arguments: str | Path, expect: int = 0, **changed: str) -> Done:
        for name, value in (environment | changed).items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        done = Done(*capsys.readouterr())
        assert ended.value.code == expect, done
        return done

    return call


def loaded(done: Done) -> Any:
    return json.loads(done.stdout)


def test_a_folder_to_answers(run: Run, music: Path, write_wav: Callable[..., Path], tmp_path: Path) -> None:
    (music / "letter.mp3").write_text("not a song")
    report = loaded(run("index", music, "--json", expect=3))
    assert report["counts"] == {"indexed": 12, "unchanged": 0, "failed": 1}
    assert report["failures"][0]["uri"].endswith("letter.mp3")
    again = run("index", music, expect=3)
    assert "0 indexed, 12 unchanged, 1 failed" in again.stdout

    status = loaded(run("status", "--json", "--failures"))
    assert status["tracks"] == 12
    assert status["spaces"][0]["space"] == "musicnn"
    assert len(status["failures"]) == 1
    shown = run("status", "--failures").stdout
    assert "letter.mp3" in shown
    assert "decode" in shown

    answer = loaded(run("similar", "music/low/tone03.wav", "--json", "-n", "3"))
    assert len(answer["results"]) == 3
    assert answer["stats"]["path"] == "exact"
    by_path = loaded(run("similar", music / "low" / "tone03.wav", "--json", "-n", "3"))
    assert by_path["results"] == answer["results"]
    outside = write_wav(tmp_path / "outside.wav", tone(110 * 2, 3.3))  # tone03 again, from elsewhere
    by_file = loaded(run("similar", outside, "--json", "-n", "3"))
    assert by_file["results"][0]["track"] == "music/low/tone03.wav"
    table = run("similar", "music/low/tone03.wav").stdout
    assert "music/low/tone02.wav" in table
    assert "exact search" in table

    only_long = '{"must": [{"key": "duration_s", "range": {"gte": 4.05}}]}'
    filtered = loaded(run("similar", "music/low/tone03.wav", "--filter", only_long, "--json"))
    assert {result["track"] for result in filtered["results"]} == {"music/high/tone11.wav"}
    assert [track["track"] for track in loaded(run("tracks", "--filter", only_long, "--json"))] == [
        "music/high/tone11.wav"
    ]

    assert loaded(run("rebuild", "--json"))[0]["manifest"]["count"] == 12
    run("delete", "music/low/tone03.wav")
    assert "nearest keys: music/low/tone0" in run("similar", "music/low/tone03.wav", expect=1).stderr


def results(done: Done) -> list[str]:
    return [result["track"] for result in loaded(done)["results"]]


def test_searches_of_every_kind(run: Run, engine: Engine, music: Path, tmp_path: Path) -> None:
    run("index", music)
    low, high = "music/low/tone01.wav", "music/high/tone10.wav"
    several = results(run("similar", low, high, "--strategy", "best_score", "--json"))
    assert len(several) == 10
    assert not {low, high} & set(several)
    assert {several[0], several[1]} <= {f"music/low/tone0{n}.wav" for n in (0, 2, 3)} | {
        f"music/high/tone{n:02}.wav" for n in (8, 9, 11)
    }
    unlike = loaded(run("similar", low, "--unlike", high, "--unlike", music / "high" / "tone11.wav", "--json"))
    assert {result["track"] for result in unlike["results"]} == {
        f"music/{'low' if n < 6 else 'high'}/tone{n:02}.wav" for n in (0, *range(2, 10))
    }
    assert unlike["results"][0]["explain"]["driven_by"] == low
    table = run("similar", low, "--unlike", high, "-n", "2", "--exclude", "music/low/tone00.wav").stdout
    assert table.startswith(f"sounds like {low}, unlike {high}")
    assert "1 dropped by exclude" in table

    by_part = ("similar", low, "--granularity", "segment", "-n", "3", "--json")
    parts = loaded(run(*by_part))["results"]
    assert all(0 <= part["span"]["start_s"] < part["span"]["end_s"] <= 4.2 for part in parts)
    assert "0:00 – 0:03" in run("similar", low, "--granularity", "segment").stdout
    span = ("--from-s", "0", "--to-s", "2", "--json")
    assert results(run("similar", low, *span)) == results(run("similar", low, "--json"))  # it has one segment
    clip = shutil.copy(music / "low" / "tone01.wav", tmp_path / "clip.wav")
    assert results(run("similar", clip, *span))[0] == low

    folded = loaded(run("similar", low, "--fold-duplicates", "--mmr", "0.3", "--json"))
    assert folded["stats"]["dropped"]["duplicate"] == 11 - len(folded["results"]) > 0  # neighbouring tones are alike
    with engine.begin() as connection:
        connection.execute(text("UPDATE tracks SET artist = 'A', album = 'B' WHERE key LIKE 'music/low/%'"))
    few = results(run("similar", low, "--max-per", "artist=3", "--max-per", "album=2", "--json"))
    assert (len(few), sum("low" in key for key in few)) == (8, 2)
    assert len(results(run("similar", low, "--mmr", "1", "-n", "4", "--json"))) == 4

    body = tmp_path / "body.json"
    body.write_text(json.dumps({"query": {"track": low}, "limit": 4}))
    assert results(run("query", body, "--json")) == results(run("similar", low, "-n", "4", "--json"))
    assert low not in run("query", body).stdout.split("\n", 1)[1]
    for wrong, message in (
        ("{", "is not JSON"),
        ('{"query": {"track": "a"}, "limits": 1}', "limits: Extra inputs are not permitted"),
        ('{"query": {"recommend": {"positive": [{"vector": [1]}]}}}', "query.recommend.positive[0].vector: has 1 val"),
    ):
        body.write_text(wrong)
        assert message in run("query", body, expect=1).stderr

    way = loaded(run("path", low, high, "-n", "5", "--json"))
    assert [way["tracks"][place]["track"] for place in (0, -1)] == [low, high]
    assert len({stop["track"] for stop in way["tracks"]}) == 5
    assert way["tracks"][-1]["cosine_to_next"] is None
    shown = run("path", low, high, "-n", "5").stdout
    for stop in way["tracks"][:-1]:
        assert f"{stop['cosine_to_next']:.3f}" in shown
        assert stop["track"] in shown

    assert [report["manifest"]["granularity"] for report in loaded(run("rebuild", "--json"))] == ["track", "segment"]
    assert run("rebuild", "--granularity", "segment").stdout == "musicnn: 12 tracks, 12 segments, flat\n"
    rebuilt = loaded(run(*by_part))["results"]
    assert [(part["track"], part["span"]) for part in rebuilt] == [(part["track"], part["span"]) for part in parts]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["similar"], 2, "KEY_OR_FILE"),
        (["similar", "x", "--max-per", "genre=2"], 2, "'genre=2' is not artist=N or album=N"),
        (["similar", "x", "--max-per", "artist=0"], 2, "'artist=0' is not artist=N"),
        (["similar", "x", "--mmr", "2"], 2, "0<=x<=1"),
        (["similar", "x", "--strategy", "best"], 2, "'best_score'"),
        (["similar", "x", "--from-s", "2"], 2, "a span needs both --from-s and --to-s"),
        (["similar", "x", "--from-s", "3", "--to-s", "2"], 2, "--from-s is 3, --to-s is 2"),
        (["similar", "x", "y", "--from-s", "1", "--to-s", "2"], 2, "need a single KEY_OR_FILE"),
        (["similar", "x", "-n", "0"], 2, "1<=x<=1000"),
        (["path", "x", "y"], 1, "space 'musicnn' holds no track"),
        (["path", "x", "y", "-n", "1"], 2, "2<=x<=100"),
        (["query", "/nowhere"], 2, "No such file"),
        (["index"], 2, "give either a PATH or --pack NAME"),
        (["index", "/nowhere/at all"], 1, "/nowhere/at all: no such file or folder"),
        (["index", "--pack", "imich"], 1, "immich"),
        (["index", "--space", "musicn", "."], 1, "musicnn"),
        (["similar", "x", "--filter", "{"], 2, "not JSON"),
        (["similar", "x", "--filter", '{"mist": []}'], 1, "filter.mist"),
        (["similar", "x"], 1, "no track with key 'x'"),
        (["rebuild", "--space", "nosuch"], 1, "space 'nosuch' holds no track"),
        (["weights", "fetch", "clmr-samplecnn"], 2, "import a checkpoint"),
        (["weights", "import", "clmr-samplecnn", __file__], 1, "test_cli.py"),
        (["--nosuch"], 2, "--nosuch"),
    ],
)
def test_errors_are_one_clear_line(run: Run, arguments: list[str], code: int, message: str) -> None:
    assert message in run(*arguments, expect=code).stderr


def test_missing_weights_say_how_to_get_them(run: Run, music: Path, tmp_path: Path) -> None:
    done = run("index", music, expect=1, SOUNDALIKE_CACHE=str(tmp_path / "none"))
    assert "soundalike weights fetch musicnn" in done.stderr
    done = run("index", music, "--space", "clmr-samplecnn", expect=1)
    assert "soundalike weights import clmr-samplecnn FILE" in done.stderr


def test_no_database_gives_one_line(run: Run) -> None:
    done = run("status", expect=1, DATABASE_URL="postgresql://me:secret@127.0.0.1:9/none")
    assert done.stderr.startswith("soundalike: no PostgreSQL at postgresql+psycopg://me:***@127.0.0.1:9/none")
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_empty_database_of_ones_own_is_migrated_on_demand(run: Run, empty_database_url: str) -> None:
    assert "run `soundalike migrate`" in run("status", expect=1, DATABASE_URL=empty_database_url).stderr
    run("migrate", DATABASE_URL=empty_database_url)
    assert loaded(run("status", "--json", DATABASE_URL=empty_database_url))["tracks"] == 0


def test_the_embedded_database_needs_nothing(
    run: Run, music: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    home = str(tmp_path / "embedded")
    run("index", music / "low", DATABASE_URL="", SOUNDALIKE_HOME=home)
    assert loaded(run("status", "--json", DATABASE_URL="", SOUNDALIKE_HOME=home))["tracks"] == 6


def test_ctrl_c_leaves_everything_consistent(
    run: Run, soundalike: Soundalike, environment: dict[str, str], tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    rng = np.random.default_rng(0)
    for number in range(40):
        write_wav(tmp_path / "many" / f"{number:02}.wav", rng.uniform(-0.5, 0.5, 60 * 16_000).astype(np.float32))
    command = [Path(sys.executable).with_name("soundalike"), "index", tmp_path / "many"]
    # A shell's background jobs ignore the signal, and hand that down to whatever they start.
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    started = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heeding)
    while soundalike.catalog.count() < 2:
        assert started.poll() is None
    started.send_signal(signal.SIGINT)
    _, errors = started.communicate(timeout=60)
    assert started.returncode == 130, errors
    assert "interrupted; what was stored stays" in errors
    stored = loaded(run("status", "--json"))
    assert 2 <= stored["tracks"] < 40
    assert stored["spaces"][0]["searchable"] == stored["tracks"]


def test_weights_are_listed(run: Run) -> None:
    rows = {row["name"]: row for row in loaded(run("weights", "list", "--json"))}
    assert rows["musicnn"]["here"]
    assert rows["musicnn"]["license"] == "ISC"
    assert (rows["timbre"]["dim"], rows["clmr-samplecnn"]["dim"]) == (256, 512)
    assert "musicnn" in run("weights", "list").stdout


def test_settings_name_the_variable() -> None:
    with pytest.raises(SettingsError, match="SOUNDALIKE_DECODE_THREADS is 'many'; accepted: a number above zero"):
        read_settings({"SOUNDALIKE_DECODE_THREADS": "many"})
    with pytest.raises(SettingsError, match="SOUNDALIKE_MAX_DURATION_S"):
        read_settings({"SOUNDALIKE_MAX_DURATION_S": "-1"})


@pytest.mark.parametrize("recall", ["most", "1", "0.5", "nan"])
def test_a_recall_that_no_index_is_tuned_to_is_refused(recall: str) -> None:
    with pytest.raises(SettingsError, match=f"SOUNDALIKE_INDEX_RECALL is '{recall}'; accepted: a number from 0.8 to"):
        read_settings({"SOUNDALIKE_INDEX_RECALL": recall})


def test_encoders_of_ones_own_are_read_from_the_environment() -> None:
    def read(raw: str) -> Any:
        return read_settings({"SOUNDALIKE_ENCODERS": raw}).encoders

    assert read_settings({}).encoders == read("") == {}
    assert read("mine=my.module:SPEC") == {"mine": "my.module:SPEC"}
    assert read(" mine = my.module:SPEC, other=o:make,") == {"mine": "my.module:SPEC", "other": "o:make"}
    for wrong in ("mine", "mine=", "mine=module", "mine=module:", "mine=:SPEC", "=module:SPEC", "a=b:c,d"):
        with pytest.raises(SettingsError, match=r"SOUNDALIKE_ENCODERS is .*; accepted: name=module:attribute, separ"):
            read(wrong)


def test_the_space_is_ours_unless_another_is_named() -> None:
    assert read_settings({}).space == "soundalike"
    assert read_settings({"SOUNDALIKE_SPACE": "musicnn"}).space == "musicnn"


OWN_ENCODER = """
import torch

from encoders.spec import EncoderSpec


class Loudest(torch.nn.Module):
    \"\"\"Hears how loud each of 40 bands is.\"\"\"

    def forward(self, waveform):
        power = torch.fft.rfft(waveform).abs()[:, 1:4001].reshape(len(waveform), 40, -1).amax(2)
        return torch.log1p(power), waveform[:, :0]


def spec():
    return EncoderSpec(name="anything", sample_rate=16_000, window_length=16_000, dim=40, build=Loudest, convert=dict,
                       reference="of the tests", license="CC0-1.0", complete=True)
"""


def test_an_encoder_of_ones_own_becomes_a_space(
    run: Run, music: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "my_bands.py").write_text(OWN_ENCODER)
    monkeypatch.syspath_prepend(tmp_path / "own")
    own = {"SOUNDALIKE_ENCODERS": "mine=my_bands:spec"}
    listed = {row["name"]: row for row in loaded(run("weights", "list", "--json", **own))}
    assert (listed["mine"]["here"], listed["mine"]["dim"], listed["mine"]["license"]) == (True, 40, "CC0-1.0")
    run("index", music, "--space", "mine", **own)
    clip = shutil.copy(music / "low" / "tone03.wav", tmp_path / "clip.wav")
    answer = loaded(run("similar", clip, "--space", "mine", "--json", "-n", "2", **own))
    assert answer["model_version"].startswith("mine-")
    assert answer["results"][0]["track"] == "music/low/tone03.wav"
    assert answer["results"][0]["score"] == pytest.approx(1, abs=1e-4)
    shown = run("demo", music, SOUNDALIKE_SPACE="mine", **own).stdout
    assert "12 unchanged" in shown
    unknown = run("index", music, "--space", "mine", expect=1, SOUNDALIKE_ENCODERS="").stderr
    assert "unknown encoder 'mine'" in unknown
    wrong = run("status", expect=1, SOUNDALIKE_ENCODERS="mine").stderr
    assert wrong.startswith("soundalike: SOUNDALIKE_ENCODERS is 'mine'; accepted: name=module:attribute")


def test_a_published_checkpoint_becomes_a_space_beside_the_others(
    run: Run, music: Path, tmp_path: Path, weights_dir: Path
) -> None:
    torch.manual_seed(0)
    tensors = {f"encoder.{key}": tensor for key, tensor in SAMPLECNN.build().state_dict().items()}
    torch.save({"state_dict": tensors, "hyper_parameters": Namespace(batch_size=48)}, tmp_path / "clmr.ckpt")
    cache = tmp_path / "cache"
    shutil.copytree(weights_dir, cache / "weights")
    run("weights", "import", "clmr-samplecnn", tmp_path / "clmr.ckpt", SOUNDALIKE_CACHE=str(cache))
    both = ("--space", "clmr-samplecnn", "--space", "musicnn")
    assert loaded(run("index", music, *both, "--json", SOUNDALIKE_CACHE=str(cache)))["counts"]["indexed"] == 12
    spaces = {space["space"]: space for space in loaded(run("status", "--json"))["spaces"]}
    assert {name: space["dim"] for name, space in spaces.items()} == {"clmr-samplecnn": 512, "musicnn": 200}
    answer = loaded(run("similar", "music/low/tone03.wav", "--space", "clmr-samplecnn", "--json"))
    assert answer["model_version"].startswith("clmr-samplecnn-")
    assert len(answer["results"]) == 10


def test_weights_trained_here_become_a_space(run: Run, music: Path, tmp_path: Path) -> None:
    corpus, out, cache = tmp_path / "corpus", tmp_path / "run", str(tmp_path / "cache")
    assert loaded(run("train", "corpus", music, "--out", corpus, "--json"))["groups"] == ["high", "low"]
    arguments = ("train", "samplecnn", "--corpus", corpus, "--out", out, "--batch-size", "4", "--steps", "2")
    report = loaded(run(*arguments, "--hold-out", "low", "--json"))
    assert report["trained"] is None  # three seconds have no two halves
    steps = (out / "losses.jsonl").read_text().splitlines()
    run(*arguments, "--hold-out", "low")  # nothing is left to do
    assert (out / "losses.jsonl").read_text().splitlines() == steps
    assert "no group lwo" in run(*arguments, "--hold-out", "lwo", expect=1).stderr
    assert "of another training: seed 0 there, 1 here" in run(*arguments, "--seed", "1", expect=1).stderr
    run("weights", "import", "clmr-samplecnn", report["weights"], SOUNDALIKE_CACHE=cache)
    run("index", music, "--space", "clmr-samplecnn", SOUNDALIKE_CACHE=cache)
    assert len(loaded(run("similar", "music/low/tone03.wav", "--space", "clmr-samplecnn", "--json"))["results"]) == 10


@pytest.fixture
def corpus(run: Run, tmp_path: Path, write_wav: Callable[..., Path]) -> Path:
    """Five tracks of 21 s, of two groups; each swells between tones of its own."""
    rng = np.random.default_rng(5)
    swell = 0.5 + 0.5 * np.sin(np.arange(21 * 16_000) / 4_000)
    for number in range(5):
        sound = tone(130 * 2 ** (number / 4), 21) * swell + tone(210 * 2 ** (number / 3), 21) * (1 - swell)
        noisy = (0.5 * sound + rng.normal(0, 0.01, len(sound))).astype(np.float32)
        write_wav(tmp_path / "sources" / ("first" if number < 3 else "second") / f"{number}.wav", noisy)
    report = loaded(run("train", "corpus", tmp_path / "sources", "--out", tmp_path / "corpus", "--json"))
    assert (report["tracks"], report["groups"]) == (5, ["first", "second"])
    return tmp_path / "corpus"


def test_timbre_is_trained_and_becomes_a_space(run: Run, corpus: Path, tmp_path: Path) -> None:
    arguments = ("train", "timbre", "--corpus", corpus, "--out", tmp_path / "run", "--steps", "3", "--batch-size", "3")
    report = loaded(run(*arguments, "--hold-out", "second", "--json"))
    assert report["measure"] == "half-track recall@1"
    assert report["trained"] == 1.0  # two tracks of other tones
    assert 0 <= report["untrained"] <= 1
    first = Path(report["weights"]).read_bytes()
    again = run(*arguments, "--hold-out", "second").stdout  # nothing is left to do
    assert "half-track recall@1 on what was held out: 1.000, untrained" in again
    assert f"soundalike weights import timbre {report['weights']}" in again
    assert Path(report["weights"]).read_bytes() == first
    cache = str(tmp_path / "cache")
    run("weights", "import", "timbre", report["weights"], SOUNDALIKE_CACHE=cache)
    run("index", tmp_path / "sources", "--space", "timbre", SOUNDALIKE_CACHE=cache)
    answer = loaded(run("similar", "sources/first/0.wav", "--space", "timbre", "--json"))
    assert len(answer["results"]) == 4
    renamed = loaded(run("similar", "sources/first/0.wav", "--space", "clmr", "--json"))
    assert (renamed["space"], renamed["results"]) == ("timbre", answer["results"])


def test_a_playlist_goes_on(
    run: Run, music: Path, write_wav: Callable[..., Path], tmp_path: Path, engine: Engine
) -> None:
    run("index", music)
    low = [f"music/low/tone{n:02}.wav" for n in range(4)]
    playlist = tmp_path / "road.m3u8"
    playlist.write_text(f"#EXTM3U\n{low[0]}\nmusic/low/tone01.wav\n\nfile://{music}/low/tone02.wav\n{low[3]}\n")
    found = results(run("continue", playlist, "--json", "-n", "8"))
    assert len(found) == 8
    assert not set(low) & set(found)
    assert found == results(run("continue", *low, "--json", "-n", "8"))
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"query": {"continue": {"playlist": low, "half_life": 1}}, "limit": 8}))
    short = run("continue", playlist, "--half-life", "1", "--json", "-n", "8")
    assert results(short) == results(run("query", body, "--json"))
    assert loaded(short)["results"][0]["explain"]["driven_by"] == low[3]
    shown = run("continue", playlist, "-n", "2").stdout
    assert shown.startswith(f"goes on after {low[3]}")

    outside = write_wav(tmp_path / "outside.wav", tone(110 * 2, 3.3))  # tone03, from elsewhere
    (tmp_path / "outside.m3u").write_text("outside.wav\n")
    assert results(run("continue", tmp_path / "outside.m3u", "--json", "-n", "1")) == [low[3]]
    assert results(run("continue", outside, "--json", "-n", "1")) == [low[3]]

    with engine.begin() as connection:
        connection.execute(text("UPDATE tracks SET artist = right(key, 5) WHERE key LIKE 'music/high/%'"))
        connection.execute(text("UPDATE tracks SET artist = 'A' WHERE key LIKE 'music/low/%'"))
    gapped = results(run("continue", playlist, "--artist-gap", "3", "--json", "-n", "4"))
    assert [key.startswith("music/low") for key in gapped] == [False, False, False, True]


def test_a_playlist_that_cannot_go_on_says_why(run: Run, music: Path, tmp_path: Path) -> None:
    run("index", music)
    playlist = tmp_path / "road.m3u8"
    for content, message in (
        ("#EXTM3U\n", "road.m3u8: lists no track"),
        (
            "music/low/tone01.wav\n#\nmusic/low/tone99.wav\n",
            "road.m3u8, line 3: no track with key 'music/low/tone99.wav'; ne",
        ),
        ("letter.mp3\n", "road.m3u8, line 1: "),
        ("music/low/tone01.wav\n" * 1001, "the playlist has 1001 tracks; accepted: the last 1000 of it"),
    ):
        playlist.write_text(content)
        (tmp_path / "letter.mp3").write_text("not a song")
        assert message in run("continue", playlist, expect=1).stderr
    assert "no track with key 'nowhere'" in run("continue", "nowhere", expect=1).stderr
    assert "no such file" in run("continue", tmp_path / "none.m3u8", expect=1).stderr
    run("continue", expect=2)
    run("continue", playlist, "--half-life", "0", expect=2)
    run("continue", playlist, "--half-life", "nan", expect=1)


def test_tracks_without_two_windows_are_told(run: Run, music: Path, tmp_path: Path) -> None:
    run("train", "corpus", music, "--out", tmp_path / "corpus")
    for model, message in (
        (("timbre",), "no track is as long as two windows of 10 s"),
        (("tagger", "tagging-student"), "0 stretches of tracks as long as a window, fewer than a batch of 2"),
    ):
        out = tmp_path / model[0]
        arguments = ("--corpus", tmp_path / "corpus", "--out", out, "--steps", "2", "--batch-size", "2")
        assert message in run("train", *model, *arguments, expect=1).stderr


def test_a_tagger_is_trained_distilled_and_joined(run: Run, corpus: Path, tmp_path: Path) -> None:
    def train(name: str, *also: str | Path) -> Any:
        sizes = ("--steps", "2", "--batch-size", "4", "--rounds", "1")
        out = ("--out", tmp_path / name)
        return loaded(run("train", "tagger", name, "--corpus", corpus, *out, *sizes, *also, "--json"))

    teacher = train("tagging")  # on all there is
    assert (teacher["measure"], teacher["trained"], teacher["untrained"]) == ("mean ROC-AUC", None, None)
    student = train("tagging-student", "--taught-by", teacher["weights"], "--hold-out", "second")
    assert student["trained"] is None  # four windows are too few to judge by
    assert len((tmp_path / "tagging-student" / "round1" / "losses.jsonl").read_text().splitlines()) == 2
    cache = str(tmp_path / "cache")
    for name, report in (("tagging", teacher), ("tagging-student", student)):
        run("weights", "import", name, report["weights"], SOUNDALIKE_CACHE=cache)
    run("index", tmp_path / "sources", "--space", "tagging-student", SOUNDALIKE_CACHE=cache)
    answer = loaded(run("similar", "sources/first/0.wav", "--space", "tagging-student", "--json"))
    assert len(answer["results"]) == 4

    save_weights(tmp_path / "cache" / "weights" / "timbre.safetensors", StatisticsNet().state_dict(), {})
    parts = ("--weights", tmp_path / "cache" / "weights")
    shown = run("train", "soundalike", "--corpus", corpus, "--out", tmp_path / "joined", *parts).stdout
    joined = tmp_path / "joined" / "soundalike.safetensors"
    assert shown == f"use it: soundalike weights import soundalike {joined}\n"
    run("weights", "import", "soundalike", joined, SOUNDALIKE_CACHE=cache)
    run("index", tmp_path / "sources", "--space", "soundalike", SOUNDALIKE_CACHE=cache)
    assert loaded(run("status", "--json"))["spaces"][0]["dim"] == 320


def test_packs_are_listed(run: Run) -> None:
    names = [pack["name"] for pack in loaded(run("packs", "--json"))]
    assert "immich" in names
    assert "immich" in run("packs").stdout


def test_the_demo_goes_from_nothing_to_an_answer(run: Run, music: Path) -> None:
    shown = run("demo", music).stdout
    assert "licence: ISC" in shown
    assert "12 indexed" in shown
    assert "sounds like music/high/tone06.wav" in shown
    assert "soundalike serve" in shown
    assert "12 unchanged" in run("demo", music).stdout


def test_a_pack_is_fetched_and_indexed(run: Run) -> None:
    report = loaded(run("index", "--pack", "immich", "--json"))
    assert report["counts"] == {"indexed": 28, "unchanged": 0, "failed": 0}
    listed = loaded(run("tracks", "--json"))
    assert all(track["track"].startswith("immich-memories-music/") for track in listed)
    calm = "immich-memories-music/calm/calm_acoustic_1.opus"
    answer = loaded(run("similar", calm, "--json", "-n", "27"))
    assert len(answer["results"]) == 27
    half = [result["track"] for result in answer["results"][:9]]
    assert sum("electronic" in key for key in half) < 5  # acoustic music sounds like acoustic music


def test_weights_come_with_their_licence(run: Run) -> None:
    shown = run("weights", "fetch", "musicnn").stdout
    assert "licence: ISC" in shown
    assert loaded(run("weights", "fetch", "musicnn", "--json"))["license"] == "ISC"
