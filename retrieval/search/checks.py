"""What a field of a query may be, checked alike for all callers, in whatever type they come."""

from __future__ import annotations

from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from retrieval.errors import OutOfRangeError, QueryError

if TYPE_CHECKING:
    from collections.abc import Sequence


def check_list(field: str, values: Any, kind: type, accepted: str) -> None:
    """Refuse what is no list of these: a text would be taken letter by letter."""
    wrong = [values] if isinstance(values, str) else [one for one in values if not isinstance(one, kind)]
    if wrong:
        raise QueryError(field, f"is {wrong[0]!r}" if isinstance(values, str) else f"holds {wrong[0]!r}", accepted)


def check_one_of(field: str, value: Any, accepted: Sequence[Any]) -> None:
    """Refuse what is none of these."""
    if value not in accepted:
        raise QueryError(field, f"is {value!r}", ", ".join(map(str, accepted)))


def check_range(field: str, value: Any, least: float, most: float, accepted: str = "") -> None:
    """Refuse what is no number, no whole one where only these make sense, or out of range; errors name the field."""
    whole = field not in ("mmr", "score_threshold")
    is_one = isinstance(value, Integral if whole else Real) and not isinstance(value, bool)
    if not is_one:
        raise QueryError(field, f"is {value!r}", "a whole number" if whole else "a number")
    if not least <= value <= most:  # also what is no number
        raise OutOfRangeError(field, f"is {value}", accepted or f"{least} to {most}")
