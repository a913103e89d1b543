"""Texts that are one to whoever asks, and texts that are not: worked by hand."""

import unicodedata
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Engine

from retrieval.catalog.reading import Catalog
from retrieval.filters.attributes import Attributes
from retrieval.filters.compiled import bitmap_of
from retrieval.filters.language import condition_of, parse_filter
from retrieval.folding import folded
from tests.catalog.test_catalog import analysis


@pytest.mark.parametrize(
    ("written", "as_well"),
    [
        ("Björk", ["bjork", "BJÖRK", "Bjo\u0308rk", "BJORK"]),
        ("Straße", ["STRASSE", "strasse", "STRA\u1e9eE"]),
        ("İstanbul", ["istanbul", "ISTANBUL", "i\u0307stanbul", "\u0131stanbul"]),
        ("Sigur Rós", ["sigur ros", "Sigur  Ros ", "Sigur\u00a0Rós"]),
        ("Motörhead", ["motorhead", "Moto\u0308rhead"]),
        ("Mø", ["MO", "mø"]),
        ("Łona i Webber", ["lona i webber"]),
        ("Æther", ["aether", "ÆTHER"]),
        ("Guns N\u2019 Roses", ["guns n' roses", "Guns N\u2018 Roses"]),
        ("Jay\u2010Z", ["jay-z", "JAY\u2013Z"]),
        ("AC/DC", ["ac/dc", "\uff21\uff23\uff0f\uff24\uff23"]),  # full width
        ("Пётр Ильич", ["петр ильич", "ПЕТР ИЛЬИЧ"]),
        ("Βαγγέλης", ["ΒΑΓΓΕΛΗΣ", "βαγγελης", "βαγγελησ"]),  # with both forms of sigma
        ("\u1fb3", ["\u0391\u0399", "\u03b1\u03b9"]),
        ("ガラス", ["カ\u3099ラス", "\uff76\uff9e\uff97\uff7d"]),  # decomposed, and half width
        ("한국", ["\u1112\u1161\u11ab\u1100\u116e\u11a8"]),  # by letters
        ("ﬁnale", ["finale", "FINALE"]),
    ],
)
def test_what_is_the_same(written: str, as_well: list[str]) -> None:
    for other in as_well:
        assert folded(other) == folded(written), other


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("か", "が"),  # another syllable, not an accent
        ("ハ", "パ"),
        ("カ", "か"),
        ("ไมค์", "ไมค"),
        ("की", "क"),  # a vowel
        ("AC/DC", "ACDC"),
        ("A & B", "A and B"),
        ("Björk", "Bjoerk"),
        ("Thors", "Þors"),
        ("", "a"),
    ],
)
def test_what_is_not(one: str, other: str) -> None:
    assert folded(one) != folded(other)


@given(st.text())
def test_folding_is_blind_to_case_and_composition_and_done_once(text: str) -> None:
    once = folded(text)
    assert folded(once) == once
    for form in ("NFC", "NFD"):
        assert folded(unicodedata.normalize(form, text)) == once
    if text.isascii():
        assert folded(text.upper()) == folded(text.lower()) == once


STORED = ["Björk", "BJORK", "Bjo\u0308rk; Straße", "ガラス", "カラス", "İ", None]


@pytest.fixture
def catalog(engine: Engine, rng: np.random.Generator) -> Catalog:
    catalog = Catalog(engine)
    for number, name in enumerate(STORED):
        own = {"note": [name, 3]} if number % 2 else {"note": name}
        catalog.store(
            replace(analysis(f"T{number}", rng), artist=name, title=name, album=name, genre=name, metadata=own)
        )
    return catalog


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ({"value": "bjork"}, {"T0", "T1", "T2"}),
        ({"value": "bjork", "exact": True}, set()),
        ({"value": "Björk", "exact": True}, {"T0"}),
        ({"value": "BJO\u0308RK"}, {"T0", "T1", "T2"}),
        ({"value": "STRASSE"}, {"T2"}),
        ({"value": "björk; strasse"}, {"T2"}),
        ({"value": "カ\u3099ラス"}, {"T3"}),
        ({"value": "カ\u3099ラス", "exact": True}, set()),
        ({"any": ["i", "カラス"]}, {"T4", "T5"}),
        ({"value": "nobody"}, set()),
    ],
)
def test_artists_are_found_as_they_are_typed(catalog: Catalog, match: dict[str, object], expected: set[str]) -> None:
    """Any of several artists, in memory and in SQL; of a text that is one value, all of it."""
    attributes = Attributes(catalog)
    attributes.refresh()
    for key in ("artist", "genre", "title", "album", "meta.note"):
        condition = condition_of(parse_filter({"must": [{"key": key, "match": match}]}), attributes)
        listed = catalog.list_tracks(after_id=0, limit=100, condition=condition)
        assert {track.id for track in listed} == set(bitmap_of(condition, attributes))
        whole = {"T2"} if match in ({"value": "björk; strasse"},) else set[str]()
        of_one = (expected - {"T2"}) | whole
        assert {track.key for track in listed} == (expected if key in ("artist", "genre") else of_one), key


def test_a_key_is_the_callers_own_to_the_letter(catalog: Catalog) -> None:
    attributes = Attributes(catalog)
    attributes.refresh()
    for match, expected in (({"value": "T0"}, 1), ({"value": "t0"}, 0), ({"value": "T0", "exact": True}, 1)):
        condition = condition_of(parse_filter({"must": [{"key": "track", "match": match}]}), attributes)
        assert len(bitmap_of(condition, attributes)) == expected


def test_a_spelling_that_comes_later_is_found(catalog: Catalog, rng: np.random.Generator) -> None:
    attributes = Attributes(catalog)
    raw = parse_filter({"must": [{"key": "artist", "match": {"value": "bjork"}}]})
    for added, expected in ((None, 3), ("björk", 4), ("BJÖRK feat. A", 4)):
        if added:
            catalog.store(replace(analysis(added, rng), artist=added))
        attributes.refresh()
        condition = condition_of(raw, attributes)
        assert len(bitmap_of(condition, attributes)) == expected
        assert len(catalog.list_tracks(after_id=0, limit=100, condition=condition)) == expected
