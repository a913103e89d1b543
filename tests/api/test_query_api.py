"""`/v1/query`, every kind of it, equals the direct call; pages hold everything once; limits are those published."""

import base64
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, insert

from api.http.answers import answer_out
from api.http.app import create_app
from api.http.requests import SearchIn
from api.wiring import Soundalike
from retrieval.catalog.tables import embeddings, rhythm
from retrieval.filters.language import parse_filter
from retrieval.search.engine import Search
from retrieval.search.query import Diversity, Query, QueueContext, Seed, continued, similar
from retrieval.search.recommend import Example, scores
from tests.api.test_api import refused
from tests.catalog.test_catalog import DIM, analysis

N_TRACKS = 40
EVERY = {"limit": 1000}
RECENT = {"must": [{"key": "year", "range": {"gte": 1990}}]}
RATHER_ALONE = np.eye(DIM, dtype=np.float32)[0]


@pytest.fixture
def here(soundalike: Soundalike, rng: np.random.Generator) -> Soundalike:
    """Forty tracks t0 to t39 of 3 s, of 1980 and after, by 5 artists, on 10 albums."""
    described = [
        {"artist": f"artist {number % 5}", "album": f"album {number % 10}", "year": 1980 + number}
        for number in range(N_TRACKS)
    ]
    soundalike.catalog.store_many(
        [replace(analysis(f"t{number}", rng), **fields) for number, fields in enumerate(described)]  # type: ignore[arg-type]
    )
    return replace(soundalike, search=Search(soundalike.catalog, soundalike.settings.index_root, default_space="e"))


@pytest.fixture
def client(here: Soundalike) -> Iterator[FlaskClient]:
    with create_app(here).test_client() as client:
        yield client


def answered(client: FlaskClient, body: Any) -> Any:
    response = client.post("/v1/query", json=body)
    assert response.status_code == 200, response.text
    return response.json


def untimed(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "timing_ms"}


def keys(answer: dict[str, Any]) -> list[str]:
    return [result["track"] for result in answer["results"]]


@pytest.mark.parametrize(
    ("body", "query"),
    [
        ({"query": {"track": "t3"}}, similar("t3")),
        ({"query": {"track": "t3", "start_s": 0.5, "end_s": 1.5}}, Query([Seed("t3", 0.5, 1.5)])),
        (
            {"query": {"vector": RATHER_ALONE.tolist()}, "explain": True},
            Query([Seed(vector=RATHER_ALONE)], explain=True),
        ),
        (
            {
                "query": {
                    "recommend": {
                        "positive": [{"track": "t1", "weight": 2.0}, {"vector": RATHER_ALONE.tolist()}],
                        "negative": [{"track": "t9", "start_s": 0, "end_s": 1, "weight": 0.5}],
                        "strategy": "best_score",
                    }
                },
                "explain": True,
                **EVERY,
            },
            Query(
                [Seed("t1", weight=2.0), Seed(vector=RATHER_ALONE)],
                [Seed("t9", 0, 1, weight=0.5)],
                "best_score",
                explain=True,
                **EVERY,
            ),
        ),
        ({"query": {"recommend": {"positive": [{"track": "t4"}]}}}, similar("t4")),
        ({"query": {"continue": {"playlist": ["t4"]}}}, continued(["t4"])),
        (
            {
                "query": {"continue": {"playlist": ["t4", "t9", "t4"], "half_life": 0.5}},
                "context": {"artist_gap": 2},
                "explain": True,
            },
            continued(["t4", "t9", "t4"], half_life=0.5, context=QueueContext((), 2), explain=True),
        ),
        (
            {"query": {"track": "t3"}, "granularity": "segment", "space": "e"},
            similar("t3", granularity="segment", space="e"),
        ),
        (
            {"query": {"track": "t3"}, "filter": RECENT, "exclude": ["t30", "t31"], "include_seed": True, **EVERY},
            similar("t3", filter=parse_filter(RECENT), exclude=("t30", "t31"), include_seed=True, **EVERY),
        ),
        (
            {"query": {"track": "t3"}, "context": {"previous": ["t5", "t6"], "artist_gap": 2, "album_gap": 1}},
            similar("t3", context=QueueContext(("t5", "t6"), 2, 1)),
        ),
        (
            {
                "query": {"track": "t3"},
                "diversity": {"mmr": 0.4, "candidates": 20, "max_per": {"artist": 2}, "fold_duplicates": True},
            },
            similar("t3", diversity=Diversity(0.4, 20, {"artist": 2}, fold_duplicates=True)),
        ),
        (
            {"query": {"track": "t3"}, "diversity": {"csls": True}},
            similar("t3", diversity=Diversity(csls=True)),
        ),
        (
            {"query": {"track": "t3"}, "score_threshold": 0.6, "exact": True, **EVERY},
            similar("t3", score_threshold=0.6, exact=True, **EVERY),
        ),
    ],
)
def test_http_equals_the_direct_call(client: FlaskClient, here: Soundalike, body: Any, query: Query) -> None:
    over_http = answered(client, body)
    assert untimed(over_http) == untimed(answer_out(here.search.answer(query)).model_dump())
    assert over_http["results"]
    assert over_http["stats"]["returned"] == len(over_http["results"])
    assert set(over_http["timing_ms"]) == {"resolve", "filter", "search", "rank", "total"}


