"""What is measured of a space without judgments: by hand, against the benchmarks and trec_eval, and what is refused."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

from benchmarks.encoders import metrics as benchmark
from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import Labels, SpaceEmbedding, TrackAnalysis, TrackSegments
from retrieval.errors import IndexMissingError
from retrieval.evaluation.catalogue import (
    Asking,
    asking_of,
    evaluate_catalogue,
    halves_of,
    measured,
)
from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.measures import metrics, same_label
from retrieval.evaluation.measures.half_tracks import in_halves, ranks_of_own_half, read_halves
from retrieval.evaluation.measures.hubs import Hubs, by_chance, skewness_interval
from retrieval.evaluation.measures.significance import bootstrap, bounds
from retrieval.evaluation.measures.tracks import named_album, named_artist
from retrieval.evaluation.ranking import track_vectors
from retrieval.evaluation.results.report import as_json
from retrieval.index.merging import rebuild
from retrieval.search.engine import Search
from tests.api.test_cli import Run, environment, loaded, run  # noqa: F401

N_TRACKS = 60


def at(degrees: float) -> NDArray[np.float64]:
    """The point of the unit circle at an angle."""
    return np.array([math.cos(math.radians(degrees)), math.sin(math.radians(degrees))])


def embedded(space: str, segments: NDArray[np.float64], *, version: str = "1") -> SpaceEmbedding:
    """A track of one-second segments, one after the other."""
    starts_s = np.arange(len(segments), dtype=np.float64)
    mean = segments.mean(axis=0) if len(segments) else np.array([1.0, 0.0])
    vector = (mean / np.linalg.norm(mean)).astype(np.float32)
    return SpaceEmbedding(space, f"{space}-{version}", vector, segments.astype(np.float32), starts_s, starts_s + 1)


def stored(key: str, *spaces: SpaceEmbedding, artist: str | None = None, album: str | None = None) -> TrackAnalysis:
    return TrackAnalysis(key, f"/{key}", key, 1, 1, 1.0, artist=artist, album=album, spaces=spaces)


CIRCLE: Mapping[str, tuple[Sequence[float], str | None, str | None]] = {
    "a": ([0, 0], "X", "One"),
    "b": ([10, 10], "x ", "one"),
    "c": ([25, 25], "Y", "ONE"),
    "d": ([30, 90], "Y", "Two"),
    "e": ([100, 100], "Various Artists", None),
}
"""Angles of the two segments, artist, album; docs/evaluation.md works with them."""


def search_of(engine: Engine, folder: Path, tracks: Sequence[TrackAnalysis], space: str) -> Search:
    catalog = Catalog(engine)
    catalog.store_many(tracks)
    search = Search(catalog, folder / "index", default_space=space)
    rebuild(search.space())
    return search


@pytest.fixture
def circle(engine: Engine, tmp_path: Path) -> Search:
    tracks = [
        stored(key, embedded("circle", np.stack([at(angle) for angle in angles])), artist=artist, album=album)
        for key, (angles, artist, album) in CIRCLE.items()
    ]
    return search_of(engine, tmp_path, tracks, "circle")


@pytest.fixture
def random(engine: Engine, tmp_path: Path, rng: np.random.Generator) -> Search:
    """Sixty tracks of one to five segments around a point of their artist; some are equal, some name nothing."""
    centres, tracks = rng.standard_normal((8, 6)), []
    for number in range(N_TRACKS):
        n = int(rng.integers(1, 6))
        segments = centres[number % 8] + rng.standard_normal((n, 6))
        if number % 15 == 14:
            segments = segments.repeat(2, axis=0)[:n]
        artist = None if number % 9 == 8 else f"artist {number % 8}"
        album = None if number % 7 == 6 else f"album {number % 8}.{number % 3 // 2}"
        tracks.append(stored(f"t{number}", embedded("r", segments), artist=artist, album=album))
    equal = tracks[5].spaces
    tracks[13], tracks[21] = replace(tracks[13], spaces=equal), replace(tracks[21], spaces=equal)
    search = search_of(engine, tmp_path, tracks[:50], "r")
    search.catalog.store_many(tracks[50:])
    search.catalog.delete("t3")
    return search


def everything(search: Search, *, sample: int = N_TRACKS) -> tuple[Asking, NDArray[np.float32]]:
    view = search.space().view()
    ids = view.all_track_ids()
    return asking_of(search.catalog, ids, sample, 0, "it holds"), track_vectors(view, ids)


# By hand -----------------------------------------------------------------------------------------------------------


def test_the_circle_by_hand(circle: Search) -> None:
    found = evaluate_catalogue(circle)
    means = {name: (one.mean, one.count) for name, one in found.metrics.items()}
    # The second half of d, at 90°, has e's first half, at 100°, before its own, at 30°; all others find their own.
    assert means["half-track recall@1"] == pytest.approx((4 / 5, 5))
    assert means["half-track recall@10"] == pytest.approx((1, 5))
    assert means["half-track MRR"] == pytest.approx(((4 + 1 / 2) / 5, 5))
    # a and b are by X, c and d by Y, and e's artist is none. c has b and a before d; all others find theirs first.
    assert means["same artist mAP"] == pytest.approx(((3 + 1 / 3) / 4, 4))
    assert means["same artist R-precision"] == pytest.approx((3 / 4, 4))
    assert means["same artist recall@10"] == pytest.approx((1, 4))
    # a, b and c are one album: a and b find both others first, c has them at ranks 1 and 2, before d.
    assert means["same album mAP"] == pytest.approx((1, 3))
    # Without their albums, c has only d to rank; d ranks c, b, a. a and b have nothing by X left.
    assert means["same artist on other albums mAP"] == pytest.approx((1, 2))
    chance = found.chance
    assert chance["half-track recall@1"] == pytest.approx(1 / 5)
    assert chance["half-track MRR"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5)
    assert chance["same artist mAP"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert chance["same artist R-precision"] == pytest.approx(1 / 3)
    assert chance["same artist on other albums mAP"] == pytest.approx((1 + (1 + 1 / 2 + 1 / 3) / 3) / 2)
    # Each stands in the lists of all four others.
    assert means["hubness skewness@10"] == means["never listed"] == (0, 5)
    assert means["largest hub"] == pytest.approx((4 / 5, 5))
    assert (found.largest_hub.track, found.largest_hub.lists, found.largest_hub.of) == ("a", 4, 5)
    assert (found.without_artist, found.without_album, found.queries, found.warnings) == (1, 1, 5, [])
    assert json.loads(json.dumps(as_json(found), allow_nan=False))["chance"]["largest hub"] is None


def test_which_segments_are_of_a_half() -> None:
    def halves(*spans_s: tuple[float, float]) -> list[list[bool]]:
        starts_s, ends_s = np.array(spans_s).T
        return [half.tolist() for half in in_halves(TrackSegments(1, starts_s, ends_s, np.ones((len(spans_s), 2))))]

    # The middle of 25 s is 12.5 s: the second segment is of neither half.
    assert halves((0, 10), (10, 20), (15, 25)) == [[True, False, False], [False, False, True]]
    assert halves((0, 10), (10, 20)) == [[True, False], [False, True]]
    assert halves((0, 10), (5, 15)) == [[False, False], [False, False]]
    assert halves((0, 3)) == [[False], [False]]


def test_halves_are_directions_of_means(engine: Engine) -> None:
    catalog = Catalog(engine)
    segments = np.array([[1, 0], [0, 3], [9, 9], [0, -2], [0, -4.0]])  # the third straddles the middle
    catalog.store_many(
        [
            stored("whole", embedded("s", segments)),
            stored("single", embedded("s", segments[:1])),
            stored("none", embedded("s", segments[:0])),
            stored("nowhere", embedded("s", np.array([[1, 0], [-1, 0], [1, 0], [1, 0.0]]))),
            stored("older", embedded("s", segments, version="0")),
        ]
    )
    starts_s = np.array([0.0, 0.5])
    half_over = SpaceEmbedding("s", "s-1", np.ones(2, np.float32), np.ones((2, 2), np.float32), starts_s, starts_s + 1)
    catalog.store(stored("straddled", half_over))
    ids = np.arange(1, 7)
    halves = read_halves(catalog, "s", "s-1", ids)
    assert halves.track_ids.tolist() == [1]
    np.testing.assert_allclose(halves.first, [[1 / math.sqrt(10), 3 / math.sqrt(10)]], rtol=1e-6)
    np.testing.assert_allclose(halves.second, [[0, -1]], atol=1e-7)
    assert (halves.without_segments, halves.of_one_segment, halves.without_a_whole_half) == (2, 1, 2)


def test_measures_of_ranks_by_hand() -> None:
    ranks = np.array([1, 3, 12])
    assert same_label.average_precision(ranks) == pytest.approx((1 / 1 + 2 / 3 + 3 / 12) / 3)
    assert same_label.r_precision(ranks) == pytest.approx(2 / 3)
    assert same_label.recall_at(10, ranks) == pytest.approx(2 / 3)


def test_hubs_by_hand() -> None:
    # The diagonal is nearest to all three axes, and has the first of them nearest: it occurs 3 times, the axes 1, 0, 0.
    found = Hubs(np.array([[11], [10], [10], [10]]), np.array([10, 11, 12, 13]))
    assert found.counts.tolist() == [3, 1, 0, 0]
    assert found.largest == (10, 3)
    assert found.never_listed.tolist() == [0, 0, 1, 1]
    assert found.holds_largest.tolist() == [0, 1, 1, 1]
    assert skewness_interval(found.counts).mean == pytest.approx(1.5 / 1.5**1.5)
    assert by_chance(4, 4, k=1) == pytest.approx(((1 / 3) / math.sqrt(3 * 1 / 3 * 2 / 3), (2 / 3) ** 3))


@pytest.mark.parametrize(("artist", "named"), [("Björk ", "björk"), ("<unknown>", ""), ("VARIOUS", ""), (None, "")])
def test_names_that_name_no_artist(artist: str | None, named: str) -> None:
    assert named_artist(Labels("key", artist, None)) == named
    assert named_album(Labels("key", None, artist)) == (artist or "").strip().casefold()


def test_intervals_of_a_mean_are_the_same_by_both_ways(rng: np.random.Generator) -> None:
    values = rng.random((3_000, 1))
    interval = bootstrap(values, seed=3)[0]
    assert bounds(lambda rows: values[rows, 0].mean(axis=1), len(values), seed=3) == pytest.approx(
        (interval.low, interval.high), abs=1e-12
    )
    assert all(map(math.isnan, bounds(lambda rows: rows.mean(axis=1), 0)))


# Congruence --------------------------------------------------------------------------------------------------------


def test_the_benchmarks_find_the_same(random: Search) -> None:
    """The benchmark ranks everything by the index's exact search; equal vectors are among these."""
    found = evaluate_catalogue(random)
    asking, vectors = everything(random)
    halves = read_halves(random.catalog, "r", "r-1", asking.track_ids)
    assert 20 < len(halves.track_ids) < len(asking.track_ids) == 59
    half_ranks = benchmark.ranks_of_own_half(halves.first, halves.second)
    others = benchmark.ranking_of_others(vectors)
    expected = {
        "half-track recall@1": benchmark.recall_at(1, half_ranks),
        "half-track recall@10": benchmark.recall_at(10, half_ranks),
        "hubness skewness@10": benchmark.hubness(others),
        "same artist mAP": _by_benchmark(vectors, asking.artists),
        "same artist on other albums mAP": _by_benchmark(vectors, asking.artists, asking.albums),
        "same album mAP": _by_benchmark(vectors, asking.albums),
    }
    for name, one in expected.items():
        got = found.metrics[name]
        assert (got.mean, got.count, found.chance[name]) == pytest.approx((one.value, one.count, one.chance)), name
        # Of equal tracks at a list's end either may stand in it: that changes who is drawn in the resamples of hubness.
        rounding = 0.01 if name.startswith("hubness") else 1e-12
        assert (got.low, got.high) == pytest.approx((one.low, one.high), abs=rounding), name
    assert found.metrics["largest hub"].mean == np.bincount(others[:, :10].ravel()).max() / 59


