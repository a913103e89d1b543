"""What HTTP answers to whoever asks in the wrong way, and the command line where it takes the same document."""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from werkzeug.datastructures import MultiDict

from api.cli.tables import print_answer
from api.http.app import create_app
from api.wiring import Soundalike
from retrieval.search.query import similar
from tests.api.conftest import answered, keys, refused
from tests.catalog.test_catalog import DIM
from tests.conftest import Run

JSON = "application/json"
ONE = {"query": {"track": "t1"}}


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "it is empty; accepted: an object, {…}"),
        (" \n ", "it is empty; accepted: an object, {…}"),
        (
            '{"query": {"track": "t1"},',
            "line 1, column 27: expecting property name enclosed in double quotes, where the end",
        ),
        ('{"query":\n {"track": t1}}', "line 2, column 12: expecting value, where 't1}}' stands"),
        ('{"query": {"track": "t1"}} more', "line 1, column 28: extra data, where 'more' stands"),
        ("title=x", "line 1, column 1: expecting value, where 'title=x' stands"),
        (b'{"query": "\xff"}', "byte 11 is not UTF-8; accepted: JSON in UTF-8"),
    ],
)
def test_json_breaks_where_it_is_told(client: FlaskClient, body: str | bytes, says: str) -> None:
    response = client.post("/v1/query", data=body, content_type=JSON)
    assert refused(response, 400, "bad-request")["detail"].startswith(f"body: is not JSON: {says}")
    if isinstance(body, str) and body.strip():
        in_a_form = client.post("/v1/query/audio", data={"file": (io.BytesIO(b"x"), "a.wav"), "body": body})
        assert refused(in_a_form, 422, "invalid-request")["detail"].startswith(f"body: is not JSON: {says}")


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ("null", "body", "is null; accepted: an object"),
        ("[1]", "body", "is a list; accepted: an object"),
        ('{"query": {"track": "t1"}, "limit": 1, "limit": 2}', "limit", "'limit' stands twice in one object"),
        ('{"query": {"track": "t1", "track": "t2"}}', "track", "'track' stands twice in one object"),
        ('{"query": {"track": "t1"}, "filter": {"must": [{"key": "year", "key": "x"}]}}', "key", "'key' stands twice"),
    ],
)
def test_what_is_no_document(client: FlaskClient, body: str, field: str, says: str) -> None:
    problem = refused(client.post("/v1/query", data=body, content_type=JSON), 422, "invalid-request")
    assert problem["field"] == field
    assert problem["detail"].startswith(f"{field}: {says}")


def test_what_is_accepted_is_a_member_of_its_own(client: FlaskClient) -> None:
    problem = refused(client.post("/v1/query", json={**ONE, "granularity": "sect"}), 422, "invalid-request")
    assert problem["accepted"] == '"track" or "segment"'


@pytest.mark.parametrize(
    ("address", "field", "says"),
    [
        ("/v1/tracks?limt=3", "limt", "unknown field 'limt': did you mean 'limit'?"),
        ("/v1/tracks?limit=3&limit=4", "limit", "is given 2 times; accepted: once"),
        ("/v1/tracks?limit=many", "limit", 'is "many"; accepted: a whole number, 1 to 1000'),
        ("/v1/tracks?limit=0", "limit", "is 0; accepted: 1 to 1000"),
        ("/v1/tracks?limit=1.5", "limit", 'is "1.5"; accepted: a whole number, 1 to 1000'),
        ("/v1/tracks/t1/similar?explain=1", "explain", 'is "1"; accepted: true or false'),
        ("/v1/tracks/t1/similar?limit=1001", "limit", "is 1001; accepted: 1 to 1000"),
        ("/v1/tracks?missing=yes", "missing", 'is "yes"; accepted: true or false'),
        ("/v1/tracks/t1/similar?explain=on", "explain", 'is "on"; accepted: true or false'),
        ("/v1/tracks/t1/retarget?duration_s=0", "duration_s", "is 0; accepted: 1 to 3600"),
        ("/v1/facets?filter={}&filter={}", "filter", "is given 2 times; accepted: once"),
        ("/v1/tracks/t1/similar?spce=e", "spce", "unknown field 'spce': did you mean 'space'?"),
        ("/v1/tracks/t1/tags?limit=3", "limit", "unknown argument 'limit'; /v1/tracks/t1/tags takes none"),
        ("/v1/spaces?x=1", "x", "unknown argument 'x'; /v1/spaces takes none"),
        ("/healthz?x=1", "x", "unknown argument 'x'; /healthz takes none"),
    ],
)
def test_arguments_that_nothing_reads_are_refused(client: FlaskClient, address: str, field: str, says: str) -> None:
    problem = refused(client.get(address), 422, "invalid-request")
    assert (problem["field"], problem["detail"]) == (field, f"{field}: {says}")


def files(*names: str) -> list[tuple[str, Any]]:
    return [(name, (b"RIFF", "a.wav")) for name in names]


