"""A search that cannot be run says where it is wrong, as it was sent; limits are those published."""

import json
from collections.abc import Callable
from typing import Any

from flask.testing import FlaskClient

from tests.api.conftest import RATHER_ALONE, RECENT, answered, recommending, refused, untimed
from tests.catalog.test_catalog import DIM

ONE, SHORT, OUTSIDE = {"track": "t1"}, {"vector": [1.0, 2.0]}, {"track": "t1", "start_s": 50, "end_s": 60}


REFUSED: list[tuple[Any, str, str]] = [
    ({"query": SHORT}, "invalid-query", "query.vector"),
    ({"query": OUTSIDE}, "invalid-query", "query.start_s"),
    ({"query": {"track": "t1", "start_s": 1}}, "invalid-query", "query"),
    ({"query": {"track": "t1", "start_s": 2, "end_s": 1}}, "invalid-query", "query.end_s"),
    ({"query": {**SHORT, "start_s": 2, "end_s": 3}}, "invalid-query", "query"),
    (recommending(ONE, SHORT), "invalid-query", "query.recommend.positive[1].vector"),
    (recommending(SHORT), "invalid-query", "query.recommend.positive[0].vector"),
    (recommending(OUTSIDE), "invalid-query", "query.recommend.positive[0].start_s"),
    (recommending({"track": "t1", "start_s": 1}), "invalid-query", "query.recommend.positive[0]"),
    (recommending(ONE, ONE, OUTSIDE), "invalid-query", "query.recommend.positive[2].start_s"),
    (recommending(ONE, negative=[ONE, SHORT]), "invalid-query", "query.recommend.negative[1].vector"),
    (recommending(ONE, negative=[{}]), "invalid-request", "query.recommend.negative[0]"),
    (recommending({"track": "t1", "weight": 0}), "invalid-request", "query.recommend.positive[0].weight"),
    (recommending(ONE, {"track": "t1", "wieght": 1}), "invalid-request", "query.recommend.positive[1].wieght"),
    (recommending(), "invalid-request", "query.recommend.positive"),
    (recommending(ONE, strategy="best"), "invalid-request", "query.recommend.strategy"),
    ({"query": {"track": "t1", "recommend": {"positive": [ONE]}}}, "invalid-request", "query"),
    ({"query": ONE, "diversity": {"mmr": 1.1}}, "invalid-request", "diversity.mmr"),
    ({"query": ONE, "diversity": {"max_per": {"artist": 0}}}, "invalid-request", "diversity.max_per.artist"),
    ({"query": ONE, "diversity": {"max_per": {"genre": 1}}}, "invalid-request", "diversity.max_per.genre"),
    ({"query": ONE, "context": {"artist_gap": -1}}, "invalid-request", "context.artist_gap"),
    ({"query": ONE, "score_threshold": 1.5}, "invalid-request", "score_threshold"),
    ({"query": {"continue": {"playlist": []}}}, "invalid-request", "query.continue.playlist"),
    ({"query": {"continue": {"playlist": ["t1", ""]}}}, "invalid-request", "query.continue.playlist[1]"),
    ({"query": {"continue": {"playlist": ["t1"], "half_life": 0}}}, "invalid-request", "query.continue.half_life"),
    ({"query": {"continue": {"tracks": ["t1"]}}}, "invalid-request", "query.continue.playlist"),
    ({"query": {"continuation": {"playlist": ["t1"]}}}, "invalid-request", "query.continuation"),
    ({"query": {**ONE, "continue": {"playlist": ["t1"]}}}, "invalid-request", "query"),
    ({"query": {"track": "a\0b"}}, "invalid-request", "query.track"),
    ({"query": {"track": ""}}, "invalid-request", "query.track"),
    ({"query": {"track": "\ud800"}}, "invalid-request", "query.track"),
    ({"query": ONE, "exclude": ["t2", "\0"]}, "invalid-request", "exclude[1]"),
    ({"query": ONE, "context": {"previous": ["\0"]}}, "invalid-request", "context.previous[0]"),
    ({"query": ONE, "space": "\0"}, "invalid-request", "space"),
]


