"""Two spaces side by side: overlap and tests by hand, what each side is alone, who is left out, and the verdict."""

import itertools
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

from retrieval.catalog.records import TrackAnalysis
from retrieval.errors import IndexMissingError
from retrieval.evaluation.errors import EvaluationError, EvaluationFileError
from retrieval.evaluation.inputs.formats import qrels_from
from retrieval.evaluation.inputs.pairs import Pairs
from retrieval.evaluation.inputs.queries import Where, track_queries
from retrieval.evaluation.measures.beyond_accuracy import skewness
from retrieval.evaluation.measures.hubs import Hubs, compare_skewness
from retrieval.evaluation.measures.overlap import common_by_depth, overlap_at, rank_biased_overlap
from retrieval.evaluation.measures.significance import (
    Difference,
    Interval,
    holm,
    holm_corrected,
    paired,
    randomisation_test,
)
from retrieval.evaluation.results.runs import as_json
from retrieval.evaluation.run import Options, evaluate
from retrieval.evaluation.space import evaluate_space
from retrieval.evaluation.space_comparison import compare_spaces, verdict
from retrieval.search.engine import Search
from tests.conftest import Run, loaded
from tests.evaluation.test_evaluation_space import embedded, search_of, stored

N_TRACKS = 40
ARTISTS = 8


def tracks(rng: np.random.Generator) -> list[TrackAnalysis]:
    """Forty tracks by eight artists: the space `clean` has both halves alike and near the artist, `noisy` has not."""
    centres, made = rng.standard_normal((ARTISTS, 12)), []
    for number in range(N_TRACKS):
        own = centres[number % ARTISTS] + 0.4 * rng.standard_normal(12)
        clean = own + 0.1 * rng.standard_normal((4, 12))
        noisy = own + 2.5 * rng.standard_normal((4, 12))
        spaces = embedded("noisy", noisy), embedded("clean", clean)
        album = f"album {number % ARTISTS}.{number % 3 // 2}"
        made.append(stored(f"t{number}", *spaces, artist=f"artist {number % ARTISTS}", album=album))
    return made


@pytest.fixture
def made(rng: np.random.Generator) -> list[TrackAnalysis]:
    return tracks(rng)


@pytest.fixture
def search(engine: Engine, tmp_path: Path, made: list[TrackAnalysis]) -> Search:
    return search_of(engine, tmp_path, made, "noisy")


def judgments() -> Pairs:
    """To every track the others of its artist are relevant."""
    keys = [f"t{number}" for number in range(N_TRACKS)]
    pairs = [
        (one, other)
        for one, other in itertools.permutations(keys, 2)
        if int(one[1:]) % ARTISTS == int(other[1:]) % ARTISTS
    ]
    queries, documents = zip(*pairs, strict=True)
    return qrels_from({"query_id": list(queries), "doc_id": list(documents), "relevance": [1] * len(pairs)})


# By hand -----------------------------------------------------------------------------------------------------------


def test_overlap_by_hand() -> None:
    first = np.array([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]])
    second = np.array([[1, 2, 3], [7, 8, 9], [2, 1, 9], [9, 3, 2]])
    common = common_by_depth(first, second)
    assert common.tolist() == [[1, 2, 3], [0, 0, 0], [0, 2, 2], [0, 0, 2]]
    assert overlap_at(2, common) == pytest.approx([1, 0, 1, 0])
    assert overlap_at(10, common) == pytest.approx([1, 0, 2 / 3, 2 / 3])
    by_hand = [
        1,
        0,
        2 / 3 * 0.9**3 + 0.1 / 0.9 * (2 / 2 * 0.9**2 + 2 / 3 * 0.9**3),
        2 / 3 * 0.9**3 + 0.1 / 0.9 * (2 / 3 * 0.9**3),
    ]
    assert rank_biased_overlap(common) == pytest.approx(by_hand, abs=1e-12)


