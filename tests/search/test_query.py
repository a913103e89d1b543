"""A query checks its own ranges, and says in its own words what is wrong: a field, of which example."""

import math
from typing import Any

import numpy as np
import pytest

from retrieval.errors import OutOfRangeError, QueryError
from retrieval.search.query import MAX_EXAMPLES, MAX_PLAYLIST, Diversity, Query, QueueContext, Seed, continued, similar

ONE = Seed("t1")


def refused(query: Query, kind: type[QueryError] = OutOfRangeError) -> QueryError:
    with pytest.raises(QueryError) as raised:
        query.check()
    assert type(raised.value) is kind
    return raised.value


@pytest.mark.parametrize("weight", [0.0, -1.0, math.nan, math.inf, 1e31])
def test_a_weight_is_a_number_above_0(weight: float) -> None:
    bad = Seed("t1", weight=weight)
    for query, example in ((Query([ONE, bad]), ("positive", 1)), (Query([ONE], [bad]), ("negative", 0))):
        error = refused(query)
        assert (error.field, error.example) == ("weight", example)
        assert error.accepted == "a number from 1e-30 to 1e+30"
        assert str(error) == f"{example[0]}[{example[1]}].weight: is {weight}; accepted: {error.accepted}"


def test_a_positive_is_needed() -> None:
    error = refused(Query([], [ONE]))
    assert (error.field, error.reason, error.accepted) == ("positive", "is empty", "1 to 100 examples")


def test_examples_are_counted() -> None:
    Query([ONE] * MAX_EXAMPLES, [ONE] * MAX_EXAMPLES).check()
    continued(["t1"] * MAX_PLAYLIST).check()
    for query, side, count in (
        (Query([ONE] * (MAX_EXAMPLES + 1)), "positive", MAX_EXAMPLES + 1),
        (Query([ONE], [ONE] * (MAX_EXAMPLES + 1)), "negative", MAX_EXAMPLES + 1),
        (continued(["t1"] * (MAX_PLAYLIST + 1)), "positive", MAX_PLAYLIST + 1),
    ):
        error = refused(query)
        assert (error.field, error.reason) == (side, f"has {count} examples")


def test_an_unknown_strategy_names_the_known() -> None:
    error = refused(similar("t1", strategy="worst_score"), QueryError)
    assert (error.field, error.accepted) == ("strategy", "average_vector, best_score, sum_scores")


@pytest.mark.parametrize("half_life", [0.0, -1.0, math.nan, math.inf])
def test_a_half_life_is_a_number_above_0(half_life: float) -> None:
    error = refused(continued(["t1"], half_life=half_life))
    assert (error.field, error.accepted) == ("half_life", "a number above 0")


@pytest.mark.parametrize("trade_off", [-0.1, 1.1, math.nan])
def test_mmr_trades_between_0_and_1(trade_off: float) -> None:
    error = refused(similar("t1", diversity=Diversity(mmr=trade_off)))
    assert (error.field, error.accepted) == ("mmr", "0 to 1")


def test_limits_of_groups_are_checked() -> None:
    error = refused(similar("t1", diversity=Diversity(max_per={"artist": 0})))
    assert (error.field, error.accepted) == ("max_per.artist", "1 or more")
    error = refused(similar("t1", diversity=Diversity(max_per={"label": 1})), QueryError)
    assert (error.field, error.accepted) == ("max_per.label", "artist, album")


@pytest.mark.parametrize("name", ["artist_gap", "album_gap"])
@pytest.mark.parametrize("gap", [-1, 1001])
def test_a_gap_is_not_negative(name: str, gap: int) -> None:
    error = refused(similar("t1", context=QueueContext(**{name: gap})))
    assert error.field == name
    assert "0 or more" in error.accepted


@pytest.mark.parametrize(
    ("field", "options", "accepted"),
    [
        ("limit", {"limit": 0}, "1 to 1000"),
        ("limit", {"limit": 1001}, "1 to 1000"),
        ("candidates", {"diversity": Diversity(candidates=0)}, "1 to 10000"),
        ("candidates", {"diversity": Diversity(candidates=10_001)}, "1 to 10000"),
        ("score_threshold", {"score_threshold": 1.5}, "0 to 1"),
        ("score_threshold", {"score_threshold": math.nan}, "0 to 1"),
    ],
)
def test_numbers_have_ranges(field: str, options: dict[str, Any], accepted: str) -> None:
    error = refused(similar("t1", **options))
    assert (error.field, error.accepted, error.example) == (field, accepted, None)


def test_an_example_is_one() -> None:
    for seed, field in (
        (Seed(), ""),
        (Seed("t1", vector=np.ones(3, np.float32)), ""),
        (Seed("t1", start_s=1), ""),
        (Seed("t1", start_s=2, end_s=1), "end_s"),
    ):
        error = refused(Query([ONE, seed]), QueryError)
        assert (error.field, error.example) == (field, ("positive", 1))
