"""When to look for changes: what this process wrote is seen at once, what others wrote within a tenth of a second."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from retrieval.catalog.reading import Catalog

LOOK_EVERY_S = 0.1


class Watch:
    """One follower's watch over a catalogue. Asking PostgreSQL at every query would cost more than most queries."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._looked: float | None = None

    def is_due(self, revision: int) -> bool:
        """Whether a follower that has come to `revision` should look."""
        if self._looked is None or self._catalog.written > revision:
            return True
        return time.monotonic() - self._looked >= LOOK_EVERY_S

    def looked(self) -> None:
        """The follower has just looked."""
        self._looked = time.monotonic()

    def forget(self) -> None:
        """Look at the next occasion."""
        self._looked = None
