"""What the index loses against its exact twin: by hand, where nothing is lost, and where something is."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sqlalchemy import Engine

from retrieval.catalog.reading import Catalog
from retrieval.evaluation.ann_recall import evaluate_ann, id_overlap, near_enough
from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.results.runs import as_json
from retrieval.filters.language import parse_filter
from retrieval.index.merging import rebuild
from retrieval.index.protocol import Neighbors
from retrieval.index.view import LocalView
from retrieval.search.engine import Search
from tests.catalog.test_catalog import analysis
from tests.evaluation.test_evaluation_run import search  # noqa: F401


def test_ann_recall_by_hand() -> None:
    true, found = np.array([[1, 2, 3], [4, 5, -1], [-1, -1, -1]]), np.array([[2, 1, 9], [4, 6, -1], [-1, -1, -1]])
    assert id_overlap(found, true) == pytest.approx([2 / 3, 1 / 2, math.nan], nan_ok=True)
    nothing = -np.inf
    cosines = np.array([[0.9, 0.8, 0.7], [0.9, 0.5, nothing], [nothing] * 3])
    # The third of the first query is as near as the true one; the second of the other is a little further.
    seen = np.array([[0.9, 0.8, 0.7], [0.9, 0.49, nothing], [nothing] * 3])
    assert near_enough(seen, cosines) == pytest.approx([1, 1 / 2, math.nan], nan_ok=True)
    # √(2 − 0.98) / √(2 − 1) = 1.00995: within 1.01 of the distance, not within 1.009.
    assert near_enough(seen, cosines, epsilon=0.01)[1] == 1
    assert near_enough(seen, cosines, epsilon=0.009)[1] == 1 / 2


def test_an_exact_index_is_its_own_twin(search: Search) -> None:  # noqa: F811
    some = parse_filter({"must": [{"key": "year", "range": {"gte": 2000}}]})
    none = parse_filter({"must": [{"key": "year", "match": {"value": 1}}]})
    found = evaluate_ann(search, k=5, queries=20, timed=5, shares=[0.1, 0.5], filters={"late": some, "none": none})
    assert [(row.among, row.matching) for row in found.rows] == [
        ("all", 57),
        ("random", 6),
        ("random", 28),
        ("late", 30),
        ("none", 0),
    ]
    for row in found.rows[:-1]:
        assert (row.id_overlap.mean, row.tie_safe.mean, row.epsilon.mean, row.worst) == (1, 1, 1, 1)
        assert 0 < row.latency.p50_ms <= row.latency.p95_ms <= row.latency.p99_ms
    assert list(found.warnings) == ["none: no track matches"]
    assert as_json(found)["rows"][-1]["worst"] is None
    alike = evaluate_ann(search, k=5, queries=5, timed=1, shares=[0.001, 0.01, 0.5])  # of 57: one, one and 28
    assert [row.matching for row in alike.rows] == [57, 1, 28]
    with pytest.raises(EvaluationError, match=r"share 1\.5 is out of range"):
        evaluate_ann(search, shares=[1.5])


def test_what_the_index_loses_is_seen(search: Search, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    """An index that finds the furthest track in the place of the last neighbour loses one of five."""
    exactly = LocalView.search

    def worse(self: LocalView, queries: Any, k: int, *, selection: Any = None, exact: bool = False) -> Neighbors:
        found = exactly(self, queries, k, selection=selection, exact=exact)
        if not exact:
            every = exactly(self, queries, self.count, exact=True)
            found.track_ids[:, -1], found.cosines[:, -1] = every.track_ids[:, -1], every.cosines[:, -1]
        return found

    monkeypatch.setattr(LocalView, "search", worse)
    (row,) = evaluate_ann(search, k=5, queries=57, timed=1, shares=[]).rows
    assert [one.mean for one in (row.id_overlap, row.tie_safe, row.epsilon)] == pytest.approx([0.8] * 3)
    assert row.worst == pytest.approx(0.8)


def test_an_approximate_index_is_measured(
    engine: Engine, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retrieval.index.snapshots.FLAT_LIMIT", 0)
    catalog = Catalog(engine)
    catalog.store_many([analysis(f"t{number}", rng, n_segments=1) for number in range(1_500)])
    here = Search(catalog, tmp_path / "index", default_space="e")
    rebuild(here.space())
    found = evaluate_ann(here, queries=100, timed=3, shares=[0.01])
    assert [row.path for row in found.rows] == ["ivf", "exact"]
    assert found.rows[0].tie_safe.mean > 0.9
    assert found.rows[1].tie_safe.mean == 1
