"""Searches of every kind on the command line, and playlists that go on."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Engine, text

from tests.conftest import Done, Run, loaded, tone


def results(done: Done) -> list[str]:
    return [result["track"] for result in loaded(done)["results"]]


def test_searches_of_every_kind(run: Run, engine: Engine, indexed_tones: Path, tmp_path: Path) -> None:
    low, high = "music/low/tone01.wav", "music/high/tone10.wav"
    several = results(run("similar", low, high, "--strategy", "best_score", "--json"))
    assert len(several) == 10
    assert not {low, high} & set(several)
    assert {several[0], several[1]} <= {f"music/low/tone0{n}.wav" for n in (0, 2, 3)} | {
        f"music/high/tone{n:02}.wav" for n in (8, 9, 11)
    }
    unlike = loaded(run("similar", low, "--unlike", high, "--unlike", indexed_tones / "high" / "tone11.wav", "--json"))
    assert {result["track"] for result in unlike["results"]} == {
        f"music/{'low' if n < 6 else 'high'}/tone{n:02}.wav" for n in (0, *range(2, 10))
    }
    assert unlike["results"][0]["explain"]["driven_by"] == low
    table = run("similar", low, "--unlike", high, "-n", "2", "--exclude", "music/low/tone00.wav").stdout
    assert table.startswith(f"sounds like {low}, unlike {high}")
    assert "1 dropped by exclude" in table

    by_part = ("similar", low, "--granularity", "segment", "-n", "3", "--json")
    parts = loaded(run(*by_part))["results"]
    assert all(0 <= part["span"]["start_s"] < part["span"]["end_s"] <= 4.2 for part in parts)
    assert "0:00 – 0:03" in run("similar", low, "--granularity", "segment").stdout
    span = ("--from-s", "0", "--to-s", "2", "--json")
    assert results(run("similar", low, *span)) == results(run("similar", low, "--json"))  # it has one segment
    clip = shutil.copy(indexed_tones / "low" / "tone01.wav", tmp_path / "clip.wav")
    assert results(run("similar", clip, *span))[0] == low

    folded = loaded(run("similar", low, "--fold-duplicates", "--mmr", "0.3", "--json"))
    assert folded["stats"]["dropped"]["duplicate"] == 11 - len(folded["results"]) > 0  # neighbouring tones are alike
    with engine.begin() as connection:
        connection.execute(text("UPDATE tracks SET artist = 'A', album = 'B' WHERE key LIKE 'music/low/%'"))
    few = results(run("similar", low, "--max-per", "artist=3", "--max-per", "album=2", "--json"))
    assert (len(few), sum("low" in key for key in few)) == (8, 2)
    varied = run("similar", low, "--mmr", "1", "-n", "4", "--json")
    scores = [one["score"] for one in loaded(varied)["results"]]
    assert len(scores) == 4
    assert scores != sorted(scores, reverse=True)
    unlike_those_before = "not by score alone: what is unlike those before it stands higher (mmr)\n"
    assert unlike_those_before in run("similar", low, "--mmr", "1", "-n", "4").stdout
    assert "not by score alone" not in run("similar", low, "-n", "4").stdout

    body = tmp_path / "body.json"
    body.write_text(json.dumps({"query": {"track": low}, "limit": 4}))
    assert results(run("query", body, "--json")) == results(run("similar", low, "-n", "4", "--json"))
    shown = run("query", body).stdout
    assert low not in shown.split("\n", 1)[1]
    assert "shared tags" not in shown  # nobody asked for them
    assert "shared tags" in run("similar", low).stdout
    for wrong, message in (
        ("{", "is not JSON"),
        ('{"query": {"track": "a"}, "limits": 1}', "limits: unknown field 'limits': did you mean 'limit'?"),
        ('{"query": {"recommend": {"positive": [{"vector": [1]}]}}}', "query.recommend.positive[0].vector: has 1 val"),
    ):
        body.write_text(wrong)
        assert message in run("query", body, expect=2).stderr

    way = loaded(run("path", low, high, "-n", "5", "--json"))
    assert [way["tracks"][place]["track"] for place in (0, -1)] == [low, high]
    assert len({stop["track"] for stop in way["tracks"]}) == 5
    assert way["tracks"][-1]["cosine_to_next"] is None
    shown = run("path", low, high, "-n", "5").stdout
    for stop in way["tracks"][:-1]:
        assert f"{stop['cosine_to_next']:.3f}" in shown
        assert stop["track"] in shown

    manifests = [report["manifest"] for report in loaded(run("rebuild", "--json"))]
    of_space = [manifest["granularity"] for manifest in manifests if manifest["space"] == "musicnn"]
    assert of_space == ["track", "segment"]
    rebuilt_parts = run("rebuild", "--granularity", "segment").stdout.splitlines()
    assert "musicnn: 12 tracks, 12 segments, flat" in rebuilt_parts
    rebuilt = loaded(run(*by_part))["results"]
    assert [(part["track"], part["span"]) for part in rebuilt] == [(part["track"], part["span"]) for part in parts]


def test_what_is_wrong_is_said_by_option(run: Run, indexed_tones: Path) -> None:
    low = "music/low/tone01.wav"
    for name in (low, indexed_tones / "high" / "tone10.wav"):
        outside = run("similar", name, "--from-s", "50", "--to-s", "60", expect=2).stderr
        assert outside.startswith("soundalike: --from-s: no segment of 'music/"), outside
        assert "lies in 50–60 s; accepted: 0 to " in outside
    assert "'--mmr': nan is no finite number" in run("similar", low, "--mmr", "nan", expect=2).stderr
    wrong = run("continue", low, "--half-life", "nan", expect=2).stderr
    assert "'--half-life': nan is no finite number" in wrong


def test_a_playlist_goes_on(
    run: Run, indexed_tones: Path, write_wav: Callable[..., Path], tmp_path: Path, engine: Engine
) -> None:
    low = [f"music/low/tone{n:02}.wav" for n in range(4)]
    playlist = tmp_path / "road.m3u8"
    playlist.write_text(f"#EXTM3U\n{low[0]}\nmusic/low/tone01.wav\n\nfile://{indexed_tones}/low/tone02.wav\n{low[3]}\n")
    found = results(run("continue", playlist, "--json", "-n", "8"))
    assert len(found) == 8
    assert not set(low) & set(found)
    assert found == results(run("continue", *low, "--json", "-n", "8"))
    body = tmp_path / "body.json"
    body.write_text(json.dumps({"query": {"continue": {"playlist": low, "half_life": 1}}, "limit": 8}))
    short = run("continue", playlist, "--half-life", "1", "--json", "-n", "8")
    assert results(short) == results(run("query", body, "--json"))
    assert loaded(short)["results"][0]["explain"]["driven_by"] == low[3]
    shown = run("continue", playlist, "-n", "2").stdout
    assert shown.startswith(f"goes on after {low[3]}")

    outside = write_wav(tmp_path / "outside.wav", tone(110 * 2, 3.3))  # tone03, from elsewhere
    (tmp_path / "outside.m3u").write_text("outside.wav\n")
    assert results(run("continue", tmp_path / "outside.m3u", "--json", "-n", "1")) == [low[3]]
    assert results(run("continue", outside, "--json", "-n", "1")) == [low[3]]

    with engine.begin() as connection:
        connection.execute(text("UPDATE tracks SET artist = right(key, 5) WHERE key LIKE 'music/high/%'"))
        connection.execute(text("UPDATE tracks SET artist = 'A' WHERE key LIKE 'music/low/%'"))
    gapped = results(run("continue", playlist, "--artist-gap", "3", "--json", "-n", "4"))
    assert [key.startswith("music/low") for key in gapped] == [False, False, False, True]
    apart = run("continue", playlist, "--artist-gap", "3", "-n", "6").stdout
    assert "not by score alone: tracks of an artist stand apart (artist_gap)\n" in apart
    both = {"limit": 6, "diversity": {"mmr": 1}, "context": {"artist_gap": 2, "album_gap": 1}}
    body.write_text(json.dumps({"query": {"continue": {"playlist": low}}} | both))
    said = next(line for line in run("query", body).stdout.splitlines() if line.startswith("not by score alone"))
    assert [name for name in ("csls", "mmr", "artist_gap", "album_gap") if name in said] == [
        "mmr", "artist_gap", "album_gap",
    ]  # fmt: skip


def test_a_playlist_that_cannot_go_on_says_why(run: Run, indexed_tones: Path, tmp_path: Path) -> None:
    playlist = tmp_path / "road.m3u8"
    for content, message in (
        ("#EXTM3U\n", "road.m3u8: lists no track"),
        ("#\n\nmusic/low/tone99.wav\n", "road.m3u8, line 3: 'music/low/tone99.wav' is left out: not found"),
        ("letter.mp3\n", "road.m3u8, line 1: "),
        ("music/low/tone01.wav\n" * 1001, "the playlist has 1001 tracks; accepted: the last 1000 of it"),
    ):
        playlist.write_text(content)
        (tmp_path / "letter.mp3").write_text("not a song")
        assert message in run("continue", playlist, expect=1).stderr
    assert "no track with key 'nowhere'" in run("continue", "nowhere", expect=1).stderr
    assert "no such file" in run("continue", tmp_path / "none.m3u8", expect=1).stderr
    run("continue", expect=2)
    run("continue", playlist, "--half-life", "0", expect=2)
    run("continue", playlist, "--half-life", "nan", expect=2)
