"""The reference of filters is what the code reads: the page, OpenAPI, every example, whatever the catalogue holds."""

import json
from pathlib import Path
from typing import Any

from flask.testing import FlaskClient

import api
from api.documents.filters import EXAMPLE, reference
from encoders.registry import REGISTRY, encoder_spec, known_tags
from retrieval.catalog.languages import LANGUAGES
from retrieval.filters.reference import KEYS, documented, is_always_valid

PAGE = Path(api.__file__).parents[1] / "docs" / "filters.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == reference(), "python -m api.documents.filters > docs/filters.md"


def test_every_encoders_tags_are_in_the_vocabulary() -> None:
    assert known_tags() >= {tag for name in REGISTRY for tag in encoder_spec(name).tags}


def test_own_encoders_have_tags_of_their_own() -> None:
    assert known_tags({"mine": "encoders.models.embeddings.tagging:MSD_SPEC"}) == known_tags()
    assert known_tags({"mine": "tests.api.documents.test_filters:OWN"}) - known_tags() == {"polka"}


def OWN() -> Any:  # noqa: N802 - the name of an encoder's spec
    from dataclasses import replace

    return replace(encoder_spec("tagging"), tags=("polka",))


def test_every_example_is_valid_where_no_track_has_it(client: FlaskClient) -> None:
    for example in (*(key.example for key in KEYS), EXAMPLE):
        filter_ = example if "must" in example else {"must": [example]}
        for url in ("/v1/tracks", "/v1/facets"):
            assert client.get(url, query_string={"filter": json.dumps(filter_)}).status_code == 200, example
        answer = client.post("/v1/query", json={"query": {"track": "t0"}, "filter": filter_})
        assert answer.status_code == 200, (example, answer.json)


def test_every_tag_and_language_is_valid(client: FlaskClient) -> None:
    keys = [*(f"tags.{tag}" for tag in known_tags()), *(f"language.{code}" for code in LANGUAGES)]
    for start in range(0, len(keys), 500):
        should = [{"key": key, "range": {"gte": 1}} for key in keys[start : start + 500]]
        page = client.get("/v1/tracks", query_string={"filter": json.dumps({"should": should})})
        assert (page.status_code, page.json) == (200, {"tracks": [], "next_cursor": None})


def test_examples_stand_by_the_key_they_are_of() -> None:
    for key in KEYS:
        assert documented(str(key.example["key"])) is key
        assert is_always_valid(str(key.example["key"])) or key.name == "tags.<name>"


def test_openapi_knows_the_keys(client: FlaskClient) -> None:
    spec: dict[str, Any] = client.get("/openapi.json").json or {}
    key = spec["components"]["schemas"]["SearchIn.Condition"]["properties"]["key"]
    named = {one for choice in key["anyOf"] for one in choice.get("enum", ())}
    assert {"artist", "tempo", "tags.rock", "tags.Hip-Hop", "language.ja", "sections.chorus"} <= named
    assert all(f"`{one.name}`" in key["description"] for one in KEYS)
    assert spec["components"]["schemas"]["SearchIn.Filter"]["examples"] == [EXAMPLE]
    listed = {one["name"]: one for one in spec["paths"]["/v1/tracks"]["get"]["parameters"]}
    assert listed["filter"]["schema"]["contentSchema"] == {"$ref": "#/components/schemas/SearchIn.Filter"}


def test_a_misspelt_key_says_what_may_be_meant(client: FlaskClient) -> None:
    answer = client.get("/v1/tracks", query_string={"filter": '{"must": [{"key": "tags.rokc", "is_empty": false}]}'})
    assert answer.status_code == 422
    assert answer.json is not None
    assert answer.json["field"] == "filter.must[0].key"
    assert "did you mean 'tags.rock'" in answer.json["detail"]