def test_negatives_are_heeded_as_defined(client: FlaskClient, here: Soundalike) -> None:
    catalog = here.catalog
    vectors = {key: catalog.track_vector(catalog.track(key).id, "e") for key in (f"t{n}" for n in range(N_TRACKS))}
    others = [key for key in vectors if key not in ("t1", "t2", "t9")]
    stacked = np.stack([vectors[key] for key in others])
    for strategy in ("average_vector", "best_score", "sum_scores"):
        liked, disliked = [Example(vectors["t1"]), Example(vectors["t2"])], [Example(vectors["t9"])]
        expected = scores(stacked, liked, disliked, strategy)  # type: ignore[arg-type]
        taste = {"positive": [{"track": "t1"}, {"track": "t2"}], "negative": [{"track": "t9"}], "strategy": strategy}
        answer = answered(client, {"query": {"recommend": taste}, **EVERY})
        assert keys(answer) == [others[place] for place in np.argsort(-expected, kind="stable")]
        assert [result["score"] for result in answer["results"]] == pytest.approx(-np.sort(-expected), abs=1e-5)
        without = answered(client, {"query": {"recommend": taste | {"negative": []}}, "exclude": ["t9"], **EVERY})
        assert keys(without) != keys(answer)


def test_segments_answer_with_the_span_that_is_nearest(client: FlaskClient, here: Soundalike) -> None:
    body = {"query": {"track": "t3", "start_s": 1.2, "end_s": 1.8}, "granularity": "segment", **EVERY}
    results = answered(client, body)["results"]
    assert len(results) == N_TRACKS - 1
    ids = {key: here.catalog.track(key).id for key in ("t3", "t7", "t20")}
    by_id = here.catalog.segments_of(list(ids.values()), "e", "e-1")
    segments = {key: by_id[track_id] for key, track_id in ids.items()}
    meant = segments["t3"].vectors[1]
    by_key = {result["track"]: result for result in results}
    for key in ("t7", "t20"):
        theirs = segments[key]
        cosines = theirs.vectors @ meant / np.linalg.norm(theirs.vectors, axis=1) / np.linalg.norm(meant)
        nearest = int(np.argmax(cosines))
        assert by_key[key]["span"] == {"start_s": nearest, "end_s": nearest + 1}
        assert by_key[key]["score"] == pytest.approx((1 + cosines[nearest]) / 2, abs=1e-3)
    assert all(0 <= result["span"]["start_s"] < result["span"]["end_s"] <= 3.0 for result in results)
    assert [result["span"] for result in answered(client, {"query": {"track": "t3"}})["results"]] == [None] * 10


SEVERAL = {"positive": [{"track": "t1"}, {"track": "t2"}], "negative": [{"track": "t9"}], "strategy": "best_score"}


