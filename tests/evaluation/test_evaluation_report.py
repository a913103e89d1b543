"""The page on evaluations: well-formed, whole, true to its files, and safe to open."""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from api.cli.commands.evaluation_report import report
from retrieval.evaluation.ann_recall import evaluate_ann
from retrieval.evaluation.errors import EvaluationFileError
from retrieval.evaluation.html.page import page, read_result, write_page
from retrieval.evaluation.html.parts import Result
from retrieval.evaluation.inputs.formats import read_qrels, read_run
from retrieval.evaluation.measures import beyond_accuracy
from retrieval.evaluation.measures.half_tracks import WithoutHalves
from retrieval.evaluation.measures.significance import Difference, Interval
from retrieval.evaluation.results.files import write_comparison, write_results, write_run
from retrieval.evaluation.results.runs import (
    AnnEvaluation,
    AnnRecall,
    FoundTrack,
    Latency,
    Subject,
    WorstQuery,
    as_json,
)
from retrieval.evaluation.results.spaces import LargestHub, SpaceComparison, SpaceEvaluation
from retrieval.evaluation.run_comparison import compare_runs
from retrieval.search.engine import Search
from tests.evaluation.pages import at, checked, drawn, pictures
from tests.evaluation.test_evaluation_run import circle, evaluated, judgments, search  # noqa: F401

HOSTILE = "<script>alert(1)</script>\"'&\x01\N{RIGHT-TO-LEFT OVERRIDE}"
SUBJECT = Subject("space", "track", "e-1", "r1", 1_000, 10, exact=False)


@pytest.fixture
def folders(search: Search, tmp_path: Path) -> dict[str, Path]:  # noqa: F811
    """A run, a comparison and an ANN evaluation, as the commands write them."""
    qrels = "\n".join(f"t{n} t{(n * 7 + step) % 57 + 3} 1" for n in range(3, 40) for step in range(5))
    (tmp_path / "q.qrels").write_text("".join(f"{q} 0 {d} {r}\n" for q, d, r in map(str.split, qrels.split("\n"))))
    names = ["nDCG@10", "RR", "AP", "clicks"]
    outcome = evaluated(search, judgments(f"{qrels}\ngone t4 1\nt5 {HOSTILE.split()[0]} 1"), metrics=names, depth=500)
    write_run(tmp_path / "run", outcome, search.catalog)
    other = tmp_path / "other.trec"
    rows = [line.split() for line in (tmp_path / "run" / "run.trec").read_text().splitlines()]
    rng = np.random.default_rng(1)
    other.write_text("".join(f"{q} Q0 {d} 1 {rng.random()} x\n" for q, _, d, *_ in rows))
    runs = read_run(other), read_run(tmp_path / "run" / "run.trec")
    write_comparison(tmp_path / "comparison", compare_runs(*runs, read_qrels(tmp_path / "q.qrels"), names=names))
    write_results(tmp_path / "ann", evaluate_ann(search, k=5, queries=20, timed=5, shares=[0.1, 0.5]))
    return {name: tmp_path / name for name in ("run", "comparison", "ann")}


def test_one_page_of_all(folders: Mapping[str, Path], tmp_path: Path) -> None:
    done = CliRunner().invoke(report, [*map(str, folders.values()), "--out", str(tmp_path / "all.html")])
    assert done.exit_code == 0, done.output
    html = (tmp_path / "all.html").read_text(encoding="utf-8")
    found = checked(html)
    assert found.tags.count("section") == 3
    assert "3 evaluations" in found.text
    titles = [picture[0].text for picture in pictures(html)]
    for title in ("nDCG@10 by query", "How evenly tracks are recommended", "Beyond accuracy", "Mean differences"):
        assert title in titles
    for title in ("Differences in AP by query", "Recall against latency", "Latency of the index and of exact search"):
        assert title in titles


