"""Any of several artists or genres meets a filter, from the file to the answer; `must_not` asks for none of them."""

import io
import json
import re
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from mutagen.flac import FLAC
from sqlalchemy import text

from api.http.app import create_app
from api.wiring import Soundalike
from encoders.encoder import Encoder
from tests.encoders.files.odd_files import of_kind
from tests.indexer.tags import odd_tags
from tests.indexer.test_pipeline import run as indexed

FILES = {
    "both.flac": {"artist": ["Alice", "Bob"], "genre": ["Jazz", "Rock"], "isrc": ["GBAYE7500101"]},
    "alice.flac": {"artist": ["Alice"], "genre": ["Jazz"]},
    "bobby.flac": {"artist": ["Bobby"]},
    "nobody.flac": {},
}


@pytest.fixture
def client(tmp_path: Path, soundalike: Soundalike, bands: Encoder) -> FlaskClient:
    folder = tmp_path / "several"
    folder.mkdir()
    for name, words in FILES.items():
        path = of_kind(folder, "flac", 2.0).rename(folder / name)
        opened = FLAC(path)
        opened.update(words)
        opened.save()
    container = odd_tags.of_container(tmp_path, "mka", {"title": "T", "artist": "Bob; Carol", "genre": "Folk"}, 2.0)
    container.rename(folder / "carol.mka")
    indexed(folder, soundalike, bands)
    return create_app(soundalike).test_client()


def matching(client: FlaskClient, **filter_: Any) -> set[str]:
    """Of tracks listed, which PostgreSQL finds, and of neighbours, which columns in memory do."""
    listed = client.get("/v1/tracks", query_string={"filter": json.dumps(filter_)}).json["tracks"]
    body = {"query": {"track": "several/nobody.flac"}, "include_seed": True, "space": "bands", "filter": filter_}
    found = {result["track"] for result in client.post("/v1/query", json=body).json["results"]}
    assert {track["track"] for track in listed} == found
    return {key.removeprefix("several/") for key in found}


ARTIST = "artist"


@pytest.mark.parametrize(
    ("condition", "keys"),
    [
        ({"key": ARTIST, "match": {"value": "Bob"}}, {"both.flac", "carol.mka"}),
        ({"key": ARTIST, "match": {"value": "Alice"}}, {"both.flac", "alice.flac"}),
        ({"key": ARTIST, "match": {"value": "Alice; Bob"}}, {"both.flac"}),
        ({"key": ARTIST, "match": {"any": ["Carol", "Bobby"]}}, {"carol.mka", "bobby.flac"}),
        ({"key": ARTIST, "match": {"value": "bob"}}, {"both.flac", "carol.mka"}),
        ({"key": ARTIST, "match": {"value": "bob", "exact": True}}, set()),
        ({"key": ARTIST, "match": {"value": "; "}}, set()),
        ({"key": "genre", "match": {"value": "Rock"}}, {"both.flac"}),
        ({"key": "genre", "match": {"any": ["Jazz", "Folk"]}}, {"both.flac", "alice.flac", "carol.mka"}),
        ({"key": ARTIST, "is_empty": True}, {"nobody.flac"}),
        ({"key": "meta.isrc", "match": {"value": "GBAYE7500101"}}, {"both.flac"}),
    ],
)
def test_any_matches_and_none_is_none(client: FlaskClient, condition: dict[str, Any], keys: set[str]) -> None:
    assert matching(client, must=[condition]) == keys
    assert matching(client, must_not=[condition]) == {*FILES, "carol.mka"} - keys


def test_answers_show_all(client: FlaskClient) -> None:
    track = client.get("/v1/tracks/several/both.flac").json
    assert (track["artist"], track["artists"]) == ("Alice; Bob", ["Alice", "Bob"])
    assert (track["genre"], track["genres"]) == ("Jazz; Rock", ["Jazz", "Rock"])
    assert track["metadata"] == {"isrc": "GBAYE7500101"}
    nobody = client.get("/v1/tracks/several/nobody.flac").json
    assert (nobody["artist"], nobody["artists"], nobody["genres"]) == (None, [], [])