def _by_benchmark(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], apart: NDArray[np.int64] | None = None
) -> benchmark.Estimate:
    rows = np.flatnonzero((labels >= 0) if apart is None else (labels >= 0) & (apart >= 0))
    others = benchmark.ranking_of_others(vectors[rows])
    groups = None if apart is None else list(map(str, apart[rows]))
    return benchmark.mean_average_precision(benchmark.relevance(others, list(map(str, labels[rows])), apart=groups))


def test_half_ranks_are_those_of_the_index(random: Search) -> None:
    asking, _ = everything(random)
    halves = read_halves(random.catalog, "r", "r-1", asking.track_ids)
    n = len(halves.track_ids)
    own = benchmark.ranking(halves.second, halves.first) == np.arange(n)[:, np.newaxis]
    np.testing.assert_array_equal(ranks_of_own_half(halves.first, halves.second), own.argmax(axis=1) + 1)
    some = np.array([3, 7, n - 1])
    np.testing.assert_array_equal(ranks_of_own_half(halves.first, halves.second, some), own.argmax(axis=1)[some] + 1)


def test_trec_eval_finds_the_same(random: Search) -> None:
    asking, vectors = everything(random)
    rows = np.flatnonzero(asking.artists >= 0)
    artists, others = asking.artists[rows], benchmark.ranking_of_others(vectors[rows])
    relevant = artists[:, np.newaxis] == artists
    np.fill_diagonal(relevant, val=False)
    counted = np.flatnonzero(relevant.any(axis=1))
    query_no, documents = np.nonzero(relevant[counted])
    ranked = metrics.ranked(others[counted], query_no, documents, np.ones(len(documents), np.int64))
    expected = metrics.evaluate(ranked, metrics.parsed(["AP", "Rprec", "R@10"], len(rows)))
    found = same_label.values(same_label.placed(vectors, asking.artists, rows[counted]))
    for name, trec_name in (("mAP", "AP"), ("R-precision", "Rprec"), ("recall@10", "R@10")):
        np.testing.assert_allclose(found[name], expected[trec_name], atol=1e-12)


