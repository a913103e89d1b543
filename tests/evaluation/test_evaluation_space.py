"""What is measured of a space without judgments: by hand, against exact search and trec_eval, and what is refused."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlalchemy import Engine

from retrieval.catalog.reading import Catalog
from retrieval.catalog.records import Labels, SpaceEmbedding, TrackAnalysis, TrackSegments
from retrieval.errors import IndexMissingError
from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.measures import metrics, same_label
from retrieval.evaluation.measures.beyond_accuracy import skewnesses
from retrieval.evaluation.measures.half_tracks import WithoutHalves, in_halves, ranks_of_own_half, read_halves
from retrieval.evaluation.measures.hubs import by_chance
from retrieval.evaluation.measures.labels import named_album, named_artist
from retrieval.evaluation.measures.significance import bounds
from retrieval.evaluation.ranking import track_vectors
from retrieval.evaluation.results.runs import as_json
from retrieval.evaluation.space import (
    QuerySample,
    draw_queries,
    evaluate_space,
    halves_of,
    measure_space,
)
from retrieval.folding import folded
from retrieval.index.merging import rebuild
from retrieval.search.engine import Search
from tests.evaluation.exact_rankings import ranking, ranking_of_others, relevance

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
    return TrackAnalysis(key, f"/{key}", key, 1, 1, 1.0, artist=artist, album=album, rows=spaces)


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
    equal = tracks[5].rows
    tracks[13], tracks[21] = replace(tracks[13], rows=equal), replace(tracks[21], rows=equal)
    search = search_of(engine, tmp_path, tracks[:50], "r")
    search.catalog.store_many(tracks[50:])
    search.catalog.delete("t3")
    return search


def everything(search: Search, *, sample: int = N_TRACKS) -> tuple[QuerySample, NDArray[np.float32]]:
    view = search.space().view()
    ids = view.all_track_ids()
    return draw_queries(search.catalog, ids, sample, 0, "it holds"), track_vectors(view, ids)


# By hand -----------------------------------------------------------------------------------------------------------


def test_the_circle_by_hand(circle: Search) -> None:
    found = evaluate_space(circle)
    means = {name: (one.mean, one.count) for name, one in found.metrics.items()}
    # The second half of d, at 90°, has e's first half, at 100°, before its own, at 30°; all others find their own.
    assert means["half-track recall@1"] == pytest.approx((4 / 5, 5))
    assert means["half-track recall@10"] == pytest.approx((1, 5))
    assert means["half-track MRR"] == pytest.approx(((4 + 1 / 2) / 5, 5))
    # a and b are by X, c and d by Y, and e's artist is none. c has b and a before d; all others find theirs first.
    assert means["same artist mAP"] == pytest.approx(((3 + 1 / 3) / 4, 4))
    assert means["same artist precision@1"] == means["same artist R-precision"] == pytest.approx((3 / 4, 4))
    assert means["same artist recall@10"] == pytest.approx((1, 4))
    # a, b and c are one album: a and b find both others first, c has them at ranks 1 and 2, before d.
    assert means["same album mAP"] == means["same album precision@1"] == pytest.approx((1, 3))
    # Without their albums, c has only d to rank; d ranks c, b, a. a and b have nothing by X left.
    assert means["same artist on other albums mAP"] == pytest.approx((1, 2))
    chance = found.chance
    assert chance["half-track recall@1"] == pytest.approx(1 / 5)
    assert chance["half-track MRR"] == pytest.approx((1 + 1 / 2 + 1 / 3 + 1 / 4 + 1 / 5) / 5)
    assert chance["same artist mAP"] == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)
    assert chance["same artist precision@1"] == chance["same artist R-precision"] == pytest.approx(1 / 3)
    assert chance["same artist on other albums mAP"] == pytest.approx((1 + (1 + 1 / 2 + 1 / 3) / 3) / 2)
    # Each stands in the lists of all four others.
    assert means["hubness skewness@10"] == means["never listed"] == (0, 5)
    assert means["largest hub"] == pytest.approx((4 / 5, 5))
    assert (found.largest_hub.track, found.largest_hub.lists, found.largest_hub.of) == ("a", 4, 5)
    assert found.largest_hub.share == 4 / 5
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
    assert halves.without == WithoutHalves(without_segments=2, of_one_segment=1, without_a_whole_half=2)


def test_of_several_artists_the_first_is_named() -> None:
    assert named_artist(Labels("key", "Various Artists; Björk; Alice", None)) == "bjork"


@pytest.mark.parametrize(("artist", "named"), [("Björk ", "bjork"), ("<unknown>", ""), ("VARIOUS", ""), (None, "")])
def test_names_that_name_no_artist(artist: str | None, named: str) -> None:
    assert named_artist(Labels("key", artist, None)) == named
    assert named_album(Labels("key", None, artist)) == folded((artist or "").strip())


# Congruence --------------------------------------------------------------------------------------------------------


def test_rankings_by_exact_search_give_the_same(random: Search) -> None:
    """Everything ranked by the index's exact search; equal vectors are among these."""
    found = evaluate_space(random)
    sample, vectors = everything(random)
    halves = read_halves(random.catalog, "r", "r-1", sample.track_ids)
    assert 20 < len(halves.track_ids) < len(sample.track_ids) == 59
    ranks, n = ranks_of_own_half(halves.first, halves.second), len(halves.track_ids)
    lists = ranking_of_others(vectors)[:, :10]
    occurrences = np.bincount(lists.ravel(), minlength=59).astype(np.float64)
    expected = {
        "half-track recall@1": estimate((ranks <= 1).astype(np.float64), 1 / n),
        "half-track recall@10": estimate((ranks <= 10).astype(np.float64), 10 / n),
        "hubness skewness@10": estimate(occurrences, by_chance(59, 59)[0], skewnesses),
        "same artist mAP": mean_average_precision(vectors, sample.artists),
        "same artist on other albums mAP": mean_average_precision(vectors, sample.artists, sample.albums),
        "same album mAP": mean_average_precision(vectors, sample.albums),
    }
    for name, (value, count, chance, *bounds_there) in expected.items():
        got = found.metrics[name]
        assert (got.mean, got.count, found.chance[name]) == pytest.approx((value, count, chance)), name
        # Of equal tracks at a list's end either may stand in it: that changes who is drawn in the resamples of hubness.
        rounding = 0.01 if name.startswith("hubness") else 1e-12
        assert (got.low, got.high) == pytest.approx(tuple(bounds_there), abs=rounding), name
    assert found.metrics["largest hub"].mean == occurrences.max() / 59


