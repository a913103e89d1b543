"""The doors of HTTP beside searches: paths, spaces, the first page, the log of requests."""

import io
import json
import logging
import re
import shlex
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from api.http.app import create_app
from api.http.server import ACCESS, Server
from api.wiring import Soundalike
from encoders.registry import weights_path
from encoders.spec import SHIPPED_WEIGHTS
from tests.api.conftest import N_TRACKS, refused
from tests.catalog.test_catalog import DIM, analysis


def test_a_path_leads_from_one_track_to_another(client: FlaskClient, here: Soundalike) -> None:
    body = {"start": {"track": "t1"}, "end": {"track": "t2"}, "steps": 5}
    way = client.post("/v1/path", json=body).json
    stops = way["tracks"]
    assert (stops[0]["track"], stops[-1]["track"], len(stops), way["reason"]) == ("t1", "t2", 5, None)
    vectors = [here.catalog.track_vector(here.catalog.track(stop["track"]).id, "e", None) for stop in stops]
    for stop, one, next_one in zip(stops, vectors, vectors[1:], strict=False):
        assert stop["cosine_to_next"] == pytest.approx(float(one @ next_one), abs=1e-5)
    assert stops[-1]["cosine_to_next"] is None
    by_vector = client.post("/v1/path", json={**body, "start": {"vector": vectors[0].tolist()}}).json
    assert (by_vector["tracks"][0]["track"], by_vector["tracks"][-1]["track"]) == (None, "t2")


@pytest.mark.parametrize(
    ("changed", "status", "slug", "field", "says"),
    [
        ({"start": {"track": "t99"}}, 404, "unknown-track", "start.track", "no track with key 't99'; nearest keys: t"),
        ({"end": {"track": "t99"}}, 404, "unknown-track", "end.track", "no track with key 't99'; nearest keys: t"),
        ({"end": {"vector": [1, 2]}}, 422, "invalid-query", "end.vector", "has 2 values; accepted: "),
        (
            {"end": {"vector": [0] * DIM}},
            422,
            "invalid-query",
            "end.vector",
            "is all 0, and has no direction; accepted",
        ),
        ({"end": {}}, 422, "invalid-request", "end", "exactly one of track, vector is needed"),
        ({"end": "t2"}, 422, "invalid-request", "end", 'is "t2"; accepted: an object'),
        ({"end": {"trak": "t2"}}, 422, "invalid-request", "end.trak", "unknown field 'trak': did you mean 'track'?"),
        ({"steps": 1}, 422, "invalid-request", "steps", "is 1; accepted: 2 to "),
        ({"steps": "x"}, 422, "invalid-request", "steps", 'is "x"; accepted: a whole number'),
        ({"stps": 3}, 422, "invalid-request", "stps", "unknown field 'stps': did you mean 'steps'?"),
    ],
)
def test_a_path_that_cannot_be(
    client: FlaskClient, changed: Any, status: int, slug: str, field: str, says: str
) -> None:
    body = {"start": {"track": "t1"}, "end": {"track": "t2"}, **changed}
    problem = refused(client.post("/v1/path", json=body), status, slug)
    assert problem["field"] == field
    assert problem["detail"].startswith(f"{field}: {says}")


