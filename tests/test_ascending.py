"""Sets of numbers are what numpy says they are."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from retrieval.ascending import contained, distinct

NUMBERS = arrays(np.int64, array_shapes(max_dims=2, min_side=0, max_side=20), elements=st.integers(-5, 15))


@given(NUMBERS)
def test_distinct(values) -> None:
    np.testing.assert_array_equal(distinct(values), np.unique(values))


@given(NUMBERS, NUMBERS)
def test_contained(some, among) -> None:
    np.testing.assert_array_equal(contained(some, distinct(among)), np.isin(some, among))


@pytest.mark.parametrize("value", [np.iinfo(np.int64).min, np.iinfo(np.int64).max])
def test_the_ends_of_the_range(value: int) -> None:
    values = np.array([value, 0, value])
    np.testing.assert_array_equal(distinct(values), sorted({value, 0}))
    assert contained(values, np.array([value])).tolist() == [True, False, True]
