"""How many of what, as people say it."""

from __future__ import annotations


def counted(n: int, noun: str, plural: str | None = None) -> str:
    """A number and what it is of: ``1 track``, ``2 tracks``, ``1,000 tracks``.

    Parameters
    ----------
    plural : where it is not the noun with an ``s``
    """
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"
