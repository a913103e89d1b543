"""The metrics of `benchmarks.encoders.spaces` against numbers worked by hand, and the way from file to halves."""

import itertools
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from benchmarks.encoders.baselines import MFCC, N_MFCC, mfcc_encoder, untrained_encoder
from benchmarks.encoders.metrics import (
    average_precision,
    average_precision_by_chance,
    estimate,
    hubness,
    mean_average_precision,
    ranking,
    ranking_of_others,
    ranks_of_own_half,
    recall_at,
    relevance,
    skewness,
)
from benchmarks.encoders.spaces import (
    EXCERPT_S,
    Halves,
    Labels,
    excerpts,
    halves_in_spaces,
    labels_of,
    measure,
    standardised,
    table,
)
from encoders.encoder import Encoder
from encoders.errors import SilentAudioError
from encoders.media.decode import MediaLimits
from indexer.scan import scan
from tests.conftest import BANDS, tone


def on_circle(*degrees: float) -> NDArray[np.float32]:
    """Unit vectors float32 [n, 2] at these angles: the nearer the angle, the higher the cosine."""
    angles = np.radians(degrees)
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


@pytest.mark.parametrize(
    ("relevant", "expected"),
    [
        ([1, 0, 1, 0], (1 / 1 + 2 / 3) / 2),
        ([0, 0, 1], 1 / 3),
        ([0, 1, 1, 1], (1 / 2 + 2 / 3 + 3 / 4) / 3),
        ([1, 1, 0, 0], 1.0),
        ([1, 1, 1], 1.0),
    ],
)
def test_average_precision_by_hand(relevant: list[int], expected: float) -> None:
    assert average_precision(np.array(relevant, bool)) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("relevant", "ranked"), [(1, 1), (1, 2), (2, 5), (3, 6), (4, 4)])
def test_average_precision_by_chance_is_the_mean_over_all_orders(relevant: int, ranked: int) -> None:
    rows = [np.isin(np.arange(ranked), chosen) for chosen in itertools.combinations(range(ranked), relevant)]
    expected = np.mean([average_precision(row) for row in rows])
    assert average_precision_by_chance(relevant, ranked) == pytest.approx(expected, abs=1e-12)


def test_map_by_hand() -> None:
    # Angles 0, 10, 30, 35: the others of each in order are 1 2 3, 0 2 3, 3 1 0 and 2 1 0.
    others = ranking_of_others(on_circle(0, 10, 30, 35))
    assert others.tolist() == [[1, 2, 3], [0, 2, 3], [3, 1, 0], [2, 1, 0]]
    # Relevant to 0: only 2, at rank 2; to 2: only 0, at rank 3; 1 and 3 have no like.
    rows = relevance(others, ["a", "b", "a", "c"])
    assert [row.tolist() for row in rows] == [[False, True, False], [False, False, True]]
    found = mean_average_precision(rows)
    assert found.count == 2
    assert found.value == pytest.approx((1 / 2 + 1 / 3) / 2)
    assert found.chance == pytest.approx((1 + 1 / 2 + 1 / 3) / 3)


def test_tracks_of_the_same_album_leave_the_ranking() -> None:
    others = ranking_of_others(on_circle(0, 10, 30, 35))
    # To 0, track 1 is of its own album and leaves; then 2 is first and relevant. 3 loses all that is relevant to it.
    rows = relevance(others, ["a", "a", "a", "b"], apart=["x", "x", "y", "z"])
    assert [row.tolist() for row in rows] == [[True, False], [True, False], [False, True, True]]
    assert relevance(others, ["a", "a", "b", "b"], apart=["x", "x", "y", "y"]) == []


def test_one_class_is_perfect_and_no_better_than_chance() -> None:
    found = mean_average_precision(relevance(ranking_of_others(on_circle(0, 50, 60)), ["a"] * 3))
    assert (found.value, found.low, found.high, found.chance, found.count) == pytest.approx((1, 1, 1, 1, 3))


def test_without_any_query_there_is_no_estimate() -> None:
    found = mean_average_precision([])
    assert found.count == 0
    assert math.isnan(found.value)
    assert str(found) == "–"


def test_recall_by_hand() -> None:
    # Second halves at 0 and 40 find their own (0 and 42) first; 20 finds 12 before its own 30; 90 comes last for 50.
    first, second = on_circle(0, 30, 42, 90, 12), on_circle(0, 20, 40, 50, 11)
    ranks = ranks_of_own_half(first, second)
    assert ranks.tolist() == [1, 2, 1, 4, 1]
    assert [recall_at(k, ranks).value for k in (1, 2, 4)] == pytest.approx([3 / 5, 4 / 5, 1])
    assert [recall_at(k, ranks).chance for k in (1, 2, 10)] == pytest.approx([1 / 5, 2 / 5, 1])


