"""Columns of filterable values: ascending arrays beside track ids, folded anew only when asked for after a change.

An entry is one value of one track; a track may have several. An entry of a number takes 12 bytes (float64 value, uint32
track id), so a comparison is the one on the stored double, and one of a text takes 8 (uint32 code, uint32 track id).
Every distinct text of a column is kept once, in about 160 bytes beside its characters, and in twice that from the first
question on that folds it. `TrackVersions` takes 4 bytes a track. A million tracks with twenty tags each: 240 MB.

A changed track's old entries are not looked for. `TrackVersions` says at which refresh each track last changed, and an
entry from before is left out at the next fold: O(c log c + n) for c new entries beside n old ones.
"""

from array import array
from collections.abc import Sequence
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from pyroaring import BitMap64

from retrieval.errors import RetrievalError
from retrieval.folding import folded

MAX_TRACK_ID = 2**32 - 1
FOLD_AFTER = 100_000  # entries that may wait for the next question, if the column itself holds fewer
UNUSED_TEXTS = 1_000  # texts without a track that a column may keep, if it holds fewer entries

TrackIds = NDArray[np.uint32]


def as_track_ids(track_ids: Sequence[int]) -> TrackIds:
    """Track ids as the columns keep them, uint32 [n].

    Raises
    ------
    RetrievalError
        For an id beyond 32 bits.
    """
    wide = np.array(track_ids, np.int64)
    if wide.size and not 0 <= wide.min() <= wide.max() <= MAX_TRACK_ID:
        raise RetrievalError(f"track id {wide.max()} does not fit the filters' columns: 0 to {MAX_TRACK_ID}")
    return wide.astype(np.uint32)


def bitmap(track_ids: TrackIds) -> BitMap64:
    """A bitmap of track ids in any order, repeated or not."""
    # Ascending values through an array.array are copied several times faster than a numpy array.
    return BitMap64(array("Q", np.sort(track_ids).astype(np.uint64).tobytes()))


class TrackVersions:
    """The refresh at which each track last changed, counted from 1; 0 for a track that was never read."""

    def __init__(self) -> None:
        self.now = 0
        self._changed_at = np.zeros(0, np.uint32)

    def advance(self, changed: TrackIds) -> None:
        """Begin the next refresh: all that was known of the changed tracks is old."""
        self.now += 1
        if changed.size and (needed := int(changed.max()) + 1) > self._changed_at.size:
            grown = np.zeros(max(needed, 2 * self._changed_at.size), np.uint32)
            grown[: self._changed_at.size] = self._changed_at
            self._changed_at = grown
        self._changed_at[changed] = self.now

    def unchanged(self, track_ids: TrackIds, since: int | NDArray[np.uint32]) -> NDArray[np.bool_]:
        """Which of the tracks did not change after the refresh `since`, bool [n]."""
        return np.asarray(self._changed_at[track_ids] <= since)


