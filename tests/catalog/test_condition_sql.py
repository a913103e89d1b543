"""SQL selects what the columns in memory select: any condition over any catalogue, whatever a caller's JSON holds."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import compress
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, create_engine, literal_column, select, update
from sqlalchemy.engine import make_url

from retrieval.catalog.condition_sql import holds
from retrieval.catalog.conditions import FIXED_KEYS, All, AtLeast, Between, Condition, Not, OneOf, Present
from retrieval.catalog.files.presence import PRESENT
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import LanguageRatios, VocalActivity
from retrieval.catalog.tables import tracks
from retrieval.errors import RetrievalError
from retrieval.filters.attributes import Attributes
from retrieval.filters.compiled import bitmap_of
from tests.catalog.test_catalog import analysis
from tests.catalog.test_filters import ARTISTS, CHORDS, DURATION_S, SECTIONS, TAGS, Known, store
from tests.conftest import new_database

N_TRACKS = 6
NUMBERS = [0, 1, -1, 3, 7.5, 0.25, 0.5, 1.0, 90.0, 1990, 2**53, 2**53 + 1, 1e308, 5e-324, 10**400, -(10**400), 2**1024]
TEXTS = ["", "a", "3", "7.5", "true", "Ç", "null", '"', "a.b", "t1", *ARTISTS]
LANGUAGES = ["ja", "en", "unknown"]
NAMES = ["a", "b", "a.b", "b.a", "", ".", "0", "a.", "ß"]
NEVER_STORED = ["\0", "\ud800", "nobody"]
FAMILIES = {"tags": TAGS, "language": LANGUAGES, "chords": CHORDS, "sections": SECTIONS}
NAMED_KEYS = [f"{family}.{name}" for family, names in FAMILIES.items() for name in names]

scalars = st.sampled_from([*NUMBERS, *TEXTS, True, False, None]) | st.floats(allow_nan=False, allow_infinity=False)
values = st.recursive(
    scalars | st.lists(scalars | st.just({"a": 1}) | st.just([3]), max_size=3),
    lambda inner: st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=5,
)
shares = st.sampled_from([0.25, 0.5, 1.0])
catalogues = st.lists(
    st.fixed_dictionaries(
        {
            "metadata": st.dictionaries(st.sampled_from(NAMES), values, max_size=4),
            "artist": st.sampled_from([None, "", *ARTISTS]),
            "year": st.sampled_from([None, 1990, 3]),
            "duration_s": st.sampled_from([DURATION_S, 3.0, 0.0]),
            "tags": st.dictionaries(st.sampled_from(TAGS), shares, max_size=2),
            "voice": st.none() | st.builds(VocalActivity, shares, shares, st.just(1.0)),
            "languages": st.none() | st.dictionaries(st.sampled_from(LANGUAGES), shares, max_size=2),
            "said": st.fixed_dictionaries(
                {},
                optional={
                    "languages": st.dictionaries(
                        st.sampled_from(LANGUAGES), st.sampled_from([0, 0.25, 0.5]), max_size=2
                    ),
                    "vocal_ratio": st.sampled_from([0, 0.25, 1]),
                    "artist": st.sampled_from(["3", *ARTISTS]),
                    "year": st.sampled_from([3, 1990]),
                    "metadata": st.dictionaries(st.sampled_from(NAMES), values, max_size=2),
                },
            ),
            "chords": st.lists(st.sampled_from(CHORDS), max_size=5),
            "sections": st.lists(st.sampled_from(SECTIONS), max_size=5),
            "tempo": st.sampled_from([None, 90.0, 120.5, float("nan")]),
            "meter": st.sampled_from([None, 3, 4]),
            "key": st.sampled_from([None, "C", "a"]),
        }
    ),
    min_size=N_TRACKS,
    max_size=N_TRACKS,
)
bounds = st.sampled_from([-np.inf, np.inf, *(float(number) for number in NUMBERS if abs(number) < 2**1023)])
equals = st.sampled_from([*(float(number) for number in NUMBERS if abs(number) < 2**1023), *TEXTS, *NEVER_STORED])


@pytest.fixture
def catalog(shared: Catalog) -> Catalog:
    """Without tracks of the test before, nor what was said of them."""
    for track in shared.list_tracks(after_id=0, limit=N_TRACKS):
        shared.delete(track.key)
    return shared


@pytest.fixture(scope="module")
def shared(server: Engine) -> Iterator[Catalog]:
    """One catalogue for all examples, written over by each."""
    source = new_database(server, "soundalike_template")
    engine = create_engine(make_url(next(source)))
    yield Catalog(engine)
    engine.dispose()
    next(source, None)


def described(number: int, track: dict[str, Any]) -> Known:
    heard = {**{name: track[name] for name in ("tempo", "meter", "key")}, "mode": "major"}
    rng = np.random.default_rng(number)
    own = {name: track[name] for name in ("metadata", "artist", "year", "duration_s")}
    stored = analysis(f"t{number}", rng, n_segments=1, content=json.dumps(track, default=str), tags=track["tags"])
    rows = [*stored.rows, *([track["voice"]] if track["voice"] else [])]
    rows += [] if track["languages"] is None else [LanguageRatios(track["languages"], 1.0)]
    return Known(
        replace(stored, rows=rows, **own),
        track["chords"],
        track["sections"],
        heard if number % 3 else None,
        track["said"],
    )


def conditions(keys: list[str]) -> st.SearchStrategy[Condition]:
    key = st.sampled_from(keys)
    tests = st.one_of(
        st.builds(Between, key, bounds, bounds, st.booleans(), st.booleans()),
        st.builds(OneOf, key, st.lists(equals, max_size=4).map(tuple)),
        st.builds(Present, key),
    )

    def combined(inner: st.SearchStrategy[Condition]) -> st.SearchStrategy[Condition]:
        parts = st.lists(inner, max_size=4).map(tuple)
        return st.one_of(
            st.builds(All, parts), st.builds(AtLeast, st.integers(1, 5), parts), st.builds(Not, inner), inner
        )

    return st.recursive(tests, combined, max_leaves=8)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(content=catalogues, data=st.data())
def test_sql_and_bitmap_select_the_same_tracks(
    content: list[dict[str, Any]], data: st.DataObject, catalog: Catalog
) -> None:
    store(catalog, *(described(number, track) for number, track in enumerate(content)))
    attributes = Attributes(catalog)
    attributes.refresh()
    keys = sorted({*attributes.keys(), *FIXED_KEYS, *NAMED_KEYS})
    present = select(tracks.c.id, *(holds(Present(key)) for key in keys))
    with catalog.engine.connect() as connection:
        ids, *have = zip(*connection.execute(present.where(PRESENT).order_by(tracks.c.id)), strict=True)
    for key, has in zip(keys, have, strict=True):
        assert list(compress(ids, has)) == list(bitmap_of(Present(key), attributes)), key
    for condition in data.draw(st.lists(conditions(keys), min_size=8, max_size=8)):
        in_memory = list(bitmap_of(condition, attributes))
        listed = [track.id for track in catalog.list_tracks(after_id=0, limit=N_TRACKS, condition=condition)]
        assert listed == in_memory, condition


def test_a_path_is_followed_wherever_its_dots_lie(catalog: Catalog, rng: np.random.Generator) -> None:
    metadata = [
        {"x": {"y": {"z": 1}}},
        {"x.y": {"z": 1}},
        {"x": {"y.z": 1}},
        {"x.y.z": [0, 1]},
        {"x": {"y": [{"z": 1}]}},
        {"x": {"y": {"z": {"w": 1}}}},
    ]
    for number, one in enumerate(metadata):
        catalog.store(replace(analysis(f"t{number}", rng), metadata=one))
    found = catalog.list_tracks(after_id=0, limit=N_TRACKS, condition=OneOf("meta.x.y.z", (1.0,)))
    assert [track.key for track in found] == ["t0", "t1", "t2", "t3"]


def test_numbers_that_no_double_holds_are_infinite_or_zero(catalog: Catalog, rng: np.random.Generator) -> None:
    """As PostgreSQL keeps them: it would refuse to take them for doubles."""
    numbers = ["1e-400", "-1e-400", "2.4e-324", "5e-324", "1.7976931348623158e308", "-1e400"]
    for number, one in enumerate(numbers):
        catalog.store(analysis(f"t{number}", rng))
        with catalog.engine.begin() as connection:
            changed = {"metadata": literal_column(f"""'{{"x": {one}}}'::jsonb""")}
            connection.execute(update(tracks).where(tracks.c.key == f"t{number}").values(changed))
    attributes = Attributes(catalog)
    attributes.refresh()
    for condition, keys in (
        (OneOf("meta.x", (0.0,)), ["t0", "t1", "t2"]),
        (Between("meta.x", 0, 1, low_open=True), ["t3"]),
        (Between("meta.x", 1, np.inf), ["t4"]),
        (Between("meta.x", -np.inf, -1e308), ["t5"]),
    ):
        listed = catalog.list_tracks(after_id=0, limit=N_TRACKS, condition=condition)
        assert [track.key for track in listed] == keys
        assert [track.id for track in listed] == list(bitmap_of(condition, attributes))


def test_pages_of_a_filtered_listing_go_on_where_the_last_ended(catalog: Catalog, rng: np.random.Generator) -> None:
    for number in range(N_TRACKS):
        catalog.store(replace(analysis(f"t{number}", rng), year=1990 + number % 2))
    even, after_id, keys = OneOf("year", (1990.0,)), 0, list[str]()
    while page := catalog.list_tracks(after_id=after_id, limit=2, condition=even):
        keys += [track.key for track in page]
        after_id = page[-1].id
    assert keys == ["t0", "t2", "t4"]


def test_a_key_that_no_track_can_have_is_an_error(catalog: Catalog) -> None:
    with pytest.raises(RetrievalError, match=r"'moods\.x'"):
        catalog.list_tracks(after_id=0, limit=1, condition=Present("moods.x"))
