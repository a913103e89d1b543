"""The HTTP surface equals the direct call; problems are documents; uploads are idempotent and never half-stored."""

import io
import json
import math
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from api.documents.answer import answer_out
from api.http.app import create_app
from api.networks import LoadedEncoders
from api.wiring import Soundalike
from retrieval.filters.language import parse_filter
from retrieval.search.query import similar
from tests.api.conftest import refused
from tests.conftest import tone


@pytest.fixture
def music(indexed_tones: Path) -> Path:
    """Of twelve tones, which are indexed."""
    return indexed_tones


@pytest.fixture
def here(soundalike: Soundalike, music: Path) -> Soundalike:
    return soundalike


@pytest.fixture
def client(here: Soundalike) -> Iterator[FlaskClient]:
    with create_app(here).test_client() as client:
        yield client


def test_http_equals_the_direct_call(client: FlaskClient, here: Soundalike) -> None:
    raw = {"must": [{"key": "duration_s", "range": {"lt": 4}}]}
    body = {"query": {"track": "music/low/tone03.wav"}, "filter": raw, "limit": 4, "explain": True}
    over_http = client.post("/v1/query", json=body).json
    direct = here.search.answer(similar("music/low/tone03.wav", filter=parse_filter(raw), limit=4, explain=True))
    expected = answer_out(direct).model_dump()
    for answer in (over_http, expected):
        answer.pop("timing_ms")
    assert over_http == expected
    assert len(over_http["results"]) == 4
    nearest = client.get("/v1/tracks/music/low/tone03.wav/similar?limit=4").json
    assert len(nearest["results"]) == 4


def test_a_vector_finds_its_track(client: FlaskClient) -> None:
    got = client.get("/v1/tracks/music/low/tone03.wav/embedding").json
    assert math.hypot(*got["vector"]) == pytest.approx(1, abs=1e-3)
    answer = client.post("/v1/query", json={"query": {"vector": got["vector"]}, "limit": 1}).json
    assert answer["results"][0]["track"] == "music/low/tone03.wav"
    assert answer["results"][0]["score"] == pytest.approx(1, abs=1e-3)


def test_an_uploaded_clip_finds_its_track(client: FlaskClient, music: Path) -> None:
    form = {"file": (music / "low" / "tone03.wav").open("rb"), "body": json.dumps({"limit": 2, "explain": True})}
    answer = client.post("/v1/query/audio", data=form).json
    assert answer["results"][0]["track"] == "music/low/tone03.wav"
    assert len(answer["results"]) == 2


@pytest.mark.parametrize(
    ("body", "slug", "field"),
    [
        ({}, "invalid-request", "query"),
        ({"query": {}}, "invalid-request", "query"),
        ({"query": {"track": "a", "vector": [1]}}, "invalid-request", "query"),
        ({"query": {"track": "a"}, "limits": 3}, "invalid-request", "limits"),
        ({"query": {"track": "a"}, "limit": 0}, "invalid-request", "limit"),
        ({"query": {"track": "a"}, "granularity": "section"}, "invalid-request", "granularity"),
        ({"query": {"track": "a"}, "filter": {"must": [{"key": "year"}]}}, "invalid-request", "filter.must[0]"),
        ({"query": {"vector": [1, 2, 3]}}, "invalid-query", "query.vector"),
        ({"query": {"vector": [0.0] * 200}}, "invalid-query", "query.vector"),
        ({"query": {"vector": [1.0] * 5000}}, "invalid-request", "query.vector"),
        ({"query": {"vector": ["x"]}}, "invalid-request", "query.vector[0]"),
        (
            {"query": {"track": "music/low/tone00.wav"}, "filter": {"must": [{"key": "yaer", "is_empty": True}]}},
            "invalid-query",
            "filter.must[0].key",
        ),
    ],
)
def test_bad_queries_name_the_field(client: FlaskClient, body: Any, slug: str, field: str) -> None:
    assert refused(client.post("/v1/query", json=body), 422, slug)["field"] == field


