"""Exact search finds what numpy finds, however many ask at once."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.index import loading
from retrieval.index.scanning import FEW_QUERIES, QUERIES_AT_ONCE, ROWS_AT_ONCE, scan


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    n=st.one_of(st.integers(0, 40), st.integers(ROWS_AT_ONCE - 2, 2 * ROWS_AT_ONCE + 2)),
    n_queries=st.sampled_from([0, 1, FEW_QUERIES, FEW_QUERIES + 1, 33, 2 * QUERIES_AT_ONCE + 1]),
    k=st.integers(0, 60),
    left_out=st.floats(0, 1),
    compiled=st.booleans(),
)
def test_the_nearest_of_any_vectors(seed: int, n: int, n_queries: int, k: int, left_out: float, compiled: bool) -> None:
    """Whole numbers, so that many cosines are equal and none is rounded: then the lower number is the better."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (n, 6)).astype(np.float32)
    queries = rng.integers(-2, 3, (n_queries, 6)).astype(np.float32)
    numbers = np.where(rng.random(n) < left_out, -1, 5 + 3 * np.arange(n))
    expected = queries @ vectors.T
    expected[:, numbers < 0] = -np.inf
    order = np.argsort(-expected, axis=1, kind="stable")[:, :k]
    cosines = np.take_along_axis(expected, order, 1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "are_worth_it", lambda products: compiled)
        found, its_cosines = scan(queries, vectors, k, numbers)
    np.testing.assert_array_equal(found, np.where(cosines == -np.inf, -1, numbers[order]))
    np.testing.assert_array_equal(its_cosines, cosines)


@pytest.mark.parametrize("n_queries", [1, 50])
def test_a_place_is_the_number_of_a_vector_that_has_none(n_queries: int, rng: np.random.Generator) -> None:
    vectors = rng.standard_normal((3_000, 16))  # neither float32 nor in one piece
    queries = rng.standard_normal((n_queries, 16))
    expected = (queries @ vectors[::2].T).argmax(axis=1)
    np.testing.assert_array_equal(scan(queries, vectors[::2], 1)[0][:, 0], expected)


SEARCHED = """
import sys
import numpy as np
from retrieval.index.scanning import scan
vectors = np.eye(100, dtype=np.float32)
for number in range(1700):
    assert scan(vectors[[7]], vectors, 1)[0].tolist() == [[7]]
    if "numba" in sys.modules:
        break
print(number)
"""


def test_after_some_milliseconds_without_them_the_loops_are_loaded() -> None:
    done = subprocess.run([sys.executable, "-c", SEARCHED], capture_output=True, text=True, check=True)
    assert int(done.stdout) == loading._WORTH_IT // 100**2