def test_openapi_says_what_every_body_has(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    bodies = [
        kind["schema"]["$ref"].rpartition("/")[2]
        for methods in document["paths"].values()
        for operation in methods.values()
        for kind in operation.get("requestBody", {}).get("content", {}).values()
    ]
    assert len(bodies) > 8
    schemas = document["components"]["schemas"]
    assert all(schemas[body]["properties"] for body in bodies)
    searches = schemas["BatchIn"]["properties"]["searches"]
    assert searches["items"] == {"$ref": "#/components/schemas/SearchIn"}
    assert (searches["minItems"], searches["maxItems"]) == (1, 100)


def test_spaces_are_listed(client: FlaskClient) -> None:
    (space,) = client.get("/v1/spaces").json["spaces"]
    assert (space["space"], space["default"], space["dim"], space["searchable"]) == ("e", True, DIM, N_TRACKS)
    assert space["tracks_by_version"] == {space["encoder_version"]: N_TRACKS}
    assert space["weights"] is None  # nobody has weights of an encoder by this name


def test_weights_are_the_users_before_those_shipped(tmp_path: Any) -> None:
    assert weights_path("soundalike", tmp_path) == SHIPPED_WEIGHTS / "soundalike.safetensors"
    (tmp_path / "clmr.safetensors").touch()  # the name that `timbre` had
    assert weights_path("timbre", tmp_path) == tmp_path / "clmr.safetensors"
    assert weights_path("nobody's", tmp_path) is None


def test_the_first_page_leads_on(client: FlaskClient, soundalike: Soundalike) -> None:
    response = client.get("/")
    assert response.content_type == "text/html; charset=utf-8"
    assert f"{N_TRACKS} tracks can be found, in the space &#39;e&#39;." in response.text
    links = re.findall(r'href="([^"]+)"', response.text)
    assert {"/docs", "/openapi.json", "/v1/tracks", "/healthz"} <= set(links)
    for link in links:
        assert client.get(link, follow_redirects=True).status_code == 200, link


def test_the_first_page_of_an_empty_catalogue(soundalike: Soundalike) -> None:
    response = create_app(soundalike).test_client().get("/")
    assert response.status_code == 200
    assert "Not ready: " in response.text


def logged(server: Server, path: str, caplog: pytest.LogCaptureFixture) -> list[str]:
    logger = server.cfg.logger_class(server.cfg)
    logger.access_log.propagate = True
    environ = {"REQUEST_METHOD": "GET", "PATH_INFO": path, "RAW_URI": "/", "SERVER_PROTOCOL": "HTTP/1.1"}
    environ |= {"QUERY_STRING": "filter=secret", "REMOTE_ADDR": "127.0.0.1"}
    response = SimpleNamespace(status="200 OK", sent=16, headers=[])
    with caplog.at_level(logging.INFO, "gunicorn.access"):
        logger.access(response, SimpleNamespace(headers=[]), environ, timedelta(milliseconds=7))
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize(
    ("path", "shown"),
    [
        ("/v1/tracks/a b", "/v1/tracks/a%20b"),
        (
            "/x\n[now] 127.0.0.1 GET /forged 200 1 ms 1 bytes",
            "/x%0A%5Bnow%5D%20127.0.0.1%20GET%20/forged%20200%201%20ms",
        ),
        ("/\x1b[31m\r", "/%1B%5B31m%0D"),
        ("/caf\u00c3\u00a9", "/caf%C3%A9"),
    ],
)
def test_a_request_is_one_line_of_the_log(
    soundalike: Soundalike, caplog: pytest.LogCaptureFixture, path: str, shown: str
) -> None:
    server = Server(soundalike.settings, bind="127.0.0.1:0", workers=1, threads=1, access_log=True)
    assert server.cfg.access_log_format == ACCESS
    (line,) = logged(server, path, caplog)
    assert re.fullmatch(r"\[[^]]+\] 127\.0\.0\.1 GET (\S+) 200 7 ms 16 bytes", line)
    assert f" GET {shown}" in line
    assert "secret" not in line


def test_the_log_can_be_left_out(soundalike: Soundalike, caplog: pytest.LogCaptureFixture) -> None:
    server = Server(soundalike.settings, bind="127.0.0.1:0", workers=1, threads=1)
    assert logged(server, "/", caplog) == []


def test_the_first_page_has_an_example_that_runs(soundalike: Soundalike, rng: np.random.Generator) -> None:
    """As it is typed into a shell, out of the page's source, whatever is in a key."""
    client = create_app(soundalike).test_client()
    nothing = shlex.split(shown_example(client))
    assert nothing == ["curl", "-X", "PUT", "-F", "file=@song.mp3", "http://localhost/v1/tracks/song"]
    key = 'it\'s <b>"a" & $HOME</b>.ogg'
    soundalike.catalog.store(analysis(key, rng))
    *curl, body = shlex.split(shown_example(client))
    assert curl == ["curl", "http://localhost/v1/query", "-H", "Content-Type: application/json", "-d"]
    assert json.loads(body) == {"query": {"track": key}, "limit": 3}


def shown_example(client: FlaskClient) -> str:
    (example,) = re.findall("<pre>(.*?)</pre>", client.get("/").text)
    return str(example.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&"))


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "t1/rythm", 404, "track 't1' has nothing at /rythm; did you mean /v1/tracks/{key}/rhythm?"),
        ("GET", "t1/tag", 404, "track 't1' has nothing at /tag; did you mean /v1/tracks/{key}/tags?"),
        ("GET", "t1/", 404, "track 't1' has nothing at /; did you mean /v1/tracks/{key}?"),
        ("GET", "t1/embedding?space=nope", 404, "space 'nope' holds no track; spaces that do: e"),
        ("DELETE", "t1/xyz", 404, "track 't1' has nothing at /xyz; accepted: tags, language, rhythm, "),
        ("DELETE", "t1/tags", 405, "/v1/tracks/t1/tags is not there for DELETE; accepted: GET"),
        ("PATCH", "t1/rhythm", 405, "/v1/tracks/t1/rhythm is not there for PATCH; accepted: GET"),
        ("POST", "t1/similar", 405, "/v1/tracks/t1/similar is not there for POST; accepted: GET"),
        ("DELETE", "t1/retarget", 405, "/v1/tracks/t1/retarget is not there for DELETE; accepted: GET, POST"),
        ("GET", "nobody/rythm", 404, "no track with key 'nobody/rythm'"),
        ("GET", "t99", 404, "no track with key 't99'"),
    ],
)
def test_a_part_that_no_track_has_is_told(client: FlaskClient, method: str, path: str, status: int, says: str) -> None:
    response = client.open(f"/v1/tracks/{path}", method=method, json={"year": 1990} if method == "PATCH" else None)
    assert response.status_code == status
    assert response.json["detail"].startswith(says)
    assert client.get("/v1/tracks/t1").status_code == 200


@pytest.mark.parametrize("key", ["%20", "%20%09", "%E2%80%83"])
def test_a_key_that_is_blank_is_refused(client: FlaskClient, key: str) -> None:
    problem = refused(
        client.put(f"/v1/tracks/{key}", data={"file": (io.BytesIO(b"RIFF"), "a.wav")}), 422, "invalid-query"
    )
    assert (problem["field"], problem["accepted"]) == ("key", "a name that is not blank")
    blank = {"files": (io.BytesIO(b"RIFF"), " ")}
    assert refused(client.post("/v1/tracks:bulk", data=blank), 422, "invalid-query")["field"] == "key"