def test_the_numbers_are_those_of_the_files(folders: Mapping[str, Path]) -> None:
    results = {name: json.loads((folder / "results.json").read_text()) for name, folder in folders.items()}
    run = checked(page([read_result(folders["run"])])).text
    for name, one in results["run"]["metrics"].items():
        assert f"{name} {one['mean']:.4f} {one['low']:.4f} – {one['high']:.4f}" in run
    subject = results["run"]["subject"]
    for fact in (subject["encoder_version"], subject["index_version"], "57 tracks", results["run"]["created"][:10]):
        assert fact in run
    assert f"Gini index {results['run']['beyond_accuracy']['gini']:.2f}" in run
    assert "1 queries that the space does not hold, left out gone" in run
    comparison = checked(page([read_result(folders["comparison"])])).text
    for name, one in results["comparison"]["metrics"].items():
        outcomes = one["wins"], one["ties"], one["losses"]
        assert f"{one['p']:.4f} {one['p_holm']:.4f}" in comparison
        assert "/".join(map(str, outcomes)) in comparison
        better, worse = outcomes[::-2] if name == "clicks" else outcomes[::2]
        assert f"{worse} worse {outcomes[1]} equal {better} better" in comparison
    ann = checked(page([read_result(folders["ann"])])).text
    for row in results["ann"]["rows"]:
        percentiles = " / ".join(f"{row['latency'][f'p{level}_ms']:.3g}" for level in (50, 95, 99))
        assert f"{row['matching']} {row['path']} 1.0000 1.0000 1.0000 1.0000 {percentiles}" in ann


def test_the_worst_queries_come_first(folders: Mapping[str, Path]) -> None:
    result = read_result(folders["run"])
    values = result.columns["nDCG@10"]
    worst = [result.query_ids[row] for row in np.argsort(values, kind="stable")[:20]]
    table = re.search("<tbody>.*?</tbody>", page([result]), re.DOTALL)
    assert table is not None
    assert re.findall('<th scope="row"><bdi>(.*?)</bdi>', table[0]) == worst


def test_the_worst_queries_say_what_they_found(folders: Mapping[str, Path]) -> None:
    found: dict[str, list[str]] = {}
    for line in (folders["run"] / "run.trec").read_text().splitlines():
        query, _, key, *_ = line.split()
        found.setdefault(query, []).append(key)
    relevant = {tuple(line.split()[0:3:2]) for line in (folders["run"].parent / "q.qrels").read_text().splitlines()}
    result = read_result(folders["run"])
    assert len(result.content["worst"]) == 20
    for one in result.content["worst"]:
        keys = [track["key"] for track in one["found"]]
        assert keys == found[one["query"]][:3]
        assert [track["relevant"] for track in one["found"]] == [(one["query"], key) in relevant for key in keys]
    html = page([result])
    listed = re.findall('<li(?: class="marked")?><bdi>(.*?)</bdi>', html.split("<tbody>")[1])[:60]
    assert listed == [track["key"] for one in result.content["worst"] for track in one["found"]]
    before = replace(result, content={name: value for name, value in result.content.items() if name != "worst"})
    assert "found first" in checked(html).text
    assert "shown are the first" not in html
    same = replace(result, columns={**result.columns, "nDCG@10": np.zeros(len(result.query_ids))})
    assert f"{len(result.query_ids)} queries have nDCG@10 0.0000: shown are the first 20." in page([same])
    assert "found first" not in checked(page([before])).text


def test_a_track_that_was_found_is_named(search: Search, tmp_path: Path) -> None:  # noqa: F811
    outcome = evaluated(search, judgments("t3 t4 1\nt5 t6 1"), metrics=["RR"])
    tracks = FoundTrack("k1", HOSTILE, "Song", relevant=True), FoundTrack("k2", "Artist", None, relevant=False)
    worst = [WorstQuery("t3", tracks), WorstQuery("t5", ())]
    write_run(tmp_path, replace(outcome, evaluation=replace(outcome.evaluation, worst=worst)), search.catalog)
    html = page([read_result(tmp_path)])
    said = HOSTILE.replace("\x01", "\N{REPLACEMENT CHARACTER}")
    assert f"{said} – Song k2" in checked(html).text
    assert re.search(r"<bdi>t5</bdi></th>.*<td>–</td></tr>", html)
    assert html.count('<li class="marked">') == 1
    assert "In bold: judged relevant." in html
    assert "<script" not in html


def test_histograms_count_every_query(folders: Mapping[str, Path]) -> None:
    result = read_result(folders["run"])
    html = page([result])
    (picture,) = (one for one in pictures(html) if one[0].text == "nDCG@10 by query")
    counts = [int((bar.findtext("title") or "").split()[-2]) for bar in drawn(picture, "bar")]
    assert sum(counts) == len(result.query_ids)


