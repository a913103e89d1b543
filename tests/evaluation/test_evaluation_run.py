"""An evaluation against the live index: the documented example, congruence with the search, bad input, what is left."""

import json
import math
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine

from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import SpaceEmbedding, TrackAnalysis
from retrieval.errors import IndexMissingError
from retrieval.evaluation.errors import EvaluationError, EvaluationFileError
from retrieval.evaluation.inputs.formats import qrels_from, read_qrels, read_run
from retrieval.evaluation.inputs.pairs import Pairs
from retrieval.evaluation.inputs.queries import EvaluationQuery, Where, history_queries, track_queries
from retrieval.evaluation.inputs.splits import interactions_from, split
from retrieval.evaluation.ranking import rank
from retrieval.evaluation.results.files import EvaluatedRun, descending, write_run
from retrieval.evaluation.results.runs import as_json
from retrieval.evaluation.run import Options, evaluate
from retrieval.filters.language import parse_filter
from retrieval.index.merging import rebuild
from retrieval.search.engine import Search
from retrieval.search.query import Query, Seed, continued, similar
from tests.catalog.test_catalog import analysis

ANGLES = {"a": 0, "b": 10, "c": 25, "d": 60, "e": 100}
ARTISTS = {"a": "X", "b": "x ", "c": "Y", "d": "Y", "e": None}
N_TRACKS = 60


def judgments(rows: str) -> Pairs:
    """Query, document and relevance by line."""
    queries, documents, relevance = zip(*(line.split() for line in rows.split("\n") if line.strip()), strict=True)
    frame = {"query_id": list(queries), "doc_id": list(documents), "relevance": list(map(int, relevance))}
    return qrels_from(frame)


@pytest.fixture
def circle(engine: Engine, tmp_path: Path) -> Search:
    """Five tracks on a circle: the angle between two is how unlike they are. docs/evaluation.md works with them."""

    def track(key: str, degrees: float) -> TrackAnalysis:
        vector = np.array([[math.cos(math.radians(degrees)), math.sin(math.radians(degrees))]], np.float32)
        space = SpaceEmbedding("circle", "circle-1", vector[0], vector, np.zeros(1), np.ones(1))
        return TrackAnalysis(key, f"/{key}", key, 1, 1, 1.0, artist=ARTISTS[key], album="one", rows=[space])

    catalog = Catalog(engine)
    catalog.store_many([track(key, degrees) for key, degrees in ANGLES.items()])
    search = Search(catalog, tmp_path / "index", default_space="circle")
    rebuild(search.space())
    return search


@pytest.fixture
def search(engine: Engine, tmp_path: Path, rng: np.random.Generator) -> Search:
    """Sixty tracks, fifty in a snapshot, three of these deleted since."""
    catalog = Catalog(engine)
    made = [replace(analysis(f"t{number}", rng), year=1970 + number) for number in range(N_TRACKS)]
    catalog.store_many(made[:50])
    search = Search(catalog, tmp_path / "index", default_space="e")
    for granularity in ("track", "segment"):
        rebuild(search.space(None, granularity))  # type: ignore[arg-type]
    catalog.store_many(made[50:])
    for number in range(3):
        catalog.delete(f"t{number}")
    return search


EXAMPLE = """
a c 1
a e 1
d e 2
d b 1
"""


def evaluated(
    search: Search, qrels: Pairs, asked: Sequence[EvaluationQuery] | None = None, **options: Any
) -> EvaluatedRun:
    depth = options.pop("depth", 10)
    options.setdefault("metrics", ["RR", "AP", "nDCG@2", "R@2", "P@2"])
    return evaluate(search, qrels, asked or track_queries(qrels), Options(Where(depth=depth), **options))