def estimate(
    values: NDArray[np.float64],
    chance: float,
    statistic: Callable[[NDArray[np.float64]], NDArray[np.float64]] = lambda rows: rows.mean(axis=-1),
) -> tuple[float, ...]:
    """A statistic of values, how many there are, its level by chance, and its bounds."""
    return float(statistic(values)), len(values), chance, *bounds(lambda rows: statistic(values[rows]), len(values))


def mean_average_precision(
    vectors: NDArray[np.float32], labels: NDArray[np.int64], apart: NDArray[np.int64] | None = None
) -> tuple[float, ...]:
    rows = np.flatnonzero((labels >= 0) if apart is None else (labels >= 0) & (apart >= 0))
    groups = None if apart is None else apart[rows].tolist()
    ranked = relevance(ranking_of_others(vectors[rows]), labels[rows].tolist(), apart=groups)
    by_chance = [same_label.average_precision_by_chance(int(row.sum()), len(row)) for row in ranked]
    values = [same_label.average_precision(np.flatnonzero(row) + 1) for row in ranked]
    return estimate(np.array(values), float(np.mean(by_chance)))


def test_half_ranks_are_those_of_the_index(random: Search) -> None:
    sample, _ = everything(random)
    halves = read_halves(random.catalog, "r", "r-1", sample.track_ids)
    n = len(halves.track_ids)
    own = ranking(halves.second, halves.first) == np.arange(n)[:, np.newaxis]
    np.testing.assert_array_equal(ranks_of_own_half(halves.first, halves.second), own.argmax(axis=1) + 1)
    some = np.array([3, 7, n - 1])
    np.testing.assert_array_equal(ranks_of_own_half(halves.first, halves.second, some), own.argmax(axis=1)[some] + 1)


def test_trec_eval_finds_the_same(random: Search) -> None:
    sample, vectors = everything(random)
    rows = np.flatnonzero(sample.artists >= 0)
    artists, others = sample.artists[rows], ranking_of_others(vectors[rows])
    relevant = artists[:, np.newaxis] == artists
    np.fill_diagonal(relevant, val=False)
    counted = np.flatnonzero(relevant.any(axis=1))
    query_no, documents = np.nonzero(relevant[counted])
    ranked = metrics.ranked(others[counted], query_no, documents, np.ones(len(documents), np.int64))
    expected = metrics.evaluate(ranked, metrics.parsed(["AP", "Rprec", "R@10", "P@1", "P@10"], len(rows)))
    found = same_label.values(same_label.placed(vectors, sample.artists, rows[counted]))
    names = {"mAP": "AP", "R-precision": "Rprec", "recall@10": "R@10", "precision@1": "P@1", "precision@10": "P@10"}
    assert found.keys() == names.keys()
    for name, trec_name in names.items():
        np.testing.assert_allclose(found[name], expected[trec_name], atol=1e-12)


def test_a_sample_asks_and_all_are_found(random: Search) -> None:
    view = random.space().view()
    every, _ = everything(random)
    some, _ = everything(random, sample=20)
    halves = halves_of(random.catalog, "r", view, every.track_ids)
    whole, part = measure_space(view, halves, every), measure_space(view, halves, some)
    assert (len(some.rows), len(some.track_ids)) == (20, 59)
    for name, values in part.per_query.items():
        np.testing.assert_array_equal(values, whole.per_query[name][some.rows], err_msg=name)
    np.testing.assert_array_equal(part.lists, whole.lists[some.rows])
    found = evaluate_space(random, sample=20, seed=0)
    assert found.queries == 20
    assert part.hubs.counts.sum() == 20 * 10
    # The share of the lists that there are, of those who ask, for the track that stands in the most of these.
    in_lists = np.bincount(part.lists.ravel(), minlength=N_TRACKS + 1)
    assert (found.largest_hub.lists, found.largest_hub.of) == (in_lists.max(), 20)
    assert found.largest_hub.share == pytest.approx(found.metrics["largest hub"].mean)
    assert found.metrics["largest hub"].count == 20


# What cannot be measured -------------------------------------------------------------------------------------------


def test_tracks_without_halves_and_labels_are_said(engine: Engine, tmp_path: Path) -> None:
    tracks = [stored(str(angle), embedded("s", at(angle)[np.newaxis])) for angle in (0, 10, 20)]
    found = evaluate_space(search_of(engine, tmp_path, tracks, "s"))
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
        evaluate_space(search, space="x")
    with pytest.raises(EvaluationError, match=r"space 's': none of its 2 tracks has a segment.*accepted: .*--space s"):
        evaluate_space(search)
    search.catalog.delete("b")
    with pytest.raises(
        EvaluationError, match=r"space 's' holds 1 track: nothing has a neighbour; accepted: at least 2"
    ):
        evaluate_space(search)