def test_hostile_ids_are_text() -> None:
    left_out = {"unknown": "exclude", "unknown_queries": [HOSTILE], "unknown_documents": [HOSTILE] * 99}
    interval = {"mean": 0.5, "low": 0.4, "high": 0.6, "count": 3}
    found = {
        "kind": "run",
        "format": 1,
        "subject": {"space": HOSTILE},
        "source": HOSTILE,
        "queries": 3,
        "judgments": 3,
        "relevant": 3,
        "metrics": {HOSTILE: interval},
        "left_out": left_out,
        "warnings": [HOSTILE],
    }
    ids, values = [HOSTILE, "b", "c"], np.array([0.1, 0.5, 0.9])
    gain = {"difference": interval, "p": 0.01, "p_holm": 0.02, "effect_size": 1.0, "wins": 2, "ties": 0, "losses": 1}
    compared = {
        "kind": "comparison",
        "first": HOSTILE,
        "second": "x",
        "source": "y",
        "queries": 3,
        "metrics": {"AP": gain | {"first_mean": 0.1, "second_mean": 0.2}},
    }
    columns = {"AP first": values, "AP second": values[::-1] + 0.05}
    html = page([Result("a", found, ids, {HOSTILE: values}), Result("b", compared, ids, columns)])
    shown = checked(html).text
    assert "<script" not in html
    assert "\x01" not in html
    said = HOSTILE.replace("\x01", "\N{REPLACEMENT CHARACTER}")
    assert shown.count(said) > 5
    assert "and 87 more, in results.json" in shown
    bars = [title.text for one in pictures(html) for title in one.iter("title")]
    assert any(text and text.startswith(said) for text in bars)


def test_what_is_missing_is_left_out(circle: Search, tmp_path: Path) -> None:  # noqa: F811
    outcome = evaluated(circle, judgments("a c 1\nd b 1"))
    nothing = Interval(math.nan, math.nan, math.nan, 0)
    bare = replace(outcome.evaluation.beyond_accuracy, coverage=math.nan, lorenz=(), diversity=nothing)
    bare = replace(bare, tail_share=nothing, same_artist=nothing, same_album=nothing)
    write_results(tmp_path, replace(outcome.evaluation, beyond_accuracy=bare, unjudged=math.nan))
    html = page([read_result(tmp_path)])
    assert pictures(html) == []
    text = checked(html).text
    assert "lowest" not in text
    assert "unjudged" not in text
    never = Latency(math.nan, math.nan, math.nan)
    row = AnnRecall("none", 0, 0.0, "exact", nothing, nothing, nothing, math.nan, never, never)
    write_results(tmp_path, AnnEvaluation(SUBJECT, 5, 0.01, 2, 2, [row]))
    html = page([read_result(tmp_path)])
    assert pictures(html) == []
    assert "none 0 exact – – – – – / – / –" in checked(html).text


def test_spaces_without_judgments(tmp_path: Path) -> None:
    high, skew = Interval(0.8, 0.7, 0.9, 9), Interval(3.5, 3.0, 4.0, 9)
    hub = LargestHub(HOSTILE, 7, 9)
    metrics = {"half R@1": high, "hubness skewness@10": skew, "same album mAP": high}
    chance = {"half R@1": 0.001, "hubness skewness@10": math.nan, "same album mAP": 0.5}
    without = WithoutHalves(0, 0, 0)
    catalogue = SpaceEvaluation(SUBJECT, 9, metrics, chance, ["hubness skewness@10"], hub, without, 0, 0)
    write_results(tmp_path / "catalogue", catalogue)
    html = page([read_result(tmp_path / "catalogue")])
    text = checked(html).text
    assert "half R@1 0.8000 0.7000 – 0.9000; by chance 0.0010" in text
    assert "hubness skewness@10 3.5000 3.0000 – 4.0000; lower is better" in text
    assert "in 77.8 % of the lists (7 of 9)" in text
    (picture,) = pictures(html)
    assert picture[0].text == "Tracks of the same album"
    (chance_line,), (mark,) = drawn(picture, "chance"), drawn(picture, "mark")
    assert 0 < float((chance_line[0].get("d") or "").split()[1]) < at(mark)[0]
    gain = Difference(0.5, 0.6, Interval(0.1, 0.05, 0.15, 9), 0.001, 0.002, 0.7, 6, 2, 1)
    unknown = Interval(math.nan, math.nan, math.nan, 0)
    unmeasured = Difference(math.nan, math.nan, unknown, math.nan, math.nan, math.nan, 0, 0, 0)
    both = {"half R@1": gain, "same artist R@1": unmeasured, "never listed": gain}
    green = replace(SUBJECT, space="next")
    models = SpaceComparison(
        SUBJECT, green, 9, 1, 2, 9, both, {}, ["never listed"], high, high, (hub, hub), "next better on half R@1"
    )
    write_results(tmp_path / "models", models)
    html = page([read_result(tmp_path / "models")])
    text = checked(html).text
    assert "next against space" in text
    assert "next better on half R@1" in text
    assert "half R@1 0.5000 0.6000 +0.1000* +0.0500 – +0.1500 0.0010 0.0020 +0.70 6/2/1" in text
    (picture,) = pictures(html)
    assert picture[0].text == "Mean differences"
    assert [one.findtext("text") for one in drawn(picture, "halo")] == ["half R@1"]


