"""Nothing that a caller may send is answered with 500: every route, every argument, every field, by its name."""

import io
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote_to_bytes

import pytest
from flask.testing import FlaskClient

from api.documents.wellformed import MAX_JSON_DEPTH, DocumentError, TooDeepError, check, parse_json
from tests.api.conftest import answered, refused
from tests.conftest import Run

JSON = "application/json"
# As they stand in JSON, where a text or a number may.
HALVES = ('"\\ud800"', '"a\\udfff"', '"\\udc00\\ud800"', '"\\ud83d x"', '"\\u0000"', '"a\\u0000b"')
NUMBERS = ("NaN", "Infinity", "-Infinity", "1e999", str(2**63), str(-(2**63) - 1), "9" * 5000)
IN_ADDRESSES = ("%00", "a%00b", "%FF", "caf%E9", "%ED%A0%80", "%C3", "%C0%80", "%F5%80%80%80")


def nested(levels: int, inner: str = "1") -> str:
    return '{"a":' * levels + inner + "}" * levels


def operations(client: FlaskClient) -> Iterator[tuple[str, str, dict[str, Any]]]:
    document = client.get("/openapi.json").json
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def sent(client: FlaskClient, path: str, method: str) -> Any:
    """Ask by the bytes of an address, as a server passes them on: the test's client would put U+FFFD for some."""
    raw = unquote_to_bytes(path.partition("?")[0]).decode("latin-1")
    return client.open(path, method=method.upper(), environ_overrides={"PATH_INFO": raw})


def addressed(path: str, key: str = "t1") -> str:
    return path.replace("{key}", key).replace("{job_id}", "1")


def fields(document: dict[str, Any], schema: dict[str, Any], depth: int = 4) -> Iterator[tuple[str, ...]]:
    """Paths of fields of a schema, through arrays and alternatives."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    for one in (*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())):
        yield from fields(document, one, depth)
    for name, inner in schema.get("properties", {}).items() if depth else ():
        yield (name,)
        yield from ((name, *rest) for rest in fields(document, inner, depth - 1))
    if "items" in schema and depth:
        yield ("",)
        yield from (("", *rest) for rest in fields(document, schema["items"], depth - 1))


def within(path: tuple[str, ...], value: str) -> str:
    """JSON in which a value stands at a path; an empty step is an array's."""
    for step in reversed(path):
        value = f"[{value}]" if not step else f"{{{json.dumps(step)}: {value}}}"
    return value


def named(path: tuple[str, ...]) -> str:
    return "".join("[0]" if not step else f".{step}" for step in path).lstrip(".")


def test_every_route_names_the_part_of_the_address_that_is_no_text(client: FlaskClient) -> None:
    tried = 0
    for path, method, operation in operations(client):
        for bad in IN_ADDRESSES:
            if "{key}" in path:
                problem = refused(sent(client, addressed(path, bad), method), 422, "invalid-request")
                assert problem["field"] == "key", (method, path, bad)
                tried += 1
            arguments = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
            for name in (*arguments, "unknown"):
                response = client.open(f"{addressed(path)}?{name}={bad}", method=method.upper())
                assert refused(response, 422, "invalid-request")["field"] == name, (method, path, name, bad)
                tried += 1
    assert tried > 300


def test_every_field_of_every_body_is_named(client: FlaskClient) -> None:
    document, tried = client.get("/openapi.json").json, 0
    for path, method, operation in operations(client):
        schema = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema")
        if schema is None or path.endswith("/batch"):  # each search of a batch answers for itself: see below
            continue
        places = list(dict.fromkeys(fields(document, schema)))
        assert places, (path, schema)
        for place in places:
            for bad in (HALVES[tried % len(HALVES)], NUMBERS[tried % len(NUMBERS)]):
                response = client.open(
                    addressed(path), method=method.upper(), data=within(place, bad), content_type=JSON
                )
                assert refused(response, 422, "invalid-request")["field"] == named(place), (path, place, bad)
                tried += 1
    assert tried > 100


@pytest.mark.parametrize("bad", [*HALVES, *NUMBERS])
def test_values_of_filters_are_named(client: FlaskClient, bad: str) -> None:
    filter_ = f'{{"must": [{{"must": [{{"key": "artist", "match": {{"any": ["a", {bad}]}}}}]}}]}}'
    field = "filter.must[0].must[0].match.any[1]"
    body = f'{{"query": {{"track": "t1"}}, "filter": {filter_}}}'
    assert refused(client.post("/v1/query", data=body, content_type=JSON), 422, "invalid-request")["field"] == field
    for path in ("/v1/tracks", "/v1/facets"):
        response = client.get(path, query_string={"filter": filter_})
        assert refused(response, 422, "invalid-request")["field"] == field
    key = '{"must": [{"key": "meta.\\ud800", "is_empty": true}]}'
    response = client.get("/v1/facets", query_string={"filter": key})
    assert refused(response, 422, "invalid-request")["field"] == "filter.must[0].key"


