"""Judgments and runs in every format, and what is wrong with them: file, line, reason, what would be accepted."""

import gzip
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from retrieval.evaluation.errors import EvaluationError, EvaluationFileError
from retrieval.evaluation.inputs import formats
from retrieval.evaluation.inputs.formats import qrels_from, read_qrels, read_run, run_from
from retrieval.evaluation.inputs.pairs import Pairs
from retrieval.evaluation.inputs.splits import LEAKS, interactions_from, moment, read_interactions, split

QRELS = {"q1": {"a": 1, "b": 0}, "q2": {"a": 2, "c": -1}}
FRAME = {"query_id": ["q1", "q1", "q2", "q2"], "doc_id": ["a", "b", "a", "c"]}

Write = Callable[[str, str], Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def written(name: str, text: str) -> Path:
        path = tmp_path / name
        path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
        return path

    return written


def as_dict(pairs: Pairs) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {query: {} for query in pairs.query_ids}
    for query, document, value in zip(pairs.query_no, pairs.document_no, pairs.values, strict=True):
        found[pairs.query_ids[query]][pairs.document_ids[document]] = float(value)
    return found


def trec(separator: str = " ", end: str = "\n") -> str:
    return end.join(
        separator.join((query, "0", document, str(value)))
        for query, own in QRELS.items()
        for document, value in own.items()
    )


@pytest.mark.parametrize("name", ["qrels", "qrels.txt.gz", "q.trec"])
@pytest.mark.parametrize(
    "text", [trec(), trec("\t"), trec("  "), trec(" \t"), trec(end="\r\n"), "\n# why\n" + trec() + "\n\n"]
)
def test_trec_qrels(write: Write, name: str, text: str) -> None:
    assert as_dict(read_qrels(write(name, text))) == QRELS


def test_keys_with_blanks_between_tabs(write: Write) -> None:
    path = write("run", "my song.mp3\tQ0\ta b.mp3\t1\t  0.5\ttag\nmy song.mp3\tQ0\tc\t2\t0.25\ttag")
    assert as_dict(read_run(path)) == {"my song.mp3": {"a b.mp3": 0.5, "c": 0.25}}


def test_json_qrels_and_records(write: Write) -> None:
    assert as_dict(read_qrels(write("q.json", json.dumps(QRELS)))) == QRELS
    records = [
        {"query_id": query, "doc_id": document, "relevance": value, "iteration": "0"}
        for query, own in QRELS.items()
        for document, value in own.items()
    ]
    assert as_dict(read_qrels(write("r.json.gz", json.dumps(records)))) == QRELS


def test_parquet_and_frames(tmp_path: Path) -> None:
    table = pa.table(FRAME | {"relevance": [1, 0, 2, -1]})
    pq.write_table(table, tmp_path / "q.parquet")
    assert as_dict(read_qrels(tmp_path / "q.parquet")) == as_dict(qrels_from(table)) == QRELS
    dictionaries = table.set_column(1, "doc_id", table["doc_id"].dictionary_encode())
    assert as_dict(qrels_from(dictionaries)) == QRELS
    run = run_from({name: pa.array(values) for name, values in (FRAME | {"score": [0.5, 0.25, 1.0, 0.0]}).items()})
    assert as_dict(run) == {"q1": {"a": 0.5, "b": 0.25}, "q2": {"a": 1.0, "c": 0.0}}


def test_whole_numbers_are_ids_as_text() -> None:
    frame = pa.table({"query_id": [7, 7], "doc_id": [10, 9], "score": [1.0, 2.0]})
    assert as_dict(run_from(frame)) == {"7": {"10": 1.0, "9": 2.0}}


GOOD_RUN = "q1 Q0 a 1 0.5 t\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("qrels", "q1 0 a 1\n\nq1 0 b\n", "line 3: has 3 fields, not 4; accepted: query 0 document 1"),
        ("qrels", "q1 0 a one\n", "line 1: relevance is 'one'; accepted: a whole number"),
        ("qrels", "q1 0 a 1\nq1 0 b 0.5\n", "line 2: relevance is '0.5'; accepted: a whole number"),
        ("qrels", "# note\nq1 0 a 1\nq2 0 a 1\n\nq1 0 a 0\n", "line 5: query 'q1' and document 'a' stand there again"),
        ("qrels", "", "holds no pair"),
        ("qrels.gz", "q1 0 a 1\nq1 0 a 1", "line 2: query 'q1' and document 'a' stand there again"),
        ("q.json", '{"q1": {"a": 1,\n "b": }}', "line 2: is not JSON"),
        ("q.json", '{"q1":\n {"a": 1,\n "b": 2,\n "a": 2}}', "line 4: query 'q1' and document 'a' stand there again"),
        ("q.json", '{"q1": {"a": 1},\n "q2": 3}', "line 2: query 'q2' holds no object"),
        ("q.json", '{"q1": {"a": 1},\n "q2": {"b": NaN}}', "line 2: relevance of 'b' for query 'q2' is nan"),
        ("q.json", '{"q1": {"a": "1"}}', "line 1: relevance of 'a' for query 'q1' is '1'"),
        ("q.json", '{"q1": {"a": 0.5}}', "line 1: relevance is 0.5; accepted: a whole number"),
        ("q.json", '[{"query_id": 1, "doc_id": "a"}]', "line 1 (record 1): has no relevance"),
        ("q.json", "3", "holds a int"),
        (
            "q.json",
            '[{"query_id": "1", "doc_id": "a", "relevance": 1},\n {"query_id": 1, "doc_id": "b", "relevance": 1}]',
            "line 2 (record 2): query_id is 1, a number, where '1' before it is a text; accepted: ids of one type",
        ),
    ],
)
def test_bad_qrels(write: Write, name: str, text: str, message: str) -> None:
    path = write(name, text)
    with pytest.raises(EvaluationFileError) as caught:
        read_qrels(path)
    assert str(caught.value).startswith(str(path))
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD_RUN + "q1 Q0 b 2 nan t", "line 2: score is nan; accepted: a finite number"),
        (GOOD_RUN + "q1 Q0 b 2 NaN t", "line 2: score is NaN"),
        (GOOD_RUN + "q1 Q0 b 2 -inf t", "line 2: score is -inf"),
        (GOOD_RUN + "q1 Q0 b 2 high t", "line 2: score is 'high'"),
        (
            GOOD_RUN + "q1 Q0 a 2 0.4 t",
            "line 2: query 'q1' and document 'a' stand there again (score 0.4), after line 1",
        ),
        (GOOD_RUN + "q1 0 a 1", "line 2: has 4 fields, not 6; accepted: query Q0 document 1 0.93 tag"),
        ("# nothing\n\n", "holds no pair of a query and a document"),
    ],
)
def test_bad_runs(write: Write, text: str, message: str) -> None:
    with pytest.raises(EvaluationFileError) as caught:
        read_run(write("run", text))
    assert message in str(caught.value)


