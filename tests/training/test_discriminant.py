"""Linear discriminant analysis on Gaussians whose answer is known."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from torch import Tensor

from encoders.training.discriminant import linear_discriminant

TRACKS, FEATURES = 60, 6


@pytest.fixture
def both(rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    """Halves of tracks that differ in the first three features, under a nuisance in the others 20 times as strong."""
    identity = np.concatenate([rng.normal(5, 1, (TRACKS, 3)), np.zeros((TRACKS, 3))], axis=1)
    nuisance = np.array([0.02, 0.02, 0.02, 20, 20, 20])
    first, second = (identity + nuisance * rng.normal(size=(TRACKS, FEATURES)) for _ in range(2))
    return torch.from_numpy(first).float(), torch.from_numpy(second).float()


def found(first: Tensor, second: Tensor) -> float:
    nearest = torch.cdist(second, first).argmin(dim=1)
    return float((nearest == torch.arange(len(first))).float().mean())


def test_the_map_finds_the_other_half_where_it_was_lost(both: tuple[Tensor, Tensor]) -> None:
    weight, bias = linear_discriminant(*both, 3, shrinkage=0.0)
    assert (weight.shape, bias.shape) == ((3, FEATURES), (3,))
    assert weight.dtype == bias.dtype == torch.float32
    assert found(*both) < 0.2
    assert found(*(half @ weight.T + bias for half in both)) == 1.0


def test_the_map_is_centred_on_the_tracks_and_white_within_them(both: tuple[Tensor, Tensor]) -> None:
    weight, bias = linear_discriminant(*both, FEATURES, shrinkage=0.0)
    first, second = (half @ weight.T + bias for half in both)
    torch.testing.assert_close((first + second).mean(dim=0) / 2, torch.zeros(FEATURES), atol=1e-2, rtol=0)
    apart = (first - second) / 2**0.5
    torch.testing.assert_close(apart.T @ apart / TRACKS, torch.eye(FEATURES), atol=1e-2, rtol=0)
    spread = ((first + second) / 2).var(dim=0)
    assert torch.equal(spread.argsort(descending=True), torch.arange(FEATURES))  # the most telling first


def test_shrinkage_draws_the_scales_together(both: tuple[Tensor, Tensor]) -> None:
    """Of two directions within tracks, variances a and b, the map's scales are as √((b + s) / (a + s))."""
    sharp, blunt = (linear_discriminant(*both, FEATURES, shrinkage=share)[0] for share in (0.0, 1.0))
    assert torch.linalg.cond(sharp) > 300
    assert torch.linalg.cond(blunt) < 3


def test_without_shrinkage_the_directions_are_those_of_scikit_learn(both: tuple[Tensor, Tensor]) -> None:
    weight, _ = linear_discriminant(*both, FEATURES, shrinkage=0.0)
    tracks = np.tile(np.arange(TRACKS), 2)
    fitted = LinearDiscriminantAnalysis(solver="eigen").fit(torch.cat(both).double().numpy(), tracks)
    ours, theirs = (rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in (weight.numpy(), fitted.scalings_.T))
    np.testing.assert_allclose(np.abs((ours * theirs[:FEATURES]).sum(axis=1)), 1, atol=1e-4)
