"""A condition in SQL, about the row of `tracks` of the statement that it stands in.

It selects what the columns in memory select (:mod:`retrieval.filters.attributes`): numbers are compared as doubles, NaN
is no value, and whole numbers of a caller's own JSON that no double holds are infinite. It is never null, so that what
is not known can be negated.
"""

from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Double,
    FromClause,
    Numeric,
    Text,
    and_,
    case,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    not_,
    null,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import ARRAY, array

from retrieval.catalog.changes import is_counted, share_of_time
from retrieval.catalog.conditions import (
    MANY,
    NUMBER_KEYS,
    RHYTHM_NUMBER_KEYS,
    RHYTHM_TEXT_KEYS,
    SEPARATOR,
    TEXT_KEYS,
    All,
    AtLeast,
    Between,
    Condition,
    Not,
    OneOf,
    Present,
    Test,
)
from retrieval.catalog.tables import chords, languages, rhythm, sections, tags, tracks
from retrieval.errors import RetrievalError

# From the first on a number is nearer to infinity than to a double, up to the second it is nearer to zero.
_INFINITE: ColumnElement[Any] = literal_column(f"{2**1024 - 2**970}::numeric")
_ZERO: ColumnElement[Any] = literal_column("2.4703282292062327208299494e-324::numeric")

_ONE: ColumnElement[Any] = literal_column("1")

Value = ColumnElement[Any] | None


def holds(condition: Condition) -> ColumnElement[bool]:
    """True or false for every track.

    Raises
    ------
    RetrievalError
        For a key that no track can have.
    """
    match condition:
        case All(parts):
            return and_(true(), *map(holds, parts))
        case AtLeast(1, parts):
            return or_(false(), *map(holds, parts))
        case AtLeast(count, parts):
            each = array([*map(holds, parts)], type_=Boolean())  # type: ignore[misc]
            return func.coalesce(func.cardinality(func.array_remove(each, false())), 0) >= count
        case Not(part):
            return not_(holds(part))
        case _:
            return func.coalesce(_of_track(condition), false())


def _of_track(test: Test) -> ColumnElement[bool]:
    key = test.key
    family, _, name = key.partition(".")
    if key in MANY and isinstance(test, OneOf):
        text = tracks.c[TEXT_KEYS[key]]
        parts = func.string_to_array(text, SEPARATOR).op("&&")(cast(_storable_texts(test), ARRAY(Text)))
        return or_(_meets(test, text=text), parts)
    if key in TEXT_KEYS:
        return _meets(test, text=cast(tracks.c[TEXT_KEYS[key]], Text))
    if key in NUMBER_KEYS:
        return _meets(test, number=cast(tracks.c[key], Double))
    if key in RHYTHM_NUMBER_KEYS:
        return _any(rhythm, _meets(test, number=cast(rhythm.c[key], Double)))
    if key in RHYTHM_TEXT_KEYS:
        return _any(rhythm, _meets(test, text=rhythm.c[key]))
    if family == "tags":
        return _any(tags, tags.c.tag == name, _meets(test, number=tags.c.score))
    if family == "language":
        return _any(languages, languages.c.language == name, _meets(test, number=languages.c.ratio))
    if family in ("chords", "sections"):
        spans = chords if family == "chords" else sections
        labelled = select(share_of_time(spans)).where(spans.c.track_id == tracks.c.id, spans.c.label == name)
        labelled = labelled.where(is_counted(spans))
        # By group: without a span there is no share, rather than one of nothing.
        share = labelled.group_by(spans.c.track_id).correlate(tracks).scalar_subquery()
        return and_(tracks.c.duration_s > 0, _meets(test, number=share))
    if family == "meta":
        return _in_metadata(test, name)
    raise RetrievalError(f"no track has a key {key!r}")