def test_files_that_are_none(tmp_path: Path) -> None:
    for name, message in (("gone", "No such file"), ("gone.parquet", "No such file")):
        with pytest.raises(EvaluationFileError, match=message):
            read_run(tmp_path / name)
    (tmp_path / "x.gz").write_bytes(b"q1 0 a 1")
    with pytest.raises(EvaluationFileError, match="cannot be unpacked"):
        read_qrels(tmp_path / "x.gz")
    (tmp_path / "cut.gz").write_bytes(gzip.compress(trec().encode())[:-9])
    with pytest.raises(EvaluationFileError, match="cannot be unpacked"):
        read_qrels(tmp_path / "cut.gz")
    (tmp_path / "x.parquet").write_bytes(b"q1 0 a 1")
    with pytest.raises(EvaluationFileError, match="is no Parquet file"):
        read_qrels(tmp_path / "x.parquet")
    (tmp_path / "latin").write_bytes("q1 0 Ré 1".encode("latin-1"))
    with pytest.raises(EvaluationFileError, match="line 1: is not UTF-8"):
        read_qrels(tmp_path / "latin")


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"query_id": ["q", "q"], "doc_id": [1.0, 2.0], "score": [1.0, 2.0]}, "column doc_id holds double"),
        ({"query_id": ["q", "q"], "doc_id": ["a", None], "score": [1.0, 2.0]}, "row 2: doc_id is empty"),
        ({"query_id": ["q", ""], "doc_id": ["a", "b"], "score": [1.0, 2.0]}, "row 2: query_id is empty"),
        ({"query_id": ["q", "q"], "doc_id": ["a", "b"], "score": [1.0, None]}, "row 2: score is nan"),
        ({"query_id": ["q", "q"], "doc_id": ["a", "b"], "score": ["1", "2"]}, "column score holds string"),
        ({"query_id": ["q", "q"], "doc_id": ["a", "a"], "score": [1.0, 2.0]}, "row 2: query 'q' and document 'a'"),
        (
            {"qid": ["q"], "doc_id": ["a"], "score": [1.0]},
            "has no column query_id: it has qid, doc_id, score",
        ),
    ],
)
def test_bad_frames(columns: dict[str, list[object]], message: str) -> None:
    with pytest.raises(EvaluationFileError) as caught:
        run_from(pa.table(columns))
    assert message in str(caught.value)


