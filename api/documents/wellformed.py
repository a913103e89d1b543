r"""What any document may hold: text that is whole, numbers that are finite and fit 64 bits, and no endless nesting.

JSON can say more than that: ``"\ud800"`` is half a character, which nothing can write as UTF-8; ``"\u0000"`` is none
that PostgreSQL's text holds; Python also reads ``NaN``, and integers of any length. All of it is refused before it is
looked at further, with the path of the field, at both doors: by `api.documents.search.Strict` for every document, by
`parse_json` for JSON that stands in an argument, and by `check_text` for what is no JSON at all.
"""

import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from retrieval.errors import MOST_TOLD

MAX_JSON_DEPTH = 64

_SURROGATE, _BROKEN = re.compile("[\ud800-\udfff]"), re.compile("[\0\ud800-\udfff]")
_LEAST, _MOST = -(2**63), 2**63 - 1
_DIGITS = len(str(_LEAST))
_MOST_QUOTED = 30


class DocumentError(Exception):
    """A document that cannot be used.

    Attributes
    ----------
    path : of the field that is wrong, for example ``query.recommend.positive[0].track``
    explanation : what is wrong with it
    cause : the error of the search, or none where the document does not fit its model
    wrong : path and explanation of every field that is wrong, the first before all
    """

    def __init__(
        self,
        path: str,
        explanation: str,
        cause: Exception | None = None,
        *,
        wrong: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.path = path
        self.explanation = explanation
        self.cause = cause
        self.wrong = wrong or [(path, explanation)]
        super().__init__("; ".join(f"{path}: {explanation}" for path, explanation in self.wrong[:MOST_TOLD]))


class TooDeepError(RecursionError):
    """JSON within JSON within JSON; names the field that it begins in."""

    def __init__(self, field: str) -> None:
        self.field = field
        self.accepted = f"at most {MAX_JSON_DEPTH} levels"
        super().__init__(f"{field}: is nested too deeply; accepted: {self.accepted}")


def is_text(value: str) -> bool:
    """Whether it is whole: what UTF-8 and PostgreSQL can hold."""
    return _BROKEN.search(value) is None


def escaped(value: str) -> str:
    r"""The text with halves of characters written as ``\ud800``."""
    return _SURROGATE.sub(lambda half: f"\\u{ord(half[0]):04x}", value)


def check_text(value: str, path: str) -> None:
    """Refuse text that is not whole.

    Raises
    ------
    DocumentError
    """
    broken = _BROKEN.search(value)
    if broken is None:
        return
    code = f"U+{ord(broken[0]):04X}"
    what = f"{code} (NUL)" if broken[0] == "\0" else f"{code}, a lone surrogate, which is half a character"
    raise DocumentError(path, f"holds {what}, at {broken.start()}; accepted: text of whole characters, without NUL")


def check(value: Any, path: str = "") -> None:
    """Refuse what no document may hold, wherever in these objects of JSON it stands.

    Raises
    ------
    DocumentError
        With the path of the first field that is wrong.
    TooDeepError
    """
    _check(value, path, 0)


def parse_json(raw: str | bytes, field: str = "body") -> Any:
    """JSON's objects; what else is wrong with them is `check`'s to find, since it can say where.

    Raises
    ------
    ValueError
        If it is not JSON: by line and column, and what stands there.
    DocumentError
        If a field stands twice in one object: JSON does not say which of them is meant.
    TooDeepError
    """
    try:
        return json.loads(raw, parse_int=_integer, object_pairs_hook=_object)
    except RecursionError as error:
        raise TooDeepError(field) from error
    except json.JSONDecodeError as error:
        raise ValueError(_misread(error)) from error
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not {error.encoding.upper()}; accepted: JSON in UTF-8") from error


def _misread(error: json.JSONDecodeError) -> str:
    """Where JSON ends to be JSON."""
    if not error.doc.strip():
        return "it is empty; accepted: an object, {…}"
    rest = error.doc[error.pos :].split("\n", 1)[0]
    stands = repr(rest[:_MOST_QUOTED] + ("…" if len(rest) > _MOST_QUOTED else "")) if rest else "the end"
    expected = error.msg[0].lower() + error.msg[1:]
    return f"line {error.lineno}, column {error.colno}: {expected}, where {stands} stands"


def _object(members: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(members)
    if len(read) < len(members):
        twice = next(name for name, n in Counter(name for name, _ in members).items() if n > 1)
        shown = escaped(twice).replace("\0", "\\u0000")
        raise DocumentError(shown or "body", f"{shown!r} stands twice in one object; accepted: each field once")
    return read


def _integer(digits: str) -> int:
    """The integer; one of very many digits, which Python would refuse without saying where, stays out of range."""
    return int(digits[: _DIGITS + 1])


def _check(value: Any, path: str, depth: int) -> None:
    if isinstance(value, str):
        check_text(value, path or "body")
    elif isinstance(value, bool):
        pass
    elif isinstance(value, int):
        if not _LEAST <= value <= _MOST:
            raise DocumentError(path or "body", "has more than 64 bits; accepted: integers of at most 64 bits, or text")
    elif isinstance(value, float):
        if not math.isfinite(value):
            raise DocumentError(path or "body", f"is {value}; accepted: finite numbers")
    elif isinstance(value, dict):
        _check_depth(path, depth)
        for name, inner in value.items():
            inside = f"{path}.{escaped(str(name))}" if path else escaped(str(name))
            check_text(str(name), inside.replace("\0", "\\u0000"))
            _check(inner, inside, depth + 1)
    elif isinstance(value, list | tuple):
        _check_depth(path, depth)
        for number, inner in enumerate(value):
            if not (type(inner) is float and math.isfinite(inner)):  # of a vector, nothing else
                _check(inner, f"{path}[{number}]", depth + 1)


def _check_depth(path: str, depth: int) -> None:
    if depth >= MAX_JSON_DEPTH:
        raise TooDeepError(re.split(r"[.\[]", path, maxsplit=1)[0] or "body")