def test_a_sample_asks_and_all_are_found(random: Search) -> None:
    view = random.space().view()
    every, _ = everything(random)
    some, _ = everything(random, sample=20)
    halves = halves_of(random.catalog, "r", view, every.track_ids)
    whole, part = measured(view, halves, every), measured(view, halves, some)
    assert (len(some.rows), len(some.track_ids)) == (20, 59)
    for name, values in part.per_query.items():
        np.testing.assert_array_equal(values, whole.per_query[name][some.rows], err_msg=name)
    np.testing.assert_array_equal(part.lists, whole.lists[some.rows])
    assert evaluate_catalogue(random, sample=20, seed=0).queries == 20
    assert part.hubs.counts.sum() == 20 * 10


def test_hubs_by_chance_are_those_of_drawn_lists(rng: np.random.Generator) -> None:
    n, asking = 60, 30
    drawn = [
        Hubs(np.stack([rng.permutation(np.delete(np.arange(n), query))[:10] for query in range(asking)]), np.arange(n))
        for _ in range(200)
    ]
    skew, never = by_chance(asking, n)
    assert np.mean([skewness_interval(one.counts, seed=0).mean for one in drawn[:100]]) == pytest.approx(skew, abs=0.06)
    assert np.mean([one.never_listed.mean() for one in drawn]) == pytest.approx(never, abs=0.002)