class SortedValues:
    """One key's values of one type by track, ascending; NaN counts as no value."""

    def __init__(self, versions: TrackVersions, dtype: type[np.float64] | type[np.uint32]) -> None:
        self._versions = versions
        self._values = np.empty(0, dtype)
        self._track_ids: TrackIds = np.empty(0, np.uint32)
        self._folded_at = versions.now
        self._added: list[tuple[int, TrackIds, NDArray[np.float64 | np.uint32]]] = []
        self._n_added = 0

    def __len__(self) -> int:
        """Number of entries."""
        self._fold()
        return len(self._values)

    def add(self, track_ids: TrackIds, values: NDArray[np.float64 | np.uint32]) -> None:
        """Add one entry a track: values [n] of the tracks [n], as of the current refresh."""
        self._added.append((self._versions.now, track_ids, values))
        self._n_added += len(track_ids)
        # A column that nobody asks for must not keep every version of its tracks.
        if self._n_added > max(FOLD_AFTER, len(self._values)):
            self._fold()

    def between(self, low: float, high: float, *, low_open: bool = False, high_open: bool = False) -> BitMap64:
        """Tracks with a value in the interval."""
        return bitmap(self.tracks_between(low, high, low_open=low_open, high_open=high_open))

    def tracks_between(self, low: float, high: float, *, low_open: bool = False, high_open: bool = False) -> TrackIds:
        """Their ids, uint32, in order of the values, one for each value."""
        self._fold()
        start = np.searchsorted(self._values, low, side="right" if low_open else "left")
        stop = np.searchsorted(self._values, high, side="left" if high_open else "right")
        return self._track_ids[start:stop]

    def any_of(self, values: NDArray[np.float64 | np.uint32]) -> BitMap64:
        """Tracks with a value that equals any of these [m], in O(m log n)."""
        self._fold()
        starts = np.searchsorted(self._values, values, side="left")
        stops = np.searchsorted(self._values, values, side="right")
        runs = [self._track_ids[start:stop] for start, stop in zip(starts, stops, strict=True) if start < stop]
        return bitmap(np.concatenate(runs)) if runs else BitMap64()

    def present(self) -> BitMap64:
        """Tracks that have a value."""
        self._fold()
        return bitmap(self._track_ids)

    def distinct(self) -> NDArray[np.float64 | np.uint32]:
        """Every value that some track has, once, ascending."""
        self._fold()
        return np.unique(self._values)

    def recode(self) -> NDArray[np.float64 | np.uint32]:
        """Replace every value by its rank among the distinct ones, and return these, ascending."""
        distinct = self.distinct()
        self._values = np.searchsorted(distinct, self._values).astype(self._values.dtype)
        return distinct

    def _fold(self) -> None:
        if self._folded_at < self._versions.now:
            kept = self._versions.unchanged(self._track_ids, self._folded_at)
            if not kept.all():
                self._values, self._track_ids = self._values[kept], self._track_ids[kept]
            self._folded_at = self._versions.now
        if not self._added:
            return
        added_at = np.repeat(
            np.array([at for at, _, _ in self._added], np.uint32), [len(ids) for _, ids, _ in self._added]
        )
        track_ids = np.concatenate([ids for _, ids, _ in self._added])
        values = np.concatenate([values for _, _, values in self._added])
        fresh = np.flatnonzero(self._versions.unchanged(track_ids, added_at) & ~np.isnan(values))
        order = fresh[np.argsort(values[fresh])]
        at = np.searchsorted(self._values, values[order])
        self._values = np.insert(self._values, at, values[order])
        self._track_ids = np.insert(self._track_ids, at, track_ids[order])
        self._added, self._n_added = [], 0


class Column:
    """Values of one key by track: numbers, texts, or some of each, as a caller's own key may hold."""

    def __init__(self, versions: TrackVersions) -> None:
        self.numbers = SortedValues(versions, np.float64)
        self.texts = SortedValues(versions, np.uint32)
        self._codes: dict[str, int] = {}
        # By folded text; made when somebody first asks, of what came since then when somebody asks again.
        self._spellings: dict[str, list[str]] = {}
        self._n_folded = 0

    def codes(self, texts: Sequence[str]) -> NDArray[np.uint32]:
        """Codes to add to `texts`, uint32 [n]; a text that is new gets the next one."""
        known = self._codes
        return np.fromiter((known.setdefault(text, len(known)) for text in texts), np.uint32, len(texts))

    def any_of(self, values: Sequence[float | str]) -> BitMap64:
        """Tracks with exactly one of these values; a number and a text are never equal."""
        self._forget_unused()
        codes = {self._codes[value] for value in values if isinstance(value, str) and value in self._codes}
        numbers = {value for value in values if not isinstance(value, str)}
        matching = self.texts.any_of(np.fromiter(codes, np.uint32, len(codes)))
        return matching | self.numbers.any_of(np.fromiter(numbers, np.float64, len(numbers)))

    def spellings(self, texts: Sequence[str]) -> list[str]:
        """The texts of the column that are, folded, one of these; some may have lost their last track."""
        self._forget_unused()
        if len(self._codes) > self._n_folded:  # even to pass over those that are folded takes as long as a question
            for text in islice(self._codes, self._n_folded, None):
                self._spellings.setdefault(folded(text), []).append(text)
            self._n_folded = len(self._codes)
        return [one for plain in dict.fromkeys(map(folded, texts)) for one in self._spellings.get(plain, ())]

    def present(self) -> BitMap64:
        """Tracks that have a value."""
        return self.numbers.present() | self.texts.present()

    def _forget_unused(self) -> None:
        if len(self._codes) <= 2 * len(self.texts) + UNUSED_TEXTS:
            return
        used = self.texts.recode()
        texts = list(self._codes)  # in order of their codes
        self._codes = {texts[int(code)]: rank for rank, code in enumerate(used)}
        self._spellings, self._n_folded = {}, 0
