"""Where the time of an answer went, part by part: the parts add up to the whole."""

from __future__ import annotations

import time
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

NOTHING: Mapping[str, float] = MappingProxyType({})


class Laps:
    """A clock that is read at the end of every part, from its making on.

    Parameters
    ----------
    before : seconds by part, of what was done for the same answer elsewhere
    """

    def __init__(self, before: Iterable[Mapping[str, float]] = ()) -> None:
        self._laps: dict[str, float] = {}
        for earlier in before:
            for name, seconds in earlier.items():
                self._add(name, seconds)
        self._last = time.perf_counter()

    def finish(self, name: str) -> None:
        """End a part; one that comes again goes on."""
        now = time.perf_counter()
        self._add(name, now - self._last)
        self._last = now

    @property
    def spent_s(self) -> Mapping[str, float]:
        """Seconds by part, in the order in which they were first done."""
        return dict(self._laps)

    def timing_ms(self) -> dict[str, float]:
        """Milliseconds by part, and in `total` of all of them."""
        laps = {**self._laps, "total": sum(self._laps.values())}
        return {name: round(1000 * seconds, 3) for name, seconds in laps.items()}

    def _add(self, name: str, seconds: float) -> None:
        self._laps[name] = self._laps.get(name, 0.0) + seconds
