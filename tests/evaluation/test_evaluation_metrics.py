"""Metrics against trec_eval's own test files, against numbers worked by hand, and against each other."""

import math
from pathlib import Path

import ir_measures
import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.inputs.formats import qrels_from, read_qrels, read_run, run_from
from retrieval.evaluation.measures import metrics
from retrieval.evaluation.measures.beyond_accuracy import (
    coverage,
    diversity,
    entropy,
    gini,
    occurrences,
    same_label_rate,
    short_head,
    skewness,
    tail_share,
)
from retrieval.evaluation.measures.metrics import evaluate, parsed
from retrieval.evaluation.measures.significance import (
    bootstrap,
    compare,
    effect_size,
    holm,
    randomisation_test,
)
from retrieval.evaluation.run_comparison import compare_runs, ranked_run

TREC_EVAL = Path(__file__).parents[1] / "fixtures" / "trec_eval"
QUERIES = ("301", "302", "303")
WHOLE = {"map": "AP", "Rprec": "Rprec", "recip_rank": "RR", "ndcg": "nDCG"}
FAMILIES = {"P": "P", "recall": "R", "ndcg_cut": "nDCG", "map_cut": "AP", "success": "Success"}


def our_name(printed: str) -> str | None:
    """What we call a measure that trec_eval prints, None for one that we do not compute."""
    family, _, cutoff = printed.rpartition("_")
    return f"{FAMILIES[family]}@{cutoff}" if family in FAMILIES else WHOLE.get(printed)


def counted(rankings: metrics.Ranked) -> dict[str, NDArray[np.int64]]:
    """What trec_eval counts, of every query."""
    return {
        "num_ret": rankings.returned,
        "num_rel": rankings.relevant,
        "num_rel_ret": (rankings.relevance > 0).sum(axis=1),
        "num_nonrel_judged_ret": (rankings.relevance == 0).sum(axis=1),
    }


def test_trec_eval_prints_the_same_of_its_own_files() -> None:
    lines = [line.split() for line in (TREC_EVAL / "out.test.aq").read_text().splitlines()]
    qrels, run = read_qrels(TREC_EVAL / "qrels.test.gz"), read_run(TREC_EVAL / "results.test.gz")
    rankings = ranked_run(run, qrels, QUERIES)
    names = {name: ours for name, query, _ in lines if query == "all" and (ours := our_name(name))}
    found, counts = evaluate(rankings, parsed(list(names.values()), 1_000)), counted(rankings)
    got = {name: [f"{value:.4f}" for value in (*found[ours], found[ours].mean())] for name, ours in names.items()}
    got |= {name: [str(count) for count in (*numbers, numbers.sum())] for name, numbers in counts.items()}
    printed = {(name, query): value for name, query, value in lines}
    expected = {name: [printed[name, query] for query in (*QUERIES, "all")] for name in got}
    assert got == expected
    assert len(got) == 47


def test_worked_by_hand() -> None:
    # Ranking d1 … d5; relevant: d2 (1), d4 (2), and d9 (1), which was not returned.
    qrels = qrels_from({"query_id": ["q"] * 4, "doc_id": ["d2", "d4", "d9", "d5"], "relevance": [1, 2, 1, 0]})
    run = run_from(
        {"query_id": ["q"] * 5, "doc_id": ["d1", "d2", "d3", "d4", "d5"], "score": [5.0, 4.0, 3.0, 2.0, 1.0]}
    )
    names = ["P@2", "P@10", "R@2", "R@4", "RR", "AP", "Rprec", "Success@1", "Success@2", "nDCG@4", "clicks"]
    found = {
        name: float(values[0]) for name, values in evaluate(ranked_run(run, qrels, ["q"]), parsed(names, 500)).items()
    }
    ideal = 2 + 1 / math.log2(3) + 1 / math.log2(4)
    gained = 1 / math.log2(3) + 2 / math.log2(5)
    by_hand = (1 / 2, 2 / 10, 1 / 3, 2 / 3, 1 / 2, (1 / 2 + 2 / 4) / 3, 1 / 3, 0, 1, gained / ideal, 0)
    assert found == pytest.approx(dict(zip(names, by_hand, strict=True)), abs=1e-12)


