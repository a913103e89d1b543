"""The reference of filters, made of the code that reads them: docs/filters.md, and what OpenAPI says of a filter.

python -m api.documents.filters > docs/filters.md
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from encoders.tag_vocabulary import KNOWN_TAGS, TAGS
from retrieval.catalog.conditions import FIXED_KEYS
from retrieval.catalog.languages import LANGUAGES
from retrieval.filters.language import MAX_CONDITIONS, MAX_DEPTH, Condition, Filter
from retrieval.filters.reference import CHORD, KEYS, LANGUAGE_KEYS, SECTION_KEYS, FilterKey

if TYPE_CHECKING:
    from collections.abc import Iterable

EXAMPLE: dict[str, Any] = {
    "must": [
        {"key": "year", "range": {"gte": 1990, "lt": 2000}},
        {"key": "language.ja", "range": {"gte": 0.6}},
    ],
    "should": [{"key": "tags.rock", "range": {"gte": 0.5}}, {"key": "tempo", "range": {"gte": 120}, "octaves": True}],
    "min_should": 1,
    "must_not": [{"key": "artist", "match": {"any": ["Björk", "Sigur Rós"]}}],
}

# ruff: noqa: E501 - rows of tables cannot be wrapped
_PAGE = """\
# Filters

*Made from the code by `python -m api.documents.filters > docs/filters.md`; a test holds it to that.*

One JSON for all that filters: `filter` in every body of [queries](queries.md), `?filter=` of `GET /v1/tracks` and
`GET /v1/facets`, `--filter` on the command line, `retrieval.filters.language.parse_filter` in Python.

```json
{example}
```

## Grammar

| a filter has | what |
|---|---|
| `must` | every one of these holds |
| `should` | at least `min_should` of these hold: 1 unless said otherwise, where there are any |
| `must_not` | none of these holds |

Each is a list of conditions, and of filters in their turn: up to {conditions} in a list, {depth} levels deep. `{{}}` is every track.
A condition has a `key` and one of:

| test | holds where |
|---|---|
| `"match": {{"value": v}}` | a value of the key is `v`: a text, a number, `true` or `false`. What is measured (`tempo`, shares, scores) hardly ever is a round number, also where it is shown as one: ask for a `range` |
| `"match": {{"any": [v, …]}}` | a value is one of these |
| `"match": {{…, "exact": true}}` | the same, and texts are compared to the letter |
| `"range": {{"gte": a, "lt": b}}` | a number lies within; bounds are `gt` or `gte`, and `lt` or `lte`, each alone or both |
| `"is_empty": true` | there is no value; `false`: there is one |

What a track has no value of meets neither a `match` nor a `range`, and so passes `must_not`. Of several values any may meet a test.

**Which keys are valid does not depend on what the catalogue holds.** A key that no track has a value of matches nothing, and where
nothing at all matches, `stats.reason` names such keys. What is no key is a 422 that says which may be meant; so is what no track
can have of its key: a text for a number or a number for a text, a bound or a number outside of the values in the table below
(`vocal_ratio` is a share, 0 to 1, and not percent), a range in which nothing lies, an `any` of nothing.

## How texts are compared

`match` does not mind case, accents or forms of writing: `bjork` is `Björk`, `strasse` is `Straße`, `istanbul` is `İstanbul`, `mo` is
`MØ`, full and half width are one, as are composed and decomposed letters (NFC, NFD), typographic and plain apostrophes, quotes and
hyphens, and blanks of any kind and number. Marks that make another letter stay: `か` is not `が`, `ハ` is not `パ`; nor are Thai or Hindi
vowels left out. Spellings and words are not guessed (`Bjoerk` is not `Björk`, `&` is not `and`), and a text is compared as a whole. The same decides for `max_per`, `artist_gap` and `album_gap` whether two names are one. With `"exact": true` a text must be
the same to the letter, as a `track` always must: it is an identifier.

## Keys

| key | tests | values | what | example |
|---|---|---|---|---|
{keys}

`octaves` stands beside `range` or `match` of `tempo`. `key` takes any spelling (`Gb` is `F#`), alone or with its mode.

### Tags

What the default encoders hear:

{tags}

Others know these as well:

{others}

So are the tags of your own encoders, and whatever tag a track of the catalogue has.

### Languages

`language.unknown`, and {count} codes of ISO 639:

{languages}
"""


def reference() -> str:
    """The page, in Markdown."""
    return _PAGE.format(
        example="{" + ",\n ".join(f'"{part}": {_json(inner)}' for part, inner in EXAMPLE.items()) + "}",
        conditions=f"{MAX_CONDITIONS:,}",
        depth=MAX_DEPTH,
        keys="\n".join(map(_row, KEYS)),
        tags=_listed(f"`{tag}`" for tag in sorted(TAGS)),
        others=_listed(f"`{tag}`" for tag in sorted(KNOWN_TAGS - set(TAGS), key=lambda tag: (tag.lower(), tag))),
        count=len(LANGUAGES),
        languages=_listed(f"`{code}` {name}" for code, name in LANGUAGES.items()),
    )


def describe(spec: Any) -> Any:
    """Say in an OpenAPI document which keys a filter may name, with examples; the document is changed and returned."""
    schemas, filters = spec["components"]["schemas"], ""
    for name, schema in schemas.items():
        kind = name.rpartition(".")[2]  # schemas are named after the document that they are first met in
        if kind == Condition.__name__:
            schema["properties"]["key"] |= _key_schema()
            schema["examples"] = [key.example for key in KEYS]
        elif kind == Filter.__name__:
            schema["examples"] = [EXAMPLE]
            filters = f"#/components/schemas/{name}"
    for path in spec["paths"].values():
        for operation in path.values():
            for parameter in operation.get("parameters", ()) if isinstance(operation, dict) else ():
                if parameter["name"] == "filter" and parameter["in"] == "query":
                    parameter["schema"] |= {
                        "contentMediaType": "application/json",
                        "contentSchema": {"$ref": filters},
                    }
                    parameter["example"] = json.dumps({"must": [EXAMPLE["must"][0]]})
    return spec


def _key_schema() -> dict[str, Any]:
    tags = [f"tags.{tag}" for tag in sorted(KNOWN_TAGS)]
    return {
        "description": "\n".join(f"- `{key.name}` ({key.unit}): {key.meaning}" for key in KEYS),
        "anyOf": [
            {"title": "columns", "enum": list(FIXED_KEYS)},
            {"title": "tags", "enum": tags},
            {"title": "tags of your own encoders", "pattern": "^tags\\."},
            {"title": "languages", "enum": list(LANGUAGE_KEYS)},
            {"title": "sections", "enum": list(SECTION_KEYS)},
            {"title": "chords", "pattern": f"^chords\\.{CHORD}$"},
            {"title": "the caller's own JSON", "pattern": "^meta\\."},
        ],
    }


def _row(key: FilterKey) -> str:
    tests = ", ".join(key.tests)
    return f"| `{key.name}` | {tests} | {key.unit} | {key.meaning} | `{_json(key.example)}` |"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def _listed(items: Iterable[str]) -> str:
    """Items in one paragraph, wrapped."""
    lines, line = list[str](), ""
    for item in items:
        longer = f"{line}, {item}" if line else item
        if len(longer) > 118:
            lines.append(line + ",")
            longer = item
        line = longer
    return "\n".join([*lines, line]) + "."


if __name__ == "__main__":
    import sys

    sys.stdout.write(reference())
