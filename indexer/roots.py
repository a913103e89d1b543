"""The root of what is indexed, looked at before anything is done for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from indexer.errors import ScanError
from indexer.scan import absolute
from retrieval.catalog.files.presence import tracks_under
from retrieval.counting import counted

if TYPE_CHECKING:
    from pathlib import Path

    from retrieval.catalog.reading import Catalog


def check_root(root: Path, catalog: Catalog) -> None:
    """Refuse a root that is not there, cannot be listed or is empty, before anything is fetched or loaded for it.

    Raises
    ------
    ScanError
        It says so where tracks came from there, of which none is taken out: a drive may be unplugged.
    """
    root = absolute(root)
    try:
        reason = "" if root.exists() else "no such file or folder"
        if not reason and root.is_dir() and not any(root.iterdir()):
            reason = "no audio file in it, it is empty"
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
    if reason:
        raise ScanError(f"{root}: {reason}{what_stays(root, catalog)}")


def what_stays(root: Path, catalog: Catalog) -> str:
    """How many tracks came from a root that holds no audio now, for the end of an error; nothing where none did."""
    n = len(tracks_under(catalog.engine, str(root.expanduser().resolve())))
    return f"; {counted(n, 'track')} came from there, and nothing was taken out" if n else ""
