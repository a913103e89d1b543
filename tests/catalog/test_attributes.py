"""Columns equal brute force through any sequence of changes; a refresh is all or nothing, and sees one moment."""

import types
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from retrieval.catalog import changes
from retrieval.catalog.reading import Catalog
from retrieval.errors import RetrievalError
from retrieval.filters import attributes as attributes_module
from retrieval.filters import columns
from retrieval.filters.attributes import Attributes, leaves
from retrieval.filters.columns import MAX_TRACK_ID, Column, TrackVersions, as_track_ids
from retrieval.filters.compiled import bitmap_of
from retrieval.filters.language import condition_of, parse_filter
from tests.catalog.test_catalog import analysis

VALUES = [0.0, 0.25, 1.0, 7.0, "x", "y", "7"]
IDS = st.integers(1, 12)
# One refresh: the tracks that changed, each with all the values that it has now, and whether the column is asked after.
REFRESHES = st.lists(
    st.tuples(st.dictionaries(IDS, st.lists(st.sampled_from(VALUES), max_size=3), max_size=6), st.booleans()),
    min_size=1,
    max_size=6,
)


@pytest.fixture
def catalog(engine: Engine) -> Catalog:
    return Catalog(engine)


def put(column: Column, versions: TrackVersions, changed: dict[int, list[Any]]) -> None:
    """What one refresh does to one column."""
    versions.advance(as_track_ids(list(changed)))
    numbers = [(track_id, value) for track_id, found in changed.items() for value in found if isinstance(value, float)]
    texts = [(track_id, value) for track_id, found in changed.items() for value in found if isinstance(value, str)]
    column.numbers.add(as_track_ids([one for one, _ in numbers]), np.array([value for _, value in numbers], np.float64))
    column.texts.add(as_track_ids([one for one, _ in texts]), column.codes([value for _, value in texts]))


@pytest.mark.parametrize("fold_after", [0, 4, 1_000])
@settings(max_examples=60, deadline=None)
@given(refreshes=REFRESHES, wanted=st.lists(st.sampled_from([*VALUES, 3.0, "z"]), max_size=4))
def test_a_column_equals_brute_force(fold_after: int, refreshes: Any, wanted: list[Any]) -> None:
    versions = TrackVersions()
    column = Column(versions)
    held: dict[int, list[Any]] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns, "FOLD_AFTER", fold_after)
        patch.setattr(columns, "UNUSED_TEXTS", 0)
        for changed, asked in [*refreshes, ({}, True)]:
            put(column, versions, changed)
            held |= changed
            if not asked:
                continue
            numbers = {one: [value for value in found if isinstance(value, float)] for one, found in held.items()}
            assert set(column.present()) == {one for one, found in held.items() if found}
            assert set(column.any_of(wanted)) == {one for one, found in held.items() if set(found) & set(wanted)}
            for low_open, high_open in ((False, False), (True, False), (False, True)):
                expected = {
                    one
                    for one, found in numbers.items()
                    for value in found
                    if 0.25 <= value <= 7 and not (low_open and value == 0.25) and not (high_open and value == 7)
                }
                assert set(column.numbers.between(0.25, 7, low_open=low_open, high_open=high_open)) == expected


def test_bounds_are_compared_as_doubles() -> None:
    versions = TrackVersions()
    column = Column(versions)
    around = np.array([np.nextafter(0.1, 0), 0.1, np.nextafter(0.1, 1), np.nan, 2.0**53 - 1, 2.0**53])
    versions.advance(np.arange(1, 7, dtype=np.uint32))
    column.numbers.add(np.arange(1, 7, dtype=np.uint32), around)
    assert set(column.numbers.between(0.1, 1)) == {2, 3}
    assert set(column.numbers.between(0.1, 1, low_open=True)) == {3}
    assert set(column.any_of([0.1, 2.0**53])) == {2, 6}
    assert set(column.present()) == {1, 2, 3, 5, 6}


def test_ids_beyond_32_bits_are_refused() -> None:
    assert as_track_ids([0, MAX_TRACK_ID]).tolist() == [0, MAX_TRACK_ID]
    for track_id in (MAX_TRACK_ID + 1, -1):
        with pytest.raises(RetrievalError, match="track id"):
            as_track_ids([1, track_id])


