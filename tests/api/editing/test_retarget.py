"""Tracks of any length on the command line and over HTTP: to the sample, and one clear reason for what cannot be."""

import io
import json
import wave
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from api.http.app import create_app
from api.networks import LoadedEncoders
from api.wiring import Soundalike
from encoders.analysis.music import MusicAnalysis
from encoders.media.native import NativeAudio, decode_native
from encoders.media.writing import write_audio
from retrieval.catalog.records import HighlightSpan, SectionSpan, TrackForm, TrackRhythm
from retrieval.counting import counted
from tests.api.conftest import refused
from tests.catalog.test_catalog import analysis
from tests.conftest import Run, loaded
from tests.encoders.editing.music_of import bars
from tests.indexer.test_music_stages import ACCENTS, Halves, Humming, Metronome

RATE, LENGTH_S = 32_000, 48.0
BEATS_S = np.arange(0.0, LENGTH_S, 0.5)
RHYTHM = TrackRhythm(120.0, 4, 0.9, BEATS_S, np.arange(len(BEATS_S)) % 4 + 1, "C", "major", 0.8)
SECTIONS = (SectionSpan(0.0, 16.0, 1, "verse", "A", 0.7), SectionSpan(16.0, LENGTH_S, 1, "chorus", "B", 0.9))
FORM = TrackForm(SECTIONS, (HighlightSpan(24.0, 36.0, 0.8),), ())
WITHOUT_HIGHLIGHT = TrackForm(SECTIONS, (), ())


@pytest.fixture
def song(tmp_path: Path) -> Path:
    """Stereo, 48 s."""
    path = tmp_path / "files" / "song.flac"
    path.parent.mkdir()
    samples = bars(LENGTH_S, RATE)[:, None] * np.array([1, 0.5], np.float32)
    write_audio(NativeAudio(samples, RATE, "stereo", 16), path)
    return path


Store = Callable[..., None]


@pytest.fixture
def store(soundalike: Soundalike, rng: np.random.Generator) -> Store:
    """Put a file into the catalogue, under a key, with what is known of it."""

    def stored(key: str, path: Path, *rows: Any) -> None:
        one = analysis(key, rng)
        stages = {"rhythm": "r-1", "structure": "s-1"} if rows else {}
        known = replace(one, uri=str(path), rows=[*one.rows, *rows], stages={**one.stages, **stages})
        soundalike.catalog.store(replace(known, duration_s=LENGTH_S))

    return stored


@pytest.fixture
def known(store: Store, song: Path) -> None:
    store("a/song", song, RHYTHM, FORM)


@pytest.fixture
def client(soundalike: Soundalike) -> Iterator[FlaskClient]:
    with create_app(soundalike).test_client() as client:
        yield client


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_track_of_the_catalogue_becomes_as_long_as_asked(run: Run, tmp_path: Path, suffix: str) -> None:
    out, plan_file = tmp_path / f"x{suffix}", tmp_path / "p.json"
    done = run("retarget", "a/song", "--duration", "20.123", "--out", out, "--plan", plan_file)
    made, plan = decode_native(out), json.loads(plan_file.read_text())
    assert made.samples.shape == (round(20.123 * RATE), 2) == (plan["length_samples"], plan["channels"])
    assert made.sample_rate == RATE
    assert (plan["unit"], plan["requested_s"], plan["keep"]) == ("beats", 20.123, None)
    assert plan["jumps"]
    for jump in plan["jumps"]:  # whole bars of two seconds
        beats = (jump["to_s"] - jump["shift_s"] - jump["from_s"]) / 2
        assert beats == pytest.approx(round(beats), abs=1e-3)
    assert f"{out}: 20.123 s, {counted(len(plan['jumps']), 'jump')} between beats" in done.stdout
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_file()) == ["p.json", out.name]