def test_problems_name_the_field_as_it_was_sent(client: FlaskClient) -> None:
    for body, slug, field in REFUSED:
        assert refused(client.post("/v1/query", json=body), 422, slug)["field"] == field, body


def test_an_unknown_track_is_named_where_it_was_sent(client: FlaskClient) -> None:
    for query, field in (
        ({"track": "t99"}, "query.track"),
        ({"recommend": {"positive": [{"track": "t99"}]}}, "query.recommend.positive[0].track"),
        ({"recommend": {"positive": [ONE], "negative": [ONE, {"track": "t99"}]}}, "query.recommend.negative[1].track"),
        ({"continue": {"playlist": ["t99"]}}, "query.continue.playlist[0]"),
        ({"continue": {"playlist": ["t1", "t2", "t99"]}}, "query.continue.playlist[2]"),
    ):
        problem = refused(client.post("/v1/query", json={"query": query}), 404, "unknown-track")
        assert problem["field"] == field
        assert problem["nearest"] == ["t9"]


def test_examples_that_cancel_out_are_told(client: FlaskClient) -> None:
    opposite = recommending({"vector": RATHER_ALONE.tolist()}, {"vector": (-RATHER_ALONE).tolist()})
    problem = refused(client.post("/v1/query", json=opposite), 422, "invalid-query")
    assert problem["field"] == "query.recommend"
    assert problem["detail"].startswith("query.recommend: the positives cancel each other; accepted: other examples")
    assert "cancel" in problem["detail"]


LIMITED: list[tuple[str, Callable[[int], Any], str]] = [
    ("max_limit", lambda n: {"query": ONE, "limit": n}, "limit"),
    ("max_examples", lambda n: recommending(*[ONE] * n), "query.recommend.positive"),
    ("max_examples", lambda n: recommending(ONE, negative=[{"track": "t2"}] * n), "query.recommend.negative"),
    ("max_playlist", lambda n: {"query": {"continue": {"playlist": ["t1"] * n}}}, "query.continue.playlist"),
    ("max_exclude", lambda n: {"query": ONE, "exclude": ["x"] * n}, "exclude"),
    ("max_previous", lambda n: {"query": ONE, "context": {"previous": ["x"] * n}}, "context.previous"),
    ("max_gap", lambda n: {"query": ONE, "context": {"album_gap": n}}, "context.album_gap"),
    ("max_candidates", lambda n: {"query": ONE, "diversity": {"candidates": n}}, "diversity.candidates"),
    ("max_key_characters", lambda n: {"query": ONE, "exclude": ["x" * n]}, "exclude[0]"),
]


def test_a_number_out_of_range_says_what_is_accepted(client: FlaskClient) -> None:
    problem = refused(client.post("/v1/query", json={"query": ONE, "diversity": {"mmr": 2}}), 422, "invalid-request")
    assert problem["title"] == "The request is not valid"
    assert (problem["accepted"], problem["detail"]) == ("0 to 1", "diversity.mmr: is 2; accepted: 0 to 1")
    assert problem["errors"] == [{"field": "diversity.mmr", "reason": "is 2; accepted: 0 to 1"}]
    assert refused(client.get("/v1/tracks/t1/similar?limit=0"), 422, "invalid-request")["field"] == "limit"
    nearest = refused(client.get("/v1/tracks/t99/similar"), 404, "unknown-track")
    assert nearest["detail"].startswith("no track with key 't99'; nearest keys: t")
    assert nearest["field"] == "key"