def test_many_lists_are_counted_as_one_by_one(rng: np.random.Generator) -> None:
    first, second = (np.stack([rng.permutation(30)[:12] for _ in range(1_500)]) for _ in range(2))
    common = common_by_depth(first, second)
    for query in (0, 1_023, 1_024, 1_499):
        for depth in (1, 5, 12):
            assert common[query, depth - 1] == len(set(first[query, :depth]) & set(second[query, :depth]))


def lists(rng: np.random.Generator, n: int, k: int, *, hubs: int = 0) -> Hubs:
    """Drawn lists of n queries over as many tracks; each holds all but its own of so many hubs."""
    drawn = [
        [*(hub for hub in range(hubs) if hub != query), *rng.permutation(np.setdiff1d(np.arange(hubs, n), query))][:k]
        for query in range(n)
    ]
    return Hubs(np.array(drawn), np.arange(n))


def test_every_swap_of_a_few_lists(rng: np.random.Generator) -> None:
    first, second = lists(rng, 9, 3), lists(rng, 9, 3, hubs=2)
    second.lists[4, 2] = -1
    found = compare_skewness(first, second)
    observed, reached = skewness(second.counts) - skewness(first.counts), 0
    for swaps in itertools.product([[False], [True]], repeat=9):
        one, other = np.where(swaps, second.lists, first.lists), np.where(swaps, first.lists, second.lists)
        counts = (np.bincount(side[side >= 0], minlength=9) for side in (one, other))
        reached += abs(skewness(next(counts)) - skewness(next(counts))) >= abs(observed) - 1e-9
    assert 0 < reached < 2**9
    assert found.p == pytest.approx(reached / 2**9)
    assert found.difference.mean == pytest.approx(observed)
    assert found.difference.low <= observed <= found.difference.high
    mirrored = compare_skewness(second, first)
    assert (mirrored.p, mirrored.difference.mean) == pytest.approx((found.p, -observed))


def test_skewness_that_differs_is_found_and_none_is_not(rng: np.random.Generator) -> None:
    flat, hubs = lists(rng, 80, 10), lists(rng, 80, 10, hubs=4)
    found = compare_skewness(flat, hubs)
    assert found.p < 0.001
    assert found.difference.low > 0
    same = compare_skewness(flat, flat)
    assert (same.p, same.difference.mean, same.difference.low, same.difference.high) == (1, 0, 0, 0)
    ps = [compare_skewness(lists(rng, 40, 5), lists(rng, 40, 5), rounds=200).p for _ in range(40)]
    assert 0.3 < np.mean(ps) < 0.7


def test_pairs_without_a_value_do_not_count(rng: np.random.Generator) -> None:
    first, second = rng.random(30), rng.random(30)
    gaps = np.where(np.arange(30) < 10, np.nan, first)
    found = paired(gaps, second)
    assert found.difference.count == 20
    assert found.p == randomisation_test((second - first)[10:, np.newaxis])[0]
    nothing = paired(np.full(3, np.nan), np.ones(3))
    assert math.isnan(nothing.p)
    corrected = holm_corrected({"a": found, "b": nothing, "c": replace(found, p=0.01)})
    assert [corrected[name].p_holm for name in ("a", "c")] == holm(np.array([found.p, 0.01])).tolist()
    assert math.isnan(corrected["b"].p_holm)


def difference(mean: float, p: float) -> Difference:
    return Difference(0.5, 0.5 + mean, Interval(mean, mean - 0.02, mean + 0.01, 9), p, p, 0.0, 0, 0, 0)


def test_the_verdict_says_what_the_numbers_say() -> None:
    nan = float("nan")
    found = {
        "half": difference(0.03, 0.004),
        "artist": difference(-0.05, 0.0001),
        "hubs": difference(-0.7, 0.03),
        "album": difference(0.2, 0.05),
        "other": difference(0.1, 1.0),
        "none": difference(nan, nan),
    }
    assert verdict("old", "new", found, ["hubs"]) == (
        "new better on half by 0.030 [0.010, 0.040], p 0.004; hubs by 0.700 [0.690, 0.720], p 0.03; "
        "old better on artist by 0.050 [0.040, 0.070], p 0.0001; no difference shown on album, other; "
        "not measured: none"
    )
    assert verdict("old", "new", {"album": found["album"]}, []) == "no difference shown on album"