def test_results_that_cannot_be_shown(tmp_path: Path) -> None:
    with pytest.raises(EvaluationFileError, match=r"results\.json: is not there"):
        read_result(tmp_path)
    for text, message in (
        ("{", "is not JSON"),
        ("[]", "is of kind None"),
        ('{"kind": "poem", "format": 1}', "is of kind 'poem', format 1; accepted: .* run, comparison, ann"),
        ('{"kind": "run", "format": 9}', "is of kind 'run', format 9"),
        ('{"kind": "run", "format": 1}', "is not whole: KeyError"),
    ):
        (tmp_path / "results.json").write_text(text)
        with pytest.raises(EvaluationFileError, match=message):
            write_page([tmp_path], tmp_path / "report.html")
    (tmp_path / "per_query.parquet").write_text("no")
    with pytest.raises(EvaluationFileError, match=r"per_query\.parquet: is not Parquet"):
        read_result(tmp_path)
    assert not (tmp_path / "report.html").exists()


def test_nothing_half_written(folders: Mapping[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    out = folders["run"] / "report.html"
    out.write_text("before")
    there = sorted(folders["run"].iterdir())

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    with monkeypatch.context() as patched:
        patched.setattr("retrieval.evaluation.results.files.os.fsync", full)
        done = CliRunner().invoke(report, [str(folders["run"]), "--out", str(out)])
    assert done.exit_code == 1
    assert f"{out}: No space left on device" in done.output
    assert out.read_text() == "before"
    assert sorted(folders["run"].iterdir()) == there
    assert write_page([folders["run"]], out) == "report.html"
    assert out.read_text(encoding="utf-8").endswith("</html>")


def test_many_queries_make_no_large_page(rng: np.random.Generator) -> None:
    values = np.sort(rng.normal(size=200_000)) / 10
    interval = {"mean": 0.0, "low": -0.1, "high": 0.1, "count": len(values)}
    sides = {"first_mean": 0.5, "second_mean": 0.5, "p": 1.0, "p_holm": 1.0, "effect_size": 0.0}
    gain: dict[str, Any] = {"difference": interval, **sides, "wins": 1, "ties": 1, "losses": 1}
    found = {"kind": "comparison", "first": "a", "second": "b", "source": "q", "queries": 1, "metrics": {"AP": gain}}
    columns = {"AP first": np.zeros(len(values)), "AP second": values}
    html = page([Result("a", found, [str(number) for number in range(len(values))], columns)])
    assert len(checked(html).text) > 0
    assert len(html) < 100_000


def test_lorenz_curve(circle: Search) -> None:  # noqa: F811
    counts = np.array([1, 2, 2, 1, 2])
    curve = beyond_accuracy.lorenz(counts, 5)
    assert curve == pytest.approx([0, 1 / 8, 2 / 8, 4 / 8, 6 / 8, 1])
    area = float(((curve[1:] + curve[:-1]) / 2).sum() / 5)
    assert 1 - 2 * area == pytest.approx(beyond_accuracy.gini(counts))
    assert len(beyond_accuracy.lorenz(np.zeros(3, np.int64))) == 0
    found = as_json(evaluated(circle, judgments("a c 1\na e 1\nd e 2\nd b 1")).evaluation)
    assert len(found["beyond_accuracy"]["lorenz"]) == 101
    assert found["beyond_accuracy"]["lorenz"][20::20] == pytest.approx(curve[1:])
