"""Pages hold everything once; a cursor belongs to its query and to the version of the index."""

import base64
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from api.wiring import Soundalike
from tests.api.conftest import EVERY, N_TRACKS, RECENT, answered, keys, refused
from tests.catalog.test_catalog import analysis

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