def test_each_of_several_counts(client: FlaskClient) -> None:
    body = {"query": {"track": "several/nobody.flac"}, "space": "bands", "diversity": {"max_per": {"artist": 1}}}
    found = [result["track"] for result in client.post("/v1/query", json=body).json["results"]]
    bobs = {"several/both.flac", "several/carol.mka"}
    alices = {"several/both.flac", "several/alice.flac"}
    assert len(bobs & set(found)) == len(alices & set(found)) == 1
    asked = {"query": {"track": "several/nobody.flac"}, "space": "bands"}
    context = {"previous": ["several/both.flac"], "artist_gap": 3}
    found = [result["track"] for result in client.post("/v1/query", json=asked | {"context": context}).json["results"]]
    assert found == ["several/bobby.flac"]


def test_what_was_read_otherwise_comes_anew(
    client: FlaskClient, soundalike: Soundalike, bands: Encoder, tmp_path: Path
) -> None:
    """As a catalogue has it that was written when only the first value was read."""
    with soundalike.engine.begin() as connection:
        connection.execute(text("UPDATE tracks SET artist = 'Alice', metadata = '{}' WHERE key = 'several/both.flac'"))
    client.patch("/v1/tracks/several/both.flac", json={"genre": "Said"})
    indexed(tmp_path / "several", soundalike, bands)
    assert client.get("/v1/tracks/several/both.flac").json["artists"] == ["Alice"]
    indexed(tmp_path / "several", soundalike, bands, rescan=True)
    track = client.get("/v1/tracks/several/both.flac").json
    assert (track["artists"], track["genre"]) == (["Alice", "Bob"], "Said")
    assert track["metadata"] == {"isrc": "GBAYE7500101"}


def test_a_curator_may_say_several(client: FlaskClient) -> None:
    key = "/v1/tracks/several/alice.flac"
    said = client.patch(key, json={"artist": ["Dora", " Emil ", "Dora"], "genre": "Ska; Dub"})
    assert said.status_code == 200, said.json
    assert (said.json["artist"], said.json["genres"]) == ("Dora; Emil", ["Ska", "Dub"])
    assert said.json["corrected"]["artist"] | {"at": ""} == {"value": "Dora; Emil", "instead_of": "Alice", "at": ""}
    assert matching(client, must=[{"key": ARTIST, "match": {"value": "Emil"}}]) == {"alice.flac"}
    assert matching(client, must=[{"key": ARTIST, "match": {"value": "Alice"}}]) == {"both.flac"}
    assert client.patch(key, json={"artist": None, "genre": None}).json["artists"] == ["Alice"]
    for wrong in ([], [""], [" "], [7], {"a": 1}, 7, ["a\0b"], ["x"] * 101):
        answer = client.patch(key, json={"artist": wrong})
        assert (answer.status_code, re.split(r"[.[]", answer.json["field"])[0]) == (422, "artist"), (wrong, answer.json)
    assert client.patch(key, json={"title": ["a", "b"]}).status_code == 422


def test_a_sender_may_say_several(client: FlaskClient, tmp_path: Path) -> None:
    content = (tmp_path / "several" / "alice.flac").read_bytes()

    def put(**fields: Any) -> Any:
        form = {"file": (io.BytesIO(content), "song.flac"), "body": json.dumps(fields)}
        return client.put("/v1/tracks/mine", data=form)

    assert put(artist=["Dora", "Emil"], genre="Ska").json["status"] == "indexed"
    assert put(artist="Dora; Emil", genre=["Ska"]).json["status"] == "unchanged"
    track = client.get("/v1/tracks/mine").json
    assert (track["artists"], track["genre"]) == (["Dora", "Emil"], "Ska")
    listed = client.get(
        "/v1/tracks", query_string={"filter": json.dumps({"must": [{"key": ARTIST, "match": {"value": "Emil"}}]})}
    )
    assert [one["track"] for one in listed.json["tracks"]] == ["mine"]
    assert put(artist=[]).status_code == put(artist=[" "]).status_code == put(artist=[["x"]]).status_code == 422
