"""Languages, corrections and facets over HTTP and on the command line: as stored, as said, as counted."""

import io
import json
import re
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient

from api.wiring import Soundalike
from retrieval.catalog.records import LanguageRatios, VocalActivity
from tests.api.conftest import N_TRACKS, answered, keys, refused
from tests.catalog.test_voices import VERSIONS, sung
from tests.conftest import Run, loaded

JAPANESE = {"language": "ja", "name": "Japanese", "ratio": 0.7}
HEARD_LANGUAGES = [
    JAPANESE,
    {"language": "unknown", "name": "unknown", "ratio": 0.2},
    {"language": "en", "name": "English", "ratio": 0.1},
]


def no_music(tracks: int) -> dict[str, Any]:
    unknown = dict.fromkeys(("meters_unknown", "keys_unknown", "modes_unknown"), tracks)
    return {"tempo": {"bands": [], "unknown": tracks}, "meters": [], "keys": {}, "modes": {}, **unknown}


MOSTLY_JAPANESE = {"must": [{"key": "language.ja", "range": {"gte": 0.6}}]}


@pytest.fixture(autouse=True)
def heard(here: Soundalike, rng: np.random.Generator) -> None:
    """t0 is sung in Japanese and English, t1 in Spanish, t2 is instrumental; nobody listened to the others."""
    spanish = [VocalActivity(0.4, 0.0, 0.9), LanguageRatios({"es": 1.0}, 0.9)]
    nobody = [VocalActivity(0.02, 0.0, 0.9), LanguageRatios({}, 0.9)]
    described = {"artist": "artist 0", "album": "album 0", "year": 1980}
    here.catalog.store_many(
        [sung("t0", rng, **described), sung("t1", rng, spanish, **described), sung("t2", rng, nobody, **described)]
    )


def patched(client: FlaskClient, key: str, body: Any) -> Any:
    response = client.patch(f"/v1/tracks/{key}", json=body)
    assert response.status_code == 200, response.text
    return response.json


def test_a_track_shows_who_sings_in_which_language(client: FlaskClient) -> None:
    got = client.get("/v1/tracks/t0/language").json
    assert got == {
        "track": "t0",
        "vocal_ratio": 0.6,
        "speech_ratio": 0.1,
        "languages": HEARD_LANGUAGES,
        "confidence": {"vocals": 0.9, "languages": 0.8},
        "spans": {
            "vocals": [
                {"start_s": 0, "end_s": 1.5, "kind": "singing", "confidence": 0.95},
                {"start_s": 2, "end_s": 2.25, "kind": "speech", "confidence": 0.7},
            ],
            "languages": [
                {"start_s": 0, "end_s": 1, "language": "ja", "confidence": 0.9},
                {"start_s": 1, "end_s": 1.5, "language": "unknown", "confidence": 0.4},
            ],
        },
        "evidence": {"audio": {"ja": 0.6, "en": 0.4}, "text": {"ja": 1.0}},
        "versions": VERSIONS,
        "heard": {"vocal_ratio": 0.6, "speech_ratio": 0.1, "languages": HEARD_LANGUAGES},
        "corrected": None,
    }
    track = client.get("/v1/tracks/t0").json
    assert (track["vocal_ratio"], track["speech_ratio"], track["corrected"]) == (0.6, 0.1, {})
    assert list(track["languages"].items()) == [("ja", 0.7), ("unknown", 0.2), ("en", 0.1)]
    instrumental = client.get("/v1/tracks/t2/language").json
    assert (instrumental["vocal_ratio"], instrumental["languages"]) == (0.02, [])
    assert instrumental["heard"]["languages"] == []


def test_a_track_that_nobody_listened_to_says_so(client: FlaskClient) -> None:
    body = refused(client.get("/v1/tracks/t5/language"), 404, "not-analysed")
    assert "'t5'" in body["detail"]
    assert "soundalike index" in body["detail"]
    refused(client.get("/v1/tracks/t99/language"), 404, "unknown-track")
    patched(client, "t5", {"vocal_ratio": 0})
    got = client.get("/v1/tracks/t5/language").json
    assert got["heard"] == {"vocal_ratio": None, "speech_ratio": None, "languages": None}
    assert (got["vocal_ratio"], got["languages"], got["versions"]) == (0, [], {})