def test_the_example_of_the_documentation(circle: Search) -> None:
    outcome = evaluated(circle, judgments(EXAMPLE))
    # By angle, a sees b c d e, and d sees c e b a.
    by_hand = {
        "RR": [1 / 2, 1 / 2],
        "AP": [(1 / 2 + 2 / 4) / 2, (1 / 2 + 2 / 3) / 2],
        "nDCG@2": [(1 / math.log2(3)) / (1 + 1 / math.log2(3)), (2 / math.log2(3)) / (2 + 1 / math.log2(3))],
        "R@2": [1 / 2, 1 / 2],
        "P@2": [1 / 2, 1 / 2],
    }
    for name, values in by_hand.items():
        assert outcome.per_query[name] == pytest.approx(values, abs=1e-12), name
        assert outcome.evaluation.metrics[name].mean == pytest.approx(sum(values) / 2)
    assert [round(outcome.evaluation.metrics[name].mean, 4) for name in ("AP", "nDCG@2")] == [0.5417, 0.4332]
    beyond = outcome.evaluation.beyond_accuracy
    # Recommended: a once, b, c and e twice, d once.
    assert (beyond.coverage, beyond.gini, beyond.entropy_bits) == pytest.approx((1, 0.15, 2.25))
    pairs = [abs(one - other) for one in (10, 25, 60, 100) for other in (10, 25, 60, 100) if one < other]
    unlike = np.mean([1 - math.cos(math.radians(angle)) for angle in pairs])
    assert outcome.per_query["diversity"][0] == pytest.approx(unlike, abs=1e-3)
    # a and b are by X, c and d by Y, of whom e names none.
    assert outcome.per_query["same_artist"] == pytest.approx([1 / 3, 1 / 3])
    assert outcome.per_query["same_album"] == pytest.approx([1, 1])
    # Relevant twice: e; once: b and c. Four fifths of four are e, b and c: only a and d are of the tail.
    assert outcome.per_query["tail_share"] == pytest.approx([1 / 4, 1 / 4])
    assert outcome.evaluation.unjudged == pytest.approx(4 / 8)
    assert outcome.evaluation.returned == 8


def asked_in_all_ways(rng: np.random.Generator) -> list[EvaluationQuery]:
    def key() -> str:
        return f"t{rng.integers(3, N_TRACKS)}"

    late = parse_filter({"must": [{"key": "year", "range": {"gte": 2000}}]})
    queries = [
        *(similar(f"t{number}") for number in range(3, N_TRACKS)),
        *(similar(key(), exclude=[key(), "gone"], include_seed=True) for _ in range(5)),
        *(Query([Seed(key(), weight=2), Seed(key())], [Seed(key())]) for _ in range(5)),
        *(continued([key() for _ in range(7)], half_life=2) for _ in range(5)),
        *(similar(key(), filter=late) for _ in range(5)),
        Query([Seed(key()), Seed(key())], strategy="best_score"),
        Query([Seed(key(), 0.0, 1.0)]),
        Query([Seed(vector=rng.standard_normal(8).astype(np.float32))]),
    ]
    return [EvaluationQuery(str(number), query) for number, query in enumerate(queries)]