def _any(table: FromClause, *conditions: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether any of the track's own rows of a table is so."""
    rows = select(_ONE).select_from(table).where(table.c.track_id == tracks.c.id, *conditions)
    return exists(rows.correlate(tracks))


def _meets(test: Test, *, number: Value = None, text: Value = None) -> ColumnElement[bool]:
    """Whether a value is as the test has it; what is null is not, or null."""
    alternatives: list[ColumnElement[bool]] = []
    match test:
        case Present():
            alternatives += [] if number is None else [number != literal_column("'NaN'::float8")]
            alternatives += [] if text is None else [text.is_not(None)]
        case Between(_, low, high, low_open, high_open) if number is not None:  # NaN is above all that is a bound
            above = number > _double(low) if low_open else number >= _double(low)
            below = number < _double(high) if high_open else number <= _double(high)
            alternatives.append(and_(above, below))
        case OneOf(_, values):
            numbers = [value for value in values if not isinstance(value, str)]
            texts = _storable_texts(test)
            alternatives += [] if number is None else [number == func.any(cast(numbers, ARRAY(Double)))]
            alternatives += [] if text is None else [text == func.any(cast(texts, ARRAY(Text)))]
    return or_(false(), *alternatives)


def _storable_texts(test: OneOf) -> list[str]:
    return [value for value in test.values if isinstance(value, str) and _is_storable(value)]


def _double(bound: float) -> ColumnElement[float]:
    return cast(bound, Double)


def _is_storable(text: str) -> bool:
    """Whether PostgreSQL could hold this text; if not, none equals it."""
    return "\0" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


# A caller's own JSON --------------------------------------------------------------------------------------------------


def _in_metadata(test: Test, path: str) -> ColumnElement[bool]:
    there = _at(path)
    is_list = func.jsonb_typeof(there.c.value) == "array"
    values = case((is_list, there.c.value), else_=func.jsonb_build_array(there.c.value))
    element = func.jsonb_array_elements(values).table_valued("value").lateral("element")
    kind = func.jsonb_typeof(element.c.value)
    number = case((kind == "number", _as_double(element.c.value)))
    text = case((kind.in_(("string", "boolean")), _words(element.c.value)))
    elements = select(_ONE).select_from(there).join(element, true()).where(_meets(test, number=number, text=text))
    return exists(elements.correlate(tracks))


def _at(path: str) -> FromClause:
    """What stands at a path, as rows of one column, `value`: a name may hold dots itself, so there may be several."""
    if "." not in path:
        return select(tracks.c.metadata[path].label("value")).correlate(tracks).lateral("there")
    # What is left of the path, and the object that it goes on in; null where it ends.
    walk = (
        select(literal(path, Text).label("rest"), tracks.c.metadata.label("value"))
        .correlate(tracks)
        .cte("walk", recursive=True, nesting=True)
    )
    is_object = func.jsonb_typeof(walk.c.value) == "object"
    members = case((is_object, walk.c.value), else_=literal_column("'{}'::jsonb"))
    member = func.jsonb_each(members).table_valued("key", "value").lateral("member")
    is_end = walk.c.rest == member.c.key
    rest = case((is_end, null()), else_=func.substr(walk.c.rest, func.length(member.c.key) + 2))
    further = select(rest, member.c.value).select_from(walk)
    walk = walk.union_all(further.join(member, is_end | func.starts_with(walk.c.rest, member.c.key.concat("."))))
    return select(walk.c.value).where(walk.c.rest.is_(None)).lateral("there")


def _words(element: ColumnElement[Any]) -> ColumnElement[str]:
    """A string without its quotes, or true or false as a word."""
    return element.op("#>>")(literal_column("'{}'"))


def _as_double(element: ColumnElement[Any]) -> ColumnElement[float]:
    number = cast(element, Numeric)
    infinity = func.sign(number) * literal_column("'Infinity'::float8")
    size = func.abs(number)
    return case((size >= _INFINITE, cast(infinity, Double)), (size <= _ZERO, 0.0), else_=cast(number, Double))