def test_a_correction_stands_and_filters_follow(client: FlaskClient, here: Soundalike) -> None:
    def found(raw: Any) -> set[str]:
        body = {"query": {"track": "t9"}, "filter": raw, "limit": 50}
        over_query = set(keys(answered(client, body)))
        listed = client.get("/v1/tracks", query_string={"filter": json.dumps(raw)}).json["tracks"]
        assert {track["track"] for track in listed} == over_query
        return over_query

    assert found(MOSTLY_JAPANESE) == {"t0"}
    answer = patched(client, "t1", {"languages": {"ja": 0.8}, "vocal_ratio": 0.9, "title": "Said"})
    assert answer["title"] == "Said"
    assert answer["languages"] == {"ja": 0.8, "unknown": 0.2}
    corrected = answer["corrected"]
    assert corrected["languages"]["value"] == {"ja": 0.8, "unknown": 0.2}
    assert corrected["languages"]["instead_of"] == {"es": 1.0}
    assert (corrected["title"]["value"], corrected["title"]["instead_of"]) == ("Said", None)
    assert answer == client.get("/v1/tracks/t1").json
    assert found(MOSTLY_JAPANESE) == {"t0", "t1"}
    assert found({"must": [{"key": "language.unknown", "range": {"lte": 0.3}}]}) == {"t0", "t1"}
    assert found({"must": [{"key": "vocal_ratio", "range": {"lt": 0.1}}]}) == {"t2"}
    assert found({"must": [{"key": "title", "match": {"value": "Said"}}]}) == {"t1"}
    got = client.get("/v1/tracks/t1/language").json
    assert got["heard"]["languages"] == [{"language": "es", "name": "Spanish", "ratio": 1.0}]
    assert got["corrected"]["languages"][0] == {"language": "ja", "name": "Japanese", "ratio": 0.8}
    assert got["corrected"]["at"] == max(corrected[field]["at"] for field in ("languages", "vocal_ratio"))
    here.catalog.store(sung("t1", np.random.default_rng(1), content="b"))
    assert found(MOSTLY_JAPANESE) == {"t0", "t1"}
    patched(client, "t1", {"languages": None, "vocal_ratio": None, "title": None})
    assert client.get("/v1/tracks/t1/language").json["corrected"] is None
    assert client.get("/v1/tracks/t1/language").json["languages"] == HEARD_LANGUAGES


def test_a_language_that_no_track_is_sung_in_matches_nothing(client: FlaskClient) -> None:
    body = {"query": {"track": "t9"}, "filter": {"must": [{"key": "language.zu", "range": {"gte": 0.3}}]}}
    assert answered(client, body)["results"] == []
    body["filter"]["must"][0]["key"] = "language.jp"  # type: ignore[index]
    problem = refused(client.post("/v1/query", json=body), 422, "invalid-query")
    assert problem["field"] == "filter.must[0].key"
    assert "language.ja (Japanese)" in problem["accepted"]


@pytest.mark.parametrize(
    ("body", "slug", "field"),
    [
        ({"languages": {"jp": 1}}, "invalid-correction", "languages.jp"),
        ({"languages": {"ja": 0.8, "en": 0.5}}, "invalid-correction", "languages"),
        ({"vocal_ratio": 1.5}, "invalid-correction", "vocal_ratio"),
        ({"title": ""}, "invalid-correction", "title"),
        ({"tempo": 90}, "invalid-request", "tempo"),
        ({"languages": {"ja": "much"}}, "invalid-request", "languages.ja"),
        ({"languages": ["ja"]}, "invalid-request", "languages"),
        ({"languages": {"ja": True}}, "invalid-request", "languages.ja"),
        ({"vocal_ratio": "0.3"}, "invalid-request", "vocal_ratio"),
        ({"year": True}, "invalid-request", "year"),
    ],
)
def test_what_cannot_be_said_names_its_field(client: FlaskClient, body: Any, slug: str, field: str) -> None:
    assert refused(client.patch("/v1/tracks/t0", json=body), 422, slug)["field"] == field
    assert client.get("/v1/tracks/t0").json["corrected"] == {}