def test_equal_cosines_rank_in_the_order_of_tracks() -> None:
    same = on_circle(20, 20, 20, 80)
    assert ranking(same, same).tolist() == [[0, 1, 2, 3]] * 3 + [[3, 0, 1, 2]]
    assert ranks_of_own_half(same, same).tolist() == [1, 2, 3, 1]
    assert ranking_of_others(same).tolist() == [[1, 2, 3], [0, 2, 3], [0, 1, 3], [0, 1, 2]]


def test_skewness_by_hand() -> None:
    # Mean 1; second moment (1 + 1 + 1 + 9) / 4 = 3, third (-1 - 1 - 1 + 27) / 4 = 6.
    values = np.array([[0, 0, 0, 4], [4, 4, 4, 0], [2, 2, 2, 2]], float)
    np.testing.assert_allclose(skewness(values), [6 / 3**1.5, -6 / 3**1.5, 0], atol=1e-12)


def test_hubness_by_hand() -> None:
    # The diagonal is nearest to all three axes, and has the first of them nearest: it occurs 3 times, the axes 1, 0, 0.
    vectors = np.vstack([np.full(3, 3**-0.5), np.eye(3)]).astype(np.float32)
    found = hubness(ranking_of_others(vectors), k=1)
    assert found.value == pytest.approx(1.5 / 1.5**1.5)
    assert found.chance == pytest.approx((1 / 3) / math.sqrt(3 * 1 / 3 * 2 / 3))
    assert found.count == 4


def test_every_track_of_a_small_catalogue_is_as_much_a_hub() -> None:
    found = hubness(ranking_of_others(on_circle(0, 1, 5)), k=10)
    assert (found.value, found.low, found.high, found.chance) == (0, 0, 0, 0)


def test_hubness_by_chance_is_that_of_random_rankings(rng: np.random.Generator) -> None:
    n = 60
    skews = []
    for _ in range(200):
        others = np.stack([rng.permutation(np.delete(np.arange(n), query)) for query in range(n)])
        occurrences = np.bincount(others[:, :10].ravel(), minlength=n).astype(float)
        skews.append(skewness(occurrences))
    assert np.mean(skews) == pytest.approx(hubness(others).chance, abs=0.05)


def test_the_interval_of_a_share_is_as_wide_as_theory_says() -> None:
    found = estimate(np.repeat([0.0, 1.0], 200), chance=0.5)
    half_width = 1.96 * math.sqrt(0.25 / 400)
    assert found.value == 0.5
    assert (found.low, found.high) == pytest.approx((0.5 - half_width, 0.5 + half_width), abs=0.005)
    assert found == estimate(np.repeat([0.0, 1.0], 200), chance=0.5)


def test_excerpts_are_the_middle_of_each_half() -> None:
    rate = 2
    waveform = np.arange(400 * rate, dtype=np.float32)
    first, second = excerpts(waveform, sample_rate=rate)
    np.testing.assert_array_equal(first, np.arange(70 * rate, (70 + EXCERPT_S) * rate))
    np.testing.assert_array_equal(second, np.arange(270 * rate, (270 + EXCERPT_S) * rate))


def test_excerpts_of_a_short_track_are_its_halves() -> None:
    waveform = np.arange(31, dtype=np.float32)
    first, second = excerpts(waveform, sample_rate=1)
    np.testing.assert_array_equal(np.concatenate([first, second]), waveform)
    assert (len(first), len(second)) == (15, 16)