# Against the live index --------------------------------------------------------------------------------------------


def test_each_side_is_what_it_is_alone(search: Search) -> None:
    found = compare_spaces(search, "noisy", "clean")
    alone = [evaluate_space(search, space=space) for space in ("noisy", "clean")]
    assert list(found.metrics) == list(alone[0].metrics)
    for name, one in found.metrics.items():
        assert (one.first_mean, one.second_mean) == pytest.approx([side.metrics[name].mean for side in alone]), name
    assert found.chance == pytest.approx(alone[0].chance, nan_ok=True)
    assert found.largest_hubs == tuple(side.largest_hub for side in alone)
    assert (found.tracks, found.only_blue, found.only_green, found.queries) == (N_TRACKS, 0, 0, N_TRACKS)
    assert (found.blue.encoder_version, found.green.encoder_version) == ("noisy-1", "clean-1")


def test_the_better_space_is_named(search: Search) -> None:
    found = compare_spaces(search, "noisy", "clean")
    better = found.metrics["half-track recall@1"]
    assert better.difference.low > 0.3
    assert better.p_holm < 0.01
    gain = f"{better.difference.mean:.3f} [{better.difference.low:.3f}, {better.difference.high:.3f}]"
    assert found.verdict.startswith(f"clean better on half-track recall@1 by {gain}, p ")
    assert "noisy better" not in found.verdict
    mirrored = compare_spaces(search, "clean", "noisy")
    assert mirrored.verdict == found.verdict
    for name, one in found.metrics.items():
        other = mirrored.metrics[name]
        assert (other.difference.mean, other.p) == pytest.approx((-one.difference.mean, one.p)), name
    assert 0 < found.overlap.mean < 1
    assert mirrored.rank_biased_overlap == found.rank_biased_overlap
    json.dumps(as_json(found), allow_nan=False)


def test_a_copy_is_no_different(engine: Engine, tmp_path: Path, made: list[TrackAnalysis]) -> None:
    doubled = [
        replace(track, rows=[*track.rows, replace(track.rows[1], space="copy", encoder_version="copy-1")])
        for track in made
    ]
    found = compare_spaces(search_of(engine, tmp_path, doubled, "clean"), "clean", "copy")
    assert {one.p for one in found.metrics.values()} == {1.0}
    assert (found.overlap.mean, found.rank_biased_overlap.mean) == pytest.approx((1, 1))
    assert found.verdict == f"no difference shown on {', '.join(found.metrics)}"


def test_tracks_of_one_space_alone_are_as_if_they_were_not_there(
    engine: Engine, tmp_path: Path, made: list[TrackAnalysis]
) -> None:
    only = [replace(track, rows=track.rows[number % 2 :][:1]) for number, track in enumerate(made[30:])]
    search = search_of(engine, tmp_path, made[:30], "noisy")
    before = compare_spaces(search, "noisy", "clean", qrels=judgments(), names=["nDCG@10"])
    search.catalog.store_many(only)
    after = compare_spaces(search, "noisy", "clean", qrels=judgments(), names=["nDCG@10"])
    assert (after.tracks, after.only_blue, after.only_green) == (30, 5, 5)
    assert after.warnings[:2] == [
        "5 tracks are in noisy alone and were left out",
        "5 tracks are in clean alone and were left out",
    ]
    assert as_json(after)["metrics"] == as_json(before)["metrics"]
    assert (after.overlap, after.largest_hubs) == (before.overlap, before.largest_hubs)


def test_halves_count_where_both_spaces_have_them(engine: Engine, tmp_path: Path, made: list[TrackAnalysis]) -> None:
    short = [
        replace(track, rows=[track.rows[0], embedded("clean", track.rows[1].segment_vectors[:1].astype(float))])
        for track in made[:10]
    ]
    found = compare_spaces(search_of(engine, tmp_path, [*short, *made[10:]], "noisy"), "noisy", "clean")
    assert found.metrics["half-track recall@1"].difference.count == 30
    assert found.chance["half-track recall@1"] == pytest.approx(1 / 30)
    assert found.metrics["same artist mAP"].difference.count == N_TRACKS


