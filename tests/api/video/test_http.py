"""`POST /v1/query/video`: what comes back, page by page and question by question, and what cannot be asked."""

from __future__ import annotations

import io
import json
import wave
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sqlalchemy import text

from api.http.app import create_app
from api.networks import LoadedEncoders
from tests.api.conftest import keys, refused, untimed, whole_is_its_parts
from tests.api.video.conftest import KEYS, cut_every
from tests.encoders.media_video.clips import clip, picture, plain, texture

if TYPE_CHECKING:
    from pathlib import Path

    from flask.testing import FlaskClient

    from api.wiring import Soundalike

CUT_EACH_SECOND = cut_every(1.0, 6.0)


def sent(client: FlaskClient, file: bytes | None = None, **body: Any) -> Any:
    data: dict[str, Any] = {"body": json.dumps(body)}
    if file is not None:
        data["file"] = (io.BytesIO(file), "clip.mp4")
    return client.post("/v1/query/video", data=data, content_type="multipart/form-data")


def matched(client: FlaskClient, file: bytes | None = None, **body: Any) -> dict[str, Any]:
    response = sent(client, file, **body)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json
    return answer


def only(*tracks: str) -> dict[str, Any]:
    return {"must": [{"key": "track", "match": {"any": list(tracks)}}]}


def sound() -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setparams((1, 2, 16_000, 0, "NONE", ""))
        out.writeframes(np.random.default_rng(1).normal(0, 3000, 16_000).astype("<i2").tobytes())
    return file.getvalue()


def test_every_track_is_scored_and_laid_under_the_clip(client: FlaskClient, here: Soundalike) -> None:
    answer = matched(client, CUT_EACH_SECOND)
    assert sorted(keys(answer)) == list(KEYS)
    assert (answer["space"], answer["stats"]["matching"], answer["next_cursor"]) == ("video", 6, None)
    searched = ["resolve", "filter", "search", "rank", "place", "total"]
    assert list(answer["timing_ms"]) == ["decode", "load", "encode", "keep", "prepare", *searched]
    whole_is_its_parts(answer["timing_ms"])
    seen = answer["clip"]
    assert (seen["duration_s"], seen["cuts"], seen["cuts_per_minute"]) == (6.0, 5, 50.0)
    assert (seen["start_s"], seen["is_picture"], seen["has_sound"]) == (0.0, False, False)
    scores = [result["score"] for result in answer["results"]]
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)
    for result in answer["results"]:
        placement, track = result["placement"], here.catalog.track(result["track"])
        assert 0.97 <= placement["rate"] <= 1.03
        assert 0 <= placement["start_s"] < placement["end_s"] <= track.duration_s + 1e-3
        assert placement["end_s"] - placement["start_s"] == pytest.approx(6.0 * placement["rate"], abs=0.05)
        assert result["fit"] is None


def test_cuts_of_two_beats_each_meet_beats(client: FlaskClient, here: Soundalike) -> None:
    answer = matched(client, CUT_EACH_SECOND, filter=only("m/clicks120.wav"), explain=True)
    fit = answer["results"][0]["fit"]
    assert fit["cuts_on_beats"] == 1.0
    assert fit["cuts_by_chance"] < 0.6
    track = here.catalog.track("m/clicks120.wav")
    assert fit["beats_per_cut"] == pytest.approx(track.tempo / 50, abs=0.01)  # five cuts in six seconds
    assert -1 <= fit["learned"] <= 1
    assert {shared["tag"] for shared in fit["shared_words"]} <= here.catalog.tags_of([track.id])[track.id].keys()


def test_pages_together_hold_every_track_once(client: FlaskClient) -> None:
    whole = matched(client, CUT_EACH_SECOND)
    clip_id, pages, cursor = whole["clip"]["id"], [], None
    while True:
        page = matched(client, clip=clip_id, limit=4, **({"cursor": cursor} if cursor else {}))
        pages.append(keys(page))
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert [len(page) for page in pages] == [4, 2]
    assert [key for page in pages for key in page] == keys(whole)


