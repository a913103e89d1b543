"""No document's error speaks of the library that reads it: whatever is sent in whichever field, of whichever model."""

import cProfile
import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, get_args

import numpy as np
import pytest

import api.documents
import api.http
from api.documents.search import SearchIn, Strict, read, read_json
from api.documents.voice import CorrectionIn
from api.documents.wellformed import DocumentError, TooDeepError
from api.http.requests import Arguments, Form
from retrieval.errors import FilterError
from retrieval.filters.language import parse_filter

WRONG: tuple[Any, ...] = (5, -1.5, 10**9, "x", "", "a\0b", True, None, [], [[]], [5], ["", 5], {}, {"x": 1}, [{"x": 1}])
OF_THE_LIBRARY = re.compile(
    r"Input should|Extra input|dictionary|instance|Value error|Field required|constrained|pydantic|validat|literal|"
    r"_type|None|True|False|List|Tuple|Dict|\bstr\b|\bint\b|\bfloat\b|\bbool\b"
)

_QUOTED = re.compile('"[^"]*"')


def models() -> Iterator[type[Strict]]:
    for package in (api.documents, api.http):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    waiting = [Strict]
    while waiting:
        for model in waiting.pop().__subclasses__():
            yield model
            waiting.append(model)


MODELS = sorted({*models()} - {Arguments, Form}, key=lambda model: model.__name__)
DOCUMENTS = [model for model in MODELS if not issubclass(model, Arguments)]


@pytest.mark.parametrize("model", MODELS, ids=lambda one: one.__name__)
def test_whatever_is_sent(model: type[Strict]) -> None:
    names = [field.alias or name for name, field in model.model_fields.items()]
    sent = [{name: value} for name in names for value in WRONG]
    sent += [{name: {"inner": value}} for name in names for value in WRONG]
    refused = 0
    for body in (*sent, {"nothing like it": 1}, {f"{names[0]}x": 1}, *WRONG):
        try:
            model.model_validate(body)
        except DocumentError as error:
            refused += 1
            for path, reason in error.wrong:
                said = f"{path}: {_QUOTED.sub('', reason)}"
                assert not OF_THE_LIBRARY.search(said), (body, said)
                assert path
                assert reason
        except (TooDeepError, FilterError):
            pass
    assert refused > 5