def test_ranks_give_what_names_give(rng: np.random.Generator) -> None:
    """What we tell trec_eval, ranks for names, against what everybody tells it."""
    run, qrels = {}, {}
    for query in range(40):
        documents = rng.choice(200, size=30, replace=False)
        run[f"q{query}"] = {
            f"d{one}": float(score) for one, score in zip(documents, rng.integers(0, 9, 30), strict=True)
        }
        judged = rng.choice(200, size=25, replace=False)
        qrels[f"q{query}"] = {f"d{one}": int(grade) for one, grade in zip(judged, rng.integers(0, 4, 25), strict=True)}
        qrels[f"q{query}"][f"d{documents[0]}"] = 1
    run.pop("q39")  # not answered
    measures = [ir_measures.parse_measure(name) for name in (*metrics.DEFAULT, "AP(rel=2)@20", "nDCG")]
    expected = ir_measures.pytrec_eval.evaluator(measures, qrels)
    by_name = {(one.query_id, str(one.measure)): one.value for one in expected.iter_calc(run)}
    columns = zip(*((q, d, v) for q, own in run.items() for d, v in own.items()), strict=True)
    ours = run_from(dict(zip(("query_id", "doc_id", "score"), map(list, columns), strict=True)))
    columns = zip(*((q, d, v) for q, own in qrels.items() for d, v in own.items()), strict=True)
    judged_pairs = qrels_from(dict(zip(("query_id", "doc_id", "relevance"), map(list, columns), strict=True)))
    found = evaluate(ranked_run(ours, judged_pairs, list(qrels)), parsed([str(one) for one in measures], 1_000))
    for name, values in found.items():
        for query, value in zip(qrels, values, strict=True):
            assert value == pytest.approx(by_name[query, name], abs=1e-12), (query, name)


def test_perfect_gives_one_and_nothing_gives_zero() -> None:
    perfect = metrics.ranked(np.array([[3, 7]]), np.array([0, 0]), np.array([7, 3]), np.array([1, 1]))
    nothing = metrics.ranked(np.array([[-1, -1]]), np.array([0, 0]), np.array([7, 3]), np.array([1, 1]))
    wanted = parsed(["nDCG@2", "R@2", "P@2", "AP", "RR", "Rprec", "Success@1"], 2)
    assert all(values == pytest.approx([1.0]) for values in evaluate(perfect, wanted).values())
    assert all(values == pytest.approx([0.0]) for values in evaluate(nothing, wanted).values())


def test_documents_that_cannot_be_found_are_missed_one_by_one() -> None:
    # Two of three relevant documents are unknown, of two queries: recall 1/3 and 1/2.
    rankings = metrics.ranked(
        np.array([[4, 5], [5, 4]]), np.array([0, 0, 0, 1, 1]), np.array([4, -1, -1, 4, -1]), np.ones(5, np.int64)
    )
    assert rankings.relevant.tolist() == [3, 2]
    assert evaluate(rankings, parsed(["R@2"], 2))["R@2"] == pytest.approx([1 / 3, 1 / 2])


def test_a_negative_relevance_is_no_judgment() -> None:
    rankings = metrics.ranked(np.array([[4, 5]]), np.array([0, 0]), np.array([4, 5]), np.array([-1, 1]))
    assert rankings.relevance.tolist() == [[metrics.UNJUDGED, 1]]


@pytest.mark.parametrize(("rank", "expected"), [(1, 0), (10, 0), (11, 1), (491, 49), (500, 49), (501, 51)])
def test_clicks(rank: int, expected: int) -> None:
    relevance = np.full((1, 600), metrics.UNJUDGED)
    relevance[0, rank - 1] = 1
    assert metrics.clicks(relevance) == [expected]
    assert parsed(["clicks"], 500)[0].lower_is_better


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["nDCG@200"], "needs 200 results a query, not 100"),
        (["clicks"], "needs 500 results"),
        (["ndgc@10"], "metric 'ndgc@10' is not known; accepted: nDCG@10"),
        (["ERR@10"], "ERR@10 is not computed; accepted: nDCG@10"),
        (["P@0"], "P@0 is not computed"),
        (["RR@5"], "RR@5 is not computed"),
        (["AP", "AP"], "stands twice"),
    ],
)
def test_bad_metrics(names: list[str], message: str) -> None:
    with pytest.raises(EvaluationError) as caught:
        parsed(names, 100)
    assert message in str(caught.value)


