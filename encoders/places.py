"""Where a file may be put that is written beside and renamed: a rename takes the place of whatever is there.

Of a device too: who is root and writes to ``/dev/null`` in this way leaves the machine without one.
"""

from __future__ import annotations

import os
from pathlib import Path

NO_FILE = "is a device or a pipe; accepted: a file"
_MOST_LINKS = 40


def is_replaceable(path: Path) -> bool:
    """Whether a file that is renamed to this would take the place of nothing, or of a file: of no device or pipe."""
    link = path.absolute()
    for _ in range(_MOST_LINKS):
        if os.path.lexists(link) and Path(os.path.realpath(link.parent)).is_relative_to("/proc"):
            return False  # where /dev/stdout leads, also to a file
        if not link.is_symlink():
            return link.is_file() or not link.exists()
        link = link.parent / link.readlink()
    return False