def test_a_cursor_is_of_its_clip(client: FlaskClient) -> None:
    page = matched(client, CUT_EACH_SECOND, limit=2)
    response = sent(client, cut_every(0.5, 4.0, seed=5), limit=2, cursor=page["next_cursor"])
    assert refused(response, 422, "invalid-query")["field"] == "cursor"


def test_options_of_any_search_hold(client: FlaskClient) -> None:
    whole = matched(client, CUT_EACH_SECOND)
    clip_id = whole["clip"]["id"]
    assert sorted(keys(matched(client, clip=clip_id, exclude=[keys(whole)[0]]))) == sorted(keys(whole)[1:])
    assert keys(matched(client, clip=clip_id, limit=1)) == keys(whole)[:1]
    assert sorted(keys(matched(client, clip=clip_id, diversity={"mmr": 0.9}))) == list(KEYS)
    best = whole["results"][0]["score"]
    above = matched(client, clip=clip_id, score_threshold=best - 1e-3)
    assert keys(above)[0] == keys(whole)[0]
    assert all(result["score"] >= best - 1e-3 for result in above["results"])
    nothing = matched(client, clip=clip_id, filter=only("m/none.wav"))
    assert (nothing["results"], nothing["stats"]["matching"]) == ([], 0)


def test_a_clip_is_asked_about_again_without_its_file(client: FlaskClient) -> None:
    first = matched(client, CUT_EACH_SECOND, explain=True)
    again = matched(client, clip=first["clip"]["id"], explain=True)
    assert keys(again) == keys(first)
    assert again["clip"] == first["clip"]
    assert [result["placement"] for result in again["results"]] == [result["placement"] for result in first["results"]]
    other = matched(client, clip=first["clip"]["id"], filter=only("m/slow.wav", "m/noise.wav"))
    assert sorted(keys(other)) == ["m/noise.wav", "m/slow.wav"]


def test_a_part_of_a_clip_is_what_that_part_alone_would_be(client: FlaskClient) -> None:
    whole = matched(client, CUT_EACH_SECOND)
    part = matched(client, clip=whole["clip"]["id"], start_s=1.5, end_s=4.25)["clip"]
    assert (part["start_s"], part["duration_s"], part["cuts"]) == (1.5, 2.75, 3)
    sent_alone = matched(client, CUT_EACH_SECOND, start_s=1.5, end_s=4.25)["clip"]
    assert sent_alone["cuts"] == 3
    assert sent_alone["duration_s"] == pytest.approx(2.75, abs=0.09)
    assert sent_alone["id"] != part["id"]
    # Moments are those of the video, of a clip that begins later too.
    within = matched(client, clip=sent_alone["id"], start_s=2.5)["clip"]
    assert (within["start_s"], within["cuts"]) == (2.5, 2)


@pytest.mark.parametrize(
    "pixels", [texture(3), plain(200, 30, 30), plain(0, 0, 0, height=1, width=1)], ids=["blocks", "red", "pixel"]
)
def test_a_picture_has_neither_length_nor_cuts(client: FlaskClient, pixels: Any) -> None:
    answer = matched(client, picture(pixels), explain=True)
    seen = answer["clip"]
    assert (seen["is_picture"], seen["duration_s"], seen["cuts"], seen["has_sound"]) == (True, 0.0, 0, False)
    assert sorted(keys(answer)) == list(KEYS)
    for result in answer["results"]:
        assert result["placement"]["start_s"] == result["placement"]["end_s"]
        assert (result["fit"]["sync"], result["fit"]["cuts_on_beats"], result["fit"]["beats_per_cut"]) == (
            0,
            None,
            None,
        )
    again = matched(client, clip=seen["id"], start_s=3.0, end_s=5.0)
    assert keys(again) == keys(answer)  # of a picture they say nothing