@pytest.mark.parametrize(
    ("parts", "field", "says"),
    [
        (files("fil"), "fil", "unknown field 'fil': did you mean 'file'?"),
        (files("file", "extra"), "extra", "unknown field 'extra'; accepted: file, body"),
        (files("file", "file"), "file", "is given 2 times; accepted: once"),
        ([*files("file"), ("body", "{}"), ("body", "{}")], "body", "is given 2 times; accepted: once"),
        (files("file", "body"), "body", "is a file; accepted: text (in curl, -F 'body=<FILE', not -F 'body=@FILE')"),
        ([*files("file"), ("boddy", "{}")], "boddy", "unknown field 'boddy': did you mean 'body'?"),
        ([("body", "{}")], "file", "is missing; accepted: a file, as a part of multipart/form-data"),
        ([("file", "a.wav")], "file", "is no file; accepted: a file, as a part of multipart/form-data"),
        (
            [*files("file"), ("limit", "5")],
            "limit",
            "belongs in body; accepted: in curl, -F 'body={\"limit\": …}'",
        ),
    ],
)
def test_parts_that_nothing_reads_are_refused(client: FlaskClient, parts: Any, field: str, says: str) -> None:
    for path in ("/v1/query/audio", "/v1/query/humming"):
        opened = [(name, part if isinstance(part, str) else (io.BytesIO(part[0]), part[1])) for name, part in parts]
        response = client.post(path, data=MultiDict(opened), content_type="multipart/form-data")
        problem = refused(response, 422, "invalid-request")
        assert (problem["field"], problem["errors"][0]["reason"]) == (field, says)


def test_files_of_a_bulk_are_files(client: FlaskClient) -> None:
    for parts, says in (({}, "is missing"), ({"files": "abc"}, "is no file")):
        response = client.post("/v1/tracks:bulk", data=parts, content_type="multipart/form-data")
        problem = refused(response, 422, "invalid-request")
        assert problem["detail"].startswith(f"files: {says}; accepted: files, as parts of multipart/form-data")
    response = client.put("/v1/tracks/new", data={"file": (io.BytesIO(b"RIFF"), "a.wav"), "title": "x"})
    assert refused(response, 422, "invalid-request")["detail"].startswith(
        "title: belongs in body; accepted: in curl, -F 'body={"
    )


def test_another_kind_of_body_is_named(client: FlaskClient) -> None:
    for method, path in (("POST", "/v1/query"), ("POST", "/v1/path"), ("PATCH", "/v1/tracks/t1")):
        response = client.open(path, method=method, data={"query": "x"}, content_type="multipart/form-data")
        problem = refused(response, 415, "unsupported-media-type")
        assert problem["detail"] == f"body: is multipart/form-data; accepted: {JSON} (in curl, -d '{{…}}')"
        assert (problem["field"], problem["accepted"]) == ("body", JSON)
    for method, path in (("POST", "/v1/query/audio"), ("PUT", "/v1/tracks/new"), ("POST", "/v1/tracks:bulk")):
        problem = refused(client.open(path, method=method, json={}), 415, "unsupported-media-type")
        assert problem["accepted"] == "multipart/form-data"
        several = "tracks:bulk" in path
        parts = "-F files=@A -F files=@B" if several else "-F file=@FILE -F 'body={…}'"
        assert problem["detail"].endswith(f"(in curl, {parts})")
    # What curl --data-binary says of any file.
    binary = {"data": b"OggS\xe0\xff", "content_type": "application/x-www-form-urlencoded"}
    for path in ("/v1/query/audio", "/v1/query/video", "/v1/query/humming", "/v1/tracks:bulk"):
        refused(client.post(path, **binary), 415, "unsupported-media-type")  # type: ignore[arg-type]
    assert client.post("/v1/query", **binary).status_code == 400  # type: ignore[arg-type]
    # JSON is read as what it is, whatever a client says that it is: curl -d says that it is a form.
    for said in ("text/plain", "application/x-www-form-urlencoded", None):
        assert client.post("/v1/query", data=json.dumps(ONE), content_type=said).status_code == 200


@pytest.fixture
def narrow(here: Soundalike) -> Iterator[FlaskClient]:
    """A client of a server that takes 1,000 bytes."""
    with create_app(replace(here, settings=replace(here.settings, max_upload_bytes=1_000))).test_client() as client:
        yield client


def test_a_body_that_is_too_long_says_the_limit_and_the_setting(narrow: FlaskClient) -> None:
    accepted = "at most 1,000 bytes (SOUNDALIKE_MAX_UPLOAD_BYTES)"
    long = json.dumps(ONE).ljust(1_234)
    problem = refused(narrow.post("/v1/query", data=long, content_type=JSON), 413, "request-entity-too-large")
    assert (problem["detail"], problem["accepted"]) == (f"the body has 1,234 bytes; accepted: {accepted}", accepted)