@pytest.mark.parametrize(
    "rules",
    [
        {},
        {"query": {"recommend": SEVERAL}},
        {"diversity": {"mmr": 0.6}},
        {"diversity": {"mmr": 0.6, "candidates": 10}},
        {"diversity": {"mmr": 1.0, "candidates": 1}},
        {"diversity": {"max_per": {"artist": 3}, "candidates": 5}},
        {"diversity": {"mmr": 0.6, "candidates": 9, "max_per": {"album": 2}}},
        {"diversity": {"csls": True, "candidates": 9}},
        {"context": {"previous": ["t5"], "artist_gap": 2}},
    ],
)
def test_pages_hold_everything_once(client: FlaskClient, rules: dict[str, Any]) -> None:
    for condition, granularity, limit in product((None, RECENT), ("track", "segment"), (1, 7)):
        _check_pages(client, rules, condition, granularity, limit)


def _check_pages(client: FlaskClient, rules: dict[str, Any], condition: Any, granularity: str, limit: int) -> None:
    body = {
        "query": {"track": "t3"},
        "granularity": granularity,
        **rules,
        **({"filter": condition} if condition else {}),
    }
    whole = answered(client, body | EVERY)
    assert whole["next_cursor"] is None
    pages = [answered(client, body | {"limit": limit})]
    while (cursor := pages[-1]["next_cursor"]) is not None:
        assert len(pages[-1]["results"]) == limit
        pages.append(answered(client, body | {"limit": limit, "cursor": cursor}))
        assert len(pages) <= N_TRACKS + 1
    paged = [result for page in pages for result in page["results"]]
    assert [result["track"] for result in paged] == keys(whole)
    assert [result["rank"] for result in paged] == list(range(1, len(paged) + 1))
    assert len(set(keys(whole))) == len(paged)
    if not {"max_per", "context"} & {*rules, *rules.get("diversity", ())}:
        assert len(paged) == whole["stats"]["matching"] >= (30 if condition else N_TRACKS) - 3


def test_equal_scores_are_paged_once(client: FlaskClient, here: Soundalike, rng: np.random.Generator) -> None:
    twin = analysis("twin", rng)
    here.catalog.store_many([replace(twin, key=f"twin{n}", uri=f"/twin{n}") for n in range(12)])
    seen, cursor = [], None
    for _ in range(11):
        page = answered(client, {"query": {"track": "twin0"}, "limit": 5, "cursor": cursor})
        seen += keys(page)
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert len(seen) == len(set(seen)) == N_TRACKS + 11
    assert set(seen[:11]) == {f"twin{n}" for n in range(1, 12)}


def test_a_stale_cursor_is_gone(client: FlaskClient, here: Soundalike) -> None:
    body = {"query": {"track": "t3"}, "limit": 5}
    body["cursor"] = answered(client, body)["next_cursor"]
    assert len(answered(client, body)["results"]) == 5
    here.catalog.delete("t8")
    problem = refused(client.post("/v1/query", json=body), 410, "stale-cursor")
    assert "begin again without a cursor" in problem["detail"]


def _encoded(content: str) -> str:
    return base64.urlsafe_b64encode(content.encode()).decode()


def test_a_cursor_that_is_none_of_ours_is_refused(client: FlaskClient) -> None:
    foreign = ("[]", "7", '["", "", 1e999, 0, []]', "[" * 100_000)
    for cursor in ("", "x", "é", "AAAA", *map(_encoded, foreign)):
        response = client.post("/v1/query", json={"query": {"track": "t3"}, "cursor": cursor})
        assert refused(response, 422, "invalid-query")["field"] == "cursor", cursor[:50]


def test_a_cursor_belongs_to_its_query(client: FlaskClient) -> None:
    body = {"query": {"track": "t3"}, "limit": 5}
    body["cursor"] = answered(client, body)["next_cursor"]
    answered(client, body | {"limit": 6, "explain": True})
    for other in ({"query": {"track": "t4"}}, {"filter": RECENT}, {"exclude": ["t1"]}, {"diversity": {"mmr": 0.1}}):
        problem = refused(client.post("/v1/query", json=body | other), 422, "invalid-query")
        assert problem["detail"].startswith("cursor: belongs to another query")


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
        6: (404, "/problems/unknown-space", None),
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


