"""What somebody meant who wrote a name that is none: the same everywhere."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST = 3
BEGINNING = 3
"""Letters of a name by which it is known."""


def suggested(word: str, known: Iterable[str]) -> list[str]:
    """The known names most like a word, most alike first, or else those that begin with it; in any case of letters.

    There is none where none is like it.
    """
    by_name, word = {name.lower(): name for name in known}, word.lower()
    near = get_close_matches(word, by_name, n=MOST)
    begun = [name for name in by_name if name.startswith(word)] if len(word) >= BEGINNING else []
    return [by_name[name] for name in (near or begun[:MOST])]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """The question behind an error, ``; did you mean 'limit'?``, or nothing where no known name is like the word."""
    near = [repr(name) for name in suggested(word, known)]
    return f"; did you mean {' or '.join(near)}?" if near else ""
