"""Which track of the catalogue a file is: the one that lies there, the one of its key, or one that was moved there.

A key changes hands only for what sounds the same, and what is in keeps its key.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from indexer.errors import CopyError, StageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from indexer.scan import ScannedFile
    from retrieval.catalog.files.known import StoredTrack

KEYS_AT_ONCE = 1_000


class KnownTracks(Protocol):
    """Where what is known of tracks stands: a catalogue."""

    def stored_tracks(self, keys: Sequence[str]) -> dict[str, StoredTrack]:
        """What is known of tracks, by key."""

    def stored_at(self, uris: Sequence[str]) -> dict[str, StoredTrack]:
        """What is known of files, those that are ignored too, by where they lie."""

    def stored_as(self, content_hash: str, audio_hash: str | None) -> list[StoredTrack]:
        """What is known of tracks of this file, or of this sound, those that are ignored too."""


@dataclass
class Movers:
    """Finds what was moved; of several tracks that sound alike each is found by one file alone."""

    tracks: KnownTracks
    _claimed: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def moved_to(self, file: ScannedFile, content_hash: str, audio_hash: str | None) -> StoredTrack | None:
        """The track, or what is ignored, that sounds like this file, and whose own file is not there any more."""
        with self._lock:
            alike = self.tracks.stored_as(content_hash, audio_hash)
            gone = [one for one in alike if one.uri not in self._claimed and not Path(one.uri).exists()]
            if not gone:
                return None
            found = min(gone, key=lambda one: (one.ignored, Path(one.uri).name != file.path.name))
            self._claimed.add(found.uri)
            return found


def with_known(files: Iterable[ScannedFile], tracks: KnownTracks) -> Iterator[tuple[ScannedFile, StoredTrack | None]]:
    """Each file with what is known of it, under the key that it has: asked for some at a time, while others come in."""
    remaining = iter(files)
    while some := list(islice(remaining, KEYS_AT_ONCE)):
        there = tracks.stored_at([file.uri for file in some])
        placed = [replace(file, key=there[file.uri].key) if file.uri in there else file for file in some]
        known = tracks.stored_tracks([file.key for file in placed if file.uri not in there])
        yield from ((file, there.get(file.uri) or known.get(file.key)) for file in placed)


def check_key(file: ScannedFile, known: StoredTrack, content_hash: str, audio_hash: str | None) -> None:
    """Refuse a key that belongs to another track.

    Raises
    ------
    StageError
    CopyError
        If it is the other's by a file that sounds the same, as where two packs hold the same music.
    """
    there = Path(known.uri)
    if known.uri == file.uri or is_same_file(there, file.path):
        return
    if there.exists():
        if known.sounds_as(content_hash, audio_hash):
            raise CopyError(known.uri)
        raise StageError("scan", f"key {file.key!r} belongs to {known.uri}: index this folder with --key-prefix")
    if not known.sounds_as(content_hash, audio_hash):
        raise StageError(
            "scan",
            f"key {file.key!r} belongs to {known.uri}, which is not there now and sounds different: index this folder "
            "with --key-prefix, or delete that track first",
        )


def is_same_file(one: Path, other: Path) -> bool:
    """Whether two paths lead to one file."""
    try:
        return one.samefile(other)
    except OSError:
        return False