def test_standardised_tracks_have_mean_0_and_deviation_1(rng: np.random.Generator) -> None:
    scale, shift = np.array([1e-3, 1, 1e3, 0]), np.array([5, 0, -1e4, 0.7])
    tracks = [Halves(*(np.float32(scale * rng.standard_normal((n, 4)) + shift) for n in (2, 3))) for _ in range(20)]
    means = np.stack([halves.both.mean(axis=0) for halves in standardised(tracks)])
    np.testing.assert_allclose(means.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(means.std(axis=0), [1, 1, 1, 0], atol=1e-3)


def test_a_space_that_knows_package_and_artist_is_perfect() -> None:
    centres = np.eye(4, dtype=np.float32).repeat(3, axis=0)
    apart = np.linspace(0.1, 0.3, 12, dtype=np.float32)[:, np.newaxis] * np.roll(centres, 3, axis=1)
    tracks = [Halves(vector[np.newaxis], vector[np.newaxis] * 2) for vector in centres + apart]
    labels = [Labels(f"package {number // 3}", f"artist {number // 3}", f"album {number}") for number in range(12)]
    found = measure(tracks, labels)
    for metric in ("half@1", "half@10", "artist", "artist, other album", "soundtrack"):
        assert found[metric].value == 1
        assert found[metric].chance < 1
        assert found[metric].count == 12
    lines = table({"a space": found}).splitlines()
    assert lines[0].startswith("| space | half@1 | half@10 | artist |")
    assert lines[2].startswith("| a space | 1.000 [1.000, 1.000] |")
    assert len({line.count("|") for line in lines}) == 1


def test_music_without_artists_has_no_artist_metric() -> None:
    tracks = [Halves(vector[np.newaxis], vector[np.newaxis]) for vector in on_circle(0, 20, 70)]
    found = measure(tracks, [Labels("package", "", "album")] * 3)
    assert (str(found["artist"]), str(found["artist, other album"])) == ("–", "–")
    assert found["soundtrack"].value == 1


def test_a_file_without_tags_is_of_its_package_alone(music: Path) -> None:
    file = scan(music, key_prefix="", on_error=lambda uri, reason: None)[0]
    assert labels_of(file) == Labels("high", "", "high")


class Unusable(nn.Module):
    """A network that must not be run."""

    def forward(self, waveform: Tensor) -> tuple[Tensor, Tensor]:
        raise AssertionError("encoded again")


def test_a_file_is_heard_once_by_every_encoder(tmp_path: Path, write_wav: Callable[..., Path], bands: Encoder) -> None:
    path = write_wav(tmp_path / "a.wav", np.concatenate([tone(220, 2), tone(3000, 2)]))
    cache, limits = tmp_path / "cache", MediaLimits()
    heard = halves_in_spaces(path, [bands], cache=cache, limits=limits)["bands"]
    assert heard.first.shape == heard.second.shape == (2, BANDS.dim)
    assert heard.first.mean(axis=0).argmax() < heard.second.mean(axis=0).argmax()

    unusable = Encoder(BANDS, Unusable(), version=bands.version, device=bands.device)
    both = halves_in_spaces(path, [unusable, mfcc_encoder()], cache=cache, limits=limits)
    np.testing.assert_array_equal(both["bands"].both, heard.both)
    assert both["mfcc"].first.shape == (1, MFCC.dim)

    newer = Encoder(BANDS, Unusable(), version="bands-2", device=bands.device)
    with pytest.raises(AssertionError, match="encoded again"):
        halves_in_spaces(path, [newer], cache=cache, limits=limits)


def test_a_track_with_a_silent_half_is_refused_and_leaves_nothing(
    tmp_path: Path, write_wav: Callable[..., Path], bands: Encoder
) -> None:
    path = write_wav(tmp_path / "a.wav", np.concatenate([tone(220, 2), np.zeros(32_000, np.float32)]))
    with pytest.raises(SilentAudioError):
        halves_in_spaces(path, [bands], cache=tmp_path / "cache", limits=MediaLimits())
    assert list(tmp_path.rglob("*.npz")) == []


def test_loudness_moves_only_the_mean_of_the_first_mfcc(rng: np.random.Generator) -> None:
    windows = rng.uniform(-0.5, 0.5, (1, MFCC.window_length)).astype(np.float32)
    quiet, loud = (mfcc_encoder().encode(gain * windows).embeddings[0] for gain in (0.1, 1.0))
    # 20 dB in each of 128 bands, by the orthonormal DCT's first row of 1 / sqrt(128).
    assert loud[0] - quiet[0] == pytest.approx(20 * math.sqrt(128), rel=1e-4)
    np.testing.assert_allclose(loud[1:], quiet[1:], atol=1e-2)


def test_mfcc_slopes_are_zero_for_a_steady_sound_and_follow_a_fade(rng: np.random.Generator) -> None:
    steady = np.resize(rng.uniform(-0.5, 0.5, 512).astype(np.float32), MFCC.window_length)
    fade_db = -np.arange(steady.size) / MFCC.sample_rate
    fading = (steady * 10 ** (fade_db / 20)).astype(np.float32)
    slopes = mfcc_encoder().encode(np.stack([steady, fading])).embeddings[:, 2 * N_MFCC : 3 * N_MFCC]
    np.testing.assert_allclose(slopes[0], 0, atol=1e-3)
    # 1 dB a second in frames of 512 samples; at the ends of the window the slope is cut short.
    assert slopes[1, 0] == pytest.approx(-math.sqrt(128) * 512 / MFCC.sample_rate, rel=0.02)
    np.testing.assert_allclose(slopes[1, 1:], 0, atol=1e-2)


def test_untrained_weights_are_the_same_every_time_and_leave_the_generator_alone() -> None:
    state = torch.random.get_rng_state()
    once, again, other = (untrained_encoder(name) for name in ("musicnn", "musicnn", "tagging-student"))
    assert once.version == again.version
    assert once.version.startswith("musicnn-untrained-")
    assert once.version != other.version
    torch.testing.assert_close(torch.random.get_rng_state(), state)
    assert once.spec.name == "untrained musicnn"