@pytest.mark.parametrize(
    ("body", "path", "reason"),
    [
        ({"limt": 3}, "limt", "unknown field 'limt': did you mean 'limit'?"),
        ({"exclude": {"x": 1}}, "exclude", "is an object; accepted: a list"),
        ({"exclude": ["a", 5]}, "exclude[1]", "is 5; accepted: text"),
        ({"context": {"previus": []}}, "context.previus", "unknown field 'previus': did you mean 'previous'?"),
        (
            {"diversity": {"max_per": {"gnre": 1}}},
            "diversity.max_per.gnre",
            "unknown field 'gnre'; accepted: album, artist",
        ),
        ({"diversity": {"fold_duplicates": 3}}, "diversity.fold_duplicates", 'is 3; accepted: true, false or "sure"'),
        ({"granularity": "sect"}, "granularity", 'is "sect"; accepted: "track" or "segment"'),
        (
            {"filter": {"must": [{"key": "year", "rnge": {}}]}},
            "filter.must[0].rnge",
            "unknown field 'rnge': did you mean 'range'?",
        ),
        ({"explain": "perhaps"}, "explain", 'is "perhaps"; accepted: true or false'),
        (
            {"query": "a"},
            "query",
            'is "a"; accepted: an object with track, start_s, end_s, section, vector, recommend, continue',
        ),
        (
            {"query": {"recommend": {"positive": ["a"]}}},
            "query.recommend.positive[0]",
            'is "a"; accepted: an object with track, start_s, end_s, section, vector, weight',
        ),
        ({"limit": "many"}, "limit", 'is "many"; accepted: a whole number, 1 to 1000'),
        ({"limit": "5"}, "limit", 'is the text "5"; accepted: a whole number, 1 to 1000'),
        ({"limit": True}, "limit", "is true; accepted: a whole number, 1 to 1000"),
        ({"limit": 5.5}, "limit", "is 5.5; accepted: a whole number, 1 to 1000"),
        ({"limit": 0}, "limit", "is 0; accepted: 1 to 1000"),
        ({"explain": "yes"}, "explain", 'is "yes"; accepted: true or false'),
        ({"exact": "true"}, "exact", 'is the text "true"; accepted: true or false'),
        ({"explain": 1}, "explain", "is 1; accepted: true or false"),
        ({"diversity": {"fold_duplicates": 1}}, "diversity.fold_duplicates", 'is 1; accepted: true, false or "sure"'),
        ({"diversity": {"max_per": {"artist": 0}}}, "diversity.max_per.artist", "is 0; accepted: at least 1"),
        ({"query": {"vector": [0.5, "1"]}}, "query.vector[1]", 'is the text "1"; accepted: a number'),
        ({"query": {"vector": []}}, "query.vector", "is empty; accepted: 1 to 4096 values"),
        ({"query": {"track": "a", "start_s": -5, "end_s": 3}}, "query.start_s", "is -5; accepted: at least 0"),
        (
            {"query": {"continue": {"playlist": ["a"], "half_life": 0}}},
            "query.continue.half_life",
            "is 0; accepted: above 0",
        ),
        ({"exclude": ["a" * 1025]}, "exclude[0]", f'is "{"a" * 59}… (1027 characters); accepted: text of at most 1024'),
        (
            {"filter": {"must": [{"key": "artist", "is_empty": "no"}]}},
            "filter.must[0].is_empty",
            'is "no"; accepted: true or false',
        ),
        (
            {"filter": {"must": [{"key": "year", "range": {"gte": "1990"}}]}},
            "filter.must[0].range.gte",
            'is the text "1990"; accepted: a number',
        ),
    ],
)
def test_it_says_what_was_meant(body: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read(SearchIn, {"query": {"track": "a"}, **body})
    ((where, why),) = refused.value.wrong
    assert where == path
    assert why.startswith(reason)


def test_what_json_does_not_tell_apart() -> None:
    """An integer may be written with a point, and where a Python program asks, it has tuples and NumPy's numbers."""
    body = {"limit": 5.0, "exclude": ("b",), "diversity": {"candidates": np.int64(7), "mmr": np.float32(0.5)}}
    search = read(SearchIn, {"query": {"vector": (1, np.float32(2))}, **body})
    assert (search.limit, search.exclude, search.query.vector) == (5, ["b"], [1.0, 2.0])
    assert search.diversity is not None
    assert (search.diversity.candidates, search.diversity.mmr) == (7, 0.5)
    assert type(search.limit) is int


@pytest.mark.parametrize("model", DOCUMENTS, ids=lambda one: one.__name__)
def test_a_text_is_no_number_and_nothing_but_true_is_true(model: type[Strict]) -> None:
    for name, field in model.model_fields.items():
        kinds = {one for one in (int, float, bool, str) if one in (field.annotation, *get_args(field.annotation))}
        if not kinds or str in kinds:
            continue
        for value in ("5", "true", "yes", *([True] if bool not in kinds else [1, 0])):
            with pytest.raises(DocumentError) as refused:
                model.model_validate({field.alias or name: value})
            assert field.alias or name in [path for path, _ in refused.value.wrong], (name, value)


def test_a_document_of_many_errors_takes_no_time_to_refuse() -> None:
    """Time grows with their number, and not with its square: 20 kB would be ten seconds."""
    counted = Counter[int]()
    for size in (500, 1000):
        profile = cProfile.Profile()
        with pytest.raises(DocumentError):
            profile.runcall(read, SearchIn, {"query": {"vector": ["x"] * size}})
        counted[size] = sum(one.callcount for one in profile.getstats())
    assert counted[1000] < 2.1 * counted[500]


def test_a_list_that_is_wrong_inside_is_no_text() -> None:
    with pytest.raises(DocumentError) as refused:
        CorrectionIn.model_validate({"artist": ["A", ""]})
    assert refused.value.wrong == [("artist[1]", 'is ""; accepted: text of at least 1 character')]


@pytest.mark.parametrize("raw", ['{"limit": 1, "limit": 2}', '{"query": {"track": "a", "track": "b"}}'])
def test_nothing_is_said_twice(raw: str) -> None:
    with pytest.raises(DocumentError, match="stands twice in one object"):
        read_json(SearchIn, raw)


def test_all_that_is_wrong_is_told_at_once() -> None:
    with pytest.raises(DocumentError) as refused:
        read(SearchIn, {"query": {"track": 5}, "limt": 3, "exclude": 4})
    assert [path for path, _ in refused.value.wrong] == ["exclude", "query.track", "limt"]


@pytest.mark.parametrize(
    ("conditions", "says"),
    [
        ({"mist": []}, "filter.mist: unknown field 'mist': did you mean 'must"),
        (
            {"must": [{"key": "year", "range": {"gtee": 1}}]},
            "filter.must[0].range.gtee: unknown field 'gtee': did you mean 'gte",
        ),
        ({"must": [{"key": "year"}]}, "filter.must[0]: exactly one of match, range, is_empty is needed"),
        ({"must": {"key": "year"}}, "filter.must: is an object; accepted: a list"),
        (
            {"must": ["rock"]},
            'filter.must[0]: is "rock"; accepted: an object with key, match, range, is_empty, octaves',
        ),
        (
            {"must": [{"key": "artist", "match": "x"}]},
            'filter.must[0].match: is "x"; accepted: an object with value, any, exact',
        ),
        (
            {"must": [{"field": "artist", "is_empty": True}]},
            "filter.must[0].key: is missing; filter.must[0].field: unknown field 'field'; accepted: is_empty",
        ),
        (
            {"key": "artist", "match": {"value": "x"}},
            'filter: is a condition, without a list that it stands in; accepted: {"must": [condition, …]}',
        ),
    ],
)
def test_filters_say_so_too(conditions: dict[str, Any], says: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse_filter(conditions)
    assert str(refused.value).startswith(says)
    assert not OF_THE_LIBRARY.search(str(refused.value))
