"""Areas under ROC curves against numbers worked by hand and against their definition."""

import numpy as np
import pytest

from encoders.training.validation import MIN_EITHER, roc_auc


def test_an_area_by_hand() -> None:
    """Half of those with the tag stand above all without, half tie with all of them: (50 + 50 / 2) of 100 pairs."""
    scores = np.array([1.0] * 5 + [0.0] * 15, np.float32)[:, None]
    given = np.array([True] * 10 + [False] * 10)[:, None]
    assert roc_auc(scores, given).tolist() == [0.75]
    assert roc_auc(scores, ~given).tolist() == [0.25]


def test_perfect_is_one_and_a_constant_is_chance() -> None:
    given = np.tile([True, False], 12)[:, None]
    scores = np.concatenate([given, ~given, np.zeros_like(given)], axis=1).astype(np.float32)
    assert roc_auc(scores, np.repeat(given, 3, axis=1)).tolist() == [1.0, 0.0, 0.5]


def test_an_area_is_the_share_of_pairs_in_order(rng: np.random.Generator) -> None:
    scores = rng.integers(0, 6, (60, 4)).astype(np.float32)  # many ties
    given = rng.random((60, 4)) < 0.4
    for tag, area in enumerate(roc_auc(scores, given)):
        above, below = scores[given[:, tag], tag][:, None], scores[~given[:, tag], tag]
        assert area == pytest.approx(((above > below) + 0.5 * (above == below)).mean(), abs=1e-12)


def test_too_few_of_either_are_not_judged() -> None:
    scores = np.arange(40, dtype=np.float32)[:, None].repeat(4, axis=1)
    given = np.stack([np.arange(40) < number for number in (MIN_EITHER - 1, MIN_EITHER, 30, 31)], axis=1)
    assert np.isnan(roc_auc(scores, given)).tolist() == [True, False, False, True]
