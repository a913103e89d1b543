"""The approximate index finds what brute force finds, wherever a filter lies; and it knows when it has not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.index.ann.ann_index import AnnIndex
from retrieval.index.ann.inverted_lists import RowSelection
from retrieval.index.ann.looks import Looks, sooner_scanned
from retrieval.index.ann.stopping import RECALL_TARGET
from retrieval.index.ann.tuning import build
from retrieval.index.kernels import Probes, candidates_needed, for_k, reach_for, reach_of_matching, unsure

DIM = 32
COUNT = 12_000
K = 10


def unit(vectors: NDArray[np.float64]) -> NDArray[np.float32]:
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float16).astype(np.float32)


@pytest.fixture(scope="module")
def vectors() -> NDArray[np.float32]:
    rng = np.random.default_rng(1)
    centres = rng.standard_normal((20, DIM))[rng.integers(20, size=300)] + 0.8 * rng.standard_normal((300, DIM))
    return unit(centres[rng.integers(300, size=COUNT + 100)] + 0.7 * rng.standard_normal((COUNT + 100, DIM)))


@pytest.fixture(scope="module")
def queries(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    return vectors[COUNT:]


@pytest.fixture(scope="module")
def ann(vectors: NDArray[np.float32]) -> AnnIndex:
    return build(vectors[:COUNT])


def recall(
    cosines: NDArray[np.float32], vectors: NDArray[np.float32], queries: NDArray[np.float32], rows: NDArray[np.int64]
) -> float:
    """Share of the K found that are as near as the K-th of brute force."""
    k = min(K, len(rows))
    truth = -np.sort(-(queries @ vectors[rows].T), axis=1)[:, k - 1 : k]
    return float((cosines[:, :k] >= truth - 1e-4).mean())


def test_unfiltered_recall_is_what_was_measured_at_build_time(ann, vectors, queries) -> None:
    rows, cosines = ann.search(queries, K)
    assert recall(cosines, vectors, queries, np.arange(COUNT)) >= RECALL_TARGET - 0.01
    assert ann.tuning.recall >= RECALL_TARGET
    np.testing.assert_allclose(cosines[0], vectors[rows[0]] @ queries[0], atol=1e-3)


def test_an_index_is_tuned_to_the_recall_that_is_asked_for(ann, vectors, queries) -> None:
    fewer = build(vectors[:COUNT], target=0.9)
    assert 0.9 <= fewer.tuning.recall < ann.tuning.recall
    assert fewer.tuning.efforts[0].reaches[0] < ann.tuning.efforts[0].reaches[0]
    _, cosines = fewer.search(queries, K)
    assert recall(cosines, vectors, queries, np.arange(COUNT)) >= 0.88


def selected(kind: str, share: float, vectors: NDArray[np.float32], query: NDArray[np.float32]) -> NDArray[np.int64]:
    size = int(share * COUNT)
    if kind == "random":
        return np.sort(np.random.default_rng(2).choice(COUNT, size, replace=False))
    order = np.argsort(vectors[:COUNT] @ query)
    return np.sort(order[-size:] if kind == "near" else order[:size])


@pytest.mark.parametrize("share", [0.001, 0.01, 0.1, 0.5])
@pytest.mark.parametrize("kind", ["random", "near", "far"])
def test_filtered_recall_does_not_depend_on_where_the_filter_lies(ann, vectors, queries, kind, share) -> None:
    found = []
    for query in queries[:40]:
        rows = selected(kind, share, vectors, query)
        got, cosines = ann.search_selected(query[np.newaxis], K, ann.select(rows))
        assert set(got[0].tolist()) <= set(rows.tolist())
        assert len(set(got[0].tolist())) == min(K, len(rows))
        found.append(recall(cosines, vectors, query[np.newaxis], rows))
    assert np.mean(found) >= RECALL_TARGET


@settings(max_examples=60, deadline=None)
@given(share=st.floats(0.0002, 1.0), k=st.integers(1, 60), seed=st.integers(0, 1_000))
def test_any_selection_fills(share: float, k: int, seed: int, ann: AnnIndex, queries: NDArray[np.float32]) -> None:
    rng = np.random.default_rng(seed)
    rows = np.sort(rng.choice(COUNT, max(1, int(share * COUNT)), replace=False))
    found, cosines = ann.search_selected(queries[:3], k, ann.select(rows))
    assert found.shape == (3, min(k, len(rows)))
    assert np.isin(found, rows).all()
    assert (np.diff(cosines, axis=1) <= 0).all()


def test_a_batch_equals_its_queries(ann, queries) -> None:
    selection = ann.select(np.arange(0, COUNT, 3))
    together = ann.search_selected(queries, K, selection)
    alone = [ann.search_selected(query[np.newaxis], K, selection) for query in queries]
    assert (together[0] == np.concatenate([rows for rows, _ in alone])).all()


def test_rows_that_are_left_out_do_not_come_back(ann, queries) -> None:
    rows, _ = ann.search(queries, K)
    bits = ann.select(np.setdiff1d(np.arange(COUNT), rows)).bits
    assert not np.isin(ann.search(queries, K, bits=bits)[0], rows).any()


def test_stored_vectors_are_the_halves(ann, vectors) -> None:
    rows = np.array([5, 0, 11_999])
    np.testing.assert_array_equal(ann.vectors(rows), vectors[rows])


def test_scanning_is_brute_force(ann, vectors, queries) -> None:
    rows = np.arange(0, COUNT, 7)
    selection = ann.select(rows)
    truth = rows[np.argsort(-(queries @ vectors[rows].T), axis=1, kind="stable")[:, :K]]
    alone = np.concatenate([ann.scan(query[np.newaxis], K, selection)[0] for query in queries])
    for found in (ann.scan(queries, K, selection)[0], alone):
        assert (found == truth).mean() > 0.999  # equal cosines may change places
    assert (ann.scan(queries[:1], K, ann.select(rows[:3]))[0][:, 3:] == -1).all()


def test_lists_of_more_rows_than_match_are_left_for_a_scan(ann) -> None:
    """Two queries that have a list each, one that has them all, of 12,000 rows."""
    numbers = np.concatenate([[0], np.arange(ann.lists.nlist), [1]])
    probes = np.array([0, 1, len(numbers) - 1, len(numbers)]), numbers, np.zeros(len(numbers), np.float32)
    few, many = int(ann.lists.sizes[:2].max()), int(ann.lists.sizes.sum())
    assert sooner_scanned(ann.lists.sizes, probes, 2 * many).tolist() == []
    assert sooner_scanned(ann.lists.sizes, probes, many // 2).tolist() == []  # a query alone saves less
    assert sooner_scanned(ann.lists.sizes, probes, many // 4).tolist() == [1]
    assert few < many // 4
    together = np.arange(0, 9 * ann.lists.nlist, ann.lists.nlist), np.tile(np.arange(ann.lists.nlist), 8), numbers
    assert sooner_scanned(ann.lists.sizes, together, many // 2).tolist() == list(range(8))


def test_rows_that_only_bits_tell(ann) -> None:
    rows = np.array([0, 7, 8, 11_999])
    selection = ann.select(rows)
    assert RowSelection(COUNT, selection.bits).rows.tolist() == rows.tolist() == selection.rows.tolist()
    assert ann.lists.everything.rows.tolist() == list(range(COUNT))


def test_more_rows_need_a_longer_reach() -> None:
    measured = np.array([0.1, 0.2, 0.5], np.float32)
    reaches = [for_k(k, measured) for k in (1, 10, 30, 100, 1_000, 10_000)]
    np.testing.assert_allclose(np.delete(reaches, 2), [0.1, 0.1, 0.2, 0.5, 0.8], rtol=1e-6)
    assert (np.diff(reaches[1:]) > 0).all()


def test_a_reach_holds_the_nearest_list() -> None:
    assert reach_for(10_000, np.array([0.4, 0.3, 0.1], np.float32)) == 0


def test_who_is_unsure() -> None:
    cosines = np.linspace(0.9, 0.5, 12, dtype=np.float32)[np.newaxis].repeat(3, axis=0)
    cosines[2, 11] = -np.inf
    usual = np.array([0.5, 0.6], np.float32)  # the tenth is at 0.57
    assert unsure(cosines, np.array([0, 1, 0]), usual).tolist() == [1, 2]
    assert unsure(cosines[:, :4].copy(), np.zeros(3, int), np.array([0.8], np.float32)).tolist() == [0, 1, 2]


def test_a_filter_lengthens_the_reach_by_what_it_leaves_out() -> None:
    """Four lists of a hundred rows: the nearest has none that match, and of the two next every second does."""
    cosines = np.array([[0.9, 0.8, 0.75, 0.2], [0.1, 0.5, 0.1, 0.1]], np.float32)
    matching, sizes = np.array([0, 50, 50, 1], np.float32), np.full(4, 100, np.float32)
    nearest, reaches = np.array([0.7], np.float32), np.array([[0.1, 0.2, 0.3], [0.3, 0.4, 0.5]], np.float32)
    floors, efforts = reach_of_matching(cosines, matching, sizes, 10, nearest, reaches)
    assert efforts.tolist() == [0, 1]
    twentieth = 0.1 * np.log10(2)
    np.testing.assert_allclose(floors[0], 0.8 - 0.1 - twentieth, rtol=1e-5)  # as for the twentieth row
    np.testing.assert_allclose(floors[1], 0.5 - 0.3 - twentieth, rtol=1e-5)


def test_few_rows_are_compared_without_the_codes(ann, vectors, queries) -> None:
    """That finds at least what is found by codes, where nothing else stops it."""

    def with_rows(direct_rows: int) -> AnnIndex:
        efforts = (replace(e, gaps=(2.0, 2.0, 2.0), direct_rows=direct_rows) for e in ann.tuning.efforts)
        return ann.tuned(replace(ann.tuning, efforts=tuple(efforts)))

    by_codes, at_once = with_rows(0), with_rows(COUNT)
    rows, cosines = at_once.search(queries, K)
    np.testing.assert_allclose(cosines, np.einsum("qkd,qd->qk", vectors[rows], queries), atol=1e-6)
    assert (cosines >= by_codes.search(queries, K)[1] - 1e-6).all()
    selection = ann.select(np.arange(0, COUNT, 3))
    rows, cosines = at_once.search_selected(queries, K, selection)
    assert (rows % 3 == 0).all()
    assert recall(cosines, vectors, queries, np.arange(0, COUNT, 3)) >= RECALL_TARGET


@pytest.mark.parametrize(("few", "factor"), [(40, 8), (100, 4)])
def test_as_many_candidates_as_needed(few: int, factor: int, rng: np.random.Generator) -> None:
    """Of many queries whose rows have known cosines and codes with a known error; the more is known, the surer."""
    n_queries, count = 300, 5_000
    exact = -np.sort(-rng.normal(0.2, 0.1, (n_queries, count)), axis=1).astype(np.float32)
    approximate = (exact + rng.normal(0, 0.05, exact.shape)).astype(np.float32)
    order = np.argsort(-approximate, axis=1)
    approximate, exact = (np.take_along_axis(values, order, 1) for values in (approximate, exact))
    kth = np.sort(exact, axis=1)[:, -K].copy()
    allowed = 0.1
    needed = candidates_needed(approximate[:, :few].copy(), exact[:, :few].copy(), kth, allowed)
    assert needed.min() >= few
    better = exact >= kth[:, None]
    missed = [row[round(n) :].sum() for row, n in zip(better, np.minimum(needed, count), strict=True)]
    assert np.mean(missed) < factor * allowed < better[:, few:].sum(axis=1).mean()
    # Nor so many more than those that miss as little, of all queries alike.
    least = next(n for n in range(few, count, 10) if better[:, n:].sum(axis=1).mean() <= allowed)
    assert np.median(needed) < 4 * least


def test_no_candidate_is_no_miss() -> None:
    approximate, cosines = np.full((1, 8), 0.5, np.float32), np.full((1, 8), 0.5, np.float32)
    cosines[0, 5:] = -np.inf
    assert candidates_needed(approximate, cosines, np.array([0.5], np.float32), 0.01) == 8


@pytest.mark.parametrize("mixed", [0, 2, 4], ids=["noise", "two rows", "four rows"])
def test_queries_unlike_all_rows_are_found_as_well(ann, vectors, mixed: int, rng: np.random.Generator) -> None:
    """Their neighbours lie scattered over far more lists than those of the rows that the search was tuned by."""
    strange = unit(vectors[rng.integers(COUNT, size=(400, mixed))].sum(axis=1) if mixed else noise(rng))
    _, cosines = ann.search(strange, K)
    assert recall(cosines, vectors, strange, np.arange(COUNT)) >= RECALL_TARGET - 0.01
    bits = ann.select(np.arange(0, COUNT, 2)).bits
    assert (ann.search(strange, K, bits=bits)[0] % 2 == 0).all()


def test_what_is_tuned_by_rows_alone_misses_what_strangers_are_like(ann, vectors, rng: np.random.Generator) -> None:
    by_rows = ann.tuned(replace(ann.tuning, efforts=(replace(ann.tuning.efforts[0], usual=-1.0),)))
    strange = unit(noise(rng))
    _, cosines = by_rows.search(strange, K)
    assert recall(cosines, vectors, strange, np.arange(COUNT)) < RECALL_TARGET - 0.01


def noise(rng: np.random.Generator) -> NDArray[np.float64]:
    return rng.standard_normal((400, DIM))


def test_as_many_as_there_are(ann, queries) -> None:
    rows, _ = ann.search(queries[:3], COUNT)
    assert (np.sort(rows, axis=1) == np.arange(COUNT)).all()


def test_a_short_search_is_the_head_of_a_long_one(ann, queries) -> None:
    assert (ann.search(queries, 3)[0] == ann.search(queries, K)[0][:, :3]).all()


def test_more_candidates_are_taken_in_one_look(ann, queries, monkeypatch: pytest.MonkeyPatch) -> None:
    """A first look, none beyond its reach, and one for all the candidates that turn out to be missing."""
    sizes, look = [[] for _ in range(32)], Looks._look

    def noted(self: Looks, selected: NDArray[np.int64] | slice, n: int, probes: Probes) -> object:
        for query in np.arange(32)[selected]:
            sizes[query].append(n)
        return look(self, selected, n, probes)

    monkeypatch.setattr(Looks, "_look", noted)
    efforts = (replace(effort, direct_rows=0, candidates=1, usual=-1.0) for effort in ann.tuning.efforts)
    few = ann.tuned(replace(ann.tuning, efforts=tuple(efforts)))
    few.search_selected(queries[:32], K, ann.select(np.arange(0, COUNT, 2)))
    assert {first for first, *_ in sizes} == {K}
    more = [n for _, *more in sizes for n in more]
    assert len(more) > 16
    assert max(len(taken) for taken in sizes) == 2
    assert {n // K for n in more} <= {4, 8, 16, 32}
