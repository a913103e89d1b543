"""Tracks whose files are gone for good, on request.

Never because a root is empty or absent: a drive may be unplugged.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval.catalog.files.presence import missing_tracks

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from retrieval.catalog.files.presence import Placed
    from retrieval.catalog.ledger import Ledger
    from retrieval.catalog.reading import Catalog


@dataclass(frozen=True)
class Pruning:
    """What became of the tracks whose files are missing: taken out, or left, and why."""

    pruned: Sequence[Placed]
    kept: Sequence[tuple[Placed, str]]


def prune(catalog: Catalog, ledger: Ledger, *, dry_run: bool = False) -> Pruning:
    """Take tracks out of the catalogue that are marked as missing and whose files are still not there.

    Parameters
    ----------
    dry_run : only say which
    """
    roots = [Path(source).resolve() for source in ledger.sources("index") if Path(source).is_absolute()]
    pruned, kept = [], []
    for track in missing_tracks(catalog.engine):
        reason = _why_not(Path(track.uri), roots)
        if reason is None:
            pruned.append(track)
        else:
            kept.append((track, reason))
    if not dry_run:
        for track in pruned:
            catalog.delete(track.key)
            ledger.clear_failure(track.uri)
    return Pruning(pruned, kept)


def _why_not(file: Path, roots: Iterable[Path]) -> str | None:
    """Why a track whose file is missing stays; none where nothing speaks for that."""
    try:
        if file.exists():
            return "the file is there again: index its folder"
        above = [root for root in roots if file.is_relative_to(root) and root != file]
        root = max(above, key=lambda path: len(path.parts)) if above else file.parent
        if not root.is_dir():
            return f"{root} is not there"
        if not any(root.iterdir()):
            return f"{root} is empty"
    except OSError as error:
        return f"{error.filename}: {(error.strerror or str(error)).lower()}"
    return None