@pytest.mark.usefixtures("known")
def test_a_file_of_the_catalogue_is_known_by_its_path_as_well(run: Run, tmp_path: Path, song: Path) -> None:
    by_key = loaded(run("retarget", "a/song", "--duration", "70", "--out", tmp_path / "a.wav", "--json"))
    by_path = loaded(run("retarget", song, "--duration", "70", "--out", tmp_path / "b.wav", "--json"))
    assert by_key == by_path
    assert (by_key["unit"], by_key["reached_s"]) == ("beats", 70.0)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()
    before = song.read_bytes()
    over = run("retarget", "a/song", "--duration", "70", "--out", song, expect=2)
    assert f"{song} is what is read, and would be lost" in over.stderr
    assert song.read_bytes() == before


@pytest.mark.usefixtures("known")
def test_the_stored_highlight_is_kept_whole(run: Run, tmp_path: Path, client: FlaskClient) -> None:
    arguments = ["retarget", "a/song", "--keep", "highlight", "--out", tmp_path / "x.wav", "--json"]
    plan = loaded(run(*arguments, "--duration", "30"))
    assert plan["keep"] == {"start_s": 24.0, "end_s": 36.0}
    assert any(one["source_start_s"] <= 24.15 and one["source_end_s"] >= 35.85 for one in plan["segments"])
    body = {"duration_s": 30, "keep": "highlight"}
    assert client.post("/v1/tracks/a/song/retarget", json=body).json == plan
    assert "too short for the highlight; accepted: at least" in run(*arguments, "--duration", "5", expect=2).stderr
    short = client.post("/v1/tracks/a/song/retarget", json=body | {"duration_s": 5})
    problem = refused(short, 422, "invalid-length")
    assert problem["field"] == "duration_s"
    assert problem["accepted"].startswith("at least ")


def test_without_a_stored_highlight_one_is_looked_for(store: Store, song: Path, client: FlaskClient) -> None:
    store("plain", song, RHYTHM, WITHOUT_HIGHLIGHT)
    plan = client.post("/v1/tracks/plain/retarget", json={"duration_s": 40, "keep": "highlight"}).json
    assert plan["keep"]["end_s"] > plan["keep"]["start_s"] >= 0
    assert plan["length_samples"] == 40 * RATE


def test_silence_has_no_highlight_to_keep_and_is_cut_all_the_same(
    run: Run, store: Store, tmp_path: Path, client: FlaskClient
) -> None:
    silent = tmp_path / "silent.wav"
    write_audio(NativeAudio(np.zeros((10 * 8000, 1), np.float32), 8000, "mono", 16), silent)
    store("silent", silent, replace(RHYTHM, beats_s=np.empty(0), positions=np.empty(0, np.int64), tempo_bpm=None))
    arguments = ["retarget", "silent", "--duration", "15.5", "--out", tmp_path / "x.wav"]
    assert "keep: the track has no highlight: it is silent" in run(*arguments, "--keep", "highlight", expect=1).stderr
    assert not (tmp_path / "x.wav").exists()
    assert loaded(run(*arguments, "--json"))["unit"] == "steps"
    assert len(decode_native(tmp_path / "x.wav").samples) == 15.5 * 8000
    keeping = client.post("/v1/tracks/silent/retarget", json={"duration_s": 15.5, "keep": "highlight"})
    assert refused(keeping, 422, "invalid-length")["field"] == "keep"


@pytest.mark.usefixtures("known")
def test_over_http_the_plan_comes_or_the_sound(client: FlaskClient) -> None:
    url, body = "/v1/tracks/a/song/retarget", {"duration_s": 20.123}
    plan = client.post(url, json=body)
    assert (plan.status_code, plan.content_type) == (200, "application/json")
    assert plan.json["length_samples"] == round(20.123 * RATE)
    sound = client.post(url, json=body, headers={"Accept": "audio/wav"}, buffered=True)
    assert (sound.status_code, sound.content_type) == (200, "audio/wav")
    assert int(sound.headers["Content-Length"]) == len(sound.data)
    with wave.open(io.BytesIO(sound.data)) as read:
        assert (read.getnframes(), read.getnchannels(), read.getframerate()) == (round(20.123 * RATE), 2, RATE)
    for accepted in ("*/*", "application/json, audio/wav;q=0.5"):
        assert client.post(url, json=body, headers={"Accept": accepted}).json == plan.json
    rather = {"Accept": "audio/wav, application/json;q=0.5"}
    assert client.post(url, json=body, headers=rather, buffered=True).data == sound.data


