"""Reranking against its definitions written plainly, and versions of one recording."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from retrieval.search.diversity import ArtistAlbum, at_most_each, mmr, queue
from retrieval.search.versions import MAX_SHIFT, MIN_AGREEMENT, SURE_COSINE, agreement, fold_duplicates

NAMES = st.sampled_from([None, "", "A", "a", "B", "C"])
TRACKS = st.lists(st.tuples(NAMES, NAMES), max_size=20)


def candidates(seed: int, count: int = 25, dim: int = 4) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    """Unit vectors and descending scores with ties."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, dim))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors.astype(np.float32), np.sort(rng.integers(0, 10, count) / 10)[::-1]


def fold(name: str | None) -> str | None:
    return name.casefold() if name else None


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(0, 30))
@settings(deadline=None)
def test_mmr_makes_the_greedy_choice_at_every_step(seed: int, trade_off: float, limit: int) -> None:
    vectors, scores = candidates(seed)
    picked = mmr(vectors, scores, trade_off=trade_off, limit=limit).tolist()
    assert len(picked) == len(set(picked)) == min(limit, len(vectors))
    for number, chosen in enumerate(picked):
        before = picked[:number]
        values = {
            one: (1 - trade_off) * scores[one]
            - trade_off * max(((1 + float(vectors[one] @ vectors[other])) / 2 for other in before), default=0.0)
            for one in range(len(vectors))
            if one not in before
        }
        assert values[chosen] >= max(values.values()) - 1e-6


@given(st.integers(0, 2**32 - 1))
def test_mmr_without_diversity_keeps_the_order(seed: int) -> None:
    vectors, scores = candidates(seed)
    assert mmr(vectors, scores, trade_off=0.0, limit=25).tolist() == list(range(25))


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.integers(0, 30))
@settings(deadline=None)
def test_mmr_goes_on_as_it_began(seed: int, trade_off: float, limit: int) -> None:
    vectors, scores = candidates(seed)
    whole = mmr(vectors, scores, trade_off=trade_off, limit=len(vectors)).tolist()
    assert mmr(vectors, scores, trade_off=trade_off, limit=limit).tolist() == whole[:limit]


def test_mmr_by_diversity_alone_starts_with_the_best_and_goes_far() -> None:
    angles = np.radians([0, 5, 10, 180, 90])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    picked = mmr(vectors, np.linspace(1, 0, 5), trade_off=1.0, limit=3)
    assert picked.tolist() == [0, 3, 4]
    assert picked.dtype == np.int64


def test_mmr_takes_ties_by_position() -> None:
    vectors = np.tile(np.array([[1, 0]], np.float32), (4, 1))
    assert mmr(vectors, np.full(4, 0.5), trade_off=0.5, limit=9).tolist() == [0, 1, 2, 3]


@given(st.lists(NAMES, max_size=30), st.integers(1, 4))
def test_a_limit_keeps_the_first_of_every_group(groups: list[str | None], limit: int) -> None:
    kept, dropped = at_most_each({"artist": groups}, {"artist": limit})
    assert kept.dtype == np.bool_
    expected = [
        fold(name) is None or sum(fold(other) == fold(name) for other in groups[:row]) < limit
        for row, name in enumerate(groups)
    ]
    assert kept.tolist() == expected
    assert sum(dropped.values()) == expected.count(False)


def test_what_one_limit_drops_takes_no_room_in_another() -> None:
    groups = {"artist": ["A", "A", "B", "B"], "album": ["x", "y", "y", "x"]}
    kept, dropped = at_most_each(groups, {"artist": 1, "album": 1})
    # The second is dropped for its artist, so its album is still free for the third.
    assert kept.tolist() == [True, False, True, False]
    assert dropped == {"artist": 2}
    kept, dropped = at_most_each(groups, {"album": 1})
    assert kept.tolist() == [True, True, False, False]
    assert dropped == {"album": 2}


def test_each_of_several_artists_counts() -> None:
    groups = ["Alice; Bob", "bob", "Carol; Dora", "Dora", "Alice; Emil", "Emil", None, "B; o; b"]
    kept, dropped = at_most_each({"artist": groups}, {"artist": 1})
    # What is dropped for Alice leaves Emil's place free.
    assert kept.tolist() == [True, False, True, False, False, True, True, True]
    assert dropped == {"artist": 3}
    assert at_most_each({"album": ["x; y", "y"]}, {"album": 1})[0].tolist() == [True, True]  # an album is one
    tracks: list[ArtistAlbum] = [("Alice; Bob", None), ("BOB; Carol", None), ("Dora", None)]
    positions, left_out = queue(tracks, [("Alice", "x")], (1, 0), limit=3)
    assert positions.tolist() == [1, 2, 0]
    assert left_out == {}


