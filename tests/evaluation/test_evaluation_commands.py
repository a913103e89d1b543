"""`soundalike evaluate` as it is typed, and what it shows on a terminal."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from api.cli.evaluation_tables import print_result
from retrieval.evaluation.measures.significance import Difference, Interval
from retrieval.evaluation.results.runs import (
    AnnEvaluation,
    AnnRecall,
    Latency,
    RunComparison,
)
from tests.conftest import Run, loaded, tone
from tests.evaluation.test_evaluation_report import SUBJECT


def test_the_commands(run: Run, indexed_tones: Path, write_wav: Callable[..., Path], tmp_path: Path) -> None:
    qrels = tmp_path / "qrels.txt"
    lows = [f"music/low/tone{number:02}.wav" for number in range(6)]
    qrels.write_text("".join(f"{query} 0 {low} 1\n" for query in lows for low in lows if low != query))
    found = loaded(run("evaluate", "run", "--qrels", qrels, "--json", "--out", tmp_path / "a", "--metric", "nDCG@5"))
    assert found["queries"] == 6
    assert found["subject"]["space"] == "musicnn"
    assert found["metrics"]["nDCG@5"]["mean"] > 0.3
    shown = run("evaluate", "run", "--qrels", qrels, "--out", tmp_path / "a").stdout
    assert "nDCG@10" in shown
    assert "run.trec, per_query.parquet, results.json" in shown
    assert as_text(tmp_path / "a" / "run.trec").startswith(f"{lows[0]} Q0 music/")

    write_wav(tmp_path / "clips" / "low.wav", tone(220, 3.3))
    queries = tmp_path / "queries.jsonl"
    only_low = {"must": [{"key": "track", "match": {"any": lows}}]}
    lines: list[dict[str, Any]] = [
        {"id": "q1", "audio": "clips/low.wav"},
        {"id": "q2", "query": {"track": lows[0]}, "filter": only_low},
    ]
    queries.write_text("\n".join(map(json.dumps, lines)))
    judged = tmp_path / "by_query.json"
    judged.write_text(json.dumps({"q1": {"music/low/tone03.wav": 1}, "q2": dict.fromkeys(lows[1:], 1)}))
    asked = ("evaluate", "run", "--qrels", judged, "--queries", queries, "--depth", "5", "--metric", "R@5")
    found = loaded(run(*asked, "--metric", "P@1", "--json", "--out", tmp_path / "b"))
    assert found["metrics"]["R@5"]["mean"] == 1
    assert found["metrics"]["P@1"]["mean"] == 1

    both = ("evaluate", "compare", tmp_path / "a" / "run.trec", tmp_path / "a" / "run.trec", "--qrels", qrels)
    same = loaded(run(*both, "--json", "--out", tmp_path / "c"))
    assert {one["p"] for one in same["metrics"].values()} == {1.0}
    assert "wins/ties/losses" in run(*both).stdout
    assert "second" in pq.read_schema(tmp_path / "c" / "per_query.parquet").names[-1]

    (tmp_path / "a" / "run.trec").rename(tmp_path / "kept.trec")
    of_folder = ("evaluate", "compare", tmp_path / "a", tmp_path / "a", "--qrels", qrels)
    assert "a: holds no run; accepted: a run, or a folder with one" in run(*of_folder, expect=1).stderr
    pq.write_table(
        pa.table({"query_id": lows[:1], "doc_id": lows[1:2], "score": [1.0]}), tmp_path / "a" / "run.parquet"
    )
    found = loaded(run(*of_folder, "--json"))
    assert found["first"] == str(tmp_path / "a" / "run.parquet")
    assert f"is {tmp_path / 'a' / 'run.parquet'}" in run(*both, expect=1).stderr
    (tmp_path / "kept.trec").rename(tmp_path / "a" / "run.trec")
    assert loaded(run(*of_folder, "--json"))["metrics"] == same["metrics"]

    plays = {"user_id": ["u"] * 3, "item_id": lows[:3], "timestamp": [1, 2, 3]}
    pq.write_table(pa.table(plays), tmp_path / "plays.parquet")
    by_time = ("evaluate", "run", "--interactions", tmp_path / "plays.parquet", "--metric", "RR", "--json")
    assert loaded(run(*by_time, "--cut", "3"))["queries"] == 1
    assert "leaks the future" in loaded(run(*by_time, "--split", "leave-last-out"))["warnings"][0]

    ann = ("evaluate", "ann", "--queries", "5", "--timed", "3", "--share", "0.5")
    assert loaded(run(*ann, "--json", "--out", tmp_path / "d"))["rows"][0]["tie_safe"]["mean"] == 1
    assert "tie-safe" in run(*ann, "--filter", json.dumps(only_low)).stdout

    assert "give either --qrels or --interactions" in run("evaluate", "run", expect=2).stderr
    bad = tmp_path / "bad.qrels"
    bad.write_text("q 0 a\n")
    error = run("evaluate", "run", "--qrels", bad, expect=1).stderr
    assert f"{bad}, line 1: has 3 fields, not 4; accepted: query 0 document 1" in error
    for line, message in (
        ({"id": "q1"}, "line 1: query: is missing"),
        ({"query": {"track": "x"}}, "line 1: id is None"),
        ({"id": "q1", "query": {"track": "x"}, "limit": 3}, "line 1: limit is not a query's to say"),
        (
            {"id": "q1", "query": {"track": "x"}, "space": "timbre"},
            "line 1: space is 'timbre', the evaluation's is 'musicnn'",
        ),
        ({"id": "q1", "audio": "gone.wav"}, "line 1: "),
    ):
        queries.write_text(json.dumps(line))
        assert message in run(*asked, expect=1).stderr


def test_what_an_evaluation_cannot_use_is_wrong_usage(run: Run, tmp_path: Path) -> None:
    qrels = tmp_path / "qrels.txt"
    qrels.write_text("q 0 a 1\n")
    judged, played = ("evaluate", "run", "--qrels", qrels), ("evaluate", "run", "--interactions", qrels)
    for command, says in (
        ((*judged, "--metric", "nDGC@10"), "--metric: metric 'nDGC@10' is not known; accepted: nDCG@10"),
        ((*judged, "--metric", "nDCG@200"), "needs 200 results a query, not 100; accepted: a depth of 200 or more"),
        ((*judged, "--cut", "2024-03-01"), "--cut goes with --interactions"),
        ((*judged, "--history", "50"), "--history goes with --interactions"),
        ((*judged, "--half-life", "2"), "--half-life goes with --interactions"),
        ((*judged, "--split", "temporal"), "--split goes with --interactions"),
        ((*played, "--cut", "yesterday"), "cut is 'yesterday'; accepted: a number as in the file, or a moment"),
        (("evaluate", "compare", qrels, qrels, "--qrels", qrels, "--metric", "x"), "--metric: metric 'x' is not known"),
    ):
        assert says in run(*command, expect=2).stderr


def as_text(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def test_a_space_by_command(run: Run, indexed_tones: Path, tmp_path: Path) -> None:
    found = loaded(run("evaluate", "catalogue", "--json", "--sample", "5", "--out", tmp_path / "out"))
    assert (found["kind"], found["queries"], found["subject"]["tracks"]) == ("catalogue", 5, 12)
    assert found["metrics"]["half-track recall@1"]["mean"] is None
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["metrics"] == found["metrics"]
    shown = run("evaluate", "catalogue", "--out", tmp_path / "out").stdout
    assert "musicnn" in shown
    assert "hubness skewness@10 (lower is better)" in shown
    assert "largest hub of musicnn: music/" in shown
    assert "note: 12 tracks have a single segment" in shown
    assert "results.json" in shown
    refused = run("evaluate", "catalogue", "--space", "timbre", expect=1).stderr
    assert "space 'timbre' holds no track; spaces that do: musicnn" in refused
    assert "--sample" in run("evaluate", "catalogue", "--sample", "1", expect=2).stderr


@pytest.mark.parametrize("width", [44, 60, 80, 107, 200])
def test_no_figure_is_cut_on_a_narrow_terminal(
    width: int, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    gain = Difference(0.5123, 0.3821, Interval(-0.1302, -0.2204, -0.0417, 99), 0.0012, 0.0234, -0.71, 12, 34, 53)
    print_result(
        RunComparison("a", "b", "q", 99, (0, 0), (0, 0), [], {"same artist on other albums R-precision": gain})
    )
    high, latency = Interval(0.9876, 0.9765, 0.9987, 99), Latency(10.123, 20.234, 30.345)
    row = AnnRecall('{"must": []}', 1_234, 0.5, "exact", high, high, high, 0.6543, latency, latency)
    print_result(AnnEvaluation(SUBJECT, 10, 0.01, 99, 99, [row]))
    shown = capsys.readouterr().out
    for figure in ("-0.1302*", "-0.2204 – -0.0417", "0.0234", "12/34/53", "0.6543", "10.12 / 20.23 / 30.34"):
        assert figure in shown
    assert "…" not in shown
    assert "same artist" in shown  # the column that says which metric it is
    assert max(len(line) for line in shown.splitlines() if line[0] in "┏┃┡│├└") <= width  # titles are no columns
