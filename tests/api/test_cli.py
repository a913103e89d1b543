"""The command line as a user sees it: exit codes, one line for every error, JSON, and Ctrl-C."""

import re
import shutil
import signal
import subprocess
import sys
import time
from argparse import Namespace
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from api.wiring import Soundalike
from encoders.checkpoints.files import save_weights
from encoders.models.embeddings.samplecnn import SPEC as SAMPLECNN
from encoders.models.embeddings.timbre import StatisticsNet
from tests.conftest import Run, loaded, tone


def test_a_folder_to_answers(run: Run, music: Path, write_wav: Callable[..., Path], tmp_path: Path) -> None:
    (music / "letter.mp3").write_text("not a song")
    report = loaded(run("index", music, "--json", expect=3))
    assert report["counts"] == {"indexed": 12, "unchanged": 0, "failed": 1}
    assert report["failures"][0]["uri"].endswith("letter.mp3")
    again = run("index", music, expect=3)
    assert re.search(r"0 indexed, 12 unchanged, 1 failed in \d+\.\d s\n", again.stdout)  # of no minutes: none was read

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


def test_missing_weights_say_how_to_get_them(run: Run, music: Path, tmp_path: Path) -> None:
    done = run("index", music, expect=1, SOUNDALIKE_CACHE=str(tmp_path / "none"))
    assert "soundalike weights fetch musicnn" in done.stderr
    done = run("index", music, "--space", "clmr-samplecnn", expect=1)
    assert "soundalike weights import clmr-samplecnn FILE" in done.stderr


def test_no_database_gives_one_line(run: Run) -> None:
    done = run("status", expect=1, DATABASE_URL="postgresql://me:secret@127.0.0.1:9/none")
    assert done.stderr.startswith("soundalike: no PostgreSQL at postgresql://me:***@127.0.0.1:9/none")
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_empty_database_of_ones_own_is_migrated_on_demand(run: Run, empty_database_url: str) -> None:
    assert "run `soundalike migrate`" in run("status", expect=1, DATABASE_URL=empty_database_url).stderr
    own = run("migrate", DATABASE_URL=empty_database_url).stdout
    assert own.startswith("the schema is current; database: postgresql://")
    assert loaded(run("status", "--json", DATABASE_URL=empty_database_url))["tracks"] == 0


def test_the_embedded_database_needs_nothing(
    run: Run, music: Path, tmp_path: Path, environment: dict[str, str]
) -> None:
    home = str(tmp_path / "embedded")
    made = f"{home}: no catalogue yet, a new one is made"
    assert made in run("index", music / "low", DATABASE_URL="", SOUNDALIKE_HOME=home).stderr
    assert made not in run("tracks", DATABASE_URL="", SOUNDALIKE_HOME=home).stderr
    embedded = f"embedded, in {home}/postgres"
    state = loaded(run("status", "--json", DATABASE_URL="", SOUNDALIKE_HOME=home))
    assert (state["tracks"], state["database"]) == (6, embedded)
    assert embedded in run("migrate", DATABASE_URL="", SOUNDALIKE_HOME=home).stdout


def test_ctrl_c_leaves_everything_consistent(
    run: Run, soundalike: Soundalike, environment: dict[str, str], tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    rng = np.random.default_rng(0)
    for number in range(40):
        write_wav(tmp_path / "many" / f"{number:02}.wav", rng.uniform(-0.5, 0.5, 10 * 16_000).astype(np.float32))
    command = [Path(sys.executable).with_name("soundalike"), "index", tmp_path / "many"]
    # A shell's background jobs ignore the signal, and hand that down to whatever they start.
    heeding = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    started = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heeding)
    while soundalike.catalog.count() < 2:
        assert started.poll() is None
        time.sleep(0.05)
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
    run("index", music, SOUNDALIKE_SPACE="mine", **own)  # in the spaces beside it as well
    shown = run("demo", music, SOUNDALIKE_SPACE="mine", **own).stdout
    assert "12 unchanged" in shown
    unknown = run("index", music, "--space", "mine", expect=2, SOUNDALIKE_ENCODERS="").stderr
    assert "unknown encoder 'mine'" in unknown
    wrong = run("status", expect=1, SOUNDALIKE_ENCODERS="mine").stderr
    assert wrong.startswith("soundalike: SOUNDALIKE_ENCODERS is 'mine'; accepted: name=module:attribute")


@pytest.fixture
def cache(weights_dir: Path, tmp_path: Path) -> str:
    """A cache of the test's own, with what was fetched."""
    (tmp_path / "cache" / "weights").mkdir(parents=True)
    for path in weights_dir.glob("*.safetensors"):
        (tmp_path / "cache" / "weights" / path.name).symlink_to(path)
    return str(tmp_path / "cache")


def test_a_published_checkpoint_becomes_a_space_beside_the_others(
    run: Run, music: Path, tmp_path: Path, cache: str
) -> None:
    torch.manual_seed(0)
    tensors = {f"encoder.{key}": tensor for key, tensor in SAMPLECNN.build().state_dict().items()}
    torch.save({"state_dict": tensors, "hyper_parameters": Namespace(batch_size=48)}, tmp_path / "clmr.ckpt")
    run("weights", "import", "clmr-samplecnn", tmp_path / "clmr.ckpt", SOUNDALIKE_CACHE=cache)
    both = ("--space", "clmr-samplecnn", "--space", "musicnn")
    assert loaded(run("index", music, *both, "--json", SOUNDALIKE_CACHE=cache))["counts"]["indexed"] == 12
    spaces = {space["space"]: space for space in loaded(run("status", "--json"))["spaces"]}
    assert {name: space["dim"] for name, space in spaces.items()} == {"clmr-samplecnn": 512, "musicnn": 200}
    answer = loaded(
        run("similar", "music/low/tone03.wav", "--space", "clmr-samplecnn", "--no-fold-duplicates", "--json")
    )
    assert answer["model_version"].startswith("clmr-samplecnn-")
    assert len(answer["results"]) == 10