def test_judgments_give_what_evaluate_run_gives(search: Search) -> None:
    qrels, names = judgments(), ["nDCG@10", "AP", "R@5"]
    found = compare_spaces(search, "noisy", "clean", qrels=qrels, names=names)
    for space, side in (("noisy", "first_mean"), ("clean", "second_mean")):
        outcome = evaluate(search, qrels, track_queries(qrels), Options(Where(space), names))
        for name in names:
            expected = outcome.evaluation.metrics[name]
            assert getattr(found.metrics[name], side) == pytest.approx(expected.mean), name
            assert found.metrics[name].difference.count == expected.count
    assert found.metrics["AP"].p_holm == pytest.approx(
        dict(zip(found.metrics, holm(_p(found.metrics.values())), strict=True))["AP"]
    )
    assert found.source == qrels.source


def _p(differences: object) -> NDArray[np.float64]:
    return np.array([one.p for one in differences])  # type: ignore[attr-defined]


def test_what_is_refused(engine: Engine, tmp_path: Path, made: list[TrackAnalysis]) -> None:
    search = search_of(engine, tmp_path, [replace(made[0], rows=made[0].rows[:1]), *made[1:2]], "noisy")
    search.catalog.store(replace(made[2], rows=made[2].rows[1:]))
    with pytest.raises(EvaluationError, match=r"spaces 'noisy' and 'clean' share 1 track: .*; accepted: at least 2"):
        compare_spaces(search, "noisy", "clean")
    with pytest.raises(EvaluationError, match=r"BLUE and GREEN are both 'noisy'; accepted: two spaces"):
        compare_spaces(search, "noisy", "noisy")
    with pytest.raises(IndexMissingError, match=r"space 'next' holds no track; spaces that do: clean, noisy"):
        compare_spaces(search, "noisy", "next")
    with pytest.raises(EvaluationError, match="metric nDCG@200 needs 200 results a query, not 100"):
        compare_spaces(search, "noisy", "clean", names=["nDCG@200"])
    search.catalog.store_many(made)
    foreign = qrels_from({"query_id": ["t1"], "doc_id": ["elsewhere"], "relevance": [1]})
    with pytest.raises(EvaluationFileError, match="none of its 1 documents is a track of the space"):
        compare_spaces(search, "noisy", "clean", qrels=foreign)


def test_the_command(run: Run, music: Path, tmp_path: Path) -> None:
    run("index", music, "--space", "musicnn", "--space", "musicnn-mtt")
    qrels = tmp_path / "qrels.txt"
    lows = [f"music/low/tone{number:02}.wav" for number in range(6)]
    qrels.write_text("".join(f"{query} 0 {low} 1\n" for query in lows for low in lows if low != query))
    both = ("evaluate", "models", "musicnn", "musicnn-mtt")
    found = loaded(run(*both, "--qrels", qrels, "--metric", "nDCG@5", "--json", "--out", tmp_path / "out"))
    assert (found["kind"], found["tracks"], found["blue"]["space"]) == ("models", 12, "musicnn")
    assert found["metrics"]["nDCG@5"]["difference"]["count"] == 6
    assert found["metrics"]["half-track MRR"]["p"] is None
    assert json.loads((tmp_path / "out" / "results.json").read_text())["verdict"] == found["verdict"]
    shown = run(*both, "--sample", "6").stdout
    assert found["green"]["encoder_version"] in shown
    assert "rank-biased overlap" in shown
    assert "not measured: half-track recall@1" in shown
    assert "largest hub of musicnn-mtt: music/" in shown
    assert "--metric goes with --qrels" in run(*both, "--metric", "AP", expect=2).stderr
    assert "BLUE and GREEN are both 'musicnn'" in run("evaluate", "models", "musicnn", "musicnn", expect=2).stderr
    assert "space 'timbre' holds no track" in run("evaluate", "models", "musicnn", "timbre", expect=1).stderr
