"""The tracks that lines of playlists mean: keys, files on this disk, or what the catalogue holds of another's."""

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from api.cli.playlists.files import Line, PlaylistFile, is_playlist, read_playlist
from api.cli.playlists.names import components, composed, folded, is_address, variants
from api.documents.wellformed import is_text
from retrieval.catalog.files.places import places
from retrieval.catalog.reading import Catalog

SHOWN_TRIES = 4

Names = Mapping[str, Sequence[str]]
Listing = Callable[[Path], tuple[Names, Names]]
"""What lies in a folder, as `_entries` tells it."""

# A name that every album has one of: by it alone nothing is found.
_COMMON = re.compile(
    r"(audio)?(track|titel|piste|pista|traccia|untitled|unknown|intro|outro|cd|disc)?[\W\d_]*", re.IGNORECASE
)


@dataclass(frozen=True)
class Entry:
    """One track to go on after.

    Attributes
    ----------
    name : as it was given: a key, or where a file lies
    path : where the file lies, or would lie
    place : where it was given, for errors; empty on the command line itself
    line : of a playlist, as it stands there; none on the command line itself
    """

    name: str
    path: Path
    place: str = ""
    line: Line | None = None

    @property
    def shown(self) -> str:
        """What it is called where it was given."""
        return self.name if self.line is None else self.line.texts[0].strip()


@dataclass(frozen=True)
class LeftOut:
    """A line of a playlist that no track was found for."""

    playlist: str
    line: int
    name: str
    reason: str
    tried: tuple[str, ...] = ()

    def __str__(self) -> str:
        more = f" and {len(self.tried) - SHOWN_TRIES} more" if len(self.tried) > SHOWN_TRIES else ""
        tried = f"; tried: {', '.join(map(repr, self.tried[:SHOWN_TRIES]))}{more}" if self.tried else ""
        return f"{self.playlist}, line {self.line}: {self.name!r} is left out: {self.reason}{tried}"


@dataclass(frozen=True)
class TakenFor:
    """A line of a playlist of another place, and the track whose path ends as it does."""

    playlist: str
    line: int
    name: str
    track: str
    shared: int

    def __str__(self) -> str:
        steps = "its name alone" if self.shared == 1 else f"the last {self.shared} steps of its path"
        return f"{self.playlist}, line {self.line}: {self.name!r} is taken for {self.track!r}, by {steps}"


@dataclass(frozen=True)
class Found:
    """What playlists and names came to, oldest first."""

    tracks: tuple[Entry, ...]
    left_out: tuple[LeftOut, ...] = ()
    taken_for: tuple[TakenFor, ...] = ()


def read_all(names: Iterable[str]) -> list[Entry | PlaylistFile]:
    """What these names are: playlists, which are read, or tracks.

    Raises
    ------
    PlaylistFileError
        If a playlist cannot be read, or lists nothing.
    """
    read: list[Entry | PlaylistFile] = []
    for name in names:
        path = Path(name).expanduser().absolute()
        read.append(read_playlist(path) if is_playlist(path) else Entry(name, path))
    return read


def find(given: Sequence[Entry | PlaylistFile], catalog: Catalog) -> Found:
    """The tracks that these mean; what is not found is named, and the others stand in their order."""
    listing = cache(_entries)  # for this once: the disk changes
    lists = [one for one in given if isinstance(one, PlaylistFile)]
    names = {id(line): _variants(line) for one in lists for line in one.lines}
    keys = set(catalog.ids_by_key([name for some in names.values() for name in some if is_text(name)]))
    entries: list[Entry | tuple[PlaylistFile, Line]] = []
    for one in given:
        if isinstance(one, Entry):
            entries.append(one)
        else:
            entries += [_here(one, line, names[id(line)], keys, listing) or (one, line) for line in one.lines]
    unfound = [entry for entry in entries if not isinstance(entry, Entry)]
    elsewhere = _elsewhere(unfound, names, catalog) if unfound else {}
    tracks: list[Entry] = []
    left_out, taken_for = [], []
    for entry in entries:
        if isinstance(entry, Entry):
            tracks.append(entry)
            continue
        playlist, line = entry
        found, reason = elsewhere[id(line)]
        if found is not None:
            tracks.append(_entry(playlist, line, found.track, Path(found.track)))
            taken_for.append(found)
        elif not line.may_be_comment:
            left_out.append(_left_out(playlist, line, names[id(line)], reason))
    return Found(tuple(tracks), tuple(left_out), tuple(taken_for))


def without(found: Found, entry: Entry, reason: str) -> Found:
    """The same without a track that turned out not to be one."""
    if entry.line is None:
        raise ValueError(f"{entry.name} is of no playlist")
    playlist = entry.place.rpartition(", line ")[0]
    lost = LeftOut(playlist, entry.line.number, entry.line.texts[0].strip(), reason, (str(entry.path),))
    return replace(
        found, tracks=tuple(one for one in found.tracks if one is not entry), left_out=(*found.left_out, lost)
    )