def recommending(*positive: Any, **rest: Any) -> dict[str, Any]:
    return {"query": {"recommend": {"positive": list(positive), **rest}}}


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
        assert len(problem["nearest"]) == 3


def test_a_playlist_goes_on_like_its_last_tracks(client: FlaskClient) -> None:
    def goes_on(*playlist: str, **more: Any) -> Any:
        return answered(client, {"query": {"continue": {"playlist": playlist, **more}}, **EVERY})

    weighted = [{"track": key, "weight": 2.0**-age} for key, age in (("t7", 1.5), ("t1", 1), ("t2", 0.5), ("t3", 0))]
    expected = answered(client, recommending(*weighted) | EVERY)
    found = goes_on("t7", "t1", "t2", "t3", half_life=2)
    assert found["results"] == expected["results"]
    assert len(found["results"]) == N_TRACKS - 4
    soon_forgotten = goes_on("t7", "t1", "t2", "t3", half_life=0.01)
    alone = answered(client, {"query": {"track": "t3"}, "exclude": ["t7", "t1", "t2"], **EVERY})
    assert keys(soon_forgotten) == keys(alone)
    assert keys(found) != keys(alone)
    assert keys(goes_on("t3", "t2", "t1", "t7", half_life=2)) != keys(found)


def test_what_a_playlist_played_keeps_its_gap(client: FlaskClient) -> None:
    """Track n is by artist n modulo 5: after t1 and t2 neither may come before two others have."""
    body = {"query": {"continue": {"playlist": ["t1", "t2"]}}, "context": {"artist_gap": 2}, "limit": 8}
    artists = [1, 2, *(int(key[1:]) % 5 for key in keys(answered(client, body)))]
    assert all(artist not in artists[max(place - 2, 0) : place] for place, artist in enumerate(artists))
    followed = answered(client, body | {"context": {"artist_gap": 4, "previous": ["t3", "t4"]}, "limit": 1})
    assert int(keys(followed)[0][1:]) % 5 == 0  # after artists 1 and 2, and then 3 and 4


def test_tempi_are_compared_with_the_example_that_drove(client: FlaskClient, here: Soundalike) -> None:
    tempi = {"t1": 120.0, "t2": 90.5, "t7": 93.6, "t8": None}
    with here.engine.begin() as connection:
        for key, tempo in tempi.items():
            connection.execute(insert(rhythm).values(track_id=here.catalog.track(key).id, tempo=tempo))

    def deltas(query: Any) -> dict[str, tuple[str, float | None]]:
        results = answered(client, {"query": query, "explain": True, **EVERY})["results"]
        return {one["track"]: (one["explain"]["driven_by"], one["explain"]["tempo_delta"]) for one in results}

    found = deltas({"track": "t2"})
    assert (found["t1"], found["t7"], found["t8"], found["t9"]) == (
        ("t2", 29.5),
        ("t2", 3.1),
        ("t2", None),
        ("t2", None),
    )
    several = deltas({"recommend": {"positive": [{"track": "t1"}, {"track": "t2"}], "strategy": "best_score"}})
    assert several["t7"] in {("t1", -26.4), ("t2", 3.1)}
    assert {driver for driver, _ in several.values()} == {"t1", "t2"}
    assert deltas({"track": "t8"})["t1"] == ("t8", None)
    assert deltas({"vector": RATHER_ALONE.tolist()})["t1"] == ("vector", None)


def all_pairs(here: Soundalike, one: str, other: str) -> list[tuple[float, int, int]]:
    """Cosine and numbers of every two segments of two tracks, best first."""
    ids = [here.catalog.track(key).id for key in (one, other)]
    segments = here.catalog.segments_of(ids, "e", "e-1")
    ours, theirs = (
        segments[track_id].vectors / np.linalg.norm(segments[track_id].vectors, axis=1)[:, None] for track_id in ids
    )
    pairs = [(float(a @ b), i, j) for i, a in enumerate(ours) for j, b in enumerate(theirs)]
    return sorted(pairs, reverse=True)


