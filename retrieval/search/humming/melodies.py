"""Every melody of a catalogue in memory, ready to be compared, following the catalogue by revision.

A track of three minutes takes about 15 kB: its contour in hundredths of a semitone, and its windows.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from retrieval.catalog import changes
from retrieval.catalog.heard.contours import unpacked
from retrieval.catalog.watch import Watch
from retrieval.search.humming.contours import POINTS, contour_of, windows_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog

_CENTS = 100


@dataclass(frozen=True, eq=False)
class StoredMelody:
    """One track's: its contour in cents, int16 [steps], and its windows."""

    cents: NDArray[np.int16]
    windows: NDArray[np.int8]

    @classmethod
    def of(cls, pitches: NDArray[np.float32], unvoiced: NDArray[np.float32], step_s: float) -> StoredMelody:
        """Of a melody, float32 [steps], MIDI numbers or NaN, and of what is likeliest where it rests, likewise.

        Rests are heard where a melody is faint, and a hum that misses notes is lost sooner than one that has too many.
        """
        contour = contour_of(np.where(np.isnan(pitches), unvoiced, pitches), step_s)
        contour = replace(contour, voiced=contour_of(pitches, step_s).voiced)
        return cls(np.rint(_CENTS * contour.pitches).astype(np.int16), windows_of(contour))

    @property
    def pitches(self) -> NDArray[np.float32]:
        """MIDI numbers float32 [steps]."""
        return self.cents.astype(np.float32) / np.float32(_CENTS)


@dataclass(frozen=True, eq=False)
class Melodies:
    """Melodies that can be searched: by track id, and all of their windows, track by track.

    Attributes
    ----------
    track_ids : int64 [n], ascending
    firsts : int64 [n + 1], number of each track's first window
    windows : int8 [firsts[-1], 24]
    """

    stored: Mapping[int, StoredMelody]
    track_ids: NDArray[np.int64]
    firsts: NDArray[np.int64]
    windows: NDArray[np.int8]

    @classmethod
    def of(cls, stored: Mapping[int, StoredMelody]) -> Melodies:
        """Of melodies by track id; those without a window cannot be found."""
        ids = sorted(track_id for track_id, melody in stored.items() if len(melody.windows))
        counts = [len(stored[track_id].windows) for track_id in ids]
        windows = np.concatenate([np.empty((0, POINTS), np.int8), *(stored[track_id].windows for track_id in ids)])
        return cls(stored, np.array(ids, np.int64), np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]), windows)


class MelodyShelf:
    """The melodies of a catalogue's live tracks; safe to share between threads."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog
        self._watch = Watch(catalog)
        self._lock = threading.Lock()
        self._revision = 0
        self._melodies = Melodies.of({})

    def melodies(self) -> Melodies:
        """All of them, as of now."""
        if self._watch.is_due(self._revision):
            with self._lock:
                self._watch.looked()
                if self._catalog.revision() > self._revision:
                    self._read()
        return self._melodies

    def _read(self) -> None:
        stored, until = dict(self._melodies.stored), self._revision
        with self._catalog.snapshot() as connection:
            for row in changes.track_changes(connection=connection, after=self._revision):
                stored.pop(row.id, None)
                until = row.revision
            for row in changes.melody_changes(connection=connection, after=self._revision, until=until):
                stored[row.track_id] = StoredMelody.of(*unpacked(row.pitches), row.step_s)
        self._melodies, self._revision = Melodies.of(stored), until
