"""The neighbours of a whole catalogue in one Parquet file, written part by part so that a stop loses little.

OUT.part/state.json              what the parts belong to
OUT.part/00000.parquet, …        a block of tracks each; there once it is complete
OUT                              all parts as row groups, renamed into place at the end; then the parts go
"""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from retrieval.search.neighbors import BLOCK_TRACKS, block_count, neighbor_blocks

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from numpy.typing import NDArray

    from retrieval.catalog.reading import Catalog
    from retrieval.filters.language import Filter
    from retrieval.index.protocol import IndexView
    from retrieval.search.engine import Search
    from retrieval.search.neighbors import NeighborBlock

FORMAT = 1
SCHEMA = pa.schema(
    [
        pa.field("track", pa.string(), nullable=False),
        pa.field("neighbor", pa.string(), nullable=False),
        pa.field("rank", pa.int32(), nullable=False),
        pa.field("score", pa.float32(), nullable=False),
    ]
)
KEYS_A_PAGE = 10_000


@dataclass(frozen=True)
class ExportState:
    """What a folder of parts belongs to; parts of another state are of no use."""

    space: str
    index_version: str
    k: int
    filter: str | None
    tracks: int
    block_tracks: int
    format: int = FORMAT


@dataclass(frozen=True)
class ExportReport:
    """What an export came to.

    Attributes
    ----------
    rows : pairs of track and neighbour
    resumed_parts : parts that an earlier run had written
    """

    out: str
    space: str
    index_version: str
    k: int
    tracks: int
    rows: int
    resumed_parts: int


def export_neighbors(
    search: Search,
    out: Path,
    *,
    k: int,
    space: str | None = None,
    condition: Filter | None = None,
    block_tracks: int = BLOCK_TRACKS,
    on_note: Callable[[str], None] = lambda note: None,
    on_tracks: Callable[[int, int], None] = lambda done, total: None,
) -> ExportReport:
    """Write every track's `k` nearest to `out`, with columns track, neighbor, rank (from 1) and score.

    Parameters
    ----------
    condition : only tracks that match, as tracks and as neighbours
    on_note : called with what the user should know: parts that are taken up again, or that are of no use any more
    on_tracks : called with how many tracks are done, of how many

    Raises
    ------
    IndexMissingError, IndexMismatchError, FilterError
    OSError
        If the disk is full, or `out` cannot be written; the parts stay, and the next run goes on from them.
    """
    index = search.space(space)
    view = index.view()
    track_ids = view.all_track_ids()
    if condition is not None:
        track_ids = np.intersect1d(track_ids, search.selections.matching(condition).track_ids())
    raw_filter = None if condition is None else condition.model_dump_json(exclude_defaults=True)
    state = ExportState(index.space, view.version, k, raw_filter, len(track_ids), block_tracks)
    folder = parts_of(out)
    done = _taken_up(folder, state, on_note)
    on_tracks(min(done * block_tracks, len(track_ids)), len(track_ids))
    _write_parts(folder, view, track_ids, _Keys(search.catalog), state, done, on_tracks)
    rows = _join(folder, out, block_count(len(track_ids), block_tracks))
    return ExportReport(str(out), index.space, view.version, k, len(track_ids), rows, done)


def parts_of(out: Path) -> Path:
    """Where the parts of an export lie until it is complete."""
    return out.with_name(f"{out.name}.part")


class _Keys:
    """Every track's key by id: read once, since a block names most of a catalogue."""

    def __init__(self, catalog: Catalog) -> None:
        ids, keys = list[int](), list[str]()
        while page := catalog.list_tracks(after_id=ids[-1] if ids else 0, limit=KEYS_A_PAGE):
            ids += [track.id for track in page]
            keys += [track.key for track in page]
        self._ids = np.array(ids, np.int64)
        self._keys = pa.array(keys, pa.string())

    def hold(self, track_ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of these there are; not −1, and not what was deleted a moment ago."""
        return np.isin(track_ids, self._ids)

    def of(self, track_ids: NDArray[np.int64]) -> pa.Array:
        """The keys of known tracks."""
        return self._keys.take(pa.array(np.searchsorted(self._ids, track_ids)))


def _taken_up(folder: Path, state: ExportState, on_note: Callable[[str], None]) -> int:
    """How many parts of this very export there are already; parts of another one go."""
    path = folder / "state.json"
    try:
        earlier = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        earlier = None
    except ValueError:  # the machine stopped while it was written: there is no part yet
        earlier = {}
    if earlier == asdict(state):
        done = 0
        while (folder / _name(done)).exists():
            done += 1
        if done:
            on_note(f"going on with the {done} parts in {folder}")
        return done
    if earlier is not None:
        changed = ", ".join(
            f"{name} {earlier.get(name)} is {value} now"
            for name, value in asdict(state).items()
            if earlier.get(name) != value
        )
        on_note(f"the parts in {folder} are of another export ({changed}): starting anew")
        shutil.rmtree(folder)
    folder.mkdir()
    path.write_text(json.dumps(asdict(state)), encoding="utf-8")
    return 0


def _write_parts(
    folder: Path,
    view: IndexView,
    track_ids: NDArray[np.int64],
    keys: _Keys,
    state: ExportState,
    done: int,
    on_tracks: Callable[[int, int], None],
) -> None:
    for block in neighbor_blocks(view, track_ids, state.k, first=done, block_tracks=state.block_tracks):
        writing = folder / "writing"
        pq.write_table(_table(block, keys), writing, row_group_size=max(1, block.neighbor_ids.size))
        _put(writing, folder / _name(block.number))
        on_tracks(min((block.number + 1) * state.block_tracks, len(track_ids)), len(track_ids))


def _table(block: NeighborBlock, keys: _Keys) -> pa.Table:
    n, k = block.neighbor_ids.shape
    there = keys.hold(block.neighbor_ids) & keys.hold(block.track_ids)[:, np.newaxis]
    columns = [
        keys.of(np.repeat(block.track_ids, k).reshape(n, k)[there]),
        keys.of(block.neighbor_ids[there]),
        pa.array((np.cumsum(there, axis=1)[there]).astype(np.int32)),
        pa.array(block.scores[there]),
    ]
    return pa.table(columns, schema=SCHEMA)


def _join(folder: Path, out: Path, parts: int) -> int:
    """All parts as one file, a row group each, in the place of `out`; the number of its rows."""
    joined = folder / "joined"
    rows = 0
    with pq.ParquetWriter(joined, SCHEMA) as writer:
        for number in range(parts):
            table = pq.read_table(folder / _name(number))
            writer.write_table(table, row_group_size=max(1, len(table)))
            rows += len(table)
    _put(joined, out)
    shutil.rmtree(folder)
    return rows


def _put(written: Path, path: Path) -> None:
    """Rename a file only once it is on the disk: what has its name is complete."""
    with written.open("rb") as file:
        os.fsync(file.fileno())
    written.replace(path)


def _name(number: int) -> str:
    return f"{number:05d}.parquet"