# What cannot be measured -------------------------------------------------------------------------------------------


def test_tracks_without_halves_and_labels_are_said(engine: Engine, tmp_path: Path) -> None:
    tracks = [stored(str(angle), embedded("s", at(angle)[np.newaxis])) for angle in (0, 10, 20)]
    found = evaluate_catalogue(search_of(engine, tmp_path, tracks, "s"))
    assert found.warnings[0] == "3 tracks have a single segment: half-track retrieval leaves them out"
    assert [warning.partition(":")[0] for warning in found.warnings[1:]] == [
        "same artist",
        "same artist on other albums",
        "same album",
    ]
    assert math.isnan(found.metrics["half-track recall@1"].mean)
    assert found.metrics["same artist mAP"].count == 0
    assert found.metrics["largest hub"].count == 3
    assert found.without_halves.of_one_segment == 3


def test_what_is_refused(engine: Engine, tmp_path: Path) -> None:
    nothing = embedded("s", np.empty((0, 2)))
    search = search_of(engine, tmp_path, [stored("a", nothing), stored("b", nothing)], "s")
    with pytest.raises(IndexMissingError, match=r"space 'x' holds no track; spaces that do: s"):
        evaluate_catalogue(search, space="x")
    with pytest.raises(EvaluationError, match=r"space 's': none of its 2 tracks has a segment.*accepted: .*--space s"):
        evaluate_catalogue(search)
    search.catalog.delete("b")
    with pytest.raises(
        EvaluationError, match=r"space 's' holds 1 track: nothing has a neighbour; accepted: at least 2"
    ):
        evaluate_catalogue(search)


def test_the_command(run: Run, music: Path, tmp_path: Path) -> None:  # noqa: F811
    run("index", music)
    found = loaded(run("evaluate", "catalogue", "--json", "--sample", "5", "--out", tmp_path / "out"))
    assert (found["kind"], found["queries"], found["subject"]["tracks"]) == ("catalogue", 5, 12)
    assert found["metrics"]["half-track recall@1"]["mean"] is None
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert written["metrics"] == found["metrics"]
    shown = run("evaluate", "catalogue", "--out", tmp_path / "out").stdout
    assert "musicnn" in shown
    assert "hubness skewness@10 (lower is better)" in shown
    assert "largest hub of musicnn: music/" in shown
    assert "note: 12 tracks have a single segment" in shown
    assert "results.json" in shown
    refused = run("evaluate", "catalogue", "--space", "clmr", expect=1).stderr
    assert "space 'clmr' holds no track; spaces that do: musicnn" in refused
    assert "--sample" in run("evaluate", "catalogue", "--sample", "1", expect=2).stderr
