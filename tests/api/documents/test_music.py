"""Rhythm, form and melody over HTTP and on the command line: as stored, in answers, as examples and as counted."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from api.wiring import Soundalike
from retrieval.catalog.records import (
    HighlightSpan,
    LoopSpan,
    SectionSpan,
    StageRows,
    TrackAnalysis,
    TrackForm,
    TrackMelody,
    TrackRhythm,
)
from tests.api.conftest import N_TRACKS, answered, keys, recommending, refused
from tests.catalog.test_catalog import analysis
from tests.conftest import Run, loaded

STAGES = {"rhythm": "r-1", "structure": "s-1", "melody": "m-1"}
RHYTHM = TrackRhythm(
    120.0, 4, 0.9, np.array([0.0, 0.5, 1.0, 1.5, 2.0004]), np.array([3, 4, 1, 2, 3]), "A", "minor", 0.8
)
BEATLESS = TrackRhythm(None, None, 0.05, np.empty(0), np.empty(0, np.int64), "C", "major", 0.1)
VERSE, CHORUS = SectionSpan(0.0, 1.0, 1, "verse", "A", 0.7), SectionSpan(1.0, 3.0, 1, "chorus", "B", 0.9)
PHRASES = (SectionSpan(0.0, 2.0, 2, "verse", "A", 0.6), SectionSpan(2.0, 3.0, 2, "chorus", "B", 0.5))
FORM = TrackForm((VERSE, CHORUS, *PHRASES), (HighlightSpan(1.2, 2.9, 0.8),), (LoopSpan(1.0, 2.0000453, 0.97),))
PITCHES = np.array([np.nan, 60.0, 60.25, 59.87], np.float32)
MELODY = TrackMelody(0.1, PITCHES, np.array([48.5, np.nan, np.nan, np.nan], np.float32), 0.75)
NOTHING = np.full(30, np.nan, np.float32)
SHOWN_VERSE = {"start_s": 0.0, "end_s": 1.0, "label": "verse", "group": "A", "confidence": 0.7}
SHOWN_CHORUS = {"start_s": 1.0, "end_s": 3.0, "label": "chorus", "group": "B", "confidence": 0.9}


def heard(number: int, rng: np.random.Generator, *rows: StageRows) -> TrackAnalysis:
    one = analysis(f"t{number}", rng)
    return replace(one, rows=[*one.rows, *rows], stages={**one.stages, **STAGES}, year=1980 + number)


@pytest.fixture(autouse=True)
def known(here: Soundalike, rng: np.random.Generator) -> None:
    """All is known of t0; t1 has no beats and no melody, t2 is twice as fast in the relative major; of others none."""
    fast = replace(RHYTHM, tempo_bpm=240.0, meter=3, key="C", mode="major")
    whole = TrackForm([SectionSpan(0.0, 3.0, 1, "inst", "A", 0.3)])
    here.catalog.store_many(
        [
            heard(0, rng, RHYTHM, FORM, MELODY),
            heard(1, rng, BEATLESS, whole, replace(MELODY, pitches=NOTHING, unvoiced=NOTHING, confidence=0.0)),
            heard(2, rng, fast, TrackForm([replace(VERSE, end_s=3.0)])),
        ]
    )


def test_a_track_shows_its_rhythm(client: FlaskClient) -> None:
    assert client.get("/v1/tracks/t0/rhythm").json == {
        "track": "t0",
        "tempo": 120.0,
        "meter": 4,
        "key": "A",
        "mode": "minor",
        "confidence": {"beats": 0.9, "key": 0.8},
        "beats": [
            {"time_s": 0.0, "position": 3},
            {"time_s": 0.5, "position": 4},
            {"time_s": 1.0, "position": 1},
            {"time_s": 1.5, "position": 2},
            {"time_s": 2.0, "position": 3},
        ],
        "versions": {"rhythm": "r-1"},
    }
    beatless = client.get("/v1/tracks/t1/rhythm").json
    assert (beatless["tempo"], beatless["meter"], beatless["beats"], beatless["key"]) == (None, None, [], "C")


def test_a_track_shows_its_structure(client: FlaskClient) -> None:
    assert client.get("/v1/tracks/t0/structure").json == {
        "path": "t0",
        "bpm": 120.0,
        "beats": [0.0, 0.5, 1.0, 1.5, 2.0],
        "downbeats": [1.0],
        "beat_positions": [3, 4, 1, 2, 3],
        "segments": [{"start": 0.0, "end": 1.0, "label": "verse"}, {"start": 1.0, "end": 3.0, "label": "chorus"}],
        "sections": [SHOWN_VERSE, SHOWN_CHORUS],
        "phrases": [
            {"start_s": 0.0, "end_s": 2.0, "label": "verse", "group": "A", "confidence": 0.6},
            {"start_s": 2.0, "end_s": 3.0, "label": "chorus", "group": "B", "confidence": 0.5},
        ],
        "versions": {"rhythm": "r-1", "structure": "s-1"},
    }
    beatless = client.get("/v1/tracks/t1/structure").json
    assert (beatless["bpm"], beatless["beats"], beatless["downbeats"], beatless["beat_positions"]) == (None, [], [], [])
    assert beatless["segments"] == [{"start": 0.0, "end": 3.0, "label": "inst"}]


def test_a_track_shows_what_can_be_cut_out_of_it(client: FlaskClient) -> None:
    assert client.get("/v1/tracks/t0/highlights").json == {
        "track": "t0",
        "highlights": [{"start_s": 1.2, "end_s": 2.9, "score": 0.8}],
        "versions": {"structure": "s-1"},
    }
    assert client.get("/v1/tracks/t0/loops").json == {
        "track": "t0",
        "loops": [{"start_s": 1.0, "end_s": 2.0000453, "similarity": 0.97}],
        "versions": {"structure": "s-1"},
    }
    assert client.get("/v1/tracks/t1/loops").json["loops"] == []


def test_a_track_shows_its_melody(client: FlaskClient) -> None:
    assert client.get("/v1/tracks/t0/melody").json == {
        "track": "t0",
        "step_s": 0.1,
        "pitches": [None, 60.0, 60.25, 59.87],
        "unvoiced": [48.5, None, None, None],
        "confidence": 0.75,
        "versions": {"melody": "m-1"},
    }
    assert client.get("/v1/tracks/t1/melody").json["pitches"] == [None] * 30


@pytest.mark.parametrize(
    ("part", "stage"),
    [
        ("rhythm", "rhythm"),
        ("structure", "structure"),
        ("highlights", "structure"),
        ("loops", "structure"),
        ("melody", "melody"),
    ],
)
def test_a_track_that_nobody_listened_to_says_which_command_does(
    client: FlaskClient, run: Run, part: str, stage: str
) -> None:
    body = refused(client.get(f"/v1/tracks/t5/{part}"), 404, "not-analysed")
    assert "'t5'" in body["detail"]
    assert f"soundalike analyze t5 --stage {stage}" in body["detail"]
    assert body["detail"] in run(part, "t5", expect=1).stderr
    assert refused(client.get(f"/v1/tracks/t99/{part}"), 404, "unknown-track")["nearest"]
    upload = client.put(f"/v1/tracks/a/{part}", data={"file": (__file__, "x.wav")})
    assert refused(upload, 422, "invalid-query")["field"] == "key"


def test_tracks_and_results_show_tempo_and_key(client: FlaskClient) -> None:
    def music(shown: dict[str, Any]) -> tuple[Any, ...]:
        return tuple(shown[name] for name in ("tempo", "meter", "key", "mode"))

    expected = {
        "t0": (120.0, 4, "A", "minor"),
        "t1": (None, None, "C", "major"),
        "t2": (240.0, 3, "C", "major"),
        "t5": (None,) * 4,
    }
    listed = {one["track"]: one for one in client.get("/v1/tracks").json["tracks"]}
    results = answered(client, {"query": {"track": "t9"}, "limit": 50})["results"]
    beside = {one["track"]: one["metadata"] for one in results}
    for key, values in expected.items():
        assert music(client.get(f"/v1/tracks/{key}").json) == values
        assert music(listed[key]) == music(beside[key]) == values


def test_results_are_compared_with_the_example_that_drove(client: FlaskClient) -> None:
    answer = answered(client, {"query": {"track": "t0"}, "explain": True, "limit": 50})
    explained = {one["track"]: one["explain"] for one in answer["results"]}
    assert (explained["t2"]["tempo_delta"], explained["t2"]["key_relation"]) == (120.0, "relative")
    assert (explained["t1"]["tempo_delta"], explained["t1"]["key_relation"]) == (None, "relative")
    assert (explained["t5"]["tempo_delta"], explained["t5"]["key_relation"]) == (None, None)


def found(client: FlaskClient, *must: dict[str, Any]) -> set[str]:
    """By a search and by a listing, which agree."""
    raw = {"must": list(must)}
    over_query = set(keys(answered(client, {"query": {"track": "t9"}, "filter": raw, "limit": 50})))
    listed = client.get("/v1/tracks", query_string={"filter": json.dumps(raw)}).json["tracks"]
    assert {track["track"] for track in listed} - {"t9"} == over_query
    return over_query


def test_filters_by_music(client: FlaskClient, here: Soundalike, rng: np.random.Generator) -> None:
    around = {"gte": 118, "lte": 122}
    assert found(client, {"key": "tempo", "range": around}) == {"t0"}
    assert found(client, {"key": "tempo", "range": around, "octaves": True}) == {"t0", "t2"}
    assert found(client, {"key": "tempo", "is_empty": True}, {"key": "year", "range": {"lte": 1982}}) == {"t1"}
    assert found(client, {"key": "meter", "match": {"value": 3}}) == {"t2"}
    assert found(client, {"key": "key", "match": {"value": "A minor"}}) == {"t0"}
    assert found(client, {"key": "key", "match": {"any": ["B#", "E"]}}) == {"t1", "t2"}
    assert found(client, {"key": "mode", "match": {"value": "minor"}}) == {"t0"}
    assert found(client, {"key": "sections.chorus", "range": {"gte": 0.6}}) == {"t0"}
    assert found(client, {"key": "sections.verse", "range": {"gte": 0.3}}) == {"t0", "t2"}
    assert found(client, {"key": "sections.bridge", "range": {"gte": 0}}) == set()
    here.catalog.store(heard(2, rng, replace(RHYTHM, tempo_bpm=60.0), FORM))  # what is found anew is followed
    assert found(client, {"key": "tempo", "range": {"lt": 100}}) == {"t2"}
    assert found(client, {"key": "tempo", "range": around, "octaves": True}) == {"t0", "t2"}
    assert found(client, {"key": "sections.chorus", "range": {"gte": 0.6}}) == {"t0", "t2"}
    here.catalog.delete("t0")
    assert found(client, {"key": "key", "match": {"value": "A minor"}}) == {"t2"}


@pytest.mark.parametrize(
    ("condition", "field", "said"),
    [
        ({"key": "year", "range": {"gte": 1}, "octaves": True}, "filter.must[0].octaves", "key 'year'"),
        ({"key": "key", "match": {"value": "H"}}, "filter.must[0].match.value", '"H" is not the name'),
        ({"key": "mode", "match": {"value": "dorian"}}, "filter.must[0].match.value", "accepted: major, minor"),
        ({"key": "sections.refrain", "is_empty": True}, "filter.must[0].key", "sections.chorus"),
    ],
)
def test_a_filter_that_means_nothing_is_refused(
    client: FlaskClient, condition: dict[str, Any], field: str, said: str
) -> None:
    body = {"query": {"track": "t9"}, "filter": {"must": [condition]}}
    problem = refused(client.post("/v1/query", json=body), 422, "invalid-query")
    assert problem["field"] == field
    assert said in problem["detail"]


def test_spans_name_their_section(client: FlaskClient, here: Soundalike, run: Run) -> None:
    body = {"query": {"track": "t9"}, "granularity": "segment", "limit": 50}
    spans = {one["track"]: one["span"] for one in answered(client, body)["results"]}
    assert spans["t0"]["section"] == (SHOWN_VERSE if spans["t0"]["start_s"] == 0 else SHOWN_CHORUS)
    assert spans["t1"]["section"] == {"start_s": 0.0, "end_s": 3.0, "label": "inst", "group": "A", "confidence": 0.3}
    assert {key for key, span in spans.items() if span["section"] is None} == set(spans) - {"t0", "t1", "t2"}
    for number in range(3):  # each second of t0 is most like itself
        asked = {"query": {"track": "t0", "start_s": number, "end_s": number + 1}, "include_seed": True}
        nearest = answered(client, {**asked, "granularity": "segment", "limit": 1})["results"][0]
        assert nearest["track"] == "t0"
        assert nearest["span"]["section"]["label"] == ("verse" if number == 0 else "chorus")
    assert "inst" in run("similar", "t9", "--space", "e", "--granularity", "segment", "-n", "50").stdout


def test_sections_of_a_page_cost_one_statement(client: FlaskClient, here: Soundalike) -> None:
    statements: list[str] = []

    def count(*call: Any) -> None:
        statements.append(call[2])

    event.listen(here.engine, "before_cursor_execute", count)
    for limit in (1, N_TRACKS - 1):
        statements.clear()
        answered(client, {"query": {"track": "t9"}, "granularity": "segment", "limit": limit})
        assert sum("FROM sections" in one for one in statements) == 1
    statements.clear()
    answered(client, {"query": {"track": "t9"}})
    assert not any("sections" in one for one in statements)
    event.remove(here.engine, "before_cursor_execute", count)


def test_like_this_chorus(client: FlaskClient, run: Run) -> None:
    def results(query: Any) -> Any:
        return answered(client, {"query": query, "limit": 50})["results"]

    by_section = results({"track": "t0", "section": "chorus"})
    assert by_section == results({"track": "t0", "start_s": 1, "end_s": 3})
    assert by_section != results({"track": "t0"})
    mixed = {"positive": [{"track": "t0", "section": "verse", "weight": 2}, {"track": "t7"}]}
    as_spans = {"positive": [{"track": "t0", "start_s": 0, "end_s": 1, "weight": 2}, {"track": "t7"}]}
    assert results({"recommend": mixed}) == results({"recommend": as_spans})
    shown = loaded(run("similar", "t0", "--space", "e", "--section", "chorus", "-n", "50", "--json"))["results"]
    assert [(one["track"], one["score"]) for one in shown] == [(one["track"], one["score"]) for one in by_section]


REFUSED: list[tuple[Any, str, str]] = [
    ({"query": {"track": "t0", "section": "refrain"}}, "query.section", "accepted: intro, verse, chorus, bridge, inst"),
    ({"query": {"track": "t0", "section": "bridge"}}, "query.section", "'t0' has no bridge; accepted: verse, chorus"),
    ({"query": {"track": "t0", "section": "verse", "start_s": 0, "end_s": 1}}, "query.section", "twice"),
    (
        recommending({"track": "t3"}, {"track": "t0", "section": "outro"}),
        "query.recommend.positive[1].section",
        "has no outro",
    ),
]


def test_a_section_that_is_none_is_named_where_it_was_sent(client: FlaskClient) -> None:
    for body, field, said in REFUSED:
        problem = refused(client.post("/v1/query", json=body), 422, "invalid-query")
        assert problem["field"] == field
        assert said in problem["detail"]
    unknown = {"query": {"track": "t5", "section": "verse"}}
    assert (
        "analyze t5 --stage structure" in refused(client.post("/v1/query", json=unknown), 404, "not-analysed")["detail"]
    )


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["similar", "t0", "--section", "bridge"], 2, "--section: track 't0' has no bridge; accepted: verse, chorus"),
        (["similar", "t0", "--section", "refrain"], 2, "'refrain' is none of 'intro', 'verse', 'chorus'"),
        (["similar", "t0", "t1", "--section", "verse"], 2, "--section needs a single KEY"),
        (["similar", "t0", "--section", "verse", "--from-s", "1", "--to-s", "2"], 2, "--section needs a single KEY"),
    ],
)
def test_a_section_that_cannot_be_is_one_line(run: Run, arguments: list[str], code: int, message: str) -> None:
    assert message in run(*arguments, "--space", "e", expect=code).stderr


def test_facets_count_music(client: FlaskClient, run: Run) -> None:
    counted = client.get("/v1/facets").json
    assert counted["tempo"] == {
        "bands": [{"gte": 120, "lt": 140, "tracks": 1}, {"gte": 180, "lt": None, "tracks": 1}],
        "unknown": N_TRACKS - 2,
    }
    assert counted["meters"] == [{"meter": 3, "tracks": 1}, {"meter": 4, "tracks": 1}]
    assert list(counted["keys"].items()) == [("C major", 2), ("A minor", 1)]
    assert counted["modes"] == {"major": 2, "minor": 1}
    unknown = [counted[f"{of}_unknown"] for of in ("meters", "keys", "modes")]
    assert unknown == [N_TRACKS - 2, N_TRACKS - 3, N_TRACKS - 3]
    minor = json.dumps({"must": [{"key": "mode", "match": {"value": "minor"}}]})
    narrowed = client.get("/v1/facets", query_string={"filter": minor}).json
    assert (narrowed["keys"], narrowed["meters"]) == ({"A minor": 1}, [{"meter": 4, "tracks": 1}])
    assert loaded(run("facets", "--json")) == counted
    rows = [tuple(line.split("│")[1:3]) for line in run("facets").stdout.splitlines() if "│" in line]
    shown = [tuple(cell.strip() for cell in row) for row in rows]
    assert ("C major", "2") in shown
    assert shown.count(("not known", f"{N_TRACKS - 2}")) == 2  # tempo, metre
    assert shown.count(("not known", f"{N_TRACKS - 3}")) == 1  # key


def test_the_command_line_shows_what_is_sent(client: FlaskClient, run: Run) -> None:
    for part in ("rhythm", "structure", "highlights", "loops", "melody"):
        for key in ("t0", "t1"):
            assert loaded(run(part, key, "--json")) == client.get(f"/v1/tracks/{key}/{part}").json
    shown = run("rhythm", "t0").stdout
    assert "tempo: 120.0 beats a minute, metre: 4 beats a bar (confidence 0.90)" in shown
    assert "key: A minor (confidence 0.80)" in shown
    assert "beats: 5, downbeats: 1, 0:00 – 0:02" in shown
    assert "tempo: none, metre: not known (confidence 0.05)" in run("rhythm", "t1").stdout
    structure = run("structure", "t0").stdout
    assert "t0: 120.0 beats a minute, downbeats: 1" in structure
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in structure.splitlines() if "│" in line]
    assert rows == [
        ["0:00", "0:01", "verse", "A", "0", "0.70"],
        ["0:01", "0:03", "chorus", "B", "2", "0.90"],
    ]
    assert (
        "melody: 75 % of the track, MIDI 59.9 – 60.2, half of it below 60.0 (confidence 0.75)"
        in run("melody", "t0").stdout
    )
    assert "melody: 0 % of the track (confidence 0.00)" in run("melody", "t1").stdout
    loops = run("loops", "t0").stdout
    assert all(one in loops for one in ("best first", "0:01.000", "0:02.000", "1.000 s", "0.97"))
    assert run("loops", "t1").stdout == "t1: nothing of it can be looped\n"
    assert "0.80" in run("highlights", "t0").stdout