def test_a_gif_that_moves_is_a_video(client: FlaskClient) -> None:
    frames = [texture(1 + n // 10) for n in range(30)]
    moving = clip(frames, rate=10, codec="gif", container="gif", pixels="rgb8")
    seen = matched(client, moving)["clip"]
    assert not seen["is_picture"]
    assert seen["duration_s"] == pytest.approx(3.0, abs=0.11)
    assert seen["cuts"] == 2


def test_a_single_frame_of_a_video_is_answered(client: FlaskClient) -> None:
    assert sorted(keys(matched(client, clip([texture(1)])))) == list(KEYS)
    assert sorted(keys(matched(client, CUT_EACH_SECOND, start_s=1.0, end_s=1.05))) == list(KEYS)


def test_a_clip_longer_than_the_tracks_starts_with_them(client: FlaskClient) -> None:
    answer = matched(client, cut_every(2.0, 16.0), filter=only("m/short.wav"))
    placement = answer["results"][0]["placement"]
    assert (placement["start_s"], placement["end_s"]) == (0.0, 12.0)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ({"start_s": 60.0}, "before the video's end"),
        ({"start_s": 3.0, "end_s": 3.0}, "start_s < end_s"),
        ({"end_s": 0}, "start_s < end_s"),
        ({"start_s": -1}, "start_s"),
        ({"start_s": float("nan")}, "start_s"),
        ({"end_s": float("inf")}, "end_s"),
        ({"space": "musicnn"}, "video"),
        ({"granularity": "segment"}, "track"),
        ({"limit": 0}, "limit"),
        ({"query": {"track": "m/slow.wav"}}, "query"),
        ({"clip": "0" * 32}, "either a file or the id of a clip"),
    ],
)
def test_what_cannot_be_asked_is_named(client: FlaskClient, body: dict[str, Any], says: str) -> None:
    problem = refused(sent(client, CUT_EACH_SECOND, **body), 422, "invalid-request")
    assert says in problem["detail"]


def test_a_filter_that_cannot_be_is_named(client: FlaskClient) -> None:
    wrong = {"must": [{"key": "nothing", "match": {"value": 1}}]}
    assert "nothing" in refused(sent(client, CUT_EACH_SECOND, filter=wrong), 422, "invalid-query")["detail"]


def test_a_file_or_a_clip_is_needed(client: FlaskClient) -> None:
    assert "either a file or the id of a clip" in refused(sent(client), 422, "invalid-request")["detail"]
    no_form = client.post("/v1/query/video", json={"clip": "0"})
    assert 400 <= no_form.status_code < 500


@pytest.mark.parametrize("clip_id", ["0" * 32, "", "a b", "x" * 5000])
def test_a_clip_that_nobody_keeps_is_unknown(client: FlaskClient, clip_id: str) -> None:
    problem = refused(sent(client, clip=clip_id), 404, "unknown-clip")
    assert "send it again" in problem["detail"]
    assert (problem["field"], bool(problem["accepted"])) == ("clip", True)


def test_an_id_that_no_database_can_hold_is_refused(client: FlaskClient) -> None:
    assert 400 <= sent(client, clip="a\0b").status_code < 500


def test_moments_beyond_what_was_seen_are_refused(client: FlaskClient) -> None:
    clip_id = matched(client, CUT_EACH_SECOND)["clip"]["id"]
    for body in ({"start_s": 6.0}, {"start_s": 100.0, "end_s": 200.0}):
        problem = refused(sent(client, clip=clip_id, **body), 422, "invalid-request")
        assert problem["field"] == "start_s"
        assert "≤ 6" in problem["accepted"]


