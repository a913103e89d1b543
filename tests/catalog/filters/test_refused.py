"""Filters that cannot be meant are refused: the field is named, and what may be meant. No catalogue is asked."""

import types
from typing import Any

import pytest

from retrieval.errors import FilterError
from retrieval.filters.attributes import Attributes
from retrieval.filters.language import MAX_DEPTH, condition_of, parse_filter
from retrieval.filters.reference import is_always_valid
from tests.catalog.test_filters import TAGS


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (
            {"must": [{"key": "artits", "match": {"value": "A"}}]},
            r"filter\.must\[0\]\.key: unknown key 'artits': did you mean 'artist'\?$",
        ),
        ({"must": [{"key": "Artist", "match": {"value": "A"}}]}, r"did you mean 'artist'\?$"),
        ({"must": [{"key": "rock", "range": {"gt": 0}}]}, r"'rock': did you mean 'tags\.rock'\?$"),
        ({"must": [{"key": "BPM", "range": {"gt": 0}}]}, r"'BPM': did you mean 'tempo'\?$"),
        ({"must": [{"key": "duration", "range": {"gt": 0}}]}, r"did you mean 'duration_s'"),
        (
            {"must": [{"key": "language", "is_empty": True}]},
            r"did you mean language\.<code>, such as 'language\.ja'\?$",
        ),
        ({"must": [{"key": "meta", "is_empty": True}]}, r"did you mean meta\.<path>"),
        (
            {"must": [{"key": "chords.Cmaj7", "is_empty": True}]},
            r"'Cmaj7' is not a chord; accepted: a label in Harte's",
        ),
        (
            {"must": [{"key": "chords.C:foo", "is_empty": True}]},
            r"'C:foo' is not a chord; accepted: a label in Harte's",
        ),
        ({"must": [{"key": "tags.Rock", "is_empty": True}]}, r"did you mean 'tags\.rock'\?$"),
        (
            {"must": [{"key": "year", "match": {"value": "1990"}}]},
            r"must\[0\]\.match\.value: is .1990., and key 'year' holds numbers; accepted: a number",
        ),
        ({"must": [{"key": "tags.rock", "match": {"any": [0.5, True]}}]}, r"match\.any\[1\]: is true, and key 'tags"),
        (
            {"must": [{"key": "album", "match": {"value": 1989}}]},
            r'match\.value: is 1989, and key \'album\' holds text; accepted: text, such as "1989"',
        ),
        (
            {"must": [{"key": "partial", "match": {"value": "maybe"}}]},
            "'partial' holds true or false; accepted: true, false",
        ),
        (
            {"must": [{"key": "partial", "match": {"value": "true"}}]},
            'is the text "true", and key .partial. holds true',
        ),
        ({"must": [{"key": "title", "range": {"gt": 0}}]}, "'title' holds text; accepted: match, is_empty"),
        (
            {"must": [{"key": "tags.xyz", "is_empty": True}]},
            r"unknown key 'tags.xyz'; accepted: tags\.\w+.*, tags\.\w+",
        ),
        (
            {"must": [{"key": "xyz", "is_empty": True}]},
            r"accepted: track, title, artist, album, genre, .* mode, tags\.<name>, language\.<code>",
        ),
        (
            {"must": [{"key": "language.jp", "range": {"gte": 0.6}}]},
            r"'language.jp': 'jp' is not an ISO 639 code of a language; accepted: language\.ja \(Japanese\), ",
        ),
        ({"must": [{"key": "language.Spanish", "is_empty": True}]}, r"accepted: language\.es \(Spanish\)$"),
        ({"must": [{"key": "language.unkown", "is_empty": True}]}, r"accepted: language\.unknown"),
        ({"must": [{"key": "tag.rock", "is_empty": True}]}, r"did you mean 'tags\.rock'\?$"),
        ({"should": [{"must": [{"key": "tags.rok", "range": {"gt": 0}}]}]}, r"should\[0\]\.must\[0\]\.key.*tags\.rock"),
        ({"must": [{"key": "artist", "range": {"gt": 0}}]}, "'artist' holds text; accepted: match, is_empty"),
        ({"must": [{"key": "key", "range": {"gt": 0}}]}, "'key' holds text; accepted: match, is_empty"),
        ({"must": [{"key": "tempo", "is_empty": True, "octaves": True}]}, r"must\[0\]\.octaves"),
        (
            {"must": [{"key": "key", "match": {"any": ["A", "H minor"]}}]},
            r'must\[0\]\.match\.any\[1\]: "H minor" is not the name',
        ),
        (
            {"must": [{"key": "key", "match": {"value": 3}}]},
            "3 is not the name of a key; accepted: a tonic, such as A",
        ),
        ({"must": [{"key": "year"}]}, "exactly one of match, range, is_empty"),
        ({"must": [{"key": "year", "range": {}}]}, "at least one of gt, gte, lt, lte"),
        ({"must": [{"key": "year", "range": {"gt": 1, "gte": 1}}]}, "gt excludes gte"),
        (
            {"must": [{"key": "vocal_ratio", "range": {"gte": 50}}]},
            r"must\[0\]\.range\.gte: is 50, and key 'vocal_ratio' holds 0 to 1; accepted: 0 to 1$",
        ),
        ({"must": [{"key": "speech_ratio", "range": {"lt": -0.1}}]}, r"range\.lt: is -0\.1, and key 'speech_ratio'"),
        ({"must": [{"key": "tags.rock", "range": {"lte": 20}}]}, "range.lte: is 20, and key 'tags.rock' holds 0 to 1"),
        ({"must_not": [{"key": "language.ja", "range": {"gte": 60}}]}, r"must_not\[0\]\.range.gte: is 60, .*0 to 1"),
        ({"must": [{"key": "sections.chorus", "match": {"value": 2}}]}, "match.value: is 2, and key 'sections.chorus'"),
        ({"must": [{"key": "chords.C:maj", "match": {"any": [0.5, -1]}}]}, r"match.any\[1\]: is -1, and key 'chords"),
        ({"must": [{"key": "year", "range": {"gte": 19900}}]}, "range.gte: is 19900, and key 'year' holds 0 to 9999"),
        ({"must": [{"key": "tags.rock", "range": {"gt": 1}}]}, "gt: nothing is above 1, as key 'tags.rock' holds 0"),
        ({"must": [{"key": "year", "range": {"lt": 0}}]}, "lt: nothing is below 0, as key 'year' holds 0 to 99"),
        (
            {"must": [{"key": "year", "range": {"gte": 2000, "lte": 1990}}]},
            r"must\[0\]\.range: nothing lies between: gte is 2000, lte is 1990; accepted: gte ≤ lte",
        ),
        ({"must": [{"key": "tempo", "range": {"gt": 120, "lte": 120}}]}, "gt is 120, lte is 120; accepted: gt < lte"),
        ({"must": [{"key": "artist", "match": {"any": []}}]}, r"match\.any: is empty; accepted: at least 1 value$"),
        (
            {"must": [{"key": "artist", "match": {"value": None}}]},
            r"match\.value: is null; accepted: a text, a number, true or false; \"is_empty\": true finds what has none",
        ),
        ({"must": [{"key": "year", "range": {"gt": "x"}}]}, r"filter\.must\[0\]\.range\.gt"),
        ({"must": [{"key": "year", "match": {}}]}, "exactly one of value, any"),
        ({"mist": []}, r"filter\.mist"),
        ({"min_should": 2, "should": [{"key": "year", "is_empty": True}]}, "min_should is 2 of 1"),
        ({"must": [{"key": "year", "match": {"value": float("nan")}}]}, r"filter\.must\[0\]\.match"),
        ([], "filter"),
    ],
)
def test_bad_filters_name_the_field(raw: Any, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        condition_of(parse_filter(raw), Attributes(types.SimpleNamespace(), lambda: TAGS))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "condition",
    [
        {"key": "vocal_ratio", "range": {"gte": 0, "lte": 1}},
        {"key": "vocal_ratio", "range": {"gte": 1}},
        {"key": "year", "range": {"gte": 1990, "lte": 1990}},
        {"key": "tempo", "range": {"gte": 500}},
        {"key": "duration_s", "range": {"lt": 1e9}},
        {"key": "meta.plays", "range": {"lt": -5}},
    ],
)
def test_what_a_track_can_have_may_be_asked_for(condition: dict[str, Any]) -> None:
    condition_of(parse_filter({"must": [condition]}), Attributes(types.SimpleNamespace(), lambda: TAGS))  # type: ignore[arg-type]


