"""What a field of a query may be, checked alike for all callers, in whatever type they come."""

from __future__ import annotations

from collections.abc import Collection
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from retrieval.errors import OutOfRangeError, QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from retrieval.errors import Place


def check_list(field: str, values: Any, kind: type, accepted: str) -> None:
    """Refuse what is no list of these: a text would be taken letter by letter."""
    if isinstance(values, str) or not isinstance(values, Collection):
        raise QueryError(field, f"is {values!r}", accepted)
    wrong = [one for one in values if not isinstance(one, kind)]
    if wrong:
        raise QueryError(field, f"holds {wrong[0]!r}", accepted)


def check_one_of(field: str, value: Any, accepted: Sequence[Any]) -> None:
    """Refuse what is none of these."""
    if value not in accepted:
        raise QueryError(field, f"is {value!r}", ", ".join(map(str, accepted)))


def check_number(field: str, value: Any, example: Place | None = None, *, whole: bool = False) -> None:
    """Refuse what is no number, or no whole one where only these make sense; of a query, or of one of its examples."""
    if isinstance(value, bool) or not isinstance(value, Integral if whole else Real):
        raise QueryError(field, f"is {value!r}", "a whole number" if whole else "a number", example)


def check_range(field: str, value: Any, least: float, most: float, accepted: str = "") -> None:
    """Refuse what is no number, no whole one where only these make sense, or out of range; errors name the field."""
    check_number(field, value, whole=field not in ("mmr", "score_threshold"))
    if not least <= value <= most:  # also what is no number
        raise OutOfRangeError(field, f"is {value}", accepted or f"{least} to {most}")
