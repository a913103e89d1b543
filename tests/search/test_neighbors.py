"""All neighbours of a catalogue: as by brute force, in one file, and never begun anew without need."""

import json
import resource
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from sqlalchemy import Engine

from api.cli import neighbor_files
from api.cli.neighbor_files import SCHEMA, ExportReport, export_neighbors
from retrieval.catalog.reading import Catalog
from retrieval.errors import MissingEmbeddingError, QueryError, UnknownTrackError
from retrieval.filters.language import parse_filter
from retrieval.index.merging import rebuild
from retrieval.search.engine import Search
from retrieval.search.neighbors import neighbor_blocks
from retrieval.search.playlists import playlist
from retrieval.search.recommend import Stop, path
from tests.catalog.test_catalog import analysis
from tests.conftest import Run, loaded

N_TRACKS = 50
BLOCK = 8  # seven parts


@pytest.fixture
def search(engine: Engine, tmp_path: Path, rng: np.random.Generator) -> Search:
    """Fifty tracks, of which the first forty stand in a snapshot and five of these were deleted since."""
    catalog = Catalog(engine)
    made = [replace(analysis(f"t{number}", rng), year=1980 + number) for number in range(N_TRACKS)]
    catalog.store_many(made[:40])
    search = Search(catalog, tmp_path / "index", default_space="e")
    rebuild(search.space())
    catalog.store_many(made[40:])
    for number in range(5):
        catalog.delete(f"t{number}")
    return search


def brute_force(search: Search, k: int, *, among: Callable[[int], bool] = lambda number: True) -> dict[str, list[str]]:
    catalog = search.catalog
    numbers = [number for number in range(5, N_TRACKS) if among(number)]
    vectors = np.stack([catalog.track_vector(catalog.track(f"t{number}").id, "e") for number in numbers])
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    nearest = np.argsort(-cosines, axis=1)[:, : min(k, len(numbers) - 1)]
    return {f"t{number}": [f"t{numbers[one]}" for one in row] for number, row in zip(numbers, nearest, strict=True)}


def written(out: Path) -> dict[str, list[str]]:
    table = pq.read_table(out)
    assert table.schema.equals(SCHEMA)
    lists: dict[str, list[str]] = {}
    for row in table.to_pylist():
        neighbors = lists.setdefault(row["track"], [])
        neighbors.append(row["neighbor"])
        assert row["rank"] == len(neighbors)
        assert 0 <= row["score"] <= 1
    return lists


def export(search: Search, out: Path, k: int, **options: Any) -> ExportReport:
    return export_neighbors(search, out, k=k, block_tracks=BLOCK, **options)


@pytest.mark.parametrize("k", [1, 10, 44, 60])
def test_an_export_equals_brute_force(search: Search, tmp_path: Path, k: int) -> None:
    out = tmp_path / "out.parquet"
    report = export(search, out, k)
    expected = brute_force(search, k)
    assert written(out) == expected
    assert report.rows == sum(map(len, expected.values())) == 45 * min(k, 44)
    assert (report.tracks, report.space, report.resumed_parts) == (45, "e", 0)
    assert pq.ParquetFile(out).num_row_groups == 6
    assert [path.name for path in tmp_path.iterdir() if path.name != "index"] == ["out.parquet"]
    scores = pq.read_table(out)["score"].to_numpy()
    vectors = [search.catalog.track_vector(search.catalog.track(key).id, "e") for key in ("t5", expected["t5"][0])]
    assert scores[0] == pytest.approx((1 + float(vectors[0] @ vectors[1])) / 2, abs=1e-3)


def test_a_filter_narrows_tracks_and_neighbours(search: Search, tmp_path: Path) -> None:
    late = parse_filter({"must": [{"key": "year", "range": {"gte": 2005}}]})
    export(search, tmp_path / "late", 6, condition=late)
    assert written(tmp_path / "late") == brute_force(search, 6, among=lambda number: number >= 25)
    none = parse_filter({"must": [{"key": "year", "match": {"value": 1}}]})
    assert export(search, tmp_path / "none", 6, condition=none).rows == 0
    assert written(tmp_path / "none") == {}


def test_more_equal_tracks_than_neighbours_leave_themselves_out(
    search: Search, tmp_path: Path, rng: np.random.Generator
) -> None:
    twin = analysis("twin", rng)
    search.catalog.store_many([replace(twin, key=f"twin{n}", uri=f"/twin{n}") for n in range(9)])
    export(search, tmp_path / "out", 3)
    lists = written(tmp_path / "out")
    for number in range(9):
        assert len(lists[f"twin{number}"]) == len(set(lists[f"twin{number}"])) == 3
        assert f"twin{number}" not in lists[f"twin{number}"]


def test_blocks_begin_where_they_are_told_to(search: Search) -> None:
    view = search.space().view()
    ids = view.all_track_ids()
    whole = list(neighbor_blocks(view, ids, 4, block_tracks=BLOCK))
    rest = list(neighbor_blocks(view, ids, 4, first=4, block_tracks=BLOCK))
    assert [block.number for block in whole] == list(range(6))
    assert [block.number for block in rest] == [4, 5]
    np.testing.assert_array_equal(np.concatenate([block.track_ids for block in whole]), ids)
    np.testing.assert_array_equal(rest[0].neighbor_ids, whole[4].neighbor_ids)


def stop_after(tracks: int) -> Callable[[int, int], None]:
    def stop(done: int, total: int) -> None:
        assert total == 45
        if done >= tracks:
            raise KeyboardInterrupt

    return stop


