"""A catalogue and its indexes that an earlier version made open here, and answer as they did there."""

import gzip
import json
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import create_engine, text

from api.http.app import create_app
from api.settings import Settings
from api.wiring import Soundalike, open_soundalike
from retrieval.index.snapshots import open_snapshot
from retrieval.index.view import LocalView

KEPT = Path(__file__).parents[1] / "fixtures" / "before_rooms"
GOLDEN: dict[str, Any] = json.loads(gzip.decompress((KEPT / "answers.json.gz").read_bytes()))


@pytest.fixture
def before(empty_database_url: str, tmp_path: Path, weights_dir: Path) -> Iterator[Soundalike]:
    dump = gzip.decompress((KEPT / "catalogue.sql.gz").read_bytes()).decode()
    statements = "\n".join(line for line in dump.splitlines() if not line.startswith(("\\", "--")))
    engine = create_engine(empty_database_url)
    with engine.begin() as connection:
        cursor = connection.connection.cursor()
        cursor.execute(statements)
    with engine.begin() as connection:  # what the dump set for its session has gone with it
        assert connection.execute(text("SELECT version_num FROM public.alembic_version")).scalar() == "0003"
    engine.dispose()
    with tarfile.open(KEPT / "index.tar.xz") as index:
        index.extractall(tmp_path / "home", filter="data")
    settings = Settings(home=tmp_path / "home", weights_dir=weights_dir, database_url=empty_database_url)
    with open_soundalike(settings, create=True) as soundalike:
        yield soundalike


@pytest.fixture
def client(before: Soundalike) -> FlaskClient:
    client: FlaskClient = create_app(before).test_client()
    return client


def test_queries_are_answered_as_before(client: FlaskClient) -> None:
    for golden in GOLDEN["queries"]:
        answer = client.post("/v1/query", json=golden["body"])
        assert answer.status_code == 200, (golden["body"], answer.json)
        shown = {name: value for name, value in (answer.json or {}).items() if name != "timing_ms"}
        assert shown == rounded(golden["answer"]), golden["body"]


def test_listings_tracks_and_tags_are_as_before(client: FlaskClient) -> None:
    for golden in GOLDEN["listings"]:
        page = client.get("/v1/tracks", query_string={"filter": json.dumps(golden["filter"])})
        assert page.json is not None
        assert [track["track"] for track in page.json["tracks"]] == golden["tracks"], golden["filter"]
    page = client.get("/v1/tracks")
    assert page.json is not None
    assert page.json["tracks"] == GOLDEN["tracks"]
    for track, tags in GOLDEN["tags"].items():
        answer = client.get(f"/v1/tracks/{track}/tags")
        assert answer.json == {"track": track, "tags": tags}


def test_an_index_of_inverted_lists_finds_what_it_found(tmp_path: Path) -> None:
    with tarfile.open(KEPT / "ann.tar.xz") as index:
        index.extractall(tmp_path, filter="data")
    snapshot = open_snapshot(tmp_path / "large" / "ann" / "track", space="ann")
    view = LocalView("ann-1", 8, 1, snapshot)
    with np.load(BytesIO((KEPT / "ann_answers.npz").read_bytes())) as golden:
        queries = golden["queries"]
        found, exact = view.search(queries, 20), view.search(queries, 20, exact=True)
        filtered = view.search(queries, 20, selection=view.select(np.arange(3, 20_400, 7)))
        assert found.path == "ivf"
        for name, answer in (("", found), ("filtered_", filtered), ("exact_", exact)):
            assert np.array_equal(answer.track_ids, golden[f"{name}ids"])
            assert np.allclose(answer.cosines, golden[f"{name}cosines"], atol=1e-6)


def rounded(value: Any) -> Any:
    """Numbers to six digits: another machine's sums may differ in the seventh."""
    if isinstance(value, dict):
        return {name: rounded(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    return pytest.approx(value, abs=2e-6) if isinstance(value, float) else value