def test_no_limit_keeps_all() -> None:
    kept, dropped = at_most_each({"artist": ["A", "A"]}, {})
    assert kept.tolist() == [True, True]
    assert dropped == {}
    assert at_most_each({"artist": []}, {"artist": 1})[0].shape == (0,)


def stands(track: ArtistAlbum, before: Sequence[ArtistAlbum], gaps: tuple[int, int]) -> bool:
    def repeats(part: int, gap: int) -> bool:
        recent = before[-gap:] if gap else []
        return fold(track[part]) is not None and fold(track[part]) in {fold(other[part]) for other in recent}

    return not repeats(0, gaps[0]) and not repeats(1, gaps[1])


@given(TRACKS, TRACKS, st.integers(0, 4), st.integers(0, 4), st.integers(0, 25))
@settings(deadline=None)
def test_every_slot_takes_the_best_that_may_stand_there(
    tracks: list[ArtistAlbum], previous: list[ArtistAlbum], artist_gap: int, album_gap: int, limit: int
) -> None:
    gaps = artist_gap, album_gap
    positions, left_out = queue(tracks, previous, gaps, limit=limit)
    left, played = list(range(len(tracks))), list(previous)
    for position in positions.tolist():
        assert position == next(one for one in left if stands(tracks[one], played, gaps))
        left.remove(position)
        played.append(tracks[position])
    if len(positions) < limit:
        assert not any(stands(tracks[one], played, gaps) for one in left)
        assert sum(left_out.values()) == len(left)
    assert set(left_out) <= {"artist_gap", "album_gap"}


def test_a_candidate_waits_for_its_slot() -> None:
    tracks: list[ArtistAlbum] = [("A", "x"), ("a", "y"), ("B", "x"), ("C", None), ("A", "z")]
    positions, left_out = queue(tracks, [("Z", "w")], (2, 0), limit=5)
    assert positions.tolist() == [0, 2, 3, 1]
    assert left_out == {"artist_gap": 1}


def test_what_played_before_counts() -> None:
    tracks: list[ArtistAlbum] = [("A", "x"), ("B", "y"), ("C", "v")]
    previous: list[ArtistAlbum] = [("B", "w"), ("D", "X"), ("E", "u")]
    positions, left_out = queue(tracks, previous, (3, 2), limit=3)
    assert positions.tolist() == [2, 0, 1]
    assert left_out == {}
    positions, left_out = queue(tracks[:2], previous, (3, 2), limit=3)
    assert positions.tolist() == []
    assert left_out == {"album_gap": 1, "artist_gap": 1}


def test_a_limit_leaves_out_only_what_had_a_turn() -> None:
    tracks: list[ArtistAlbum] = [("A", None), ("A", None), ("B", None), ("C", None), ("A", None)]
    positions, left_out = queue(tracks, [], (5, 0), limit=2)
    assert positions.tolist() == [0, 2]
    assert left_out == {"artist_gap": 1}


def at_cosine(cosine: float) -> list[float]:
    return [cosine, (1 - cosine**2) ** 0.5, 0.0]


def folded(
    cosines: Sequence[float], durations_s: Sequence[float], fingerprints: list[NDArray[np.int32] | None] | None = None
) -> list[int]:
    """Candidates in one plane, at these cosines to the first."""
    vectors = np.array([at_cosine(cosine) for cosine in cosines], np.float32)

    def known(positions: NDArray[np.int64]) -> list[NDArray[np.int32] | None]:
        assert fingerprints is not None
        return [fingerprints[position] for position in positions]

    return list(fold_duplicates(vectors, np.array(durations_s, np.float64), known if fingerprints else None))


@pytest.mark.parametrize(
    ("cosine", "durations_s", "same"),
    [
        (0.999, (100.0, 101.9), True),
        (0.999, (100.0, 102.1), False),
        (0.999, (600.0, 605.9), True),
        (0.999, (605.9, 600.0), True),
        (0.999, (600.0, 607.0), False),
        (0.97, (100.0, 100.0), False),
    ],
)
def test_versions_sound_alike_and_last_as_long(cosine: float, durations_s: tuple[float, float], same: bool) -> None:
    assert folded([1.0, cosine], durations_s) == [0, 0 if same else 1]


