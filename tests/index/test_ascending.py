"""Sets of numbers are what numpy says they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from retrieval.index import loading
from retrieval.index.ascending import contained, distinct, places

NUMBERS = arrays(np.int64, array_shapes(max_dims=2, min_side=0, max_side=20), elements=st.integers(-5, 15))


@given(NUMBERS)
def test_distinct(values) -> None:
    np.testing.assert_array_equal(distinct(values), np.unique(values))


@given(NUMBERS, NUMBERS)
def test_contained(values, others) -> None:
    np.testing.assert_array_equal(contained(values, distinct(others)), np.isin(values, others))


@given(NUMBERS, NUMBERS, st.booleans())
def test_places(values, requested, compiled: bool) -> None:
    values, requested = np.sort(values, axis=None), distinct(requested)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loading, "are_worth_it", lambda products: compiled)
        np.testing.assert_array_equal(places(values, requested), np.flatnonzero(np.isin(values, requested)))


def test_places_far_apart(rng: np.random.Generator) -> None:
    values = np.sort(rng.integers(0, 50_000, 100_000))
    for requested in (rng.integers(-10, 60_000, size) for size in (0, 1, 7, 300, 40_000)):
        found = places(values, distinct(requested))
        np.testing.assert_array_equal(found, np.flatnonzero(np.isin(values, requested)))


@pytest.mark.parametrize("value", [np.iinfo(np.int64).min, np.iinfo(np.int64).max])
def test_the_ends_of_the_range(value: int) -> None:
    values = np.array([value, 0, value])
    np.testing.assert_array_equal(distinct(values), sorted({value, 0}))
    assert contained(values, np.array([value])).tolist() == [True, False, True]