def test_nan_is_refused(client: FlaskClient) -> None:
    raw = '{"query": {"vector": [NaN, 1.0]}}'
    body = refused(client.post("/v1/query", data=raw, content_type="application/json"), 422, "invalid-request")
    assert body["field"] == "query.vector[0]"


def test_what_is_not_json_is_refused(client: FlaskClient) -> None:
    refused(client.post("/v1/query", data="{", content_type="application/json"), 400, "bad-request")


def test_an_unknown_key_names_the_nearest(client: FlaskClient) -> None:
    for response in (
        client.get("/v1/tracks/music/low/tone3.wav"),
        client.get("/v1/tracks/music/low/tone3.wav/similar"),
        client.post("/v1/query", json={"query": {"track": "music/low/tone3.wav"}}),
        client.delete("/v1/tracks/music/low/tone3.wav"),
    ):
        problem = refused(response, 404, "unknown-track")
        assert problem["nearest"][0].startswith("music/low/tone")
        assert problem["field"] == ("query.track" if response.request.method == "POST" else "key")
        assert problem["accepted"] == "the key of a track, as GET /v1/tracks lists them"


def test_unknown_spaces_are_named(client: FlaskClient, music: Path) -> None:
    body = {"query": {"track": "music/low/tone00.wav"}, "space": "clmr"}
    problem = refused(client.post("/v1/query", json=body), 404, "unknown-space")
    assert "spaces that do: musicnn" in problem["detail"]
    assert (problem["field"], problem["accepted"]) == ("space", "musicnn, video")
    for space in ("clmr", "nosuch", "antigravity:x", "../../etc"):
        clip = {"file": (music / "low" / "tone03.wav").open("rb"), "body": json.dumps({"space": space})}
        assert refused(client.post("/v1/query/audio", data=clip), 404, "unknown-space")["field"] == "space"
        refused(client.post("/v1/query", json=body | {"space": space}), 404, "unknown-space")
    assert "antigravity" not in sys.modules


def test_missing_weights_are_named(client: FlaskClient, here: Soundalike, music: Path, tmp_path: Path) -> None:
    bare = replace(here, encoder=LoadedEncoders(tmp_path, {}))
    clip = {"file": (music / "low" / "tone03.wav").open("rb")}
    response = create_app(bare).test_client().post("/v1/query/audio", data=clip)
    assert "soundalike weights fetch musicnn" in refused(response, 503, "no-weights")["detail"]


@pytest.mark.parametrize(
    ("content", "status", "slug"),
    [
        (b"", 415, "unreadable-audio"),
        (b"I am no song" * 100, 415, "unreadable-audio"),
        (np.zeros(32_000, np.float32), 422, "audio-silent"),
        (tone(220, 0.5), 422, "audio-too-short"),
    ],
)
def test_bad_clips_are_named(
    client: FlaskClient, content: Any, status: int, slug: str, tmp_path: Path, write_wav: Callable[..., Path]
) -> None:
    if isinstance(content, np.ndarray):
        content = write_wav(tmp_path / "clip.wav", content).read_bytes()
    problem = refused(client.post("/v1/query/audio", data={"file": (io.BytesIO(content), "clip.wav")}), status, slug)
    assert problem["field"] == "file"
    assert problem["detail"].startswith("file: ")
    assert problem["accepted"]


def test_a_clip_needs_its_file_and_a_body_that_fits(client: FlaskClient, music: Path) -> None:
    assert refused(client.post("/v1/query/audio", data={}), 422, "invalid-request")["field"] == "file"
    form = {"file": (music / "low" / "tone03.wav").open("rb"), "body": '{"limit": "many"}'}
    assert refused(client.post("/v1/query/audio", data=form), 422, "invalid-request")["field"] == "limit"
    form = {"file": (io.BytesIO(b"no song"), "clip.wav"), "body": '{"diversity": {"mmr": 2}}'}  # seen before the file
    assert refused(client.post("/v1/query/audio", data=form), 422, "invalid-request")["field"] == "diversity.mmr"


