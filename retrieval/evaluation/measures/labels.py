"""What names an artist and an album, for measures that compare them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from retrieval.catalog.conditions import parts_of
from retrieval.folding import folded

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray

    from retrieval.catalog.records import Labels

NO_ARTIST = frozenset({"", "<unknown>", "unknown", "unknown artist", "various", "various artists"})
"""What files say that name none."""


def named_artist(labels: Labels) -> str:
    """The artist, of several the first, folded: spellings that differ in case or accents are one; empty for none."""
    names = (folded(name) for name in parts_of(labels.artist))
    return next((name for name in names if name not in NO_ARTIST), "")


def named_album(labels: Labels) -> str:
    """The album, folded; empty for none."""
    return folded(labels.album or "")


def numbered(labels: Iterable[Labels | None], named: Callable[[Labels], str]) -> NDArray[np.int64]:
    """A number for each name of labels, from 0, int64 [n]; −1 for none."""
    numbers = {"": -1}
    names = ("" if one is None else named(one) for one in labels)
    return np.fromiter((numbers.setdefault(name, len(numbers) - 1) for name in names), np.int64)