@pytest.mark.parametrize(("size", "status"), [(1_000, 200), (1_001, 413), (1_000_000, 413)])
def test_a_body_that_tells_no_length_is_not_cut(narrow: FlaskClient, size: int, status: int) -> None:
    body = io.BytesIO(json.dumps(ONE).ljust(size).encode())
    chunked = {"wsgi.input": body, "wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}
    response = narrow.post("/v1/query", content_type=JSON, environ_overrides=chunked)
    assert response.status_code == status
    assert status == 200 or "has too many bytes; accepted: at most 1,000 bytes" in response.json["detail"]


def test_a_wrong_method_says_which_are_right(client: FlaskClient) -> None:
    for method, path, accepted in (
        ("GET", "/v1/query", "POST"),
        ("POST", "/v1/spaces", "GET"),
        ("POST", "/v1/tracks/t1", "DELETE, GET, PATCH, PUT"),
        ("DELETE", "/v1/facets", "GET"),
    ):
        response = client.open(path, method=method)
        problem = refused(response, 405, "method-not-allowed")
        assert problem["detail"] == f"{path} is not there for {method}; accepted: {accepted}"
        assert set(accepted.split(", ")) <= set(response.headers["Allow"].split(", "))


@pytest.mark.parametrize(
    ("path", "nearest"),
    [
        ("/v1/query/audo", "/v1/query/audio"),
        ("/v1/querry", "/v1/query"),
        ("/v1/query/", "/v1/query"),
        ("/v2/query", "/v1/query"),
        ("/v1/track/abc", "/v1/tracks/{key}"),
        ("/v1/track/abc/rhythm", "/v1/tracks/{key}/rhythm"),
        ("/v1/search", "/v1/query"),
        ("/v1/paths", "/v1/path"),
        ("/health", "/healthz"),
        ("/doc", "/docs/"),
        ("/v1", "/v1/facets"),
    ],
)
def test_where_nothing_is_what_is_near(client: FlaskClient, path: str, nearest: str) -> None:
    problem = refused(client.get(path), 404, "not-found")
    assert problem["nearest"][0] == nearest
    assert problem["detail"].startswith(f"nothing is at {path}; did you mean {nearest}")
    assert problem["detail"].endswith(
        "? What there is: / with an example, /docs to be read and tried, /openapi.json for programs"
    )
    assert all(re.fullmatch(r"[a-z0-9_/{}:.]+", one) for one in problem["nearest"])


def test_a_route_that_is_there_but_for_one_thing_is_the_only_one_told(client: FlaskClient) -> None:
    problem = refused(client.get("/v1/jobs/abc"), 404, "not-found")
    assert (problem["nearest"], problem["detail"]) == (
        ["/v1/jobs/{job_id}"],
        "nothing is at /v1/jobs/abc: job_id is a whole number",
    )
    assert refused(client.get("/v1/limits/"), 404, "not-found")["nearest"] == ["/v1/limits"]


def test_what_is_like_nothing_has_no_hint(client: FlaskClient) -> None:
    problem = refused(client.get("/favicon.ico"), 404, "not-found")
    assert "nearest" not in problem
    assert problem["detail"].startswith("nothing is at /favicon.ico; what there is: / with an example, /docs")


def test_keys_that_keep_nothing_out_are_told(client: FlaskClient) -> None:
    body = {**ONE, "exclude": ["t2", "t02", "t3"], "context": {"previous": ["t4", "nowhere", "t02"]}, "limit": 100}
    answer = answered(client, body)
    assert answer["stats"]["unknown"] == ["t02", "nowhere"]
    assert not {"t2", "t3", "t4"} & set(keys(answer))
    assert answered(client, {**ONE, "exclude": ["t2"]})["stats"]["unknown"] == []


def test_vectors_without_end_are_no_trouble(client: FlaskClient, rng: np.random.Generator) -> None:
    """A vector of another size is told by its size, not by a shape."""
    body = {"query": {"vector": rng.normal(size=DIM + 1).tolist()}}
    assert refused(client.post("/v1/query", json=body), 422, "invalid-query")["detail"].startswith(
        f"query.vector: has {DIM + 1} values; accepted: {DIM} finite numbers"
    )


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ('{"query": {"track": "t1"},\n "limit": 3,}', "line 2, column 13: expecting property name"),
        ("", "it is empty; accepted: an object, {…}"),
        ("null", "body: is null; accepted: an object"),
        ('{"query": {"track": "t1"}, "limit": 3, "limit": 4}', "limit: 'limit' stands twice in one object"),
        ('{"query": {"track": "t1"}, "limt": 3}', "limt: unknown field 'limt': did you mean 'limit'?"),
    ],
)
def test_the_command_line_says_the_same(run: Run, tmp_path: Path, body: str, says: str) -> None:
    (tmp_path / "query.json").write_text(body)
    told = run("query", tmp_path / "query.json", expect=2)
    assert says in told.stderr
    assert told.stdout == ""


def test_a_table_names_keys_that_keep_nothing_out(here: Soundalike, capsys: pytest.CaptureFixture[str]) -> None:
    asked = similar("t1", exclude=["t2", "a\x1b[31m", *"bcdefg"], limit=1)
    print_answer("like t1", here.search.answer(asked), asked)
    assert (
        "keeps nothing out, as no track has this key: a\\x1b[31m, b, c, d, e, and 2 more\n" in capsys.readouterr().out
    )
    asked = similar("t1", exclude=["t2"], limit=1)
    print_answer("like t1", here.search.answer(asked), asked)
    assert "keeps nothing out" not in capsys.readouterr().out