def test_all_that_cannot_be_said_is_named_at_once(client: FlaskClient) -> None:
    body = {"languages": {"jp": 1}, "vocal_ratio": 50, "title": "", "artist": "A"}
    values = ["languages.jp", "vocal_ratio", "title"]
    problem = refused(client.patch("/v1/tracks/t0", json=body), 422, "invalid-correction")
    assert [error["field"] for error in problem["errors"]] == values
    assert all(f"{field}: " in problem["detail"] for field in values)
    problem = refused(client.patch("/v1/tracks/t0", json={**body, "year": "x", "yeer": 3}), 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == ["year", "yeer", *values]
    fields = {"file": (io.BytesIO(b"RIFF"), "a.wav"), "body": '{"title": 5, "year": -5, "artist": [""], "yeer": 3}'}
    problem = refused(client.put("/v1/tracks/t0", data=fields), 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == ["title", "artist[0]", "year", "yeer"]
    assert client.get("/v1/tracks/t0").json["corrected"] == {}


def test_a_correction_says_something_of_a_known_track(client: FlaskClient) -> None:
    assert "accepted" in refused(client.patch("/v1/tracks/t0", json={}), 422, "invalid-correction")
    assert refused(client.patch("/v1/tracks/t99", json={"year": 1990}), 404, "unknown-track")["nearest"]


def test_json_that_is_too_deep_is_refused(client: FlaskClient) -> None:
    deep = '{"metadata": ' + '{"a":' * 50_000 + "1" + "}" * 50_000 + "}"
    refused(client.patch("/v1/tracks/t0", data=deep, content_type="application/json"), 422, "too-deep")


def test_a_language_is_given_once(run: Run) -> None:
    twice = run("correct", "t0", "--language", "ja=0.2", "--language", "ja=0.4", expect=2)
    assert "'ja' is given twice" in twice.stderr


def test_results_say_which_languages_they_share(client: FlaskClient) -> None:
    patched(client, "t1", {"languages": {"ja": 0.2, "en": 0.5, "unknown": 0.3}})
    answer = answered(client, {"query": {"track": "t0"}, "explain": True, "limit": 50})
    explained = {result["track"]: result["explain"] for result in answer["results"]}
    assert explained["t1"]["shared_languages"] == ["ja", "en"]
    assert explained["t1"]["vocal_delta"] == -0.2
    assert (explained["t2"]["shared_languages"], explained["t2"]["vocal_delta"]) == ([], -0.58)
    assert (explained["t3"]["shared_languages"], explained["t3"]["vocal_delta"]) == ([], None)
    shown = next(result["metadata"] for result in answer["results"] if result["track"] == "t1")
    assert (shown["vocal_ratio"], shown["languages"]) == (0.4, {"en": 0.5, "unknown": 0.3, "ja": 0.2})


def test_facets_count_what_matches(client: FlaskClient, run: Run) -> None:
    everything = client.get("/v1/facets").json
    assert everything == {
        "matching": N_TRACKS,
        "tags": {"rock": N_TRACKS},
        "languages": [
            {"language": "es", "name": "Spanish", "some": 1, "mostly": 1},
            {"language": "ja", "name": "Japanese", "some": 1, "mostly": 1},
            {"language": "en", "name": "English", "some": 1, "mostly": 0},
            {"language": "unknown", "name": "unknown", "some": 1, "mostly": 0},
        ],
        "vocals": {"instrumental": 1, "partly": 1, "mostly": 1, "unknown": N_TRACKS - 3},
        **no_music(N_TRACKS),
    }
    raw = json.dumps(MOSTLY_JAPANESE)
    japanese = client.get("/v1/facets", query_string={"filter": raw}).json
    assert (japanese["matching"], japanese["tags"]) == (1, {"rock": 1})
    assert japanese["vocals"] == {"instrumental": 0, "partly": 0, "mostly": 1, "unknown": 0}
    nothing = client.get("/v1/facets", query_string={"filter": raw.replace(".ja", ".zu")}).json
    assert nothing == {
        **{"matching": 0, "tags": {}, "languages": [], "vocals": dict.fromkeys(japanese["vocals"], 0)},
        **no_music(0),
    }
    assert refused(client.get("/v1/facets?filter={"), 422, "invalid-query")["field"] == "filter"
    no_object = refused(client.get("/v1/facets?filter=[]"), 422, "invalid-query")
    assert no_object["detail"].startswith("filter: is not an object of JSON; accepted: must")
    one = json.dumps({"must": [{"key": "track", "match": {"value": "t0"}}]})
    assert run("facets", "--filter", one).stdout.startswith("1 track: ")
    assert loaded(run("facets", "--json")) == everything
    assert loaded(run("facets", "--json", "--filter", raw)) == japanese
    table = run("facets").stdout
    assert "1 instrumental, 1 partly vocal, 1 mostly vocal, 37 not listened to" in table
    assert re.search(r"the voice is in\W+tracks\W+of these mostly", table)
    assert re.search(r"a language not known\W+1\W+0", table)


def test_the_command_line_corrects_what_it_shows(client: FlaskClient, run: Run) -> None:
    assert loaded(run("language", "t0", "--json")) == client.get("/v1/tracks/t0/language").json
    shown = run("language", "t0").stdout
    assert "voice: 60 % of the track, speech 10 % (confidence 0.90)" in shown
    assert "languages: Japanese (ja) 70 %, unknown 20 %, English (en) 10 % (confidence 0.80)" in shown
    assert "0:00" in shown
    run("correct", "t0", "--language", "ja=0.8", "--vocal-ratio", "0.4", "--artist", "Said")
    track = client.get("/v1/tracks/t0").json
    assert (track["languages"], track["vocal_ratio"]) == ({"ja": 0.8, "unknown": 0.2}, 0.4)
    assert set(track["corrected"]) == {"artist", "languages", "vocal_ratio"}
    assert loaded(run("correct", "t0", "--json")) == track
    assert '{"ja": 0.8, "unknown": 0.2}' in run("correct", "t0").stdout
    assert "voice: 40 % of the track, speech 10 % (corrected)" in run("language", "t0").stdout
    run("correct", "t0", "--no-language")
    assert client.get("/v1/tracks/t0").json["languages"] == {}
    assert "languages: none (corrected)" in run("language", "t0").stdout
    run("correct", "t0", "--reset", "artist", "--reset", "languages")
    assert set(client.get("/v1/tracks/t0").json["corrected"]) == {"vocal_ratio"}
    said = loaded(run("correct", "t0", "--artist", "Alice", "--artist", "Bob; Carol", "--genre", "Ska", "--json"))
    assert (said["artist"], said["artists"], said["genres"]) == (
        "Alice; Bob; Carol",
        ["Alice", "Bob", "Carol"],
        ["Ska"],
    )
    assert "no corrections" in run("correct", "t0", "--reset", "all").stdout
    assert client.get("/v1/tracks/t0/language").json["languages"] == HEARD_LANGUAGES


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["language", "t9"], 1, "has not been listened to for voices"),
        (["language", "t99"], 1, "nearest keys: t"),
        (["correct", "t0", "--language", "ja"], 2, "'ja' is not CODE=SHARE"),
        (["correct", "t0", "--language", "jp=1"], 2, "--language jp: 'jp' is not a language; accepted: ISO 639 codes"),
        (["correct", "t0", "--language", "jp=1", "--language", "ja=2"], 2, "; --language ja: is 2; accepted: a number"),
        (["correct", "t0", "--vocal-ratio", "2"], 2, "'--vocal-ratio': 2.0 is not in the range 0<=x<=1"),
        (["correct", "t0", "--language", "ja=1", "--no-language"], 2, "exclude each other"),
        (["correct", "t0", "--reset", "tempo"], 2, "'tempo' is none of"),
    ],
)
def test_what_cannot_be_done_is_one_line(run: Run, arguments: list[str], code: int, message: str) -> None:
    assert message in run(*arguments, expect=code).stderr
