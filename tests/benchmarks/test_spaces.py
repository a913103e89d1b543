"""The benchmark of spaces: the way from file to halves, what it hands to the measures, and its baselines."""

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from benchmarks.encoders.baselines import MFCC, N_MFCC, mfcc_encoder, untrained_encoder
from benchmarks.encoders.spaces import (
    COLUMNS,
    EXCERPT_S,
    Halves,
    Labels,
    estimates,
    excerpts,
    halves_in_spaces,
    labels_of,
    measure,
    standardised,
    table,
    written,
)
from encoders.encoder import Encoder
from encoders.errors import SilentAudioError
from encoders.media.decoded import MediaLimits
from indexer.scan import scan
from tests.conftest import BANDS, tone
from tests.evaluation.test_label_measures import on_circle


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
    measures = measure(tracks, labels)
    found = estimates(measures)
    for metric in ("half@1", "half@10", "artist", "artist, other album", "soundtrack"):
        assert found[metric].mean == 1
        assert measures.chance[COLUMNS[metric]] < 1
        assert found[metric].count == 12
    lines = table({"a space": found}, measures.chance).splitlines()
    assert lines[0].startswith("| space | half@1 | half@10 | artist |")
    assert lines[2].startswith("| a space | 1.000 [1.000, 1.000] |")
    assert len({line.count("|") for line in lines}) == 1


def test_music_without_artists_has_no_artist_metric() -> None:
    tracks = [Halves(vector[np.newaxis], vector[np.newaxis]) for vector in on_circle(0, 20, 70)]
    found = estimates(measure(tracks, [Labels("package", "", "album")] * 3))
    assert (written(found["artist"]), written(found["artist, other album"])) == ("–", "–")
    assert found["soundtrack"].mean == 1


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