@pytest.mark.parametrize("bad", [*HALVES, *NUMBERS])
def test_metadata_is_refused_whole_and_nothing_is_lost(client: FlaskClient, bad: str) -> None:
    assert client.patch("/v1/tracks/t1", json={"metadata": {"a": "kept"}}).status_code == 200
    for inner, field in ((f'{{"b": [0.5, {bad}]}}', "metadata.b[1]"), (f'{{"b": {{"c": {bad}}}}}', "metadata.b.c")):
        response = client.patch("/v1/tracks/t1", data=f'{{"metadata": {inner}}}', content_type=JSON)
        assert refused(response, 422, "invalid-request")["field"] == field
        form = {"file": (io.BytesIO(b"RIFF"), "a.wav"), "body": f'{{"metadata": {inner}}}'}
        assert refused(client.put("/v1/tracks/new", data=form), 422, "invalid-request")["field"] == field
    assert client.get("/v1/tracks/t1").json["metadata"] == {"a": "kept"}


def test_names_of_fields_are_text_too(client: FlaskClient) -> None:
    for name in ("\\ud800", "a\\udc00", "\\u0000"):
        body = f'{{"metadata": {{"a": {{"{name}": 1}}}}}}'
        response = client.patch("/v1/tracks/t1", data=body, content_type=JSON)
        assert refused(response, 422, "invalid-request")["field"] == f"metadata.a.{name}"
        response = client.post("/v1/query", data=f'{{"{name}": 1}}', content_type=JSON)
        assert refused(response, 422, "invalid-request")["field"] == name


def test_a_search_of_a_batch_answers_for_itself(client: FlaskClient) -> None:
    searches = '{"query": {"track": "t1"}}, {"query": {"track": "\\ud800"}}, {"query": {"vector": [NaN]}}'
    response = client.post("/v1/query/batch", data=f'{{"searches": [{searches}]}}', content_type=JSON)
    first, second, third = response.json["answers"]
    assert first["results"]
    assert [(one["status"], one["field"]) for one in (second, third)] == [
        (422, "query.track"),
        (422, "query.vector[0]"),
    ]


def test_nesting_is_bounded_where_it_begins(client: FlaskClient) -> None:
    for levels in (MAX_JSON_DEPTH, 900, 50_000):
        body = f'{{"metadata": {nested(levels)}}}'
        problem = refused(client.patch("/v1/tracks/t1", data=body, content_type=JSON), 422, "too-deep")
        assert (problem["field"], problem["accepted"]) == (
            "metadata" if levels < 1000 else "body",
            f"at most {MAX_JSON_DEPTH} levels",
        )
        form = {"file": (io.BytesIO(b"RIFF"), "a.wav"), "body": body}
        refused(client.put("/v1/tracks/new", data=form), 422, "too-deep")
        response = client.get("/v1/tracks", query_string={"filter": nested(levels)[:4000]})
        assert 400 <= response.status_code < 500
    deepest = json.loads(nested(30))
    assert client.patch("/v1/tracks/t1", json={"metadata": deepest}).status_code == 200
    assert client.get("/v1/tracks/t1").json["metadata"] == deepest


def test_integers_of_addresses_are_bounded(client: FlaskClient) -> None:
    for number in (2**31, 2**63 - 1):
        refused(client.get(f"/v1/jobs/{number}"), 404, "unknown-job")
    for number in (2**63, 10**40):
        problem = refused(client.get(f"/v1/jobs/{number}"), 422, "invalid-request")
        assert (problem["field"], problem["accepted"]) == ("job_id", "a whole number of at most 64 bits")
    for path in ("/v1/tracks?limit=", "/v1/tracks/t1/similar?limit="):
        for number in ("9" * 30, "9" * 5000, "1e400", "nan", "-1", "%EF%BC%91%00"):
            assert refused(client.get(path + number), 422, "invalid-request")["field"] == "limit"
    for cursor in ("9" * 30, "-1", "nan", "9223372036854775808", "%D9%A1"):
        assert refused(client.get(f"/v1/tracks?cursor={cursor}"), 422, "invalid-query")["field"] == "cursor"
    for cursor in ("AAAA", "////", "é", "=" * 9, "W10"):
        body = {"query": {"track": "t1"}, "cursor": cursor}
        assert refused(client.post("/v1/query", json=body), 422, "invalid-query")["field"] == "cursor"


def test_bodies_that_are_no_utf_8_are_refused(client: FlaskClient) -> None:
    for raw in (b'{"query": {"track": "caf\xe9"}}', b'{"query": {"track": "\xff"}}', b"\xff\xfe\xff", b"\x80"):
        assert client.post("/v1/query", data=raw, content_type=JSON).status_code == 400
    # UTF-8 of a surrogate, which Python's JSON lets pass.
    raw = b'{"query": {"track": "\xed\xa0\x80"}}'
    assert (
        refused(client.post("/v1/query", data=raw, content_type=JSON), 422, "invalid-request")["field"] == "query.track"
    )


def form(*parts: bytes) -> dict[str, Any]:
    body = b"".join(b"--x\r\nContent-Disposition: form-data; " + part + b"\r\n" for part in parts) + b"--x--\r\n"
    return {"data": body, "content_type": "multipart/form-data; boundary=x"}


