"""What somebody meant who wrote a name that is none: the same everywhere."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 3


def suggested(word: str, known: Iterable[str]) -> list[str]:
    """The known names most like a word, most alike first; in any case of letters, and none where none is like it."""
    by_name = {name.lower(): name for name in known}
    return [by_name[name] for name in get_close_matches(word.lower(), by_name, n=MOST)]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The question behind an error, ``; did you mean 'limit'?``, or nothing where no known name is like the word."""
    near = [repr(name) for name in suggested(word, known)]
    return f"; did you mean {' or '.join(near)}?" if near else ""