def test_documented_ranges_are_the_ones_enforced(client: FlaskClient) -> None:
    schemas = client.get("/openapi.json").json["components"]["schemas"]

    def out_of_range(model: str, name: str) -> list[float]:
        schema = schemas[model]["properties"][name]
        schema = next(iter(schema.get("anyOf", ())), schema)  # of what may be null
        beyond = {"minimum": lambda low: low - 1, "maximum": lambda high: 2 * high, "exclusiveMinimum": lambda low: low}
        return [step(schema[bound]) for bound, step in beyond.items() if bound in schema]

    for model, names, body_of in (
        ("SearchIn", ("limit", "score_threshold"), lambda part: {"query": ONE, **part}),
        ("SearchIn.DiversityIn", ("mmr", "candidates"), lambda part: {"query": ONE, "diversity": part}),
        ("SearchIn.MaxPerIn", ("artist", "album"), lambda part: {"query": ONE, "diversity": {"max_per": part}}),
        ("SearchIn.ContextIn", ("artist_gap", "album_gap"), lambda part: {"query": ONE, "context": part}),
        ("SearchIn.WeightedExampleIn", ("weight",), lambda part: recommending({**ONE, **part})),
        ("SearchIn.ContinuationIn", ("half_life",), lambda part: {"query": {"continue": {"playlist": ["t1"], **part}}}),
    ):
        for name in names:
            values = out_of_range(model, name)
            assert values, name
            for value in values:
                response = client.post("/v1/query", json=body_of({name: value}))
                assert refused(response, 422, "invalid-request")["field"].endswith(name), (name, value)


def test_published_limits_are_the_ones_enforced(client: FlaskClient) -> None:
    limits = client.get("/v1/limits").json
    for name, body_of, field in LIMITED:
        answered(client, body_of(limits[name]))
        response = client.post("/v1/query", json=body_of(limits[name] + 1))
        assert refused(response, 422, "invalid-request")["field"] == field, name


def test_what_the_database_cannot_hold_is_refused(client: FlaskClient) -> None:
    problem = refused(client.get("/v1/tracks/a%00b"), 422, "invalid-request")
    assert problem["detail"].startswith("key: holds U+0000 (NUL), at 1; accepted: text")
    raw = {"PATH_INFO": "/v1/tracks/a\xff"}
    no_text = refused(client.get("/v1/tracks/a", environ_overrides=raw), 422, "invalid-request")["detail"]
    assert no_text == r"key: '/v1/tracks/a\xff' is not UTF-8, at byte 12; accepted: UTF-8"
    assert refused(client.get("/v1/tracks/t1/similar?space=%00"), 422, "invalid-request")["field"] == "space"


def test_a_batch_keeps_each_error_with_its_search(client: FlaskClient) -> None:
    good = [{"query": {"track": "t3"}, "limit": 2}, {"query": {"vector": RATHER_ALONE.tolist()}, "filter": RECENT}]
    searches = [
        good[0],
        {"query": {"track": "t99"}},
        {"query": {"track": "t3"}, "limits": 3},
        "no search",
        {"query": {"recommend": {"positive": [{"track": "t1"}, {"vector": [0.0] * DIM}]}}},
        good[1],
        {"query": {"track": "t3"}, "space": "nowhere"},
    ]
    response = client.post("/v1/query/batch", json={"searches": searches})
    assert response.status_code == 200
    answers = response.json["answers"]
    assert [untimed(answers[n]) for n in (0, 5)] == [untimed(answered(client, body)) for body in good]
    problems = {n: (answers[n]["status"], answers[n]["type"], answers[n].get("field")) for n in (1, 2, 3, 4, 6)}
    assert problems == {
        1: (404, "/problems/unknown-track", "query.track"),
        2: (422, "/problems/invalid-request", "limits"),
        3: (422, "/problems/invalid-request", "body"),
        4: (422, "/problems/invalid-query", "query.recommend.positive[1].vector"),
        6: (404, "/problems/unknown-space", "space"),
    }
    for number, search in enumerate(searches[:5]):
        if "status" in answers[number] and not isinstance(search, str):
            assert answers[number] == json.loads(client.post("/v1/query", json=search).data)


def test_a_batch_has_its_bounds(client: FlaskClient) -> None:
    search = {"query": {"track": "t3"}}
    most = client.get("/v1/limits").json["max_searches"]
    assert len(client.post("/v1/query/batch", json={"searches": [search] * most}).json["answers"]) == most
    for searches in ([], [search] * (most + 1)):
        response = client.post("/v1/query/batch", json={"searches": searches})
        assert refused(response, 422, "invalid-request")["field"] == "searches"
    assert refused(client.post("/v1/query/batch", json={}), 422, "invalid-request")["field"] == "searches"