def test_a_query_without_a_relevant_document_has_no_value() -> None:
    rankings = metrics.ranked(np.array([[4]]), np.array([0]), np.array([4]), np.array([0]))
    with pytest.raises(EvaluationError, match="no relevant document"):
        evaluate(rankings, parsed(["AP"], 1))


# Beyond accuracy ---------------------------------------------------------------------------------------------------


def test_who_is_recommended_by_hand() -> None:
    lists = np.array([[11, 12, 13], [11, 12, -1]])
    counts = occurrences(lists, np.array([10, 11, 12, 13]))
    assert counts.tolist() == [0, 2, 2, 1]
    assert coverage(counts) == 3 / 4
    assert gini(counts) == pytest.approx((-3 * 0 - 1 * 1 + 1 * 2 + 3 * 2) / (4 * 5))
    assert entropy(counts) == pytest.approx(2 * -0.4 * math.log2(0.4) - 0.2 * math.log2(0.2))
    deviations = np.array([-1.25, 0.75, 0.75, -0.25])
    assert skewness(counts) == pytest.approx((deviations**3).mean() / (deviations**2).mean() ** 1.5)
    assert (gini(np.array([3, 3])), entropy(np.array([3, 0])), skewness(np.array([3, 3]))) == (0, 0, 0)
    assert gini(np.array([0, 0, 0, 9])) == pytest.approx(3 / 4)
    assert all(math.isnan(of(np.zeros(3, np.int64))) for of in (gini, entropy))


def test_tail_by_hand() -> None:
    # 11 and 12 hold 80 of 100 plays: they are the head.
    head = short_head(np.array([10, 11, 12, 13]), np.array([10.0, 50.0, 30.0, 10.0]))
    assert head.tolist() == [11, 12]
    assert tail_share(np.array([[10, 11], [12, -1], [-1, -1]]), head) == pytest.approx([0.5, 0, math.nan], nan_ok=True)
    assert short_head(np.array([1, 2]), np.array([0.0, 0.0])).tolist() == []


def test_diversity_by_hand(rng: np.random.Generator) -> None:
    axes = np.eye(3, dtype=np.float32)
    lists = np.stack([axes, np.repeat(axes[:1], 3, axis=0), np.stack([axes[0], -axes[0], axes[2]]), axes])
    shown = np.array([[1, 1, 1], [1, 1, 1], [1, 1, 0], [1, 0, 0]], bool)
    assert diversity(lists, shown) == pytest.approx([1, 0, 2, math.nan], abs=1e-6, nan_ok=True)
    vectors = rng.standard_normal((1, 6, 5)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=2, keepdims=True)
    cosines = (vectors[0] @ vectors[0].T)[np.triu_indices(6, 1)]
    assert diversity(vectors, np.ones((1, 6), bool)) == pytest.approx([1 - cosines.mean()], abs=1e-6)


def test_same_label_rate_by_hand() -> None:
    # Artists 0, 1, 2; the first and the third query name 0, the second names none, the last 0 and 2.
    lists = np.array([[0, 1, -1, 0], [0, -1, -1, -1], [-1, -1, -1, -1], [2, -1, -1, -1]])
    query_no, examples = np.array([0, 1, 2, 3, 3]), np.array([0, -1, 0, 0, 2])
    assert same_label_rate(lists, query_no, examples) == pytest.approx([2 / 3, math.nan, math.nan, 1], nan_ok=True)


# Significance ------------------------------------------------------------------------------------------------------


def test_every_choice_of_signs_by_hand() -> None:
    # Sums of ±1 ±2 ±3 are as large as 6 for 2 of 8 choices, and as large as 2 (1 − 2 + 3) for 6 of 8.
    assert randomisation_test(np.array([[1.0, 1.0], [2.0, -2.0], [3.0, 3.0]])) == pytest.approx([2 / 8, 6 / 8])
    assert randomisation_test(np.zeros((4, 1))) == [1.0]


def test_drawn_signs_agree_with_every_sign(rng: np.random.Generator) -> None:
    differences = rng.normal(0.3, 1, (13, 4))
    exact = randomisation_test(differences)
    doubled = randomisation_test(np.concatenate([differences, np.zeros((1, 4))]))  # 14 queries: drawn
    assert doubled == pytest.approx(exact, abs=0.02)
    assert randomisation_test(np.ones((30, 1))) == pytest.approx([1 / 10_001])