def audio_of(client: FlaskClient, key: str) -> bytes:
    with client.get(f"/v1/tracks/{key}/audio") as response:
        return response.data


def put(client: FlaskClient, key: str, content: bytes, **fields: Any) -> Any:
    return client.put(f"/v1/tracks/{key}", data={"file": (io.BytesIO(content), "song.wav"), "body": json.dumps(fields)})


def test_a_track_put_twice_changes_nothing(client: FlaskClient, here: Soundalike, music: Path) -> None:
    song, other = ((music / "low" / f"tone0{n}.wav").read_bytes() for n in (3, 5))
    fields = {"artist": "A", "metadata": {"plays": 7}}
    assert put(client, "mine/1", song, **fields).json == {
        "track": "mine/1",
        "status": "indexed",
        "stage": None,
        "reason": None,
    }
    revision = here.catalog.revision()
    assert put(client, "mine/1", song, **fields).json["status"] == "unchanged"
    assert here.catalog.revision() == revision
    assert put(client, "mine/1", song, artist="B", metadata={"plays": 8}).json["status"] == "indexed"
    track = client.get("/v1/tracks/mine/1").json
    assert (track["artist"], track["metadata"]) == ("B", {"plays": 8})
    by_plays = {
        "query": {"track": "mine/1"},
        "include_seed": True,
        "filter": {"must": [{"key": "meta.plays", "match": {"value": 8}}]},
    }
    assert [result["track"] for result in client.post("/v1/query", json=by_plays).json["results"]] == ["mine/1"]

    assert put(client, "mine/1", other).json["status"] == "indexed"
    nearest = client.get("/v1/tracks/mine/1/similar?limit=1").json["results"][0]["track"]
    assert nearest == "music/low/tone05.wav"
    assert len([path for path in here.settings.uploads_dir.rglob("*") if path.is_file()]) == 1
    assert audio_of(client, "mine/1") == other

    assert client.delete("/v1/tracks/mine/1").status_code == 204
    refused(client.get("/v1/tracks/mine/1"), 404, "unknown-track")
    assert not [path for path in here.settings.uploads_dir.rglob("*") if path.is_file()]


def test_a_track_put_again_keeps_what_was_said_of_it(client: FlaskClient, here: Soundalike, music: Path) -> None:
    song, other = ((music / "low" / f"tone0{n}.wav").read_bytes() for n in (3, 5))
    put(client, "mine/1", song, artist="A", metadata={"plays": 7})
    said = {"artist": "Said", "languages": {"ja": 1}, "vocal_ratio": 0.5, "metadata": {"plays": 8}}
    assert client.patch("/v1/tracks/mine/1", json=said).status_code == 200
    revision = here.catalog.revision()
    assert put(client, "mine/1", song, artist="A", metadata={"plays": 7}).json["status"] == "unchanged"
    assert here.catalog.revision() == revision
    assert put(client, "mine/1", other, artist="B").json["status"] == "indexed"
    track = client.get("/v1/tracks/mine/1").json
    assert {field: track[field] for field in said} == said
    client.patch("/v1/tracks/mine/1", json={"artist": None, "metadata": None})
    track = client.get("/v1/tracks/mine/1").json
    assert (track["artist"], track["metadata"], track["languages"]) == ("B", {}, {"ja": 1})


def test_a_refused_upload_leaves_the_old_track(client: FlaskClient, here: Soundalike, music: Path) -> None:
    song = (music / "low" / "tone03.wav").read_bytes()
    put(client, "mine/1", song)
    before = client.get("/v1/tracks/mine/1").json
    body = refused(put(client, "mine/1", b"no song at all"), 422, "track-failed")
    assert body["stage"] == "decode"
    assert client.get("/v1/tracks/mine/1").json == before
    assert audio_of(client, "mine/1") == song
    assert refused(put(client, "mine/audio", song), 422, "invalid-query")["field"] == "key"
    assert refused(put(client, "k", song, artits="A"), 422, "invalid-request")["field"] == "artits"