def test_the_quick_reader_and_the_careful_one_agree(
    write: Write, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = [f"q{row // 50} Q0 d{row % 50} {row % 50} {rng.random():.6f} t" for row in rng.permutation(5_000)]
    path = write("run", "\n".join(lines))
    quick = read_run(path)
    monkeypatch.setattr(formats, "_quickly", lambda content, layout: None)
    careful = read_run(path)
    assert as_dict(quick) == as_dict(careful)
    assert list(quick.query_ids) == list(careful.query_ids)


PLAYS = {
    "user_id": ["u", "u", "u", "v", "v", "w", "u", "v"],
    "item_id": ["a", "b", "c", "a", "c", "b", "a", "a"],
    "timestamp": [1, 2, 5, 3, 6, 1, 7, 9],
}


def test_a_temporal_split_by_hand() -> None:
    found = split(interactions_from(PLAYS), cut=5.0, longest_history=10)
    # w never plays after the cut; the second plays of a do not count.
    assert found.histories == {"u": ["a", "b"], "v": ["a"]}
    assert as_dict(found.qrels) == {"u": {"c": 1}, "v": {"c": 1}}
    assert found.popularity == {"a": 2, "b": 2}
    assert found.users_left_out == 1
    assert not found.warnings
    assert split(interactions_from(PLAYS), cut=5.0, longest_history=1).histories["u"] == ["b"]
    # Of the six first plays, at 1, 1, 2, 3, 5 and 6, four fifths lie before 5.
    assert split(interactions_from(PLAYS), longest_history=10).cut == 5.0


def test_leave_last_out_warns() -> None:
    found = split(interactions_from(PLAYS), by="leave-last-out", longest_history=10)
    assert found.histories == {"u": ["a", "b"], "v": ["a"]}
    assert list(found.warnings) == [LEAKS]
    assert found.cut is None


def test_moments(tmp_path: Path) -> None:
    assert moment("5") == 5.0
    assert moment("1970-01-02") == 86_400.0
    assert moment("1970-01-01T01:00:00+01:00") == 0.0
    with pytest.raises(EvaluationError, match="cut is 'soon'"):
        moment("soon")
    times = [datetime(1970, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    table = pa.table({"user_id": ["u"] * 3, "item_id": [1, 2, 3], "timestamp": times})
    pq.write_table(table, tmp_path / "i.parquet")
    found = split(read_interactions(tmp_path / "i.parquet"), cut=moment("1970-01-03"), longest_history=10)
    assert found.histories == {"u": ["1", "2"]}


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"timestamp": [1.0, None]}, "row 2: timestamp is missing"),
        ({"timestamp": ["1", "2"]}, "column timestamp holds string"),
        ({"item_id": [1.5, 2.0]}, "column item_id holds double"),
        ({"timestamp": [5, 5]}, "no user has plays on both sides"),
    ],
)
def test_bad_interactions(changed: dict[str, list[object]], message: str) -> None:
    good: dict[str, list[object]] = {"user_id": ["u", "u"], "item_id": ["a", "b"], "timestamp": [1, 2]}
    with pytest.raises(EvaluationError) as caught:
        split(interactions_from(pa.table(good | changed)), longest_history=10)
    assert message in str(caught.value)
    with pytest.raises(EvaluationFileError, match="holds no interaction"):
        interactions_from(pa.table({name: pa.array([], pa.int64()) for name in good}))