def test_p_is_uniform_where_there_is_no_difference(rng: np.random.Generator) -> None:
    p = randomisation_test(rng.standard_normal((40, 400)), rounds=2_000)
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.035)
    assert p.mean() == pytest.approx(0.5, abs=0.06)


def test_holm_by_hand() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])) == pytest.approx([0.03, 0.06, 0.06])
    assert holm(np.array([0.6, 0.9])) == pytest.approx([1.0, 1.0])


def test_effect_size_by_hand() -> None:
    assert effect_size(np.array([1.0, 3.0])) == pytest.approx(2 / math.sqrt(2))
    assert effect_size(np.zeros(3)) == 0
    assert effect_size(np.full(3, 0.2)) == math.inf


def test_bootstrap_covers_the_mean(rng: np.random.Generator) -> None:
    values = rng.normal(2, 1, (200, 300))
    covered = [one.low <= 2 <= one.high for one in bootstrap(values)]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.05)
    again = bootstrap(values)
    assert again == bootstrap(values)
    width = np.mean([one.high - one.low for one in again])
    assert width == pytest.approx(2 * 1.96 / math.sqrt(200), rel=0.05)


def test_bootstrap_with_gaps() -> None:
    values = np.array([[1.0, math.nan], [3.0, 5.0], [2.0, math.nan]])
    whole, gaps = bootstrap(values)
    assert (whole.mean, whole.count) == (2.0, 3)
    assert (gaps.mean, gaps.low, gaps.high, gaps.count) == (5.0, 5.0, 5.0, 1)
    (none,) = bootstrap(np.full((3, 1), math.nan))
    assert none.count == 0
    assert math.isnan(none.mean)


def test_two_runs_by_hand() -> None:
    qrels = qrels_from({"query_id": ["q", "r", "s"], "doc_id": ["a", "a", "a"], "relevance": [1, 1, 0]})
    first = run_from({"query_id": ["q", "q", "x"], "doc_id": ["a", "b", "a"], "score": [1.0, 2.0, 1.0]}, source="A")
    second = run_from({"query_id": ["q", "q", "r"], "doc_id": ["a", "b", "a"], "score": [2.0, 1.0, 1.0]}, source="B")
    found = compare_runs(first, second, qrels, names=["RR"]).comparison
    gain = found.metrics["RR"]
    assert (gain.first_mean, gain.second_mean, gain.difference.mean) == (0.25, 1.0, 0.75)
    assert (gain.wins, gain.ties, gain.losses) == (2, 0, 0)
    assert gain.p == pytest.approx(2 / 4)
    assert (found.unanswered, found.unjudged_queries, list(found.without_relevant)) == ((1, 0), (1, 0), ["s"])
    assert found.warnings == ["A does not answer 1 of 2 queries: they score 0"]


def test_equal_scores_are_ordered_as_by_trec_eval() -> None:
    # 1 + 1e-9 and 1 are equal as float32; then the larger id comes first.
    qrels = qrels_from({"query_id": ["q"], "doc_id": ["a"], "relevance": [1]})
    run = run_from({"query_id": ["q", "q"], "doc_id": ["a", "b"], "score": [1 + 1e-9, 1.0]})
    assert evaluate(ranked_run(run, qrels, ["q"]), parsed(["RR"], 2))["RR"] == [0.5]


def test_runs_that_cannot_be_compared() -> None:
    qrels = qrels_from({"query_id": ["q"], "doc_id": ["a"], "relevance": [1]})
    run = run_from(pa.table({"query_id": ["q"], "doc_id": ["a"], "score": [1.0]}))
    with pytest.raises(EvaluationError, match="share 1 queries"):
        compare_runs(run, run, qrels)
    other = run_from({"query_id": ["Q"], "doc_id": ["a"], "score": [1.0]}, source="other.run")
    with pytest.raises(EvaluationError, match=r"other\.run answers none of the 1 judged queries"):
        compare_runs(run, other, qrels)
    with pytest.raises(EvaluationError):
        compare(np.zeros((1, 2)), np.zeros((1, 2)))