def test_weights_trained_here_become_a_space(run: Run, music: Path, tmp_path: Path, cache: str) -> None:
    corpus, out = tmp_path / "corpus", tmp_path / "run"
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
    assert (
        len(
            loaded(
                run("similar", "music/low/tone03.wav", "--space", "clmr-samplecnn", "--no-fold-duplicates", "--json")
            )["results"]
        )
        == 10
    )


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


def test_timbre_is_trained_and_becomes_a_space(run: Run, corpus: Path, tmp_path: Path, cache: str) -> None:
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
    run("weights", "import", "timbre", report["weights"], SOUNDALIKE_CACHE=cache)
    run("index", tmp_path / "sources", "--space", "timbre", SOUNDALIKE_CACHE=cache)
    answer = loaded(run("similar", "sources/first/0.wav", "--space", "timbre", "--no-fold-duplicates", "--json"))
    assert len(answer["results"]) == 4
    renamed = loaded(run("similar", "sources/first/0.wav", "--space", "clmr", "--no-fold-duplicates", "--json"))
    assert (renamed["space"], renamed["results"]) == ("timbre", answer["results"])


def test_tracks_without_two_windows_are_told(run: Run, music: Path, tmp_path: Path) -> None:
    run("train", "corpus", music, "--out", tmp_path / "corpus")
    for model, message in (
        (("timbre",), "no track is as long as two windows of 10 s"),
        (("tagger", "tagging-student"), "0 stretches of tracks as long as a window, fewer than a batch of 2"),
    ):
        out = tmp_path / model[0]
        arguments = ("--corpus", tmp_path / "corpus", "--out", out, "--steps", "2", "--batch-size", "2")
        assert message in run("train", *model, *arguments, expect=1).stderr


def test_a_tagger_is_trained_distilled_and_joined(run: Run, corpus: Path, tmp_path: Path, cache: str) -> None:
    def train(name: str, *also: str | Path) -> Any:
        sizes = ("--steps", "2", "--batch-size", "4", "--rounds", "1")
        out = ("--out", tmp_path / name)
        return loaded(run("train", "tagger", name, "--corpus", corpus, *out, *sizes, *also, "--json"))

    teacher = train("tagging")  # on all there is
    assert (teacher["measure"], teacher["trained"], teacher["untrained"]) == ("mean ROC-AUC", None, None)
    student = train("tagging-student", "--taught-by", teacher["weights"], "--hold-out", "second")
    assert student["trained"] is None  # four windows are too few to judge by
    assert len((tmp_path / "tagging-student" / "round1" / "losses.jsonl").read_text().splitlines()) == 2
    for name, report in (("tagging", teacher), ("tagging-student", student)):
        run("weights", "import", name, report["weights"], SOUNDALIKE_CACHE=cache)
    run("index", tmp_path / "sources", "--space", "tagging-student", SOUNDALIKE_CACHE=cache)
    answer = loaded(
        run("similar", "sources/first/0.wav", "--space", "tagging-student", "--no-fold-duplicates", "--json")
    )
    assert len(answer["results"]) == 4

    save_weights(tmp_path / "cache" / "weights" / "timbre.safetensors", StatisticsNet().state_dict(), {})
    parts = ("--weights", tmp_path / "cache" / "weights")
    shown = run("train", "soundalike", "--corpus", corpus, "--out", tmp_path / "joined", *parts).stdout
    joined = tmp_path / "joined" / "soundalike.safetensors"
    assert shown == f"use it: soundalike weights import soundalike {joined}\n"
    run("weights", "import", "soundalike", joined, SOUNDALIKE_CACHE=cache)
    run("index", tmp_path / "sources", "--space", "soundalike", SOUNDALIKE_CACHE=cache)
    assert loaded(run("status", "--json"))["spaces"][0]["dim"] == 320


def test_melcnn_and_ear_are_made_beside_musicnn(run: Run, corpus: Path, tmp_path: Path, cache: str) -> None:
    options = ("--corpus", corpus, "--hold-out", "second", "--out")
    sizes = ("--steps", "2", "--batch-size", "2")
    report = loaded(run("train", "melcnn", *options, tmp_path / "melcnn", *sizes, "--json"))
    run("weights", "import", "melcnn", report["weights"], SOUNDALIKE_CACHE=cache)
    run("index", tmp_path / "sources", "--space", "melcnn", SOUNDALIKE_CACHE=cache)
    assert (
        len(
            loaded(run("similar", "sources/first/0.wav", "--space", "melcnn", "--no-fold-duplicates", "--json"))[
                "results"
            ]
        )
        == 4
    )
    shown = run("train", "ear", *options, tmp_path / "ear").stdout
    assert shown == f"{tmp_path / 'ear' / 'ear-own.safetensors'}\n"


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