def test_names_of_uploaded_files_are_text(client: FlaskClient) -> None:
    for raw in (b"caf\xe9.wav", b"\xff", b"\xed\xa0\x80.wav"):
        part = b'name="files"; filename="' + raw + b'"\r\n\r\nRIFF'
        problem = refused(client.post("/v1/tracks:bulk", **form(part)), 422, "invalid-request")
        assert "is not UTF-8" in problem["detail"]
    nul = b'name="files"; filename="a\0b"\r\n\r\nRIFF'
    assert refused(client.post("/v1/tracks:bulk", **form(nul)), 422, "invalid-request")["field"] == "files"
    parts = b'name="files"; filename="a.wav"\r\n\r\nRIFF', nul
    assert refused(client.post("/v1/tracks:bulk", **form(*parts)), 422, "invalid-request")["field"] == "files[1]"
    assert client.get("/v1/tracks/a.wav").status_code == 404
    for path in ("/v1/query/audio", "/v1/query/humming", "/v1/query/video"):
        for body in (b'{"filter": NaN}', b'{"limit": 1e999}', b'{"\\ud800": 1}', b"{", b"\xff", b""):
            part = b'name="body"\r\n\r\n' + body
            response = client.post(path, **form(b'name="file"; filename="a.wav"\r\n\r\nRIFF', part))
            assert 400 <= response.status_code < 500, (path, body)
            assert response.content_type == "application/problem+json"


def test_whole_characters_pass(client: FlaskClient) -> None:
    """Every plane, a pair of escapes, joiners, controls that are no NUL, the last code point."""
    text = "Ä 音 🎵 \u200d \u202e \x1b[31m \n \ufffd \U0010ffff"
    body = json.dumps({"metadata": {"a": text, "b": [2**63 - 1, -(2**63), 0.1, True, None]}})
    assert client.patch("/v1/tracks/t1", data=body, content_type=JSON).status_code == 200
    assert client.get("/v1/tracks/t1").json["metadata"] == json.loads(body)["metadata"]
    body = (
        '{"query": {"track": "t1"}, "filter": {"must_not": [{"key": "artist", "match": {"value": "\\ud83c\\udfb5"}}]}}'
    )
    response = client.post("/v1/query", data=body, content_type=JSON)
    assert response.status_code == 200
    assert answered(client, json.loads(body))["results"] == response.json["results"]


def test_what_is_found_is_named_by_its_place() -> None:
    for raw, path in (('[["\\ud800"]]', "[0][0]"), ('{"a": [0, {"b": NaN}]}', "a[1].b"), ("1" * 30, "body")):
        with pytest.raises(DocumentError) as refusal:
            check(parse_json(raw))
        assert refusal.value.path == path
    for raw in ("[" * 100 + "]" * 100, "[" * 200_000):
        with pytest.raises(TooDeepError):
            check(parse_json(raw))


def test_the_command_line_names_them_as_well(run: Run, here: object, tmp_path: Any) -> None:
    bad = '{"must": [{"key": "artist", "match": {"value": "\\ud800"}}]}'
    for command in (("tracks",), ("facets",), ("similar", "t1"), ("continue", "t1")):
        assert "filter.must[0].match.value" in run(*command, "--filter", bad, expect=2).stderr
    percent = '{"must": [{"key": "vocal_ratio", "range": {"gte": 50}}, {"key": "tags.rock", "range": {"gte": 20}}]}'
    said = run("tracks", "--filter", percent, expect=2).stderr
    assert "filter.must[0].range.gte: is 50, and key 'vocal_ratio' holds 0 to 1; accepted: 0 to 1" in said
    assert "filter.must[1].range.gte: is 20, and key 'tags.rock' holds 0 to 1; accepted: 0 to 1" in said
    search = tmp_path / "search.json"
    for raw, field in (
        (b'{"query": {"track": "\\ud800"}}', "query.track"),
        (b'{"query": {"track": "t1"}, "limit": 1e999}', "limit"),
        (b'{"query": ' + nested(900).encode() + b"}", "query"),
    ):
        search.write_bytes(raw)
        assert field in run("query", search, expect=2).stderr
    search.write_bytes(b'{"query": {"track": "caf\xe9"}}')
    assert "is not JSON" in run("query", search, expect=2).stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("similar", "caf\udce9"),
        ("similar", "t1", "--exclude", "\udcff"),
        ("tracks", "--filter", "\udcff"),
        ("delete", "t1", "\udcff"),
        ("correct", "t1", "--title=\udcff"),
        ("path", "t1", "\udcff"),
        ("continue", "\udcff"),
        ("language", "\udcff"),
        ("\udcff",),
    ],
)
def test_arguments_that_are_no_text_are_wrong_usage(run: Run, here: object, arguments: tuple[str, ...]) -> None:
    stderr = run(*arguments, expect=2).stderr
    assert "is not UTF-8" in stderr
    assert "\\udc" in stderr