def test_all_that_is_wrong_is_told_at_once() -> None:
    wrong = [{"key": "artits", "is_empty": True}, {"must": [{"key": "tags.rock", "range": {"gte": 20}}]}]
    raw = {"must": wrong, "must_not": [{"key": "year", "match": {"value": "1990"}}]}
    places = ["must[0].key", "must[1].must[0].range.gte", "must_not[0].match.value"]
    with pytest.raises(FilterError) as refused:
        condition_of(parse_filter(raw), Attributes(types.SimpleNamespace(), lambda: TAGS))  # type: ignore[arg-type]
    assert [error.field for error in refused.value.every] == [f"filter.{place}" for place in places]
    with pytest.raises(FilterError) as refused:
        parse_filter({"mist": [], "must": [{"key": "year", "rnge": {}}]})
    assert [error.field for error in refused.value.every] == ["filter.must[0].rnge", "filter.mist"]


def test_too_deep_a_filter_is_refused() -> None:
    raw: dict[str, Any] = {"must": [{"key": "year", "is_empty": True}]}
    for _ in range(MAX_DEPTH):
        raw = {"must": [raw]}
    with pytest.raises(FilterError, match="nested too deeply"):
        condition_of(parse_filter(raw), Attributes(types.SimpleNamespace(), lambda: TAGS))  # type: ignore[arg-type]


def test_chords_are_the_labels_that_scores_and_transcriptions_have() -> None:
    for label in ("N", "X", "C", "F#:min/b3", "C:7", "Bb:hdim7", "G:sus4(b7)/5", "A:(1,b3,*5)", "Eb:min11", "D:maj6/9"):
        assert is_always_valid(f"chords.{label}"), label
    for label in ("H", "C:", "C:major", "C:maj8", "C:7()", "C:(b)", "C/14", "c:maj", "C:min7b5"):
        assert not is_always_valid(f"chords.{label}"), label