def test_a_stopped_export_goes_on(search: Search, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, notes, computed = tmp_path / "out.parquet", list[str](), list[int]()
    with pytest.raises(KeyboardInterrupt):
        export(search, out, 10, on_tracks=stop_after(3 * BLOCK))
    assert not out.exists()
    parts = sorted(path.name for path in (tmp_path / "out.parquet.part").glob("*.parquet"))
    assert parts == ["00000.parquet", "00001.parquet", "00002.parquet"]
    blocks = neighbor_files.neighbor_blocks

    def counted(*arguments: Any, **options: Any) -> Iterator[Any]:
        for block in blocks(*arguments, **options):
            computed.append(block.number)
            yield block

    monkeypatch.setattr(neighbor_files, "neighbor_blocks", counted)
    report = export(search, out, 10, on_note=notes.append)
    assert computed == [3, 4, 5]
    assert report.resumed_parts == 3
    assert notes == [f"going on with the 3 parts in {out}.part"]
    assert written(out) == brute_force(search, 10)


def test_parts_of_another_export_are_of_no_use(search: Search, tmp_path: Path) -> None:
    out, notes = tmp_path / "out", list[str]()
    with pytest.raises(KeyboardInterrupt):
        export(search, out, 10, on_tracks=stop_after(2 * BLOCK))
    with pytest.raises(KeyboardInterrupt):
        export(search, out, 9, on_note=notes.append, on_tracks=stop_after(2 * BLOCK))
    assert "(k 10 is 9 now): starting anew" in notes.pop()
    search.catalog.delete("t30")
    report = export(search, out, 9, on_note=notes.append)
    assert "index_version" in notes[0]
    assert "tracks 45 is 44 now" in notes[0]
    assert report.resumed_parts == 0
    assert "t30" not in written(out)
    (tmp_path / "out.part").mkdir()
    (tmp_path / "out.part" / "state.json").write_text("{")
    assert export(search, out, 9).rows == 44 * 9


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    """What a full disk is like: a write fails, and says so."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_full_disk_leaves_the_parts(search: Search, tmp_path: Path) -> None:
    out = tmp_path / "out"
    export(search, tmp_path / "other", 10)
    with files_of_at_most((tmp_path / "other").stat().st_size - 100), pytest.raises(OSError, match="too large"):
        export(search, out, 10)
    assert not out.exists()
    assert len(list((tmp_path / "out.part").glob("*.parquet"))) == 6
    assert export(search, out, 10).resumed_parts == 6
    assert written(out) == written(tmp_path / "other")


def test_the_command(search: Search, run: Run, tmp_path: Path) -> None:
    here = {"SOUNDALIKE_SPACE": "e"}
    out = tmp_path / "out.parquet"
    report = loaded(run("export-neighbors", out, "--k", "5", "--json", **here))
    assert report["rows"] == 45 * 5
    assert written(out) == brute_force(search, 5)
    late = json.dumps({"must": [{"key": "year", "range": {"gte": 2005}}]})
    shown = run("export-neighbors", out, "--k", "1", "--filter", late, **here).stdout
    assert shown == f"{out}: 25 neighbours of 25 tracks, space e\n"
    assert "there is no folder" in run("export-neighbors", tmp_path / "no" / "way.parquet", expect=1, **here).stderr
    assert "holds no track" in run("export-neighbors", out, "--space", "none", expect=2, **here).stderr
    assert "0" in run("export-neighbors", out, "--k", "0", expect=2, **here).stderr
    with files_of_at_most(200):
        done = run("export-neighbors", tmp_path / "full.parquet", expect=1, **here)
    assert "the parts stay, run the same command to go on" in done.stderr


def test_a_playlist_leads_from_one_to_the_other(search: Search) -> None:
    found = playlist(search, "t7", "t44", 6)
    keys = [track.key for track in found.tracks]
    assert (keys[0], keys[-1], len(set(keys))) == ("t7", "t44", 6)
    assert not {"t0", "t1", "t2", "t3", "t4"} & set(keys)

    stops = {
        track.id: search.catalog.track_vector(track.id, "e")
        for track in search.catalog.list_tracks(after_id=0, limit=99)
    }
    ids, vectors = np.array(list(stops)), np.stack(list(stops.values()))

    def nearest(points: Any, k: int) -> Any:
        order = np.argsort(-points @ vectors.T, axis=1)[:, :k]
        return ids[order], vectors[order]

    first, last = (Stop(found.tracks[place].id, stops[found.tracks[place].id]) for place in (0, -1))
    expected = path(first, last, 6, nearest)
    assert [track.id for track in found.tracks] == expected.track_ids.tolist()
    assert found.cosines == pytest.approx(expected.cosines.tolist(), abs=2e-3)
    assert found.reason is None
    assert playlist(search, "t7", "t44", 60).reason == "only 45 tracks can stand on it"
    same = playlist(search, "t7", "t7", 3)
    assert ([track.key for track in same.tracks], same.reason) == (["t7"], "the path ends where it starts")


def test_playlists_that_cannot_be_are_told(search: Search, rng: np.random.Generator) -> None:
    with pytest.raises(UnknownTrackError, match="t99"):
        playlist(search, "t7", "t99", 3)
    with pytest.raises(QueryError, match="steps: is 1; accepted: 2 to 100"):
        playlist(search, "t7", "t8", 1)
    search.catalog.store(replace(analysis("bare", rng), rows=()))
    with pytest.raises(MissingEmbeddingError, match="'bare'"):
        playlist(search, "t7", "bare", 3)