def test_what_is_not_known_is_listened_to(
    run: Run, song: Path, tmp_path: Path, store: Store, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that is not in the catalogue, and a track of it whose rhythm nobody has looked for."""
    music = MusicAnalysis(Metronome(), Halves(), Humming(), ACCENTS)
    monkeypatch.setattr(LoadedEncoders, "music", lambda encoders: music)
    arguments = ["--duration", "40", "--keep", "highlight", "--out", tmp_path / "x.wav", "--json"]
    of_file = loaded(run("retarget", song, *arguments))
    assert (of_file["unit"], of_file["length_samples"]) == ("beats", 40 * RATE)
    assert of_file["keep"] == {"start_s": 24.0, "end_s": LENGTH_S}  # the second half, from the downbeat on
    for jump in of_file["jumps"]:  # bars of three
        bars_s = (jump["to_s"] - jump["shift_s"] - jump["from_s"]) / 1.5
        assert bars_s == pytest.approx(round(bars_s), abs=1e-3)
    store("plain", song)
    assert loaded(run("retarget", "plain", *arguments)) == of_file
    answer = client.post("/v1/tracks/plain/retarget", json={"duration_s": 40, "keep": "highlight"})
    assert answer.json == of_file


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"duration_s": 0.5}, "duration_s"),
        ({"duration_s": 3600.5}, "duration_s"),
        ({"duration_s": "long"}, "duration_s"),
        ({"duration_s": None}, "duration_s"),
        ({}, "duration_s"),
        ({"duration_s": 20, "keep": "chorus"}, "keep"),
        ({"duration_s": 20, "keeps": "highlight"}, "keeps"),
    ],
)
def test_bodies_that_cannot_be_name_the_field(client: FlaskClient, body: dict[str, Any], field: str) -> None:
    problem = refused(client.post("/v1/tracks/a/song/retarget", json=body), 422, "invalid-request")
    assert problem["field"] == field


@pytest.mark.usefixtures("known")
def test_numbers_that_are_none_are_refused(client: FlaskClient) -> None:
    for number in ("NaN", "Infinity", "-Infinity", "1e999"):
        response = client.post(
            "/v1/tracks/a/song/retarget", data=f'{{"duration_s": {number}}}', content_type="application/json"
        )
        assert response.status_code in (400, 422), number
        assert response.content_type == "application/problem+json"


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a/song", "--duration", "0.5", "--out", "x.wav"], 2, "0.5 is not in the range 1<=x<=3600"),
        (["a/song", "--duration", "4000", "--out", "x.wav"], 2, "4000.0 is not in the range 1<=x<=3600"),
        (["a/song", "--duration", "nan", "--out", "x.wav"], 2, "nan is no finite number"),
        (["a/song", "--duration", "long", "--out", "x.wav"], 2, "'long' is no number; accepted: 1<=x<=3600"),
        (["a/song", "--out", "x.wav"], 2, "Missing option '--duration'"),
        (["a/song", "--duration", "20"], 2, "Missing option '--out'"),
        (["a/song", "--duration", "20", "--keep", "chorus", "--out", "x.wav"], 2, "'chorus' is not 'highlight'"),
        (
            ["a/song", "--duration", "20", "--out", "x.mp3"],
            2,
            "ends in .mp3; accepted: a file that ends in .wav or .flac",
        ),
        (["a/song", "--duration", "20", "--out", "nowhere/x.wav"], 1, "there is no folder"),
        (["a/song", "--duration", "20", "--out", "x.wav", "--plan", "nowhere/p.json"], 1, "nowhere/p.json: cannot be"),
        (["a/song", "--duration", "20", "--out", "/proc/x.wav"], 1, "/proc/x.wav: cannot be written"),
        (["a/song", "--duration", "20", "--out", "x.wav", "--plan", "folder"], 1, "folder: cannot be written"),
        (["a/sung", "--duration", "20", "--out", "x.wav"], 1, "no track with key 'a/sung'; nearest keys: a/song"),
        (["no.txt", "--duration", "20", "--out", "x.wav"], 1, "no.txt: "),
    ],
)
def test_what_cannot_be_done_is_one_clear_line_and_writes_nothing(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    here = tmp_path / "here"
    (here / "folder").mkdir(parents=True)
    (here / "no.txt").write_text("no audio")
    monkeypatch.chdir(here)
    stderr = run("retarget", *arguments, expect=code).stderr
    assert message in stderr
    assert "Traceback" not in stderr
    assert sorted(path.name for path in here.iterdir()) == ["folder", "no.txt"]


@pytest.mark.usefixtures("known")
def test_a_file_that_is_gone_or_no_audio_says_so(
    run: Run, tmp_path: Path, song: Path, client: FlaskClient, store: Store
) -> None:
    text = tmp_path / "text.wav"
    text.write_text("no audio")
    store("text", text, RHYTHM, FORM)
    arguments, body = ["--duration", "20", "--out", tmp_path / "x.wav"], {"duration_s": 20}
    assert f"{text}: " in run("retarget", "text", *arguments, expect=1).stderr
    refused(client.post("/v1/tracks/text/retarget", json=body), 415, "unreadable-audio")
    song.unlink()
    assert f"a/song: its file is no longer at {song}" in run("retarget", "a/song", *arguments, expect=1).stderr
    assert "'a/song'" in refused(client.post("/v1/tracks/a/song/retarget", json=body), 410, "audio-gone")["detail"]
    assert not (tmp_path / "x.wav").exists()
    unknown = refused(client.post("/v1/tracks/a/sung/retarget", json=body), 404, "unknown-track")
    assert unknown["nearest"][0] == "a/song"


@pytest.mark.usefixtures("known")
def test_a_player_gets_ranges_of_the_sound(client: FlaskClient) -> None:
    url, whole = "/v1/tracks/a/song/retarget?duration_s=20.5", {"buffered": True}
    posted = client.post(
        "/v1/tracks/a/song/retarget", json={"duration_s": 20.5}, headers={"Accept": "audio/wav"}, **whole
    )
    got = client.get(url, **whole)
    assert (got.status_code, got.content_type, got.headers["Accept-Ranges"]) == (200, "audio/wav", "bytes")
    assert got.data == posted.data
    for asked, part in (("10-19", slice(10, 20)), (f"{len(got.data) - 7}-", slice(-7, None)), ("-5", slice(-5, None))):
        answer = client.get(url, headers={"Range": f"bytes={asked}", "If-Range": got.headers["ETag"]}, **whole)
        assert (answer.status_code, answer.data) == (206, got.data[part])
        assert answer.headers["Content-Range"].endswith(f"/{len(got.data)}")
        assert int(answer.headers["Content-Length"]) == len(answer.data)
    beyond = client.get(url, headers={"Range": f"bytes={len(got.data)}-"}, **whole)
    assert beyond.status_code == 416
    assert client.get(url, headers={"If-None-Match": got.headers["ETag"]}, **whole).status_code == 304
    other = client.get(f"{url}1", headers={"Range": "bytes=10-19", "If-Range": got.headers["ETag"]}, **whole)
    assert other.status_code == 200  # another sound: all of it


@pytest.mark.usefixtures("known")
@pytest.mark.parametrize(("duration_s"), ["0", "-5", "1e9", "nan", "inf", "long", ""])
def test_lengths_that_cannot_be_are_refused_at_all_doors(
    run: Run, tmp_path: Path, client: FlaskClient, duration_s: str
) -> None:
    got = client.get(f"/v1/tracks/a/song/retarget?duration_s={duration_s}")
    assert refused(got, 422, "invalid-request")["field"] == "duration_s"
    stderr = run("retarget", "a/song", f"--duration={duration_s}", "--out", tmp_path / "x.wav", expect=2).stderr
    said = "is not in the range 1<=x<=3600", "no finite number", "is no number; accepted: 1<=x<=3600"
    assert any(one in stderr for one in said)
    assert "Traceback" not in stderr
    assert not (tmp_path / "x.wav").exists()


UNKNOWN = replace(RHYTHM, tempo_bpm=None, meter=None, beats_s=np.empty(0), positions=np.empty(0, np.int64))
NO_DOWNBEATS = replace(RHYTHM, positions=np.arange(len(BEATS_S)) % 2 + 2)


@pytest.mark.parametrize(
    ("length_s", "rhythm", "channels"),
    [(3.0, UNKNOWN, 2), (3.0, RHYTHM, 1), (20.0, UNKNOWN, 2), (LENGTH_S, NO_DOWNBEATS, 1)],
    ids=["three seconds", "three seconds with beats beyond them", "applause", "no downbeats"],
)
def test_what_is_no_song_gets_the_asked_length_at_both_doors(
    run: Run, store: Store, tmp_path: Path, client: FlaskClient, length_s: float, rhythm: TrackRhythm, channels: int
) -> None:
    path, rng = tmp_path / "odd.wav", np.random.default_rng(5)
    samples = (rng.standard_normal((round(length_s * 8000), channels)) / 8).astype(np.float32)
    write_audio(NativeAudio(samples, 8000, "stereo" if channels == 2 else "mono", 16), path)
    store("odd", path, rhythm, WITHOUT_HIGHLIGHT)
    for duration_s in (1.0, 2.9, 45.5):
        done = loaded(run("retarget", "odd", "--duration", str(duration_s), "--out", tmp_path / "x.wav", "--json"))
        assert decode_native(tmp_path / "x.wav").samples.shape == (round(duration_s * 8000), channels)
        assert client.post("/v1/tracks/odd/retarget", json={"duration_s": duration_s}).json == done


@pytest.mark.usefixtures("known")
def test_a_file_that_hangs_or_ends_its_decoder_is_unreadable_and_the_next_is_not(
    run: Run, store: Store, tmp_path: Path, song: Path, client: FlaskClient, faulty_decoder: None
) -> None:
    crashing = tmp_path / "SIGSEGV.flac"
    crashing.write_bytes(song.read_bytes())
    store("crashing", crashing, RHYTHM, FORM)
    answer = client.post("/v1/tracks/crashing/retarget", json={"duration_s": 20})
    assert "the decoder was stopped by SIGSEGV" in refused(answer, 415, "unreadable-audio")["detail"]
    stderr = run("retarget", "crashing", "--duration", "20", "--out", tmp_path / "x.wav", expect=1).stderr
    assert "the decoder was stopped by SIGSEGV" in stderr
    assert client.post("/v1/tracks/a/song/retarget", json={"duration_s": 20}).status_code == 200


@pytest.mark.usefixtures("known")
def test_what_would_fill_the_disk_is_refused(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("encoders.editing.retargeting.MOST_BYTES", 100 * RATE * 2 * 4)
    assert client.post("/v1/tracks/a/song/retarget", json={"duration_s": 100}).status_code == 200
    problem = refused(client.post("/v1/tracks/a/song/retarget", json={"duration_s": 101}), 422, "invalid-length")
    assert (problem["field"], problem["accepted"]) == ("duration_s", "at most 100 seconds")