@pytest.mark.parametrize("granularity", ["track", "segment"])
@pytest.mark.parametrize("depth", [7, 100])
def test_rankings_are_those_of_the_search(
    search: Search, rng: np.random.Generator, granularity: Any, depth: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.evaluation.ranking.BLOCK_QUERIES", 16)
    dim = search.space(None, granularity).view().dim
    asked = [
        one
        if one.query.positive[0].vector is None
        else EvaluationQuery(one.id, Query([Seed(vector=np.ones(dim, np.float32))]))
        for one in asked_in_all_ways(rng)
    ]
    known = search.catalog.ids_by_key([f"t{number}" for number in range(N_TRACKS)])
    view = search.space(None, granularity).view()
    found = rank(search, view, asked, known, Where(granularity=granularity, depth=depth))
    assert found.one_by_one == 8
    for number, one in enumerate(asked):
        answer = search.answer(replace(one.query, limit=depth, granularity=granularity))
        ids = [result.track.id for result in answer.results]
        assert found.track_ids[number].tolist() == ids + [-1] * (depth - len(ids)), one
        scores = [result.score for result in answer.results]
        assert found.scores[number, : len(ids)] == pytest.approx(scores, abs=1e-6)
        assert (found.scores[number, len(ids) :] == 0).all()


UNKNOWN = """
a c 1
a gone 1
lost c 1
d zzz 1
b a 0
c c 1
c d 1
"""


def test_unknown_ids_by_choice(circle: Search) -> None:
    qrels = judgments(UNKNOWN)
    excluded = evaluated(circle, qrels)
    # Of a, c is second and gone is no judgment; d has no relevant track left, b never had; c is not its own answer.
    assert list(excluded.query_ids) == ["a", "c"]
    assert excluded.per_query["RR"] == pytest.approx([1 / 2, 1 / 3])
    assert excluded.per_query["R@2"] == pytest.approx([1, 0])
    left_out = excluded.evaluation.left_out
    assert (list(left_out.unknown_queries), list(left_out.unknown_documents)) == (["lost"], ["gone", "zzz"])
    assert (list(left_out.without_relevant), left_out.own) == (["d", "b"], 1)
    notes = "; ".join(excluded.evaluation.warnings)
    assert "1 query is unknown to the space and was left out: 'lost'" in notes
    assert "2 documents are unknown to the space and were left out: 'gone', 'zzz'" in notes
    missed = evaluated(circle, qrels, unknown="miss")
    assert list(missed.query_ids) == ["a", "lost", "d", "c"]
    assert missed.per_query["R@2"] == pytest.approx([1 / 2, 0, 0, 0])
    assert missed.per_query["RR"] == pytest.approx([1 / 2, 0, 0, 1 / 3])
    with pytest.raises(EvaluationFileError, match="row 2: document 'gone' is unknown; 2 of"):
        evaluated(circle, qrels, unknown="fail")
    with pytest.raises(EvaluationFileError, match="row 2: query 'lost' is unknown; 1 of 2"):
        evaluated(circle, judgments("a c 1\nlost c 1"), unknown="fail")


def test_nothing_is_known(circle: Search) -> None:
    with pytest.raises(
        EvaluationFileError, match="row 1: none of its 2 documents is a track of the space; the first is '17'"
    ):
        evaluated(circle, judgments("a 17 1\na 18 1"))
    with pytest.raises(EvaluationError, match="no query is left to evaluate: 1 unknown"):
        evaluated(circle, judgments("7 a 1"))
    with pytest.raises(IndexMissingError):
        evaluate(circle, judgments("a b 1"), [], Options(Where(space="none")))


def test_a_query_that_cannot_be_answered_is_named(circle: Search) -> None:
    wrong = parse_filter({"must": [{"key": "yaer", "match": {"value": 1}}]})
    asked = [EvaluationQuery("q", similar("a", filter=wrong), "line 3")]
    with pytest.raises(EvaluationError, match=r"query 'q' \(line 3\): .*unknown key 'yaer'"):
        evaluated(circle, judgments("q b 1"), asked)


def test_queries_of_their_own(circle: Search) -> None:
    only = parse_filter({"must": [{"key": "artist", "match": {"value": "Y"}}]})
    asked = [
        EvaluationQuery("q", similar("a", filter=only)),
        EvaluationQuery("r", Query([Seed("a"), Seed("b")])),
        EvaluationQuery("s", similar("c")),
    ]
    outcome = evaluated(circle, judgments("q d 1\nr d 1"), asked)
    assert outcome.per_query["RR"] == pytest.approx([1 / 2, 1 / 2])
    assert outcome.ranking.one_by_one == 1
    assert list(outcome.evaluation.left_out.not_asked) == ["s"]


def test_histories(circle: Search) -> None:
    plays = {
        "user_id": ["u", "u", "u", "v", "v", "w", "w"],
        "item_id": ["a", "gone", "c", "d", "e", "gone", "a"],
        "timestamp": [1, 2, 10, 1, 10, 1, 10],
    }
    found = split(interactions_from(plays), cut=10.0, longest_history=10)
    asked, notes = history_queries(circle, found, Where(), half_life=3)
    assert [(one.id, one.examples, one.query.half_life) for one in asked] == [("u", ["a"], 3), ("v", ["d"], 3)]
    assert notes == ["1 of 3 items of histories are unknown and were left out of them"]
    outcome = evaluated(circle, found.qrels, asked, popularity=found.popularity)
    assert list(outcome.query_ids) == ["u", "v"]
    assert outcome.per_query["RR"] == pytest.approx([1 / 2, 1 / 2])
    assert list(outcome.evaluation.left_out.unknown_queries) == ["w"]
    # Played before the cut: a, d and twice what is gone; a and d are the head that is known.
    assert outcome.per_query["tail_share"] == pytest.approx([3 / 4, 3 / 4])


def test_what_is_written_gives_the_same_again(search: Search, tmp_path: Path) -> None:
    qrels = judgments("\n".join(f"t{n} t{(n * 7 + step) % 57 + 3} 1" for n in range(3, 40) for step in range(5)))
    outcome = evaluated(search, qrels, metrics=["RR", "AP", "nDCG@10", "clicks"], depth=500)
    names = write_run(tmp_path / "out", outcome, search.catalog)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(names)
    assert names == ["run.trec", "per_query.parquet", "results.json"]
    from retrieval.evaluation.measures.metrics import evaluate as metrics_of
    from retrieval.evaluation.measures.metrics import parsed
    from retrieval.evaluation.run_comparison import ranked_run

    again = read_run(tmp_path / "out" / "run.trec")
    kept = [qrels.query_ids.index(query) for query in outcome.query_ids]
    assert len(kept) == outcome.evaluation.queries
    own = qrels.query_no * 1000 + qrels.document_no
    assert len(np.unique(own)) == len(qrels)
    values = metrics_of(ranked_run(again, qrels, list(outcome.query_ids)), parsed(["RR"], 500))
    seeded = np.array([f"t{n}" for n in range(3, 40)])
    assert list(outcome.query_ids) == seeded.tolist()
    assert values["RR"] == pytest.approx(outcome.per_query["RR"])
    table = pq.read_table(tmp_path / "out" / "per_query.parquet").to_pydict()
    assert table["query_id"] == list(outcome.query_ids)
    assert table["nDCG@10"] == pytest.approx(outcome.per_query["nDCG@10"])
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert results == json.loads(json.dumps(as_json(outcome.evaluation)))
    assert results["metrics"]["AP"]["mean"] == pytest.approx(np.mean(outcome.per_query["AP"]))
    assert results["lower_is_better"] == ["clicks"]
    assert results["beyond_accuracy"]["same_album"]["mean"] is None


def test_equal_scores_are_written_apart() -> None:
    scores = np.array([[0.9, 0.9, 0.9, 0.5, 0.0, 0.0]], np.float32)
    falling = descending(scores)
    assert (np.diff(falling) < 0).all()
    assert falling == pytest.approx(scores, abs=1e-6)


def test_nothing_half_written(search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = evaluated(search, judgments("t5 t6 1\nt7 t8 1"))
    write_run(tmp_path, outcome, search.catalog)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()}

    def full(descriptor: int) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr("retrieval.evaluation.results.files.os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_run(tmp_path, evaluated(search, judgments("t5 t9 1")), search.catalog)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir() if path.is_file()} == before


def test_keys_that_a_trec_line_cannot_hold(engine: Engine, tmp_path: Path, rng: np.random.Generator) -> None:
    catalog = Catalog(engine)
    catalog.store_many([analysis(key, rng) for key in ("my song", "b", "c")])
    search = Search(catalog, tmp_path / "index", default_space="e")
    qrels = judgments("b c 1")
    names = write_run(tmp_path / "out", evaluated(search, qrels), catalog)
    assert names[0] == "run.parquet"
    assert set(read_run(tmp_path / "out" / "run.parquet").document_ids) == {"my song", "c"}
    assert len(read_qrels(_as_file(tmp_path))) == 1


def _as_file(tmp_path: Path) -> Path:
    path = tmp_path / "q"
    path.write_text("b\t0\tmy song\t1")
    return path
