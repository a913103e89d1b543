"""What is hummed is found at both doors: a voice sings, the network hears it, melodies are stored."""

import io
import json
import wave
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from flask.testing import FlaskClient
from numpy.typing import NDArray

from api.wiring import Soundalike
from encoders.training.songs.playing.singer import pitches, sing
from retrieval.catalog.records import TrackMelody
from retrieval.errors import NoMelodyError
from tests.api.conftest import whole_is_its_parts
from tests.catalog.test_catalog import analysis
from tests.conftest import Run, loaded, tone

RATE = 22_050
TUNES = {
    "t0": [60, 62, 64, 65, 67, 67, 69, 67, 65, 64, 62, 60, 64, 67, 72, 60],
    "t1": [72, 71, 67, 64, 72, 71, 67, 64, 69, 65, 62, 65, 69, 67, 64, 60],
    "t2": [60, 60, 67, 60, 70, 60, 67, 63, 60, 58, 60, 67, 70, 72, 70, 67],
}
NOTE_S = 0.5


def contour(tune: list[int], step_s: float = 0.04) -> NDArray[np.float32]:
    at = (np.arange(round(len(tune) * NOTE_S / step_s)) * step_s / NOTE_S).astype(int)
    return np.array(tune, np.float32)[at]


def clip(samples: NDArray[np.float32]) -> bytes:
    held = io.BytesIO()
    with wave.open(held, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((20_000 * samples).astype("<i2").tobytes())
    return held.getvalue()


@pytest.fixture
def hummed(rng: np.random.Generator) -> bytes:
    """Most of t1, a third lower and a little slower."""
    notes = np.array([[0.3 + 0.55 * i, 0.83 + 0.55 * i, pitch - 4, 90] for i, pitch in enumerate(TUNES["t1"][:14])])
    steps = 850
    return clip(sing(pitches(notes, steps, rng), np.full(steps, 0.8), RATE, rng))


@pytest.fixture(autouse=True)
def known(here: Soundalike, rng: np.random.Generator) -> None:
    for number, (key, tune) in enumerate(TUNES.items()):
        one = analysis(key, rng)
        melody = TrackMelody(0.04, contour(tune), np.full_like(contour(tune), np.nan), 0.9)
        rows, stages = [*one.rows, melody], {**one.stages, "melody": "m-1"}
        here.catalog.store(replace(one, rows=rows, stages=stages, year=1990 + number))


def asked(client: FlaskClient, content: bytes, body: str = "{}") -> tuple[int, dict[str, object]]:
    answer = client.post("/v1/query/humming", data={"file": (io.BytesIO(content), "hum.wav"), "body": body})
    return answer.status_code, answer.get_json()


def test_a_hum_finds_its_tune_in_another_key_and_at_another_tempo(client: FlaskClient, hummed: bytes) -> None:
    status, answer = asked(client, hummed)
    assert status == 200
    first, *others = answer["results"]  # type: ignore[misc]
    assert first["track"] == "t1"
    assert first["explain"]["transposition"] == pytest.approx(4, abs=0.5)
    assert first["explain"]["tempo_ratio"] == pytest.approx(0.5 / 0.55, abs=0.1)
    assert all(0 <= other["score"] < first["score"] <= 1 for other in others)
    assert list(answer["timing_ms"]) == ["load", "decode", "encode", "filter", "search", "rank", "total"]  # type: ignore[call-overload]
    whole_is_its_parts(answer["timing_ms"])


def test_filters_apply_to_hums(client: FlaskClient, hummed: bytes) -> None:
    condition = {"must_not": [{"key": "year", "match": {"value": 1991}}]}
    status, answer = asked(client, hummed, json.dumps({"filter": condition, "limit": 5}))
    assert status == 200
    assert "t1" not in [result["track"] for result in answer["results"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", ["{", '{"limt": 5}', '{"limit": 0}', "[]"])
def test_a_wrong_body_is_a_problem(client: FlaskClient, hummed: bytes, body: str) -> None:
    status, answer = asked(client, hummed, body)
    assert status in (400, 422)
    assert answer["type"]


@pytest.mark.parametrize("kind", ["silence", "noise", "text"])
def test_what_is_no_hum_is_a_problem(client: FlaskClient, rng: np.random.Generator, kind: str) -> None:
    sounds = {
        "silence": clip(np.zeros(8 * RATE, np.float32)),
        "noise": clip(0.2 * rng.standard_normal(8 * RATE).astype(np.float32)),
        "text": b"no sound at all",
    }
    status, answer = asked(client, sounds[kind])
    assert status in (415, 422)
    assert answer["title"]


def test_the_command_line_finds_it_too(run: Run, hummed: bytes, tmp_path: Path) -> None:
    path = tmp_path / "hum.wav"
    path.write_bytes(hummed)
    assert loaded(run("hum", path, "--json"))["results"][0]["track"] == "t1"


def test_who_hears_no_melody_names_the_file_and_is_no_wrong_usage(
    run: Run, soundalike: Soundalike, tmp_path: Path
) -> None:
    one_tone = tmp_path / "one tone.wav"
    one_tone.write_bytes(clip(tone(440, 8.0, sample_rate=RATE)))
    said = run("hum", one_tone, expect=1).stderr
    assert said.startswith(f"soundalike: {one_tone}: holds no melody: ")
    error = loaded(run("hum", one_tone, "--json", expect=1))["error"]
    assert (error["code"], "field" in error) == ("no-melody", False)
    with pytest.raises(NoMelodyError, match=r"one tone\.wav: holds no melody"):
        soundalike.hummed(one_tone)