@pytest.mark.parametrize(
    ("file", "status", "slug"),
    [
        (sound(), 415, "no-video"),
        (b"", 415, "unreadable-audio"),
        (b"no video at all " * 100, 415, "unreadable-audio"),
        (CUT_EACH_SECOND[: len(CUT_EACH_SECOND) // 3], 415, "unreadable-audio"),
        (bytes(range(256)) * 400, 415, "unreadable-audio"),
    ],
    ids=["sound", "empty", "text", "truncated", "bytes"],
)
def test_what_shows_nothing_is_refused(client: FlaskClient, file: bytes, status: int, slug: str) -> None:
    problem = refused(sent(client, file), status, slug)
    assert (problem["field"], bool(problem["accepted"])) == ("file", True)


def test_without_weights_the_command_that_fetches_them_is_named(here: Soundalike, tmp_path: Path) -> None:
    bare = replace(here, encoder=LoadedEncoders(tmp_path, {}))
    with create_app(bare).test_client() as client:
        problem = refused(sent(client, CUT_EACH_SECOND), 503, "no-weights")
    assert "soundalike weights fetch efficientnet-lite0" in problem["detail"]


def test_a_catalogue_without_the_space_says_how_to_get_it(soundalike: Soundalike) -> None:
    with create_app(soundalike).test_client() as client:
        problem = refused(sent(client, CUT_EACH_SECOND), 404, "unknown-space")
    assert "'video'" in problem["detail"]
    assert "soundalike index" in problem["detail"]
    assert "soundalike index" in problem["accepted"]


def test_a_track_without_accents_is_answered(client: FlaskClient, here: Soundalike) -> None:
    track = here.catalog.track("m/clicks90.flac")
    with here.engine.begin() as connection:
        kept = connection.execute(text("SELECT * FROM accents WHERE track_id = :id"), {"id": track.id}).mappings().one()
        connection.execute(text("DELETE FROM accents WHERE track_id = :id"), {"id": track.id})
    try:
        answer = matched(client, CUT_EACH_SECOND, filter=only(track.key), explain=True)
    finally:
        names = ", ".join(kept)
        values = ", ".join(f":{name}" for name in kept)
        with here.engine.begin() as connection:
            connection.execute(text(f"INSERT INTO accents ({names}) VALUES ({values})"), dict(kept))
    [result] = answer["results"]
    assert result["fit"]["sync"] == 0
    assert result["placement"]["end_s"] > result["placement"]["start_s"]


def test_clips_sent_at_the_same_time_get_their_own_answers(here: Soundalike) -> None:
    files = [cut_every(0.5, 4.0, seed=9), CUT_EACH_SECOND, picture(texture(8))]
    app = create_app(here)

    def ask(file: bytes) -> dict[str, Any]:
        with app.test_client() as client:
            return untimed(matched(client, file))

    alone = [ask(file) for file in files]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(ask, files * 2))
    for answer, expected in zip(together, alone * 2, strict=True):
        assert answer["clip"] == expected["clip"]
        for result, same in zip(answer["results"], expected["results"], strict=True):
            # Sums are made in another order where cores are shared.
            assert result.pop("score") == pytest.approx(same["score"], abs=1e-5)
            assert result == {name: value for name, value in same.items() if name != "score"}


def test_the_document_describes_the_door(client: FlaskClient) -> None:
    document = client.get("/openapi.json").json
    operation, schemas = document["paths"]["/v1/query/video"]["post"], document["components"]["schemas"]
    assert operation["responses"]["200"]["content"]["application/json"]["schema"] == {
        "$ref": "#/components/schemas/VideoAnswerOut"
    }
    assert {"400", "404", "409", "410", "413", "415", "422", "503"} <= operation["responses"].keys()
    described = matched(client, CUT_EACH_SECOND, explain=True)
    assert described.keys() == schemas["VideoAnswerOut"]["properties"].keys()
    assert described["clip"].keys() == schemas["VideoAnswerOut.ClipOut"]["properties"].keys()
    assert described["results"][0].keys() == schemas["VideoAnswerOut.VideoResultOut"]["properties"].keys()
    assert described["results"][0]["fit"].keys() == schemas["VideoAnswerOut.FitOut"]["properties"].keys()
