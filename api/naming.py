"""What a name means that somebody gives: a track by its key or by where its file lies, or another file.

Paths are resolved here for every door of the command line: relative ones, links and ``..`` lead to the one track whose
file lies there, also where the file is gone.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from api.documents.wellformed import is_text
from encoders.errors import UnreadableMediaError
from encoders.media.kinds import PLAYLIST_SUFFIXES, why_no_sound
from retrieval.errors import UnknownTrackError
from retrieval.search.query import Seed

if TYPE_CHECKING:
    from api.wiring import Soundalike
    from retrieval.catalog.reading import Catalog
    from retrieval.catalog.records import Track


NEITHER = "no such file, nor is it the key of a track"


def track_named(catalog: Catalog, name: str) -> Track:
    """The track of this key, or whose file lies there.

    Raises
    ------
    UnknownTrackError
        If there is none.
    """
    meant = meant_by(catalog, name)
    if isinstance(meant, Path):
        raise UnknownTrackError(name, why="this file is not in the catalogue; `soundalike index FILE` brings it in")
    return meant


def meant_by(catalog: Catalog, name: str, path: Path | None = None) -> Track | Path:
    """The track of this key, or whose file lies there; else the file.

    Parameters
    ----------
    path : where the file lies, if that is not what the name says

    Raises
    ------
    UnknownTrackError
        If there is neither track nor file.
    UnreadableMediaError
        If what is there is a folder, or no audio.
    """
    path = Path(name) if path is None else path
    unknown: UnknownTrackError | None = None
    if is_text(name):  # a file's name need not be text, a key is
        try:
            return catalog.track(name)
        except UnknownTrackError as error:
            unknown = error
    try:
        path = path.expanduser().absolute()
        uri = str(path.resolve())
        stored = catalog.track_at(uri) if is_text(uri) else None
        if stored is not None:
            return stored
        if path.is_dir():
            raise UnreadableMediaError(str(path), "is a folder; accepted: a track's key, or an audio file")
        if not path.is_file():
            is_path = name.startswith(("/", "./", "../", "~/"))
            raise UnknownTrackError(name, why=NEITHER) if is_path or unknown is None else unknown
        reason = why_no_sound(path)
    except (OSError, ValueError, RuntimeError) as error:  # no name that a file can have; links that lead to themselves
        raise unknown or UnreadableMediaError(str(path), _reason(error)) from error
    if reason:
        hint = "; `soundalike continue` goes on after it" if path.suffix.lower() in PLAYLIST_SUFFIXES else ""
        raise UnreadableMediaError(str(path), reason + hint)
    return path


def seed_of(
    here: Soundalike, name: str, path: Path | None, space: str | None, span_s: tuple[float, float] | None = None
) -> Seed:
    """The example that a name means: a track by its key or by where its file lies, or else any audio file.

    Parameters
    ----------
    path : as of `meant_by`
    span_s : the part of it that is meant

    Raises
    ------
    UnknownTrackError
        If it is none of these.
    MediaError
        If the file is no audio, or cannot be decoded.
    """
    start_s, end_s = span_s or (None, None)
    meant = meant_by(here.catalog, name, path)
    return here.seed_of(meant, space, span_s) if isinstance(meant, Path) else Seed(meant.key, start_s, end_s)


def _reason(error: Exception) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()
