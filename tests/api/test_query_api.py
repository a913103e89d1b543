"""`/v1/query`, every kind of it, equals the direct call."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import delete, insert

from api.documents.answer import answer_out
from api.documents.search import SearchIn
from api.wiring import Soundalike
from retrieval.catalog.tables import embeddings, rhythm
from retrieval.filters.language import parse_filter
from retrieval.search.query import Diversity, Query, QueueContext, Seed, continued, similar
from retrieval.search.recommend import Example, scores
from tests.api.conftest import EVERY, N_TRACKS, RATHER_ALONE, RECENT, answered, keys, recommending, untimed


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
        assert by_key[key]["span"] == {"start_s": nearest, "end_s": nearest + 1, "section": None}
        assert by_key[key]["score"] == pytest.approx((1 + cosines[nearest]) / 2, abs=1e-3)
    assert all(0 <= result["span"]["start_s"] < result["span"]["end_s"] <= 3.0 for result in results)
    assert [result["span"] for result in answered(client, {"query": {"track": "t3"}})["results"]] == [None] * 10


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
        assert {**only["result"], "section": None} == result["span"]
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


def test_the_documented_body_is_accepted() -> None:
    documented = (Path(__file__).parents[2] / "docs" / "queries.md").read_text()
    body = json.loads(documented.split("```json")[1].split("```")[0])
    search = SearchIn.model_validate(body)
    assert set(body) == set(SearchIn.model_fields)
    assert len(search.as_query().positive) == 3


def test_the_callers_own_id_is_filtered_by_track(client: FlaskClient) -> None:
    body = {"query": {"track": "t1"}, "filter": {"must": [{"key": "track", "match": {"any": ["t5", "t7"]}}]}}
    assert set(keys(answered(client, body))) == {"t5", "t7"}
