"""Filters that cannot be meant are refused: the field is named, and what may be meant. No catalogue is asked."""

import types
from typing import Any

import pytest

from retrieval.errors import FilterError
from retrieval.filters.attributes import Attributes
from retrieval.filters.language import MAX_DEPTH, condition_of, parse_filter
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
        ({"must": [{"key": "tags.Rock", "is_empty": True}]}, r"did you mean 'tags\.rock'\?$"),
        (
            {"must": [{"key": "year", "match": {"value": "1990"}}]},
            r"must\[0\]\.match\.value: is '1990', and key 'year' holds numbers; accepted: a number",
        ),
        ({"must": [{"key": "tags.rock", "match": {"any": [0.5, True]}}]}, r"match\.any\[1\]: is True, and key 'tags"),
        (
            {"must": [{"key": "album", "match": {"value": 1989}}]},
            r'match\.value: is 1989, and key \'album\' holds text; accepted: text, such as "1989"',
        ),
        (
            {"must": [{"key": "partial", "match": {"value": "maybe"}}]},
            "'partial' holds true or false; accepted: true, false",
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
            r"must\[0\]\.match: 'H minor' is not the name",
        ),
        (
            {"must": [{"key": "key", "match": {"value": 3}}]},
            "3.0 is not the name of a key; accepted: a tonic, such as A",
        ),
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
def test_bad_filters_name_the_field(raw: Any, message: str) -> None:
    with pytest.raises(FilterError, match=message):
        condition_of(parse_filter(raw), Attributes(types.SimpleNamespace(), lambda: TAGS))  # type: ignore[arg-type]


def test_too_deep_a_filter_is_refused() -> None:
    raw: dict[str, Any] = {"must": [{"key": "year", "is_empty": True}]}
    for _ in range(MAX_DEPTH):
        raw = {"must": [raw]}
    with pytest.raises(FilterError, match="nested too deeply"):
        condition_of(parse_filter(raw), Attributes(types.SimpleNamespace(), lambda: TAGS))  # type: ignore[arg-type]