def test_a_column_keeps_no_more_than_its_tracks_need(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether or not anyone asks: one track that gets a new title again and again."""
    monkeypatch.setattr(columns, "FOLD_AFTER", 10)
    monkeypatch.setattr(columns, "UNUSED_TEXTS", 10)
    versions = TrackVersions()
    column = Column(versions)
    for number in range(200):
        put(column, versions, {1: [float(number), f"title {number}"], 2: ["kept"]})
        assert column.numbers._n_added <= 11
    assert set(column.any_of(["title 199"])) == {1}
    assert set(column.any_of(["kept"])) == {2}
    assert not column.any_of(["title 0", "title 198"])
    assert sorted(column._codes) == ["kept", "title 199"]


def test_leaves_of_a_callers_json() -> None:
    metadata = {
        "a": {"b": {"c": 1}, "d.e": True},
        "none": None,
        "many": [1, "x", False, None, [2], {"f": 3}, 2.5],
        "empty": [],
        "huge": [10**400, -(10**400)],
    }
    assert list(leaves(metadata)) == [
        ("a.b.c", 1.0),
        ("a.d.e", "true"),
        ("many", 1.0),
        ("many", "x"),
        ("many", "false"),
        ("many", 2.5),
        ("huge", np.inf),
        ("huge", -np.inf),
    ]


def matching(attributes: Attributes, key: str, **test: Any) -> set[int]:
    return set(bitmap_of(condition_of(parse_filter({"must": [{"key": key, **test}]}), attributes), attributes))


def test_a_refresh_that_fails_changes_nothing(
    catalog: Catalog, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog.store_many([analysis(key, rng) for key in "abc"])
    attributes = Attributes(catalog)
    attributes.refresh()
    ids = {key: catalog.track(key).id for key in "abc"}
    revision = attributes.revision
    catalog.store(replace(analysis("a", rng, tags={"jazz": 0.5}), artist="B"))
    catalog.delete("c")

    def broken(**_: Any) -> Any:
        raise OSError("the connection is gone")

    monkeypatch.setattr(changes, "rhythm_changes", broken)
    with pytest.raises(OSError, match="gone"):
        attributes.refresh()
    assert attributes.revision == revision
    assert set(attributes.live) == set(ids.values())
    assert matching(attributes, "tags.rock", range={"gte": 0.5}) == set(ids.values())
    assert matching(attributes, "artist", match={"value": "A"}) == set(ids.values())
    monkeypatch.undo()
    attributes.refresh()
    assert attributes.revision == catalog.revision()
    assert set(attributes.live) == {ids["a"], ids["b"]}
    assert matching(attributes, "tags.rock", range={"gte": 0.5}) == {ids["b"]}
    assert matching(attributes, "tags.jazz", range={"gte": 0.5}) == {ids["a"]}
    assert matching(attributes, "artist", match={"any": ["A", "B"]}) == {ids["a"], ids["b"]}


def test_a_refresh_sees_one_moment(catalog: Catalog, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    """A track that is written between two statements of a refresh is seen as it was before, and whole."""
    catalog.store(analysis("a", rng))
    attributes = Attributes(catalog)
    read = changes.named_changes

    def overtaken(family: str, **asked: Any) -> Any:
        if family == "tags":
            catalog.store(replace(analysis("a", rng, tags={"jazz": 0.5}), artist="B"))
        return read(family, **asked)

    monkeypatch.setattr(changes, "named_changes", overtaken)
    attributes.refresh()
    monkeypatch.undo()
    track_id = catalog.track("a").id
    assert matching(attributes, "tags.rock", range={"gt": 0}) == {track_id}
    assert matching(attributes, "artist", match={"value": "A"}) == {track_id}
    attributes.refresh()
    assert not matching(attributes, "tags.rock", range={"gt": 0})
    assert matching(attributes, "tags.jazz", range={"gt": 0}) == {track_id}


def test_a_set_of_live_tracks_does_not_change_under_its_holder(catalog: Catalog, rng: np.random.Generator) -> None:
    catalog.store(analysis("a", rng))
    attributes = Attributes(catalog)
    attributes.refresh()
    held = attributes.live
    catalog.store(analysis("b", rng))
    attributes.refresh()
    assert (len(held), len(attributes.live)) == (1, 2)


def test_more_rows_than_a_chunk_are_all_read(
    catalog: Catalog, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attributes_module, "ROWS_A_CHUNK", 3)
    monkeypatch.setattr(attributes_module, "NUMBERS_A_CHUNK", 5)
    scores = {f"t{number}": {f"tag {n}": (n + 1) / 10 for n in range(number % 4)} for number in range(10)}
    catalog.store_many([analysis(key, rng, tags=tags) for key, tags in scores.items()])
    attributes = Attributes(catalog)
    attributes.refresh()
    ids = catalog.ids_by_key(list(scores))
    assert len(attributes.live) == 10
    for n in range(3):
        expected = {ids[key] for key, tags in scores.items() if f"tag {n}" in tags}
        assert matching(attributes, f"tags.tag {n}", match={"value": (n + 1) / 10}) == expected


def test_equal_filters_give_equal_bitmaps_through_either_path() -> None:
    """A range over all values and a match of each of them, over more tracks than one container of a bitmap."""
    attributes = Attributes(types.SimpleNamespace())  # type: ignore[arg-type]
    rng = np.random.default_rng(3)
    ids = rng.permutation(np.arange(1, 200_001, dtype=np.uint32))
    years = rng.integers(1990, 2000, len(ids)).astype(np.float64)
    column = attributes.column("year")
    assert column is not None
    attributes._apply(ids, np.empty(0, np.uint32), [(column.numbers, ids, years)])
    by_range = {"must": [{"key": "year", "range": {"gte": 1992, "lt": 1995}}]}
    by_match = {"must": [{"key": "year", "match": {"any": [1994, 1992, 1993, 1992]}}]}
    by_bounds = {"must_not": [{"key": "year", "range": {"lt": 1992}}, {"key": "year", "range": {"gt": 1994}}]}
    first, second, third = (
        bitmap_of(condition_of(parse_filter(raw), attributes), attributes) for raw in (by_range, by_match, by_bounds)
    )
    assert first == second == third
    assert set(first) == set(ids[(years >= 1992) & (years < 1995)].tolist())
