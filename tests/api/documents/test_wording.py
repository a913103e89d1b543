"""No document's error speaks of the library that reads it: whatever is sent in whichever field, of whichever model."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from typing import Any

import pytest

import api.documents
import api.http
from api.documents.search import SearchIn, Strict, read, read_json
from api.documents.voice import CorrectionIn
from api.documents.wellformed import DocumentError, TooDeepError
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


@pytest.mark.parametrize("model", sorted(set(models()), key=lambda model: model.__name__), ids=lambda one: one.__name__)
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
        ({"limit": "many"}, "limit", 'is "many"; accepted: a whole number'),
    ],
)
def test_it_says_what_was_meant(body: dict[str, Any], path: str, reason: str) -> None:
    with pytest.raises(DocumentError) as refused:
        read(SearchIn, {"query": {"track": "a"}, **body})
    assert refused.value.wrong == [(path, reason)]


def test_a_list_that_is_wrong_inside_is_no_text() -> None:
    with pytest.raises(DocumentError) as refused:
        CorrectionIn.model_validate({"artist": ["A", ""]})
    assert refused.value.wrong == [("artist[1]", 'is ""; accepted: text of at least 1 characters')]


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
    ],
)
def test_filters_say_so_too(conditions: dict[str, Any], says: str) -> None:
    with pytest.raises(FilterError) as refused:
        parse_filter(conditions)
    assert str(refused.value).startswith(says)
    assert not OF_THE_LIBRARY.search(str(refused.value))