def test_the_parts_that_sound_alike_are_shown(client: FlaskClient, here: Soundalike) -> None:
    results = answered(client, {"query": {"track": "t3"}, "explain": True, **EVERY})["results"]
    assert len(results) == N_TRACKS - 1
    for result in results:
        expected: list[tuple[float, int, int]] = []
        for pair in all_pairs(here, "t3", result["track"]):
            if all(pair[1] != other[1] and pair[2] != other[2] for other in expected):
                expected.append(pair)
        shown = result["explain"]["best_segments"]
        assert [(one["query"]["start_s"], one["result"]["start_s"]) for one in shown] == [pair[1:] for pair in expected]
        assert [one["score"] for one in shown] == pytest.approx([(1 + pair[0]) / 2 for pair in expected], abs=1e-5)
        assert all(one["query"]["end_s"] == one["query"]["start_s"] + 1 for one in shown)


def test_the_parts_of_a_span_and_of_a_vector(client: FlaskClient, here: Soundalike) -> None:
    span = {"query": {"track": "t3", "start_s": 1.2, "end_s": 1.8}, "explain": True}
    for result in answered(client, span | {"granularity": "segment"})["results"]:
        (only,) = result["explain"]["best_segments"]
        assert only["query"] == {"start_s": 1.0, "end_s": 2.0}
        assert only["result"] == result["span"]
        assert only["score"] == pytest.approx(result["score"], abs=1e-3)
    for result in answered(client, {"query": {"vector": RATHER_ALONE.tolist()}, "explain": True})["results"]:
        shown = result["explain"]["best_segments"]
        assert [one["query"] for one in shown] == [None] * 3
        assert sorted(one["result"]["start_s"] for one in shown) == [0, 1, 2]
        assert [one["score"] for one in shown] == sorted((one["score"] for one in shown), reverse=True)


def test_a_track_without_segments_is_explained_without(client: FlaskClient, here: Soundalike) -> None:
    with here.engine.begin() as connection:
        ids = [here.catalog.track(key).id for key in ("t5", "t6")]
        connection.execute(
            delete(embeddings).where(embeddings.c.track_id.in_(ids), embeddings.c.segment_no.is_not(None))
        )
    explained = answered(client, {"query": {"track": "t3"}, "explain": True, **EVERY})["results"]
    assert {one["track"] for one in explained if not one["explain"]["best_segments"]} == {"t5", "t6"}
    explained = answered(client, {"query": {"track": "t5"}, "explain": True})["results"]
    assert [one["explain"]["best_segments"] for one in explained] == [[]] * 10


def test_examples_that_cancel_out_are_told(client: FlaskClient) -> None:
    opposite = recommending({"vector": RATHER_ALONE.tolist()}, {"vector": (-RATHER_ALONE).tolist()})
    problem = refused(client.post("/v1/query", json=opposite), 422, "invalid-query")
    assert problem["field"] == "query.recommend"
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


def test_published_limits_are_the_ones_enforced(client: FlaskClient) -> None:
    limits = client.get("/v1/limits").json
    for name, body_of, field in LIMITED:
        answered(client, body_of(limits[name]))
        response = client.post("/v1/query", json=body_of(limits[name] + 1))
        assert refused(response, 422, "invalid-request")["field"] == field, name


def test_the_documented_body_is_accepted() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "queries.md").read_text()
    body = json.loads(documented.split("```json")[1].split("```")[0])
    search = SearchIn.model_validate(body)
    assert set(body) == set(SearchIn.model_fields)
    assert len(search.as_query().positive) == 3


def test_the_callers_own_id_is_filtered_by_track(client: FlaskClient) -> None:
    body = {"query": ONE, "filter": {"must": [{"key": "track", "match": {"any": ["t5", "t7"]}}]}}
    assert set(keys(answered(client, body))) == {"t5", "t7"}


def test_what_the_database_cannot_hold_is_refused(client: FlaskClient) -> None:
    refused(client.get("/v1/tracks/a%00b"), 422, "invalid-value")
    assert refused(client.get("/v1/tracks/t1/similar?space=%00"), 422, "invalid-request")["field"] == "space"