def test_a_chain_of_likenesses_does_not_fold_its_ends() -> None:
    # 9° and 18°: each is like its neighbour (cosine 0.988), the ends are not (0.951).
    assert folded(np.cos(np.radians([0, 9, 18])).tolist(), [100.0] * 3) == [0, 0, 2]


def test_fingerprints_decide_where_both_have_one(rng: np.random.Generator) -> None:
    one, other = (rng.integers(-(2**31), 2**31, 400).astype(np.int32) for _ in range(2))
    assert folded([1.0] * 4, [100.0] * 4, [one, other, one, None]) == [0, 1, 0, 0]
    assert folded([1.0] * 3, [100.0] * 3, [None, other, one]) == [0, 0, 0]


def test_fingerprints_are_asked_once_and_only_of_what_sounds_alike() -> None:
    asked: list[list[int]] = []

    def known(positions: NDArray[np.int64]) -> list[NDArray[np.int32] | None]:
        asked.append(positions.tolist())
        return [None] * len(positions)

    vectors = np.array([at_cosine(cosine) for cosine in (1.0, 0.5, 0.999, 0.0, 0.501)], np.float32)
    assert fold_duplicates(vectors, np.full(5, 100.0), known).tolist() == [0, 1, 0, 3, 1]
    assert fold_duplicates(vectors[[0, 1, 3]], np.full(3, 100.0), known).tolist() == [0, 1, 2]
    assert asked == [[0, 1, 2, 4]]


def test_without_fingerprints_more_likeness_may_be_asked_for() -> None:
    angles = np.arccos([1.0, 0.996, 0.99])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    durations_s, same = np.full(3, 100.0), np.arange(200, dtype=np.int32)
    assert fold_duplicates(vectors, durations_s).tolist() == [0, 0, 0]
    assert fold_duplicates(vectors, durations_s, min_cosine_alone=SURE_COSINE).tolist() == [0, 0, 2]
    heard = fold_duplicates(vectors, durations_s, lambda asked: [same] * len(asked), min_cosine_alone=SURE_COSINE)
    assert heard.tolist() == [0, 0, 0]


def test_agreement_is_the_share_of_equal_bits(rng: np.random.Generator) -> None:
    words = rng.integers(-(2**31), 2**31, 300).astype(np.int32)
    assert agreement(words, words) == 1.0
    assert agreement(words, words ^ np.int32(0b111)) == pytest.approx(1 - 3 / 32)
    assert agreement(words, rng.integers(-(2**31), 2**31, 300).astype(np.int32)) == pytest.approx(0.5, abs=0.05)
    assert agreement(words, np.empty(0, np.int32)) == 0.0


@pytest.mark.parametrize("shift", [1, MAX_SHIFT])
def test_agreement_forgives_a_later_start(rng: np.random.Generator, shift: int) -> None:
    words = rng.integers(-(2**31), 2**31, 300).astype(np.int32)
    assert agreement(words, words[shift:]) == agreement(words[shift:], words) == 1.0
    assert agreement(words, words[MAX_SHIFT + 1 :]) < MIN_AGREEMENT


def test_agreement_needs_half_of_the_shorter_to_compare(rng: np.random.Generator) -> None:
    words, others = rng.integers(-(2**31), 2**31, (2, 100)).astype(np.int32)
    assert agreement(words, np.concatenate([words[40:], others[:40]])) == 1.0
    assert agreement(words, np.concatenate([words[60:], others[:60]])) < MIN_AGREEMENT


@given(st.integers(0, 2**32 - 1), st.floats(0.5, 1.0))
@settings(deadline=None)
def test_what_stands_for_others_stands_for_itself(seed: int, min_cosine: float) -> None:
    vectors, _ = candidates(seed, dim=2)
    durations_s = np.random.default_rng(seed).uniform(100, 106, len(vectors))
    first = fold_duplicates(vectors, durations_s, min_cosine=min_cosine)
    assert first.dtype == np.int64
    assert (first[first] == first).all()
    assert (first <= np.arange(len(first))).all()
    for position, other in enumerate(first.tolist()):
        earlier = [one for one in range(position) if first[one] == one]
        alike = [
            one
            for one in earlier
            if vectors[one] @ vectors[position] >= min_cosine and abs(durations_s[one] - durations_s[position]) <= 2
        ]
        assert other == (alike[0] if alike else position)