def _variants(line: Line) -> list[str]:
    return list(dict.fromkeys(name for text in line.texts for name in variants(text)))


def _here(playlist: PlaylistFile, line: Line, names: Sequence[str], keys: set[str], listing: Listing) -> Entry | None:
    """The track by its key, or by where its file lies on this machine."""
    for name in names:
        if name in keys:
            return _entry(playlist, line, name, playlist.path.parent / name)
        path = on_disk(playlist.path.parent / os.path.expanduser(name), listing)
        if path is not None:
            return _entry(playlist, line, str(path), path)
    return None


def _entry(playlist: PlaylistFile, line: Line, name: str, path: Path) -> Entry:
    return Entry(name, path, f"{playlist.path.name}, line {line.number}", line)


def _left_out(playlist: PlaylistFile, line: Line, names: Sequence[str], reason: str) -> LeftOut:
    return LeftOut(playlist.path.name, line.number, line.texts[0].strip(), reason, tuple(names))


def on_disk(path: Path, listing: Listing | None = None) -> Path | None:
    """The file at a path, also where its steps are composed otherwise, or in another case, on the disk.

    Where several differ by no more than case, none of them is meant surely, and none is taken.
    """
    try:
        plain = Path(os.path.normpath(path))
        for one in (path, plain):
            if one.is_file():
                return plain if plain.is_file() else one
        at = Path(plain.anchor)
        for step in plain.parts[1:]:
            at = at / (step if os.path.lexists(at / step) else _alike(step, *(listing or _entries)(at)) or step)
        return at if at.is_file() else None
    except (OSError, ValueError):  # names that no file can have
        return None


def _alike(name: str, exact: Names, loose: Names) -> str | None:
    for found in (exact.get(composed(name), ()), loose.get(folded(name), ())):
        if len(found) == 1:
            return found[0]
    return None


def _entries(folder: Path) -> tuple[Names, Names]:
    """What lies in a folder, by what is the same in both forms of composition, and beside that in any case."""
    exact, loose = defaultdict[str, list[str]](list), defaultdict[str, list[str]](list)
    try:
        names = os.listdir(folder)
    except OSError:
        names = []
    for name in names:
        exact[composed(name)].append(name)
        loose[folded(name)].append(name)
    return exact, loose


def _elsewhere(
    unfound: Sequence[tuple[PlaylistFile, Line]], names: Mapping[int, Sequence[str]], catalog: Catalog
) -> dict[int, tuple[TakenFor | None, str]]:
    """For each line the only track whose key or path ends most like it, or why there is none."""
    paths = {id(line): _paths(playlist, names[id(line)]) for playlist, line in unfound}
    wanted = {folded(steps[-1]) for some in paths.values() for steps in some}
    held = defaultdict[str, list[tuple[tuple[str, ...], str]]](list)
    for key, uri in places(catalog.engine):
        for steps in dict.fromkeys((components(key), components(uri))):
            if steps and (last := folded(steps[-1])) in wanted:
                held[last].append((steps, key))
    return {id(line): _taken(playlist, line, paths[id(line)], held) for playlist, line in unfound}


def _paths(playlist: PlaylistFile, names: Sequence[str]) -> list[tuple[str, ...]]:
    """What each name is as steps; a relative one's begin with the playlist's own folder."""
    folder = playlist.path.parent.as_posix()
    listed = (components(name) if _is_absolute(name) else components(f"{folder}/{name}") for name in names)
    return [steps for steps in dict.fromkeys(listed) if steps]


def _is_absolute(name: str) -> bool:
    return name.startswith(("/", "\\")) or is_address(name) or re.match(r"[a-zA-Z]:", name) is not None


def _taken(
    playlist: PlaylistFile,
    line: Line,
    paths: Sequence[tuple[str, ...]],
    held: Mapping[str, Sequence[tuple[tuple[str, ...], str]]],
) -> tuple[TakenFor | None, str]:
    best: dict[tuple[int, int], set[str]] = defaultdict(set)
    for steps in paths:
        for other, key in held.get(folded(steps[-1]), ()):
            shared = _shared(steps, other, folded)
            best[shared, _shared(steps, other, composed)].add(key)
    if not best:
        where = "is on the network, and no track of the catalogue ends so" if is_address(line.texts[0]) else "not found"
        return None, where
    (shared, _), keys = max(best.items(), key=lambda one: one[0])
    if len(keys) > 1:
        return None, f"{len(keys)} tracks end so: {', '.join(sorted(keys)[:3])}"
    (key,) = keys
    if shared == 1 and _COMMON.fullmatch(Path(components(key)[-1]).stem):
        return None, f"only its name, which is a common one, is that of {key}"
    return TakenFor(playlist.path.name, line.number, line.texts[0].strip(), key, shared), ""


def _shared(one: Sequence[str], other: Sequence[str], form: Callable[[str], str]) -> int:
    """How many of the last steps of both are the same in a form."""
    same = 0
    for mine, theirs in zip(reversed(one), reversed(other), strict=False):
        if form(mine) != form(theirs):
            break
        same += 1
    return same
