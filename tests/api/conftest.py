"""A catalogue of forty tracks under the HTTP surface, and how its answers are read."""

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from api.http.app import create_app
from api.wiring import Soundalike
from encoders.registry import known_tags
from retrieval.search.engine import Search
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
    search = Search(soundalike.catalog, soundalike.settings.index_root, default_space="e", tags=known_tags)
    return replace(soundalike, search=search)


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


def refused(response: Any, status: int, slug: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = json.loads(response.data)
    assert body["type"] == f"/problems/{slug}"
    assert body["status"] == status
    assert body["detail"]
    return body


def recommending(*positive: Any, **rest: Any) -> dict[str, Any]:
    return {"query": {"recommend": {"positive": list(positive), **rest}}}


def whole_is_its_parts(timing_ms: Any) -> None:
    """The total of a timing is the sum of its parts, each of which takes time; rounding is to the microsecond."""
    parts = {name: taken for name, taken in timing_ms.items() if name != "total"}
    assert min(parts.values()) >= 0
    assert sum(parts.values()) == pytest.approx(timing_ms["total"], abs=0.02)