def test_bulk_has_a_status_for_every_item(client: FlaskClient, music: Path) -> None:
    files = [
        (io.BytesIO((music / "low" / "tone03.wav").read_bytes()), "bulk/good.wav"),
        (io.BytesIO(b"bad"), "bulk/bad.wav"),
    ]
    items = client.post("/v1/tracks:bulk", data={"files": files}).json["items"]
    assert [(item["track"], item["status"]) for item in items] == [
        ("bulk/good.wav", "indexed"),
        ("bulk/bad.wav", "failed"),
    ]
    assert items[1]["stage"] == "decode"


def test_the_catalogue_is_listed_once(client: FlaskClient) -> None:
    keys: list[str] = []
    cursor = ""
    while cursor is not None:
        page = client.get(f"/v1/tracks?limit=5{cursor and '&cursor=' + cursor}").json
        keys += [track["track"] for track in page["tracks"]]
        cursor = page["next_cursor"]
    assert len(keys) == len(set(keys)) == 12
    raw = json.dumps({"must": [{"key": "duration_s", "range": {"gte": 4.05}}]})
    found = client.get("/v1/tracks", query_string={"filter": raw}).json["tracks"]
    assert [track["track"] for track in found] == ["music/high/tone11.wav"]
    assert refused(client.get("/v1/tracks?cursor=x"), 422, "invalid-query")["field"] == "cursor"
    assert refused(client.get("/v1/tracks?filter={"), 422, "invalid-query")["field"] == "filter"


def test_tags_and_audio_ranges(client: FlaskClient, music: Path) -> None:
    tags = client.get("/v1/tracks/music/low/tone03.wav/tags").json["tags"]
    assert tags
    assert list(tags.values()) == sorted(tags.values(), reverse=True)
    whole = (music / "low" / "tone03.wav").read_bytes()
    assert audio_of(client, "music/low/tone03.wav") == whole
    with client.get("/v1/tracks/music/low/tone03.wav/audio", headers={"Range": "bytes=10-19"}) as part:
        assert part.status_code == 206
        assert part.data == whole[10:20]
    (music / "low" / "tone03.wav").unlink()
    refused(client.get("/v1/tracks/music/low/tone03.wav/audio"), 410, "audio-gone")


def test_health_readiness_limits_and_jobs(client: FlaskClient, here: Soundalike) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json["tracks"] == 12
    assert client.get("/v1/limits").json["max_limit"] == 1000
    job = client.get("/v1/jobs/1").json
    assert (job["state"], job["counts"]["indexed"], job["failures"]) == ("done", 12, [])
    job = refused(client.get("/v1/jobs/99"), 404, "unknown-job")
    assert (job["field"], job["accepted"]) == ("job_id", "the number of a job that was begun")
    refused(client.get("/v1/nowhere"), 404, "not-found")
    refused(client.get("/v1/query"), 405, "method-not-allowed")


def test_too_large_a_body_is_refused(here: Soundalike) -> None:
    app = create_app(here)
    app.config["MAX_CONTENT_LENGTH"] = 1_000
    response = app.test_client().post("/v1/query/audio", data={"file": (io.BytesIO(b"x" * 2_000), "a.wav")})
    refused(response, 413, "request-entity-too-large")


def test_openapi_describes_every_route(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    assert document["openapi"].startswith("3.1")
    paths = set(document["paths"])
    assert {
        "/v1/query",
        "/v1/query/batch",
        "/v1/query/audio",
        "/v1/tracks",
        "/v1/tracks/{key}",
        "/v1/tracks:bulk",
        "/readyz",
    } <= paths
    for operations in document["paths"].values():
        for operation in operations.values():
            for status, response in operation["responses"].items() if isinstance(operation, dict) else ():
                assert ("application/problem+json" in response.get("content", {})) == (int(status) >= 400)
    body = document["components"]["schemas"]["SearchIn"]
    assert set(body["properties"]) >= {"query", "granularity", "filter", "diversity", "context", "cursor", "exact"}
    references = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(document)))
    assert references
    assert references <= set(document["components"]["schemas"])
