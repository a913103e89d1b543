"""Filters equal brute force over plain dictionaries, whatever the filter; unknown keys are refused with the nearest."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine
from sqlalchemy.engine import make_url

from retrieval.attributes import Attributes
from retrieval.catalog import Catalog
from retrieval.errors import FilterError
from retrieval.filters import MAX_DEPTH, compile_filter, parse_filter
from tests.test_catalog import analysis

ARTISTS = ["A", "B", "Ç"]
TAGS = ["rock", "female vocalists"]


def record(number: int, rng: np.random.Generator) -> Any:
    own: dict[str, Any] = {"year": int(rng.integers(1990, 1995)), "artist": ARTISTS[rng.integers(3)]}
    tags = {tag: float(rng.integers(1, 5)) / 4 for tag in TAGS if rng.random() < 0.7}
    meta = {"plays": int(rng.integers(5)), "shop": {"live": bool(rng.integers(2))}, "note": ["x", 3][rng.integers(2)]}
    kept = {name: value for name, value in own.items() if rng.random() < 0.8}
    return replace(analysis(f"t{number}", rng, n_segments=1), metadata=meta, tags=tags, **{"artist": None, **kept})


def values_of(track: Any) -> dict[str, Any]:
    flat = {
        "artist": track.artist,
        "year": track.year,
        "meta.plays": track.metadata["plays"],
        "meta.shop.live": str(track.metadata["shop"]["live"]).lower(),
        "meta.note": track.metadata["note"],
        **{f"tags.{tag}": score for tag, score in track.tags.items()},
    }
    return {key: value for key, value in flat.items() if value is not None}


def holds(clause: dict[str, Any], values: dict[str, Any]) -> bool:
    """What a filter means, said plainly."""
    if "key" not in clause:
        should = [holds(one, values) for one in clause.get("should", [])]
        return (
            all(holds(one, values) for one in clause.get("must", []))
            and not any(holds(one, values) for one in clause.get("must_not", []))
            and (not should or sum(should) >= (clause.get("min_should") or 1))
        )
    value = values.get(clause["key"])
    if "is_empty" in clause:
        return (value is None) == clause["is_empty"]
    if value is None:
        return False
    if "match" in clause:
        wanted = clause["match"].get("any", [clause["match"].get("value")])
        wanted = [str(one).lower() if isinstance(one, bool) else one for one in wanted]
        return any(isinstance(one, str) == isinstance(value, str) and one == value for one in wanted)
    bounds = clause["range"]
    if isinstance(value, str):
        return False
    return (
        value > bounds.get("gt", -np.inf)
        and value >= bounds.get("gte", -np.inf)
        and value < bounds.get("lt", np.inf)
        and value <= bounds.get("lte", np.inf)
    )


def number_condition(key: str, numbers: st.SearchStrategy[float]) -> st.SearchStrategy[dict[str, Any]]:
    low = st.one_of(st.just({}), st.builds(lambda k, v: {k: v}, st.sampled_from(["gt", "gte"]), numbers))
    high = st.builds(lambda k, v: {k: v}, st.sampled_from(["lt", "lte"]), numbers)
    return st.builds(lambda a, b: {"key": key, "range": a | b}, low, high)


def match_condition(key: str, values: list[Any]) -> st.SearchStrategy[dict[str, Any]]:
    one = st.builds(lambda value: {"key": key, "match": {"value": value}}, st.sampled_from(values))
    several = st.builds(lambda v: {"key": key, "match": {"any": v}}, st.lists(st.sampled_from(values), max_size=3))
    return one | several


QUARTERS = st.sampled_from([0.25, 0.5, 0.75, 1.0])
CONDITIONS = st.one_of(
    number_condition("year", st.integers(1989, 1996)),
    number_condition("tags.rock", QUARTERS),
    number_condition("tags.female vocalists", QUARTERS),
    number_condition("meta.plays", st.integers(-1, 5)),
    match_condition("artist", [*ARTISTS, "nobody"]),
    match_condition("year", [1990, 1991, 1994]),
    match_condition("meta.shop.live", [True, False]),
    match_condition("meta.note", ["x", 3, "3"]),
    st.builds(
        lambda key, empty: {"key": key, "is_empty": empty},
        st.sampled_from(["artist", "year", "tags.rock", "meta.note"]),
        st.booleans(),
    ),
)


def filters_of(clauses: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(clauses, max_size=3)

    def built(must: list[Any], should: list[Any], must_not: list[Any], least: int) -> dict[str, Any]:
        bound = {"min_should": min(least, len(should))} if should and least else {}
        return {"must": must, "should": should, "must_not": must_not, **bound}

    return st.builds(built, some, some, some, st.integers(0, 3))


FILTERS = filters_of(st.recursive(CONDITIONS, filters_of, max_leaves=6))


@pytest.fixture(scope="module")
def tracks() -> dict[str, Any]:
    rng = np.random.default_rng(5)
    return {f"t{number}": record(number, rng) for number in range(60)}


@pytest.fixture(scope="module")
def attributes(server: Engine, tracks: dict[str, Any]) -> Any:
    """One catalogue for all examples; half of it was written over and some of it deleted since the first refresh."""
    from tests.conftest import _database

    source = _database(server, "soundalike_template")
    engine = create_engine(make_url(next(source)))
    catalog = Catalog(engine)
    rng = np.random.default_rng(6)
    for number in range(60):
        catalog.store(record(number, rng))
    catalog.store(record(60, rng))
    followed = Attributes(catalog)
    followed.refresh()
    compile_filter(parse_filter({"must": [{"key": "tags.rock", "range": {"gt": 0}}]}), followed)
    for track in tracks.values():
        catalog.store(track)
    catalog.delete("t60")
    followed.refresh()
    yield followed
    engine.dispose()
    next(source, None)


def matching_keys(raw: dict[str, Any], attributes: Attributes) -> set[str]:
    ids = set(compile_filter(parse_filter(raw), attributes))
    keys = attributes._catalog.tracks_by_id(list(ids))
    assert len(keys) == len(ids)
    return {track.key for track in keys.values()}


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(raw=FILTERS)
def test_any_filter_equals_brute_force(raw: dict[str, Any], attributes: Attributes, tracks: dict[str, Any]) -> None:
    expected = {key for key, track in tracks.items() if holds(raw, values_of(track))}
    assert matching_keys(raw, attributes) == expected
    assert matching_keys(json.loads(json.dumps({"must": [raw]})), attributes) == expected


def test_an_empty_filter_matches_everything(attributes: Attributes, tracks: dict[str, Any]) -> None:
    assert matching_keys({}, attributes) == set(tracks)


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"must": [{"key": "artits", "match": {"value": "A"}}]},
            r"filter\.must\[0\]\.key: unknown key 'artits'; accepted: artist",
        ),
        ({"should": [{"must": [{"key": "tags.rok", "range": {"gt": 0}}]}]}, r"should\[0\]\.must\[0\]\.key.*tags\.rock"),
        ({"must": [{"key": "artist", "range": {"gt": 0}}]}, "'artist' holds text; accepted: match, is_empty"),
        ({"must": [{"key": "year"}]}, "exactly one of match, range, is_empty"),
        ({"must": [{"key": "year", "range": {}}]}, "at least one of gt, gte, lt, lte"),
        ({"must": [{"key": "year", "range": {"gt": 1, "gte": 1}}]}, "gt excludes gte"),
        ({"must": [{"key": "year", "range": {"gt": "x"}}]}, r"filter\.must\[0\]\.range\.gt"),
        ({"must": [{"key": "year", "match": {}}]}, "exactly one of value, any"),
        ({"mist": []}, r"filter\.mist"),
        ({"min_should": 2, "should": [{"key": "year", "is_empty": True}]}, "min_should is 2 of 1"),
        ({"must": [{"key": "year", "match": {"value": float("nan")}}]}, r"filter\.must\[0\]\.match"),
        ([], "filter"),
    ],
)
def test_bad_filters_name_the_field(raw: Any, message: str, attributes: Attributes) -> None:
    with pytest.raises(FilterError, match=message):
        compile_filter(parse_filter(raw), attributes)


def test_too_deep_a_filter_is_refused(attributes: Attributes) -> None:
    raw: dict[str, Any] = {"must": [{"key": "year", "is_empty": True}]}
    for _ in range(MAX_DEPTH):
        raw = {"must": [raw]}
    with pytest.raises(FilterError, match="nested too deeply"):
        compile_filter(parse_filter(raw), attributes)
