"""The benchmark that leaves packages out: its folds, and `ear` fitted anew to what is left."""

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.encoders.leave_out import KIND, NOISY, STATISTICS, Fitted, folds_of, sides
from benchmarks.encoders.spaces import Halves
from encoders.models.embeddings import musicnn, timbre
from encoders.training.joining import fit_map, offset_of

TRACKS = 30


def test_folds_part_the_packages_and_are_nearly_of_a_size() -> None:
    packages = [f"p{number}" for number in range(12) for _ in range(1 + 2 * number)]
    folds = folds_of(packages)
    assert len(folds) == 5
    assert sorted(package for fold in folds for package in fold) == sorted(set(packages))
    sizes = [sum(package in fold for package in packages) for fold in folds]
    assert max(sizes) - min(sizes) <= 8  # of 144 tracks
    np.random.default_rng(0).shuffle(packages)
    assert folds_of(packages) == folds


def halves(rng: np.random.Generator, centre: NDArray[np.float64], spread: float | NDArray[np.float64]) -> Halves:
    """Two and three segments about a centre."""
    return Halves(*(rng.normal(centre, spread, (number, len(centre))).astype(np.float32) for number in (2, 3)))


def tracks_of(rng: np.random.Generator, number: int) -> list[dict[str, Halves]]:
    """A track is known by thirty of the statistics and by all of what MusiCNN hears; the other statistics are zero."""
    tracks = []
    telling = np.arange(timbre.N_STATISTICS) < 30
    for _ in range(number):
        statistics, kind = rng.normal(0, 1, timbre.N_STATISTICS) * telling, rng.normal(5, 1, musicnn.DIM)
        spaces = {STATISTICS: (statistics, 0.1 * telling), NOISY: (statistics, 0.2 * telling), KIND: (kind, 0.3)}
        tracks.append({name: halves(rng, *space) for name, space in spaces.items()})
    return tracks


@pytest.fixture
def network() -> musicnn.MusiCNN:
    torch.manual_seed(3)
    return musicnn.MusiCNN().eval()


def test_what_is_fitted_is_what_ear_would_be_of_the_means_of_halves(
    rng: np.random.Generator, network: musicnn.MusiCNN
) -> None:
    tracks = tracks_of(rng, TRACKS)
    fitted = Fitted(tracks, network, 24)
    means = {
        name: [torch.from_numpy(np.stack([half.mean(axis=0) for half in side])) for side in sides(tracks, name)]
        for name in (STATISTICS, NOISY, KIND)
    }
    expected = timbre.StatisticsNet(24).eval()
    fit_map(expected, (means[STATISTICS][0], means[STATISTICS][1]), (means[NOISY][0], means[NOISY][1]))
    offset = offset_of(torch.cat(means[KIND]), network).numpy()
    [other] = tracks_of(rng, 1)
    with torch.inference_mode():
        standardised = (torch.from_numpy(other[STATISTICS].first) - expected.mean) / expected.deviation
        sound = expected.head(standardised).numpy()
    np.testing.assert_allclose(fitted.timbre(other).first, sound, atol=1e-4)

    heard = fitted.ear(other, 0.3)
    assert (heard.first.shape, heard.second.shape) == ((2, 24 + musicnn.DIM), (3, 24 + musicnn.DIM))
    np.testing.assert_allclose(np.linalg.norm(heard.both, axis=1), 1, atol=1e-5)
    kind = other[KIND].first - offset
    for part, whole, share in ((slice(24), sound, 0.7), (slice(24, None), kind, 0.3)):
        unit = whole / np.linalg.norm(whole, axis=1, keepdims=True)
        np.testing.assert_allclose(heard.first[:, part], share**0.5 * unit, atol=1e-4)


def test_what_is_fitted_finds_the_other_halves_of_tracks_that_it_never_met(
    rng: np.random.Generator, network: musicnn.MusiCNN
) -> None:
    fitted = Fitted(tracks_of(rng, TRACKS), network, 24)
    others = tracks_of(rng, 20)
    for share in (0.0, 0.5, 1.0):
        heard = [fitted.ear(track, share) for track in others]
        first, second = (np.stack([half.mean(axis=0) for half in side]) for side in sides([{"": h} for h in heard], ""))
        assert (second @ first.T).argmax(axis=1).tolist() == list(range(20))
