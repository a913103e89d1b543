"""JSON as it is meant: a text is no number, and no number is true or false.

What JSON does not tell apart stays one: 5 and 5.0 are the same number. Where a Python program asks, a tuple is a list,
and NumPy's numbers are numbers.
"""

from __future__ import annotations

from numbers import Integral, Real
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, ConfigDict, Strict

STRICTLY = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)
"""How a document is read: no unknown fields, no number that is none, and no value of another type for a field's own."""


def _whole(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, Real):
        return value
    if isinstance(value, Integral):
        return int(value)
    return int(float(value)) if float(value).is_integer() else value


_Item = TypeVar("_Item")
WHOLE = BeforeValidator(_whole)
"""What makes an integer of a number however it is written; behind bounds, where a field has some and may be null."""
Whole = Annotated[int, WHOLE]
"""An integer, however it is written."""
Listed = Annotated[list[_Item], Strict(False)]
"""A list, whose items are read as strictly as all else."""
