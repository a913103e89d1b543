"""Rows written since the snapshot: found at once, hidden when written over, whatever the order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retrieval.index.delta import Delta

DIM = 4

writes = st.lists(st.lists(st.integers(0, 6), min_size=1, max_size=4, unique=True), max_size=8)


def whole(rng: np.random.Generator, n: int) -> np.ndarray:
    """Small whole numbers, whose products float32 sums exactly in any order."""
    return rng.integers(-50, 51, (n, DIM)).astype(np.float32)


@given(writes=writes, seed=st.integers(0, 100))
def test_any_series_of_writes_keeps_the_newest_rows(writes: list[list[int]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    delta, newest = Delta.empty(DIM), dict[int, np.ndarray]()
    for track_ids in writes:
        vectors = whole(rng, len(track_ids))
        ids = np.array(track_ids, np.int64)
        delta = delta.written(ids, ids, vectors, np.zeros((len(ids), 2), np.float32))
        newest |= dict(zip(track_ids, vectors, strict=True))
    assert delta.count == len(newest)
    query = whole(rng, 1)
    rows, cosines = delta.search(query, 3, None)
    expected = sorted((float(vector @ query[0]) for vector in newest.values()), reverse=True)[:3]
    assert np.sort(cosines[0])[::-1].tolist() == expected
    assert all((delta.vectors[row] == newest[int(delta.track_ids[row])]).all() for row in rows[0])


def test_an_older_view_is_untouched() -> None:
    one = np.array([1], np.int64)
    before = Delta.empty(DIM).written(one, one, np.ones((1, DIM), np.float32), np.zeros((1, 2), np.float32))
    after = before.written(one, one, -np.ones((1, DIM), np.float32), np.zeros((1, 2), np.float32))
    assert (before.count, len(before)) == (1, 1)
    assert (after.count, len(after)) == (1, 2)
    assert before.rows_of(one).tolist() == [0]
    assert after.rows_of(one).tolist() == [1]


def test_a_search_among_rows_sees_only_those() -> None:
    ids = np.arange(5)
    delta = Delta.empty(DIM).written(ids, ids, np.eye(5, DIM, dtype=np.float32), np.zeros((5, 2), np.float32))
    rows, _ = delta.search(np.eye(1, DIM, dtype=np.float32), 10, np.array([2, 4]))
    assert sorted(rows[0].tolist()) == [2, 4]
    assert delta.search(np.eye(1, DIM, dtype=np.float32), 10, np.empty(0, np.int64))[0].shape == (1, 0)
